"""A failing step is remembered, retried with backoff, and logged with context."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

import pytest

from engine.domain.clock import AcceleratedClock, ManualClock
from engine.domain.errors import ConfigError, EmsError, TooLittleMeasuredError
from engine.runtime.supervision import SupervisedStep


def test_failures_are_counted_logged_once_with_stack_and_recovered_from(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    broken = True

    def action() -> None:
        if broken:
            raise OSError("device on fire")

    step = SupervisedStep("poll", action, clock, lambda: "site site-1")
    with caplog.at_level(logging.INFO):
        delays = []
        for _ in range(7):
            assert not step.run()
            delays.append(step.retry_delay_s())
        assert delays == [1, 2, 4, 8, 16, 30, 30]
        health = step.health()
        assert (health.ok, health.failures, health.last_error) == (False, 7, "device on fire")
        broken = False
        assert step.run()
    assert step.retry_delay_s() == 0
    health = step.health()
    assert (health.ok, health.failures, health.restarts, health.last_error) == (True, 0, 7, None)
    assert health.last_success == clock.now()
    assert sum(1 for r in caplog.records if r.exc_info) == 1
    assert "site site-1" in caplog.text
    assert "works again after 7 failures" in caplog.text


def test_a_foreseen_error_is_one_line_in_the_log(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    def action() -> None:
        raise EmsError("No prices are known.", hint="Look at the cable.")

    step = SupervisedStep("plan", action, clock, lambda: "site site-1")
    assert not step.run()
    assert [bool(r.exc_info) for r in caplog.records] == [False]
    assert "No prices are known. Look at the cable." in caplog.text


def test_nothing_to_do_is_neither_success_nor_failure(clock: ManualClock) -> None:
    step = SupervisedStep("plan", lambda: False, clock)
    before = step.health()
    assert not step.run()
    assert step.health() == before
    assert step.retry_delay_s() == 0


def test_a_step_of_a_new_site_waits_for_two_hours_before_it_counts_as_failing(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    def action() -> None:
        raise TooLittleMeasuredError("There is nothing yet.", hint="Wait for an hour.")

    step = SupervisedStep("plan", action, clock)
    with caplog.at_level(logging.INFO):
        for _ in range(120):
            assert not step.run()
            clock.advance(60.0)
    health = step.health()
    assert (health.waits, health.failures, health.restarts) == (True, 0, 0)
    assert health.waits_for == "There is nothing yet. Wait for an hour."
    assert step.retry_delay_s() == 30
    assert [record.levelname for record in caplog.records] == ["INFO"]

    clock.advance(60.0)
    assert not step.run()
    health = step.health()
    assert (health.waits, health.waits_for, health.failures) == (False, None, 1)
    assert "There is nothing yet." in str(health.last_error)


def test_a_step_that_has_worked_does_not_wait_but_fails(clock: ManualClock) -> None:
    errors: list[Exception] = []

    def action() -> None:
        if errors:
            raise errors[0]

    step = SupervisedStep("plan", action, clock)
    assert step.run()
    errors.append(TooLittleMeasuredError("The history is gone."))
    assert not step.run()
    assert (step.health().waits, step.health().failures) == (False, 1)


def test_an_error_shows_field_message_and_remedy() -> None:
    error = ConfigError("1.2 is not possible here.", field="bess.eta", hint="Give at most 1.")
    assert str(error) == "bess.eta: 1.2 is not possible here. Give at most 1."
    assert error.as_dict() == {
        "code": "config_invalid",
        "message": "1.2 is not possible here.",
        "field": "bess.eta",
        "hint": "Give at most 1.",
    }


def test_clocks_do_not_run_backwards(clock: ManualClock) -> None:
    before = clock.now()
    assert clock.wait(threading.Event(), 90.0) is False
    assert (clock.now() - before).total_seconds() == 90
    assert clock.monotonic() == 90
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_an_accelerated_clock_starts_where_told() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    fast = AcceleratedClock(start, 1000.0)
    first = fast.now()
    assert first >= start
    stop = threading.Event()
    fast.wait(stop, 100.0)
    assert (fast.now() - first).total_seconds() >= 100
    with pytest.raises(ValueError, match="positive"):
        AcceleratedClock(start, 0)

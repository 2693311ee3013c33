"""The storage thread makes roll-ups and tidies up; failures there are told and stop nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.config.load import parse_config
from engine.domain.clock import ManualClock
from engine.domain.errors import ConfigError, HistoryError
from engine.domain.records import EventRow
from engine.history.upkeep_schedule import SETTLED, Upkeep

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class Store:
    """Notes what it is asked, and fails when told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime]] = []
        self.error: Exception | None = None
        self.done = True

    def roll_up(self, now: datetime) -> int:
        return int(self._ask("roll_up", now))

    def tidy(self, now: datetime) -> bool:
        self._ask("tidy", now)
        return self.done

    def _ask(self, what: str, now: datetime) -> bool:
        self.asked.append((what, now))
        if self.error is not None:
            raise self.error
        return True


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


def upkeep(store: Store, clock: ManualClock, told: list[EventRow]) -> Upkeep:
    site_clock = ManualClock(T0 + timedelta(days=300))
    return Upkeep(store, clock, site_clock, told.append)  # type: ignore[arg-type]


def run(made: Upkeep, clock: ManualClock, seconds: int) -> None:
    for _ in range(0, seconds, 10):
        clock.advance(10)
        made.do_what_is_due()


def test_roll_ups_every_five_minutes_and_tidying_soon_after_the_start_and_daily(
    clock: ManualClock,
) -> None:
    store, told = Store(), list[EventRow]()
    run(upkeep(store, clock, told), clock, 2 * 86_400 + 600)
    site_now = T0 + timedelta(days=300)
    assert {now for what, now in store.asked if what == "roll_up"} == {site_now - SETTLED}
    whats = [what for what, _ in store.asked]
    assert whats.count("roll_up") == 2 * 288 + 2
    assert whats.count("tidy") == 3
    assert told == []


def test_what_is_not_done_in_one_call_goes_on_with_the_next(clock: ManualClock) -> None:
    store = Store()
    store.done = False
    made = upkeep(store, clock, [])
    run(made, clock, 200)
    assert [what for what, _ in store.asked].count("tidy") == 9
    assert made.tidied_at is None
    store.done = True
    run(made, clock, 100)
    assert [what for what, _ in store.asked].count("tidy") == 10
    assert made.tidied_at is not None


@pytest.mark.parametrize("error", [HistoryError("disk full"), RuntimeError("disk full")])
def test_a_failure_is_told_once_and_so_is_its_end(clock: ManualClock, error: Exception) -> None:
    store, told = Store(), list[EventRow]()
    store.error = error
    made = upkeep(store, clock, told)
    run(made, clock, 1000)
    assert [e.code for e in told] == ["history_tidy_failed", "history_roll_up_failed"]
    assert all("disk full" in e.message for e in told)
    assert made.error == "disk full"
    assert made.rolled_up_at is None
    store.error = None
    run(made, clock, 3600)
    assert [e.code for e in told[2:]] == ["history_roll_up_works_again", "history_tidy_works_again"]
    assert made.error is None


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ("{raw_days: 1}", "history.raw_days"),
        ("{raw_days: 60, archive_months: 1}", "history.archive_months"),
        ("{raw_days: 60, minute_days: 50}", "history.minute_days"),
        ("{batch_seconds: 60}", "history.batch_seconds"),
        ("{backup_folder: ''}", "history.backup_folder"),
        ("{unknown: 1}", "history.unknown"),
    ],
)
def test_a_mistake_in_the_section_history_is_named(section: str, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"history: {section}\n")
    assert field in str(caught.value)


def test_null_keeps_the_archive_for_ever() -> None:
    config = parse_config("history: {archive_months: null, batch_seconds: 5}\n")
    assert config.history.archive_months is None
    assert config.history.batch_seconds == 5.0

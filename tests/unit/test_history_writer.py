"""The buffer and the storage thread in front of a history store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import ManualClock, SystemClock
from engine.domain.errors import HistoryError
from engine.domain.forecast import LOAD_SIGNAL, Forecast
from engine.domain.plan import Plan, PlanCheck
from engine.domain.quarter_hour import STEP
from engine.domain.records import (
    DeviceRow,
    EventRow,
    LedgerRow,
    MetricRow,
    PriceRow,
    RunRow,
    SampleRow,
    SavingsRow,
    TariffRow,
)
from engine.domain.strategy import CandidateValue, ChoiceReason, Selection, StrategyKey
from engine.history.checks import MAX_FORECAST_STEPS, MAX_PLAN_STEPS
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch, HistoryStore
from engine.history.writer import HistoryWriter

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DEADLINE_S = 20.0
NEVER_S = 1e6


def sample(i: int, site_id: str = "main") -> SampleRow:
    return SampleRow(T0 + timedelta(seconds=2 * i), site_id, {"battery_kw": float(i)})


def price(i: int) -> PriceRow:
    return PriceRow(T0 + timedelta(hours=i), "main", 60, 0.1, 0.2, 0.05, "recorded", T0)


def booking(i: int, cost_eur: float = 0.9) -> LedgerRow:
    start = T0 + timedelta(minutes=15 * i)
    return LedgerRow(
        start, "main", 900, 3.0, 0.0, None, None, None, 0.3, 0.1, cost_eur, "recorded", "counters"
    )


def plan(i: int, n: int = 8) -> Plan:
    zeros = np.zeros(n)
    return Plan(
        plan_id=f"plan-{i:05d}",
        site_id="main",
        created_at=T0,
        start=T0,
        step_minutes=15,
        battery_kw=zeros,
        grid_kw=zeros,
        load_kw=zeros,
        pv_kw=zeros,
        curtailed_kw=zeros,
        soc_kwh=zeros,
        soc_start_kwh=0.0,
        buy_eur_per_kwh=zeros,
        sell_eur_per_kwh=zeros,
        spot_eur_per_kwh=zeros,
        price_is_forecast=zeros > 0,
        stored_value_eur_per_kwh=zeros,
        strategy="co_optimised",
        cost_eur=0.0,
        baseline_cost_eur=0.0,
        profit_24h_eur=0.0,
        status="optimal",
        solver="HIGHS (LP)",
        gap=0.0,
        solve_ms=1.0,
        check=PlanCheck(True, 0.0, 0.0, 0.0),
    )


def forecast(i: int, n: int = 8) -> Forecast:
    values = np.full(n, float(i))
    start = T0 + i * STEP
    return Forecast(LOAD_SIGNAL, start, values, values, values, start, "ensemble", "median")


def selection(i: int) -> Selection:
    return Selection(
        ts=T0 + i * STEP,
        site_id="main",
        plan_id=f"plan-{i:05d}",
        active=StrategyKey.ARBITRAGE,
        previous=None,
        best=StrategyKey.ARBITRAGE,
        mode="auto",
        reason=ChoiceReason.FIRST,
        gain_eur=0.0,
        needed_eur=0.0,
        candidates=(CandidateValue(StrategyKey.ARBITRAGE, 1.0, 2.0),) * 5,
    )


class FlakyStore:
    """Passes batches on to a real store, unless told to fail or to hang."""

    def __init__(self, store: DuckDbHistory) -> None:
        self.real = store
        self.failing: Exception | None = None
        self.fail_after_commit = False
        self.may_proceed = threading.Event()
        self.may_proceed.set()
        self.entered = threading.Event()
        self.attempts = 0
        self.attempted = threading.Condition()
        self.closed = False

    def write(self, batch: Batch) -> None:
        self.entered.set()
        if not self.may_proceed.wait(DEADLINE_S):
            raise HistoryError("the test forgot to let the store go on")
        with self.attempted:
            self.attempts += 1
            self.attempted.notify_all()
        if self.failing is not None:
            if self.fail_after_commit:
                self.real.write(batch)
            raise self.failing
        self.real.write(batch)

    def wait_for_attempts(self, count: int) -> bool:
        with self.attempted:
            return self.attempted.wait_for(lambda: self.attempts >= count, DEADLINE_S)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FlakyStore]:
    history = DuckDbHistory(tmp_path / "history.duckdb")
    yield FlakyStore(history)
    history.close()


def writer_of(store: FlakyStore, batch_seconds: float = NEVER_S, **kwargs: int) -> HistoryWriter:
    history: HistoryStore = store  # type: ignore[assignment]  # __getattr__ supplies the rest
    return HistoryWriter(history, SystemClock(), batch_seconds=batch_seconds, **kwargs)


def test_everything_handed_over_is_stored(store: FlakyStore) -> None:
    writer = writer_of(store)
    writer.start()
    for i in range(50):
        writer.add_sample(sample(i))
    writer.add_prices([price(0), price(1)])
    writer.add_plan(plan(0))
    writer.add_ledger(booking(0, 0.5))
    writer.add_ledger(booking(0, 0.9))
    writer.add_event(EventRow(T0, "main", "info", "started", "The engine has started."))
    writer.add_forecast(forecast(0), "main")
    writer.add_selection(selection(0))
    writer.add_run(RunRow(T0, "main", "start", "failed", 12.0, message="No prices are known."))
    writer.add_tariffs([TariffRow(T0, "main", None, "{}")])
    writer.add_devices([DeviceRow(T0, "main", "bms", "{}")])
    writer.add_savings([SavingsRow(T0, "main", "no_battery", 1.0, 0.0, 0.0, 0.0, 20.0, 0.3)])
    writer.add_metrics([MetricRow(T0.date(), "main", "profit_eur", None)])
    assert writer.status().rows_waiting == 63
    assert writer.flush()

    status = writer.status()
    assert status.running
    assert (status.rows_written, status.rows_waiting, status.rows_dropped) == (63, 0, 0)
    assert status.last_commit_at is not None
    assert status.commit_ms is not None
    assert status.last_error is None
    assert store.real.counts() == {
        "samples": 50,
        "prices": 2,
        "plans": 1,
        "plan_steps": 8,
        "forecasts": 1,
        "selections": 1,
        "selection_candidates": 5,
        "ledger": 1,
        "events": 1,
        "runs": 1,
        "tariffs": 1,
        "devices": 1,
        "savings": 1,
        "metrics": 1,
    }
    assert store.real.ledger("main", T0, T0 + timedelta(days=1))[0].cost_eur == 0.9
    assert writer.stop()


def test_rows_are_committed_every_batch_without_being_asked(store: FlakyStore) -> None:
    writer = writer_of(store, batch_seconds=0.01)
    writer.start()
    writer.add_sample(sample(0))
    assert store.wait_for_attempts(1)
    writer.add_sample(sample(1))
    assert store.wait_for_attempts(2)
    assert writer.stop()
    assert writer.status().rows_written == 2


def test_stop_stores_the_rest_and_leaves_a_clean_file(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    writer = HistoryWriter(DuckDbHistory(path), SystemClock(), batch_seconds=NEVER_S)
    writer.start()
    for i in range(20):
        writer.add_sample(sample(i))
    assert writer.stop()
    assert writer.stop()
    assert not writer.status().running
    assert not path.with_name("h.duckdb.wal").exists()
    with DuckDbHistory(path) as reopened:
        assert reopened.counts()["samples"] == 20


def test_without_a_thread_flush_and_stop_store_at_once(tmp_path: Path) -> None:
    clock = ManualClock(T0)
    history = DuckDbHistory(tmp_path / "h.duckdb")
    writer = HistoryWriter(history, clock)
    writer.add_sample(sample(0))
    assert writer.flush()
    assert writer.status().last_commit_at == T0
    writer.add_sample(sample(1))
    assert writer.stop()
    with DuckDbHistory(tmp_path / "h.duckdb") as reopened:
        assert reopened.counts()["samples"] == 2


@pytest.mark.parametrize("durable_but_reported", [False, True])
def test_an_outage_of_the_store_loses_nothing(
    store: FlakyStore, durable_but_reported: bool
) -> None:
    writer = writer_of(store, batch_seconds=0.01)
    store.failing = HistoryError("disk full")
    store.fail_after_commit = durable_but_reported
    writer.start()
    for i in range(30):
        writer.add_sample(sample(i))
    writer.add_plan(plan(0))
    writer.add_forecast(forecast(0), "main")
    writer.add_selection(selection(0))
    assert store.wait_for_attempts(3)
    for i in range(30, 60):
        writer.add_sample(sample(i))
    status = writer.status()
    assert status.rows_waiting == 63
    assert status.failures >= 2
    assert status.last_error == "disk full"
    assert not writer.flush()

    store.failing = None
    assert writer.flush()
    status = writer.status()
    assert (status.rows_waiting, status.rows_dropped, status.failures) == (0, 0, 0)
    assert status.last_error is None
    counts = store.real.counts()
    assert (counts["samples"], counts["plans"]) == (60, 1)
    assert (counts["forecasts"], counts["selections"], counts["selection_candidates"]) == (1, 1, 5)
    points = store.real.minute_means("main", ["battery_kw"], T0, T0 + timedelta(hours=1))
    assert [p.values["battery_kw"] for p in points] == [14.5, 44.5]
    assert writer.stop()


def test_an_unforeseen_error_does_not_end_the_thread(store: FlakyStore) -> None:
    writer = writer_of(store, batch_seconds=0.01)
    store.failing = MemoryError("no memory")
    writer.start()
    writer.add_sample(sample(0))
    assert store.wait_for_attempts(2)
    assert writer.status().running
    store.failing = None
    assert writer.flush()
    assert store.real.counts()["samples"] == 1
    assert writer.stop()


def test_a_hanging_store_never_blocks_those_who_hand_rows_over(store: FlakyStore) -> None:
    writer = writer_of(store, batch_seconds=0.01)
    store.may_proceed.clear()
    writer.start()
    writer.add_sample(sample(0))
    assert store.entered.wait(DEADLINE_S)

    def control() -> None:
        for i in range(1, 500):
            writer.add_sample(sample(i))
        writer.add_event(EventRow(T0, "main", "info", "x", "y"))
        writer.add_ledger(booking(0))
        writer.add_prices([price(0)])
        writer.add_plan(plan(0))
        writer.add_forecast(forecast(0), "main")
        writer.add_selection(selection(0))
        writer.status()

    thread = threading.Thread(target=control)
    thread.start()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert writer.status().rows_waiting == 506
    assert not writer.flush(timeout_s=0.01)
    assert not writer.stop(timeout_s=0.01)

    store.may_proceed.set()
    assert writer.stop(timeout_s=DEADLINE_S)
    assert writer.status().rows_written == 506


def test_a_full_buffer_drops_the_oldest_rows_and_counts_them(store: FlakyStore) -> None:
    writer = writer_of(store, max_rows=100)
    for i in range(130):
        writer.add_sample(sample(i))
    store.failing = HistoryError("disk full")
    assert not writer.flush()
    for i in range(130, 150):
        writer.add_sample(sample(i))
    status = writer.status()
    assert (status.rows_waiting, status.rows_dropped) == (100, 50)
    store.failing = None
    assert writer.flush()
    points = store.real.minute_means("main", ["battery_kw"], T0, T0 + timedelta(hours=1))
    assert points[0].ts == T0 + timedelta(seconds=60)
    assert points[0].values["battery_kw"] == pytest.approx(np.mean(range(50, 60)))
    assert store.real.counts()["samples"] == 100


def test_forecasts_and_choices_are_bounded_and_dropped_like_all_rows(store: FlakyStore) -> None:
    writer = writer_of(store, max_rows=10)
    store.failing = HistoryError("disk full")
    for i in range(12):
        writer.add_forecast(forecast(i), "main")
        writer.add_selection(selection(i))
    assert not writer.flush()
    writer.add_forecast(forecast(12), "main")
    status = writer.status()
    assert (status.rows_waiting, status.rows_dropped) == (20, 5)
    store.failing = None
    assert writer.flush()
    period = (T0 - timedelta(days=1), T0 + timedelta(days=1))
    vintages = store.real.forecasts("main", LOAD_SIGNAL, *period)
    assert [v.issued_at for v in vintages] == [T0 + i * STEP for i in range(3, 13)]
    assert store.real.selections("main", *period) == [selection(i) for i in range(2, 12)]


def test_rows_dropped_while_a_commit_fails_are_the_oldest(store: FlakyStore) -> None:
    writer = writer_of(store, batch_seconds=0.01, max_rows=10)
    store.failing = HistoryError("disk full")
    store.may_proceed.clear()
    writer.start()
    for i in range(10):
        writer.add_sample(sample(i))
    assert store.entered.wait(DEADLINE_S)
    for i in range(10, 15):
        writer.add_sample(sample(i))
    store.may_proceed.set()
    assert not writer.flush()
    store.failing = None
    assert writer.flush()
    assert writer.status().rows_dropped == 5
    points = store.real.minute_means("main", ["battery_kw"], T0, T0 + timedelta(hours=1))
    assert points[0].values["battery_kw"] == pytest.approx(np.mean(range(5, 15)))
    assert writer.stop()


def test_a_row_that_cannot_be_stored_is_refused_visibly_and_blocks_nothing(
    store: FlakyStore,
) -> None:
    writer = writer_of(store)
    writer.add_sample(SampleRow(T0, "main", {"no_such_signal": 1.0}))
    status = writer.status()
    assert (status.rows_rejected, status.rows_waiting) == (1, 0)
    assert "no_such_signal" in (status.last_error or "")
    crooked = replace(forecast(0), start=T0 + timedelta(minutes=1))
    writer.add_forecast(crooked, "main")
    writer.add_selection(replace(selection(0), needed_eur=float("nan")))
    assert writer.status().rows_rejected == 3
    assert "selection.needed_eur" in (writer.status().last_error or "")
    writer.add_sample(sample(0))
    assert writer.flush()
    assert writer.status().rows_rejected == 3
    assert store.real.counts()["samples"] == 1


def test_a_backlog_of_all_kinds_fits_through(store: FlakyStore) -> None:
    writer = writer_of(store)
    writer.add_plan(plan(99, n=MAX_PLAN_STEPS))
    for i in range(40):
        writer.add_plan(plan(i, n=576))
    for i in range(9000):
        writer.add_sample(sample(i))
    writer.add_forecast(forecast(99, n=MAX_FORECAST_STEPS), "main")
    for i in range(90):
        writer.add_forecast(forecast(i, n=144), "main")
        writer.add_selection(selection(i))
    for i in range(2000):
        writer.add_prices([price(i)])
        writer.add_ledger(booking(i))
        writer.add_event(EventRow(T0, "main", "info", "x", str(i)))
    assert writer.flush()
    counts = store.real.counts()
    assert counts["plan_steps"] == 40 * 576 + MAX_PLAN_STEPS
    assert (counts["samples"], counts["forecasts"], counts["selections"]) == (9000, 91, 90)
    assert (counts["prices"], counts["ledger"], counts["events"]) == (2000, 2000, 2000)


def test_stop_with_a_broken_store_says_what_was_lost(
    store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    writer = writer_of(store)
    writer.start()
    store.failing = HistoryError("disk full")
    writer.add_sample(sample(0))
    assert not writer.stop()
    assert writer.status().rows_waiting == 1
    assert "1 history rows could not be stored" in caplog.text


def test_a_writer_starts_once(store: FlakyStore) -> None:
    writer = writer_of(store)
    writer.start()
    with pytest.raises(HistoryError, match="once"):
        writer.start()
    assert writer.stop()
    with pytest.raises(HistoryError, match="once"):
        writer.start()

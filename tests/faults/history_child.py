"""Child processes of the history fault tests: run by path, told what to do by arguments.

``write PATH FIRST``: store numbered batches for ever, print each number once stored.
``hold PATH``: open the store, checkpoint, say so, wait for a line on standard input.
``open PATH``: open the store as a second instance would, print the outcome.
``raw PATH``: open the file with plain DuckDB, print the outcome.
``full PATH``: live through a disk that is full for commits and for a checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from engine.domain.errors import AlreadyRunningError, HistoryError
from engine.domain.forecast import LOAD_SIGNAL, Forecast
from engine.domain.plan import Plan, PlanCheck, PlanSteering
from engine.domain.quarter_hour import STEP
from engine.domain.records import EventRow, LedgerRow, SampleRow
from engine.domain.strategy import CandidateValue, ChoiceReason, Selection, StrategyKey
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch, SiteForecast

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ROWS_PER_BATCH = 30


def batch(number: int) -> Batch:
    """Return batch `number`: 30 samples and one of each other row that comes with a plan."""
    first = number * ROWS_PER_BATCH
    quarter = T0 + timedelta(minutes=15 * (number // 10))
    return Batch(
        samples=tuple(
            SampleRow(
                T0 + timedelta(seconds=2 * i),
                "main",
                {"battery_kw": float(number), "grid_import_kwh": float(i), "status_code": i % 9},
            )
            for i in range(first, first + ROWS_PER_BATCH)
        ),
        ledger=(
            LedgerRow(
                quarter,
                "main",
                900.0,
                float(number),
                0.0,
                None,
                None,
                None,
                0.3,
                0.1,
                float(number),
                "recorded",
                "counters",
            ),
        ),
        events=(EventRow(T0 + timedelta(seconds=number), "main", "info", "batch", str(number)),),
        plans=(plan(number),),
        forecasts=(SiteForecast("main", forecast(number)),),
        selections=(selection(number),),
    )


def forecast(number: int) -> Forecast:
    """Return the forecast of batch `number`: 12 steps around its number."""
    values = np.full(12, float(number))
    return Forecast(
        signal=LOAD_SIGNAL,
        start=T0 + number * STEP,
        p10=values - 1.0,
        p50=values,
        p90=values + 1.0,
        issued_at=T0 + number * STEP + timedelta(seconds=1),
        model="ensemble",
        method="test",
    )


def selection(number: int) -> Selection:
    """Return the choice of batch `number` between two strategies."""
    return Selection(
        ts=T0 + number * STEP,
        site_id="main",
        plan_id=f"plan-{number}",
        active=StrategyKey.CO_OPTIMISED,
        previous=None,
        best=StrategyKey.CO_OPTIMISED,
        mode="auto",
        reason=ChoiceReason.BEST,
        gain_eur=float(number),
        needed_eur=1.0,
        candidates=(
            CandidateValue(StrategyKey.CO_OPTIMISED, float(number), 2.0),
            CandidateValue(StrategyKey.ARBITRAGE, None, None, reason="no plan"),
        ),
    )


def plan(number: int) -> Plan:
    """Return the plan of batch `number`: two steps, with what it was optimised for."""
    values = np.full(2, float(number))
    return Plan(
        plan_id=f"plan-{number}",
        site_id="main",
        created_at=T0 + number * STEP,
        start=T0 + number * STEP,
        step_minutes=15,
        battery_kw=values,
        grid_kw=values,
        load_kw=values,
        pv_kw=values,
        curtailed_kw=values,
        soc_kwh=values,
        soc_start_kwh=1.0,
        buy_eur_per_kwh=values,
        sell_eur_per_kwh=values,
        spot_eur_per_kwh=values,
        price_is_forecast=values > 0,
        stored_value_eur_per_kwh=values,
        strategy="co_optimised",
        cost_eur=1.0,
        baseline_cost_eur=2.0,
        profit_24h_eur=3.0,
        status="optimal",
        solver="HIGHS (LP)",
        gap=0.0,
        solve_ms=1.0,
        check=PlanCheck(True, 0.0, 0.0, 0.0),
        site_price_eur_per_kwh=values,
        billed_peak_kw=float(number),
        steering=PlanSteering(values, values, 0.5, None, values + 1.0, 400.0),
    )


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def write(path: Path, first: int) -> None:
    say("opening")
    store = DuckDbHistory(path, checkpoint_wal_bytes=60_000)
    number = first
    while True:
        store.write(batch(number))
        say(number)
        number += 1


def hold(path: Path) -> None:
    with DuckDbHistory(path) as store:
        store.write(batch(0))
        store.checkpoint()
        say("holding")
        sys.stdin.readline()


def open_second(path: Path) -> None:
    try:
        DuckDbHistory(path).close()
    except AlreadyRunningError as error:
        say(json.dumps({"refused": str(error), **error.as_dict()}))
    else:
        say(json.dumps({"refused": None}))


def open_raw(path: Path) -> None:
    try:
        duckdb.connect(str(path)).close()
    except duckdb.IOException as error:
        say(json.dumps({"refused": str(error)}))
    else:
        say(json.dumps({"refused": None}))


def full(path: Path) -> None:
    """The limit on file sizes stands in for the end of the disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    result: dict[str, object] = {}
    store = DuckDbHistory(path)
    for number in range(20):
        store.write(batch(number))
    wal_bytes = path.with_name(path.name + ".wal").stat().st_size

    limit(wal_bytes + 1000)
    try:
        store.write(batch(20))
    except HistoryError as error:
        result["commit"] = str(error)
    result["readable_after_commit"] = store.counts()["samples"]
    try:
        store.checkpoint()
    except HistoryError as error:
        result["checkpoint"] = str(error)
    result["readable_after_checkpoint"] = store.counts()["samples"]
    with contextlib.suppress(HistoryError):
        store.write(batch(20))
    result["readable_while_full"] = store.counts()["samples"]

    limit(hard)
    for number in range(20, 25):
        store.write(batch(number))
    result["checkpointed"] = store.checkpoint()
    result["samples"] = store.counts()["samples"]
    events = store.events("main", T0 - timedelta(days=3650), T0 + timedelta(days=36500))
    result["events"] = sorted({e.code for e in events})
    store.close()
    with DuckDbHistory(path) as reopened:
        result["samples_reopened"] = reopened.counts()["samples"]
    say(json.dumps(result))


def main(arguments: list[str]) -> None:
    what, path = arguments[0], Path(arguments[1])
    if what == "write":
        write(path, int(arguments[2]))
    else:
        {"hold": hold, "open": open_second, "raw": open_raw, "full": full}[what](path)


if __name__ == "__main__":
    main(sys.argv[1:])

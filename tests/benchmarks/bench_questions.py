"""Questions of the pages, analysts' SQL and exports on a year of 2-s samples.

Prints per question the median and the worst of several fresh answers, alone and with four
askers at once, and for exports duration, size and how much the program's memory grew.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.domain.records import LedgerRow, PriceRow
from engine.domain.signals import SIGNALS
from engine.history.dictionary import select_list
from engine.history.duckdb_store import DuckDbHistory
from engine.history.export_request import ExportFormat, ExportRequest
from engine.history.export_rows import ExportContext
from engine.history.exporter import stream_export
from engine.history.query_service import HistoryQueries
from engine.history.read_limit import resident_bytes
from engine.history.series_query import Step
from engine.history.sql_sandbox import SqlSandbox
from engine.history.store import Batch
from tests.benchmarks.history_questions import QUESTIONS, asked

SITE, ZONE = "main", "Europe/Vienna"
END = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 365
DAY = timedelta(days=1)
REPEATS = 5

STATEMENTS = {
    "cost per day of the year": (
        "SELECT ts_local::DATE AS day, sum(cost_eur) FROM ledger GROUP BY day ORDER BY day"
    ),
    "load by hour of the day, quarter-hours": (
        "SELECT extract(HOUR FROM ts_local) h, avg(load_kw_mean), max(load_kw_max) "
        "FROM quarter_hours GROUP BY h ORDER BY h"
    ),
    "price when the battery discharged": (
        "SELECT avg(p.buy_eur_per_kwh) FROM quarter_hours q ASOF JOIN prices p ON q.ts >= p.ts "
        "WHERE q.battery_kw_mean > 1"
    ),
    "all samples of the year, one mean": "SELECT avg(load_kw) FROM samples",
}


def fill(store: DuckDbHistory, days: int) -> None:
    """Store `days` of samples, prices and bookings before `END`; values are synthetic."""
    start = END - days * DAY
    known = {
        "load_kw": "40 + 25 * sin(k / 5000.0) + 3 * sin(k / 7.0)",
        "pv_kw": "greatest(0, 60 * sin((k % 43200) / 43200.0 * 6.2832 - 1.5))",
        "battery_kw": "30 * sin(k / 3000.0)",
        "grid_kw": "10 + 25 * sin(k / 4000.0)",
        "soc_percent": "50 + 40 * sin(k / 9000.0)",
        "status_code": "3",
        "alarm_bits": "0",
    }
    names = ("ts", "site_id", "unusable", "simulated", "state", "decided_by", *SIGNALS)
    values = ", ".join(
        known.get(name, f"{100 + i} + (k % 997) / 100.0") for i, name in enumerate(SIGNALS)
    )
    for number in range(days):
        day = (start + number * DAY).replace(tzinfo=None)
        with store.lend_cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                f"INSERT INTO h.samples({select_list(names)}) SELECT "
                f"TIMESTAMP '{day}' + to_seconds(2 * i), '{SITE}', 0, false, 'ready', 'value', "
                f"{values} FROM (SELECT i, i + {43_200 * number} AS k FROM range(43200) t(i))"
            )
            cursor.execute(
                "INSERT INTO h.roll_up_pending(site_id, start_at, end_at) VALUES (?, ?, ?)",
                [SITE, day, day + DAY],
            )
            cursor.execute("COMMIT")
        if number % 30 == 29:
            store.checkpoint()
    quarters = [start + k * timedelta(minutes=15) for k in range(96 * days)]
    for at in range(0, len(quarters), 5_000):
        part = quarters[at : at + 5_000]
        store.write(
            Batch(
                prices=tuple(PriceRow(t, SITE, 15, 0.1, 0.22, 0.09, "made", END) for t in part),
                ledger=tuple(
                    LedgerRow(
                        t,
                        SITE,
                        900.0,
                        5.0,
                        1.0,
                        None,
                        None,
                        None,
                        0.22,
                        0.09,
                        1.01,
                        "made",
                        "counters",
                    )
                    for t in part
                ),
            )
        )
    while store.roll_up(END):
        pass
    store.checkpoint()


def timed(action: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Return durations in ms, ascending."""
    out = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        out.append(1e3 * (time.perf_counter() - began))
    return sorted(out)


def fresh(store: DuckDbHistory) -> HistoryQueries:
    """Return a service without cached answers."""
    return HistoryQueries(store, ZONE, lambda: END, limit_seconds=60.0)


def show_questions(store: DuckDbHistory) -> None:
    print(f"{'question (ms)':36} {'points':>7} {'median':>8} {'worst':>8} {'4 at once':>10}")
    for name in QUESTIONS:
        points = asked(fresh(store), name, SITE, END)
        alone = timed(lambda name=name: asked(fresh(store), name, SITE, END))  # type: ignore[misc]

        def four(name: str = name) -> None:
            service = fresh(store)
            ends = [END - k * timedelta(minutes=15) for k in range(4)]
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda end: asked(service, name, SITE, end), ends))

        together = timed(four, 3)
        print(
            f"{name:36} {points:7} {alone[len(alone) // 2]:8.1f} {alone[-1]:8.1f} "
            f"{together[1]:10.1f}"
        )


def show_statements(store: DuckDbHistory) -> None:
    sandbox = SqlSandbox(store, SITE, ZONE, limit_seconds=60.0)
    print(f"\n{'statement (ms)':44} {'median':>8} {'worst':>8}")
    for name, sql in STATEMENTS.items():
        took = timed(lambda sql=sql: sandbox.run(sql))  # type: ignore[misc]
        print(f"{name:44} {took[len(took) // 2]:8.1f} {took[-1]:8.1f}")


def show_exports(store: DuckDbHistory, days: int) -> None:
    context = ExportContext(store, None, ZONE, "benchmark", END)
    period = {"since": END - days * DAY, "until": END}
    asked_for = {
        "samples, all signals": {"dataset": "samples"},
        "5 signals by minute": {
            "dataset": "series",
            "signals": ("load_kw", "pv_kw", "grid_kw", "battery_kw", "price:buy_eur_per_kwh"),
            "step": Step.MINUTE,
        },
        "ledger": {"dataset": "ledger"},
    }
    print(f"\n{'export of a year':34} {'s':>7} {'MB':>8} {'first byte s':>13} {'memory + MB':>12}")
    for name, changes in asked_for.items():
        for kind in (ExportFormat.CSV, ExportFormat.PARQUET):
            request = ExportRequest(site_id=SITE, format=kind, **period, **changes)  # type: ignore[arg-type]
            before, began = resident_bytes(), time.perf_counter()
            peak = _Peak()
            size, first_s = 0, None
            with peak:
                for chunk in stream_export(context, request):
                    if first_s is None:
                        first_s = time.perf_counter() - began
                    size += len(chunk)
            print(
                f"{name + ', ' + kind:34} {time.perf_counter() - began:7.1f} {size / 1e6:8.1f} "
                f"{first_s or 0.0:13.2f} {(peak.highest - before) / 1e6:12.0f}"
            )


class _Peak:
    """Watches the highest memory of the program meanwhile."""

    def __enter__(self) -> _Peak:
        self.highest = resident_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.highest = max(self.highest, resident_bytes())


def main(days: int = DAYS) -> None:
    """Fill a history, ask and export."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hot.duckdb"
        with DuckDbHistory(path) as store:
            began = time.perf_counter()
            fill(store, days)
            print(
                f"{days} days of 2-s samples, {len(SIGNALS)} signals: "
                f"{path.stat().st_size / 1e6:.0f} MB, made in {time.perf_counter() - began:.0f} s"
            )
            show_questions(store)
            show_statements(store)
            show_exports(store, days)


if __name__ == "__main__":
    main()

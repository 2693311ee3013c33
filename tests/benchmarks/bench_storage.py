"""A long history: how quickly it is written and asked, how large it is; SQLite beside it.

Run from the repository root: ``python -m tests.benchmarks.bench_storage --days 365``.
Both stores hold the same rows (`year_data`) on the same disk, and are asked in one run. SQLite
has the index that suits every question, (site, time), with the row in it, and a write-ahead log.
The history answers what is longer than two days from its roll-ups; SQLite has none, so each
question is also put to the samples of the history, hot and archived, where that makes sense.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from engine.history.columns import Aggregate, ColumnKey, Columns, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.export_request import ExportRequest
from engine.history.export_rows import ExportContext
from engine.history.exporter import stream_export
from engine.history.retention import Retention
from tests.benchmarks.year_data import (
    DATABASE_NAME,
    ROWS_PER_DAY,
    SITE,
    START,
    STEP_S,
    day_columns,
    day_stamps,
    write_store,
)

DEFAULT_DAYS = 365
"""A year, 15.8 million rows; it takes twenty minutes or more to write and ask."""

TARGET_MS = 100.0
REPEATS = 5
FLOWS = ("battery_kw", "grid_kw", "pv_kw", "load_kw")
SEVEN = (*FLOWS, "soc_percent", "temperature_c", "battery_setpoint_kw")
_ENERGY = (Aggregate.POSITIVE_KWH, Aggregate.NEGATIVE_KWH)


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a page or a calculation, for each store."""

    name: str
    history: Callable[[DuckDbHistory], Any]
    sqlite: Callable[[sqlite3.Connection], Any]
    samples: Callable[[DuckDbHistory], Any] | None = None
    dashboard: bool = True


def questions(days: int) -> list[Question]:
    """Return the questions to a history of `days` days; the newest day is the last one."""
    end = START + timedelta(days=days)
    month = end - timedelta(days=min(days, 30))
    old = START + timedelta(days=min(3, days - 1))
    hour, day = timedelta(hours=1), timedelta(days=1)
    means = [ColumnKey(name) for name in FLOWS]
    energies = [ColumnKey(name, aggregate) for name in FLOWS for aggregate in _ENERGY]
    band = [
        ColumnKey(name, aggregate)
        for name in ("battery_kw", "grid_kw")
        for aggregate in (Aggregate.MIN, Aggregate.MAX)
    ]

    def ask(
        keys: list[ColumnKey], since: datetime, until: datetime, step: Resolution
    ) -> Callable[[DuckDbHistory], Columns]:
        return lambda store: store.columns(SITE, keys, since, until, step)

    def daily(since: datetime) -> Callable[[DuckDbHistory], Any]:
        def sums(store: DuckDbHistory) -> Any:
            found = store.columns(SITE, energies, since, end, Resolution.QUARTER_HOUR)
            of_day = (found.ts - found.ts[0]) // np.timedelta64(1, "D")
            return [np.bincount(of_day, np.nan_to_num(v)) for v in found.values.values()]

        return sums

    raw = [ColumnKey(name) for name in SEVEN]
    sums_sql = ", ".join(
        f"sum(CASE WHEN {sign}{name} > 0 THEN {sign}{name} ELSE 0 END) * {STEP_S} / 3600.0"
        for name in FLOWS
        for sign in ("", "-")
    )
    flows_sql = ", ".join(f"avg({name})" for name in FLOWS)
    band_sql = "min(battery_kw), max(battery_kw), min(grid_kw), max(grid_kw)"

    def rows(columns: str, since: datetime, until: datetime, seconds: int) -> Any:
        sql = f"SELECT ts, {columns} FROM samples WHERE site = ? AND ts >= ? AND ts < ?"
        if seconds:
            sql = sql.replace("SELECT ts", f"SELECT ts / {seconds}") + f" GROUP BY ts / {seconds}"
        bounds = (SITE, int(since.timestamp()), int(until.timestamp()))
        return lambda connection: connection.execute(sql, bounds).fetchall()

    return [
        Question(
            "newest sample",
            lambda store: store.latest_sample(SITE),
            lambda c: c.execute(
                "SELECT * FROM samples WHERE site = ? ORDER BY ts DESC LIMIT 1", (SITE,)
            ).fetchall(),
        ),
        Question(
            "last hour, 2 s, 7 signals",
            ask(raw, end - hour, end, Resolution.RAW),
            rows(", ".join(SEVEN), end - hour, end, 0),
        ),
        Question(
            "an hour in the archive, 2 s, 7 signals",
            ask(raw, old, old + hour, Resolution.RAW),
            rows(", ".join(SEVEN), old, old + hour, 0),
        ),
        Question(
            "last day, minutes, 4 means",
            ask(means, end - day, end, Resolution.MINUTE),
            rows(flows_sql, end - day, end, 60),
        ),
        Question(
            "a day in the archive, minutes, 4 means",
            ask(means, old, old + day, Resolution.MINUTE),
            rows(flows_sql, old, old + day, 60),
        ),
        Question(
            "week, quarter-hours, 4 means",
            ask(means, end - 7 * day, end, Resolution.QUARTER_HOUR),
            rows(flows_sql, end - 7 * day, end, 900),
        ),
        Question(
            "month, energy of each day, 8 flows",
            daily(month),
            rows(sums_sql, month, end, 86_400),
            _energy_of_samples(month, end),
        ),
        Question(
            "everything, chart of least and greatest, 2 signals",
            ask(band, START, end, Resolution.QUARTER_HOUR),
            rows(band_sql, START, end, 900),
        ),
        Question(
            "everything, energy of each day, 8 flows",
            daily(START),
            rows(sums_sql, START, end, 86_400),
            _energy_of_samples(START, end),
            dashboard=True,
        ),
        Question(
            "everything, minutes, 4 means (analysis)",
            ask(means, START, end, Resolution.MINUTE),
            rows(flows_sql, START, end, 60),
            dashboard=False,
        ),
    ]


def _energy_of_samples(since: datetime, until: datetime) -> Callable[[DuckDbHistory], Any]:
    def ask(store: DuckDbHistory) -> Any:
        start, end = since.replace(tzinfo=None), until.replace(tzinfo=None)
        with store._cursor() as cursor:
            samples = store.samples_relation(cursor, SITE, since, until)
            sums = ", ".join(
                f"sum({sign}{name}) FILTER ({name} {compare} 0) * {STEP_S} / 3600.0"
                for name in FLOWS
                for sign, compare in (("", ">"), ("-", "<"))
            )
            return cursor.execute(
                f"SELECT time_bucket(INTERVAL 1 DAY, ts), {sums} FROM {samples} "
                "WHERE site_id = ? AND ts >= ? AND ts < ? GROUP BY ALL",
                [SITE, start, end],
            ).fetchall()

    return ask


def write_sqlite(path: Path, days: int) -> float:
    """Write the same rows to SQLite in transactions of a day; return the seconds it took."""
    names = list(day_columns(0))
    took = 0.0
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        columns = ", ".join(f"{name} REAL" for name in names)
        connection.execute(
            f"CREATE TABLE samples(site TEXT, ts INTEGER, {columns}, PRIMARY KEY(site, ts)) "
            "WITHOUT ROWID"
        )
        marks = ", ".join("?" * (len(names) + 2))
        for day in range(days):
            stamps = day_stamps(day).astype("datetime64[s]").astype(int).tolist()
            arrays = [
                [None if v != v else v for v in values.tolist()]  # noqa: PLR0124  # NaN
                for values in day_columns(day).values()
            ]
            began = time.perf_counter()
            connection.executemany(
                f"INSERT INTO samples VALUES ({marks})",
                zip([SITE] * ROWS_PER_DAY, stamps, *arrays, strict=True),
            )
            connection.commit()
            took += time.perf_counter() - began
    return took


def median_ms(action: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the median duration of `action` after one call that warms up."""
    action()
    durations = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        durations.append((time.perf_counter() - began) * 1000.0)
    return statistics.median(durations)


def export_memory(folder: Path, days: int) -> tuple[float, float, int]:
    """Export all samples as CSV in a process of its own.

    Returns:
        Seconds, growth of the largest memory it had over that before, in MB, and bytes of CSV.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_export, (folder, days))


def _export(folder: Path, days: int) -> tuple[float, float, int]:
    end = START + timedelta(days=days)
    with _opened(folder) as store:
        store.latest_sample(SITE)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        context = ExportContext(store, None, "Europe/Vienna", "benchmark", datetime.now(UTC))
        request = ExportRequest("samples", SITE, START, end)
        size = sum(len(chunk) for chunk in stream_export(context, request))
        seconds = time.perf_counter() - began
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return seconds, grown / 1024.0, size


@contextmanager
def _opened(folder: Path) -> Iterator[DuckDbHistory]:
    retention = Retention(minute_days=36_500, archive_months=None)
    with DuckDbHistory(folder / DATABASE_NAME, retention=retention) as store:
        yield store


def report(folder: Path, days: int, *, export: bool) -> None:
    """Print sizes and durations of the history in `folder` beside SQLite."""
    cold = sum(file.stat().st_size for file in (folder / "cold").rglob("*.parquet"))
    hot = (folder / DATABASE_NAME).stat().st_size
    sqlite_path = folder / "beside.sqlite"
    took = write_sqlite(sqlite_path, days)
    rows = days * ROWS_PER_DAY
    lite = sqlite_path.stat().st_size
    print(f"  SQLite: {rows / took:,.0f} rows/s in transactions of a day (PRIMARY KEY site, ts)")
    print(
        f"  size: history {(hot + cold) / 1e6:,.0f} MB (hot {hot / 1e6:,.0f}, archive "
        f"{cold / 1e6:,.0f}, with roll-ups), SQLite {lite / 1e6:,.0f} MB: "
        f"{lite / (hot + cold):.1f} times"
    )
    began = time.perf_counter()
    with _opened(folder) as store:
        print(f"  opening, every block read: {time.perf_counter() - began:.2f} s")
        connection = sqlite3.connect(sqlite_path)
        print(f"  {'question, ms (median of 5)':52}{'history':>9}{'samples':>9}{'SQLite':>9}")
        slow = []
        for question in questions(days):
            ours = median_ms(lambda q=question: q.history(store))
            theirs = median_ms(lambda q=question: q.sqlite(connection), 1)
            of_samples = ""
            if question.samples is not None:
                of_samples = f"{median_ms(lambda q=question: q.samples(store), 1):.1f}"
            print(f"  {question.name:52}{ours:9.1f}{of_samples:>9}{theirs:9.1f}")
            if question.dashboard and ours >= TARGET_MS:
                slow.append(question.name)
        connection.close()
    verdict = "yes" if not slow else f"NO: {'; '.join(slow)}"
    print(f"  every dashboard question under {TARGET_MS:.0f} ms: {verdict}")
    sqlite_path.unlink()
    if export:
        seconds, grown_mb, size = export_memory(folder, days)
        print(
            f"  export of all samples as CSV: {size / 1e6:,.0f} MB in {seconds:.1f} s, "
            f"memory grows by {grown_mb:.0f} MB at most"
        )


def main(days: int = DEFAULT_DAYS, folder: Path | None = None) -> None:
    """Write the data, unless `folder` holds it, and print the comparison."""
    print(f"Storage: {days} days of 2-s samples, {days * ROWS_PER_DAY:,} rows of 25 signals")
    if folder is not None:
        report(folder, days, export=True)
        return
    with tempfile.TemporaryDirectory(prefix="bench-storage-") as name:
        written = write_store(Path(name), days)
        print(
            f"  history: {written.rows / written.insert_s:,.0f} rows/s in transactions of 14,400; "
            f"roll-ups {written.rows / written.roll_up_s:,.0f} rows/s, archive "
            f"{written.rows / written.archive_s:,.0f} rows/s"
        )
        report(Path(name), days, export=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=DEFAULT_DAYS)
    parser.add_argument("--folder", type=Path, help="data written by year_data")
    given = parser.parse_args()
    main(given.days, given.folder)

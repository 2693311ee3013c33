"""How fast samples are stored: our batches beside the ways we do not use.

Run from the repository root: ``python tests/benchmarks/bench_history.py``.
All methods write the same rows into a file of the same schema on the same disk, in
one run; compare figures of one run only, since the price of an fsync varies.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.domain.records import SampleRow
from engine.domain.signals import SIGNALS, Kind
from engine.history.duckdb_store import DuckDbHistory
from engine.history.instance import InstanceSettings, open_instance
from engine.history.rows import naive_utc
from engine.history.store import Batch

START = datetime(2026, 11, 23, tzinfo=UTC)
_COLUMNS = (
    "ts",
    "site_id",
    "setpoint_kw",
    "charge_limit_kw",
    "discharge_limit_kw",
    "unusable",
    "simulated",
    *SIGNALS,
)
_INSERT = f"INSERT INTO h.samples ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


def samples(count: int) -> list[SampleRow]:
    """Return `count` samples, 2 s apart, with a value for every signal."""
    return [
        SampleRow(
            ts=START + timedelta(seconds=2 * i),
            site_id="main",
            values={
                name: float(i % 8 if signal.kind is Kind.CODE else (i * 7 % 1000) / 10)
                for name, signal in SIGNALS.items()
            },
            setpoint_kw=-40.0,
            charge_limit_kw=100.0,
            discharge_limit_kw=80.0,
            simulated=True,
        )
        for i in range(count)
    ]


def run(scale: float = 1.0) -> list[tuple[str, float]]:
    """Measure every method.

    Args:
        scale: Multiplies the number of rows per method; 1 takes a few seconds.

    Returns:
        Name of the method and rows per second, the batched writer first.
    """
    methods: tuple[tuple[str, int, Callable[[Path, list[SampleRow]], float]], ...] = (
        ("DuckDbHistory.write, 300 rows per batch", 30_000, lambda p, r: _batched(p, r, 300)),
        ("DuckDbHistory.write, 30 rows per batch", 6_000, lambda p, r: _batched(p, r, 30)),
        ("executemany, 300 rows per transaction", 1_200, _executemany),
        ("single-row INSERT, autocommit", 600, _single_rows),
    )
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-history-") as folder:
        for number, (name, rows, method) in enumerate(methods):
            data = samples(max(300, int(rows * scale)))
            seconds = method(Path(folder) / str(number) / "history.duckdb", data)
            results.append((name, len(data) / seconds))
    return results


def _batched(path: Path, rows: list[SampleRow], size: int) -> float:
    with DuckDbHistory(path) as store:
        store.write(Batch(samples=tuple(rows[:1])))
        started = time.perf_counter()
        for i in range(0, len(rows), size):
            store.write(Batch(samples=tuple(rows[i : i + size])))
        return time.perf_counter() - started


def _executemany(path: Path, rows: list[SampleRow]) -> float:
    values = [_parameters(row) for row in rows]

    def store(connection: duckdb.DuckDBPyConnection) -> None:
        for i in range(0, len(values), 300):
            connection.execute("BEGIN")
            connection.executemany(_INSERT, values[i : i + 300])
            connection.execute("COMMIT")

    return _plain(path, store)


def _single_rows(path: Path, rows: list[SampleRow]) -> float:
    values = [_parameters(row) for row in rows]

    def store(connection: duckdb.DuckDBPyConnection) -> None:
        for parameters in values:
            connection.execute(_INSERT, parameters)

    return _plain(path, store)


def _plain(path: Path, store: Callable[[duckdb.DuckDBPyConnection], None]) -> float:
    """Time `store` on a file that DuckDbHistory has created."""
    DuckDbHistory(path).close()
    connection = open_instance(path, InstanceSettings())
    try:
        started = time.perf_counter()
        store(connection)
        return time.perf_counter() - started
    finally:
        connection.close()


def _parameters(row: SampleRow) -> list[object]:
    return [
        naive_utc(row.ts),
        row.site_id,
        row.setpoint_kw,
        row.charge_limit_kw,
        row.discharge_limit_kw,
        row.unusable,
        row.simulated,
        *(row.values[name] for name in SIGNALS),
    ]


def table(results: Sequence[tuple[str, float]]) -> str:
    """Return `results` as an aligned table; the ratio is to the slowest method."""
    slowest = min(rate for _, rate in results)
    width = max(len(name) for name, _ in results)
    lines = [f"{'storing samples':<{width}}  {'rows/s':>10}  {'ratio':>7}"]
    lines += [f"{name:<{width}}  {rate:>10,.0f}  {rate / slowest:>6.1f}x" for name, rate in results]
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    print(table(run()))


if __name__ == "__main__":
    main()

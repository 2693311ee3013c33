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

from engine.domain.errors import AlreadyRunningError, HistoryError
from engine.domain.records import EventRow, LedgerRow, SampleRow
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ROWS_PER_BATCH = 30


def batch(number: int) -> Batch:
    """Return batch `number`: 30 samples, an event, and the running booking of its hour."""
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

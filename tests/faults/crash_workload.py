"""What runs while it is killed or cut off, and the proof afterwards that nothing is wrong.

Batch `n` holds twelve samples six hours after those of batch `n - 1`, so days pass quickly
and every kind of upkeep has work: roll-ups, checkpoints, the archive. Only a few signals are
left in this process: the same code then runs many more times.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from engine.domain.signals import SIGNALS

for _name in set(SIGNALS) - {"battery_kw", "grid_import_kwh", "alarm_bits", "soc_percent"}:
    del SIGNALS[_name]

# ruff: noqa: E402
# DuckDB and pyarrow import these at their first use, which would be in every victim anew.
import pandas  # noqa: F401
import pyarrow.compute
import pyarrow.pandas_compat  # noqa: F401

from engine.domain.clock import ManualClock
from engine.domain.records import EventRow, SampleRow
from engine.history.columns import Aggregate, ColumnKey, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.retention import Retention
from engine.history.store import Batch

T0 = datetime(2026, 11, 1, tzinfo=UTC)
EVERY = timedelta(hours=6)
ROWS = 12
STEP_S = 2.0
PERIOD = (T0 - timedelta(days=1), T0 + timedelta(days=3650))

RAW = ColumnKey("battery_kw")
KEYS = {
    name: ColumnKey(*key)
    for name, key in {
        "mean": ("battery_kw", Aggregate.MEAN),
        "max": ("battery_kw", Aggregate.MAX),
        "count": ("battery_kw", Aggregate.COUNT),
        "kwh": ("battery_kw", Aggregate.POSITIVE_KWH),
        "last": ("grid_import_kwh", Aggregate.MEAN),
        "covered_s": ("covered_s",),
    }.items()
}


def powers(number: int) -> list[float]:
    """Return the battery powers of batch `number`, kW; exact as FLOAT."""
    return [number + i / 16 for i in range(ROWS)]


def batch(number: int) -> Batch:
    """Return batch `number`."""
    at = T0 + number * EVERY
    word = "soc_max" if number % 3 else None
    return Batch(
        samples=tuple(
            SampleRow(
                at + timedelta(seconds=STEP_S * i),
                "main",
                {"battery_kw": power, "grid_import_kwh": float(number)},
                binding=word,
            )
            for i, power in enumerate(powers(number))
        ),
        events=(EventRow(at, "main", "info", "batch", str(number)),),
    )


def opened(path: Path, on_event: Callable[[EventRow], None] | None = None) -> DuckDbHistory:
    """Open the history with a retention that keeps the archive busy."""
    # a clock that stands still: checkpoints happen when the workload says so
    return DuckDbHistory(
        path,
        clock=ManualClock(T0),
        threads=1,
        retention=Retention(2, 36_500, None),
        checkpoint_wal_bytes=1 << 40,
        on_event=on_event,
    )


def work(store: DuckDbHistory, first: int, last: int, say: Callable[[str], None]) -> None:
    """Store batches from `first` to before `last`, with all the upkeep there is."""
    for number in range(first, last):
        now = T0 + number * EVERY + timedelta(hours=1)
        say(f"write {number}")
        store.write(batch(number))
        say(f"stored {number}")
        if number % 4 == 1:
            say("roll_up")
            store.roll_up(now)
        if number % 4 == 2:
            say("checkpoint")
            store.checkpoint()
        if number % 4 == 3:
            say("tidy")
            store.tidy(now)


def prove(store: DuckDbHistory) -> int:
    """Return how many batches are stored, after proving that all of it is as it must be.

    Raises:
        AssertionError: A batch is not whole, one is missing before the last, a sample is there
            twice, or a roll-up is not what its samples make.
    """
    found = store.columns("main", [RAW], *PERIOD, Resolution.RAW)
    count, rest = divmod(len(found), ROWS)
    assert rest == 0, f"{len(found)} samples are no whole batches"
    expected = np.array([powers(n) for n in range(count)]).reshape(count, ROWS)
    assert np.array_equal(found.values[RAW], expected.reshape(-1)), "samples differ"
    assert store.counts()["samples"] == len(found), "samples are counted twice"
    events = [e.message for e in store.events("main", *PERIOD) if e.code == "batch"]
    assert events == [str(n) for n in range(count)], "events differ"
    for resolution in (Resolution.MINUTE, Resolution.QUARTER_HOUR):
        _prove_roll_up(store, expected, resolution)
    return count


def _prove_roll_up(store: DuckDbHistory, expected: np.ndarray, resolution: Resolution) -> None:
    made = store.columns("main", list(KEYS.values()), *PERIOD, resolution, texts=["binding"])
    numbers = np.arange(len(expected))
    values = {name: made.values[key] for name, key in KEYS.items()}
    first = np.datetime64(T0.replace(tzinfo=None), "us")
    assert np.array_equal(made.ts, first + numbers * np.timedelta64(EVERY)), "intervals differ"
    wanted = {
        "mean": expected.mean(axis=1),
        "max": expected.max(axis=1),
        "count": np.full(len(expected), float(ROWS)),
        # the last sample of a batch is followed after the gap and stands for no time
        "kwh": expected[:, :-1].sum(axis=1) * STEP_S / 3600.0,
        "last": numbers.astype(float),
        "covered_s": np.full(len(expected), STEP_S * (ROWS - 1)),
    }
    for name, array in wanted.items():
        assert np.allclose(values[name], array, rtol=1e-6), f"{resolution} {name} differs"
    words = [None if n % 3 == 0 else "soc_max" for n in range(len(expected))]
    assert made.texts["binding"].tolist() == words, f"{resolution} binding differs"

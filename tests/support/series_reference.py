"""Roll-ups computed sample by sample in plain Python: what the history must agree with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.domain.records import SampleRow
from engine.domain.signals import SIGNALS, Kind
from engine.history.columns import TEXT_COLUMNS, Columns, Resolution
from engine.history.roll_up_columns import (
    DECISION_COLUMNS,
    GAP_SECONDS,
    How,
    RollUpColumn,
    roll_up_columns,
)

Row = dict[str, Any]


def reference_minutes(rows: Iterable[SampleRow]) -> dict[datetime, Row]:
    """Return start of minute to column to value; rows of one site, no instant twice."""
    return _grouped([r for _, r in sorted(_timed(rows))], 60, _of_samples)


def reference_quarter_hours(minutes: dict[datetime, Row]) -> dict[datetime, Row]:
    """Return start of quarter-hour to column to value."""
    ordered = [{**row, "ts": ts} for ts, row in sorted(minutes.items())]
    return _grouped(ordered, 900, _of_minutes)


def assert_equal(found: Columns, expected: dict[datetime, Row]) -> None:
    """Assert that `found` holds exactly the intervals and values of `expected`."""
    stamps = [datetime.fromisoformat(str(ts)).replace(tzinfo=UTC) for ts in found.ts]
    assert stamps == sorted(expected)
    assert found.resolution is not Resolution.RAW
    for i, ts in enumerate(stamps):
        row = expected[ts]
        assert bool(found.simulated[i]) is row["simulated"], (ts, "simulated")
        for text, words in found.texts.items():
            assert words[i] == row[text], (ts, text)
        for key, values in found.values.items():
            wanted = row[_column_name(key.name, key.aggregate.value)]
            got = float(values[i])
            if wanted is None:
                assert math.isnan(got), (ts, key, got)
            else:
                # stored as FLOAT: seven digits, and sums of such
                assert math.isclose(got, wanted, rel_tol=2e-6, abs_tol=2e-6), (ts, key, got, wanted)


def _column_name(name: str, aggregate: str) -> str:
    if name in roll_up_columns():
        return name
    if aggregate == "any_bit":
        return f"{name}_or"
    is_gauge = name in DECISION_COLUMNS or SIGNALS[name].kind is Kind.GAUGE
    return f"{name}_{aggregate if aggregate != 'mean' or is_gauge else 'last'}"


def _timed(rows: Iterable[SampleRow]) -> list[tuple[datetime, Row]]:
    ordered = sorted(rows, key=lambda r: r.ts)
    out = []
    for row, after in zip(ordered, [*ordered[1:], None], strict=True):
        ahead = (after.ts - row.ts).total_seconds() if after is not None else math.inf
        values: Row = {"ts": row.ts, "dt": ahead if ahead <= GAP_SECONDS else 0.0}
        for name in ("simulated", "unusable", *TEXT_COLUMNS, *DECISION_COLUMNS):
            values[name] = getattr(row, name)
        values |= {name: row.values.get(name) for name in SIGNALS}
        out.append((row.ts, values))
    return out


def _grouped(ordered: Sequence[Row], seconds: int, make: Any) -> dict[datetime, Row]:
    groups: dict[datetime, list[Row]] = defaultdict(list)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for row in ordered:
        start = epoch + (row["ts"] - epoch) // timedelta(seconds=seconds) * timedelta(
            seconds=seconds
        )
        groups[start].append(row)
    return {start: make(rows) for start, rows in groups.items()}


def _of_samples(rows: list[Row]) -> Row:
    out: Row = {
        "simulated": any(r["simulated"] for r in rows),
        "samples": len(rows),
        "covered_s": sum(r["dt"] for r in rows),
        "limited_s": sum(r["dt"] for r in rows if r["binding"] is not None),
        "unusable": max(r["unusable"] for r in rows),
    }
    for text in TEXT_COLUMNS:
        out[text] = _word([(r[text], r["dt"]) for r in rows])
    for column in roll_up_columns().values():
        if column.how is not How.TALLY:
            usable = [r for r in rows if r[column.source] is not None]
            out[column.name] = _sample_value(column, usable)
    return out


def _sample_value(column: RollUpColumn, rows: list[Row]) -> float | None:
    values = [r[column.source] for r in rows]
    if column.how is How.COUNT:
        return len(values)
    if not values:
        return None
    energies = [r[column.source] * r["dt"] / 3600.0 for r in rows]
    return float(
        {
            How.MEAN: lambda: sum(values) / len(values),
            How.MIN: lambda: min(values),
            How.MAX: lambda: max(values),
            How.FIRST: lambda: values[0],
            How.LAST: lambda: values[-1],
            How.OR: lambda: _bits(values),
            How.POSITIVE_KWH: lambda: sum(e for e in energies if e > 0),
            How.NEGATIVE_KWH: lambda: -sum(e for e in energies if e < 0),
        }[column.how]()
    )


def _of_minutes(rows: list[Row]) -> Row:
    out: Row = {
        "simulated": any(r["simulated"] for r in rows),
        "unusable": max(r["unusable"] for r in rows),
        **{name: sum(r[name] for r in rows) for name in ("samples", "covered_s", "limited_s")},
    }
    for text in TEXT_COLUMNS:
        weight = "limited_s" if text == "binding" else "covered_s"
        out[text] = _word([(r[text], r[weight]) for r in rows])
    for column in roll_up_columns().values():
        if column.how is not How.TALLY:
            out[column.name] = _minute_value(column, rows)
    return out


def _minute_value(column: RollUpColumn, rows: list[Row]) -> float | None:
    usable = [r for r in rows if r[column.name] is not None]
    values = [r[column.name] for r in usable]
    if not values:
        return None
    if column.how is How.MEAN:
        counts = [r[f"{column.source}_count"] for r in usable]
        return float(sum(v * n for v, n in zip(values, counts, strict=True)) / sum(counts))
    return float(
        {
            How.MIN: lambda: min(values),
            How.MAX: lambda: max(values),
            How.FIRST: lambda: values[0],
            How.LAST: lambda: values[-1],
            How.OR: lambda: _bits(values),
        }.get(column.how, lambda: sum(values))()
    )


def _bits(values: Iterable[float]) -> int:
    out = 0
    for value in values:
        out |= int(value)
    return out


def _word(words: list[tuple[str | None, float]]) -> str | None:
    weights: dict[str, list[float]] = defaultdict(list)
    for word, weight in words:
        if word is not None:
            weights[word].append(weight)
    if not weights:
        return None
    return min(weights, key=lambda w: (-sum(weights[w]), -len(weights[w]), w))

"""Columns of prices, load and PV from files that the project has never seen.

A file is CSV or Parquet with ``ts_utc`` (start of the interval) and one or more of the columns
below. Everything doubtful is an error that names file, row, column, value and remedy: a backtest
on guessed data would be worse than none. What is harmless is taken and said (`FileSeries.notes`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from engine.domain.errors import BacktestError
from engine.domain.plan import FloatArray
from engine.history.import_file import Problems, RawTable, read_table
from engine.history.import_numbers import parse_number
from engine.market.intervals import MAX_ABS_EUR_PER_MWH

TIME = "ts_utc"
PRICE, LOAD, PV = "price_eur_per_mwh", "load_kw", "pv_kw"

COLUMNS: dict[str, tuple[str, float]] = {
    PRICE: (PRICE, 1.0),
    "price_eur_per_kwh": (PRICE, 1000.0),
    "price_eur_mwh": (PRICE, 1.0),
    "price_at_eur_mwh": (PRICE, 1.0),
    LOAD: (LOAD, 1.0),
    "load_w": (LOAD, 0.001),
    PV: (PV, 1.0),
    "pv_w": (PV, 0.001),
}
"""Name in the file to series and the factor that brings it into EUR/MWh or kW."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FEWEST_ROWS = 2


@dataclass(frozen=True, slots=True, eq=False)
class FileSeries:
    """One series as it stands in one file.

    Attributes:
        file: Name of the file.
        column: Its column there.
        series: `PRICE`, `LOAD` or `PV`.
        seconds: Start of each row since 1970 UTC, strictly ascending, shape (n,).
        values: EUR/MWh or kW, NaN where the cell is empty, shape (n,).
        rows: Row number in the file of each, shape (n,).
        notes: What was assumed, in words.
    """

    file: str
    column: str
    series: str
    seconds: np.ndarray
    values: FloatArray
    rows: Sequence[int]
    notes: tuple[str, ...] = ()

    def where(self, index: int) -> str:
        """Return file and row of one value, for messages."""
        at = EPOCH + timedelta(seconds=int(self.seconds[index]))
        return f"{self.file}, row {self.rows[index]} ({at:%Y-%m-%d %H:%M} UTC)"


def read_file(path: Path, wanted: Iterable[str] = (PRICE, LOAD, PV)) -> list[FileSeries]:
    """Return the wanted series that a file has.

    Args:
        path: CSV or Parquet.
        wanted: Series looked for; others are ignored.

    Raises:
        EmsError: The file cannot be read, is empty, has none of the series, or a row is wrong:
            no time, times with and without offset, repeated or unordered times, no number.
    """
    table = read_table(path, separator=None, decimal=None, encoding="utf-8")
    asked = tuple(wanted)
    found = _found(table, asked)
    if len(table.rows) < _FEWEST_ROWS:
        raise BacktestError(
            f"{table.name} has a single row, so the length of its interval cannot be told.",
            field=table.name,
            hint="Give at least an hour of values.",
        )
    problems = Problems()
    seconds, notes = _times(table, problems)
    numbers = {name: _numbers(table, name, problems) for name in found.values()}
    _raise(table.name, problems)
    return [
        FileSeries(
            file=table.name,
            column=name,
            series=series,
            seconds=seconds,
            values=numbers[name] * COLUMNS[name][1],
            rows=table.rows,
            notes=notes,
        )
        for series, name in found.items()
    ]


def _found(table: RawTable, asked: tuple[str, ...]) -> dict[str, str]:
    """Return series to the name of its column."""
    known = ", ".join(name for name, (series, _) in COLUMNS.items() if series in asked)
    if TIME not in table.columns:
        raise BacktestError(
            f"{table.name} has no column {TIME}; it has {', '.join(table.columns)}.",
            field=table.name,
            value=", ".join(table.columns),
            hint=f"Name the column with the start of each interval {TIME} "
            "(UTC, or with an offset).",
        )
    found: dict[str, str] = {}
    for name in table.columns:
        series = COLUMNS.get(name, ("", 0.0))[0]
        if series not in asked:
            continue
        if series in found:
            raise BacktestError(
                f"{table.name} has the same series twice, as {found[series]} and {name}.",
                field=table.name,
                hint="Remove one of the two columns.",
            )
        found[series] = name
    if not found:
        raise BacktestError(
            f"{table.name} has none of the columns {known}; it has {', '.join(table.columns)}.",
            field=table.name,
            value=", ".join(table.columns),
            hint=f"Rename the column, for example to {asked[0]}.",
        )
    return found


def _times(table: RawTable, problems: Problems) -> tuple[np.ndarray, tuple[str, ...]]:
    out = np.zeros(len(table.rows), dtype=np.int64)
    naive_row: int | None = None
    offsets: dict[timedelta, int] = {}
    before: datetime | None = None
    for index, (value, row) in enumerate(zip(table.values[TIME], table.rows, strict=True)):
        ts = _parsed(value)
        if ts is None:
            problems.add(
                row, TIME, "" if value is None else value, "no time is read",
                "Write it like 2026-01-01T00:00Z or 2026-01-01T00:00+01:00.",
            )  # fmt: skip
            continue
        offset = ts.utcoffset()
        if offset is None:
            naive_row = row if naive_row is None else naive_row
            ts = ts.replace(tzinfo=UTC)
        else:
            offsets.setdefault(offset, row)
        ts = ts.astimezone(UTC)
        if before is not None and ts == before:
            problems.add(
                row, TIME, value, "the time is that of the row before",
                "Remove the repeated row; local times of the autumn night need their offset.",
            )  # fmt: skip
        elif before is not None and ts < before:
            problems.add(
                row, TIME, value, "the time lies before that of the row before",
                "Sort the rows by time.",
            )  # fmt: skip
        before = ts if before is None else max(before, ts)
        if ts.second or ts.microsecond:
            problems.add(
                row, TIME, value, "the time is not on a full minute",
                "Round it to the start of its interval.",
            )  # fmt: skip
        out[index] = round((ts - EPOCH).total_seconds())
    _one_zone(naive_row, offsets, problems)
    notes = () if naive_row is None else (f"Times of {table.name} have no offset: taken as UTC.",)
    return out, notes


def _one_zone(naive_row: int | None, offsets: dict[timedelta, int], problems: Problems) -> None:
    """Note times of several zones: with and without offset, or offsets no clock change explains."""
    if naive_row is not None and offsets:
        offset, row = next(iter(offsets.items()))
        problems.add(
            max(naive_row, row), TIME, "", f"time zones are mixed: row {naive_row} has no offset, "
            f"row {row} has {_shown(offset)}",
            "Write every time with its offset, or all in UTC without one.",
        )  # fmt: skip
    if offsets and max(offsets) - min(offsets) > timedelta(hours=1):
        first, last = min(offsets), max(offsets)
        problems.add(
            max(offsets[first], offsets[last]), TIME, "",
            f"time zones are mixed: row {offsets[first]} has the offset {_shown(first)}, "
            f"row {offsets[last]} has {_shown(last)}",
            "Write all times in one zone; summer and winter time differ by one hour.",
        )  # fmt: skip


def _shown(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _numbers(table: RawTable, column: str, problems: Problems) -> FloatArray:
    series, factor = COLUMNS[column]
    out = np.full(len(table.rows), math.nan)
    for index, (value, row) in enumerate(zip(table.values[column], table.rows, strict=True)):
        try:
            number = parse_number(value, table.decimal)
        except ValueError:
            problems.add(row, column, value, "no number is read", "Write it like 12.5.")
            continue
        if number is None:
            continue
        wrong = _wrong(series, number * factor)
        if wrong is not None:
            problems.add(row, column, value, *wrong)
        out[index] = number
    return out


def _wrong(series: str, value: float) -> tuple[str, str] | None:
    if series == PRICE:
        if abs(value) > MAX_ABS_EUR_PER_MWH:
            return (
                f"no price is beyond {MAX_ABS_EUR_PER_MWH:g} EUR/MWh",
                "Check the unit of the column.",
            )
    elif value < -1e-6:
        name = "load" if series == LOAD else "PV power"
        return f"{name} is never negative", "Check the sign of the column; load and PV are >= 0."
    return None


def _parsed(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        return None


def _raise(name: str, problems: Problems) -> None:
    if not problems.count:
        return
    count = "a problem" if problems.count == 1 else f"{problems.count} problems"
    raise BacktestError(
        f"{name} has {count}; nothing was calculated.\n  " + problems.lines(),
        field=name,
        value=name,
    )

"""From a file to series: values in our units at UTC times, every doubt named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from engine.history.import_file import ImportRefusedError, Problems, RawTable
from engine.history.import_mapping import JOIN, PERCENT, PRICE, TIME, ColumnMap
from engine.history.import_numbers import parse_number
from engine.history.import_times import Ambiguous, Nonexistent, parse_times
from engine.history.query_errors import QueryError

STEPS_MINUTES = (1, 5, 10, 15, 20, 30, 60)
"""Lengths of intervals that are taken."""

_LARGEST_KW = 1e6
_LARGEST_EUR_PER_KWH = 4.0
"""Harmonised limit of the European day-ahead market, 4,000 EUR/MWh; see market.intervals."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is to be understood.

    Attributes:
        zone: Zone of times without an offset.
        ambiguous: What local times mean that come twice.
        nonexistent: What local times mean that do not exist.
        stamp_is_end: A time names the end of its interval, not its start.
        now: The time, UTC; later values are refused.
    """

    zone: ZoneInfo
    ambiguous: Ambiguous = Ambiguous.INFER
    nonexistent: Nonexistent = Nonexistent.REFUSE
    stamp_is_end: bool = False
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImportedSeries:
    """What a file holds.

    Attributes:
        step: Length of the intervals.
        values: Start of each interval, UTC, ascending, to target and value; a target without a
            value is absent.
        mapping: Which column is which series.
        rows: Rows of the file.
        empty_rows: Rows without any value.
        duplicates: Rows that repeat another one exactly.
        sorted_rows: The rows were not in order and were sorted.
        missing: Intervals between the first and the last that the file lacks.
    """

    step: timedelta
    values: dict[datetime, dict[str, float]]
    mapping: tuple[ColumnMap, ...]
    rows: int
    empty_rows: int
    duplicates: int
    sorted_rows: bool
    missing: int
    notes: tuple[str, ...] = field(default=())

    @property
    def targets(self) -> tuple[str, ...]:
        """Series it holds."""
        return tuple(m.target for m in self.mapping if m.target != TIME)


def read_series(
    table: RawTable, mapping: Sequence[ColumnMap], options: ImportOptions
) -> ImportedSeries:
    """Return the series of a file, all of it checked.

    Raises:
        ImportRefusedError: Something is wrong; the first 20 places are named.
        QueryError: The length of the intervals cannot be told.
    """
    problems = Problems()
    time_map = next(m for m in mapping if m.target == TIME)
    value_maps = [m for m in mapping if m.target != TIME]
    times = parse_times(
        _stamp_texts(table, time_map.column),
        table.rows,
        time_map.column,
        problems,
        zone=options.zone,
        ambiguous=options.ambiguous,
        nonexistent=options.nonexistent,
    )
    numbers = {m.target: _numbers(table.values[m.column], table, m, problems) for m in value_maps}
    if problems.count:
        raise ImportRefusedError(table.name, problems)
    stamps = [ts for ts in times if ts is not None]
    step = _step(stamps, table.name)
    if options.stamp_is_end:
        stamps = [ts - step for ts in stamps]
    _check_grid(stamps, table, time_map, step, problems)
    _check_past(stamps, table, time_map, options.now, problems)
    values, empty, duplicates = _merged(stamps, numbers, table, value_maps, problems)
    _scale(values, value_maps, step)
    _check_values(values, stamps, table, value_maps, problems)
    if problems.count:
        raise ImportRefusedError(table.name, problems)
    ordered = dict(sorted(values.items()))
    first, last = min(stamps), max(stamps)
    return ImportedSeries(
        step=step,
        values=ordered,
        mapping=tuple(mapping),
        rows=len(stamps),
        empty_rows=empty,
        duplicates=duplicates,
        sorted_rows=any(b < a for a, b in pairwise(stamps)),
        missing=(last - first) // step + 1 - len(set(stamps)),
    )


def _stamp_texts(table: RawTable, column: str) -> Sequence[Any]:
    """Return the times of a column, or of a column of days and one of times of day."""
    if column in table.values:
        return table.values[column]
    parts = [table.values[name] for name in column.split(JOIN)]
    return [
        " ".join(str(part) for part in row if part is not None) for row in zip(*parts, strict=True)
    ]


def _numbers(
    values: Sequence[Any], table: RawTable, column: ColumnMap, problems: Problems
) -> list[float | None]:
    out: list[float | None] = []
    for value, row in zip(values, table.rows, strict=True):
        try:
            out.append(parse_number(value, table.decimal))
        except ValueError:
            other = "," if table.decimal == "." else "."
            hint = "Correct it, or leave the cell empty for a gap."
            if isinstance(value, str) and other in value:
                hint = (
                    f"The decimal mark is taken to be '{table.decimal}'; give --decimal '{other}'."
                )
            problems.add(row, column.column, value, "no number is read", hint)
            out.append(None)
    return out


def _step(stamps: Sequence[datetime], name: str) -> timedelta:
    """Return the usual distance of neighbouring times."""
    ordered = sorted(set(stamps))
    gaps = Counter(b - a for a, b in pairwise(ordered))
    usual = gaps.most_common(1)[0][0] if gaps else None
    known = {timedelta(minutes=m) for m in STEPS_MINUTES}
    if usual not in known:
        raise QueryError(
            f"The rows of {name} are usually {usual} apart."
            if usual is not None
            else f"{name} has a single time, so the length of its interval cannot be told.",
            field="file",
            value=name,
            hint=f"Give values every {', '.join(map(str, STEPS_MINUTES))} minutes.",
        )
    return usual if usual is not None else timedelta(0)


def _check_grid(
    stamps: Sequence[datetime],
    table: RawTable,
    time: ColumnMap,
    step: timedelta,
    problems: Problems,
) -> None:
    seconds = int(step.total_seconds())
    for ts, row in zip(stamps, table.rows, strict=True):
        if ts.microsecond or int(ts.timestamp()) % seconds:
            problems.add(
                row, time.column, ts.isoformat(),
                f"the time is not on a full step of {seconds // 60} min (in UTC)",
                "Correct the time, or check --timezone.",
            )  # fmt: skip


def _check_past(
    stamps: Sequence[datetime],
    table: RawTable,
    time: ColumnMap,
    now: datetime | None,
    problems: Problems,
) -> None:
    if now is None:
        return
    for ts, row in zip(stamps, table.rows, strict=True):
        if ts > now:
            problems.add(
                row, time.column, ts.isoformat(), "the time lies in the future",
                "Check --timezone and the order of day and month.",
            )  # fmt: skip


def _merged(
    stamps: Sequence[datetime],
    numbers: dict[str, list[float | None]],
    table: RawTable,
    maps: Sequence[ColumnMap],
    problems: Problems,
) -> tuple[dict[datetime, dict[str, float]], int, int]:
    """Return values per time, and the numbers of empty and of repeated rows."""
    values: dict[datetime, dict[str, float]] = {}
    first_row: dict[datetime, int] = {}
    empty = duplicates = 0
    for index, (ts, row) in enumerate(zip(stamps, table.rows, strict=True)):
        got = {m.target: number for m in maps if (number := numbers[m.target][index]) is not None}
        if ts in first_row:
            if values.get(ts, {}) == got:
                duplicates += 1
            else:
                problems.add(
                    row, None, ts.isoformat(),
                    f"the time is that of row {first_row[ts]}, with other values",
                    "Remove one of the two; local times need --ambiguous when the clock changes.",
                )  # fmt: skip
            continue
        first_row[ts] = row
        if got:
            values[ts] = got
        else:
            empty += 1
    return values, empty, duplicates


def _scale(
    values: dict[datetime, dict[str, float]], maps: Sequence[ColumnMap], step: timedelta
) -> None:
    hours = step / timedelta(hours=1)
    factors = {m.target: m.factor / hours if m.is_energy else m.factor for m in maps}
    for row in values.values():
        for target in row:
            row[target] *= factors[target]


def _check_values(
    values: dict[datetime, dict[str, float]],
    stamps: Sequence[datetime],
    table: RawTable,
    maps: Sequence[ColumnMap],
    problems: Problems,
) -> None:
    columns = {m.target: m for m in maps}
    for ts, row in dict(zip(stamps, table.rows, strict=True)).items():
        for target, value in values.get(ts, {}).items():
            wrong = _wrong_value(target, value)
            if wrong is not None:
                column = columns[target]
                problems.add(
                    row, column.column, f"{value:g}", wrong,
                    f"Check the unit ({column.unit}) and the sign; "
                    f"a minus before the unit turns it around: {column.column}={target}:-UNIT.",
                )  # fmt: skip


def _wrong_value(target: str, value: float) -> str | None:
    if target == PRICE:
        if abs(value) > _LARGEST_EUR_PER_KWH:
            return "no price is beyond 4,000 EUR/MWh"
    elif target == PERCENT:
        if not 0.0 <= value <= 100.0:
            return "a state of charge lies between 0 and 100 %"
    elif target in ("load_kw", "pv_kw") and value < -1e-6:
        return f"{target} is never negative"
    elif abs(value) > _LARGEST_KW:
        return "no site has more than a gigawatt"
    return None

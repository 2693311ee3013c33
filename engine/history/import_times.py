"""Times of an import: many forms, with offset or in local time, whose clock changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from engine.history.import_file import Problems


class Ambiguous(StrEnum):
    """What a local time means that comes twice when the clock is put back.

    INFER goes by the order of the rows: the first pass is summer time, the second winter time.
    """

    INFER = "infer"
    FIRST = "first"
    SECOND = "second"
    REFUSE = "refuse"


class Nonexistent(StrEnum):
    """What a local time means that is skipped when the clock is put forward."""

    REFUSE = "refuse"
    SHIFT = "shift"


_GERMAN = re.compile(
    r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?$"
)
_SECONDS = re.compile(r"\d{9,10}(\.\d+)?$")
_MILLISECONDS = re.compile(r"\d{12,13}$")
_EARLIEST, _LATEST = 1990, 2200
_HINT = "Write it like 2026-11-25T14:00+01:00, 2026-11-25 14:00 or 25.11.2026 14:00."


def parse_times(
    values: Sequence[Any],
    rows: Sequence[int],
    column: str,
    problems: Problems,
    *,
    zone: ZoneInfo,
    ambiguous: Ambiguous,
    nonexistent: Nonexistent,
) -> list[datetime | None]:
    """Return times as UTC, None where something is wrong with them, which is noted.

    Args:
        values: Texts, or times of Parquet.
        rows: Row number of each.
        column: Name of the column.
        problems: Takes what is wrong.
        zone: Zone of times without an offset.
        ambiguous: What local times mean that come twice.
        nonexistent: What local times mean that do not exist.
    """
    found = [_parsed(value) for value in values]
    naive = [ts if ts is not None and ts.tzinfo is None else None for ts in found]
    second = _second_passes(naive, zone)
    out: list[datetime | None] = []
    for value, ts, row, is_second in zip(values, found, rows, second, strict=True):
        if ts is None or not _EARLIEST <= ts.year < _LATEST:
            problems.add(row, column, "" if value is None else value, "no time is read", _HINT)
            out.append(None)
        elif ts.tzinfo is not None:
            out.append(ts.astimezone(UTC))
        else:
            out.append(
                _local(
                    ts, row, column, problems,
                    zone=zone, ambiguous=ambiguous, nonexistent=nonexistent, second=is_second,
                )
            )  # fmt: skip
    return out


def _local(
    ts: datetime,
    row: int,
    column: str,
    problems: Problems,
    *,
    zone: ZoneInfo,
    ambiguous: Ambiguous,
    nonexistent: Nonexistent,
    second: bool | None,
) -> datetime | None:
    kind = _kind(ts, zone)
    if kind == 0:
        return ts.replace(tzinfo=zone).astimezone(UTC)
    if kind < 0:
        if nonexistent is Nonexistent.SHIFT:
            return ts.replace(tzinfo=zone, fold=0).astimezone(UTC)
        problems.add(
            row, column, ts.isoformat(" "),
            f"this time does not exist in {zone.key}: the clock is put forward over it",
            "Check --timezone (is it UTC or winter time all year?), or give --nonexistent shift.",
        )  # fmt: skip
        return None
    if ambiguous is Ambiguous.INFER and second is not None:
        return ts.replace(tzinfo=zone, fold=int(second)).astimezone(UTC)
    if ambiguous in (Ambiguous.FIRST, Ambiguous.SECOND):
        fold = int(ambiguous is Ambiguous.SECOND)
        return ts.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    problems.add(
        row, column, ts.isoformat(" "),
        f"this time comes twice in {zone.key}: the clock is put back over it",
        "Write times with their offset, or give --ambiguous first or second.",
    )  # fmt: skip
    return None


def _kind(ts: datetime, zone: ZoneInfo) -> int:
    """Return 1 for a local time that comes twice, -1 for one that is skipped, else 0."""
    before = ts.replace(tzinfo=zone, fold=0).utcoffset() or timedelta(0)
    after = ts.replace(tzinfo=zone, fold=1).utcoffset() or timedelta(0)
    return (before > after) - (before < after)


def _second_passes(naive: Sequence[datetime | None], zone: ZoneInfo) -> list[bool | None]:
    """Return for each ambiguous time whether it is of the second pass; None: cannot be told.

    It can be told when the times of that hour run through twice, one pass after the other.
    """
    out: list[bool | None] = [None] * len(naive)
    by_day: dict[date, list[int]] = {}
    for index, ts in enumerate(naive):
        if ts is not None and _kind(ts, zone) > 0:
            by_day.setdefault(ts.date(), []).append(index)
    for indices in by_day.values():
        turns = [
            k
            for k in range(1, len(indices))
            if _at(naive, indices[k]) <= _at(naive, indices[k - 1])
        ]
        if len(turns) == 1:
            for k, index in enumerate(indices):
                out[index] = k >= turns[0]
    return out


def _at(naive: Sequence[datetime | None], index: int) -> datetime:
    ts = naive[index]
    if ts is None:
        raise ValueError("only times that were read are asked for")
    return ts


def _parsed(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    german = _GERMAN.match(value)
    try:
        if german:
            day, month, year, hour, minute, second = (int(part or 0) for part in german.groups())
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
        if _SECONDS.match(value):
            return datetime.fromtimestamp(float(value), UTC)
        if _MILLISECONDS.match(value):
            return datetime.fromtimestamp(int(value) / 1000.0, UTC)
        return datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return None

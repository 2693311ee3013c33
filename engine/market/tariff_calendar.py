"""Local time of consecutive quarter-hours, fast enough for a year at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP, STEP_S

_PER_DAY = 96
_THURSDAY = 3
"""Weekday of 1970-01-01, Monday being 0."""

_MONTHS = 12

Cells = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, eq=False)
class LocalSteps:
    """Where consecutive quarter-hours stand in the local calendar.

    Attributes:
        first: Number of the first quarter-hour since 1970-01-01 00:00 UTC.
        month: January = 0, shape (n,).
        weekday: Monday = 0, shape (n,).
        slot: Quarter-hour of the local day by the wall clock, 0..95, shape (n,). An hour that a
            clock change repeats has the same slots twice; one that it skips has none.
    """

    first: int
    month: NDArray[np.int64]
    weekday: NDArray[np.int64]
    slot: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def cells(self) -> Cells:
        """Index of each step into a table of month, weekday and slot."""
        return self.month, self.weekday, self.slot

    def part(self, begin: int, end: int) -> LocalSteps:
        """Return steps ``[begin, end)`` of these."""
        cut = slice(begin, end)
        return LocalSteps(self.first + begin, self.month[cut], self.weekday[cut], self.slot[cut])


def step_number(ts: datetime) -> int:
    """Return the number of the quarter-hour that contains the aware instant `ts`.

    Raises:
        ValueError: When `ts` has no time zone.
    """
    if ts.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return int(ts.timestamp() // STEP_S)


def step_time(number: int) -> datetime:
    """Return the start of a quarter-hour, UTC; the inverse of `step_number`."""
    return datetime.fromtimestamp(number * STEP_S, UTC)


def first_step(start: datetime) -> int:
    """Return the number of the quarter-hour that starts at `start`.

    Raises:
        ValueError: When `start` has no time zone or is not the start of a quarter-hour.
    """
    number = step_number(start)
    if step_time(number) != start:
        raise ValueError(f"{start.isoformat()} is not the start of a quarter-hour")
    return number


def local_steps(start: datetime, n: int, zone: ZoneInfo) -> LocalSteps:
    """Return the local calendar of `n` quarter-hours from `start`.

    Args:
        start: Start of a quarter-hour, aware.
        n: Number of steps.
        zone: Local time zone.

    Raises:
        ValueError: When `start` is not the start of a quarter-hour.
    """
    first = first_step(start)
    numbers = np.arange(first, first + n, dtype=np.int64)
    local = numbers + _offsets(first, n, zone)
    days, slot = np.divmod(local, _PER_DAY)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % _MONTHS
    return LocalSteps(first, month, (days + _THURSDAY) % 7, slot)


def hourly_means(first: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each step's mean over its clock hour; its own value where the hour is incomplete.

    Args:
        first: Number of the first quarter-hour.
        values: Value per quarter-hour, NaN where unknown, shape (n,).

    Returns:
        Means, shape (n,); NaN where `values` is NaN.
    """
    before = first % 4
    after = -(before + len(values)) % 4
    hours = np.pad(values, (before, after), constant_values=np.nan).reshape(-1, 4)
    # Summed in pairs, so that four equal prices have exactly that price as their mean.
    means = ((hours[:, 0] + hours[:, 1]) + (hours[:, 2] + hours[:, 3])) / 4.0
    per_step = np.repeat(means, 4)[before : before + len(values)]
    return np.where(np.isnan(per_step), values, per_step)


def _offsets(first: int, n: int, zone: ZoneInfo) -> NDArray[np.int64]:
    """Return local time minus UTC in quarter-hours, shape (n,).

    Asking the zone for every step would dominate a year's pricing; a stretch of a day between
    two equal offsets has no clock change in it.
    """
    out = np.empty(n, dtype=np.int64)
    for begin in range(0, n, _PER_DAY):
        end = min(begin + _PER_DAY, n)
        offset = _offset(first + begin, zone)
        if _offset(first + end, zone) == offset:
            out[begin:end] = offset
        else:
            out[begin:end] = [_offset(first + i, zone) for i in range(begin, end)]
    return out


def _offset(number: int, zone: ZoneInfo) -> int:
    offset = step_time(number).astimezone(zone).utcoffset()
    return offset // STEP if offset is not None else 0

"""The past as a table: one row per local day, one column per quarter-hour of wall time.

Most of what repeats at a site repeats by the wall clock, so every model works on rows of 96
values. The hour that a 23-hour day skips is interpolated, the hour that a 25-hour day repeats
is averaged, and forecasts are read out of the table by the wall time of each UTC step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.forecasting.calendar import DayType, HolidayCalendar

QUARTERS = 96

COMPLETE_SHARE = 0.9
"""Share of a day's quarter-hours that must be known for the day to count."""

LONGEST_INTERPOLATION = 8
"""Quarter-hours of a gap that are interpolated; a longer one takes a similar day's values."""

SIMILAR_DAYS_BACK = 21
"""How far back a day is searched that fills a long gap."""

KIND_CODES = {DayType.WORKDAY: 0, DayType.SATURDAY: 1, DayType.SUNDAY: 2, DayType.ANY: 0}

IntArray = NDArray[np.int64]


def locate(start: datetime, n: int, zone: ZoneInfo, first_day: date) -> tuple[IntArray, IntArray]:
    """Return row and column of `n` steps from `start` in a table that begins at `first_day`."""
    utc = pd.date_range(start.astimezone(UTC), periods=n, freq="15min")
    local = utc.tz_convert(zone)
    naive = local.tz_localize(None).to_numpy().astype("datetime64[m]")
    days = naive.astype("datetime64[D]")
    rows = (days - np.datetime64(first_day, "D")).astype(np.int64)
    slots = (naive - days.astype("datetime64[m]")).astype(np.int64) // 15
    return rows, slots


@dataclass(frozen=True, slots=True, eq=False)
class DayTable:
    """Days of one series; n rows, of which those before `origin` are past and complete in time.

    Attributes:
        first_day: Local date of row 0.
        raw: What is known, NaN elsewhere; shape (n, 96).
        values: `raw` with gaps of past days filled by rule (`filled`), NaN where no rule helps;
            rows from `origin` on as in `raw`.
        kinds: Code of the kind of each day, see `KIND_CODES`; shape (n,).
        weekdays: 0 for Monday; shape (n,).
        year_angles: Season, 0..2 pi; shape (n,).
        origin: First row to be forecast.
    """

    first_day: date
    raw: FloatArray
    values: FloatArray
    kinds: IntArray
    weekdays: IntArray
    year_angles: FloatArray
    origin: int

    @property
    def n_rows(self) -> int:
        """Number of days."""
        return len(self.raw)

    def day(self, row: int) -> date:
        """Return the local date of a row."""
        return self.first_day + timedelta(days=row)

    def row(self, day: date) -> int:
        """Return the row of a local date; may lie outside the table."""
        return (day - self.first_day).days

    def complete(self) -> NDArray[np.bool_]:
        """Return which days are known well enough to learn from; shape (n,)."""
        return np.asarray(np.isfinite(self.raw).mean(axis=1) >= COMPLETE_SHARE)

    def complete_days(self, before: int) -> int:
        """Return the number of complete days before a row."""
        return int(self.complete()[: max(before, 0)].sum())

    def same_kind_before(self) -> IntArray:
        """Return for each row the last earlier row of its kind, -1 when there is none."""
        out = np.full(self.n_rows, -1, dtype=np.int64)
        last: dict[int, int] = {}
        for row, kind in enumerate(self.kinds.tolist()):
            out[row] = last.get(kind, -1)
            last[kind] = row
        return out

    def with_row(self, row: int, values: FloatArray) -> DayTable:
        """Return the table with one row replaced, for example by its forecast."""
        copy = self.values.copy()
        copy[row] = values
        return replace(self, values=copy)


def make_table(
    first_day: date,
    raw: FloatArray,
    origin: int,
    calendar: HolidayCalendar,
    *,
    by_weekday: bool = True,
) -> DayTable:
    """Return the table of `raw` days (n, 96) with calendar columns and gaps filled."""
    days = [first_day + timedelta(days=i) for i in range(len(raw))]
    kinds = np.array(
        [KIND_CODES[calendar.kind(d, by_weekday=by_weekday)] for d in days], dtype=np.int64
    )
    angles = np.array([2.0 * np.pi * d.timetuple().tm_yday / 365.25 for d in days])
    return DayTable(
        first_day=first_day,
        raw=raw,
        values=filled(raw, kinds, origin),
        kinds=kinds,
        weekdays=np.array([d.weekday() for d in days], dtype=np.int64),
        year_angles=angles,
        origin=origin,
    )


def rows_from_steps(
    start: datetime, values: FloatArray, zone: ZoneInfo, first_day: date, n_rows: int
) -> FloatArray:
    """Return steps from `start` as days of 96 quarter-hours, NaN where nothing is known."""
    rows, slots = locate(start, len(values), zone, first_day)
    use = np.isfinite(values) & (rows >= 0) & (rows < n_rows)
    total, count = np.zeros((n_rows, QUARTERS)), np.zeros((n_rows, QUARTERS))
    np.add.at(total, (rows[use], slots[use]), values[use])
    np.add.at(count, (rows[use], slots[use]), 1.0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1.0), np.nan))


def filled(raw: FloatArray, kinds: IntArray, origin: int) -> FloatArray:
    """Return `raw` with the gaps of the days before `origin` filled, looking only back.

    A gap of up to two hours is interpolated; of a longer one each quarter-hour takes the value
    of the last earlier day of the same kind within three weeks. What has none stays NaN: a
    model that needs it drops the day or refuses.
    """
    out = raw.copy()
    if origin <= 0:
        return out
    flat = out[:origin].reshape(-1)
    _interpolate_short_gaps(flat)
    for row in np.flatnonzero(~np.isfinite(out[:origin]).all(axis=1)).tolist():
        for earlier in range(row - 1, max(-1, row - 1 - SIMILAR_DAYS_BACK), -1):
            missing = ~np.isfinite(out[row])
            if not missing.any():
                break
            if kinds[earlier] == kinds[row]:
                out[row, missing] = out[earlier, missing]
    return out


def _interpolate_short_gaps(flat: FloatArray) -> None:
    known = np.isfinite(flat)
    if known.all() or not known.any():
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]]).astype(np.int8)))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if end - first <= LONGEST_INTERPOLATION and first > 0 and end < flat.size:
            flat[first:end] = np.interp(
                np.arange(first, end), [first - 1, end], [flat[first - 1], flat[end]]
            )


class StepGrid:
    """Steps from a start with their place (row, slot) in a table that begins at `first_day`."""

    def __init__(self, start: datetime, n: int, zone: ZoneInfo, first_day: date) -> None:
        self.start, self.n = start, n
        self.rows, self.slots = locate(start, n, zone, first_day)

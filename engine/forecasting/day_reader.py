"""Reads a series into a `DayTable`; long pasts are read once, then only what is new."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.domain.forecast import FloatArray
from engine.domain.local_days import local_midnight
from engine.domain.quarter_hour import STEP, quarter_start
from engine.forecasting.base import QuarterHourHistory
from engine.forecasting.calendar import HolidayCalendar
from engine.forecasting.day_table import QUARTERS, DayTable, make_table, rows_from_steps

_READ_AGAIN_DAYS = 14
"""Days read anew each time: values that arrive late still count."""

_CHUNK_DAYS = 120
"""Days read at once going back; the first empty chunk ends the history."""


class DayReader:
    """One series by local days.

    Args:
        history: Where the past is.
        signal: Which series.
        zone: Local time.
        calendar: Public holidays.
        published_ahead: Ask for today's rest and tomorrow too, and let the origin be the
            first day not fully published.
        by_weekday: Tell kinds of day apart.
    """

    def __init__(
        self,
        history: QuarterHourHistory,
        signal: str,
        zone: ZoneInfo,
        calendar: HolidayCalendar,
        *,
        published_ahead: bool,
        by_weekday: bool,
    ) -> None:
        self._history = history
        self._signal = signal
        self._zone = zone
        self._calendar = calendar
        self._published_ahead = published_ahead
        self._by_weekday = by_weekday
        self._kept: dict[date, FloatArray] = {}

    def read(
        self, now: datetime, days: int, *, until: date | None = None, keep: bool = False
    ) -> DayTable:
        """Return the last `days` local days, today, and rows up to `until`.

        Args:
            now: Nothing measured at or after its quarter-hour is looked at.
            days: Past days wanted; fewer when history begins later.
            until: Last local day the table needs a row for.
            keep: Remember the days read, for the next long read.
        """
        today = now.astimezone(self._zone).date()
        end_day = today + timedelta(days=1)
        end = quarter_start(now)
        if self._published_ahead:
            end_day = today + timedelta(days=3)
            end = local_midnight(end_day, self._zone)
        recent_first = today - timedelta(days=min(days, _READ_AGAIN_DAYS if keep else days))
        blocks = [self._days(recent_first, end_day, end)]
        first = recent_first
        wanted = today - timedelta(days=days)
        while first > wanted:
            earlier = max(wanted, first - timedelta(days=_CHUNK_DAYS))
            block = self._remembered(earlier, first)
            if not np.isfinite(block).any():
                break
            blocks.insert(0, block)
            first = earlier
        raw = np.vstack(blocks)
        if until is not None and until >= end_day:
            raw = np.vstack([raw, np.full(((until - end_day).days + 1, QUARTERS), np.nan)])
        if keep:
            self._kept = {
                first + timedelta(days=i): raw[i]
                for i in range((today - first).days)
                if np.isfinite(raw[i]).sum() >= QUARTERS - 4
            }
        origin = self._origin(raw, (today - first).days)
        return make_table(first, raw, origin, self._calendar, by_weekday=self._by_weekday)

    def _origin(self, raw: FloatArray, today_row: int) -> int:
        if not self._published_ahead:
            return today_row
        # The first day not fully published; the hour a clock change skips is not missing.
        complete = np.flatnonzero(np.isfinite(raw).sum(axis=1) >= QUARTERS - 4)
        return int(complete[-1]) + 1 if complete.size else today_row

    def _remembered(self, first: date, end: date) -> FloatArray:
        days = [first + timedelta(days=i) for i in range((end - first).days)]
        unknown = [day for day in days if day not in self._kept]
        if unknown:
            # Days with gaps and those before history began are asked for again: values may
            # have been imported since.
            low, high = unknown[0], unknown[-1] + timedelta(days=1)
            block = self._days(low, high, local_midnight(high, self._zone))
            read = {low + timedelta(days=i): row for i, row in enumerate(block)}
            return np.vstack([self._kept[d] if d in self._kept else read[d] for d in days])
        return np.vstack([self._kept[day] for day in days])

    def _days(self, first: date, end_day: date, end: datetime) -> FloatArray:
        start = local_midnight(first, self._zone)
        n_rows = (end_day - first).days
        if end <= start:
            return np.full((n_rows, QUARTERS), np.nan)
        values = self._history.means(self._signal, start, end)
        assert len(values) == (end - start) // STEP
        return rows_from_steps(start, values, self._zone, first, n_rows)

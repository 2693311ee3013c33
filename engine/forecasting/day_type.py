"""Forecast by the median of the last days of the same kind."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import ForecastError
from engine.domain.quarter_hour import STEP, quarter_start
from engine.forecasting.base import Forecast, QuarterHourHistory
from engine.forecasting.intraday import STEPS_LOOKED_BACK, decaying_offset

_QUARTERS = 96


class DayType(StrEnum):
    """Kinds of day that repeat."""

    WORKDAY = "workday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"
    ANY = "any"


def day_type(day: date, *, by_weekday: bool) -> DayType:
    """Return the kind of a local calendar day."""
    if not by_weekday:
        return DayType.ANY
    return {5: DayType.SATURDAY, 6: DayType.SUNDAY}.get(day.weekday(), DayType.WORKDAY)


class DayTypeMedian:
    """Median of the last similar days per quarter-hour of local time, corrected intraday.

    The cold-start default of notes/forecasting 4.3 and 4.4 for load (by weekday); for PV
    without weather every day is of the same kind and the mean of fewer days is used.

    Args:
        history: Past 15-min means.
        signal: Series to predict, for example ``"load_kw"``.
        zone: Local time that rules the day pattern.
        days: Similar days looked at.
        by_weekday: Tell workdays, Saturdays and Sundays apart.
        tau_hours: Time constant of the intraday correction.
        scaling: Correct by ratio (PV: clouds scale the sun) instead of by difference.
        lookback_days: How far back similar days are searched.
    """

    def __init__(
        self,
        history: QuarterHourHistory,
        signal: str,
        zone: ZoneInfo,
        *,
        days: int = 4,
        by_weekday: bool = True,
        tau_hours: float = 2.0,
        scaling: bool = False,
        lookback_days: int = 28,
    ) -> None:
        self.key = "day_type"
        self.signal = signal
        self._history = history
        self._signal = signal
        self._zone = zone
        self._days = days
        self._by_weekday = by_weekday
        self._tau_hours = tau_hours
        self._scaling = scaling
        self._lookback_days = lookback_days

    def fit(self, now: datetime) -> None:
        """Nothing is learnt ahead of a prediction."""

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` (see `Forecaster.predict`)."""
        today = now.astimezone(self._zone).date()
        first = self._midnight(today - timedelta(days=self._lookback_days))
        current = quarter_start(now)
        past = self._history.means(self._signal, first, current)
        by_day = self._by_local_day(first, past)
        profiles: dict[DayType, NDArray[np.float64]] = {}
        steps_back = [current - (STEPS_LOOKED_BACK - i) * STEP for i in range(STEPS_LOOKED_BACK)]
        ahead = [start + i * STEP for i in range(n)]
        expected = np.array(
            [self._profile_value(ts, today, by_day, profiles) for ts in [*steps_back, *ahead]]
        )
        if not np.isfinite(expected[STEPS_LOOKED_BACK:]).all():
            raise ForecastError(
                f"There is not enough history to forecast {self._signal}.",
                field=self._signal,
                hint="At least one complete past day of the same kind is needed.",
            )
        seen, base = expected[:STEPS_LOOKED_BACK], expected[STEPS_LOOKED_BACK:]
        recent = past[-STEPS_LOOKED_BACK:]
        if self._scaling:
            values = base * _decaying_ratio(recent, seen, n, self._tau_hours)
        else:
            values = base + decaying_offset(recent, seen, n, self._tau_hours)
        kind = "median of similar days" if self._by_weekday else "mean of recent days"
        p50 = np.maximum(values, 0.0)
        return Forecast(
            signal=self._signal,
            start=start,
            p10=p50,
            p50=p50,
            p90=p50,
            issued_at=now,
            model=self.key,
            method=f"{kind} ({self._days}), last hour ({self._history.label})",
        )

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(0), self._zone).astimezone(UTC)

    def _by_local_day(
        self, first: datetime, past: NDArray[np.float64]
    ) -> dict[date, NDArray[np.float64]]:
        days: dict[date, NDArray[np.float64]] = {}
        for i, value in enumerate(past):
            local = (first + i * STEP).astimezone(self._zone)
            day = days.setdefault(local.date(), np.full(_QUARTERS, np.nan))
            day[local.hour * 4 + local.minute // 15] = value
        return days

    def _profile_value(
        self,
        ts: datetime,
        today: date,
        by_day: dict[date, NDArray[np.float64]],
        profiles: dict[DayType, NDArray[np.float64]],
    ) -> float:
        local = ts.astimezone(self._zone)
        kind = day_type(local.date(), by_weekday=self._by_weekday)
        if kind not in profiles:
            profiles[kind] = self._profile(kind, today, by_day)
        return float(profiles[kind][local.hour * 4 + local.minute // 15])

    def _profile(
        self, kind: DayType, today: date, by_day: dict[date, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        similar = [
            values
            for day, values in sorted(by_day.items(), reverse=True)
            if day < today
            and day_type(day, by_weekday=self._by_weekday) is kind
            and np.isfinite(values).mean() > 0.9
        ][: self._days]
        if not similar:
            return np.full(_QUARTERS, np.nan)
        stacked = np.vstack(similar)
        # A quarter-hour missing on every similar day (clock change) takes its neighbour's value.
        profile = np.nanmedian(stacked, axis=0) if self._by_weekday else np.nanmean(stacked, axis=0)
        known = np.flatnonzero(np.isfinite(profile))
        return np.asarray(np.interp(np.arange(_QUARTERS), known, profile[known]), dtype=np.float64)


def _decaying_ratio(
    measured: NDArray[np.float64],
    predicted: NDArray[np.float64],
    n: int,
    tau_hours: float,
) -> NDArray[np.float64]:
    both = np.isfinite(measured) & np.isfinite(predicted)
    expected = float(predicted[both].sum())
    if expected < 1.0:
        return np.ones(n)
    ratio = min(3.0, max(0.0, float(measured[both].sum()) / expected))
    lead_hours = (np.arange(n) + 0.5) * 0.25
    return np.asarray(1.0 + (ratio - 1.0) * np.exp(-lead_hours / tau_hours), dtype=np.float64)

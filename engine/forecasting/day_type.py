"""Forecast by the median of the last days of the same kind."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np

from engine.domain.errors import ForecastError
from engine.forecasting.base import QuarterHourHistory
from engine.forecasting.blend import Blend
from engine.forecasting.calendar import HolidayCalendar
from engine.forecasting.conformal import LOAD_RULE, PV_RULE
from engine.forecasting.day_ahead import DayAheadForecaster
from engine.forecasting.day_model import DayPrediction
from engine.forecasting.day_table import DayTable
from engine.forecasting.series_rules import SeriesRules


class DayTypeModel:
    """Median of the last similar days per quarter-hour of local time.

    A kind of day that was never seen is forecast from the last days of other kinds, and the
    note says so.

    Args:
        days: Similar days looked at.
        average: Take the mean instead of the median (PV, where every day is of one kind).
        lookback_days: How far back similar days are searched.
    """

    key = "day_type"
    min_days = 1
    refit_days = 1
    calibration_days = 1

    def __init__(
        self,
        days: int = 4,
        *,
        average: bool = False,
        lookback_days: int = 28,
    ) -> None:
        self.train_days = lookback_days
        self._days = days
        self._average = average

    def fit(self, table: DayTable, row: int) -> DayTypeModel:
        """Nothing is learnt ahead of a prediction."""
        return self

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Return the profile of the day's kind (see `FittedDayModel.predict`)."""
        before = min(row, origin)
        rows = np.arange(max(0, before - self.train_days), before)
        usable = rows[table.complete()[rows] & np.isfinite(table.values[rows]).all(axis=1)]
        similar = usable[table.kinds[usable] == table.kinds[row]][-self._days :]
        name = "mean of recent days" if self._average else "median of similar days"
        note = f"{name} ({similar.size})"
        if similar.size == 0:
            similar = usable[-self._days :]
            note = f"median of the last {similar.size} days, none of the same kind known yet"
        if similar.size == 0:
            raise ForecastError(
                "There is not enough history for a day of the same kind.",
                value=str(table.day(row)),
                hint="At least one complete past day is needed.",
            )
        values = table.values[similar]
        profile = values.mean(axis=0) if self._average else np.median(values, axis=0)
        return DayPrediction(profile, self.key, note)


class DayTypeMedian(DayAheadForecaster):
    """The day-type median as a forecaster, corrected by the last hour.

    The cold-start default of notes/forecasting 4.3 and 4.4 for load (by weekday); for PV
    without weather every day is of the same kind and the mean of fewer days is used.

    Args:
        history: Past 15-min means.
        signal: Series to predict, for example ``"load_kw"``.
        zone: Local time that rules the day pattern.
        days: Similar days looked at.
        by_weekday: Tell workdays, Saturdays and Sundays apart.
        tau_hours: Time constant of the intraday correction; None learns it.
        scaling: Correct by ratio (PV: clouds scale the sun) instead of by difference.
        lookback_days: How far back similar days are searched.
        calendar: Public holidays (a holiday is a Sunday); None for none.
    """

    def __init__(
        self,
        history: QuarterHourHistory,
        signal: str,
        zone: ZoneInfo,
        *,
        days: int = 4,
        by_weekday: bool = True,
        tau_hours: float | None = 2.0,
        scaling: bool = False,
        lookback_days: int = 28,
        calendar: HolidayCalendar | None = None,
    ) -> None:
        model = DayTypeModel(days, average=not by_weekday, lookback_days=lookback_days)
        rules = SeriesRules(
            widths=PV_RULE if scaling else LOAD_RULE,
            floor=0.0,
            intraday="ratio" if scaling else "offset",
            tau_hours=tau_hours,
            by_weekday=by_weekday,
        )
        super().__init__(history, signal, zone, Blend(model.key, [model]), rules, calendar=calendar)

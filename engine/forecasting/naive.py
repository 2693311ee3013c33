"""Forecasts without learning: the yardsticks, and what serves a new installation."""

from __future__ import annotations

import numpy as np

from engine.domain.errors import ForecastError, TooLittleMeasuredError
from engine.domain.forecast import FloatArray
from engine.forecasting.day_model import DayPrediction
from engine.forecasting.day_table import QUARTERS, DayTable

_WEEKS_BACK = 4

FEWEST_QUARTERS = 4
"""Measured quarter-hours from which a new installation gets a (flat) forecast."""


_HOURS_FOR_A_PATTERN = 12.0


class SeasonalNaive:
    """Each day is like the same weekday of last week: the yardstick of rMAE."""

    key = "seasonal_naive"
    min_days = 7
    train_days = 35
    refit_days = 1
    calibration_days = 1

    def fit(self, table: DayTable, row: int) -> SeasonalNaive:
        """Nothing is learnt."""
        return self

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Return last week's day (see `FittedDayModel.predict`)."""
        for weeks in range(1, _WEEKS_BACK + 1):
            values = _row(table, row - 7 * weeks)
            if values is not None:
                since = "last week" if weeks == 1 else f"{weeks} weeks ago"
                return DayPrediction(values, self.key, f"same day {since}")
        raise ForecastError(
            "There is not enough history for the same day of an earlier week.",
            hint="At least one complete week is needed.",
        )


class SimilarDay:
    """Monday, Saturday and Sunday are like last week's, other days like the day before.

    The cold-start rule for prices (notes/forecasting 4.2: rMAE 0.81 against last week).
    """

    key = "similar_day"
    min_days = 1
    train_days = 35
    refit_days = 1
    calibration_days = 1

    def fit(self, table: DayTable, row: int) -> SimilarDay:
        """Nothing is learnt."""
        return self

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Return the similar day (see `FittedDayModel.predict`)."""
        weekly = bool(table.weekdays[row] in (0, 5, 6))
        back = (7, 14, 21, 1) if weekly else (1, 7, 14, 21)
        for days in back:
            values = _row(table, row - days)
            if values is not None:
                note = "similar day"
                if weekly and days == 1:
                    note = "day before, no such weekday known yet"
                return DayPrediction(values, self.key, note)
        raise ForecastError(
            "There is no past day to take for a similar one.",
            hint="At least one complete past day is needed.",
        )


class FlatMean:
    """The mean of what was measured so far, for the first day of an installation.

    From half a day on, a quarter-hour of the day that was seen takes its own mean.
    """

    key = "flat_mean"
    min_days = 0
    train_days = 35
    refit_days = 1
    calibration_days = 1

    def fit(self, table: DayTable, row: int) -> FlatMean:
        """Nothing is learnt, but an hour of measurements is asked for.

        Raises:
            TooLittleMeasuredError: When there is less.
        """
        self._known(table, row)
        return self

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Return the mean of all measured so far, the day `origin` included.

        Raises:
            TooLittleMeasuredError: When less than an hour was measured.
        """
        known = self._known(table, origin)
        mean, hours = float(known.mean()), known.size / 4
        if hours < _HOURS_FOR_A_PATTERN:
            note = f"flat mean of the first {hours:.3g} h measured, no daily pattern known yet"
            return DayPrediction(np.full(QUARTERS, mean), self.key, note)
        past = table.raw[: origin + 1]
        count = np.isfinite(past).sum(axis=0)
        by_time = np.nansum(past, axis=0) / np.maximum(count, 1)
        return DayPrediction(
            np.where(count > 0, by_time, mean),
            self.key,
            f"mean by time of day of the first {hours:.3g} h measured, flat where not yet seen",
        )

    @staticmethod
    def _known(table: DayTable, origin: int) -> FloatArray:
        # What the running day has shown is measured, not forecast; later rows are empty.
        known = table.raw[: origin + 1]
        known = known[np.isfinite(known)]
        if known.size < FEWEST_QUARTERS:
            raise TooLittleMeasuredError(
                "There is not enough history to forecast anything: "
                f"{known.size} of {FEWEST_QUARTERS} quarter-hours.",
                value=f"{known.size} quarter-hours measured",
                hint="Wait until an hour has been measured, or import past values.",
            )
        return known


def _row(table: DayTable, row: int) -> FloatArray | None:
    if row < 0 or not np.isfinite(table.values[row]).all():
        return None
    return np.asarray(table.values[row], dtype=np.float64)

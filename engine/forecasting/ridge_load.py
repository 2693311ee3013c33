"""Ridge regression of a day's load on hourly lags and the calendar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.errors import ForecastError
from engine.domain.forecast import FloatArray
from engine.forecasting.day_model import DayPrediction
from engine.forecasting.day_table import DayTable
from engine.forecasting.intra_hour import hourly
from engine.forecasting.ridge_fit import Ridge, fit_ridge, one_hot

_FEWEST_ROWS = 14


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    ridge: Ridge
    scale: float

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Predict a day (see `FittedDayModel.predict`)."""
        x = _features(table, np.array([row]), self.scale)[0]
        if not np.isfinite(x).all():
            raise ForecastError(
                f"The days that {table.day(row)} is forecast from are not known.",
                hint="The day before, the week before and the last day of its kind are needed.",
            )
        return DayPrediction(self.ridge.predict(x) * self.scale, "ridge", "ridge regression")


class RidgeLoad:
    """96 quarter-hours from the hours of the day before, a week before and the last same kind.

    notes/forecasting 4.3: 180 days, mean rMAE 0.80, 4 ms a fit.

    Args:
        train_days: Days learnt from.
        alpha: Penalty, with load in units of its mean.
    """

    key = "ridge"
    min_days = 28
    refit_days = 1
    calibration_days = 7

    def __init__(self, train_days: int = 180, alpha: float = 10.0) -> None:
        self.train_days = train_days
        self._alpha = alpha

    def fit(self, table: DayTable, row: int) -> _Fitted:
        """Learn from the days before `row` (see `DayModel.fit`)."""
        rows = np.arange(max(7, row - self.train_days), row)
        rows = rows[table.complete()[rows]]
        scale = float(np.nanmean(table.values[rows])) if rows.size else 0.0
        scale = scale if scale > 1e-6 else 1.0
        x, y = _features(table, rows, scale), table.values[rows] / scale
        use = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
        if int(use.sum()) < _FEWEST_ROWS:
            raise ForecastError(
                "There is not enough history for the ridge regression of the load.",
                value=f"{int(use.sum())} usable days",
                hint=f"At least {self.min_days} complete days are needed.",
            )
        return _Fitted(fit_ridge(x[use], y[use], self._alpha), scale)


def _features(table: DayTable, rows: np.ndarray, scale: float) -> FloatArray:
    hours = hourly(table.values) / scale
    same = table.same_kind_before()[rows]
    twin = np.where(same[:, None] >= 0, hours[same], np.nan)
    week = np.where((rows >= 7)[:, None], hours[rows - 7], np.nan)
    angle = table.year_angles[rows]
    calendar = np.column_stack(
        [
            one_hot(table.kinds[rows], 3),
            one_hot(table.weekdays[rows], 7),
            one_hot(table.kinds[rows - 1], 3),
            np.sin(angle),
            np.cos(angle),
        ]
    )
    return np.column_stack([hours[rows - 1], week, twin, calendar])

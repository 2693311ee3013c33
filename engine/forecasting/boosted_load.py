"""Gradient-boosted trees for load, pooled over all quarter-hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.domain.errors import ForecastError
from engine.domain.forecast import FloatArray
from engine.forecasting.day_model import DayPrediction
from engine.forecasting.day_table import QUARTERS, DayTable

_FEWEST_ROWS = 14
_SAME_KIND_DAYS = 4

PARAMETERS: dict[str, Any] = {
    "objective": "regression_l1",
    # Half the time of 200 rounds of 31 leaves and 255 bins at the same error, measured.
    "learning_rate": 0.08,
    "num_leaves": 24,
    "max_bin": 63,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    # More threads are slower here, and only one makes results repeat (notes/forecasting 4.3).
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 7,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    booster: Any
    scale: float

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Predict a day (see `FittedDayModel.predict`)."""
        x = _features(table, np.array([row]), self.scale)
        if not np.isfinite(x).all():
            raise ForecastError(
                f"The days that {table.day(row)} is forecast from are not known.",
                hint="The two weeks before it are needed.",
            )
        values = np.asarray(self.booster.predict(x, num_threads=1), dtype=np.float64)
        return DayPrediction(values * self.scale, "lightgbm", "LightGBM")


class BoostedLoad:
    """One LightGBM model over all quarter-hours, 17 features, learnt weekly.

    notes/forecasting 4.3: mean rMAE 0.736; 0.4 to 0.7 s a fit on one thread.

    Args:
        train_days: Days learnt from.
        rounds: Trees.
    """

    key = "lightgbm"
    min_days = 28
    refit_days = 7
    calibration_days = 28

    def __init__(self, train_days: int = 365, rounds: int = 150) -> None:
        self.train_days = train_days
        self._rounds = rounds

    def fit(self, table: DayTable, row: int) -> _Fitted:
        """Learn from the days before `row` (see `DayModel.fit`)."""
        import lightgbm

        rows = np.arange(max(14, row - self.train_days), row)
        rows = rows[table.complete()[rows]]
        scale = float(np.nanmean(table.values[rows])) if rows.size else 0.0
        scale = scale if scale > 1e-6 else 1.0
        x = _features(table, rows, scale)
        y = (table.values[rows] / scale).reshape(-1)
        use = np.isfinite(x).all(axis=1) & np.isfinite(y)
        if int(use.sum()) < _FEWEST_ROWS * QUARTERS:
            raise ForecastError(
                "There is not enough history for LightGBM.",
                value=f"{int(use.sum()) // QUARTERS} usable days",
                hint=f"At least {self.min_days} complete days are needed.",
            )
        data = lightgbm.Dataset(x[use], label=y[use], params={"verbosity": -1, "max_bin": 63})
        return _Fitted(lightgbm.train(PARAMETERS, data, num_boost_round=self._rounds), scale)


def _features(table: DayTable, rows: np.ndarray, scale: float) -> FloatArray:
    """Return 17 features for the 96 quarter-hours of each row; shape (96 * len(rows), 17)."""
    values = table.values / scale
    mean = values.mean(axis=1)

    def lag(days: int) -> FloatArray:
        return np.asarray(np.where((rows >= days)[:, None], values[rows - days], np.nan))

    def lag_mean(days: int) -> FloatArray:
        return np.asarray(np.where(rows >= days, mean[rows - days], np.nan))

    twins = _last_same_kind(table, rows)
    known = twins >= 0
    stacked = np.where(known[:, :, None], values[twins], np.nan)
    first = stacked[:, 0]
    # Of four similar days the ones that history reaches; the first must exist.
    count = known.sum(axis=1)[:, None]
    similar = np.where(known[:, :, None], stacked, 0.0).sum(axis=1) / np.maximum(count, 1)
    similar = np.where(np.isfinite(first), similar, np.nan)
    yesterday = lag(1)
    smooth = (np.roll(yesterday, 2, axis=1) + yesterday + np.roll(yesterday, -2, axis=1)) / 3.0
    week_means = np.column_stack([lag_mean(d) for d in range(1, 8)])

    def per_day(column: FloatArray) -> FloatArray:
        return np.asarray(np.repeat(np.asarray(column, dtype=np.float64)[:, None], QUARTERS, 1))

    columns = [
        per_day(np.zeros(len(rows))) + np.arange(QUARTERS),
        per_day(table.weekdays[rows].astype(float)),
        per_day(table.kinds[rows].astype(float)),
        per_day(table.kinds[rows - 1].astype(float)),
        per_day(np.sin(table.year_angles[rows])),
        per_day(np.cos(table.year_angles[rows])),
        yesterday,
        smooth,
        lag(2),
        lag(7),
        lag(14),
        first,
        similar,
        per_day(lag_mean(1)),
        per_day(lag_mean(7)),
        per_day(week_means.mean(axis=1)),
        per_day(first.mean(axis=1)),
    ]
    return np.stack(columns, axis=2).reshape(len(rows) * QUARTERS, len(columns))


def _last_same_kind(table: DayTable, rows: np.ndarray) -> np.ndarray:
    before = table.same_kind_before()
    out = np.empty((len(rows), _SAME_KIND_DAYS), dtype=np.int64)
    current = rows
    for i in range(_SAME_KIND_DAYS):
        current = np.where(current >= 0, before[current], -1)
        out[:, i] = current
    return out

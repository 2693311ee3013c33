"""Prophet for price, load and PV, with the settings measured in notes/forecasting.

Library defaults are never used: they are worse than last week's values (rMAE 1.15 for price,
1.49 for load). Prophet's own intervals are not used either; P10/P90 come from past errors.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from engine.domain.errors import ForecastError
from engine.domain.forecast import FloatArray
from engine.domain.local_days import local_midnight
from engine.forecasting.day_table import QUARTERS, DayTable, rows_from_steps
from engine.forecasting.intra_hour import hourly, intra_hour_profile
from engine.forecasting.prophet_core import (
    FittedProphet,
    Recipe,
    prophet_class,
    training_rows,
    wall_time_frame,
)

_LOAD_DAYS = 56
_PRICE_DAYS = 365
_PV_DAYS = 90

_WORKDAY, _SATURDAY, _SUNDAY = 0, 1, 2


class ProphetPrice:
    """Hourly prices: daily pattern of workdays and weekends, holidays, lagged prices.

    notes/forecasting 4.2: MAE 20.2 EUR/MWh, rMAE 0.70; without the lags 25.0, by default 29.7.

    Args:
        quarter_hours: Add the 28-day profile within the hour (settlement by quarter-hours).
    """

    key = "prophet"
    min_days = 60
    train_days = _PRICE_DAYS
    refit_days = 7
    calibration_days = 60

    def __init__(self, *, quarter_hours: bool = True) -> None:
        prophet_class()
        self._quarter_hours = quarter_hours

    def fit(self, table: DayTable, row: int) -> FittedProphet:
        """Learn from the days before `row` (see `DayModel.fit`)."""
        rows = training_rows(table, row, self.train_days)
        model = prophet_class()(
            changepoint_prior_scale=0.01,
            n_changepoints=5,
            daily_seasonality=False,
            weekly_seasonality=3,
            yearly_seasonality=False,
            uncertainty_samples=0,
        )
        model.add_seasonality("workday", period=1, fourier_order=8, condition_name="workday")
        model.add_seasonality("weekend", period=1, fourier_order=8, condition_name="weekend")
        y = hourly(table.values[rows])
        note = "Prophet with lagged prices"
        if self._quarter_hours:
            note += " + 28-day profile within the hour"
        recipe = Recipe(_PRICE_NAMES, _price_conditions, _price_regressors, self._finish, note)
        return recipe.learn(model, table, rows, y)

    def _finish(self, values: FloatArray, table: DayTable, row: int, origin: int) -> FloatArray:
        quarters = np.repeat(values, 4)
        return quarters + intra_hour_profile(table, origin) if self._quarter_hours else quarters


class ProphetLoad:
    """Load: one daily pattern and one level for each of workday, Saturday and Sunday.

    Conditional seasonalities have zero mean, so each kind of day needs a regressor for its
    level: without it the error on one site was 41.6 % of the mean load, with it 20.1 %
    (notes/forecasting 4.3).
    """

    key = "prophet"
    min_days = 28
    train_days = _LOAD_DAYS
    refit_days = 1
    calibration_days = 28

    def __init__(self) -> None:
        prophet_class()

    def fit(self, table: DayTable, row: int) -> FittedProphet:
        """Learn from the days before `row` (see `DayModel.fit`)."""
        rows = training_rows(table, row, self.train_days)
        model = prophet_class()(
            changepoint_prior_scale=0.01,
            n_changepoints=5,
            daily_seasonality=False,
            weekly_seasonality=False,
            yearly_seasonality=False,
            uncertainty_samples=0,
        )
        for name in ("workday", "saturday", "sunday"):
            model.add_seasonality(name, period=1, fourier_order=10, condition_name=name)
        y = table.values[rows]
        recipe = Recipe(
            _LOAD_NAMES, _load_conditions, _load_regressors, _as_it_is, "Prophet by kind of day"
        )
        return recipe.learn(model, table, rows, y)


class ProphetPv:
    """PV without weather: flat growth and the clear-sky power as regressor.

    notes/forecasting 5.2: 38 to 40 % of the mean, like the other methods without weather.

    Args:
        clear_sky: Clear-sky power or irradiance of `n` 15-min steps from a start, any unit.
        zone: Local time.
    """

    key = "prophet"
    min_days = 21
    train_days = _PV_DAYS
    refit_days = 1
    calibration_days = 28

    def __init__(self, clear_sky: Callable[[datetime, int], FloatArray], zone: ZoneInfo) -> None:
        prophet_class()
        self._clear_sky = clear_sky
        self._zone = zone
        self._skies: dict[date, FloatArray] = {}

    def fit(self, table: DayTable, row: int) -> FittedProphet:
        """Learn from the days before `row` (see `DayModel.fit`)."""
        rows = training_rows(table, row, self.train_days)
        model = prophet_class()(
            growth="flat",
            daily_seasonality=False,
            weekly_seasonality=False,
            yearly_seasonality=False,
            uncertainty_samples=0,
        )
        y = table.values[rows]
        sky = self._sky(table, rows)
        if not (sky > 0.0).any():
            raise ForecastError(
                "The clear-sky power is zero on every day.", hint="Check latitude and longitude."
            )
        # The night is certain and would only teach that zero is zero.
        y = np.where(sky > 0.0, y, np.nan)
        recipe = Recipe(
            _PV_NAMES, _pv_conditions, self._regressors, self._finish, "Prophet on clear-sky power"
        )
        return recipe.learn(model, table, rows, y)

    def _finish(self, values: FloatArray, table: DayTable, row: int, origin: int) -> FloatArray:
        sky = self._sky(table, np.array([row]))[0]
        return np.asarray(np.where(sky > 0.0, np.maximum(values, 0.0), 0.0))

    def _regressors(self, table: DayTable, rows: np.ndarray) -> FloatArray:
        sky = self._sky(table, rows)
        hour = np.clip((np.arange(QUARTERS) - 48) / 16.0, -2.0, 2.0)
        recent = [sky * self._clearness(table, rows, days)[:, None] for days in (1, 14)]
        # A roof turned east or west leans the bell; the square narrows it.
        return _columns([sky, *recent, sky * hour, sky * hour**2])

    def _clearness(self, table: DayTable, rows: np.ndarray, days: int) -> FloatArray:
        """Return energy over clear-sky energy of the days before each row; shape (rows,)."""
        first = max(0, int(rows.min()) - days)
        past = np.arange(first, int(rows.max()))
        sky = self._sky(table, past).sum(axis=1)
        energy = table.values[past].sum(axis=1)
        out = np.full(len(rows), np.nan)
        for i, row in enumerate(rows.tolist()):
            part = slice(max(0, row - days - first), row - first)
            known = np.isfinite(energy[part])
            expected = sky[part][known].sum()
            if expected > 0.0:
                out[i] = energy[part][known].sum() / expected
        return out

    def _sky(self, table: DayTable, rows: np.ndarray) -> FloatArray:
        days = [table.day(int(row)) for row in rows]
        unknown = [day for day in days if day not in self._skies]
        if unknown:
            first, n_days = min(unknown), (max(unknown) - min(unknown)).days + 1
            start = local_midnight(first, self._zone)
            values = np.asarray(self._clear_sky(start, n_days * QUARTERS + 4), dtype=np.float64)
            by_day = rows_from_steps(start, np.maximum(values, 0.0), self._zone, first, n_days)
            for i in range(n_days):
                self._skies[first + timedelta(days=i)] = np.nan_to_num(by_day[i], nan=0.0)
        return np.array([self._skies[day] for day in days]).reshape(len(days), QUARTERS)


_PRICE_NAMES = ("holiday", "lag_1", "lag_7", "mean_1", "mean_7")
_LOAD_NAMES = ("level_saturday", "level_sunday")
_PV_NAMES = ("clear_sky", "clear_sky_1", "clear_sky_14", "clear_sky_lean", "clear_sky_narrow")


def _columns(arrays: list[FloatArray]) -> FloatArray:
    return np.column_stack([a.reshape(-1) for a in arrays])


def _price_conditions(table: DayTable, rows: np.ndarray) -> pd.DataFrame:
    frame = wall_time_frame(table, rows, 24)
    weekend = np.repeat(table.kinds[rows] != _WORKDAY, 24)
    frame["workday"], frame["weekend"] = ~weekend, weekend
    return frame


def _price_regressors(table: DayTable, rows: np.ndarray) -> FloatArray:
    first = max(0, int(rows.min()) - 7)
    hours = hourly(table.values[first : int(rows.max())])
    lags = {d: hours[np.maximum(rows - d - first, 0)] for d in range(1, 8)}
    holiday = (table.kinds[rows] == _SUNDAY) & (table.weekdays[rows] != 6)
    week = np.mean([lags[d].mean(axis=1) for d in range(1, 8)], axis=0)

    def per_day(values: FloatArray) -> FloatArray:
        return np.asarray(np.repeat(values, 24))

    return _columns(
        [
            per_day(holiday.astype(np.float64)),
            lags[1],
            lags[7],
            per_day(lags[1].mean(axis=1)),
            per_day(week),
        ]
    )


def _load_conditions(table: DayTable, rows: np.ndarray) -> pd.DataFrame:
    frame = wall_time_frame(table, rows, QUARTERS)
    kinds = np.repeat(table.kinds[rows], QUARTERS)
    for name, code in (("workday", _WORKDAY), ("saturday", _SATURDAY), ("sunday", _SUNDAY)):
        frame[name] = kinds == code
    return frame


def _load_regressors(table: DayTable, rows: np.ndarray) -> FloatArray:
    kinds = np.repeat(table.kinds[rows], QUARTERS)
    return _columns([(kinds == code).astype(np.float64) for code in (_SATURDAY, _SUNDAY)])


def _pv_conditions(table: DayTable, rows: np.ndarray) -> pd.DataFrame:
    return wall_time_frame(table, rows, QUARTERS)


def _as_it_is(values: FloatArray, table: DayTable, row: int, origin: int) -> FloatArray:
    return values

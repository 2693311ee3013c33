"""Prophet behind the interface of day models: learning, quietly, and quick predictions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from engine.domain.errors import ForecastError
from engine.domain.forecast import FloatArray
from engine.forecasting.day_model import DayPrediction
from engine.forecasting.day_table import DayTable

FEWEST_ROWS = 21
"""Complete days below which Prophet is not asked."""

_FEWEST_STEPS = 168

Finish = Callable[[FloatArray, DayTable, int, int], FloatArray]
"""From Prophet's steps of a day to its 96 quarter-hours, given table, row and origin."""

_BATCH_DAYS = 35
"""Days of Prophet's own part predicted at once: a call costs the same for one as for many."""

Regressors = Callable[[DayTable, np.ndarray], FloatArray]
"""Regressors of some rows of a table; shape (steps, number of regressors)."""

Conditions = Callable[[DayTable, np.ndarray], pd.DataFrame]
"""``ds`` in wall time and the conditions of seasonalities; known for any day ahead."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedProphet:
    """Prophet's own part (trend, seasonalities) plus linear regressors.

    Additive regressors enter Prophet's prediction linearly, so that its own part is predicted
    with all of them at zero, for many days in one call, and they are added here.
    """

    model: Any
    recipe: Recipe
    slopes: FloatArray
    own_part: dict[date, FloatArray] = field(default_factory=dict)

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Predict a day (see `FittedDayModel.predict`)."""
        x = self.recipe.regressors(table, np.array([row]))
        if not np.isfinite(x).all():
            raise ForecastError(
                f"The days that {table.day(row)} is forecast from are not known.",
                hint="The day before and the week before are needed.",
            )
        values = self._own_part(table, row) + x @ self.slopes
        return DayPrediction(
            self.recipe.finish(values, table, row, origin), "prophet", self.recipe.note
        )

    def _own_part(self, table: DayTable, row: int) -> FloatArray:
        day = table.day(row)
        if day not in self.own_part:
            rows = np.arange(row, min(row + _BATCH_DAYS, table.n_rows))
            frame = self.recipe.conditions(table, rows)
            for name in self.recipe.names:
                frame[name] = 0.0
            made = self.model.predict(frame)["yhat"].to_numpy(dtype=np.float64)
            for r, values in zip(rows.tolist(), made.reshape(len(rows), -1), strict=True):
                self.own_part[table.day(r)] = values
        return self.own_part[day]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a series is put to Prophet.

    Attributes:
        names: Names of the regressors.
        conditions: Times and conditions of some rows.
        regressors: Regressors of some rows, in the order of `names`.
        finish: Last step from Prophet's values to quarter-hours.
        note: Name for the operator.
    """

    names: tuple[str, ...]
    conditions: Conditions
    regressors: Regressors
    finish: Finish
    note: str

    def learn(self, model: Any, table: DayTable, rows: np.ndarray, y: FloatArray) -> FittedProphet:
        """Fit `model` to y (rows, steps), leaving out what is NaN.

        Raises:
            ForecastError: When too few steps are left, or Prophet fails.
        """
        for name in self.names:
            model.add_regressor(name)
        frame = self.conditions(table, rows)
        frame[list(self.names)] = self.regressors(table, rows)
        frame["y"] = y.reshape(-1)
        numbers = frame[["y", *self.names]].to_numpy(dtype=np.float64)
        frame = frame[np.isfinite(numbers).all(axis=1)]
        if len(frame) < _FEWEST_STEPS:
            raise ForecastError(
                "There is not enough history for Prophet.",
                value=f"{len(frame)} usable steps",
                hint="More past days are needed.",
            )
        try:
            model.fit(frame, seed=7)
        except (RuntimeError, ValueError, OSError) as exc:
            raise ForecastError(
                f"Prophet could not learn: {exc}.", hint="Choose another model for this series."
            ) from exc
        from prophet.utilities import regressor_coefficients

        table_of = regressor_coefficients(model).set_index("regressor")["coef"]
        slopes = np.array([float(table_of[name]) for name in self.names])
        return FittedProphet(model, self, slopes)


def prophet_class() -> Any:
    """Return Prophet; imported here because the import alone takes a second and 100 MB."""
    for name in ("prophet", "prophet.plot", "cmdstanpy"):
        logger = logging.getLogger(name)
        # Without a handler of ours cmdstanpy installs its own, which prints every fit.
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.ERROR)
    from prophet import Prophet

    # Prophet sets its own level when it is imported.
    logging.getLogger("prophet").setLevel(logging.ERROR)
    return Prophet


def training_rows(table: DayTable, row: int, days: int) -> np.ndarray:
    """Return the complete days among the `days` before `row`.

    Raises:
        ForecastError: When there are too few.
    """
    rows = np.arange(max(7, row - days), row)
    rows = rows[table.complete()[rows]]
    if rows.size < FEWEST_ROWS:
        raise ForecastError(
            "There is not enough history for Prophet.",
            value=f"{rows.size} days",
            hint=f"At least {FEWEST_ROWS + 7} complete days are needed.",
        )
    return rows


def wall_time_frame(table: DayTable, rows: np.ndarray, per_day: int) -> pd.DataFrame:
    """Return ``ds`` in naive local wall time, `per_day` steps for each row."""
    days = np.array([table.day(int(r)) for r in rows], dtype="datetime64[m]")
    steps = np.arange(per_day) * np.timedelta64(1440 // per_day, "m")
    return pd.DataFrame({"ds": pd.to_datetime((days[:, None] + steps).reshape(-1))})

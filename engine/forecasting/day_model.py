"""What the models behind `DayAheadForecaster` have in common: whole days from whole days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple, Protocol

from engine.domain.forecast import FloatArray
from engine.forecasting.day_table import DayTable

_KEPT_DAYS = 120


class DayPrediction(NamedTuple):
    """One predicted day.

    Attributes:
        values: The 96 quarter-hours of wall time, shape (96,).
        key: Key of the model that made it.
        note: How it came about, in words for the operator.
    """

    values: FloatArray
    key: str
    note: str


class FittedDayModel(Protocol):
    """A model that has learnt."""

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Predict the day `row` from the rows before it.

        Rows before `origin` are measured; those from `origin` to `row` are earlier predictions.
        Nothing of `row` itself or later may be looked at.

        Raises:
            ForecastError: When the days it needs are missing.
        """
        ...


class DayModel(Protocol):
    """A model that can learn from a table.

    Attributes:
        key: Key of the model.
        min_days: Complete days needed.
        train_days: Days it looks at when it learns.
        refit_days: Days after which it has to learn anew.
        calibration_days: Age up to which a fit serves to compute residuals of past origins.
    """

    key: str
    min_days: int
    train_days: int
    refit_days: int
    calibration_days: int

    def fit(self, table: DayTable, row: int) -> FittedDayModel:
        """Learn from the rows before `row` and nothing else.

        Raises:
            ForecastError: When there is not enough history.
        """
        ...


class FitBook:
    """The fits of one model, so that none is made twice."""

    def __init__(self, model: DayModel) -> None:
        self.model = model
        self._fits: dict[date, FittedDayModel] = {}

    def get(self, table: DayTable, row: int, *, calibrating: bool) -> FittedDayModel:
        """Return the newest fit that looked at nothing from `row` on; learn when it is too old.

        Raises:
            ForecastError: When there is not enough history.
        """
        day = table.day(row)
        max_age = self.model.calibration_days if calibrating else self.model.refit_days
        usable = [d for d in self._fits if d <= day and (day - d).days < max_age]
        if usable:
            return self._fits[max(usable)]
        fitted = self.model.fit(table, row)
        self._fits[day] = fitted
        newest = max(self._fits)
        for old in [d for d in self._fits if d < newest - timedelta(days=_KEPT_DAYS)]:
            del self._fits[old]
        return fitted

"""The one interface of every forecaster."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import Forecast


class QuarterHourHistory(Protocol):
    """Known 15-min means of a signal."""

    @property
    def label(self) -> str:
        """Where the values come from, for example ``"measured"``."""
        ...

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        """Return the means of ``[start, end)``; NaN where nothing is known; shape (n,)."""
        ...


class Forecaster(Protocol):
    """Predicts one series.

    Attributes:
        key: Key of the model, for example ``"ridge"``; what accuracy is compared by.
        signal: The series, one of `engine.domain.forecast.FORECAST_SIGNALS`.
    """

    key: str
    signal: str

    def fit(self, now: datetime) -> None:
        """Learn from what is known at `now`; returns at once when nothing is due.

        Raises:
            ForecastError: When there is not enough history.
        """
        ...

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` with what is known at `now`; fits first if never done.

        Raises:
            ForecastError: When there is not enough history.
        """
        ...

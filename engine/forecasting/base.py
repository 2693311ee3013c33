"""The one interface of every forecaster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """A forecast in 15-min steps.

    Attributes:
        start: Start of the first step, UTC.
        p50: Median forecast per step, shape (n,), in the unit of the series.
        issued_at: When it was made, UTC (its vintage).
        method: Model and data behind it, in words for the operator.
    """

    start: datetime
    p50: NDArray[np.float64]
    issued_at: datetime
    method: str


class QuarterHourHistory(Protocol):
    """Past 15-min means of a signal."""

    label: str
    """Where the values come from, for example ``"measured"``."""

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        """Return the means of ``[start, end)``; NaN where nothing is known; shape (n,)."""
        ...


class Forecaster(Protocol):
    """Predicts one series."""

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` with what is known at `now`.

        Raises:
            ForecastError: When there is not enough history.
        """
        ...

"""A forecast with its vintage: what was expected, when it was said, by which model."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.errors import ForecastError
from engine.domain.quarter_hour import STEP

FloatArray = NDArray[np.float64]

PRICE_SIGNAL = "spot_eur_per_kwh"
LOAD_SIGNAL = "load_kw"
PV_SIGNAL = "pv_kw"

FORECAST_SIGNALS: tuple[str, ...] = (PRICE_SIGNAL, LOAD_SIGNAL, PV_SIGNAL)
"""Series that are forecast, by the signal they become when they are measured or published."""


MODEL_RUN = "pv_model_uncalibrated"
"""Model key under which uncalibrated PV model output is archived among the forecasts."""


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """A forecast of one series in 15-min steps; every array has shape (n,).

    Attributes:
        signal: One of `FORECAST_SIGNALS`.
        start: Start of the first step, UTC.
        p10: Value that the truth falls below in one of ten cases.
        p50: Median: the value to plan with.
        p90: Value that the truth exceeds in one of ten cases.
        issued_at: When it was made, UTC (its vintage).
        model: Key of the model, for example ``"ensemble"``; what accuracy is compared by.
        method: Model and data behind it, in words for the operator.
        known: True where the value is published or measured, not forecast; p10 = p50 = p90 there.
    """

    signal: str
    start: datetime
    p10: FloatArray
    p50: FloatArray
    p90: FloatArray
    issued_at: datetime
    model: str
    method: str
    known: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        n = np.asarray(self.p50).shape
        if len(n) != 1 or n[0] == 0:
            raise ForecastError(
                f"A forecast of shape {n} is none.", field=self.signal, hint="Give at least a step."
            )
        if self.known.size == 0:
            object.__setattr__(self, "known", np.zeros(n, dtype=np.bool_))
        for name in ("p10", "p50", "p90"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != n or not np.isfinite(values).all():
                raise ForecastError(
                    f"{name} has not one finite number for each of {n[0]} steps.",
                    field=self.signal,
                    hint="A model must refuse (ForecastError) rather than return gaps.",
                )
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        if (self.p10 > self.p50 + 1e-9).any() or (self.p50 > self.p90 + 1e-9).any():
            raise ForecastError("Quantiles cross: p10 <= p50 <= p90 is needed.", field=self.signal)
        for name in ("start", "issued_at"):
            object.__setattr__(self, name, getattr(self, name).astimezone(UTC))

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.p50.size)

    @property
    def end(self) -> datetime:
        """End of the last step, UTC."""
        return self.start + self.n_steps * STEP


def sorted_quantiles(p10: ArrayLike, p50: ArrayLike, p90: ArrayLike) -> tuple[FloatArray, ...]:
    """Return (p10, p50, p90) with p10 and p90 moved just enough that they do not cross p50."""
    middle = np.asarray(p50, dtype=np.float64)
    low = np.minimum(np.asarray(p10, dtype=np.float64), middle)
    high = np.maximum(np.asarray(p90, dtype=np.float64), middle)
    return low, middle, high

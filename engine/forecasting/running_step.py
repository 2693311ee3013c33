"""The quarter-hour that is running: partly measured already, the rest still forecast."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import ForecastError
from engine.domain.quarter_hour import STEP, quarter_start

FloatArray = NDArray[np.float64]


class RunningMean(Protocol):
    """Mean of a signal since the start of the running quarter-hour."""

    def __call__(self, signal: str, start: datetime, now: datetime) -> float | None:
        """Return the mean of `signal` over ``[start, now)``, or None when nothing is measured."""
        ...


def elapsed_share(start: datetime, now: datetime) -> float:
    """Return how much of the step from `start` is over at `now`, 0..1.

    It is 0 unless `start` is the quarter-hour that is running: a forecast that begins
    earlier or later has no running first step.
    """
    if quarter_start(now) != start:
        return 0.0
    return (now - start) / STEP


def blend_running_step(
    p50: FloatArray,
    p10: FloatArray,
    p90: FloatArray,
    measured_mean_so_far: float | None,
    elapsed_share: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Replace the first step by its measured part plus the forecast of its rest.

    The mean of the running quarter-hour is `elapsed_share` times what was measured so far
    plus the remaining share of the forecast; its uncertainty shrinks in the same way.

    Args:
        p50: Forecast medians whose first step is the running quarter-hour; shape (n,).
        p10: Lower quantiles, same shape.
        p90: Upper quantiles, same shape.
        measured_mean_so_far: Mean measured since the start of the step, in the unit of the
            forecast; None when nothing was measured: then nothing changes.
        elapsed_share: Share of the step that is over, 0..1.

    Returns:
        New arrays (p50, p10, p90); the arguments stay untouched.

    Raises:
        ForecastError: When the share is outside 0..1 or the measured mean is not finite.
    """
    if not 0.0 <= elapsed_share <= 1.0:
        raise ForecastError(
            f"A share of {elapsed_share} of a quarter-hour cannot be over.",
            field="elapsed_share",
            value=elapsed_share,
            hint="Give the share that has passed, from 0 to 1.",
        )
    out = (p50.copy(), p10.copy(), p90.copy())
    if measured_mean_so_far is None or elapsed_share == 0.0:
        return out
    if not math.isfinite(measured_mean_so_far):
        raise ForecastError(
            "The measured mean of the running quarter-hour is not a number.",
            field="measured_mean_so_far",
            value=measured_mean_so_far,
            hint="Pass None when nothing was measured.",
        )
    for values in out:
        values[0] = elapsed_share * measured_mean_so_far + (1.0 - elapsed_share) * values[0]
    return out

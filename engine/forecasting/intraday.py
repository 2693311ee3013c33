"""Correction of a forecast by what the last hour showed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS_LOOKED_BACK = 4


def decaying_offset(
    measured: NDArray[np.float64],
    predicted: NDArray[np.float64],
    n: int,
    tau_hours: float,
) -> NDArray[np.float64]:
    """Return the additive correction of the next `n` quarter-hours.

    The mean residual of the last hour decays with the time constant `tau_hours`
    (notes/forecasting 4.3: first-hour load error falls by 30 to 60 %).

    Args:
        measured: Last measured 15-min means, newest last; NaN where unknown.
        predicted: What had been predicted for them, same shape.
        n: Number of steps to correct.
        tau_hours: Time constant of the decay, > 0.

    Returns:
        Array of shape (n,); zeros when nothing was measured.
    """
    residual = (measured - predicted)[-STEPS_LOOKED_BACK:]
    known = residual[np.isfinite(residual)]
    if known.size == 0:
        return np.zeros(n)
    lead_hours = (np.arange(n) + 0.5) * 0.25
    return np.asarray(float(known.mean()) * np.exp(-lead_hours / tau_hours), dtype=np.float64)

"""Correction of a PV forecast by the last hour: clouds scale the sun, they do not shift it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.forecasting.intraday import STEPS_LOOKED_BACK

FloatArray = NDArray[np.float64]

TAU_HOURS = 3.0
_HIGHEST_RATIO = 3.0
_DAMPING_SHARE = 0.02


def last_hour_ratios(
    measured_kw: FloatArray, predicted_kw: FloatArray, scale_kw: float
) -> FloatArray:
    """Return measured / predicted of the hour before each step.

    Both means are raised by 2 % of the plant's size first, so that a ratio at dawn, made of
    next to nothing, stays near 1.

    Args:
        measured_kw: Measured 15-min means, NaN where unknown; shape (n,).
        predicted_kw: What had been predicted for them, same shape.
        scale_kw: Size of the plant.

    Returns:
        Ratios 0..3 of shape (n + 1,): entry i belongs to an origin at the start of step i and
        looks at steps i-4..i-1, the last entry to the end of the series; 1 where unknown.
    """
    both = np.isfinite(measured_kw) & np.isfinite(predicted_kw)
    damping = _DAMPING_SHARE * scale_kw
    seen = _sum_of_last(np.where(both, measured_kw + damping, 0.0))
    expected = _sum_of_last(np.where(both, predicted_kw + damping, 0.0))
    ratio = np.ones(measured_kw.size + 1)
    np.divide(seen, expected, out=ratio, where=expected > 0)
    return np.clip(ratio, 0.0, _HIGHEST_RATIO)


def decay(
    lead_hours: FloatArray | float, ratio: FloatArray | float, tau_hours: float
) -> FloatArray:
    """Return the factor on a forecast `lead_hours` ahead when the last hour ran at `ratio`."""
    return np.asarray(1.0 + (ratio - 1.0) * np.exp(-np.maximum(lead_hours, 0.0) / tau_hours))


def _sum_of_last(values: FloatArray) -> FloatArray:
    total = np.concatenate(([0.0], np.cumsum(values)))
    before = np.maximum(np.arange(total.size) - STEPS_LOOKED_BACK, 0)
    # Differences of running sums leave rounding dust where nothing was summed.
    out = total - total[before]
    return np.where(out < 1e-9, 0.0, out)

"""Figures of a series over a whole period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.history.roll_up_columns import GAP_SECONDS


def held_seconds(ts: NDArray[np.datetime64], gap_seconds: float = GAP_SECONDS) -> FloatArray:
    """Return the seconds each sample stands for; shape (n,), 0 before gaps and for the last.

    Args:
        ts: Times, as ``datetime64[us]``, ascending.
        gap_seconds: Longest distance of neighbours that is no gap.
    """
    if ts.size == 0:
        return np.zeros(0)
    seconds: FloatArray = np.diff(ts.astype(np.int64)).astype(np.float64) / 1e6
    return np.append(np.where(seconds <= gap_seconds, seconds, 0.0), 0.0)


def energies(power_kw: FloatArray, seconds: FloatArray) -> tuple[float, float] | None:
    """Return energy above and below zero, kWh, both >= 0; None without a usable value.

    Args:
        power_kw: Power; NaN where there is none.
        seconds: Time each value stands for.
    """
    usable = np.isfinite(power_kw)
    if not usable.any():
        return None
    kwh = power_kw[usable] * seconds[usable] / 3600.0
    return float(kwh[kwh > 0].sum()), float(-kwh[kwh < 0].sum())


def weighted_mean(values: FloatArray, weights: FloatArray) -> float | None:
    """Return the mean weighted by `weights` (>= 0); the plain one when they are all 0."""
    usable = np.isfinite(values)
    if not usable.any():
        return None
    weights = np.nan_to_num(weights[usable])
    if weights.sum() <= 0.0:
        return float(values[usable].mean())
    return float(np.average(values[usable], weights=weights))


def lowest(values: FloatArray) -> float | None:
    """Return the lowest usable value."""
    usable = values[np.isfinite(values)]
    return float(usable.min()) if usable.size else None


def highest(values: FloatArray) -> float | None:
    """Return the highest usable value."""
    usable = values[np.isfinite(values)]
    return float(usable.max()) if usable.size else None


def quantiles(values: FloatArray, *shares: float) -> list[float | None]:
    """Return the values that `shares` (0 to 1) of the usable values lie below."""
    usable = values[np.isfinite(values)]
    if not usable.size:
        return [None] * len(shares)
    found: list[float | None] = np.quantile(usable, shares).tolist()
    return found


def total(values: FloatArray) -> float | None:
    """Return the sum of the usable values."""
    usable = values[np.isfinite(values)]
    return float(usable.sum()) if usable.size else None

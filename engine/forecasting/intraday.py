"""Correction of a forecast by what the last hour showed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS_LOOKED_BACK = 4

DEFAULT_TAU_HOURS = 2.0

TAU_CANDIDATES_HOURS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)

_LEADS = 32
"""Quarter-hours (8 h) after which the last hour says nothing more (notes/forecasting 4.3)."""

_FEWEST_DAYS = 10

_NEAREST_SHRINK = 0.5
"""Width of P10..P90 just after a measurement while nothing better is learnt: half."""


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


def decaying_ratio(
    measured: NDArray[np.float64],
    predicted: NDArray[np.float64],
    n: int,
    tau_hours: float,
) -> NDArray[np.float64]:
    """Return the multiplicative correction of the next `n` quarter-hours, for PV.

    Clouds scale the sun, so the ratio of the last hour decays instead of its difference;
    arguments as in `decaying_offset`. Ones when next to nothing was expected (night).
    """
    both = np.isfinite(measured) & np.isfinite(predicted)
    expected = float(predicted[both].sum())
    if expected < 1.0:
        return np.ones(n)
    ratio = min(3.0, max(0.0, float(measured[both].sum()) / expected))
    lead_hours = (np.arange(n) + 0.5) * 0.25
    return np.asarray(1.0 + (ratio - 1.0) * np.exp(-lead_hours / tau_hours), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class IntradayRule:
    """How fast the last hour's residual decays, and how much narrower the future is for it.

    Attributes:
        tau_hours: Time constant of `decaying_offset`.
        shrink: Width of P10..P90 after the correction over the width before, per lead in
            quarter-hours; shape (m,), 1 beyond.
        fitted: Whether both were learnt from the site's own residuals.
    """

    tau_hours: float
    shrink: NDArray[np.float64]
    fitted: bool

    def width_factors(self, leads: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the factor on the width at the given leads in quarter-hours (0: the next)."""
        out = np.ones(leads.size)
        near = (leads >= 0) & (leads < self.shrink.size)
        out[near] = self.shrink[leads[near]]
        return out


def default_rule(tau_hours: float = DEFAULT_TAU_HOURS) -> IntradayRule:
    """Return the rule used while too few residuals are known."""
    lead_hours = (np.arange(_LEADS) + 0.5) * 0.25
    return IntradayRule(tau_hours, 1.0 - _NEAREST_SHRINK * np.exp(-lead_hours / tau_hours), False)


def learn_rule(residuals: NDArray[np.float64], tau_hours: float | None = None) -> IntradayRule:
    """Return the rule that would have served the past days best.

    Args:
        residuals: Truth minus uncorrected forecast, one row per day, shape (days, 96);
            NaN where unknown.
        tau_hours: A fixed time constant; None picks the one of least squared error among
            `TAU_CANDIDATES_HOURS`.
    """
    days = residuals[np.isfinite(residuals).all(axis=1)] if residuals.size else residuals
    if len(days) < _FEWEST_DAYS:
        return default_rule(tau_hours or DEFAULT_TAU_HOURS)
    # Mean of the hour before each quarter-hour t, for t = 4 .. 95.
    sums = np.cumsum(np.pad(days, ((0, 0), (1, 0))), axis=1)
    last_hour = (sums[:, 4:96] - sums[:, :92]) / 4.0
    cross, own, target = np.empty(_LEADS), np.empty(_LEADS), np.empty(_LEADS)
    for k in range(_LEADS):
        seen, then = last_hour[:, : 92 - k], days[:, 4 + k : 96]
        cross[k], own[k], target[k] = (seen * then).sum(), (seen**2).sum(), (then**2).sum()
    lead_hours = (np.arange(_LEADS) + 0.5) * 0.25

    def squared(tau: float) -> NDArray[np.float64]:
        decay = np.exp(-lead_hours / tau)
        return np.asarray(target - 2.0 * decay * cross + decay**2 * own)

    if tau_hours is None:
        tau_hours = min(TAU_CANDIDATES_HOURS, key=lambda tau: float(squared(tau).sum()))
    ratio = np.sqrt(np.clip(squared(tau_hours), 0.0, None) / np.maximum(target, 1e-12))
    return IntradayRule(tau_hours, np.clip(np.maximum.accumulate(ratio), 0.1, 1.0), True)

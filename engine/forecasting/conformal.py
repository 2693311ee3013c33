"""P10 and P90 around a point forecast, from its own errors at past origins.

Split conformal prediction: the empirical quantiles of past residuals, at a level raised by
(n + 1) / n for the finite number n of origins (Vovk et al., Algorithmic Learning in a Random
World, 2005). Measured in notes/forecasting 4.2 and 4.3: nearer to the nominal 80 % than the
quantile models and Prophet's own intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.forecast import FloatArray
from engine.forecasting.day_table import QUARTERS

NOMINAL_HIGH = 0.9

FEWEST_ORIGINS = 5
"""Below it there is nothing to learn a width from and the stated default is used."""


@dataclass(frozen=True, slots=True)
class WidthRule:
    """How residuals are pooled and what is used while there are too few.

    Attributes:
        origins: Past origins looked at.
        full_origins: From this number on the widths are used as they are.
        half_window: Quarter-hours to either side pooled with each one; 0 with `block`.
        block: Quarter-hours of a block pooled together; 0 with `half_window`.
        default_low_share: P10 as a share of P50 while nothing is known (load, PV).
        default_high_share: P90 likewise.
        default_width: Absolute half-width while nothing is known (price, EUR/kWh).
    """

    origins: int
    full_origins: int
    half_window: int = 0
    block: int = 0
    default_low_share: float = 1.0
    default_high_share: float = 1.0
    default_width: float = 0.0


LOAD_RULE = WidthRule(28, 20, block=8, default_low_share=0.5, default_high_share=1.7)
PRICE_RULE = WidthRule(60, 30, half_window=6, default_width=0.06)
PV_RULE = WidthRule(28, 20, block=8, default_low_share=0.2, default_high_share=1.8)

SCARCE_FACTOR = 1.3
"""Widening while there are some origins, but fewer than `WidthRule.full_origins`."""


@dataclass(frozen=True, slots=True, eq=False)
class Widths:
    """Offsets of P10 and P90 from P50 per quarter-hour of wall time, shape (96,) each.

    Attributes:
        low: Offset of P10, usually negative; None for the default of the rule.
        high: Offset of P90; None likewise.
        note: Where the widths come from, for the operator.
    """

    low: FloatArray | None
    high: FloatArray | None
    note: str


def learn_widths(residuals: FloatArray, rule: WidthRule) -> Widths:
    """Return the offsets learnt from residuals (truth - forecast) of past origins.

    Args:
        residuals: Shape (origins, 96), NaN where the truth is not known.
        rule: How to pool them.
    """
    known = np.isfinite(residuals)
    n = int((known.mean(axis=1) > 0.5).sum()) if residuals.size else 0
    if n < FEWEST_ORIGINS:
        return Widths(None, None, "P10/P90 at default widths, too few past forecasts")
    level = min(1.0, NOMINAL_HIGH * (1.0 + 1.0 / n))
    low, high = np.empty(QUARTERS), np.empty(QUARTERS)
    every = residuals[known]
    for slots in _pools(rule):
        pool = residuals[:, slots.pooled]
        values = pool[np.isfinite(pool)]
        if values.size < FEWEST_ORIGINS:
            values = every
        low[slots.served], high[slots.served] = np.quantile(values, [1.0 - level, level])
    if n < rule.full_origins:
        return Widths(
            low * SCARCE_FACTOR,
            high * SCARCE_FACTOR,
            f"P10/P90 widened, only {n} past forecasts",
        )
    return Widths(low, high, f"P10/P90 from {n} past forecasts")


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    served: slice
    pooled: np.ndarray


def _pools(rule: WidthRule) -> list[_Pool]:
    if rule.block:
        return [
            _Pool(slice(a, a + rule.block), np.arange(a, min(QUARTERS, a + rule.block)))
            for a in range(0, QUARTERS, rule.block)
        ]
    # Whole hours are served at once; the window wraps around midnight.
    return [
        _Pool(slice(a, a + 4), np.arange(a - rule.half_window + 2, a + rule.half_window + 2) % 96)
        for a in range(0, QUARTERS, 4)
    ]


def apply_widths(
    p50: FloatArray, slots: np.ndarray, widths: Widths, rule: WidthRule, shrink: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (p10, p90) of steps at the given wall-time slots.

    Args:
        p50: Point forecast, shape (n,).
        slots: Quarter-hour of wall time of each step, shape (n,).
        widths: What was learnt, or not.
        rule: Defaults while nothing is learnt.
        shrink: Factor on the width per step, 0..1, shape (n,): small near a measurement.
    """
    if widths.low is None or widths.high is None:
        low = p50 * (rule.default_low_share - 1.0) - rule.default_width
        high = p50 * (rule.default_high_share - 1.0) + rule.default_width
    else:
        low, high = widths.low[slots], widths.high[slots]
    return p50 + np.minimum(low, 0.0) * shrink, p50 + np.maximum(high, 0.0) * shrink

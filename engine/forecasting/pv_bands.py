"""P10 and P90 of PV forecasts from the forecaster's own past errors (split conformal).

Errors are taken relative to the cloudless power of their step and sorted by lead time, by
height of the sun and by how clear the sky was said to be; the quantiles of the matching errors
are laid around a new forecast. Published intervals of quantile models cover 58 to 68 % of a
nominal 80 (notes/forecasting 5.1, 4.2); errors of one's own past do what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import sorted_quantiles
from engine.forecasting.pv_intraday import decay, last_hour_ratios

FloatArray = NDArray[np.float64]

LEAD_EDGES_H = (1.0, 3.0, 6.0, 24.0)
"""Borders of the lead-time classes: up to 1 h, 3 h, 6 h, 24 h, and beyond."""

LEAD_STARTS_H = (0.0, *LEAD_EDGES_H)
_REPLAYED_STEPS = (2, 8, 18, None, None)
_SUN_EDGES = (0.15, 0.5)
_SKY_EDGES = (0.35, 0.7)
_DARK_SHARE = 0.01
_MIN_SAMPLES = 120
_MIN_DAYS = 20
_NOMINAL = 0.8

ASSUMED_LOW = (-0.26, -0.33, -0.42, -0.47, -0.48)
ASSUMED_HIGH = (0.24, 0.33, 0.40, 0.40, 0.40)


@dataclass(frozen=True, slots=True, eq=False)
class PvBands:
    """Distances of P10 and P90 from the median.

    Attributes:
        low: P10 minus forecast over cloudless power, by lead, sun and sky class; (5, 3, 3).
        high: The same for P90.
        scale_kw: Size of the plant; ranks the height of the sun by its cloudless power.
        basis: Where the distances come from, in words.
    """

    low: FloatArray
    high: FloatArray
    scale_kw: float
    basis: str

    def around(
        self, p50_kw: FloatArray, clear_kw: FloatArray, lead_hours: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (p10, p50, p90) of shape (n,), ordered and >= 0.

        Args:
            p50_kw: Forecast.
            clear_kw: Cloudless power of the same steps.
            lead_hours: Time from now to the middle of each step.
        """
        lead = np.searchsorted(LEAD_EDGES_H, lead_hours, side="right")
        sun, sky = _classes(p50_kw, clear_kw, self.scale_kw)
        p10 = p50_kw + self.low[lead, sun, sky] * clear_kw
        p90 = p50_kw + self.high[lead, sun, sky] * clear_kw
        low, middle, high = sorted_quantiles(np.maximum(p10, 0.0), p50_kw, np.maximum(p90, 0.0))
        return low, middle, high


def assumed_bands(scale_kw: float, narrower: float = 1.0) -> PvBands:
    """Return the widths used until a site has errors of its own.

    They are the pooled error quantiles of clear-sky persistence on the recorded demo site (AEW,
    130 days, four origins a day, 48 h each); `narrower` scales them for better forecasts.
    """
    shape = (len(LEAD_STARTS_H), len(_SUN_EDGES) + 1, len(_SKY_EDGES) + 1)
    low = np.broadcast_to(np.array(ASSUMED_LOW)[:, None, None] * narrower, shape)
    high = np.broadcast_to(np.array(ASSUMED_HIGH)[:, None, None] * narrower, shape)
    return PvBands(low, high, scale_kw, "assumed widths, no errors of its own yet")


def replayed_by_lead(
    measured_kw: FloatArray,
    predicted_kw: Callable[[float], FloatArray],
    scale_kw: float,
    tau_hours: float,
) -> list[FloatArray]:
    """Return what would have been forecast for each past step, one series per lead class.

    Args:
        measured_kw: Measured means that the intraday correction would have seen; shape (n,).
        predicted_kw: Uncorrected forecast of the past steps made at least so many hours ahead.
        scale_kw: Size of the plant.
        tau_hours: Time constant of the intraday correction.
    """
    out = []
    for hours, steps in zip(LEAD_STARTS_H, _REPLAYED_STEPS, strict=True):
        predicted = predicted_kw(hours)
        if steps is not None:
            ratios = last_hour_ratios(measured_kw, predicted, scale_kw)
            ratio = np.ones(predicted.size)
            ratio[steps:] = ratios[: -steps - 1]
            predicted = predicted * decay((steps + 0.5) * 0.25, ratio, tau_hours)
        out.append(predicted)
    return out


def learn_bands(
    measured_kw: FloatArray,
    by_lead_kw: Sequence[FloatArray],
    clear_kw: FloatArray,
    scale_kw: float,
    fallback: PvBands,
) -> PvBands:
    """Learn the distances from past errors.

    A class with fewer than 120 errors borrows from all skies of its sun class, then from all
    suns of its lead class, then from `fallback`.

    Args:
        measured_kw: Measured means, NaN where unknown or not to be learnt from; shape (n,).
        by_lead_kw: Forecasts of them, one series per lead class (see `replayed_by_lead`).
        clear_kw: Cloudless power, same shape.
        scale_kw: Size of the plant.
        fallback: Distances where there are too few errors.
    """
    light = np.isfinite(measured_kw) & (clear_kw > _DARK_SHARE * scale_kw)
    low, high = np.array(fallback.low), np.array(fallback.high)
    days = 0.0
    learnt = 0
    for lead, predicted in enumerate(by_lead_kw):
        usable = light & np.isfinite(predicted)
        covered = np.unique(np.flatnonzero(usable) // 96).size
        if covered < _MIN_DAYS:
            continue
        days = max(days, covered)
        error = (measured_kw[usable] - predicted[usable]) / clear_kw[usable]
        sun, sky = _classes(predicted[usable], clear_kw[usable], scale_kw)
        if error.size < _MIN_SAMPLES:
            continue
        learnt += 1
        for i in range(len(_SUN_EDGES) + 1):
            same_sun = sun == i
            for j in range(len(_SKY_EDGES) + 1):
                for chosen in (same_sun & (sky == j), same_sun, np.ones(error.size, dtype=bool)):
                    if chosen.sum() >= _MIN_SAMPLES:
                        low[lead, i, j], high[lead, i, j] = _conformal(error[chosen])
                        break
    if not learnt:
        return fallback
    rest = "" if learnt == len(LEAD_STARTS_H) else ", longer leads assumed"
    return PvBands(low, high, scale_kw, f"own errors of {days:.0f} days{rest}")


def _classes(
    p50_kw: FloatArray, clear_kw: FloatArray, scale_kw: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    sun = np.searchsorted(_SUN_EDGES, clear_kw / scale_kw)
    clearness = np.zeros(p50_kw.size)
    np.divide(p50_kw, clear_kw, out=clearness, where=clear_kw > 0)
    return sun, np.searchsorted(_SKY_EDGES, clearness)


def _conformal(error: FloatArray) -> tuple[float, float]:
    """Return the (n+1)-corrected lower and upper quantile of the errors (Vovk et al. 2005)."""
    n = error.size
    upper = min(1.0, np.ceil((n + 1) * (1 + _NOMINAL) / 2) / n)
    return float(np.quantile(error, 1.0 - upper)), float(np.quantile(error, upper))

"""What a site's own measurements say about its PV model: factors per slot, learned residual.

Learning on the site's measurements is worth more than the choice of the weather variable
(notes/forecasting 5.1). Curtailed quarter-hours and days of snow or outage are never learnt.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import ForecastError
from engine.domain.quarter_hour import STEP
from engine.forecasting.pv_days import SLOTS, SolarDays
from engine.forecasting.pv_residual import PvResidual, fit_residual

FloatArray = NDArray[np.float64]

CALIBRATION_DAYS = 180
MIN_DAYS_PER_SLOT = 30
MIN_DAYS_SCALE = 3
MIN_DAYS_RESIDUAL = 60

_DAYLIGHT_SHARE = 0.02
_MIN_STEPS_PER_DAY = 8
_SHRINKAGE_DAYS = 3.0
_DEAD_DAY_RATIO = 0.08
_DEAD_DAY_HOURS = 0.3


class ModelledPast(Protocol):
    """The site's archive of what `pv_power_kw` made of past weather forecasts, uncalibrated.

    The uncalibrated value is kept so that a calibration never learns from itself.
    """

    def means(self, start: datetime, end: datetime, min_lead_hours: float) -> FloatArray:
        """Return the modelled power of ``[start, end)``; NaN where there is none; shape (n,).

        For each step the newest vintage counts that was issued at least `min_lead_hours`
        before the step began.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ModelledRun:
    """Uncalibrated model output of one weather forecast, to be archived.

    Attributes:
        issued_at: When the weather forecast was obtained, UTC.
        start: Start of the first step, UTC.
        power_kw: Modelled power, NaN where the weather said nothing; shape (n,).
    """

    issued_at: datetime
    start: datetime
    power_kw: FloatArray


class ModelledRuns:
    """A `ModelledPast` over runs held in memory."""

    def __init__(self, runs: Iterable[ModelledRun] = ()) -> None:
        self._runs = sorted(runs, key=_issued_at)

    def add(self, run: ModelledRun) -> None:
        """Archive one more run."""
        insort(self._runs, run, key=_issued_at)

    def means(self, start: datetime, end: datetime, min_lead_hours: float) -> FloatArray:
        """Return the newest old-enough vintage of each step (see `ModelledPast`)."""
        out = np.full(max(0, (end - start) // STEP), np.nan)
        for run in self._runs:
            if run.start >= end or run.start + run.power_kw.size * STEP <= start:
                continue
            first = (run.start - start) // STEP
            steps = first + np.arange(run.power_kw.size)
            lead_hours = ((run.start - run.issued_at) / STEP + np.arange(run.power_kw.size)) / 4.0
            chosen = (steps >= 0) & (steps < out.size) & (lead_hours >= min_lead_hours)
            chosen &= np.isfinite(run.power_kw)
            out[steps[chosen]] = run.power_kw[chosen]
        return out


def _issued_at(run: ModelledRun) -> datetime:
    return run.issued_at


@dataclass(frozen=True, slots=True, eq=False)
class PvCalibration:
    """Correction of a PV model.

    Attributes:
        factors: Multiplier per slot of the solar day; shape (96,).
        residual: Learned residual on top, or None.
        days: How slots are counted.
        basis: What it was learnt from, in words.
    """

    factors: FloatArray
    residual: PvResidual | None
    days: SolarDays
    basis: str

    def apply(self, start: datetime, modelled_kw: FloatArray, clear_kw: FloatArray) -> FloatArray:
        """Return calibrated power of the steps from `start`; NaN stays NaN; kW >= 0, (n,)."""
        factors = self.factors[self.days.slots(start, modelled_kw.size)]
        power = factors * modelled_kw
        if self.residual is not None:
            power = power + self.residual.power_kw(start, modelled_kw, clear_kw)
        return np.asarray(np.maximum(power, 0.0))


def fit_calibration(
    start: datetime,
    measured_kw: FloatArray,
    modelled_kw: FloatArray,
    clear_kw: FloatArray,
    *,
    days: SolarDays,
    peak_kw: float,
) -> PvCalibration:
    """Fit the correction of a PV model from pairs of the past.

    With at least 30 days of pairs a factor per slot by least squares, shrunk towards the
    overall scale as if three average days had shown that; with 3 days one scale, shrunk
    towards 1 by one day; else 1. From 60 days on a residual is learnt, and used when it
    proves itself on days held out (see `fit_residual`).

    Args:
        start: Start of the first step, UTC, at the beginning of a solar day.
        measured_kw: Measured means, NaN where unknown or curtailed; shape (96 x days,).
        modelled_kw: Modelled means of the same steps, NaN where none was archived.
        clear_kw: Modelled cloudless power of the same steps.
        days: How slots are counted.
        peak_kw: Installed power.

    Raises:
        ForecastError: When the arrays are not whole days.
    """
    if measured_kw.size % SLOTS or days.start_of(start) != start:
        raise ForecastError("A calibration needs whole solar days.", field="start", value=start)
    usable = np.isfinite(measured_kw) & np.isfinite(modelled_kw)
    usable &= modelled_kw > _DAYLIGHT_SHARE * peak_kw
    usable &= ~np.repeat(dead_days(measured_kw, modelled_kw, peak_kw), SLOTS)
    n_days = int((usable.reshape(-1, SLOTS).sum(axis=1) >= _MIN_STEPS_PER_DAY).sum())
    if n_days < MIN_DAYS_SCALE:
        basis = f"not calibrated, {n_days} days of pairs"
        return PvCalibration(np.ones(SLOTS), None, days, basis)
    x = np.where(usable, modelled_kw, 0.0).reshape(-1, SLOTS)
    y = np.where(usable, measured_kw, 0.0).reshape(-1, SLOTS)
    xx, xy = (x * x).sum(axis=0), (x * y).sum(axis=0)
    if n_days < MIN_DAYS_PER_SLOT:
        one_day = float(xx.sum()) / n_days
        scale = float((xy.sum() + one_day) / (xx.sum() + one_day))
        return PvCalibration(np.full(SLOTS, scale), None, days, f"one scale from {n_days} days")
    scale = float(xy.sum() / xx.sum())
    weight = _SHRINKAGE_DAYS * float((x[usable.reshape(-1, SLOTS)] ** 2).mean())
    factors = (xy + weight * scale) / (xx + weight)
    slots = PvCalibration(factors, None, days, f"slot factors from {n_days} days")
    if n_days < MIN_DAYS_RESIDUAL:
        return slots
    truth = np.where(usable, measured_kw, np.nan)
    base = slots.apply(start, modelled_kw, clear_kw)
    residual = fit_residual(start, truth, base, modelled_kw, clear_kw, days=days)
    if residual is None:
        return slots
    return PvCalibration(factors, residual, days, f"{slots.basis} + learned residual")


def dead_days(
    measured_kw: FloatArray, modelled_kw: FloatArray, peak_kw: float
) -> NDArray[np.bool_]:
    """Return which days look like snow or an outage: almost nothing where the model saw sun.

    A day is dead when it brought less than 8 % of what the other days bring per modelled kWh,
    although at least 0.3 full-load hours were modelled.

    Args:
        measured_kw: Measured means, NaN where unknown; shape (96 x days,).
        modelled_kw: Modelled means, same shape.
        peak_kw: Installed power.

    Returns:
        Mask of shape (days,).
    """
    both = np.isfinite(measured_kw) & np.isfinite(modelled_kw)
    measured = np.where(both, measured_kw, 0.0).reshape(-1, SLOTS).sum(axis=1)
    modelled = np.where(both, modelled_kw, 0.0).reshape(-1, SLOTS).sum(axis=1)
    bright = modelled * 0.25 > _DEAD_DAY_HOURS * peak_kw
    if not bright.any():
        return np.zeros(bright.shape, dtype=np.bool_)
    ratio = measured / np.where(bright, modelled, 1.0)
    # A winter under snow may hold more dead days than live ones: compare with the better half.
    usual = float(np.quantile(ratio[bright], 0.75))
    return np.asarray(bright & (ratio < _DEAD_DAY_RATIO * usual))

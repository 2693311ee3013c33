"""What control between plans needs to keep the plan's own view of prices and peaks."""

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray, PlanSteering
from engine.optimization.instance import Instance
from engine.optimization.solution import Solution
from engine.optimization.terms import BilledPeak


def _held_kw(peak: BilledPeak, grid_kw: FloatArray) -> float:
    return max(peak.floor_kw, peak.peak_kw(np.maximum(grid_kw, 0.0)))


def peak_caps_kw(instance: Instance, grid_kw: FloatArray) -> FloatArray:
    """Return the import per step up to which no further demand charge arises, shape (n,).

    Infinite where no charged peak bills the step; the lowest of several peaks otherwise.
    """
    caps = np.full(instance.n_steps, np.inf)
    for peak in instance.peaks:
        if peak.charge_eur_per_kw > 0.0:
            held = np.where(peak.billed, _held_kw(peak, grid_kw), np.inf)
            caps = np.minimum(caps, held)
    return caps


def current_peak_kw(instance: Instance, solution: Solution) -> float | None:
    """Return the import level held in the current billing period, None without a charge.

    The current period is the one that bills the earliest step.
    """
    charged = [peak for peak in instance.peaks if peak.charge_eur_per_kw > 0.0]
    if not charged:
        return None
    return _held_kw(min(charged, key=lambda peak: int(np.argmax(peak.billed))), solution.grid_kw)


def steering_of(instance: Instance, grid_kw: FloatArray) -> PlanSteering:
    """Return what control between plans needs, as the strategy of `instance` saw it.

    Args:
        instance: The problem as the strategy saw it.
        grid_kw: Planned grid power, + import, shape (n,).
    """
    dearest = max((peak.charge_eur_per_kw for peak in instance.peaks), default=0.0)
    return PlanSteering(
        buy_eur_per_kwh=instance.buy_eur_per_kwh,
        sell_eur_per_kwh=instance.sell_eur_per_kwh - instance.export_premium_eur_per_kwh,
        smoothing_eur_per_kwh=instance.smoothing_eur_per_kwh,
        smoothing_reference_kw=instance.smoothing_reference_kw,
        peak_cap_kw=peak_caps_kw(instance, grid_kw),
        peak_price_eur_per_kwh=dearest / instance.step_hours,
        grid_charge_allowed=instance.grid_charge_allowed,
        battery_export_allowed=instance.battery_export_allowed,
    )

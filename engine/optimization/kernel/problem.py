"""An instance as the kernel takes it: arrays of numbers, and what does not fit said so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.coefficients import Coefficients, WishPrices, coefficients, wish_prices
from engine.optimization.exactness import find_candidates
from engine.optimization.instance import Instance
from engine.optimization.kernel import convex, stage
from engine.optimization.shape import charged_peaks
from engine.optimization.terms import BilledPeak, BoolArray

MOST_PEAKS_PER_STEP = stage.KINKS // 2
"""Each peak takes two kinks where the search bounds it from both sides."""

PEAK_EXCESS = 2.0
"""Price of a kW above the peak under search, in demand charges. Any factor above 1 is exact:
raising the peak by the excess costs one charge and saves more."""


@dataclass(frozen=True, slots=True, eq=False)
class EndList:
    """Cost of the energy left at the end: ascending slopes, beyond the window on both sides."""

    slopes: FloatArray
    widths: FloatArray
    left_kwh: float
    value_eur: float

    def cost_eur(self, energy_kwh: float) -> float:
        """Return the cost of ending at `energy_kwh`."""
        cost, at = self.value_eur, self.left_kwh
        for slope, width in zip(self.slopes, self.widths, strict=True):
            cost += float(slope) * min(max(energy_kwh - at, 0.0), float(width))
            at += float(width)
        return cost


@dataclass(frozen=True, slots=True, eq=False)
class KernelProblem:
    """One planning problem in the kernel's numbers.

    Attributes:
        rows: Steps, shape (n, COLUMNS) of `stage`; without peaks.
        numbers: Common numbers, shape (NUMBERS,).
        states: What ending a step costs, shape (n, STATE_COLUMNS) of `convex`.
        end: Cost of the energy left.
        energy_kwh: Stored energy at the start.
        peaks: Demand charges above 0.
        slots: Which pair of kinks each peak has, one number per peak.
        prices: Prices of wishes.
        standby_drains: An idle store would leave the window: the kernel holds it and checks
            afterwards that leaving would not have paid.
        starts_below: The store starts below its window: the price of going deeper is left out
            and it is checked afterwards that the plan never does.
        bounds: The model's bounds for the same instance.
    """

    rows: FloatArray
    numbers: FloatArray
    states: FloatArray
    end: EndList
    energy_kwh: float
    peaks: tuple[BilledPeak, ...]
    slots: tuple[int, ...]
    prices: WishPrices
    standby_drains: bool
    starts_below: bool
    bounds: Coefficients


def unsupported(instance: Instance) -> str | None:
    """Return what the kernel has no form for, None when it takes the instance.

    A ramp ties the grid power of neighbouring steps together; more than two demand charges on
    one step are not foreseen; and an empty store that cannot cover its standby is left to the
    model of record.
    """
    if instance.ramp_eur_per_kw > 0.0:
        return "ramp"
    if _slots(charged_peaks(instance)) is None:
        return "more than two demand charges on one step"
    drained_kwh = instance.standby_loss_kw * instance.step_hours
    if instance.energy_start_kwh < instance.energy_min_kwh and drained_kwh > 0.0:
        return "start below the window with standby consumption"
    return None


def highest_peaks_kw(problem: KernelProblem) -> FloatArray:
    """Return for each peak a kW more than any plan imports, and at least its floor."""
    rows = problem.rows
    most_kw = np.minimum(
        rows[:, stage.IMPORT_MOST],
        rows[:, stage.NET] + rows[:, stage.CHARGE] + rows[:, stage.SMAX],
    )
    return np.array(
        [max(peak.floor_kw, float(most_kw[peak.billed].max()) + 1.0) for peak in problem.peaks]
    )


def _slots(peaks: tuple[BilledPeak, ...]) -> tuple[int, ...] | None:
    """Return a pair of kinks for each peak so that no step has two peaks in one pair."""
    slots: list[int] = []
    for index, peak in enumerate(peaks):
        taken = {
            slots[other]
            for other in range(index)
            if bool(np.any(peaks[other].billed & peak.billed))
        }
        free = [slot for slot in range(MOST_PEAKS_PER_STEP) if slot not in taken]
        if not free:
            return None
        slots.append(free[0])
    return tuple(slots)


def problem_of(instance: Instance) -> KernelProblem:
    """Return the arrays of `instance`, which must not be `unsupported`."""
    candidates = find_candidates(instance)
    bounds = coefficients(instance, candidates)
    prices = wish_prices(instance)
    peaks = charged_peaks(instance)
    slots = _slots(peaks)
    assert slots is not None
    states, drains, below = _states(instance, bounds, prices)
    return KernelProblem(
        rows=_rows(instance, candidates.battery),
        numbers=numbers_of(instance, prices),
        states=states,
        end=end_list(instance, prices),
        energy_kwh=instance.energy_start_kwh,
        peaks=peaks,
        slots=slots,
        prices=prices,
        standby_drains=drains,
        starts_below=below,
        bounds=bounds,
    )


def numbers_of(instance: Instance, prices: WishPrices) -> FloatArray:
    """Return the numbers common to all steps, shape (NUMBERS,)."""
    numbers = np.zeros(stage.NUMBERS)
    numbers[stage.HOURS] = instance.step_hours
    numbers[stage.ETA_CHARGE] = instance.eta_charge
    numbers[stage.ETA_DISCHARGE] = instance.eta_discharge
    numbers[stage.WEAR_CHARGE] = instance.wear_charge_eur_per_kwh
    numbers[stage.WEAR_DISCHARGE] = instance.wear_discharge_eur_per_kwh
    numbers[stage.PREMIUM] = instance.export_premium_eur_per_kwh
    numbers[stage.LIMIT] = prices.grid_limit_eur_per_kwh
    numbers[stage.SMOOTHING] = instance.smoothing_eur_per_kwh
    numbers[stage.STANDBY] = instance.standby_loss_kw * instance.step_hours
    return numbers


def _rows(instance: Instance, decided: BoolArray) -> FloatArray:
    rows = np.zeros((instance.n_steps, stage.COLUMNS))
    load, pv = instance.load_kw, instance.pv_kw
    deficit, surplus = np.maximum(load - pv, 0.0), np.maximum(pv - load, 0.0)
    may_curtail = instance.curtailment_allowed
    rows[:, stage.NET] = load - pv
    rows[:, stage.SMAX] = pv if may_curtail else 0.0
    rows[:, stage.BUY] = instance.buy_eur_per_kwh
    rows[:, stage.SELL] = instance.sell_eur_per_kwh - instance.export_premium_eur_per_kwh
    rows[:, stage.IMPORT] = instance.import_limit_kw
    rows[:, stage.IMPORT_MOST] = np.maximum(instance.import_limit_kw, deficit)
    rows[:, stage.EXPORT] = instance.export_limit_kw
    rows[:, stage.EXPORT_MOST] = np.maximum(
        instance.export_limit_kw, 0.0 if may_curtail else surplus
    )
    charge, discharge = instance.charge_limit_kw.copy(), instance.discharge_limit_kw.copy()
    rules = np.zeros(instance.n_steps)
    # With surplus PV power that may be given away to import or to make room, the rules need the
    # site's direction (`exactness`); elsewhere they are limits.
    direct = decided & (surplus > 0.0) & may_curtail
    if not instance.grid_charge_allowed:
        charge = np.minimum(charge, surplus)
        rules += np.where(direct, 1.0, 0.0)
    if not instance.battery_export_allowed:
        discharge = np.where((surplus > 0.0) & ~direct, 0.0, discharge)
        rows[:, stage.DIRECTION] = np.where(surplus > 0.0, 0.0, 1.0)
        rules += np.where(direct, 2.0, 0.0)
    rows[:, stage.CHARGE], rows[:, stage.DISCHARGE] = charge, discharge
    rows[:, stage.RULES] = rules
    if instance.smoothing_reference_kw is not None:
        rows[:, stage.REFERENCE] = instance.smoothing_reference_kw
    return rows


def _states(
    instance: Instance, bounds: Coefficients, prices: WishPrices
) -> tuple[FloatArray, bool, bool]:
    hours = instance.step_hours
    states = np.zeros((instance.n_steps, convex.STATE_COLUMNS))
    low, high = instance.energy_min_kwh, instance.energy_max_kwh
    states[:, convex.LOW], states[:, convex.HIGH] = low, high
    outside = hours * prices.outside_window_eur_per_kwh_h
    below = instance.energy_start_kwh < low
    if below:
        states[:, convex.LOW] = bounds.energy_low_kwh
        states[:, convex.FLOOR], states[:, convex.FLOOR_PRICE] = low, outside
        states[-1, convex.FLOOR_PRICE] += prices.final_eur_per_kwh
    if instance.energy_start_kwh > high:
        states[:, convex.HIGH] = bounds.energy_high_kwh
        states[:, convex.CEILING], states[:, convex.CEILING_PRICE] = high, outside
        states[-1, convex.CEILING_PRICE] += prices.final_eur_per_kwh
    if instance.energy_reserve_kwh is not None:
        states[:, convex.RESERVE] = instance.energy_reserve_kwh
        states[:, convex.RESERVE_PRICE] = hours * instance.reserve_eur_per_kwh_h
    drains = not below and bool(bounds.energy_low_kwh[-1] < low)
    return states, drains, below


def end_list(instance: Instance, prices: WishPrices) -> EndList:
    """Return the cost of the energy left: end value, terminal curve, missing final energy."""
    reach = max(instance.energy_max_kwh, instance.energy_start_kwh) + 1.0
    edges = [-1.0, reach]
    curve, final = instance.terminal_curve, instance.energy_final_min_kwh
    if curve is not None:
        edges += [edge for edge in curve.breakpoints_kwh.tolist() if edge < reach]
    if final is not None:
        edges.append(final)
    corners = np.unique(edges)
    middles = 0.5 * (corners[:-1] + corners[1:])
    slopes = np.full(middles.size, -instance.terminal_value_eur_per_kwh)
    value = instance.terminal_value_eur_per_kwh
    if curve is not None:
        piece = np.searchsorted(curve.breakpoints_kwh, middles)
        slopes -= curve.marginals_eur_per_kwh[piece]
        value += float(curve.marginals_eur_per_kwh[0])
    if final is not None:
        slopes -= np.where(middles < final, prices.final_eur_per_kwh, 0.0)
        value += prices.final_eur_per_kwh * (final + 1.0)
    return EndList(slopes, np.diff(corners), -1.0, value)

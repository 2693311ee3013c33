"""From the model's flows to an answer: one direction per step, replayed energy, costs."""

from __future__ import annotations

import numpy as np

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.baseline import baseline_cost_eur
from engine.optimization.instance import Instance
from engine.optimization.outcome import Flows, Outcome
from engine.optimization.settlement import costs_of, reserve_missing_kwh
from engine.optimization.solution import Solution

REPORTED = 1e-5
"""Smallest amount (kW or kWh) by which a wish is said to have given way."""

EXACT_GAP = 1e-7
"""A relative gap below the solver's own feasibility tolerance is rounding and stated as 0."""

ROUNDING_KW = 1e-9
"""Powers below this are rounding of the solver and stated as 0."""


def _stored_kwh(instance: Instance, charge_kw: FloatArray, discharge_kw: FloatArray) -> FloatArray:
    hours = instance.step_hours
    moved_kwh = hours * (instance.eta_charge * charge_kw - discharge_kw / instance.eta_discharge)
    standby_kwh = hours * instance.standby_loss_kw
    soc_kwh = np.empty(instance.n_steps)
    energy_kwh = instance.energy_start_kwh
    for step, change_kwh in enumerate(moved_kwh):
        # An empty store has nothing left for its standby consumption.
        energy_kwh = max(energy_kwh + change_kwh - standby_kwh, 0.0)
        soc_kwh[step] = energy_kwh
    return soc_kwh


def _gave_way(
    instance: Instance,
    grid_kw: FloatArray,
    soc_kwh: FloatArray,
    charge_kw: FloatArray,
    discharge_kw: FloatArray,
) -> dict[str, float]:
    hours = instance.step_hours
    ideal_change_kwh = hours * (
        instance.eta_charge * charge_kw
        - discharge_kw / instance.eta_discharge
        - instance.standby_loss_kw
    )
    change_kwh = np.diff(soc_kwh, prepend=instance.energy_start_kwh)
    amounts = {
        "import_limit_kw": float((grid_kw - instance.import_limit_kw).max()),
        "export_limit_kw": float((-grid_kw - instance.export_limit_kw).max()),
        "energy_min_kwh": instance.energy_min_kwh - float(soc_kwh.min()),
        "energy_max_kwh": float(soc_kwh.max()) - instance.energy_max_kwh,
        "energy_final_min_kwh": (instance.energy_final_min_kwh or 0.0) - float(soc_kwh[-1]),
        "energy_reserve_kwh": float(reserve_missing_kwh(instance, soc_kwh).max()),
        "standby_kwh": float((change_kwh - ideal_change_kwh).sum()),
    }
    return {name: amount for name, amount in amounts.items() if amount > REPORTED}


def solution_from(
    instance: Instance,
    flows: Flows,
    outcome: Outcome,
    *,
    bound_eur: float,
    complete: bool,
    solver: str,
    solve_ms: float,
) -> Solution:
    """Return the answer that the model's flows amount to.

    Args:
        instance: What was asked.
        flows: Flows with one direction per step, or whose opposite flows are bookkeeping.
        outcome: The linear solve they come from.
        bound_eur: No plan can have a lower objective.
        complete: The search was not cut short.
        solver: Solver and kind.
        solve_ms: Wall time of the solve.

    Raises:
        OptimizationError: The solve came without duals.
    """
    if outcome.duals is None:
        raise OptimizationError(
            "the solver returned no prices behind the plan.",
            field="optimization",
            hint="Please report this case.",
        )
    together_kw = np.minimum(flows.charge_kw, flows.discharge_kw)
    charge_kw = np.minimum(flows.charge_kw - together_kw, instance.charge_limit_kw)
    discharge_kw = np.minimum(flows.discharge_kw - together_kw, instance.discharge_limit_kw)
    charge_kw = np.where(charge_kw > ROUNDING_KW, charge_kw, 0.0)
    discharge_kw = np.where(discharge_kw > ROUNDING_KW, discharge_kw, 0.0)
    curtailed_kw = np.where(flows.curtailed_kw > ROUNDING_KW, flows.curtailed_kw, 0.0)
    curtailed_kw = np.minimum(curtailed_kw, instance.pv_kw)
    battery_kw = discharge_kw - charge_kw
    grid_kw = instance.load_kw - instance.pv_kw + curtailed_kw - battery_kw
    grid_kw = np.where(np.abs(grid_kw) > ROUNDING_KW, grid_kw, 0.0)
    soc_kwh = _stored_kwh(instance, charge_kw, discharge_kw)
    costs = costs_of(
        instance,
        grid_kw=grid_kw,
        curtailed_kw=curtailed_kw,
        charge_kw=charge_kw,
        discharge_kw=discharge_kw,
        soc_kwh=soc_kwh,
    )
    gap = max(0.0, outcome.objective_eur - bound_eur) / max(1.0, abs(outcome.objective_eur))
    return Solution(
        battery_kw=battery_kw,
        charge_kw=charge_kw,
        discharge_kw=discharge_kw,
        grid_kw=grid_kw,
        curtailed_kw=curtailed_kw,
        soc_kwh=soc_kwh,
        stored_value_eur_per_kwh=outcome.duals.stored_value_eur_per_kwh,
        cost_eur=costs.cost_eur,
        energy_cost_eur=costs.energy_eur,
        wear_cost_eur=costs.wear_eur,
        demand_cost_eur=costs.demand_eur,
        baseline_cost_eur=baseline_cost_eur(instance),
        objective_eur=costs.objective_eur,
        gap=gap if gap > EXACT_GAP else 0.0,
        status="optimal" if complete else "time_limit",
        solver=solver,
        solve_ms=solve_ms,
        gave_way=_gave_way(instance, grid_kw, soc_kwh, charge_kw, discharge_kw),
        preference_cost_eur=costs.preference_eur,
        peaks_kw=costs.peaks_kw,
        peak_dual_eur_per_kw=outcome.duals.peak_eur_per_kw,
        site_price_eur_per_kwh=outcome.duals.site_price_eur_per_kwh,
    )

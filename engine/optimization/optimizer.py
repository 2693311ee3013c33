"""Solve an instance exactly: linear where that is exact, binaries where it is not."""

from __future__ import annotations

import logging

import numpy as np

from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.baseline import baseline_cost_eur
from engine.optimization.coefficients import Coefficients, coefficients
from engine.optimization.exactness import Candidates, find_candidates
from engine.optimization.instance import Instance
from engine.optimization.model import (
    Decisions,
    Flows,
    ModelCache,
    Outcome,
    shape_of,
)
from engine.optimization.solution import Solution

_log = logging.getLogger(__name__)

BOTH_WAYS_KW = 1e-5
"""Opposite flows above this power in one step count as simultaneous."""

REPORTED = 1e-5
"""Smallest amount (kW or kWh) by which a wish is said to have given way."""

EXACT_GAP = 1e-7
"""A relative gap below the solver's own feasibility tolerance is rounding and stated as 0."""

ROUNDING_KW = 1e-9
"""Powers below this are rounding of the solver and stated as 0."""

_ROUNDS = 4


class Optimizer:
    """Solves instances; keeps its compiled models for the next solve. Thread-safe.

    Args:
        clock: Times the solves.
        time_limit_s: Longest search of one solve with binary variables. When it is
            reached the best plan found is returned with the gap that remains.
    """

    def __init__(self, clock: Clock | None = None, time_limit_s: float = 10.0) -> None:
        self._clock = clock or SystemClock()
        self._time_limit_s = time_limit_s
        self._models = ModelCache()

    def solve(self, instance: Instance) -> Solution:
        """Return the cheapest plan, and among equal ones the calmest.

        Source of the method: optimisation notes, sections 1 and 2e. The result never
        charges and discharges, nor imports and exports, in the same step.

        Raises:
            OptimizationError: The solver failed.
        """
        began = self._clock.monotonic()
        candidates = find_candidates(instance)
        for _ in range(_ROUNDS):
            numbers = coefficients(instance, candidates)
            outcome, bound_eur, complete = self._solve_with(instance, numbers, candidates)
            flows, both_ways = _first_clean(instance, outcome.flows)
            if both_ways.count == 0:
                return _solution(
                    instance,
                    flows,
                    outcome,
                    bound_eur=bound_eur,
                    complete=complete,
                    binaries=candidates.count,
                    solve_ms=(self._clock.monotonic() - began) * 1000.0,
                )
            _log.info("%d steps flow both ways; deciding them", both_ways.count)
            candidates = _widened(candidates, both_ways)
        # Every step is decided now, so nothing can flow both ways any more.
        raise OptimizationError(
            "flows in both directions remained in a step.",
            field="optimization",
            value=both_ways.count,
            hint="Please report this case.",
        )

    def _solve_with(
        self, instance: Instance, numbers: Coefficients, candidates: Candidates
    ) -> tuple[Outcome, float, bool]:
        """Return the outcome, a bound on every plan's objective, and whether it is proven."""
        money = self._models.get(shape_of(instance, numbers))
        if candidates.count == 0:
            outcome = money.solve(instance, numbers)
            return outcome, outcome.bound_eur, True
        decided = self._models.get(shape_of(instance, numbers, candidates)).solve(
            instance, numbers, candidates=candidates, time_limit_s=self._time_limit_s
        )
        if decided.decisions is not None:
            outcome = money.solve(instance, numbers, decisions=decided.decisions)
            if outcome.flows:
                return outcome, decided.bound_eur, decided.complete
        # No plan in time. The linear relaxation is a bound for every plan, and its net
        # directions are good directions; those of an idle battery always allow a plan.
        relaxed = money.solve(instance, numbers, calm=False)
        bound_eur = max(decided.bound_eur, relaxed.bound_eur)
        for directions in (
            _directions(candidates, relaxed.flows[0]),
            _idle_directions(instance, candidates),
        ):
            outcome = money.solve(instance, numbers, decisions=directions)
            if outcome.flows:
                return outcome, bound_eur, False
        raise OptimizationError(
            "not even an idle battery was accepted as a plan.",
            field="optimization",
            value=candidates.count,
            hint="Please report this case.",
        )


_shared = Optimizer()


def solve(instance: Instance) -> Solution:
    """Return the cheapest plan from the process-wide `Optimizer` (see `Optimizer.solve`)."""
    return _shared.solve(instance)


def _directions(candidates: Candidates, flows: Flows) -> Decisions:
    return Decisions(
        candidates=candidates,
        charging=flows.charge_kw >= flows.discharge_kw,
        importing=flows.import_kw >= flows.export_kw,
    )


def _idle_directions(instance: Instance, candidates: Candidates) -> Decisions:
    return Decisions(
        candidates=candidates,
        charging=np.ones(instance.n_steps, dtype=np.bool_),
        importing=instance.load_kw >= instance.pv_kw,
    )


def _widened(candidates: Candidates, both_ways: Candidates) -> Candidates:
    """Return candidates that include `both_ways`; all steps when that is nothing new."""
    wider = candidates.union(both_ways)
    if wider.count > candidates.count:
        return wider
    everywhere = np.ones(candidates.battery.size, dtype=np.bool_)
    return Candidates(everywhere, everywhere)


def _both_ways(instance: Instance, flows: Flows) -> Candidates:
    """Return the steps where opposite flows are not mere bookkeeping.

    Without losses, charging and discharging at once is the same as their difference;
    so is importing and exporting at once unless feeding in pays more than buying.
    """
    lossless = instance.eta_charge * instance.eta_discharge >= 1.0
    battery = np.minimum(flows.charge_kw, flows.discharge_kw) > BOTH_WAYS_KW
    grid = np.minimum(flows.import_kw, flows.export_kw) > BOTH_WAYS_KW
    return Candidates(
        battery=battery & (not lossless),
        grid=grid & (instance.sell_eur_per_kwh > instance.buy_eur_per_kwh),
    )


def _first_clean(instance: Instance, choices: tuple[Flows, ...]) -> tuple[Flows, Candidates]:
    """Return the first flows without simultaneous directions, else the last with their steps."""
    for flows in choices:
        both_ways = _both_ways(instance, flows)
        if both_ways.count == 0:
            break
    return flows, both_ways


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
        "standby_kwh": float((change_kwh - ideal_change_kwh).sum()),
    }
    return {name: amount for name, amount in amounts.items() if amount > REPORTED}


def _solution(
    instance: Instance,
    flows: Flows,
    outcome: Outcome,
    *,
    bound_eur: float,
    complete: bool,
    binaries: int,
    solve_ms: float,
) -> Solution:
    hours = instance.step_hours
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

    imported_kw = np.maximum(grid_kw, 0.0)
    exported_kw = np.maximum(-grid_kw, 0.0)
    energy_eur = hours * float(
        instance.buy_eur_per_kwh @ imported_kw - instance.sell_eur_per_kwh @ exported_kw
    )
    wear_eur = hours * float(
        instance.wear_charge_eur_per_kwh * charge_kw.sum()
        + instance.wear_discharge_eur_per_kwh * discharge_kw.sum()
    )
    new_peak_kw = max(0.0, float(imported_kw.max()) - instance.incurred_peak_kw)
    demand_eur = instance.demand_charge_eur_per_kw * new_peak_kw
    cost_eur = energy_eur + wear_eur + demand_eur
    gap = max(0.0, outcome.objective_eur - bound_eur) / max(1.0, abs(outcome.objective_eur))
    stored_value = outcome.stored_value_eur_per_kwh
    if stored_value is None:
        raise OptimizationError(
            "the solver returned no value of stored energy.",
            field="optimization",
            hint="Please report this case.",
        )
    return Solution(
        battery_kw=battery_kw,
        charge_kw=charge_kw,
        discharge_kw=discharge_kw,
        grid_kw=grid_kw,
        curtailed_kw=curtailed_kw,
        soc_kwh=soc_kwh,
        stored_value_eur_per_kwh=stored_value,
        cost_eur=cost_eur,
        energy_cost_eur=energy_eur,
        wear_cost_eur=wear_eur,
        demand_cost_eur=demand_eur,
        baseline_cost_eur=baseline_cost_eur(instance),
        objective_eur=cost_eur - instance.terminal_value_eur_per_kwh * float(soc_kwh[-1]),
        gap=gap if gap > EXACT_GAP else 0.0,
        status="optimal" if complete else "time_limit",
        solver=f"HIGHS (MILP, {binaries} binaries)" if binaries else "HIGHS (LP)",
        solve_ms=solve_ms,
        gave_way=_gave_way(instance, grid_kw, soc_kwh, charge_kw, discharge_kw),
    )

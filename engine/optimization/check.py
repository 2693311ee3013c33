"""Independent replay of a plan: does the plant it describes exist?

Deliberately shares no code with the model. It starts from the planned battery power
and curtailment only, replays the plant step by step, and compares what it finds with
the instance's limits and with everything the solution claims.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.domain.plan import PlanCheck
from engine.optimization.instance import Instance
from engine.optimization.solution import Solution

POWER_TOLERANCE_KW = 1e-4
"""Largest power or balance violation that passes: 0.1 W, far below any meter."""

ENERGY_TOLERANCE_KWH = 1e-4
"""Largest stored-energy violation that passes: 0.1 Wh."""

COST_TOLERANCE = 1e-6
"""Largest relative cost difference that passes (relative to at least 1 EUR)."""

_SERIES = (
    "battery_kw",
    "charge_kw",
    "discharge_kw",
    "grid_kw",
    "curtailed_kw",
    "soc_kwh",
    "stored_value_eur_per_kwh",
)


@dataclass(slots=True)
class _Findings:
    power_kw: float = 0.0
    energy_kwh: float = 0.0
    messages: list[str] = field(default_factory=list)

    def power(self, rule: str, excess_kw: np.ndarray) -> None:
        worst = float(np.max(excess_kw))
        self.power_kw = max(self.power_kw, worst)
        if worst > POWER_TOLERANCE_KW:
            step = int(np.argmax(excess_kw))
            self.messages.append(f"{rule}: step {step} is off by {worst:.6g} kW.")

    def energy(self, rule: str, excess_kwh: np.ndarray) -> None:
        worst = float(np.max(excess_kwh))
        self.energy_kwh = max(self.energy_kwh, worst)
        if worst > ENERGY_TOLERANCE_KWH:
            step = int(np.argmax(excess_kwh))
            self.messages.append(f"{rule}: step {step} is off by {worst:.6g} kWh.")


def check_solution(instance: Instance, solution: Solution) -> PlanCheck:
    """Replay `solution` on the plant of `instance` and return what was found.

    Rules: series complete and finite; power balance; battery, curtailment and energy
    never beyond their limits; one direction at a time; grid limits and energy window
    exceeded at most as far as an idle battery would, and exactly as far as `gave_way`
    says; rules on charging while importing and discharging while exporting; costs
    recomputed. Tolerances are the constants of this module.
    """
    n = instance.n_steps
    broken = [
        f"{name} has not one finite number for each of {n} steps."
        for name in _SERIES
        if getattr(solution, name).shape != (n,) or not np.isfinite(getattr(solution, name)).all()
    ]
    if broken:
        return PlanCheck(False, np.inf, np.inf, np.inf, tuple(broken))

    found = _Findings()
    battery_kw, curtailed_kw = solution.battery_kw, solution.curtailed_kw
    discharge_kw, charge_kw = np.maximum(battery_kw, 0.0), np.maximum(-battery_kw, 0.0)
    grid_kw = instance.load_kw - (instance.pv_kw - curtailed_kw) - battery_kw
    import_kw, export_kw = np.maximum(grid_kw, 0.0), np.maximum(-grid_kw, 0.0)

    found.power("power balance at the grid connection", np.abs(grid_kw - solution.grid_kw))
    found.power("charging and discharging at once", np.abs(charge_kw - solution.charge_kw))
    found.power("discharging and charging at once", np.abs(discharge_kw - solution.discharge_kw))
    found.power("charge limit", charge_kw - instance.charge_limit_kw)
    found.power("discharge limit", discharge_kw - instance.discharge_limit_kw)
    most_curtailed_kw = instance.pv_kw if instance.curtailment_allowed else np.zeros(n)
    found.power("curtailment of PV power", curtailed_kw - most_curtailed_kw)
    found.power("negative curtailment", -curtailed_kw)
    if not instance.grid_charge_allowed:
        found.power("charging while importing", np.minimum(charge_kw, import_kw))
    if not instance.battery_export_allowed:
        found.power("discharging while exporting", np.minimum(discharge_kw, export_kw))

    needed_kw = instance.load_kw - instance.pv_kw
    unavoidable_export_kw = -needed_kw if not instance.curtailment_allowed else np.zeros(n)
    found.power("import limit", import_kw - np.maximum(instance.import_limit_kw, needed_kw))
    found.power(
        "export limit", export_kw - np.maximum(instance.export_limit_kw, unavoidable_export_kw)
    )
    actual = _energy(instance, solution, charge_kw, discharge_kw, found)
    actual["import_limit_kw"] = float(np.max(import_kw - instance.import_limit_kw))
    actual["export_limit_kw"] = float(np.max(export_kw - instance.export_limit_kw))
    _compare_gave_way(solution, actual, found)

    cost_eur = instance.step_hours * float(
        np.sum(import_kw * instance.buy_eur_per_kwh)
        - np.sum(export_kw * instance.sell_eur_per_kwh)
        + np.sum(charge_kw) * instance.wear_charge_eur_per_kwh
        + np.sum(discharge_kw) * instance.wear_discharge_eur_per_kwh
    )
    above_incurred_kw = max(float(np.max(import_kw)), instance.incurred_peak_kw)
    above_incurred_kw -= instance.incurred_peak_kw
    cost_eur += instance.demand_charge_eur_per_kw * above_incurred_kw
    difference_eur = cost_eur - solution.cost_eur
    if abs(difference_eur) > COST_TOLERANCE * max(1.0, abs(cost_eur)):
        found.messages.append(
            f"cost: the replay costs {cost_eur:.6f} EUR, the plan says {solution.cost_eur:.6f} EUR."
        )
    return PlanCheck(
        passed=not found.messages,
        max_violation_kw=found.power_kw,
        max_violation_kwh=found.energy_kwh,
        cost_difference_eur=difference_eur,
        messages=tuple(found.messages),
    )


def _energy(
    instance: Instance,
    solution: Solution,
    charge_kw: np.ndarray,
    discharge_kw: np.ndarray,
    found: _Findings,
) -> dict[str, float]:
    """Replay the store; return by how much each energy wish was really missed."""
    hours = instance.step_hours
    standby_kwh = instance.standby_loss_kw * hours
    stored, idle = np.empty(instance.n_steps), np.empty(instance.n_steps)
    overdrawn = np.zeros(instance.n_steps)
    energy_kwh = idle_kwh = instance.energy_start_kwh
    uncovered_kwh = 0.0
    for step in range(instance.n_steps):
        energy_kwh += charge_kw[step] * hours * instance.eta_charge
        energy_kwh -= discharge_kw[step] * hours / instance.eta_discharge
        overdrawn[step] = -energy_kwh
        # An empty store has nothing left for its standby consumption.
        covered_kwh = min(standby_kwh, max(energy_kwh, 0.0))
        uncovered_kwh += standby_kwh - covered_kwh
        energy_kwh -= covered_kwh
        stored[step] = energy_kwh
        idle_kwh = max(idle_kwh - standby_kwh, 0.0)
        idle[step] = idle_kwh
    found.energy("stored energy as planned", np.abs(stored - solution.soc_kwh))
    found.energy("drawing more than is stored", overdrawn)
    found.energy("energy window, lower end", np.minimum(instance.energy_min_kwh, idle) - stored)
    found.energy("energy window, upper end", stored - np.maximum(instance.energy_max_kwh, idle))
    final_kwh = instance.energy_final_min_kwh or 0.0
    return {
        "energy_min_kwh": instance.energy_min_kwh - float(stored.min()),
        "energy_max_kwh": float(stored.max()) - instance.energy_max_kwh,
        "energy_final_min_kwh": final_kwh - float(stored[-1]),
        "standby_kwh": uncovered_kwh,
    }


def _compare_gave_way(solution: Solution, actual: dict[str, float], found: _Findings) -> None:
    for name in sorted(set(solution.gave_way) - set(actual)):
        found.messages.append(f"gave_way names an unknown wish: {name}.")
    for name, amount in actual.items():
        missed, said = max(0.0, amount), solution.gave_way.get(name, 0.0)
        if name.endswith("_kwh"):
            tolerance, unit = ENERGY_TOLERANCE_KWH, "kWh"
        else:
            tolerance, unit = POWER_TOLERANCE_KW, "kW"
        if abs(missed - said) > tolerance:
            found.messages.append(
                f"{name} gives way by {missed:.6g} {unit}, the plan says {said:.6g} {unit}."
            )

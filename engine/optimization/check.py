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
    "site_price_eur_per_kwh",
    "peak_dual_eur_per_kw",
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
    says; rules on charging while importing and discharging while exporting; billed peaks,
    money, preferences and objective recomputed. Tolerances are the constants of this module.
    The plan's dual prices have no replay; they must only be there and finite.
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

    energy_eur = instance.step_hours * float(
        np.sum(import_kw * instance.buy_eur_per_kwh) - np.sum(export_kw * instance.sell_eur_per_kwh)
    )
    wear_eur = instance.step_hours * float(
        np.sum(charge_kw) * instance.wear_charge_eur_per_kwh
        + np.sum(discharge_kw) * instance.wear_discharge_eur_per_kwh
    )
    demand_eur = _demand_eur(instance, solution, import_kw, found)
    cost_eur = energy_eur + wear_eur + demand_eur
    stored_kwh = float(solution.soc_kwh[-1])
    preference_eur = _preference_eur(instance, solution, grid_kw, export_kw)
    objective_eur = cost_eur + preference_eur - _end_value_eur(instance, stored_kwh)
    for name, replayed_eur, said_eur in (
        ("cost", cost_eur, solution.cost_eur),
        ("energy cost", energy_eur, solution.energy_cost_eur),
        ("wear cost", wear_eur, solution.wear_cost_eur),
        ("demand cost", demand_eur, solution.demand_cost_eur),
        ("preference cost", preference_eur, solution.preference_cost_eur),
        ("objective", objective_eur, solution.objective_eur),
    ):
        if abs(replayed_eur - said_eur) > COST_TOLERANCE * max(1.0, abs(replayed_eur)):
            found.messages.append(
                f"{name}: the replay costs {replayed_eur:.6f} EUR, "
                f"the plan says {said_eur:.6f} EUR."
            )
    difference_eur = cost_eur - solution.cost_eur
    return PlanCheck(
        passed=not found.messages,
        max_violation_kw=found.power_kw,
        max_violation_kwh=found.energy_kwh,
        cost_difference_eur=difference_eur,
        messages=tuple(found.messages),
    )


def _demand_eur(
    instance: Instance, solution: Solution, import_kw: np.ndarray, found: _Findings
) -> float:
    """Return the demand charges, each on the highest billed import above its floor."""
    charges = [(peak.billed, peak.charge_eur_per_kw, peak.floor_kw) for peak in instance.peaks]
    if len(solution.peaks_kw) != len(charges):
        found.messages.append(
            f"peaks_kw names {len(solution.peaks_kw)} peaks, {len(charges)} are billed."
        )
        return np.nan
    total_eur = 0.0
    for said_kw, (billed, charge_eur_per_kw, floor_kw) in zip(
        solution.peaks_kw, charges, strict=True
    ):
        peak_kw = max(import_kw[step] for step in np.flatnonzero(billed))
        if abs(peak_kw - said_kw) > POWER_TOLERANCE_KW:
            found.messages.append(
                f"billed peak: it is {peak_kw:.6g} kW, the plan says {said_kw:.6g} kW."
            )
        total_eur += charge_eur_per_kw * max(peak_kw - floor_kw, 0.0)
    return float(total_eur)


def _preference_eur(
    instance: Instance, solution: Solution, grid_kw: np.ndarray, export_kw: np.ndarray
) -> float:
    """Return what premium, smoothing, ramps and missing reserve cost, step by step."""
    hours, total_eur = instance.step_hours, 0.0
    before_kw = instance.grid_before_kw
    for step in range(instance.n_steps):
        unused_kw = export_kw[step] + solution.curtailed_kw[step]
        total_eur += instance.export_premium_eur_per_kwh * unused_kw * hours
        if instance.smoothing_reference_kw is not None:
            distance_kw = abs(grid_kw[step] - instance.smoothing_reference_kw[step])
            total_eur += instance.smoothing_eur_per_kwh * distance_kw * hours
        if before_kw is not None:
            total_eur += instance.ramp_eur_per_kw * abs(grid_kw[step] - before_kw)
        before_kw = grid_kw[step]
        if instance.energy_reserve_kwh is not None:
            missing_kwh = instance.energy_reserve_kwh[step] - solution.soc_kwh[step]
            total_eur += instance.reserve_eur_per_kwh_h * max(missing_kwh, 0.0) * hours
    return float(total_eur)


def _end_value_eur(instance: Instance, stored_kwh: float) -> float:
    """Return the value of what is left, the curve filled up piece by piece."""
    value_eur = instance.terminal_value_eur_per_kwh * stored_kwh
    if instance.terminal_curve is None:
        return value_eur
    edges = [0.0, *instance.terminal_curve.breakpoints_kwh, np.inf]
    for low, high, marginal in zip(
        edges[:-1], edges[1:], instance.terminal_curve.marginals_eur_per_kwh, strict=True
    ):
        value_eur += marginal * max(0.0, min(stored_kwh, high) - low)
    return float(value_eur)


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
        "energy_reserve_kwh": (
            0.0
            if instance.energy_reserve_kwh is None
            else float(np.max(instance.energy_reserve_kwh - stored))
        ),
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

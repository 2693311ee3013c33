"""What a plan's flows cost: energy, wear, demand charges, and the preferences beside money."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.baseline import baseline_cost_eur
from engine.optimization.instance import Instance
from engine.optimization.solution import Solution


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of one plan in EUR.

    Attributes:
        energy_eur: Imports times buy price minus exports times sell price.
        wear_eur: Ageing cost of the throughput.
        demand_eur: Demand charges above their floors.
        preference_eur: Export premium, smoothing, ramps and missing reserve; no money.
        terminal_eur: Value of the energy stored at the end.
        peaks_kw: Highest import of each of the instance's peaks.
    """

    energy_eur: float
    wear_eur: float
    demand_eur: float
    preference_eur: float
    terminal_eur: float
    peaks_kw: tuple[float, ...]

    @property
    def cost_eur(self) -> float:
        """Money: energy, wear and demand charges."""
        return self.energy_eur + self.wear_eur + self.demand_eur

    @property
    def objective_eur(self) -> float:
        """Money plus preferences minus the value of what is left in the store."""
        return self.cost_eur + self.preference_eur - self.terminal_eur


def reserve_missing_kwh(instance: Instance, soc_kwh: FloatArray) -> FloatArray:
    """Return by how much each step ends below the wished reserve, shape (n,), >= 0."""
    if instance.energy_reserve_kwh is None:
        return np.zeros(instance.n_steps)
    missing: FloatArray = np.maximum(instance.energy_reserve_kwh - soc_kwh, 0.0)
    return missing


def _preferences_eur(
    instance: Instance, grid_kw: FloatArray, curtailed_kw: FloatArray, soc_kwh: FloatArray
) -> float:
    hours = instance.step_hours
    unused_kw = np.maximum(-grid_kw, 0.0) + curtailed_kw
    total = hours * instance.export_premium_eur_per_kwh * float(unused_kw.sum())
    if instance.smoothing_reference_kw is not None:
        distance_kw = np.abs(grid_kw - instance.smoothing_reference_kw)
        total += hours * instance.smoothing_eur_per_kwh * float(distance_kw.sum())
    before_kw = grid_kw[0] if instance.grid_before_kw is None else instance.grid_before_kw
    ramps_kw = np.abs(np.diff(grid_kw, prepend=before_kw))
    total += instance.ramp_eur_per_kw * float(ramps_kw.sum())
    missing_kwh = reserve_missing_kwh(instance, soc_kwh)
    return total + hours * instance.reserve_eur_per_kwh_h * float(missing_kwh.sum())


def costs_of(
    instance: Instance,
    *,
    grid_kw: FloatArray,
    curtailed_kw: FloatArray,
    charge_kw: FloatArray,
    discharge_kw: FloatArray,
    soc_kwh: FloatArray,
) -> Costs:
    """Return what flows of shape (n,) cost at the prices of `instance`."""
    hours = instance.step_hours
    imported_kw, exported_kw = np.maximum(grid_kw, 0.0), np.maximum(-grid_kw, 0.0)
    final_kwh = float(soc_kwh[-1])
    terminal_eur = instance.terminal_value_eur_per_kwh * final_kwh
    if instance.terminal_curve is not None:
        terminal_eur += float(instance.terminal_curve.value_eur(final_kwh))
    return Costs(
        energy_eur=hours
        * float(instance.buy_eur_per_kwh @ imported_kw - instance.sell_eur_per_kwh @ exported_kw),
        wear_eur=hours
        * float(
            instance.wear_charge_eur_per_kwh * charge_kw.sum()
            + instance.wear_discharge_eur_per_kwh * discharge_kw.sum()
        ),
        demand_eur=sum(peak.cost_eur(imported_kw) for peak in instance.peaks),
        preference_eur=_preferences_eur(instance, grid_kw, curtailed_kw, soc_kwh),
        terminal_eur=terminal_eur,
        peaks_kw=tuple(peak.peak_kw(imported_kw) for peak in instance.peaks),
    )


def settled(solution: Solution, tariff: Instance) -> Solution:
    """Return `solution` with its money counted at the prices of another instance.

    A strategy may plan against prices of its own (flat ones, a premium on exports); what
    its plan really costs is settled at the site's tariff. Flows, duals, gap and what gave
    way stay the strategy's.

    Args:
        solution: The strategy's plan.
        tariff: The same plant and horizon at the site's own prices and demand charges.
    """
    costs = costs_of(
        tariff,
        grid_kw=solution.grid_kw,
        curtailed_kw=solution.curtailed_kw,
        charge_kw=solution.charge_kw,
        discharge_kw=solution.discharge_kw,
        soc_kwh=solution.soc_kwh,
    )
    return dataclasses.replace(
        solution,
        cost_eur=costs.cost_eur,
        energy_cost_eur=costs.energy_eur,
        wear_cost_eur=costs.wear_eur,
        demand_cost_eur=costs.demand_eur,
        preference_cost_eur=costs.preference_eur,
        peaks_kw=costs.peaks_kw,
        objective_eur=costs.objective_eur,
        baseline_cost_eur=baseline_cost_eur(tariff),
    )

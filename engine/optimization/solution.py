"""What the optimiser answers (`Solution`) to an `Instance`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.domain.plan import FloatArray


def _nothing() -> FloatArray:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The optimiser's answer; every array has shape (n,).

    Attributes:
        battery_kw: Battery power, + discharge, - charge (= discharge_kw - charge_kw).
        charge_kw: AC charge power, >= 0; never positive together with `discharge_kw`.
        discharge_kw: AC discharge power, >= 0.
        grid_kw: Grid power, + import, - export.
        curtailed_kw: PV power given away, >= 0.
        soc_kwh: Stored energy at the END of each step.
        stored_value_eur_per_kwh: What one more kWh in the store at the end of the step would
            save over the later steps: the slope of their cost, from the duals of the energy
            recursion, and for the last step the terminal value and the price of the final
            energy. While the store must still recover into its window it contains the price
            of being outside. With binary variables it holds for the directions decided.
        cost_eur: Energy cost plus wear plus demand charge, without terminal value.
        energy_cost_eur: Imports times buy price minus exports times sell price.
        wear_cost_eur: Ageing cost of the planned throughput.
        demand_cost_eur: Demand charges on the billed peaks above their floors.
        baseline_cost_eur: Cost of the same horizon without a battery (see `baseline`).
        objective_eur: `cost_eur` plus `preference_cost_eur` minus the value of the energy
            stored at the end.
        gap: Largest relative distance to the optimum that is not excluded (relative to
            the objective, at least to 1 EUR); 0 for an exact optimum.
        status: ``"optimal"``, or ``"time_limit"`` when the search was cut short.
        solver: Solver and kind, for example ``"HIGHS (LP)"`` or ``"HIGHS (MILP, 12 binaries)"``.
        solve_ms: Wall time of the whole solve.
        gave_way: Wishes that could not be met, name to amount in the unit of the name
            (``import_limit_kw``, ``export_limit_kw``, ``energy_min_kwh``, ``energy_max_kwh``,
            ``energy_final_min_kwh``, ``energy_reserve_kwh``, ``standby_kwh``); empty when
            everything was met.
        preference_cost_eur: What the preferences cost that are no money: export premium,
            smoothing, ramps and missing reserve. No part of `cost_eur`.
        peaks_kw: Highest import among the billed steps of each of the instance's `peaks`.
        peak_dual_eur_per_kw: What one more kW of import in the step would cost in demand
            charges, summed over the peaks; above 0 only in steps that set a peak. For steps
            of one peak they add up to its charge when a new peak is set.
        site_price_eur_per_kwh: What one more kWh of load in the step would cost: dual of the
            balance at the grid connection, with its share of the peak and of preferences.
    """

    battery_kw: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    grid_kw: FloatArray
    curtailed_kw: FloatArray
    soc_kwh: FloatArray
    stored_value_eur_per_kwh: FloatArray
    cost_eur: float
    energy_cost_eur: float
    wear_cost_eur: float
    demand_cost_eur: float
    baseline_cost_eur: float
    objective_eur: float
    gap: float
    status: str
    solver: str
    solve_ms: float
    gave_way: Mapping[str, float] = field(default_factory=dict)
    preference_cost_eur: float = 0.0
    peaks_kw: tuple[float, ...] = ()
    peak_dual_eur_per_kw: FloatArray = field(default_factory=_nothing)
    site_price_eur_per_kwh: FloatArray = field(default_factory=_nothing)

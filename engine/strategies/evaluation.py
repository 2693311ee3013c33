"""What a battery schedule is worth under the tariff the site really pays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.domain.plan import FloatArray
from engine.domain.strategy import CandidateValue, StrategyKey
from engine.optimization.baseline import baseline_cost_eur
from engine.optimization.coefficients import idle_energy_kwh
from engine.optimization.instance import Instance
from engine.optimization.settlement import costs_of
from engine.strategies.replay import Replay, replay


@dataclass(frozen=True, slots=True)
class PvUse:
    """Where the PV energy of a horizon went, kWh (notes "optimisation" section 6).

    Attributes:
        available_kwh: PV energy before curtailment.
        exported_kwh: PV energy fed into the grid, directly or through the battery.
        curtailed_kwh: PV energy given away.
        battery_exported_kwh: AC energy the battery fed into the grid, of any origin.
        battery_exported_pv_kwh: Its part that had been charged from PV.
        grid_charged_kwh: AC energy charged while the PV surplus did not cover it.
    """

    available_kwh: float
    exported_kwh: float
    curtailed_kwh: float
    battery_exported_kwh: float
    battery_exported_pv_kwh: float
    grid_charged_kwh: float

    @property
    def self_consumption(self) -> float | None:
        """Share of PV energy that stayed on site, 0..1; None without PV."""
        if self.available_kwh <= 0.0:
            return None
        return 1.0 - (self.exported_kwh + self.curtailed_kwh) / self.available_kwh


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A schedule under the true tariff.

    Attributes:
        energy_eur: Imports times buy price minus exports times sell price.
        wear_eur: Ageing of the throughput.
        demand_eur: Demand charges above what is already incurred.
        terminal_eur: Value of the energy left at the end.
        preference_eur: What the true problem's preferences would charge (reserve that is
            missing, premium on exporting, smoothing, ramps). No money.
        without_battery_eur: Energy and demand cost of the same horizon without a battery,
            minus the value of the energy that is stored at the start anyway.
        peak_kw: Highest import of a step, >= 0.
        pv: Where the PV energy went.
        full_cycles: Energy drawn from the store over the usable capacity.
        ramp_kw: Sum of the changes of grid power from step to step.
        run: The replay behind all of it.
    """

    energy_eur: float
    wear_eur: float
    demand_eur: float
    terminal_eur: float
    preference_eur: float
    without_battery_eur: float
    peak_kw: float
    pv: PvUse
    full_cycles: float
    ramp_kw: float
    run: Replay

    @property
    def paid_eur(self) -> float:
        """Energy, wear and demand, without the value of what is left (`Solution.cost_eur`)."""
        return self.energy_eur + self.wear_eur + self.demand_eur

    @property
    def cost_eur(self) -> float:
        """The objective J: what is paid minus the value of what is left in the store."""
        return self.paid_eur - self.terminal_eur

    @property
    def saving_eur(self) -> float:
        """What the battery saves; energy stored at the start is no saving."""
        return self.without_battery_eur - self.cost_eur

    def candidate(self, strategy: StrategyKey) -> CandidateValue:
        """Return the values as those of one strategy."""
        return CandidateValue(
            strategy=strategy,
            cost_eur=self.cost_eur,
            saving_eur=self.saving_eur,
            energy_eur=self.energy_eur,
            wear_eur=self.wear_eur,
            demand_eur=self.demand_eur,
            peak_kw=self.peak_kw,
            self_consumption=self.pv.self_consumption,
            full_cycles=self.full_cycles,
        )


def evaluate(
    true_instance: Instance, battery_kw: ArrayLike, curtailed_kw: ArrayLike | None = None
) -> Evaluation:
    """Return what a schedule is worth: energy, wear, demand, what is left, and its KPIs.

    Nothing is cut to limits; a schedule that breaks them is the caller's business
    (`check_solution`).

    Args:
        true_instance: The plant at the tariff the site really pays.
        battery_kw: Mean battery power per step, shape (n,), + discharge.
        curtailed_kw: PV power given away, shape (n,); None for what the plant gives away by
            itself (`curtailment_kw`).

    Raises:
        OptimizationError: A series has the wrong shape or a value that is not finite.
    """
    run = replay(true_instance, battery_kw, curtailed_kw)
    charge = np.maximum(-run.battery_kw, 0.0)
    discharge = np.maximum(run.battery_kw, 0.0)
    costs = costs_of(
        true_instance,
        grid_kw=run.grid_kw,
        curtailed_kw=run.curtailed_kw,
        charge_kw=charge,
        discharge_kw=discharge,
        soc_kwh=run.soc_kwh,
    )
    hours = true_instance.step_hours
    usable_kwh = true_instance.energy_max_kwh - true_instance.energy_min_kwh
    drawn_kwh = hours * float(discharge.sum()) / true_instance.eta_discharge
    return Evaluation(
        energy_eur=costs.energy_eur,
        wear_eur=costs.wear_eur,
        demand_eur=costs.demand_eur,
        terminal_eur=costs.terminal_eur,
        preference_eur=costs.preference_eur,
        without_battery_eur=without_battery_eur(true_instance),
        peak_kw=max(0.0, float(run.grid_kw.max())),
        pv=pv_use(true_instance, run),
        full_cycles=drawn_kwh / usable_kwh if usable_kwh > 0.0 else 0.0,
        ramp_kw=float(np.abs(np.diff(run.grid_kw)).sum()),
        run=run,
    )


def without_battery_eur(instance: Instance) -> float:
    """Return J of a battery that never runs, without its standby consumption.

    The energy stored at the start keeps its terminal value: it is there with every
    strategy, so no strategy may count it as earned.
    """
    kept_kwh = float(idle_energy_kwh(instance)[-1])
    value_eur = instance.terminal_value_eur_per_kwh * kept_kwh
    if instance.terminal_curve is not None:
        value_eur += float(instance.terminal_curve.value_eur(kept_kwh))
    return baseline_cost_eur(instance) - value_eur


def pv_use(instance: Instance, run: Replay) -> PvUse:
    """Follow the PV energy through the store by pool colours.

    PV serves the load first, then the battery, then the grid; the battery draws from its
    pool in proportion to what is in it (notes "optimisation" sections 5 and 6). Energy
    stored at the start is of unknown origin and does not count as PV.
    """
    hours = instance.step_hours
    charge = np.maximum(-run.battery_kw, 0.0)
    discharge = np.maximum(run.battery_kw, 0.0)
    produced = instance.pv_kw - run.curtailed_kw
    direct = np.minimum(produced, instance.load_kw)
    surplus = produced - direct
    charge_pv = np.minimum(charge, surplus)
    battery_export = np.maximum(discharge - (instance.load_kw - direct), 0.0)

    share = _pv_share(instance, run, charge_pv)
    battery_export_pv = battery_export * share
    return PvUse(
        available_kwh=hours * float(instance.pv_kw.sum()),
        exported_kwh=hours * float((surplus - charge_pv).sum() + battery_export_pv.sum()),
        curtailed_kwh=hours * float(run.curtailed_kw.sum()),
        battery_exported_kwh=hours * float(battery_export.sum()),
        battery_exported_pv_kwh=hours * float(battery_export_pv.sum()),
        grid_charged_kwh=hours * float((charge - charge_pv).sum()),
    )


def _pv_share(instance: Instance, run: Replay, charge_pv: FloatArray) -> FloatArray:
    """Return the PV share of the pool each step draws from, shape (n,), 0..1."""
    gain = instance.step_hours * instance.eta_charge
    stored_pv_kwh = 0.0
    before_kwh = instance.energy_start_kwh
    share = np.zeros(instance.n_steps)
    for step in range(instance.n_steps):
        if before_kwh > 1e-9:
            share[step] = min(1.0, stored_pv_kwh / before_kwh)
        after_kwh = float(run.soc_kwh[step])
        if run.battery_kw[step] < 0.0:
            # Standby takes of both colours; what is charged keeps its own.
            charged_kwh = gain * -float(run.battery_kw[step])
            kept_kwh = after_kwh - charged_kwh
            stored_pv_kwh = share[step] * max(0.0, kept_kwh) + gain * float(charge_pv[step])
        else:
            stored_pv_kwh = share[step] * max(0.0, after_kwh)
        before_kwh = after_kwh
    return share

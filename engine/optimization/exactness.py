"""Where the linear model may be wrong, decided from the prices before solving.

Two things a linear model may do and a plant cannot: charge and discharge at once
(burning stored energy), and import and export at once (a money pump). This module
names the steps where either could pay; binary variables are spent there only.

Battery. Raising charge and discharge of a step together by one AC kWh leaves the
grid alone, takes `1/eta_d - eta_c` kWh out of the store and costs `w_c + w_d` of
ageing. With lambda the value of a stored kWh it pays only if

    lambda < -(w_c + w_d) / (1/eta_d - eta_c).

Charging at site price pi must be worth it too: `lambda * eta_c >= pi + w_c`, so

    pi <= lambda * eta_c - w_c < -(w_c + eta_c * eta_d * w_d) / (1 - eta_c * eta_d).

With ageing w per DC kWh (`w_c = w * eta_c`, `w_d = w / eta_d`) the right side is
`-2 w / (1/eta_c - eta_d)`, the form in the optimisation notes, section 1. A stored
kWh becomes that much of a burden only ahead of a step that pays for charging or
forces it, so the test applies up to the last such step.

Grid. Raising import and export together by one kWh earns `sell - buy`: only where
the feed-in price is above the purchase price.

Rules "no charging while importing" and "no discharging while exporting" are linear
as long as PV power is not given away to import instead (negative purchase price) or
to make room for discharging (stored energy a burden); those steps get a binary too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.optimization.instance import Instance

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Steps that need a binary variable; both arrays have shape (n,).

    Attributes:
        battery: Charge or discharge must be decided.
        grid: Import or export must be decided.
    """

    battery: BoolArray
    grid: BoolArray

    @property
    def count(self) -> int:
        """Number of binary variables needed."""
        return int(self.battery.sum() + self.grid.sum())

    def union(self, other: Candidates) -> Candidates:
        """Return the steps named by either."""
        return Candidates(self.battery | other.battery, self.grid | other.grid)


def burning_price_eur_per_kwh(instance: Instance) -> float:
    """Return the site price below which burning stored energy can pay; -inf if never."""
    round_trip = instance.eta_charge * instance.eta_discharge
    if round_trip >= 1.0:
        return -np.inf
    wear = instance.wear_charge_eur_per_kwh + round_trip * instance.wear_discharge_eur_per_kwh
    return -wear / (1.0 - round_trip)


def find_candidates(instance: Instance) -> Candidates:
    """Return the steps where the linear model may break physics (see the module text)."""
    buy, sell = instance.buy_eur_per_kwh, instance.sell_eur_per_kwh
    burning = burning_price_eur_per_kwh(instance)
    surplus_kw = instance.pv_kw - instance.load_kw
    can_charge = instance.charge_limit_kw > 0.0
    can_discharge = instance.discharge_limit_kw > 0.0
    can_import = instance.import_limit_kw > 0.0
    can_export = instance.export_limit_kw > 0.0

    paid_to_charge = (buy < burning) & can_charge & can_import & instance.grid_charge_allowed
    forced_to_absorb = (
        (surplus_kw > 0.0)
        & ((sell < burning) | (surplus_kw > instance.export_limit_kw))
        & (not instance.curtailment_allowed)
        & can_charge
    )
    burning_may_pay = _up_to_the_last(instance, paid_to_charge | forced_to_absorb)
    battery = (
        ((buy < burning) | ((sell < burning) & can_export) | forced_to_absorb)
        & burning_may_pay
        & can_charge
        & can_discharge
    )
    # Making room by serving the load needs no losses, so any payment for charging counts.
    paid = (buy < 0.0) & can_charge & can_import & instance.grid_charge_allowed
    stored_energy_may_burden = _up_to_the_last(instance, paid)
    if instance.curtailment_allowed and not instance.grid_charge_allowed:
        battery |= (surplus_kw > 0.0) & can_charge & ((buy < 0.0) | stored_energy_may_burden)
    if instance.curtailment_allowed and not instance.battery_export_allowed:
        battery |= (surplus_kw > 0.0) & can_discharge & stored_energy_may_burden

    can_export_something = can_export & (surplus_kw + instance.discharge_limit_kw > 0.0)
    can_import_something = can_import & (
        instance.load_kw + instance.charge_limit_kw
        > (0.0 if instance.curtailment_allowed else instance.pv_kw)
    )
    grid = (sell > buy) & can_export_something & can_import_something
    return Candidates(battery=battery, grid=grid)


def _up_to_the_last(instance: Instance, drivers: BoolArray) -> BoolArray:
    """Return True up to the last driver; everywhere when stored energy is unwanted anyway."""
    if (
        instance.energy_start_kwh > instance.energy_max_kwh
        or instance.terminal_value_eur_per_kwh < 0.0
    ):
        return np.ones(instance.n_steps, dtype=np.bool_)
    found = np.flatnonzero(drivers)
    last = int(found[-1]) if found.size else -1
    return np.arange(instance.n_steps) <= last

"""Where the linear model may be wrong, decided from the prices before solving.

Two things a linear model may do and a plant cannot: charge and discharge at once
(burning stored energy), and import and export at once (a money pump). This module
names the steps where either could pay; binary variables are spent there only. The
optimiser asserts after every solve that nothing flows both ways and decides further
steps where it does: a relaxation whose optimum the plant can follow is optimal for
the plant, so that assertion is the proof and this module makes it hold at once.

Site price. All that a step's money, preferences and peaks do to the battery goes through
pi, the dual of the balance at the grid connection: what one more kWh of load costs.

    importing       pi = buy + peak share + limit share + sigma    (shares >= 0)
    exporting       pi = sell - premium - limit share + sigma
    giving PV away  pi = -premium

Smoothing and ramps act on i - e. Their slope sigma is at most w_s + 2 w_r / h either way:
one kWh moves one distance from the reference, and two changes of power (to this step and
from it). The reserve and the terminal curve act on stored energy only. Raising import and
export, or charge and discharge, together leaves i - e alone, so neither smoothing nor
ramps reward it; they matter only through pi. Hence

    pi >= buy - slack importing,  pi >= sell - premium - slack exporting below the limit,
    slack = w_s + 2 w_r / h.

Battery. Raising charge and discharge of a step together by one AC kWh leaves the
grid alone, takes `1/eta_d - eta_c` kWh out of the store and costs `w_c + w_d` of
ageing. With lambda the value of a stored kWh it pays only if

    lambda < -(w_c + w_d) / (1/eta_d - eta_c).

Charging at site price pi must be worth it too: `lambda * eta_c >= pi + w_c`, so

    pi <= lambda * eta_c - w_c < -(w_c + eta_c * eta_d * w_d) / (1 - eta_c * eta_d).

With ageing w per DC kWh (`w_c = w * eta_c`, `w_d = w / eta_d`) the right side is
`-2 w / (1/eta_c - eta_d)`, the form in the optimisation notes, section 1. A stored
kWh becomes that much of a burden only ahead of a step that pays for charging or
forces it, so the test applies up to the last such step. Surplus PV forces it as far
as it may neither be given away nor exported; where it may, its price is at least
-premium.

Grid. Raising import and export together by one kWh earns `sell - premium - buy`: only
where the feed-in price less the premium is above the purchase price.

Rules "no charging while importing" and "no discharging while exporting" are linear
as long as PV power is not given away to import instead (`buy - slack` below 0) or
to make room for discharging (stored energy a burden); those steps get a binary too. Here
the linear model is a restriction and no relaxation, so no assertion would notice: the
tests on prices are sufficient on their own. (Take a best plan that imports while giving
away more PV than the surplus, and give away less: import falls by as much, which costs
nothing if buy - slack >= 0. One that discharges instead: discharge less, the grid stays,
and a kWh more is stored, which costs nothing unless it is a burden.)
"""

from __future__ import annotations

import numpy as np

from engine.optimization.candidates import Candidates
from engine.optimization.instance import Instance
from engine.optimization.terms import BoolArray


def burning_price_eur_per_kwh(instance: Instance) -> float:
    """Return the site price below which burning stored energy can pay; -inf if never."""
    round_trip = instance.eta_charge * instance.eta_discharge
    if round_trip >= 1.0:
        return -np.inf
    wear = instance.wear_charge_eur_per_kwh + round_trip * instance.wear_discharge_eur_per_kwh
    return -wear / (1.0 - round_trip)


def find_candidates(instance: Instance) -> Candidates:
    """Return the steps where the linear model may break physics (see the module text)."""
    slack, premium = instance.grid_slope_eur_per_kwh, instance.export_premium_eur_per_kwh
    least_buy = instance.buy_eur_per_kwh - slack
    least_sell = instance.sell_eur_per_kwh - premium - slack
    burning = burning_price_eur_per_kwh(instance)
    surplus_kw = instance.pv_kw - instance.load_kw
    can_charge = instance.charge_limit_kw > 0.0
    can_discharge = instance.discharge_limit_kw > 0.0
    can_import = instance.import_limit_kw > 0.0
    can_export = instance.export_limit_kw > 0.0

    can_buy_to_charge = can_charge & can_import & instance.grid_charge_allowed
    least_for_surplus = np.where(surplus_kw > instance.export_limit_kw, -np.inf, least_sell)
    if instance.curtailment_allowed:
        least_for_surplus = np.maximum(least_for_surplus, -premium)
    can_absorb = can_charge & (surplus_kw > 0.0)
    pressed = can_absorb & (least_for_surplus < burning)
    burning_may_pay = _up_to_the_last(
        instance, pressed | (can_buy_to_charge & (least_buy < burning))
    )
    battery = (
        ((least_buy < burning) | ((least_sell < burning) & can_export) | pressed)
        & burning_may_pay
        & can_charge
        & can_discharge
    )
    # Making room by serving the load needs no losses, so any payment for charging counts.
    stored_energy_may_burden = _up_to_the_last(
        instance,
        (can_buy_to_charge & (least_buy < 0.0)) | (can_absorb & (least_for_surplus < 0.0)),
    )
    if instance.curtailment_allowed and not instance.grid_charge_allowed:
        battery |= can_absorb & ((least_buy < 0.0) | stored_energy_may_burden)
    if instance.curtailment_allowed and not instance.battery_export_allowed:
        battery |= (surplus_kw > 0.0) & can_discharge & stored_energy_may_burden

    can_export_something = can_export & (surplus_kw + instance.discharge_limit_kw > 0.0)
    can_import_something = can_import & (
        instance.load_kw + instance.charge_limit_kw
        > (0.0 if instance.curtailment_allowed else instance.pv_kw)
    )
    pumping = instance.sell_eur_per_kwh - premium > instance.buy_eur_per_kwh
    return Candidates(battery=battery, grid=pumping & can_export_something & can_import_something)


def _up_to_the_last(instance: Instance, drivers: BoolArray) -> BoolArray:
    """Return True up to the last driver; everywhere when stored energy is unwanted anyway."""
    if (
        instance.energy_start_kwh > instance.energy_max_kwh
        or float(instance.terminal_marginals_eur_per_kwh().min()) < 0.0
    ):
        return np.ones(instance.n_steps, dtype=np.bool_)
    found = np.flatnonzero(drivers)
    last = int(found[-1]) if found.size else -1
    return np.arange(instance.n_steps) <= last

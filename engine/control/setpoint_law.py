"""The setpoint law between two plans: dispatch on the value of stored energy.

The plan gives the marginal value of a stored kWh. Every 2 s the law weighs it
against the price of the kWh at the meter with the load and PV of this moment,
so an unexpected cloud or load is met at its worth (notes/optimisation section
4: holding a planned setpoint for 15 min is what loses money). Where the law is
indifferent it follows the plan.

A plan carries the view it was optimised for (`PlanSteering`): prices, a distance from
a grid power aimed at, the import above which a demand charge arises. The law weighs
with that view, so that a strategy keeps its meaning between two plans.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from engine.domain.control import PowerLimits
from engine.domain.plan import Plan
from engine.domain.site import Battery

PLAN_PULL_EUR_PER_KWH = 0.003
"""Value below which a deviation from the plan is not worth making."""

VALUE_DISPATCH = "value_dispatch"
"""Reason of a setpoint that weighs stored energy against the price, as in normal operation."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of the running quarter-hour, EUR/kWh."""

    buy: float
    sell: float


@dataclass(frozen=True, slots=True)
class Situation:
    """What the law weighs in one cycle.

    Attributes:
        net_load_kw: Load minus PV; what the meter would show without the battery.
        planned_kw: Mean battery power the plan has for this step, + discharge.
        prices: Purchase and feed-in price.
        stored_value_eur_per_kwh: Marginal value of a stored kWh.
        battery: Efficiencies and wear.
        peak_cap_kw: Import above which a demand charge arises, + import; inf without one.
        peak_price_eur_per_kwh: What a kWh above the cap costs.
        smoothing_reference_kw: Grid power aimed at, + import; None without smoothing.
        smoothing_eur_per_kwh: Price per kWh of distance from it.
        grid_charge_allowed: False: only surplus PV power may be stored.
        battery_export_allowed: False: only the site's own load may be served.
    """

    net_load_kw: float
    planned_kw: float
    prices: Prices
    stored_value_eur_per_kwh: float
    battery: Battery
    peak_cap_kw: float = math.inf
    peak_price_eur_per_kwh: float = 0.0
    smoothing_reference_kw: float | None = None
    smoothing_eur_per_kwh: float = 0.0
    grid_charge_allowed: bool = True
    battery_export_allowed: bool = True

    def range_kw(self, limits: PowerLimits) -> tuple[float, float]:
        """Return the least and greatest battery power within the limits and the plan's rules.

        Where both cannot be kept, the limits rule.
        """
        low, high = limits.low_kw, limits.high_kw
        if not self.grid_charge_allowed:
            low = min(high, max(low, min(0.0, self.net_load_kw)))
        if not self.battery_export_allowed:
            high = max(low, min(high, max(0.0, self.net_load_kw)))
        return low, high

    def nodes_kw(self) -> tuple[float, ...]:
        """Return the battery powers at which the slope of the cost changes."""
        nodes = [0.0, self.net_load_kw, self.planned_kw]
        if math.isfinite(self.peak_cap_kw):
            nodes.append(self.net_load_kw - self.peak_cap_kw)
        if self.smoothing_reference_kw is not None:
            nodes.append(self.net_load_kw - self.smoothing_reference_kw)
        return tuple(nodes)


def rate_eur_per_h(battery_kw: float, now: Situation) -> float:
    """Return what running the battery at `battery_kw` costs per hour; lower is better.

    Energy money at the meter, wear through the cells, the change of stored energy at its
    marginal value, and where the plan has them the demand charge above its cap and the
    price of leaving the grid power aimed at (notes/optimisation sections 1 and 4).
    """
    grid_kw = now.net_load_kw - battery_kw
    money = now.prices.buy * max(grid_kw, 0.0) - now.prices.sell * max(-grid_kw, 0.0)
    if now.peak_price_eur_per_kwh > 0.0:
        money += now.peak_price_eur_per_kwh * max(0.0, grid_kw - now.peak_cap_kw)
    if now.smoothing_reference_kw is not None:
        money += now.smoothing_eur_per_kwh * abs(grid_kw - now.smoothing_reference_kw)
    if battery_kw >= 0:
        stored_kw = -battery_kw / now.battery.efficiency_discharge
    else:
        stored_kw = -battery_kw * now.battery.efficiency_charge
    wear = now.battery.wear_cost_eur_per_kwh * abs(stored_kw)
    return money + wear - now.stored_value_eur_per_kwh * stored_kw


def value_dispatch_kw(now: Situation, limits: PowerLimits) -> float:
    """Return the battery power of least cost within the limits, + discharge, - charge.

    The cost is piecewise linear in the power, so its minimum lies at a limit or where its
    slope changes: at zero, at the net load (nothing flows through the meter), at the import
    cap, at the grid power aimed at or, by the pull, at the planned power.
    """

    def cost(power_kw: float) -> tuple[float, float]:
        pull = PLAN_PULL_EUR_PER_KWH * abs(power_kw - now.planned_kw)
        return rate_eur_per_h(power_kw, now) + pull, abs(power_kw)

    low, high = now.range_kw(limits)
    allowed = {min(high, max(low, node)) for node in (low, *now.nodes_kw(), high)}
    return min(allowed, key=cost)


def situation_of(
    plan: Plan, step: int, net_load_kw: float, prices: Prices, battery: Battery
) -> Situation:
    """Return what the law weighs in step `step` of `plan`, in the view the plan was made for.

    Args:
        plan: The published plan.
        step: Index of the running step.
        net_load_kw: Load minus PV.
        prices: Live prices; the strategy's own replace them where the plan has a view.
        battery: Efficiencies and wear.
    """
    situation = Situation(
        net_load_kw=net_load_kw,
        planned_kw=float(plan.battery_kw[step]),
        prices=prices,
        stored_value_eur_per_kwh=float(plan.stored_value_eur_per_kwh[step]),
        battery=battery,
    )
    view = plan.steering
    if view is None:
        return situation
    aimed_kw = view.smoothing_reference_kw
    return replace(
        situation,
        prices=Prices(float(view.buy_eur_per_kwh[step]), float(view.sell_eur_per_kwh[step])),
        peak_cap_kw=float(view.peak_cap_kw[step]),
        peak_price_eur_per_kwh=view.peak_price_eur_per_kwh,
        smoothing_reference_kw=None if aimed_kw is None else float(aimed_kw[step]),
        smoothing_eur_per_kwh=view.smoothing_eur_per_kwh,
        grid_charge_allowed=view.grid_charge_allowed,
        battery_export_allowed=view.battery_export_allowed,
    )

"""The setpoint law between two plans: dispatch on the value of stored energy.

The plan gives the marginal value of a stored kWh. Every 2 s the law weighs it
against the price of the kWh at the meter with the load and PV of this moment,
so an unexpected cloud or load is met at its worth (notes/optimisation section
4: holding a planned setpoint for 15 min is what loses money). Where the law is
indifferent it follows the plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.control import PowerLimits, Setpoint
from engine.domain.plan import Plan
from engine.domain.sample import ProcessImage
from engine.domain.site import Battery

PLAN_PULL_EUR_PER_KWH = 0.003
"""Value below which a deviation from the plan is not worth making."""

VALUE_DISPATCH = "value_dispatch"
"""Reason of a setpoint that weighs stored energy against the price, as in normal operation."""

DEADBAND_KW = 0.5
"""Smaller wishes than this are idle: losses and wear of switching on exceed them."""


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
    """

    net_load_kw: float
    planned_kw: float
    prices: Prices
    stored_value_eur_per_kwh: float
    battery: Battery


def rate_eur_per_h(battery_kw: float, now: Situation) -> float:
    """Return what running the battery at `battery_kw` costs per hour; lower is better.

    Energy money at the meter, wear through the cells, and the change of stored energy
    at its marginal value (notes/optimisation sections 1 and 4).
    """
    grid_kw = now.net_load_kw - battery_kw
    money = now.prices.buy * max(grid_kw, 0.0) - now.prices.sell * max(-grid_kw, 0.0)
    if battery_kw >= 0:
        stored_kw = -battery_kw / now.battery.efficiency_discharge
    else:
        stored_kw = -battery_kw * now.battery.efficiency_charge
    wear = now.battery.wear_cost_eur_per_kwh * abs(stored_kw)
    return money + wear - now.stored_value_eur_per_kwh * stored_kw


def value_dispatch_kw(now: Situation, limits: PowerLimits) -> float:
    """Return the battery power of least cost within the limits, + discharge, - charge.

    The cost is piecewise linear in the power, so its minimum lies at a limit, at zero, at the
    net load (nothing flows through the meter) or, by the pull, at the planned power.
    """

    def cost(power_kw: float) -> tuple[float, float]:
        pull = PLAN_PULL_EUR_PER_KWH * abs(power_kw - now.planned_kw)
        return rate_eur_per_h(power_kw, now) + pull, abs(power_kw)

    nodes = (-limits.charge_kw, 0.0, now.net_load_kw, now.planned_kw, limits.discharge_kw)
    allowed = {min(limits.discharge_kw, max(-limits.charge_kw, v)) for v in nodes}
    return min(allowed, key=cost)


def decide(
    image: ProcessImage,
    limits: PowerLimits,
    plan: Plan | None,
    prices: Prices | None,
    battery: Battery,
) -> Setpoint:
    """Return the setpoint of this cycle; 0 kW with the reason when it cannot be decided.

    Args:
        image: Process image of the cycle.
        limits: Limits of the cycle.
        plan: The published plan, or None.
        prices: Prices of the running quarter-hour, or None when unknown.
        battery: Nameplate and economics.
    """
    now = image.ts
    grid_kw, battery_kw = image.value("grid_kw"), image.value("battery_kw")
    if image.value("soc_percent") is None:
        return Setpoint(now, 0.0, 0.0, "bms_missing")
    if grid_kw is None or battery_kw is None:
        return Setpoint(now, 0.0, 0.0, "meter_missing")
    step = plan.step_at(now) if plan is not None else None
    if plan is None or step is None:
        return Setpoint(now, 0.0, 0.0, "no_plan")
    if prices is None:
        return Setpoint(now, 0.0, 0.0, "no_price")
    situation = Situation(
        net_load_kw=grid_kw + battery_kw,
        planned_kw=float(plan.battery_kw[step]),
        prices=prices,
        stored_value_eur_per_kwh=float(plan.stored_value_eur_per_kwh[step]),
        battery=battery,
    )
    nameplate = PowerLimits(
        battery.power_charge_max_kw, battery.power_discharge_max_kw, "nameplate", "nameplate"
    )
    wanted = value_dispatch_kw(situation, nameplate)
    power = value_dispatch_kw(situation, limits)
    if abs(power) < DEADBAND_KW:
        power = 0.0
    binding = None
    if abs(power - wanted) > DEADBAND_KW:
        binding = limits.charge_binding if wanted < 0 else limits.discharge_binding
    return Setpoint(now, power, wanted, VALUE_DISPATCH, binding)

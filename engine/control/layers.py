"""The layers between the plan and the limits, as functions of one moment.

Each takes what the layers below it want and returns what remains of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from engine.control.setpoint_law import (
    VALUE_DISPATCH,
    Prices,
    Situation,
    situation_of,
    value_dispatch_kw,
)
from engine.domain.control import PowerLimits
from engine.domain.plan import Plan
from engine.domain.site import Battery

PEAK_GUARD = "peak_guard"
RESERVE = "reserve"
GRID_LIMIT = "grid_limit"
MANUAL = "manual"
HOLD = "hold"
TRACK = "track"
SELF_CONSUMPTION = "self_consumption"
BMS_MISSING = "bms_missing"
METER_MISSING = "meter_missing"
NO_PLAN = "no_plan"
NO_PRICE = "no_price"

DECIDING_REASONS = frozenset(
    {VALUE_DISPATCH, PEAK_GUARD, RESERVE, GRID_LIMIT, MANUAL, HOLD, TRACK, SELF_CONSUMPTION}
)
"""Reasons of a setpoint that a layer decided; the others say why the battery stands still."""

EPSILON_KW = 1e-9


@dataclass(frozen=True, slots=True)
class Wish:
    """What the layers so far want.

    Attributes:
        power_kw: Battery power, + discharge, - charge.
        reason: Layer that decided it.
        missing: What it had to do without, or None.
    """

    power_kw: float
    reason: str
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What the layers see in one cycle.

    Attributes:
        plan: The published plan if it covers now, else None.
        step: Its running step; 0 without a plan.
        prices: Prices of the running quarter-hour, or None.
        battery: Nameplate and economics.
        limits: Limits of the cycle.
        live_kw: Filtered net load.
        calm_kw: Slow mean of the net load.
        energy_kwh: Stored energy.
        allowed_kw: Import the peak guard allows, infinite without it.
        direction: Sign of the last battery power that was not 0.
        deadband_kw: Power below which the battery stands still.
    """

    plan: Plan | None
    step: int
    prices: Prices | None
    battery: Battery
    limits: PowerLimits
    live_kw: float
    calm_kw: float
    energy_kwh: float
    allowed_kw: float
    direction: int
    deadband_kw: float

    @property
    def guard_least_kw(self) -> float:
        """Least battery power with which the guard is content."""
        return self.live_kw - self.allowed_kw


def dispatch_wish(now: Moment) -> Wish:
    """Return what value dispatch wants; 0 without a plan or a price."""
    if now.plan is None or now.prices is None:
        missing = _missing(now)
        return Wish(0.0, missing, missing)
    situation = situation_of(now.plan, now.step, now.live_kw, now.prices, now.battery)
    if math.isfinite(now.allowed_kw):
        # What costs is the quarter-hour's mean, so the cap of the moment is the guard's.
        situation = replace(situation, peak_cap_kw=now.allowed_kw)
    return Wish(_dispatch_kw(situation, now), VALUE_DISPATCH)


def comparison_wish(now: Moment, mode: Literal["hold", "track"]) -> Wish:
    """Return the planned battery power, or what brings the meter to the planned grid power."""
    if now.plan is None:
        return Wish(0.0, NO_PLAN, NO_PLAN)
    if mode == "hold":
        return Wish(float(now.plan.battery_kw[now.step]), HOLD)
    return Wish(now.live_kw - float(now.plan.grid_kw[now.step]), TRACK)


def self_consumption_wish(now: Moment) -> Wish:
    """Return what keeps the meter at zero; the calm mean must agree on the direction."""
    turning = now.live_kw * now.direction <= 0.0
    agreed = not turning or now.calm_kw * _sign(now.live_kw) >= now.deadband_kw
    return Wish(now.live_kw if agreed else 0.0, SELF_CONSUMPTION, _missing(now))


def with_reserve(wish: Wish, now: Moment, reserve_kwh: float, band_kwh: float) -> Wish:
    """Keep the energy set aside for peaks.

    Below the reserve the battery charges as much as the guard and the plan's cap allow, or
    from surplus alone where the strategy forbids charging from the grid. In the band above
    it the battery may charge, but gives nothing for money.

    Args:
        wish: What the layers below want.
        now: The moment; it has a plan.
        reserve_kwh: Energy to keep now.
        band_kwh: Width of the band above it, >= 0.
    """
    if now.energy_kwh >= reserve_kwh + band_kwh:
        return wish
    most_kw = 0.0
    if now.energy_kwh < reserve_kwh:
        most_kw = max(min(0.0, now.live_kw - _refill_to_kw(now)), -now.battery.power_charge_max_kw)
    if wish.power_kw <= most_kw + EPSILON_KW:
        return wish
    return Wish(most_kw, RESERVE, wish.missing)


def _refill_to_kw(now: Moment) -> float:
    steering = now.plan.steering if now.plan is not None else None
    if steering is None:
        return now.allowed_kw
    if not steering.grid_charge_allowed:
        return 0.0
    return min(now.allowed_kw, float(steering.peak_cap_kw[now.step]))


def _missing(now: Moment) -> str:
    return NO_PLAN if now.plan is None else NO_PRICE


def _dispatch_kw(situation: Situation, now: Moment) -> float:
    """Return the power of least cost; starting or turning round needs the calm mean's consent.

    Without limits, unless these change it: what the battery would do is worth knowing.
    """
    nameplate = PowerLimits(
        now.battery.power_charge_max_kw, now.battery.power_discharge_max_kw, "", ""
    )
    power_kw = value_dispatch_kw(situation, nameplate)
    direction = _sign(power_kw)
    if direction not in (0, now.direction):
        calm = replace(situation, net_load_kw=now.calm_kw)
        if value_dispatch_kw(calm, nameplate) * direction < now.deadband_kw:
            return 0.0
    if now.limits.low_kw <= power_kw <= now.limits.high_kw:
        return power_kw
    # A clipped optimum need not be the optimum within the limits where selling pays more.
    within_kw = value_dispatch_kw(situation, now.limits)
    clipped_kw = min(max(power_kw, now.limits.low_kw), now.limits.high_kw)
    return power_kw if within_kw == clipped_kw else within_kw


def _sign(power_kw: float) -> int:
    return int(power_kw > 0.0) - int(power_kw < 0.0)

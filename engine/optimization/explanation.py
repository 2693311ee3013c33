"""What a plan does next, in blocks a person can read, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from engine.domain.plan import Plan

FLUTTER_KW = 0.5
"""Battery power below this is shown as holding."""

ROUNDING = 1e-6
"""Prices (EUR/kWh) closer than this are the same; at the margin both sides are equal."""


class ActionKind(StrEnum):
    """What the battery does in a block of steps."""

    CHARGE_PV = "charge_pv"
    CHARGE_GRID = "charge_grid"
    CHARGE_MIXED = "charge_mixed"
    DISCHARGE_LOAD = "discharge_load"
    DISCHARGE_GRID = "discharge_grid"
    HOLD = "hold"


class ReasonCode(StrEnum):
    """Why a step does what it does."""

    STORED_VALUE_ABOVE_PRICE = "stored_value_above_price"
    PRICE_ABOVE_STORED_VALUE = "price_above_stored_value"
    NO_GAIN = "no_gain"
    CONSTRAINT = "constraint"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the current step does what it does.

    Attributes:
        code: STORED_VALUE_ABOVE_PRICE for charging and PRICE_ABOVE_STORED_VALUE for
            discharging where the prices say so, NO_GAIN for holding, CONSTRAINT where a
            limit or wish decides against the prices.
        stored_value_eur_per_kwh: What one more stored kWh is worth to the rest of the plan.
        price_eur_per_kwh: The price it is compared with: paid or forgone for charging,
            avoided or earned for discharging, the grid's own direction for holding.
    """

    code: ReasonCode
    stored_value_eur_per_kwh: float
    price_eur_per_kwh: float


@dataclass(frozen=True, slots=True)
class Action:
    """One block of the plan in which the battery does one thing.

    Attributes:
        kind: What it does.
        start: Start, UTC; the given `now` for the block that is running.
        end: End, UTC.
        mean_kw: Mean battery power, + discharge, - charge.
        energy_kwh: AC energy charged or discharged from `start` to `end`, >= 0.
        price_eur_per_kwh: Energy-weighted mean of the price that counts: buy price for
            charging from the grid, forgone feed-in price for charging from PV, avoided buy
            price for serving the load, feed-in price for exporting. None for holding.
        soc_end_kwh: Planned stored energy at the end.
        reason: Why, for the block that is running now; None for later blocks.
    """

    kind: ActionKind
    start: datetime
    end: datetime
    mean_kw: float
    energy_kwh: float
    price_eur_per_kwh: float | None
    soc_end_kwh: float
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    kind: ActionKind
    power_kw: float
    price_eur_per_kwh: float


def _step(plan: Plan, index: int) -> _Step:
    battery_kw = float(plan.battery_kw[index])
    buy, sell = float(plan.buy_eur_per_kwh[index]), float(plan.sell_eur_per_kwh[index])
    used_pv_kw = float(plan.pv_kw[index] - plan.curtailed_kw[index])
    need_kw = float(plan.load_kw[index]) - used_pv_kw
    if abs(battery_kw) < FLUTTER_KW:
        price = buy if float(plan.grid_kw[index]) >= 0.0 else sell
        return _Step(ActionKind.HOLD, battery_kw, price)
    power_kw = abs(battery_kw)
    if battery_kw < 0.0:
        from_pv_kw = min(power_kw, max(-need_kw, 0.0))
        from_grid_kw = power_kw - from_pv_kw
        price = (from_grid_kw * buy + from_pv_kw * sell) / power_kw
        if from_grid_kw < FLUTTER_KW:
            return _Step(ActionKind.CHARGE_PV, battery_kw, price)
        if from_pv_kw < FLUTTER_KW:
            return _Step(ActionKind.CHARGE_GRID, battery_kw, price)
        return _Step(ActionKind.CHARGE_MIXED, battery_kw, price)
    to_load_kw = min(power_kw, max(need_kw, 0.0))
    to_grid_kw = power_kw - to_load_kw
    price = (to_load_kw * buy + to_grid_kw * sell) / power_kw
    kind = ActionKind.DISCHARGE_GRID if to_grid_kw > to_load_kw else ActionKind.DISCHARGE_LOAD
    return _Step(kind, battery_kw, price)


def _reason(plan: Plan, index: int) -> Reason:
    step = _step(plan, index)
    value, price = float(plan.stored_value_eur_per_kwh[index]), step.price_eur_per_kwh
    if step.kind is ActionKind.HOLD:
        code = ReasonCode.NO_GAIN
    elif step.power_kw < 0.0:
        code = (
            ReasonCode.STORED_VALUE_ABOVE_PRICE
            if value >= price - ROUNDING
            else ReasonCode.CONSTRAINT
        )
    else:
        code = (
            ReasonCode.PRICE_ABOVE_STORED_VALUE
            if price >= value - ROUNDING
            else ReasonCode.CONSTRAINT
        )
    return Reason(code, value, price)


def next_actions(plan: Plan, now: datetime, limit: int = 6) -> list[Action]:
    """Return what the plan does from `now` on, the running block first.

    Consecutive steps of the same kind are one block. Power below `FLUTTER_KW` counts as
    holding. Charging is from PV as far as PV power exceeds the load, discharging goes to
    the load as far as the load exceeds PV power.

    Args:
        plan: The plan.
        now: Timezone-aware time; before the plan's start the whole plan lies ahead.
        limit: Most blocks to return, >= 1.

    Returns:
        At most `limit` blocks in time order; empty after the plan's end.
    """
    now = now.astimezone(UTC)
    if now >= plan.end:
        return []
    index = plan.step_at(now) or 0
    actions: list[Action] = []
    while index < plan.n_steps and len(actions) < limit:
        first = _step(plan, index)
        stop = index + 1
        while stop < plan.n_steps and _step(plan, stop).kind is first.kind:
            stop += 1
        actions.append(_action(plan, index, stop, now))
        index = stop
    return actions


def _action(plan: Plan, begin: int, stop: int, now: datetime) -> Action:
    kind = _step(plan, begin).kind
    running = plan.step_at(now) == begin
    start = max(plan.start + begin * plan.step, now)
    end = plan.start + stop * plan.step
    signed_kwh = energy_kwh = money_eur = 0.0
    for index in range(begin, stop):
        step = _step(plan, index)
        step_end = plan.start + (index + 1) * plan.step
        hours = min(plan.step, step_end - start).total_seconds() / 3600.0
        signed_kwh += step.power_kw * hours
        energy_kwh += abs(step.power_kw) * hours
        money_eur += abs(step.power_kw) * hours * step.price_eur_per_kwh
    holds = kind is ActionKind.HOLD
    return Action(
        kind=kind,
        start=start,
        end=end,
        mean_kw=signed_kwh / ((end - start).total_seconds() / 3600.0),
        energy_kwh=energy_kwh,
        price_eur_per_kwh=None if holds else money_eur / energy_kwh,
        soc_end_kwh=float(plan.soc_kwh[stop - 1]),
        reason=_reason(plan, begin) if running else None,
    )

"""Why each step of a plan does what it does, from the prices behind the plan.

With lambda the value of a stored kWh and pi the site price (optimisation notes, section 5):
charging pays iff `(lambda - wear) eta_c >= pi`, discharging iff `pi eta_d - wear >= lambda`,
else the battery holds. pi is the energy price of the step plus what the demand charge, the
owner's preference for own energy and smoothing add to it; what of these was decisive is named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np

from engine.domain.plan import Plan
from engine.domain.site import Battery

FLUTTER_KW = 0.5
"""Battery power below this is shown as holding."""

ROUNDING = 1e-6
"""Prices (EUR/kWh) closer than this are the same; at the margin both sides are equal."""

_FULL_TOLERANCE_KWH = 0.01


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


class Driver(StrEnum):
    """What besides the energy price a step needs to make sense."""

    PEAK = "peak"
    RESERVE = "reserve"
    SMOOTHING = "smoothing"
    SELF_CONSUMPTION = "self_consumption"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one step does what it does.

    Attributes:
        code: STORED_VALUE_ABOVE_PRICE for charging and PRICE_ABOVE_STORED_VALUE for
            discharging where the prices say so, NO_GAIN for holding, CONSTRAINT where a
            limit or wish decides against the prices.
        stored_value_eur_per_kwh: What one more stored kWh is worth to the rest of the plan.
        price_eur_per_kwh: The energy price it is compared with: paid or forgone for charging,
            avoided or earned for discharging, the grid's own direction for holding.
        best_later_ts: Start of the step the stored energy (or, for holding before charging, the
            free room) waits for, UTC; None where nothing is waited for.
        best_later_kind: What the battery does then.
        best_later_eur_per_kwh: The price that counts then, demand charge included.
        margin_eur_per_kwh: By how much that is better than now, before losses and wear: later
            minus now when energy waits, now minus later when room waits.
        drivers: What besides the energy price was needed for the step to make sense.
        sets_peak: True when the step is one of those that set a billed peak.
    """

    code: ReasonCode
    stored_value_eur_per_kwh: float
    price_eur_per_kwh: float
    best_later_ts: datetime | None = None
    best_later_kind: ActionKind | None = None
    best_later_eur_per_kwh: float | None = None
    margin_eur_per_kwh: float | None = None
    drivers: tuple[Driver, ...] = ()
    sets_peak: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the reason ready for JSON; times in ISO 8601, UTC."""
        return {
            "code": self.code.value,
            "stored_value_eur_per_kwh": self.stored_value_eur_per_kwh,
            "price_eur_per_kwh": self.price_eur_per_kwh,
            "best_later_ts": None if self.best_later_ts is None else self.best_later_ts.isoformat(),
            "best_later_kind": (
                None if self.best_later_kind is None else self.best_later_kind.value
            ),
            "best_later_eur_per_kwh": self.best_later_eur_per_kwh,
            "margin_eur_per_kwh": self.margin_eur_per_kwh,
            "drivers": [driver.value for driver in self.drivers],
            "sets_peak": self.sets_peak,
        }


@dataclass(frozen=True, slots=True)
class StepView:
    """What one step does.

    Attributes:
        kind: What the battery does.
        power_kw: Battery power, + discharge, - charge.
        price_eur_per_kwh: Energy price that counts for it (see `Reason`).
        at_buy: Share of the power at the buy price, the rest is at the sell price.
    """

    kind: ActionKind
    power_kw: float
    price_eur_per_kwh: float
    at_buy: float


def view_of(plan: Plan, index: int) -> StepView:
    """Return what step `index` of `plan` does.

    Charging is from PV as far as PV power exceeds the load, discharging goes to the load
    as far as the load exceeds PV power.
    """
    battery_kw = float(plan.battery_kw[index])
    buy, sell = float(plan.buy_eur_per_kwh[index]), float(plan.sell_eur_per_kwh[index])
    used_pv_kw = float(plan.pv_kw[index] - plan.curtailed_kw[index])
    need_kw = float(plan.load_kw[index]) - used_pv_kw
    power_kw = abs(battery_kw)
    if power_kw < FLUTTER_KW:
        importing = float(plan.grid_kw[index]) >= 0.0
        return StepView(ActionKind.HOLD, battery_kw, buy if importing else sell, float(importing))
    if battery_kw < 0.0:
        from_pv_kw = min(power_kw, max(-need_kw, 0.0))
        at_buy_kw, at_sell_kw = power_kw - from_pv_kw, from_pv_kw
        kind = ActionKind.CHARGE_MIXED
        if at_buy_kw < FLUTTER_KW:
            kind = ActionKind.CHARGE_PV
        elif at_sell_kw < FLUTTER_KW:
            kind = ActionKind.CHARGE_GRID
    else:
        at_buy_kw = min(power_kw, max(need_kw, 0.0))
        at_sell_kw = power_kw - at_buy_kw
        to_load = at_sell_kw <= at_buy_kw
        kind = ActionKind.DISCHARGE_LOAD if to_load else ActionKind.DISCHARGE_GRID
    price = (at_buy_kw * buy + at_sell_kw * sell) / power_kw
    return StepView(kind, battery_kw, price, at_buy_kw / power_kw)


def explain(plan: Plan, battery: Battery | None = None) -> tuple[Reason, ...]:
    """Return why each step of `plan` does what it does, n entries.

    Args:
        plan: The plan. Without `peak_share_eur_per_kwh` and `steering` only its energy prices
            speak.
        battery: Its efficiencies and wear count in the comparison; without it prices and
            stored value are compared as they are.
    """
    views = [view_of(plan, index) for index in range(plan.n_steps)]
    return tuple(_reason(plan, views, index, battery) for index in range(plan.n_steps))


def reason_at(plan: Plan, index: int, battery: Battery | None = None) -> Reason:
    """Return why step `index` does what it does (see `explain`)."""
    return _reason(plan, [view_of(plan, step) for step in range(plan.n_steps)], index, battery)


def peak_setting_steps(plan: Plan) -> tuple[datetime, ...]:
    """Return the start of every step that sets a billed peak, UTC; empty when none does."""
    if plan.peak_share_eur_per_kwh is None:
        return ()
    found = np.flatnonzero(plan.peak_share_eur_per_kwh > ROUNDING)
    return tuple(plan.start + int(index) * plan.step for index in found)


def _peak_share(plan: Plan, index: int) -> float:
    shares = plan.peak_share_eur_per_kwh
    return 0.0 if shares is None else float(shares[index])


def _extras(plan: Plan, view: StepView, index: int) -> dict[Driver, float]:
    """Return what each driver adds to the energy price of the step."""
    extras = {Driver.PEAK: _peak_share(plan, index) * view.at_buy}
    steering = plan.steering
    if steering is None:
        return extras
    seen_sell = float(steering.sell_eur_per_kwh[index] - plan.sell_eur_per_kwh[index])
    extras[Driver.SELF_CONSUMPTION] = (1.0 - view.at_buy) * seen_sell
    if steering.smoothing_reference_kw is not None:
        distance_kw = float(plan.grid_kw[index] - steering.smoothing_reference_kw[index])
        slope = steering.smoothing_eur_per_kwh * float(np.sign(round(distance_kw, 6)))
        if slope == 0.0 and plan.site_price_eur_per_kwh is not None:
            # On the reference itself the slope is whatever balances the plan.
            energy = view.price_eur_per_kwh + sum(extras.values())
            slope = float(plan.site_price_eur_per_kwh[index]) - energy
            most = steering.smoothing_eur_per_kwh
            slope = min(max(slope, -most), most)
        extras[Driver.SMOOTHING] = slope
    return extras


def _pays(price: float, view: StepView, value: float, battery: Battery | None) -> bool:
    """Return whether the step's direction pays at `price`."""
    wear = 0.0 if battery is None else battery.wear_cost_eur_per_kwh
    if view.power_kw < 0.0:
        gain = 1.0 if battery is None else battery.efficiency_charge
        return (value - wear) * gain >= price - ROUNDING
    gain = 1.0 if battery is None else battery.efficiency_discharge
    return price * gain - wear >= value - ROUNDING


def _reason(plan: Plan, views: list[StepView], index: int, battery: Battery | None) -> Reason:
    view, value = views[index], float(plan.stored_value_eur_per_kwh[index])
    extras = _extras(plan, view, index)
    later = _waits_for(plan, views, index)
    drivers: list[Driver] = []
    if view.kind is ActionKind.HOLD:
        code = ReasonCode.NO_GAIN
    else:
        # The strategy may have seen a buy price of its own; that is its view, no driver.
        seen = view.price_eur_per_kwh + _own_buy_view(plan, view, index)
        if _pays(seen + sum(extras.values()), view, value, battery):
            code = (
                ReasonCode.STORED_VALUE_ABOVE_PRICE
                if view.power_kw < 0.0
                else ReasonCode.PRICE_ABOVE_STORED_VALUE
            )
            drivers += [
                driver
                for driver, extra in extras.items()
                if not _pays(seen + sum(extras.values()) - extra, view, value, battery)
            ]
        else:
            code = ReasonCode.CONSTRAINT
    if (
        later is not None
        and views[later].kind in (ActionKind.DISCHARGE_LOAD, ActionKind.DISCHARGE_GRID)
        and _peak_share(plan, later) > ROUNDING
    ):
        drivers.append(Driver.PEAK)
    if _reserve_decides(plan, view, index, battery):
        drivers.append(Driver.RESERVE)
    plain = Reason(
        code=code,
        stored_value_eur_per_kwh=value,
        price_eur_per_kwh=view.price_eur_per_kwh,
        drivers=tuple(dict.fromkeys(drivers)),
        sets_peak=_peak_share(plan, index) > ROUNDING,
    )
    if later is None:
        return plain
    now, then = _counted(plan, views, index), _counted(plan, views, later)
    return replace(
        plain,
        best_later_ts=plan.start + later * plan.step,
        best_later_kind=views[later].kind,
        best_later_eur_per_kwh=then,
        margin_eur_per_kwh=now - then if views[later].power_kw < 0.0 else then - now,
    )


def _own_buy_view(plan: Plan, view: StepView, index: int) -> float:
    if plan.steering is None:
        return 0.0
    return view.at_buy * float(plan.steering.buy_eur_per_kwh[index] - plan.buy_eur_per_kwh[index])


def _reserve_decides(plan: Plan, view: StepView, index: int, battery: Battery | None) -> bool:
    """Return whether the step keeps or fills the reserve instead of using the energy."""
    if plan.reserve_kwh is None or view.power_kw >= FLUTTER_KW:
        return False
    wished = plan.reserve_kwh
    floor_kwh = float(wished.min()) if battery is None else battery.energy_min_kwh
    if float(wished[index]) <= floor_kwh + _FULL_TOLERANCE_KWH:
        return False
    return float(plan.soc_kwh[index]) <= float(wished[index]) + _FULL_TOLERANCE_KWH


def _waits_for(plan: Plan, views: list[StepView], index: int) -> int | None:
    """Return the later step that charging or holding waits for.

    The next stretch in which the battery works decides: its dearest step when it
    discharges, its cheapest when it charges. A step that discharges waits for nothing, and
    charging waits for the next discharging.
    """
    if views[index].power_kw >= FLUTTER_KW:
        return None
    holds = views[index].kind is ActionKind.HOLD
    best: int | None = None
    direction = 0.0 if holds else 1.0
    for later in range(index + 1, plan.n_steps):
        power_kw = views[later].power_kw
        if abs(power_kw) < FLUTTER_KW or (not holds and best is None and power_kw < 0.0):
            continue
        if direction == 0.0:
            direction = float(np.sign(power_kw))
        if power_kw * direction < 0.0:
            break
        if (
            best is None
            or direction * (_counted(plan, views, later) - _counted(plan, views, best)) > ROUNDING
        ):
            best = later
    return best


def _counted(plan: Plan, views: list[StepView], index: int) -> float:
    """Return the energy price of a step with its share of the demand charge."""
    return views[index].price_eur_per_kwh + _peak_share(plan, index) * views[index].at_buy

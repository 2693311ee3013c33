"""What a plan does next, in blocks a person can read, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from engine.domain.plan import Plan
from engine.domain.site import Battery
from engine.optimization.reasons import (
    FLUTTER_KW,
    ActionKind,
    Driver,
    Reason,
    ReasonCode,
    explain,
    peak_setting_steps,
    reason_at,
    view_of,
)

__all__ = [
    "FLUTTER_KW",
    "Action",
    "ActionKind",
    "Driver",
    "Reason",
    "ReasonCode",
    "explain",
    "next_actions",
    "peak_setting_steps",
]


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
        reason: Why the block's first step does it; None for later blocks unless asked for.
    """

    kind: ActionKind
    start: datetime
    end: datetime
    mean_kw: float
    energy_kwh: float
    price_eur_per_kwh: float | None
    soc_end_kwh: float
    reason: Reason | None = None


def next_actions(
    plan: Plan,
    now: datetime,
    limit: int = 6,
    *,
    battery: Battery | None = None,
    every_reason: bool = False,
) -> list[Action]:
    """Return what the plan does from `now` on, the running block first.

    Consecutive steps of the same kind are one block. Power below `FLUTTER_KW` counts as
    holding. Charging is from PV as far as PV power exceeds the load, discharging goes to
    the load as far as the load exceeds PV power.

    Args:
        plan: The plan.
        now: Timezone-aware time; before the plan's start the whole plan lies ahead.
        limit: Most blocks to return, >= 1.
        battery: Lets reasons count losses and wear (see `explain`).
        every_reason: Give a reason for every block and not only for the running one.

    Returns:
        At most `limit` blocks in time order; empty after the plan's end.
    """
    now = now.astimezone(UTC)
    if now >= plan.end:
        return []
    index = plan.step_at(now) or 0
    actions: list[Action] = []
    while index < plan.n_steps and len(actions) < limit:
        first = view_of(plan, index)
        stop = index + 1
        while stop < plan.n_steps and view_of(plan, stop).kind is first.kind:
            stop += 1
        explained = every_reason or plan.step_at(now) == index
        reason = reason_at(plan, index, battery) if explained else None
        actions.append(_action(plan, index, stop, now, reason))
        index = stop
    return actions


def _action(plan: Plan, begin: int, stop: int, now: datetime, reason: Reason | None) -> Action:
    kind = view_of(plan, begin).kind
    start = max(plan.start + begin * plan.step, now)
    end = plan.start + stop * plan.step
    signed_kwh = energy_kwh = money_eur = 0.0
    for index in range(begin, stop):
        step = view_of(plan, index)
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
        reason=reason,
    )

"""What is published: plain JSON built from the engine's snapshot."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from engine.devices.mqtt.commands import CommandOutcome
from engine.domain.alarms import AlarmView, severity_rank
from engine.domain.plan import Plan
from engine.domain.sample import Quality, Sample
from engine.domain.snapshot import EngineSnapshot
from engine.telemetry.debounce import AnalogDebounce

DECIMALS = 4


@dataclass(frozen=True, slots=True)
class StateMessage:
    """A retained state, published when `key` changes.

    Attributes:
        name: Last part of its topic.
        key: What makes two messages the same; times alone are no change.
        payload: Makes the JSON; called only when the key has changed.
    """

    name: str
    key: Hashable
    payload: Callable[[], bytes]


def telemetry_payload(snapshot: EngineSnapshot) -> bytes:
    """Return the values of one cycle.

    Signals are keys of the top level; what must not be used is null, and ``quality`` says why.
    """
    image = snapshot.image
    data: dict[str, Any] = {
        "ts": _iso(image.ts),
        "seq": snapshot.seq,
        "site_id": image.site_id,
        "state": snapshot.state.value,
        "simulated": image.simulated,
    }
    data |= {name: _number(image.value(name)) for name in image.samples}
    if snapshot.price is not None:
        data["buy_eur_per_kwh"] = _number(snapshot.price.buy_eur_per_kwh)
        data["sell_eur_per_kwh"] = _number(snapshot.price.sell_eur_per_kwh)
    data["energy_cost_today_eur"] = _number(snapshot.energy_cost_today_eur)
    data["quality"] = {
        name: {"quality": s.quality.value, "reason": s.reason}
        for name, s in image.samples.items()
        if s.quality is not Quality.GOOD
    }
    return _json(data)


def state_messages(
    snapshot: EngineSnapshot,
    alarms: Sequence[AlarmView],
    debounce: AnalogDebounce,
    monotonic_s: float,
) -> Iterable[StateMessage]:
    """Return the states of one cycle; those that are not known yet are left out.

    Args:
        snapshot: The engine's state.
        alarms: Listed alarms of the battery; the engine's own are part of the snapshot.
        debounce: Calms setpoint and limits, which would otherwise change every cycle.
        monotonic_s: Monotonic time of the cycle.
    """
    yield alarms_message(snapshot, alarms)
    plan = snapshot.plan
    if plan is not None:
        yield StateMessage("plan", plan.plan_id, partial(plan_payload, plan, snapshot))
    yield _strategy(snapshot)
    ts = snapshot.ts

    def calm(name: str, value: float, cause: str) -> float:
        # With another cause the value is another one, however close: it passes at once.
        shown = debounce.update(name, Sample(value, ts, cause), monotonic_s).value
        return value if shown is None else shown

    if snapshot.setpoint is not None:
        setpoint = snapshot.setpoint
        power_kw = calm("setpoint_kw", setpoint.power_kw, f"{setpoint.reason} {setpoint.binding}")
        key = (power_kw, setpoint.reason, setpoint.binding)
        data = {
            "ts": _iso(setpoint.ts),
            "power_kw": _number(power_kw),
            "wanted_kw": _number(setpoint.wanted_kw),
            "reason": setpoint.reason,
            "binding": setpoint.binding,
        }
        yield StateMessage("setpoint", key, partial(_json, data))
    if snapshot.limits is not None:
        limits = snapshot.limits
        shown = {
            "charge_kw": _number(calm("charge_limit_kw", limits.charge_kw, limits.charge_binding)),
            "discharge_kw": _number(
                calm("discharge_limit_kw", limits.discharge_kw, limits.discharge_binding)
            ),
            "charge_binding": limits.charge_binding,
            "discharge_binding": limits.discharge_binding,
        }
        data = {"ts": _iso(ts), **shown}
        yield StateMessage("limits", tuple(shown.values()), partial(_json, data))


def plan_payload(plan: Plan, snapshot: EngineSnapshot) -> bytes:
    """Return a plan: one array per quantity, one element per step; `soc_percent` at its end."""
    capacity_kwh = snapshot.site.battery.energy_capacity_kwh
    arrays = {
        "battery_kw": plan.battery_kw,
        "grid_kw": plan.grid_kw,
        "load_kw": plan.load_kw,
        "pv_kw": plan.pv_kw,
        "soc_percent": 100.0 * plan.soc_kwh / capacity_kwh,
        "buy_eur_per_kwh": plan.buy_eur_per_kwh,
        "sell_eur_per_kwh": plan.sell_eur_per_kwh,
    }
    data: dict[str, Any] = {
        "plan_id": plan.plan_id,
        "created_at": _iso(plan.created_at),
        "start": _iso(plan.start),
        "step_minutes": plan.step_minutes,
        "strategy": plan.strategy,
        "trigger": plan.trigger,
        "status": plan.status,
        "check_passed": plan.check.passed,
        "profit_24h_eur": _number(plan.profit_24h_eur),
        "cost_eur": _number(plan.cost_eur),
        "baseline_cost_eur": _number(plan.baseline_cost_eur),
        "gave_way": {name: _number(amount) for name, amount in plan.gave_way.items()},
    }
    data |= {name: [_number(v) for v in values.tolist()] for name, values in arrays.items()}
    data["price_is_forecast"] = plan.price_is_forecast.tolist()
    return _json(data)


def result_payload(
    name: str, command_id: str | None, outcome: CommandOutcome, ts: datetime
) -> bytes:
    """Return the answer to command `name`."""
    applied = outcome.applied
    return _json(
        {
            "command": name,
            "id": command_id,
            "accepted": outcome.accepted,
            "applied": _number(applied) if isinstance(applied, float) else applied,
            "reason": outcome.reason,
            "ts": _iso(ts),
        }
    )


def alarms_message(snapshot: EngineSnapshot, device: Sequence[AlarmView]) -> StateMessage:
    """Return the alarms that are active or not acknowledged, of the engine and of the battery.

    Args:
        snapshot: The engine's state; gives the engine's own alarms.
        device: Listed alarms of the battery.
    """
    image = snapshot.image
    sample = image.sample("alarm_bits")
    # Without alarm bits nobody can say that the battery has no alarm.
    known = sample is not None and sample.usable
    own = (view for view in snapshot.alarms if view.source == "engine")
    views = tuple(sorted((*own, *device), key=lambda view: view.raised_at, reverse=True))
    active = [view for view in views if view.active]
    data = {
        "ts": _iso(snapshot.ts),
        "known": known,
        "active": [view.id for view in active],
        "severity": max((v.severity for v in active), key=severity_rank, default=None),
        "alarms": [_alarm(view) for view in views],
    }
    return StateMessage("alarms", (known, views), partial(_json, data))


def _alarm(view: AlarmView) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "subject": view.subject,
        "source": view.source,
        "severity": view.severity,
        "message": view.message,
        "active": view.active,
        "flapping": view.flapping,
        "raised_at": _iso(view.raised_at),
        "cleared_at": None if view.cleared_at is None else _iso(view.cleared_at),
        "acknowledged": view.acknowledged,
        "acknowledged_at": None if view.acknowledged_at is None else _iso(view.acknowledged_at),
        "acknowledged_by": view.acknowledged_by,
        "count": view.count,
    }


def _strategy(snapshot: EngineSnapshot) -> StateMessage:
    plan = snapshot.plan
    shown = {
        "strategy": plan.strategy if plan is not None else None,
        "state": snapshot.state.value,
        "state_reason": snapshot.state_reason,
        "profit_24h_eur": _number(plan.profit_24h_eur) if plan is not None else None,
    }
    data = {"ts": _iso(snapshot.ts), **shown}
    return StateMessage("strategy", tuple(shown.values()), partial(_json, data))


def _number(value: float | str | None) -> float | None:
    if value is None or isinstance(value, str) or not math.isfinite(value):
        return None
    # Adding 0.0 turns -0.0 into 0.0.
    return round(float(value), DECIMALS) + 0.0


def _iso(ts: datetime) -> str:
    return ts.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(data: Any) -> bytes:
    return json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()

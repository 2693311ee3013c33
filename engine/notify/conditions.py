"""What is wrong at a site, read from the state of one cycle."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.domain.alarms import AlarmSeverity, Condition
from engine.domain.control import EngineState, LinkStatus, StepHealth
from engine.domain.signals import EXTERNAL_CONTACT
from engine.domain.snapshot import EngineSnapshot, Notice

EARLIEST = datetime(2024, 1, 1, tzinfo=UTC)
"""A clock before this was never set."""

_BATTERY_SIGNAL = "soc_percent"
_METER_SIGNAL = "grid_kw"
_BROKER = "mqtt"
_EXTERNAL = "external_"
_SIGNAL_ALARMS = (
    (_BATTERY_SIGNAL, "bms_stale"),
    (_METER_SIGNAL, "meter_stale"),
    (EXTERNAL_CONTACT, "contact_missing"),
)
_CONTACT_MISSING = "external_contact_missing"
"""The limit that follows; the alarm already says it."""

_STEPS: dict[str, tuple[str, AlarmSeverity]] = {
    "control": ("control_failing", "alarm"),
    "plan": ("planning_failing", "warning"),
    "history": ("history_failing", "alarm"),
}
_SAID_ELSEWHERE = frozenset({"command", "poll", "prices", "weather"})
"""Steps whose failure shows as a refused command, a link or a notice."""

_NOTICES: dict[str, tuple[str, AlarmSeverity]] = {
    "prices_none": ("prices_outage", "alarm"),
    "prices_outage": ("prices_outage", "alarm"),
    "prices_cached": ("prices_late", "warning"),
    "prices_late": ("prices_late", "warning"),
    "weather_none": ("weather_outage", "warning"),
    "weather_outage": ("weather_outage", "warning"),
    "weather_cached": ("weather_outage", "warning"),
    "clock_implausible": ("clock_implausible", "alarm"),
    "disk_full": ("disk_full", "alarm"),
}
_STANDING = frozenset(
    {
        *("demo_plant", "recorded_prices", "monitor_mode", "strategy_forgotten", "forecast_poor"),
        "time_repeats",
    }
)
"""Notices the page shows without waking anybody: how the site is set up or planned, and what
follows from a clock that jumped, which is an alarm of its own."""

_NO_SPACE = ("no space left", "errno 28", "disk quota")


def conditions(snapshot: EngineSnapshot) -> set[Condition]:
    """Return everything that is wrong in the cycle of `snapshot`, raw and without delay.

    Nothing is made of what is not known: without a meter there is no stale meter, and while the
    engine starts a missing plan or price is not yet missing; nor is a plan while a new site waits
    for the measurements it takes.
    """
    found: set[Condition] = set()
    _state(snapshot, found)
    _signals(snapshot, found)
    _command(snapshot, found)
    for link in snapshot.links:
        _link(link, found)
    for step in snapshot.health:
        _step(step, found)
    for notice in snapshot.notices:
        _notice(notice, found)
    if snapshot.state is EngineState.DEGRADED and all(c.severity == "info" for c in found):
        # Where the cause is an alarm of its own, its consequence is not a second one.
        found.add(Condition("degraded_state", "warning", snapshot.state_reason or ""))
    return found


def _state(snapshot: EngineSnapshot, found: set[Condition]) -> None:
    reason = snapshot.state_reason or ""
    if snapshot.state is EngineState.FAULT:
        found.add(Condition("fault", "alarm", reason))
    elif snapshot.state is EngineState.SAFE:
        found.add(Condition("safe_state", "alarm", reason))
    if snapshot.ts < EARLIEST:
        found.add(
            Condition("clock_implausible", "alarm", f"The clock says {snapshot.ts:%Y-%m-%d}.")
        )
    _external(snapshot, found)
    if snapshot.state in (EngineState.STARTING, EngineState.STOPPED):
        return
    plan = snapshot.plan
    if plan is None and not any(step.name == "plan" and step.waits_for for step in snapshot.health):
        found.add(Condition("no_plan", "warning"))
    elif plan is not None and plan.end <= snapshot.ts:
        found.add(Condition("no_plan", "warning", f"The last plan ended at {plan.end:%H:%M} UTC."))
    if snapshot.price is None:
        found.add(Condition("no_price", "warning"))


def _external(snapshot: EngineSnapshot, found: set[Condition]) -> None:
    limits = snapshot.limits
    if limits is None:
        return
    names = (limits.charge_binding, limits.discharge_binding, limits.required_binding)
    for name in names:
        if name is not None and name.startswith(_EXTERNAL) and name != _CONTACT_MISSING:
            found.add(Condition("external_limit", "info", subject=name.removeprefix(_EXTERNAL)))


def _signals(snapshot: EngineSnapshot, found: set[Condition]) -> None:
    if snapshot.state is EngineState.STARTING:
        return
    for signal, code in _SIGNAL_ALARMS:
        sample = snapshot.image.sample(signal)
        if sample is not None and not sample.usable:
            found.add(Condition(code, "alarm", sample.reason or sample.quality.value))


def _command(snapshot: EngineSnapshot, found: set[Condition]) -> None:
    command = snapshot.command
    if command is None:
        return
    if command.state in ("refused", "no_effect"):
        found.add(Condition(f"command_{command.state}", "alarm", command.reason or ""))
    used, budget = command.flash_writes_today, command.daily_write_budget
    if used is not None and budget is not None and used >= budget:
        found.add(Condition("write_budget_used", "warning", f"{used} of {budget} writes"))


def _link(link: LinkStatus, found: set[Condition]) -> None:
    if link.state == "offline":
        severity: AlarmSeverity = "warning" if link.name == _BROKER else "alarm"
        found.add(Condition("link_offline", severity, link.reason or "", link.name))
    elif link.state == "degraded":
        found.add(Condition("link_degraded", "warning", link.reason or "", link.name))


def _step(step: StepHealth, found: set[Condition]) -> None:
    # A step that never ran has not failed.
    if step.ok or step.failures == 0 or step.name in _SAID_ELSEWHERE:
        return
    error = step.last_error or ""
    if step.name == "history" and any(words in error.lower() for words in _NO_SPACE):
        found.add(Condition("disk_full", "alarm", error))
        return
    if step.name in _STEPS:
        code, severity = _STEPS[step.name]
        found.add(Condition(code, severity, error))
    else:
        found.add(Condition("step_failing", "warning", error, step.name))


def _notice(notice: Notice, found: set[Condition]) -> None:
    if notice.severity == "info" or notice.code in _STANDING:
        return
    detail = notice.detail or ""
    if notice.code in _NOTICES:
        code, severity = _NOTICES[notice.code]
        found.add(Condition(code, severity, detail))
    else:
        severity = "alarm" if notice.severity == "alarm" else "warning"
        found.add(Condition("notice", severity, detail, notice.code))

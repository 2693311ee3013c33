"""Alarms as people see them: of the battery (its own bits) and of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

AlarmSeverity = Literal["info", "warning", "alarm"]

SEVERITIES: tuple[AlarmSeverity, ...] = ("info", "warning", "alarm")
"""Severities, least first."""


def severity_rank(severity: str) -> int:
    """Return the order of a severity: 0 info, 1 warning, 2 alarm.

    Raises:
        ValueError: It is none of the three.
    """
    return SEVERITIES.index(severity)


@dataclass(frozen=True, slots=True)
class AlarmView:
    """One alarm as a person sees it.

    Attributes:
        name: Alarm name, for example ``"system_fault"`` or ``"link_offline"``.
        active: True while it is shown as active, after delays.
        raised_at: When it last became active, UTC.
        cleared_at: When it ended, UTC; None while active.
        acknowledged: True once a person has seen it.
        count: How often it became active since it was last acknowledged while inactive.
        severity: How much it matters.
        subject: What it is about, for example the name of a device; None for the site.
        message: What exactly is wrong, as it was said; shown as it is.
        acknowledged_at: When a person saw it, UTC; None until then.
        acknowledged_by: Who; None until then.
        flapping: True while it comes and goes so often that it is told as one.
        source: ``"device"`` for the bits of a battery, ``"engine"`` for the engine's own.
    """

    name: str
    active: bool
    raised_at: datetime
    cleared_at: datetime | None = None
    acknowledged: bool = False
    count: int = 1
    severity: AlarmSeverity = "alarm"
    subject: str | None = None
    message: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    flapping: bool = False
    source: Literal["device", "engine"] = "device"

    @property
    def id(self) -> str:
        """What names this alarm among all of a site: ``name`` or ``name:subject``."""
        return alarm_id(self.name, self.subject)


def alarm_id(name: str, subject: str | None = None) -> str:
    """Return the id of an alarm: ``name`` or ``name:subject``."""
    return name if subject is None else f"{name}:{subject}"


class AlarmChangeKind(StrEnum):
    """What can happen to an alarm."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """Something that happened to an alarm.

    Attributes:
        kind: What.
        view: The alarm after it.
        ts: When, UTC.
        times: How often it came and went, of one that flaps; else 0.
        window_s: Seconds in which it did; else 0.
    """

    kind: AlarmChangeKind
    view: AlarmView
    ts: datetime
    times: int = 0
    window_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong right now, before any delay.

    Attributes:
        code: One of `ENGINE_ALARMS`.
        severity: How much it matters.
        message: What exactly is wrong, as it was said, or ``""``.
        subject: What it is about, for example the name of a device; None for the site.
    """

    code: str
    severity: AlarmSeverity
    message: str = ""
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """How one kind of alarm is calmed for display.

    Attributes:
        on_delay_s: How long the condition must hold before it is shown.
        off_delay_s: How long it must be gone before the alarm counts as over.
        latched: True when it stays listed until a person has acknowledged it.
    """

    on_delay_s: float = 10.0
    off_delay_s: float = 30.0
    latched: bool = True


_AT_ONCE = AlarmRule(on_delay_s=0.0)

ENGINE_ALARMS: Mapping[str, AlarmRule] = {
    "fault": _AT_ONCE,
    "safe_state": AlarmRule(on_delay_s=4.0),
    "degraded_state": AlarmRule(on_delay_s=60.0, off_delay_s=60.0),
    "control_failing": _AT_ONCE,
    "engine_hangs": _AT_ONCE,
    "bms_stale": AlarmRule(on_delay_s=4.0),
    "meter_stale": AlarmRule(on_delay_s=4.0),
    "contact_missing": AlarmRule(on_delay_s=4.0),
    "link_offline": AlarmRule(),
    "link_degraded": AlarmRule(on_delay_s=60.0, off_delay_s=60.0),
    "command_refused": AlarmRule(on_delay_s=4.0),
    "command_no_effect": AlarmRule(on_delay_s=4.0),
    "write_budget_used": _AT_ONCE,
    "external_limit": AlarmRule(on_delay_s=0.0, off_delay_s=60.0, latched=False),
    "no_plan": AlarmRule(on_delay_s=30.0),
    "planning_failing": AlarmRule(on_delay_s=60.0),
    "no_price": AlarmRule(on_delay_s=30.0),
    "prices_outage": AlarmRule(on_delay_s=30.0, off_delay_s=60.0),
    "prices_late": AlarmRule(on_delay_s=300.0, off_delay_s=60.0),
    "weather_outage": AlarmRule(on_delay_s=300.0, off_delay_s=60.0),
    "history_failing": AlarmRule(on_delay_s=30.0),
    "disk_full": AlarmRule(on_delay_s=4.0, off_delay_s=60.0),
    "clock_implausible": AlarmRule(on_delay_s=4.0),
    "clock_jumped": AlarmRule(on_delay_s=0.0, off_delay_s=600.0),
    "step_failing": AlarmRule(on_delay_s=60.0),
    "notice": AlarmRule(),
}
"""The engine's own alarms, and how each is calmed for display. Limits never use these."""

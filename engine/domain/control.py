"""Limits, setpoints and engine states as other rooms see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EngineState(StrEnum):
    """What the engine is doing as a whole."""

    STARTING = "starting"
    AUTOMATIC = "automatic"
    MANUAL = "manual"
    MONITORING = "monitoring"
    WAITING = "waiting"
    DEGRADED = "degraded"
    SAFE = "safe"
    FAULT = "fault"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class PowerLimits:
    """The power range allowed now, and what sets each end.

    Attributes:
        charge_kw: Most the battery may charge now, >= 0.
        discharge_kw: Most the battery may discharge now, >= 0.
        charge_binding: Name of the limit that sets `charge_kw`.
        discharge_binding: Name of the limit that sets `discharge_kw`.
        required_kw: What a grid limit demands that load or PV alone would break: > 0 at least
            this much discharge, < 0 at least this much charge, 0 nothing. Never more than
            `discharge_kw` or `charge_kw`.
        required_binding: Name of the grid limit that demands it, or None.
    """

    charge_kw: float
    discharge_kw: float
    charge_binding: str
    discharge_binding: str
    required_kw: float = 0.0
    required_binding: str | None = None

    @property
    def low_kw(self) -> float:
        """Least battery power allowed, + discharge, - charge; above 0 where one is required."""
        return self.required_kw if self.required_kw > 0.0 else -self.charge_kw

    @property
    def high_kw(self) -> float:
        """Greatest battery power allowed; below 0 where charging is required."""
        return self.required_kw if self.required_kw < 0.0 else self.discharge_kw


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A decision of the control law.

    Attributes:
        ts: When it was decided, UTC.
        power_kw: Battery power asked for, + discharge, - charge.
        wanted_kw: What the law wanted before limits.
        reason: Key of the reason, for example ``"value_dispatch"`` or ``"no_plan"``.
        binding: Name of the limit that changed it, or None.
        missing: What the law had to do without, for example ``"no_price"``, while another
            reason decided (the peak guard works without a plan); None when nothing.
    """

    ts: datetime
    power_kw: float
    wanted_kw: float
    reason: str
    binding: str | None = None
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class ManualOrder:
    """What a person, or a program on a person's behalf, asked of the battery.

    Attributes:
        power_kw: Battery power, + discharge, - charge, 0 to stand still.
        given_at: When it was given, UTC.
        until: When it ends at the latest, UTC.
        soc_percent: State of charge at which it ends earlier: reached from below when charging,
            from above when discharging; None for none.
        source: Who gave it: name of the user or token, or ``"mqtt"``.
    """

    power_kw: float
    given_at: datetime
    until: datetime
    soc_percent: float | None = None
    source: str = "api"

    def reached(self, soc_percent: float) -> bool:
        """Return True when the state of charge at which it ends is reached."""
        if self.soc_percent is None:
            return False
        if self.power_kw < 0.0:
            return soc_percent >= self.soc_percent
        return soc_percent <= self.soc_percent


@dataclass(frozen=True, slots=True)
class StepHealth:
    """Supervision record of one recurring step of the engine.

    Attributes:
        name: The step, for example ``"control"``, ``"plan"``, ``"poll"``, ``"history"``.
        ok: True when its last run succeeded.
        last_success: End of the last run that succeeded, UTC.
        failures: Failures in a row.
        restarts: Failures since start.
        last_error: Text of the last failure, or of what it waits for, while not ok, else None.
    """

    name: str
    ok: bool
    last_success: datetime | None
    failures: int = 0
    restarts: int = 0
    last_error: str | None = None

    @property
    def waits(self) -> bool:
        """True while it has neither succeeded nor failed, for example for want of values."""
        return not self.ok and self.last_success is None and not self.failures

    @property
    def waits_for(self) -> str | None:
        """What it waits for, in words; None when it does not wait or was not tried yet."""
        return self.last_error if self.waits else None


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """State of one device connection.

    Attributes:
        name: Device or connection name.
        state: ``"connecting"``, ``"online"``, ``"degraded"`` or ``"offline"``.
        reason: Why it is not online, in words; None when online.
        endpoint: Host and port or serial device.
        requests: Requests sent since start.
        errors: Requests that failed since start.
        latency_ms: Round trip of the last request.
        simulated: True when a simulated device answers.
        writable: True when writing is enabled.
    """

    name: str
    state: str
    reason: str | None
    endpoint: str
    requests: int
    errors: int
    latency_ms: float | None
    simulated: bool
    writable: bool


@dataclass(frozen=True, slots=True)
class CommandReport:
    """How far the newest power command got.

    Attributes:
        state: ``"idle"``, ``"pending"``, ``"confirmed"``, ``"refused"`` or ``"no_effect"``.
        reason: Why it is not confirmed, in words; None when idle or confirmed.
        requested_kw: Power asked for, + discharge; None before the first command.
        written_kw: Power last written to the device, or None.
        readback_kw: Setpoint the device showed at the last poll, or None.
        measured_kw: Power the device had at the last poll, or None.
        flash_writes_today: Writes to flash memory today (UTC); None without such a register.
        daily_write_budget: Most of them per day, or None.
    """

    state: str
    reason: str | None = None
    requested_kw: float | None = None
    written_kw: float | None = None
    readback_kw: float | None = None
    measured_kw: float | None = None
    flash_writes_today: int | None = None
    daily_write_budget: int | None = None

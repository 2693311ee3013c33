"""How far a power setpoint or limit got, as the engine and the pages see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CommandPhase(StrEnum):
    """How far a command got."""

    IDLE = "idle"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    NO_EFFECT = "no_effect"


@dataclass(frozen=True, slots=True)
class CommandState:
    """State of the newest power command.

    Attributes:
        state: `CommandPhase`.
        reason: Why it is not confirmed, in words; None when idle or confirmed.
        requested_kw: Power asked for, + discharge; None before the first command.
        written_kw: Power last written to the device after clamping and ramp, or None.
        readback_kw: Setpoint the device showed at the last poll, or None.
        ts: Time of the newest command, UTC; None before the first.
        measured_kw: Power the device had at the last poll, or None when it is not measured.
        followed: True when that power is the written one, False when it did not follow in
            time; None while it may still be on its way or is not measured.
        flash_writes_today: Writes to the device's flash memory today (UTC); None without any
            such register.
        daily_write_budget: Most of them per day, or None.
    """

    state: CommandPhase = CommandPhase.IDLE
    reason: str | None = None
    requested_kw: float | None = None
    written_kw: float | None = None
    readback_kw: float | None = None
    ts: datetime | None = None
    measured_kw: float | None = None
    followed: bool | None = None
    flash_writes_today: int | None = None
    daily_write_budget: int | None = None


@dataclass(frozen=True, slots=True)
class LimitState:
    """State of the newest power limit of one device.

    Attributes:
        state: `CommandPhase`; a lifted limit is confirmed once the device took the writes.
        reason: Why it is not confirmed, in words; None when idle or confirmed.
        requested_kw: Limit asked for (>= 0); None for no limit, or when `ts` is None.
        written_kw: Limit last written after clamping, or None when it was lifted or nothing was
            written.
        readback_kw: Limit the device showed at the last poll, or None.
        ts: Time of the newest request, UTC; None before the first.
        measured_kw: Power the device had at the last poll, or None when it is not measured.
        followed: True when that power respects the limit, False when it does not in time; None
            while it may still be on its way or is not measured.
        flash_writes_today: Writes to the device's flash memory today (UTC) for limits; None
            without any such register.
        daily_write_budget: Most of them per day, or None.
    """

    state: CommandPhase = CommandPhase.IDLE
    reason: str | None = None
    requested_kw: float | None = None
    written_kw: float | None = None
    readback_kw: float | None = None
    ts: datetime | None = None
    measured_kw: float | None = None
    followed: bool | None = None
    flash_writes_today: int | None = None
    daily_write_budget: int | None = None

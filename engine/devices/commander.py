"""From a wanted power to confirmed register writes.

The newest command wins. It is clamped to the device's nameplate, written when
it changes, and written again before the device's watchdog runs out, but only
while someone keeps commanding: a control loop that hangs must not be hidden
from the watchdog. What the device then shows as its setpoint is compared.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from engine.devices.codec import decode, encode
from engine.devices.command_def import CommandDef, CommandStep
from engine.devices.link import DeviceAnswerError, ModbusLink
from engine.devices.spec import DeviceSpec
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError, LinkError, WriteRefusedError
from engine.domain.sample import Sample

COMMAND_LIFE_S: Final = 60.0
"""A command older than this is not written any more, unless the watchdog is shorter."""


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
        written_kw: Power last written to the device after clamping, or None.
        readback_kw: Setpoint the device showed at the last poll, or None.
        ts: Time of the newest command, UTC; None before the first.
    """

    state: CommandPhase = CommandPhase.IDLE
    reason: str | None = None
    requested_kw: float | None = None
    written_kw: float | None = None
    readback_kw: float | None = None
    ts: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    power_kw: float
    monotonic_s: float
    number: int


@dataclass(frozen=True, slots=True)
class _Written:
    power_kw: float
    monotonic_s: float
    first_s: float
    number: int
    session: int


class PowerCommander:
    """Commands one device with the command `set_power_kw` of its profile.

    `command` may be called by any thread; `write_due` and `check` by the thread of the link.

    Args:
        spec: The device; its profile must have the command.
        link: Connection it is behind.
        clock: Times the refresh.

    Raises:
        DeviceError: The profile takes no power command.
    """

    def __init__(self, spec: DeviceSpec, link: ModbusLink, clock: Clock) -> None:
        command = spec.profile.commands.get("set_power_kw")
        if command is None:
            raise DeviceError(
                f"device {spec.name} takes no power command.",
                field="profile",
                value=spec.profile.key,
                hint="Choose the profile of the power conversion system.",
            )
        self._spec = spec
        self._command: CommandDef = command
        self._link = link
        self._clock = clock
        self._lock = threading.Lock()
        self._state = CommandState()
        self._wanted: _Wanted | None = None
        self._written: _Written | None = None
        self._refused: _Written | None = None
        self._rewrite = False
        self._waits_for_nameplate = False

    @property
    def state(self) -> CommandState:
        """State of the newest command."""
        return self._state

    @property
    def waits_for_nameplate(self) -> bool:
        """True when a command could not be written because the nameplate was not read yet."""
        return self._waits_for_nameplate

    def command(self, power_kw: float) -> None:
        """Replace the wanted power (+ discharge, - charge) and return at once.

        Raises:
            DeviceError: Not a finite number.
        """
        if not math.isfinite(power_kw):
            raise DeviceError(
                f"a power command must be a finite number (got {power_kw!r}).",
                field="power_kw",
                value=power_kw,
                hint="Command 0 when the power is unknown.",
            )
        with self._lock:
            number = 1 if self._wanted is None else self._wanted.number + 1
            same = self._wanted is not None and self._wanted.power_kw == power_kw
            self._wanted = _Wanted(power_kw, self._clock.monotonic(), number)
            state = replace(self._state, requested_kw=power_kw, ts=self._clock.now())
            if not same or state.state is CommandPhase.IDLE:
                state = replace(state, state=CommandPhase.PENDING, reason="not written yet")
            self._state = state

    def write_due(self, samples: Mapping[str, Sample], *, force: bool = False) -> bool:
        """Write the newest command if it changed or must be refreshed.

        Args:
            samples: Newest samples of the device, for a nameplate that is read from it.
            force: Write it in any case (the safe setpoint on stop).

        Returns:
            True when something was written.
        """
        with self._lock:
            wanted = self._wanted
        if wanted is None:
            return False
        try:
            power_kw = self._clamped(wanted.power_kw, samples)
        except DeviceError as exc:
            self._waits_for_nameplate = True
            self._set(CommandPhase.PENDING, str(exc))
            return False
        self._waits_for_nameplate = False
        if not (force or self._is_due(wanted, power_kw)):
            return False
        try:
            for step in self._command.steps:
                self._write_step(step, power_kw)
        except LinkError as exc:
            # Nobody knows whether it arrived, so it counts as not written.
            self._written = None
            self._set(CommandPhase.PENDING, str(exc))
            return False
        except (WriteRefusedError, DeviceAnswerError) as exc:
            self._written = None
            self._refused = self._as_written(wanted, power_kw)
            self._set(CommandPhase.REFUSED, str(exc))
            return False
        self._written = self._as_written(wanted, power_kw)
        self._refused = None
        self._rewrite = False
        with self._lock:
            state = replace(self._state, written_kw=power_kw)
            if state.state not in (CommandPhase.CONFIRMED, CommandPhase.NO_EFFECT):
                state = replace(state, state=CommandPhase.PENDING, reason="waiting for read-back")
            self._state = state
        return True

    def check(self, samples: Mapping[str, Sample]) -> None:
        """Compare what the device shows as its setpoint with what was written.

        Args:
            samples: Samples of the poll that followed the write.
        """
        sample = samples[self._command.readback]
        readback_kw = sample.value if sample.usable else None
        with self._lock:
            self._state = replace(self._state, readback_kw=readback_kw)
            wanted = self._wanted
        written = self._written
        if written is None or wanted is None:
            return
        if readback_kw is None:
            self._set(CommandPhase.PENDING, f"read-back missing: {sample.reason}")
            return
        if abs(readback_kw - written.power_kw) <= self._command.tolerance_kw:
            if self._is_fulfilled(wanted, written, samples):
                self._set(CommandPhase.CONFIRMED, None)
            return
        if self._clock.monotonic() - written.first_s < self._command.settle_s:
            self._set(CommandPhase.PENDING, "waiting for read-back")
            return
        self._rewrite = True
        self._set(
            CommandPhase.NO_EFFECT,
            f"{self._spec.name} shows a setpoint of {readback_kw:g} kW "
            f"although {written.power_kw:g} kW was written",
        )

    def _is_fulfilled(
        self, wanted: _Wanted, written: _Written, samples: Mapping[str, Sample]
    ) -> bool:
        """True unless a newer command of another power still waits for its slot."""
        if written.number == wanted.number:
            return True
        try:
            power_kw = self._clamped(wanted.power_kw, samples)
        except DeviceError:
            return False
        return abs(power_kw - written.power_kw) <= self._command.deadband_kw

    def _is_due(self, wanted: _Wanted, power_kw: float) -> bool:
        now = self._clock.monotonic()
        life_s = min(COMMAND_LIFE_S, self._command.watchdog_s or COMMAND_LIFE_S)
        written, refused = self._written, self._refused
        if refused is not None and refused.power_kw == power_kw:
            # The same value will be refused again; ask again only now and then.
            again_s = self._command.refresh_s or COMMAND_LIFE_S
            if refused.session == self._link.session and now - refused.monotonic_s < again_s:
                return False
        commanded_since = written is None or wanted.number > written.number
        if (
            written is None
            or written.session != self._link.session
            or abs(power_kw - written.power_kw) > self._command.deadband_kw
        ):
            if now - wanted.monotonic_s > life_s:
                self._set(
                    CommandPhase.IDLE, f"the command is older than {life_s:g} s and was dropped"
                )
                return False
            return True
        if not commanded_since:
            return False
        refresh_s = self._command.refresh_s
        return self._rewrite or (refresh_s is not None and now - written.monotonic_s >= refresh_s)

    def _clamped(self, power_kw: float, samples: Mapping[str, Sample]) -> float:
        """Return the power within the nameplate, as the device's register can hold it."""
        if power_kw < 0:
            power_kw = max(power_kw, -self._nameplate(self._command.clamp_charge, samples))
        elif power_kw > 0:
            power_kw = min(power_kw, self._nameplate(self._command.clamp_discharge, samples))
        step = next(step for step in self._command.steps if step.value == "power_kw")
        order = self._spec.profile.word_order
        held = decode(step, encode(step, power_kw, order, "power_kw"), order)
        return power_kw if held is None else held

    def _nameplate(self, clamp: str | float, samples: Mapping[str, Sample]) -> float:
        if not isinstance(clamp, str):
            return clamp
        sample = samples[clamp]
        if sample.value is None or not sample.usable:
            raise DeviceError(
                f"the nameplate of {self._spec.name} is not known yet: {sample.reason}",
                field=clamp,
            )
        return sample.value

    def _write_step(self, step: CommandStep, power_kw: float) -> None:
        profile = self._spec.profile
        value = power_kw if step.value == "power_kw" else float(step.value)
        words = encode(step, value, profile.word_order, "power_kw")
        self._link.write(
            self._spec.unit_id, step.function, profile.wire_address(step.address), words
        )

    def _as_written(self, wanted: _Wanted, power_kw: float) -> _Written:
        now, session, before = self._clock.monotonic(), self._link.session, self._written
        repeated = before is not None and before.power_kw == power_kw and before.session == session
        # A repetition gives a device that does not follow no new time to settle.
        first_s = before.first_s if repeated and before is not None else now
        return _Written(power_kw, now, first_s, wanted.number, session)

    def _set(self, phase: CommandPhase, reason: str | None) -> None:
        with self._lock:
            self._state = replace(self._state, state=phase, reason=reason)

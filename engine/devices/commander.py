"""From a wanted power to confirmed register writes.

The newest command wins. It is clamped to the device's nameplate, grows no
faster than the ramp, is written when it changes, and written again before the
device's watchdog runs out, but only while someone keeps commanding: a control
loop that hangs must not be hidden from the watchdog. What the device then
shows as its setpoint, and the power it then has, are compared.

Registers kept in flash memory are written only when they must change and
within a daily budget. When it is used up the battery is parked at 0 kW, since
nobody could correct its power any more.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from engine.devices.codec import decode, encode
from engine.devices.command_def import CommandDef
from engine.devices.command_state import CommandPhase, CommandState
from engine.devices.in_force import InForce
from engine.devices.link import DeviceAnswerError, ModbusLink
from engine.devices.power_ramp import PowerRamp
from engine.devices.spec import DeviceSpec
from engine.devices.step_writer import StepWriter, flash_budget
from engine.devices.write_budget import WriteCountStore
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError, LinkError
from engine.domain.sample import Sample

log = logging.getLogger(__name__)

COMMAND_LIFE_S: Final = 60.0
"""A command older than this is not written any more, unless the watchdog is shorter."""

_PAUSE_POLLS: Final = 2
"""A ramp makes up for no more than this many polling intervals."""

__all__ = ["COMMAND_LIFE_S", "CommandPhase", "CommandState", "PowerCommander"]

_FAILED: Final = frozenset({CommandPhase.REFUSED, CommandPhase.NO_EFFECT})


@dataclass(frozen=True, slots=True)
class _Wanted:
    power_kw: float
    monotonic_s: float
    number: int


@dataclass(frozen=True, slots=True)
class _Written:
    power_kw: float
    monotonic_s: float
    number: int
    session: int


class PowerCommander:
    """Commands one device with the command `set_power_kw` of its profile.

    `command` may be called by any thread; everything else by the thread of the link.

    Args:
        spec: The device; its profile must have the command.
        link: Connection it is behind.
        clock: Times ramp and refresh.
        write_counts: Keeps the count of flash writes; needed only where the command has any.

    Raises:
        DeviceError: The profile takes no power command, or writes to flash memory and nothing
            keeps the count.
    """

    def __init__(
        self,
        spec: DeviceSpec,
        link: ModbusLink,
        clock: Clock,
        write_counts: WriteCountStore | None = None,
    ) -> None:
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
        self._budget = flash_budget(spec, command, write_counts, clock)
        self._writer = StepWriter(spec, link, self._budget)
        self._lock = threading.Lock()
        limit = None if self._budget is None else self._budget.limit
        self._state = CommandState(daily_write_budget=limit)
        self._wanted: _Wanted | None = None
        self._written: _Written | None = None
        self._refused: _Written | None = None
        self._in_force = InForce()
        self._ramp = PowerRamp(command.ramp_kw_per_s, _PAUSE_POLLS * spec.poll_interval_s)
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
            # A failure stands until a write or a read-back says otherwise: a new power every
            # few seconds must not hide a device that obeys none of them.
            if (not same or state.state is CommandPhase.IDLE) and state.state not in _FAILED:
                state = replace(state, state=CommandPhase.PENDING, reason="not written yet")
            self._state = state

    def write_due(self, samples: Mapping[str, Sample], *, force: bool = False) -> bool:
        """Write the newest command if it changed or must be refreshed.

        Args:
            samples: Newest samples of the device, for a nameplate that is read from it.
            force: Write it in any case, without ramp and whatever the budget says (the safe
                setpoint on stop).

        Returns:
            True when something was written.
        """
        with self._lock:
            wanted = self._wanted
        if wanted is None:
            return False
        try:
            target_kw = self._clamped(wanted.power_kw, samples)
        except DeviceError as exc:
            self._waits_for_nameplate = True
            self._set(CommandPhase.PENDING, str(exc))
            return False
        self._waits_for_nameplate = False
        power_kw = target_kw if force else self._held(self._ramped(target_kw, samples))
        if not (force or self._is_due(wanted, power_kw)):
            return False
        parked = False
        try:
            if not self._writer.write(self._command.steps, power_kw, force=force):
                parked, power_kw = True, 0.0
                self._ramp.forget()
                self._park()
        except LinkError as exc:
            # Nobody knows whether it arrived, so it counts as not written.
            self._forget_written()
            self._set(CommandPhase.PENDING, str(exc))
            return False
        except DeviceAnswerError as exc:
            self._forget_written()
            if exc.is_temporary:
                self._set(CommandPhase.PENDING, str(exc))
            else:
                self._refused = self._as_written(wanted, power_kw)
                self._set(CommandPhase.REFUSED, str(exc))
            return False
        except DeviceError as exc:
            self._forget_written()
            self._refused = self._as_written(wanted, power_kw)
            self._set(CommandPhase.REFUSED, str(exc))
            return False
        finally:
            self._show_budget()
        self._note_written(wanted, power_kw, self._budget_reason() if parked else None)
        return True

    def revert(self) -> bool:
        """Give the device back its own mode; called on stop, after the safe setpoint.

        Returns:
            True when every step was written, or there is none.
        """
        try:
            self._writer.write(self._command.revert, 0.0, force=True)
        except DeviceError as exc:
            log.error("%s: its own mode was not restored: %s", self._spec.name, exc)
            return False
        finally:
            self._show_budget()
        return True

    def check(self, samples: Mapping[str, Sample]) -> None:
        """Compare what the device shows and does with what was written.

        Args:
            samples: Samples of the poll that followed the write.
        """
        self._show_budget()
        readback = self._sample(self._command.readback, samples)
        effect = self._sample(self._command.effect, samples)
        readback_kw, measured_kw = _usable(readback), _usable(effect)
        with self._lock:
            self._state = replace(
                self._state, readback_kw=readback_kw, measured_kw=measured_kw, followed=None
            )
            wanted = self._wanted
        written = self._written
        if written is None or wanted is None:
            return
        if readback is not None and not self._reads_back(written, readback, readback_kw):
            return
        if effect is not None and not self._follows(written, effect, measured_kw):
            return
        if self._is_fulfilled(wanted, written, samples):
            self._set(CommandPhase.CONFIRMED, None)

    def _reads_back(self, written: _Written, sample: Sample, readback_kw: float | None) -> bool:
        """True when the device shows the written setpoint; else the state says what is wrong."""
        command = self._command
        if readback_kw is None:
            self._set(CommandPhase.PENDING, f"read-back missing: {sample.reason}")
            return False
        if abs(readback_kw - written.power_kw) <= command.tolerance_kw:
            return True
        now_s = self._clock.monotonic()
        if self._in_force.contradicts(readback_kw, now_s, command.settle_s, command.tolerance_kw):
            # Asked for again and again, but not at the price of the device's memory.
            self._rewrite = not command.flash_backed
            self._set(
                CommandPhase.NO_EFFECT,
                f"{self._spec.name} shows a setpoint of {readback_kw:g} kW "
                f"although {written.power_kw:g} kW was written",
            )
        elif self._state.state is not CommandPhase.NO_EFFECT:
            self._set(CommandPhase.PENDING, "waiting for read-back")
        return False

    def _follows(self, written: _Written, sample: Sample, measured_kw: float | None) -> bool:
        """True unless the power is known not to follow; without read-back it must be seen to."""
        command = self._command
        tolerance_kw = command.effect_tolerance_for(written.power_kw)
        waiting = None if command.readback is not None else "waiting for the power to follow"
        if measured_kw is None:
            waiting = f"the power is not measured: {sample.reason}"
        elif abs(measured_kw - written.power_kw) <= tolerance_kw:
            with self._lock:
                self._state = replace(self._state, followed=True)
            return True
        elif self._in_force.contradicts(
            measured_kw,
            self._clock.monotonic(),
            command.effect_within_s,
            tolerance_kw,
        ):
            with self._lock:
                self._state = replace(self._state, followed=False)
            self._set(
                CommandPhase.NO_EFFECT,
                f"{self._spec.name} took a setpoint of {written.power_kw:g} kW but its power "
                f"is {measured_kw:g} kW, {command.effect_within_s:g} s were allowed",
            )
            return False
        if self._state.state is CommandPhase.NO_EFFECT:
            return False
        if waiting is not None:
            self._set(CommandPhase.PENDING, waiting)
            return False
        return True

    def _is_fulfilled(
        self, wanted: _Wanted, written: _Written, samples: Mapping[str, Sample]
    ) -> bool:
        """True unless the ramp or a newer command of another power still waits for its slot."""
        if written.number == wanted.number and self._command.ramp_kw_per_s is None:
            return self._state.state is not CommandPhase.REFUSED
        try:
            target_kw = self._clamped(wanted.power_kw, samples)
        except DeviceError:
            return False
        if abs(target_kw - written.power_kw) <= self._command.deadband_kw:
            return True
        if self._command.ramp_kw_per_s is not None and self._state.state not in _FAILED:
            self._set(
                CommandPhase.PENDING, f"ramping, {written.power_kw:g} of {target_kw:g} kW so far"
            )
        return False

    def _is_due(self, wanted: _Wanted, power_kw: float) -> bool:
        now = self._clock.monotonic()
        life_s = min(COMMAND_LIFE_S, self._command.watchdog_s or COMMAND_LIFE_S)
        refresh_s = self._command.refresh_every_s
        written, refused = self._written, self._refused
        if refused is not None and refused.power_kw == power_kw:
            # The same value will be refused again; ask again only now and then.
            again_s = refresh_s or COMMAND_LIFE_S
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
        if all(not step.volatile for step in self._command.steps):
            return False
        return self._rewrite or (refresh_s is not None and now - written.monotonic_s >= refresh_s)

    def _clamped(self, power_kw: float, samples: Mapping[str, Sample]) -> float:
        """Return the power within the nameplate, as the device's register can hold it."""
        if power_kw < 0:
            power_kw = max(power_kw, -self._nameplate(self._command.clamp_charge, samples))
        elif power_kw > 0:
            power_kw = min(power_kw, self._nameplate(self._command.clamp_discharge, samples))
        return self._held(power_kw)

    def _held(self, power_kw: float) -> float:
        """Return the power that the device's register holds for `power_kw`."""
        order = self._spec.profile.word_order
        for step in self._command.steps:
            value = step.value_for(power_kw)
            if not step.carries_power or (value == 0 and power_kw != 0):
                continue
            held = decode(step, encode(step, value, order, "power_kw"), order)
            if held is None:
                return power_kw
            return held if step.value == "power_kw" else math.copysign(held, power_kw) + 0.0
        return power_kw

    def _ramped(self, target_kw: float, samples: Mapping[str, Sample]) -> float:
        # What the device is measured to do is where a new connection starts.
        measured_kw = _usable(self._sample(self._command.effect, samples)) or 0.0
        now_s, session = self._clock.monotonic(), self._link.session
        return self._ramp.towards(target_kw, now_s, session, measured_kw)

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

    def _park(self) -> None:
        """Leave 0 kW behind when the budget is used up; nobody could correct the power later."""
        if self._written is not None and self._written.power_kw == 0:
            return
        self._writer.write(self._command.steps, 0.0, force=True)

    def _show_budget(self) -> None:
        if self._budget is None:
            return
        try:
            used: int | None = self._budget.used()
        except DeviceError:
            # Unknown is shown as unknown; the write that needs the count reports why.
            used = None
        with self._lock:
            self._state = replace(self._state, flash_writes_today=used)

    def _budget_reason(self) -> str:
        if self._budget is None:
            return "the daily budget is used up"
        return (
            f"the daily budget of {self._budget.limit} writes to the flash memory of "
            f"{self._spec.name} is used up ({self._budget.used()} written); "
            "it is parked at 0 kW until 00:00 UTC"
        )

    def _note_written(self, wanted: _Wanted, power_kw: float, refused: str | None) -> None:
        if self._written is not None and self._written.session != self._link.session:
            self._in_force.clear()
        self._written = self._as_written(wanted, power_kw)
        keep_s = max(self._command.settle_s, self._command.effect_within_s)
        self._in_force.add(self._written.monotonic_s, power_kw, keep_s)
        self._refused = None
        self._rewrite = False
        with self._lock:
            state = replace(self._state, written_kw=power_kw)
            if refused is not None:
                state = replace(state, state=CommandPhase.REFUSED, reason=refused)
            elif state.state not in (CommandPhase.CONFIRMED, CommandPhase.NO_EFFECT):
                state = replace(state, state=CommandPhase.PENDING, reason="waiting for read-back")
            self._state = state

    def _forget_written(self) -> None:
        self._written = None
        self._ramp.forget()
        self._in_force.clear()

    def _as_written(self, wanted: _Wanted, power_kw: float) -> _Written:
        return _Written(power_kw, self._clock.monotonic(), wanted.number, self._link.session)

    @staticmethod
    def _sample(signal: str | None, samples: Mapping[str, Sample]) -> Sample | None:
        return None if signal is None else samples[signal]

    def _set(self, phase: CommandPhase, reason: str | None) -> None:
        with self._lock:
            self._state = replace(self._state, state=phase, reason=reason)


def _usable(sample: Sample | None) -> float | None:
    return sample.value if sample is not None and sample.usable else None

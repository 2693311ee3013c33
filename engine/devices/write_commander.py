"""From a wanted power to confirmed register writes, whatever the command.

The newest command wins. It is clamped to the device's nameplate, grows no
faster than the ramp, is written when it changes, and written again before the
device's watchdog runs out, but only while someone keeps commanding: a control
loop that hangs must not be hidden from the watchdog. What the device then
shows, and the power it then has, are compared.

Registers kept in flash memory are written only when they must change and
within a daily budget.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.command_def import WriteRules, WriteStep
from engine.devices.command_state import CommandPhase, CommandState
from engine.devices.in_force import InForce
from engine.devices.link import ModbusLink
from engine.devices.power_ramp import PowerRamp
from engine.devices.spec import DeviceSpec
from engine.devices.step_writer import StepWriter
from engine.devices.write_budget import WriteBudget
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError, LinkError
from engine.domain.sample import Sample

log = logging.getLogger(__name__)

COMMAND_LIFE_S: Final = 60.0
"""A command older than this is not written any more, unless the watchdog is shorter."""

_PAUSE_POLLS: Final = 2
"""A ramp makes up for no more than this many polling intervals."""

_FAILED: Final = frozenset({CommandPhase.REFUSED, CommandPhase.NO_EFFECT})


@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest command; `number` counts them."""

    power_kw: float
    monotonic_s: float
    number: int


@dataclass(frozen=True, slots=True)
class Written:
    """What was written last, for command `number` in connection `session`."""

    power_kw: float
    monotonic_s: float
    number: int
    session: int


class Commander(ABC):
    """Writes one command of one device; what the command means is up to its subclasses.

    Anything but `_want` is called by the thread of the link.

    Args:
        spec: The device.
        link: Connection it is behind.
        clock: Times ramp and refresh.
        command: How the command is written and checked.
        budget: Daily budget of flash writes, or None when no step needs one.
        ramp_kw_per_s: Fastest growth of the written power away from 0; None for at once.
    """

    _noun: str
    """What is written, in messages."""

    def __init__(
        self,
        spec: DeviceSpec,
        link: ModbusLink,
        clock: Clock,
        *,
        command: WriteRules,
        budget: WriteBudget | None,
        ramp_kw_per_s: float | None,
    ) -> None:
        self._spec = spec
        self._command = command
        self._link = link
        self._clock = clock
        self._budget = budget
        self._writer = StepWriter(spec, link, budget)
        self._lock = threading.Lock()
        limit = None if budget is None else budget.limit
        self._state = CommandState(daily_write_budget=limit)
        self._wanted: Wanted | None = None
        self._written: Written | None = None
        self._refused: Written | None = None
        self._in_force = InForce()
        self._ramp_kw_per_s = ramp_kw_per_s
        self._ramp = PowerRamp(ramp_kw_per_s, _PAUSE_POLLS * spec.poll_interval_s)
        self._rewrite = False
        self._waits_for_nameplate = False
        self._tried = False

    @abstractmethod
    def _clamped(self, power_kw: float, samples: Mapping[str, Sample]) -> float:
        """Return the power within the nameplate, as the device's register can hold it.

        Raises:
            DeviceError: The nameplate is not known.
        """

    @abstractmethod
    def _held(self, power_kw: float) -> float:
        """Return the power that the device's register holds for `power_kw`."""

    @abstractmethod
    def _steps(self, power_kw: float) -> Sequence[WriteStep]:
        """Return what is written for `power_kw`, in order."""

    @abstractmethod
    def _beyond_budget(self, power_kw: float) -> tuple[float, bool] | None:
        """Return what may be written instead of `power_kw` with a used-up budget.

        Returns:
            The power, and True when the operator must be told why; None to leave the device as
            it is.
        """

    @abstractmethod
    def _shows(self, written_kw: float, readback_kw: float) -> bool:
        """True when `readback_kw` is what a device shows after `written_kw` was written."""

    @abstractmethod
    def _obeys(self, written_kw: float, measured_kw: float, tolerance_kw: float) -> bool:
        """True when a device with the power `measured_kw` follows what was written."""

    @property
    @abstractmethod
    def _budget_effect(self) -> str:
        """What a used-up budget means for the device, for messages."""

    @property
    def waits_for_nameplate(self) -> bool:
        """True when a command could not be written because the nameplate was not read yet."""
        return self._waits_for_nameplate

    def _want(self, power_kw: float) -> None:
        """Replace the wanted power and return at once; any thread may call it."""
        with self._lock:
            number = 1 if self._wanted is None else self._wanted.number + 1
            same = self._wanted is not None and self._wanted.power_kw == power_kw
            self._wanted = Wanted(power_kw, self._clock.monotonic(), number)
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
        reason: str | None = None
        self._tried = True
        try:
            if not self._writer.write(self._steps(power_kw), power_kw, force=force):
                beyond = self._beyond_budget(power_kw)
                if beyond is None:
                    self._set(CommandPhase.REFUSED, self._budget_reason())
                    return False
                power_kw = beyond[0]
                reason = self._budget_reason() if beyond[1] else None
                self._ramp.forget()
                if not self._is_in_force(power_kw):
                    self._writer.write(self._steps(power_kw), power_kw, force=True)
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
        self._note_written(wanted, power_kw, reason)
        return True

    def revert(self) -> bool:
        """Give the device back its own mode; called on stop, after the safe setpoint.

        Returns:
            True when every step was written, or there is none.
        """
        try:
            self._writer.write(self._command.revert_steps, 0.0, force=True)
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

    def _reads_back(self, written: Written, sample: Sample, readback_kw: float | None) -> bool:
        """True when the device shows the written setpoint; else the state says what is wrong."""
        command = self._command
        if readback_kw is None:
            self._set(CommandPhase.PENDING, f"read-back missing: {sample.reason}")
            return False
        if self._shows(written.power_kw, readback_kw):
            return True
        now_s = self._clock.monotonic()
        if self._in_force.contradicts(readback_kw, now_s, command.settle_s, command.tolerance_kw):
            # Asked for again and again, but not at the price of the device's memory.
            self._rewrite = not command.flash_backed
            self._set(
                CommandPhase.NO_EFFECT,
                f"{self._spec.name} shows a {self._noun} of {readback_kw:g} kW "
                f"although {written.power_kw:g} kW was written",
            )
        elif self._state.state is not CommandPhase.NO_EFFECT:
            self._set(CommandPhase.PENDING, "waiting for read-back")
        return False

    def _follows(self, written: Written, sample: Sample, measured_kw: float | None) -> bool:
        """True unless the power is known not to follow; without read-back it must be seen to."""
        command = self._command
        tolerance_kw = command.effect_tolerance_for(written.power_kw)
        waiting = None if command.readback is not None else "waiting for the power to follow"
        if measured_kw is None:
            waiting = f"the power is not measured: {sample.reason}"
        elif self._obeys(written.power_kw, measured_kw, tolerance_kw):
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
                f"{self._spec.name} took a {self._noun} of {written.power_kw:g} kW but its power "
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
        self, wanted: Wanted, written: Written, samples: Mapping[str, Sample]
    ) -> bool:
        """True unless the ramp or a newer command of another power still waits for its slot."""
        if written.number == wanted.number and self._ramp_kw_per_s is None:
            return self._state.state is not CommandPhase.REFUSED
        try:
            target_kw = self._clamped(wanted.power_kw, samples)
        except DeviceError:
            return False
        if not self._differs(target_kw, written.power_kw):
            return True
        if self._ramp_kw_per_s is not None and self._state.state not in _FAILED:
            self._set(
                CommandPhase.PENDING, f"ramping, {written.power_kw:g} of {target_kw:g} kW so far"
            )
        return False

    def _is_due(self, wanted: Wanted, power_kw: float) -> bool:
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
            or self._differs(power_kw, written.power_kw)
        ):
            if now - wanted.monotonic_s > life_s:
                self._set(
                    CommandPhase.IDLE, f"the command is older than {life_s:g} s and was dropped"
                )
                return False
            return True
        if not commanded_since:
            return False
        if all(not step.volatile for step in self._steps(power_kw)):
            return False
        return self._rewrite or (refresh_s is not None and now - written.monotonic_s >= refresh_s)

    def _is_in_force(self, power_kw: float) -> bool:
        """True when `power_kw` was written last, on this connection."""
        written = self._written
        return (
            written is not None
            and written.session == self._link.session
            and written.power_kw == power_kw
        )

    def _differs(self, power_kw: float, written_kw: float) -> bool:
        """True when the powers are further apart than the deadband."""
        if power_kw == written_kw:
            return False
        return abs(power_kw - written_kw) > self._command.deadband_kw

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
            f"{self._budget_effect} until 00:00 UTC"
        )

    def _note_written(self, wanted: Wanted, power_kw: float, refused: str | None) -> None:
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

    def _as_written(self, wanted: Wanted, power_kw: float) -> Written:
        return Written(power_kw, self._clock.monotonic(), wanted.number, self._link.session)

    @staticmethod
    def _sample(signal: str | None, samples: Mapping[str, Sample]) -> Sample | None:
        return None if signal is None else samples[signal]

    def _set(self, phase: CommandPhase, reason: str | None) -> None:
        with self._lock:
            self._state = replace(self._state, state=phase, reason=reason)


def _usable(sample: Sample | None) -> float | None:
    return sample.value if sample is not None and sample.usable else None

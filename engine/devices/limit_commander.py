"""From a wanted power limit of a PV inverter, charger or heat pump to confirmed writes.

A limit is the most a device may generate or draw; no limit is written as the
revert steps of the profile. A value between two steps of the register becomes
the lower one, so that the device never gets more than was asked for.

When the daily budget of writes to flash memory is used up a limit may still
fall, but not rise or be lifted: too little power costs money, too much breaks
what the limit is for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from engine.devices.codec import decode, encode
from engine.devices.command_def import LimitDef, LimitStep
from engine.devices.command_state import CommandState, LimitState
from engine.devices.limit_share import checked_limit
from engine.devices.link import ModbusLink
from engine.devices.spec import DeviceSpec
from engine.devices.step_writer import flash_budget
from engine.devices.write_budget import WriteCountStore
from engine.devices.write_commander import Commander, Wanted
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError
from engine.domain.sample import Sample

_NO_LIMIT_KW: Final = math.inf


class LimitCommander(Commander):
    """Limits one device with the command `limit_power_kw` of its profile.

    `limit` may be called by any thread; everything else by the thread of the link.

    Args:
        spec: The device; its profile must have the command.
        link: Connection it is behind.
        clock: Times the refresh.
        write_counts: Keeps the count of flash writes; needed only where the command has any.

    Raises:
        DeviceError: The profile takes no limit, or writes to flash memory and nothing keeps the
            count.
    """

    _noun = "limit"

    def __init__(
        self,
        spec: DeviceSpec,
        link: ModbusLink,
        clock: Clock,
        write_counts: WriteCountStore | None = None,
    ) -> None:
        command = spec.profile.commands.get("limit_power_kw")
        if command is None:
            raise DeviceError(
                f"device {spec.name} takes no power limit.",
                field="profile",
                value=spec.profile.key,
                hint="Choose a profile with the command limit_power_kw.",
            )
        self._limit: LimitDef = command
        self._limit_steps: Sequence[LimitStep] = ()
        self._nameplate_kw: float | None = None
        counted_as = f"{spec.name} {command.command_name}"
        budget = flash_budget(spec, command, write_counts, clock, counted_as=counted_as)
        super().__init__(spec, link, clock, command=command, budget=budget, ramp_kw_per_s=None)

    @property
    def state(self) -> LimitState:
        """State of the newest limit."""
        state: CommandState = self._state
        return LimitState(
            state=state.state,
            reason=state.reason,
            requested_kw=_finite(state.requested_kw),
            written_kw=_finite(state.written_kw),
            readback_kw=state.readback_kw,
            ts=state.ts,
            measured_kw=state.measured_kw,
            followed=state.followed,
            flash_writes_today=state.flash_writes_today,
            daily_write_budget=state.daily_write_budget,
        )

    def limit(self, limit_kw: float | None) -> None:
        """Replace the wanted limit (None for no limit) and return at once.

        Raises:
            DeviceError: Negative or not a finite number.
        """
        self._want(_NO_LIMIT_KW if limit_kw is None else checked_limit(limit_kw))

    @property
    def leaves_limit(self) -> bool:
        """True when the device may hold a limit that was written here."""
        return self._tried and not self._is_in_force(_NO_LIMIT_KW)

    def lift(self) -> bool:
        """Lift the limit on stop, whatever the budget says.

        A device that was never limited is left alone.

        Returns:
            True when nothing was to be lifted or every step was written.
        """
        return not self.leaves_limit or self.revert()

    def _clamped(self, power_kw: float, samples: Mapping[str, Sample]) -> float:
        if power_kw == _NO_LIMIT_KW:
            return power_kw
        try:
            nameplate_kw = self._nameplate(self._limit.clamp, samples)
            self._limit_steps = self._limit.steps_for(nameplate_kw)
            self._nameplate_kw = nameplate_kw
        except DeviceError:
            # A limit that is not refreshed ends with the device's watchdog, and a nameplate does
            # not change because it could not be read once.
            if self._nameplate_kw is None:
                raise
        return self._held(min(power_kw, self._nameplate_kw))

    def _held(self, power_kw: float) -> float:
        if power_kw == _NO_LIMIT_KW:
            return power_kw
        order = self._spec.profile.word_order
        for step in self._limit_steps:
            if not step.carries_power:
                continue
            held_kw = decode(step, encode(step, power_kw, order, "limit_kw"), order)
            if held_kw is None or step.type.is_float:
                return power_kw
            if held_kw > power_kw and not math.isclose(held_kw, power_kw, rel_tol=1e-9):
                held_kw -= abs(step.scale)
            return max(0.0, held_kw)
        return power_kw

    def _steps(self, power_kw: float) -> Sequence[LimitStep]:
        return self._limit.revert if power_kw == _NO_LIMIT_KW else self._limit_steps

    def _is_due(self, wanted: Wanted, power_kw: float) -> bool:
        # What has no limit has nothing to keep alive.
        if power_kw == _NO_LIMIT_KW and self._is_in_force(power_kw):
            return False
        return super()._is_due(wanted, power_kw)

    def _beyond_budget(self, power_kw: float) -> tuple[float, bool] | None:
        in_force_kw = _NO_LIMIT_KW if self._written is None else self._written.power_kw
        may_fall = power_kw != _NO_LIMIT_KW and power_kw <= in_force_kw
        return (power_kw, False) if may_fall else None

    @property
    def _budget_effect(self) -> str:
        return "its limit may fall but not rise"

    def _shows(self, written_kw: float, readback_kw: float) -> bool:
        # How a device shows that it has no limit, no profile says.
        if written_kw == _NO_LIMIT_KW:
            return True
        return abs(readback_kw - written_kw) <= self._limit.tolerance_kw

    def _obeys(self, written_kw: float, measured_kw: float, tolerance_kw: float) -> bool:
        return measured_kw <= written_kw + tolerance_kw


def _finite(power_kw: float | None) -> float | None:
    return None if power_kw is None or math.isinf(power_kw) else power_kw

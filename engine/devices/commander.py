"""From a wanted battery power to confirmed register writes.

When the daily budget of writes to flash memory is used up the battery is
parked at 0 kW, since nobody could correct its power any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from engine.devices.codec import decode, encode
from engine.devices.command_def import CommandDef, CommandStep
from engine.devices.command_state import CommandState
from engine.devices.link import ModbusLink
from engine.devices.spec import DeviceSpec
from engine.devices.step_writer import flash_budget
from engine.devices.write_budget import WriteCountStore
from engine.devices.write_commander import Commander
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError
from engine.domain.sample import Sample


class PowerCommander(Commander):
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

    _noun = "setpoint"

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
        self._setpoint: CommandDef = command
        budget = flash_budget(spec, command, write_counts, clock)
        super().__init__(
            spec,
            link,
            clock,
            command=command,
            budget=budget,
            ramp_kw_per_s=command.ramp_kw_per_s,
        )

    @property
    def state(self) -> CommandState:
        """State of the newest command."""
        return self._state

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
        self._want(power_kw)

    def _steps(self, power_kw: float) -> Sequence[CommandStep]:
        return self._setpoint.steps

    def _clamped(self, power_kw: float, samples: Mapping[str, Sample]) -> float:
        if power_kw < 0:
            power_kw = max(power_kw, -self._nameplate(self._setpoint.clamp_charge, samples))
        elif power_kw > 0:
            power_kw = min(power_kw, self._nameplate(self._setpoint.clamp_discharge, samples))
        return self._held(power_kw)

    def _held(self, power_kw: float) -> float:
        order = self._spec.profile.word_order
        for step in self._setpoint.steps:
            value = step.value_for(power_kw)
            if not step.carries_power or (value == 0 and power_kw != 0):
                continue
            held = decode(step, encode(step, value, order, "power_kw"), order)
            if held is None:
                return power_kw
            return held if step.value == "power_kw" else math.copysign(held, power_kw) + 0.0
        return power_kw

    def _beyond_budget(self, power_kw: float) -> tuple[float, bool]:
        # Nobody could correct any other power later.
        return 0.0, True

    @property
    def _budget_effect(self) -> str:
        return "it is parked at 0 kW"

    def _shows(self, written_kw: float, readback_kw: float) -> bool:
        return abs(readback_kw - written_kw) <= self._setpoint.tolerance_kw

    def _obeys(self, written_kw: float, measured_kw: float, tolerance_kw: float) -> bool:
        return abs(measured_kw - written_kw) <= tolerance_kw

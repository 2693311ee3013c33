"""The register side of a simulated device: its profile read the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from engine.devices.codec import decode, encode, register_width
from engine.devices.command_def import CommandStep, LimitStep
from engine.devices.planner import Point
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import READ_BITS

WRITE_FUNCTIONS: Final = frozenset({6, 16})


class RegisterMap:
    """Encodes values into the registers a profile describes, and decodes written setpoints.

    Args:
        profile: The profile a client reads the device with.
    """

    def __init__(self, profile: DeviceProfile) -> None:
        self._profile = profile
        self._signals: dict[int, list[tuple[Point, str]]] = {}
        for signal, register in profile.registers.items():
            address = profile.wire_address(register.address)
            point = Point(register.function, address, register_width(register))
            self._signals.setdefault(register.function, []).append((point, signal))
        for name, alarm in profile.alarms.items():
            point = Point(alarm.function, profile.wire_address(alarm.address), 1)
            self._signals.setdefault(alarm.function, []).append((point, name))
        for points in self._signals.values():
            points.sort()

    def spans(self, function: int) -> tuple[tuple[int, int], ...]:
        """Return (first wire address, length) of every gapless run that `function` reads."""
        runs: list[tuple[int, int]] = []
        for point, _ in self._signals.get(function, ()):
            if runs and runs[-1][0] + runs[-1][1] == point.address:
                runs[-1] = (runs[-1][0], runs[-1][1] + point.width)
            else:
                runs.append((point.address, point.width))
        return tuple(runs)

    def words(
        self, function: int, address: int, count: int, values: Mapping[str, float]
    ) -> dict[int, int]:
        """Return wire address to register (or bit 0/1) for every value that touches the range.

        Args:
            function: Read function code.
            address: First wire address asked for.
            count: Number of registers or bits asked for.
            values: Canonical value of every signal and alarm of the profile.

        Raises:
            DeviceError: A value does not fit into its register.
        """
        words: dict[int, int] = {}
        for point, name in self._signals.get(function, ()):
            if point.end <= address or point.address >= address + count:
                continue
            if function in READ_BITS:
                words[point.address] = int(bool(values[name]))
                continue
            coding = self._profile.registers[name]
            encoded = encode(coding, values[name], self._profile.word_order, name)
            words.update(enumerate(encoded, start=point.address))
        return words

    def commanded_kw(self, function: int, address: int, words: Sequence[int]) -> float | None:
        """Return the power (+ discharge) a write commands, or None when it is no setpoint write."""
        step = self._power_step()
        if (
            step is None
            or function != step.function
            or address != self._profile.wire_address(step.address)
            or len(words) != step.type.width
        ):
            return None
        return decode(step, words, self._profile.word_order)

    def limit_write(
        self, function: int, address: int, words: Sequence[int]
    ) -> tuple[LimitStep, float] | None:
        """Return the step of the limit that a write is, with its value; None when it is none."""
        command = self._profile.commands.get("limit_power_kw")
        if command is None:
            return None
        for step in (*command.steps, *command.revert):
            if (
                function == step.function
                and address == self._profile.wire_address(step.address)
                and len(words) == step.type.width
            ):
                value = decode(step, words, self._profile.word_order)
                return None if value is None else (step, value)
        return None

    def _power_step(self) -> CommandStep | None:
        command = self._profile.commands.get("set_power_kw")
        if command is None:
            return None
        return next(step for step in command.steps if step.value == "power_kw")

"""Where the values of a profile lie on the wire, and what must be read together.

A value and its scale factor, and several bits of one register, share one
point: what shares a point comes from one answer of the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.devices.alarm_def import AlarmBit
from engine.devices.codec import register_width
from engine.devices.planner import Point
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import RegisterDef


@dataclass(frozen=True, slots=True)
class Slot:
    """Place of one value in the answer for one point.

    Attributes:
        point: What is read.
        start: First register of the value, counted from the point's address.
        width: Number of registers.
        factor: Its scale factor register, counted from the point's address, or None.
    """

    point: Point
    start: int
    width: int
    factor: int | None = None

    def words(self, answer: tuple[int, ...]) -> tuple[int, ...]:
        """Return the registers of the value from the words of its point."""
        return answer[self.start : self.start + self.width]

    def factor_word(self, answer: tuple[int, ...]) -> int | None:
        """Return the scale factor register from the words of its point, or None."""
        return None if self.factor is None else answer[self.factor]


@dataclass(frozen=True, slots=True)
class Layout:
    """Every value of a profile with its place.

    Attributes:
        registers: Signal to slot.
        alarms: Alarm to its places and their slots.
        low_priority: Points with nothing on them that every poll needs.
    """

    registers: Mapping[str, Slot]
    alarms: Mapping[str, tuple[tuple[AlarmBit, Slot], ...]]
    low_priority: frozenset[Point]

    @property
    def points(self) -> frozenset[Point]:
        """Everything to read."""
        slots = [*self.registers.values()]
        slots += [slot for places in self.alarms.values() for _, slot in places]
        return frozenset(slot.point for slot in slots)


def lay_out(profile: DeviceProfile) -> Layout:
    """Return the places of everything in `profile` that is polled (texts are not)."""
    spans = {_span(profile, register) for register in profile.registers.values()}
    spans |= {
        Point(place.function, profile.wire_address(place.address), 1)
        for alarm in profile.alarms.values()
        for place in alarm.places
    }
    points = _merged(spans, profile.max_registers)
    registers = {
        signal: _slot(profile, register, points[_span(profile, register)])
        for signal, register in profile.registers.items()
    }
    alarms = {
        name: tuple((place, _alarm_slot(profile, place, points)) for place in alarm.places)
        for name, alarm in profile.alarms.items()
    }
    needed = {
        registers[signal].point
        for signal, register in profile.registers.items()
        if register.priority == "high"
    }
    needed |= {slot.point for places in alarms.values() for _, slot in places}
    low = {slot.point for slot in registers.values()} - needed
    return Layout(registers, alarms, frozenset(low))


def _span(profile: DeviceProfile, register: RegisterDef) -> Point:
    first, end = register.address, register.address + register_width(register)
    if register.scale_factor is not None:
        factor = register.scale_factor.address
        first, end = min(first, factor), max(end, factor + 1)
    return Point(register.function, profile.wire_address(first), end - first)


def _slot(profile: DeviceProfile, register: RegisterDef, point: Point) -> Slot:
    factor = register.scale_factor
    return Slot(
        point,
        profile.wire_address(register.address) - point.address,
        register_width(register),
        None if factor is None else profile.wire_address(factor.address) - point.address,
    )


def _alarm_slot(profile: DeviceProfile, place: AlarmBit, points: Mapping[Point, Point]) -> Slot:
    address = profile.wire_address(place.address)
    point = points[Point(place.function, address, 1)]
    return Slot(point, address - point.address, 1)


def _merged(spans: Iterable[Point], longest: int) -> dict[Point, Point]:
    """Return span to the point it is read with: spans that share a register share a point."""
    merged: dict[Point, Point] = {}
    group: list[Point] = []
    end = 0
    for span in sorted(spans):
        together = (
            bool(group)
            and span.function == group[0].function
            and span.address < end
            and max(end, span.end) - group[0].address <= longest
        )
        if not together:
            _close(group, end, merged)
            group, end = [], 0
        group.append(span)
        end = max(end, span.end)
    _close(group, end, merged)
    return merged


def _close(group: list[Point], end: int, merged: dict[Point, Point]) -> None:
    if group:
        first = group[0]
        whole = Point(first.function, first.address, end - first.address)
        merged.update(dict.fromkeys(group, whole))

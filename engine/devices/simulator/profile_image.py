"""The registers of a simulated device: a profile read the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.devices.alarm_def import AlarmBit
from engine.devices.codec import encode_register, encode_text, lowest_bit
from engine.devices.encoding import DataType
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import READ_BITS, RegisterDef
from engine.devices.simulator.profile_values import split_derived
from engine.devices.sunspec.discovery import MARKER, ModelAt, SunSpecDevice
from engine.devices.sunspec.models import ModelPoint, find_point, known_models
from engine.devices.sunspec.resolve import register_for, resolve
from engine.devices.sunspec.section import SunSpecUse

_EXPONENTS: Final[Mapping[str, int]] = {
    "W": 1,
    "VA": 1,
    "V": -1,
    "A": -1,
    "Hz": -2,
    "C": -1,
    "Wh": 1,
    "WH": 2,
    "ohms": 3,
    "Pct": -2,
}
"""Unit of a SunSpec point to the power of ten the simulated device uses."""

_WITHOUT_PV: Final = 160
_COUNTS: Final = {160: (8, 10, 20), 714: (4, 20, 25)}
"""Model to the offset of its count, the offset of its first repeated block, and its length."""
_TEXTS: Final = {
    "manufacturer": "EMS Dash",
    "model": "simulated device",
    "version": "1",
    "serial_number": "SIMULATED",
}

Tables = dict[int, dict[int, int]]


def simulated_models(profile: DeviceProfile) -> SunSpecDevice | None:
    """Return the SunSpec models a simulated device of `profile` has; None without SunSpec.

    A device of the generic profile is a storage without PV inputs (no model 160).
    """
    if profile.sunspec is None:
        return None
    uses = [source for use in profile.sunspec.signals.values() for source in use.sources]
    numbers = {1} | {source.model for source in uses}
    numbers |= {alarm.model for alarm in profile.sunspec.alarms.values()}
    if any(_WITHOUT_PV in source.without_models for source in uses):
        numbers.discard(_WITHOUT_PV)
    modules = max((source.module or 1 for source in uses), default=1)
    base = profile.sunspec.bases[0]
    models: list[ModelAt] = []
    address = base + len(MARKER)
    for number in sorted(numbers):
        model = known_models()[number]
        every = max((point.every or 0 for point in model.points.values()), default=0)
        length = model.length + every * (modules - 1)
        models.append(ModelAt(number, address, length))
        address += 2 + length
    return SunSpecDevice(base, tuple(models))


class ProfileImage:
    """Encodes values into everything a profile reads.

    Args:
        profile: The profile a client reads the device with.
    """

    def __init__(self, profile: DeviceProfile) -> None:
        self._models = simulated_models(profile)
        self.profile = profile if self._models is None else resolve(profile, self._models)
        self._places = [
            (signal, register, 0)
            for signal, register in self.profile.registers.items()
            if signal in profile.registers
        ]
        if profile.sunspec is not None and self._models is not None:
            self._places += _sunspec_places(profile, profile.sunspec, self._models)

    def tables(self, values: Mapping[str, float]) -> Tables:
        """Return function to wire address to word for all registers, bits and texts.

        Args:
            values: Signals and alarms (0 or 1); what is missing shows 0, or the first code.

        Raises:
            DeviceError: A value does not fit into its register.
        """
        tables: Tables = {}
        self._add_models(tables)
        values = split_derived(self.profile.derived, values)
        for signal, register, exponent in self._places:
            self._add_register(tables, signal, register, exponent, values)
        for name, alarm in self.profile.alarms.items():
            for place in alarm.places:
                active = bool(values.get(name, 0.0)) and place is alarm
                self._add_alarm(tables, place, active)
        for name, text in self.profile.texts.items():
            words = encode_text(_TEXTS.get(name, ""), text.length)
            start = self.profile.wire_address(text.address)
            tables.setdefault(text.function, {}).update(enumerate(words, start=start))
        return tables

    def _add_models(self, tables: Tables) -> None:
        if self._models is None:
            return
        table = tables.setdefault(3, {})
        table.update(enumerate(MARKER, start=self._models.base))
        end = self._models.base + len(MARKER)
        for model in self._models.models:
            table.update(dict.fromkeys(range(model.address, model.address + 2 + model.length), 0))
            table[model.address], table[model.address + 1] = model.number, model.length
            end = model.address + 2 + model.length
            for point in known_models()[model.number].points.values():
                if point.type is not None and point.sentinel is not None:
                    start = model.address + point.offset
                    _add_not_implemented(table, start, point.type, point.sentinel)
                if point.scale_factor is not None:
                    table[model.address + point.scale_factor] = _exponent(point) & 0xFFFF
            if model.number in _COUNTS:
                count, first, every = _COUNTS[model.number]
                table[model.address + count] = (model.length + 2 - first) // every
        table.update({end: 0xFFFF, end + 1: 0})

    def _add_register(
        self,
        tables: Tables,
        signal: str,
        register: RegisterDef,
        exponent: int,
        values: Mapping[str, float],
    ) -> None:
        table = tables.setdefault(register.function, {})
        address = self.profile.wire_address(register.address)
        value = _shown(signal, register, values)
        if register.function in READ_BITS:
            table[address] = int(bool(value) != register.inverted)
            return
        factor_address = _factor_address(register)
        if factor_address is not None:
            table[self.profile.wire_address(factor_address)] = exponent & 0xFFFF
        words = encode_register(
            register, value, self.profile.word_order, signal, factor=10.0**exponent
        )
        if register.bit_mask is None:
            table.update(enumerate(words, start=address))
            return
        for at, word in enumerate(words, start=address):
            table[at] = table.get(at, 0) | word

    def _add_alarm(self, tables: Tables, place: AlarmBit, active: bool) -> None:
        table = tables.setdefault(place.function, {})
        address = self.profile.wire_address(place.address)
        if place.function in READ_BITS:
            table[address] = int(active != place.inverted)
            return
        if place.active_values and not active:
            table.setdefault(address, 0)
            return
        pattern = place.active_values[0] if place.active_values else 1
        shown = pattern << lowest_bit(place.bit_mask) if active != place.inverted else 0
        kept = 0 if place.active_values else table.get(address, 0)
        # Events of SunSpec models start as "not implemented"; a device with alarms has them.
        table[address] = shown | (0 if kept == place.sentinel else kept)


def _sunspec_places(
    profile: DeviceProfile, part: SunSpecUse, device: SunSpecDevice
) -> list[tuple[str, RegisterDef, int]]:
    """Return signal, register and power of ten of every point that is a source of a signal."""
    places: dict[int, tuple[str, RegisterDef, int]] = {}
    for signal, use in part.signals.items():
        for source in use.sources:
            register = register_for(source, use, device, profile.address_base)
            point = find_point(source.model, source.point)
            if register is not None and point is not None:
                exponent = 0 if point.scale_factor is None else _exponent(point)
                places.setdefault(register.address, (signal, register, exponent))
    return list(places.values())


def _exponent(point: ModelPoint) -> int:
    unit = point.unit or ""
    return _EXPONENTS.get(unit, -2 if "%" in unit else 0)


def _add_not_implemented(table: dict[int, int], start: int, kind: DataType, sentinel: int) -> None:
    for index in range(kind.width):
        table[start + index] = sentinel >> 16 * (kind.width - 1 - index) & 0xFFFF


def _factor_address(register: RegisterDef) -> int | None:
    return None if register.scale_factor is None else register.scale_factor.address


def _shown(signal: str, register: RegisterDef, values: Mapping[str, float]) -> float:
    """Return what the device shows: the plant's value within what the register can say."""
    codes = set(register.code_map.values()) or set(register.values)
    value = values.get(signal)
    if codes:
        if value in codes:
            return float(value)
        # A device without a code for what the plant does shows that it is ready.
        return 3.0 if 3 in codes else float(min(codes, key=abs))
    if value is None:
        value = 0.0
    if register.min is not None:
        value = max(value, register.min)
    if register.max is not None:
        value = min(value, register.max)
    if register.bit_mask is not None:
        return float(bool(value))
    return value

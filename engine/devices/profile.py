"""Device profiles: what a device's registers mean, as immutable validated data.

A profile is one YAML file in `engine/devices/profiles`, named after its key;
adding a manufacturer is adding a file. Addresses in a profile are written as
the manufacturer writes them; `DeviceProfile.wire_address` subtracts the base.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import resources
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import AfterValidator, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from engine.devices.command_def import (
    CommandDef,
    Commands,
    CommandStep,
    LimitDef,
    WriteRules,
    WriteStep,
)
from engine.devices.connection_def import ConnectionDefaults
from engine.devices.derived_def import DerivedDef
from engine.devices.encoding import (
    Address,
    DataType,
    Encoding,
    Finite,
    Name,
    PositiveMeans,
    ProfileData,
    ScaleFactor,
    TextDef,
    WordOrder,
    frozen_mapping,
)
from engine.devices.rtc_def import RTC_REGISTERS, RtcDef
from engine.devices.sunspec.models import find_point
from engine.devices.sunspec.section import SunSpecUse
from engine.domain.errors import DeviceError
from engine.domain.signals import ALARMS, EXTERNAL_CONTACT, SIGNALS

READ_BITS: Final = frozenset({1, 2})
"""Function codes that read single bits (coils, discrete inputs)."""


STATUS_CODES: Final = frozenset({0, 1, 2, 3, 5, 6, 7, 8})
"""Canonical codes of `status_code`, see `engine.domain.signals`."""


class DeviceKind(StrEnum):
    """What a device is.

    HYBRID is PV inverter and battery converter in one; SITE an energy management system that
    reports a whole site; INPUTS a module of digital inputs.
    """

    BATTERY_BMS = "battery_bms"
    PCS = "pcs"
    METER = "meter"
    PV_INVERTER = "pv_inverter"
    HYBRID = "hybrid"
    SITE = "site"
    INPUTS = "inputs"


class Severity(StrEnum):
    """How serious an alarm is."""

    FAULT = "fault"
    LIMIT = "limit"


_BATTERY_SIGNS: Final = frozenset({PositiveMeans.DISCHARGE, PositiveMeans.CHARGE})
_GRID_SIGNS: Final = frozenset({PositiveMeans.IMPORT, PositiveMeans.EXPORT})
_PV_SIGNS: Final = frozenset({PositiveMeans.GENERATION, PositiveMeans.CONSUMPTION})

_SIGNED_SIGNALS: Final[Mapping[str, frozenset[PositiveMeans]]] = {
    "battery_kw": _BATTERY_SIGNS,
    "battery_setpoint_kw": _BATTERY_SIGNS,
    "current_a": _BATTERY_SIGNS,
    "grid_kw": _GRID_SIGNS,
    "grid_l1_kw": _GRID_SIGNS,
    "grid_l2_kw": _GRID_SIGNS,
    "grid_l3_kw": _GRID_SIGNS,
    "pv_kw": _PV_SIGNS,
}


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


def _no_commands() -> Commands:
    return cast(Commands, MappingProxyType({}))


class RegisterDef(Encoding):
    """One readable value.

    Attributes:
        address: Address as the manufacturer writes it.
        function: Read function code: 1 coil, 2 discrete input, 3 holding, 4 input register.
        bit: Number of the one bit of the register that is the value (0 or 1), lowest 0.
        mask: Bits of the register that are the value, shifted down to bit 0.
        inverted: True when the value is 1 while its one bit is 0, for example a contact that
            opens (active low).
        values: Code to text of an enumeration; any other code is BAD.
        code_map: Code of the device to canonical code; any other code is BAD.
        scale_factor: Register with the power of ten, read in the same request as the value.
        sentinel_value: What the sentinel stands for when the device only sleeps (PV power at
            night): an UNCERTAIN value instead of a BAD sample. None for BAD.
        unit: Unit of the scaled value; for canonical signals the unit of the signal.
        min: Smallest plausible canonical value; below it the value is BAD.
        max: Largest plausible canonical value; above it the value is BAD.
        priority: ``"high"`` for every poll, ``"low"`` for values that change slowly.
        description: Meaning, for display.
    """

    address: Address
    function: Annotated[int, Field(ge=1, le=4)]
    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    mask: Annotated[int, Field(ge=1)] | None = None
    inverted: bool = False
    values: Annotated[Mapping[int, str], AfterValidator(frozen_mapping)] = Field(
        default_factory=_nothing
    )
    code_map: Annotated[Mapping[int, int], AfterValidator(frozen_mapping)] = Field(
        default_factory=_nothing
    )
    scale_factor: ScaleFactor | None = None
    sentinel_value: Finite | None = None
    unit: str | None = None
    min: Finite | None = None
    max: Finite | None = None
    priority: Literal["high", "low"] = "high"
    description: str = ""

    @property
    def bit_mask(self) -> int | None:
        """Bits of the register that are the value; None for all of them."""
        return self.mask if self.bit is None else 1 << self.bit

    @property
    def is_one_bit(self) -> bool:
        """True when what is read is a single bit."""
        return self.function in READ_BITS or self.bit is not None


class AlarmBit(ProfileData):
    """Where an alarm shows: a coil or discrete input, or bits of one register.

    Attributes:
        address: Address as the manufacturer writes it.
        function: Read function code: 1 coil, 2 discrete input, 3 holding, 4 input register.
        bit: The one bit of the register, lowest 0.
        mask: Bits of the register of which any one is enough; without bit and mask all 16.
        active_values: Values of the masked bits that are the alarm, instead of any bit set.
        inverted: True when the alarm is active while the bits are all 0.
        sentinel: Register pattern that means "not available": the alarms are then BAD.
    """

    address: Address
    function: Annotated[int, Field(ge=1, le=4)]
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    mask: Annotated[int, Field(ge=1, le=0xFFFF)] | None = None
    active_values: tuple[int, ...] = ()
    inverted: bool = False
    sentinel: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None

    @property
    def bit_mask(self) -> int:
        """Bits of the register that count."""
        if self.bit is not None:
            return 1 << self.bit
        return 0xFFFF if self.mask is None else self.mask


class AlarmDef(AlarmBit):
    """One alarm of `engine.domain.signals.ALARMS`.

    Attributes:
        severity: How serious it is.
        also: Further places of which any one is enough.
    """

    severity: Severity
    also: tuple[AlarmBit, ...] = ()

    @property
    def places(self) -> tuple[AlarmBit, ...]:
        """Every place the alarm shows at."""
        return (self, *self.also)


class DeviceProfile(ProfileData):
    """Everything the program knows about one type of device; immutable.

    Attributes:
        key: Key in `MODBUS_PROFILES` and in the configuration.
        label: Name for people.
        manufacturer: Manufacturer, or "EMS Dash" for the demo plant.
        kinds: What the device is.
        source: Where the register facts come from and how far they agree.
        model: Models it is meant for.
        verified_on_hardware: True once somebody compared it with a real device.
        notes: Sentences an installer must know (quirks, watchdogs, what is not offered and why).
        connection: How such a device is usually reached.
        address_base: Number the manufacturer gives the first register, 0 or 1.
        address_base_stated: False when the base is an assumption that a connection test must
            settle first.
        word_order: Order of the registers of one number.
        max_registers: Most registers one request may ask for.
        registers: Signal name to register.
        sunspec: Signals found by walking the SunSpec models of the device, or None.
        derived: Signal name to how it follows from other signals, in order of calculation.
        texts: Name to text register (manufacturer, model, serial number).
        alarms: Alarm name (of `engine.domain.signals.ALARMS`) to bit.
        status_codes: Code of `status_code` to text; other codes make the signal BAD.
        commands: Command name to command: ``"set_power_kw"`` (battery power) and
            ``"limit_power_kw"`` (the most a device may generate or draw); empty when the device
            takes none. Cannot be changed.
        rtc: Clock of the device that may be set, or None.
    """

    key: Name
    label: Annotated[str, Field(min_length=1)]
    manufacturer: Annotated[str, Field(min_length=1)]
    kinds: Annotated[tuple[DeviceKind, ...], Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    model: str = ""
    verified_on_hardware: bool = False
    notes: tuple[str, ...] = ()
    connection: ConnectionDefaults = ConnectionDefaults()
    address_base: Annotated[int, Field(ge=0, le=1)] = 0
    address_base_stated: bool = True
    word_order: WordOrder = WordOrder.BIG
    max_registers: Annotated[int, Field(ge=4, le=125)] = 120
    registers: Annotated[Mapping[Name, RegisterDef], AfterValidator(frozen_mapping)]
    sunspec: SunSpecUse | None = None
    derived: Annotated[Mapping[Name, DerivedDef], AfterValidator(frozen_mapping)] = Field(
        default_factory=_nothing
    )
    texts: Annotated[Mapping[Name, TextDef], AfterValidator(frozen_mapping)] = Field(
        default_factory=_nothing
    )
    alarms: Annotated[Mapping[Name, AlarmDef], AfterValidator(frozen_mapping)] = Field(
        default_factory=_nothing
    )
    status_codes: Annotated[Mapping[int, str], AfterValidator(frozen_mapping)] = Field(
        default_factory=_nothing
    )
    commands: Annotated[Commands, AfterValidator(frozen_mapping)] = Field(
        default_factory=_no_commands
    )
    rtc: RtcDef | None = None

    def wire_address(self, address: int) -> int:
        """Return the 0-based address that goes over the wire."""
        return address - self.address_base

    @property
    def signals(self) -> frozenset[str]:
        """Signals this profile supplies, `alarm_bits` included when it has alarms."""
        found = frozenset(self.registers) | frozenset(self.derived)
        if self.sunspec is not None:
            found |= frozenset(self.sunspec.signals)
        has_alarms = self.alarms or (self.sunspec is not None and self.sunspec.alarms)
        return found | ({"alarm_bits"} if has_alarms else frozenset())

    def unit_of(self, signal: str) -> str | None:
        """Return the unit of `signal` for display, or None when it has none.

        Raises:
            DeviceError: The profile has no such signal.
        """
        known = SIGNALS.get(signal)
        if signal not in self.signals:
            raise self._error(signal, signal, "no such signal", "See its list of signals.")
        if known is not None:
            return known.unit
        if signal in self.registers:
            return self.registers[signal].unit
        if signal in self.derived:
            return self.derived[signal].unit
        return None if self.sunspec is None else self.sunspec.signals[signal].unit

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for signal, register in self.registers.items():
            self._check_register(signal, register)
        self._check_sunspec()
        self._check_derived()
        self._check_alarms()
        for name, text in self.texts.items():
            self._check_span(f"texts.{name}", text.address, text.length)
        self._check_overlaps()
        power, limit = self.commands.get("set_power_kw"), self.commands.get("limit_power_kw")
        if power is not None:
            self._check_command(power)
        if limit is not None:
            self._check_limit(limit)
        if self.rtc is not None:
            self._check_span("rtc", self.rtc.address, RTC_REGISTERS)
        return self

    def _error(self, field: str, value: object, problem: str, hint: str) -> DeviceError:
        return DeviceError(
            f"profile {self.key}: {problem} (got {value!r}).", field=field, value=value, hint=hint
        )

    def _check_encoding(self, field: str, coding: Encoding) -> None:
        if coding.scale == 0:
            raise self._error(
                f"{field}.scale", coding.scale, "a scale of 0 erases the value", "Give the factor."
            )
        if coding.sentinel is not None:
            low, high = -(1 << (coding.type.bits - 1)), (1 << coding.type.bits) - 1
            if not low <= coding.sentinel <= high:
                raise self._error(
                    f"{field}.sentinel",
                    coding.sentinel,
                    f"the sentinel does not fit into {coding.type}",
                    f"Give a bit pattern between 0 and {high}.",
                )

    def _check_span(self, field: str, address: int, width: int) -> None:
        first = self.wire_address(address)
        if first < 0 or first + width > 65536:
            raise self._error(
                f"{field}.address",
                address,
                "the address lies outside the device's address space",
                f"With address base {self.address_base} give "
                f"{self.address_base} to {65536 - width + self.address_base}.",
            )

    def _check_register(self, signal: str, register: RegisterDef) -> None:
        field = f"registers.{signal}"
        self._check_encoding(field, register)
        is_bit = register.function in READ_BITS
        self._check_span(field, register.address, 1 if is_bit else register.type.width)
        if is_bit and register.type is not DataType.UINT16:
            raise self._error(
                f"{field}.type",
                register.type.value,
                f"function {register.function} reads a single bit",
                "Leave the type out, or read registers with function 3 or 4.",
            )
        self._check_bits(field, register)
        if register.inverted and not register.is_one_bit:
            raise self._error(
                f"{field}.inverted",
                True,
                "only a single bit can be inverted",
                "Name its bit, or read it with function 1 or 2.",
            )
        if signal == EXTERNAL_CONTACT:
            self._check_contact(field, register)
        if register.scale_factor is not None:
            self._check_scale_factor(field, register, register.scale_factor)
        if register.sentinel_value is not None and register.sentinel is None:
            raise self._error(
                f"{field}.sentinel_value",
                register.sentinel_value,
                "no sentinel is given that it could stand for",
                "Give the sentinel.",
            )
        if signal == "alarm_bits":
            raise self._error(
                field, register.address, "alarm_bits is derived", "List the bits under alarms."
            )
        self._check_unit(signal, field, register.unit)
        self._check_sign(signal, field, register.positive_means)
        if signal == "status_code":
            self._check_codes(f"{field}.code_map", register.code_map)
        if register.min is not None and register.max is not None and register.min >= register.max:
            raise self._error(
                f"{field}.min",
                register.min,
                f"min is not below max {register.max}",
                "Swap or correct them.",
            )

    def _check_bits(self, field: str, register: RegisterDef) -> None:
        mask = register.bit_mask
        if mask is None:
            return
        if register.function in READ_BITS or register.type.is_float:
            raise self._error(
                f"{field}.{'mask' if register.bit is None else 'bit'}",
                mask,
                "only registers of whole numbers have bits",
                "Leave it out.",
            )
        if register.bit is not None and register.mask is not None:
            raise self._error(
                f"{field}.mask", register.mask, "bit and mask are both given", "Give one."
            )
        if mask >> register.type.bits:
            raise self._error(
                f"{field}.{'mask' if register.bit is None else 'bit'}",
                register.mask if register.bit is None else register.bit,
                f"it lies outside {register.type}",
                f"Bits go from 0 to {register.type.bits - 1}.",
            )

    def _check_contact(self, field: str, register: RegisterDef) -> None:
        mapped = bool(register.code_map) and set(register.code_map.values()) <= {0, 1}
        if not (register.is_one_bit or mapped):
            raise self._error(
                f"{field}.bit",
                None,
                "a contact is one bit",
                "Name its bit, read it with function 1 or 2, or map its codes to 0 and 1.",
            )
        if (register.scale, register.offset) != (1.0, 0.0):
            raise self._error(
                f"{field}.scale",
                register.scale,
                "a contact is 0 or 1 and has no scale and no offset",
                "Leave them out; inverted: true turns it round.",
            )

    def _check_scale_factor(self, field: str, register: RegisterDef, factor: ScaleFactor) -> None:
        self._check_span(f"{field}.scale_factor", factor.address, 1)
        first = min(register.address, factor.address)
        last = max(register.address + register.type.width, factor.address + 1)
        if register.function in READ_BITS or last - first > self.max_registers:
            raise self._error(
                f"{field}.scale_factor.address",
                factor.address,
                f"value and scale factor do not fit into one request of {self.max_registers}",
                "Correct the address; they must be read together.",
            )

    def _check_unit(self, signal: str, field: str, unit: str | None) -> None:
        known = SIGNALS.get(signal)
        if known is not None and unit not in (None, known.unit):
            raise self._error(
                f"{field}.unit",
                unit,
                f"{signal} is in {known.unit or 'no unit'}",
                f"Choose the scale so that the value comes out in {known.unit or 'plain numbers'}.",
            )

    def _check_sign(self, signal: str, field: str, meaning: PositiveMeans | None) -> None:
        meanings = _SIGNED_SIGNALS.get(signal)
        if meanings is not None and meaning not in meanings:
            raise self._error(
                f"{field}.positive_means",
                None if meaning is None else meaning.value,
                f"the sign of {signal} is not stated",
                f"Say what a positive number means: {' or '.join(sorted(meanings))}.",
            )

    def _check_codes(self, field: str, code_map: Mapping[int, int]) -> None:
        for code, canonical in code_map.items():
            if canonical not in STATUS_CODES:
                raise self._error(
                    f"{field}.{code}",
                    canonical,
                    "not a canonical status code",
                    f"Map it to one of {', '.join(str(c) for c in sorted(STATUS_CODES))}.",
                )

    def _check_sunspec(self) -> None:
        if self.sunspec is None:
            return
        for signal, use in self.sunspec.signals.items():
            field = f"sunspec.signals.{signal}"
            if signal in self.registers:
                raise self._error(
                    field, signal, "it is under registers too", "Leave one of them out."
                )
            self._check_unit(signal, field, use.unit)
            for index, source in enumerate(use.sources):
                place = f"{field}.sources.{index}"
                if find_point(source.model, source.point) is None:
                    raise self._error(
                        f"{place}.point",
                        source.point,
                        f"SunSpec model {source.model} has no such point here",
                        "Correct model and point, or add it to sunspec/models.yaml.",
                    )
                self._check_sign(signal, place, source.positive_means)
                if signal == "status_code":
                    self._check_codes(f"{place}.code_map", source.code_map)
        for name, alarm in self.sunspec.alarms.items():
            if name not in ALARMS:
                raise self._error(
                    f"sunspec.alarms.{name}",
                    name,
                    "unknown alarm",
                    f"Known are {', '.join(ALARMS)}.",
                )
            if find_point(alarm.model, alarm.point) is None:
                raise self._error(
                    f"sunspec.alarms.{name}.point",
                    alarm.point,
                    f"SunSpec model {alarm.model} has no such point here",
                    "Correct model and point, or add it to sunspec/models.yaml.",
                )

    def _check_derived(self) -> None:
        known = set(self.registers)
        if self.sunspec is not None:
            known |= set(self.sunspec.signals)
        for signal, rule in self.derived.items():
            field = f"derived.{signal}"
            if signal in known:
                raise self._error(field, signal, "it is a register too", "Leave one of them out.")
            self._check_unit(signal, field, rule.unit)
            for name in rule.inputs:
                if name not in known:
                    raise self._error(
                        field,
                        name,
                        "it is worked out from a signal that is not there",
                        "Add it under registers, or above under derived.",
                    )
            known.add(signal)

    def _check_alarms(self) -> None:
        for name, alarm in self.alarms.items():
            if name not in ALARMS:
                raise self._error(
                    f"alarms.{name}", name, "unknown alarm", f"Known are {', '.join(ALARMS)}."
                )
            for place in alarm.places:
                self._check_span(f"alarms.{name}", place.address, 1)
                if place.function in READ_BITS and (place.bit, place.mask) != (None, None):
                    raise self._error(
                        f"alarms.{name}.bit",
                        place.bit,
                        f"function {place.function} reads a single bit already",
                        "Leave it out.",
                    )

    def _check_overlaps(self) -> None:
        """Two values may share registers only as different bits of the same word."""
        whole = [
            (r.function, r.address, 1 if r.function in READ_BITS else r.type.width, signal)
            for signal, r in self.registers.items()
            if r.bit_mask is None
        ]
        whole += [(t.function, t.address, t.length, name) for name, t in self.texts.items()]
        whole += [
            (a.function, a.address, 1, name)
            for name, alarm in self.alarms.items()
            for a in alarm.places
            if a.function in READ_BITS
        ]
        whole.sort()
        for (function, start, width, name), (next_function, next_start, _, next_name) in pairwise(
            whole
        ):
            if function == next_function and start + width > next_start:
                raise self._error(
                    f"registers.{next_name}.address",
                    next_start,
                    f"{next_name} overlaps {name} at {start} to {start + width - 1}",
                    f"Correct one address or type, or set {name} to null to leave it out.",
                )
        taken: dict[tuple[int, int, int], str] = {}
        for signal, r in self.registers.items():
            if r.bit_mask is None:
                continue
            for bit in range(r.type.bits):
                place = (r.function, r.address, bit)
                if r.bit_mask >> bit & 1 and taken.setdefault(place, signal) != signal:
                    raise self._error(
                        f"registers.{signal}.address",
                        r.address,
                        f"{signal} and {taken[place]} both use bit {bit}",
                        "Correct one bit or mask.",
                    )

    def _check_command(self, command: CommandDef) -> None:
        for place, step in self._steps_of(command):
            if (
                isinstance(step, CommandStep)
                and step.value == "power_kw"
                and step.positive_means not in _BATTERY_SIGNS
            ):
                raise self._error(
                    f"{place}.positive_means",
                    None if step.positive_means is None else step.positive_means.value,
                    "the sign of the setpoint is not stated",
                    "Say what a positive number means: charge or discharge.",
                )
        self._check_write_rules(command, ("clamp_charge", "clamp_discharge"))

    def _check_limit(self, limit: LimitDef) -> None:
        for place, step in self._steps_of(limit):
            if step.positive_means is not None:
                raise self._error(
                    f"{place}.positive_means",
                    step.positive_means.value,
                    "a limit is an amount without a sign",
                    "Leave it out.",
                )
        self._check_write_rules(limit, ("clamp",))

    def _steps_of(self, command: WriteRules) -> list[tuple[str, WriteStep]]:
        """Return field and step of every write of `command`, each one checked on its own."""
        field = f"commands.{command.command_name}"
        steps = [(f"{field}.steps.{i}", step) for i, step in enumerate(command.all_steps)]
        steps += [(f"{field}.revert.{i}", step) for i, step in enumerate(command.revert_steps)]
        for place, step in steps:
            self._check_encoding(place, step)
            self._check_span(place, step.address, step.type.width)
            if step.function == 6 and step.type.width != 1:
                raise self._error(
                    f"{place}.function",
                    step.function,
                    f"function 6 writes one register, {step.type} needs {step.type.width}",
                    "Use function 16.",
                )
        return steps

    def _check_write_rules(self, command: WriteRules, clamps: tuple[str, ...]) -> None:
        field = f"commands.{command.command_name}"
        if not any(step.carries_power for step in command.all_steps):
            raise self._error(
                f"{field}.steps", len(command.all_steps), "no step writes the power", "Add it."
            )
        for part in ("readback", "effect", *clamps):
            signal = getattr(command, part)
            if isinstance(signal, str) and signal not in self.signals:
                raise self._error(
                    f"{field}.{part}", signal, "no such register", "Add it under registers."
                )
        if (
            command.refresh_s is not None
            and command.watchdog_s is not None
            and command.refresh_s >= command.watchdog_s
        ):
            raise self._error(
                f"{field}.refresh_s",
                command.refresh_s,
                f"the refresh comes after the watchdog of {command.watchdog_s} s",
                "Refresh at a third of the watchdog time.",
            )


def parse_profile(data: Mapping[str, Any]) -> DeviceProfile:
    """Return the validated profile in `data` (the content of a profile file).

    Raises:
        DeviceError: A field is missing, unknown or not plausible; names profile, field, value
            and remedy.
    """
    try:
        return DeviceProfile.model_validate(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        missing = first["type"] == "missing"
        given = None if missing else first["input"]
        raise DeviceError(
            f"profile {data.get('key', '(without key)')}: {first['msg']}"
            + ("." if missing else f" (got {given!r})."),
            field=field,
            value=given,
            hint="Add this field." if missing else "Correct this field of the profile.",
        ) from exc


def with_overrides(
    profile: DeviceProfile,
    registers: Mapping[str, Mapping[str, Any] | None],
    *,
    status_codes: Mapping[int | str, str] | None = None,
    address_base: int | None = None,
) -> DeviceProfile:
    """Return a copy of `profile` with registers from the configuration over its own.

    Args:
        profile: The profile to start from.
        registers: Signal to fields of `RegisterDef`. Fields left out keep the profile's value;
            a new signal needs at least address and function; None leaves the signal out
            (`alarm_bits` and derived signals too).
        status_codes: Replaces the profile's table when given.
        address_base: Replaces the profile's base when given, and counts as stated.

    Raises:
        DeviceError: The result is not a valid profile; names field, value and remedy.
    """
    data: dict[str, Any] = {name: getattr(profile, name) for name in DeviceProfile.model_fields}
    merged: dict[str, Any] = {
        name: definition.model_dump(exclude_unset=True, warnings=False)
        for name, definition in profile.registers.items()
    }
    for signal, fields in registers.items():
        if fields is None:
            merged.pop(signal, None)
            if signal == "alarm_bits":
                data["alarms"] = {}
        else:
            merged[signal] = {**merged.get(signal, {}), **fields}
    data["registers"] = merged
    data["derived"] = {n: rule for n, rule in profile.derived.items() if n not in registers}
    if profile.sunspec is not None:
        kept = {n: use for n, use in profile.sunspec.signals.items() if n not in registers}
        changes: dict[str, Any] = {"signals": kept}
        if "alarm_bits" in registers:
            changes["alarms"] = {}
        data["sunspec"] = profile.sunspec.model_copy(update=changes)
    if status_codes is not None:
        data["status_codes"] = dict(status_codes)
    if address_base is not None:
        data["address_base"] = address_base
        data["address_base_stated"] = True
    return parse_profile(data)


def load_profile(text: str, key: str) -> DeviceProfile:
    """Return the profile written as YAML in `text`; `key` must be the key inside.

    Raises:
        DeviceError: Not YAML, not a profile, or of another key.
    """
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as exc:
        raise DeviceError(
            f"profile {key} is not valid YAML: {exc}", field=key, hint="Correct the file."
        ) from exc
    if not isinstance(data, dict):
        raise DeviceError(
            f"profile {key} is not a table of fields.", field=key, hint="Correct the file."
        )
    profile = parse_profile(data)
    if profile.key != key:
        raise DeviceError(
            f"profile {key}: the file carries another key (got {profile.key!r}).",
            field="key",
            value=profile.key,
            hint="Name the file after its key.",
        )
    return profile


class _ProfileRegistry(Mapping[str, DeviceProfile]):
    """Profiles by key, each read and validated when it is first asked for."""

    def __init__(self) -> None:
        folder = resources.files("engine.devices") / "profiles"
        self._files = {
            entry.name.removesuffix(".yaml"): entry
            for entry in sorted(folder.iterdir(), key=lambda item: item.name)
            if entry.name.endswith(".yaml")
        }
        self._loaded: dict[str, DeviceProfile] = {}

    def __getitem__(self, key: str) -> DeviceProfile:
        if key not in self._loaded:
            text = self._files[key].read_text(encoding="utf-8")
            self._loaded[key] = load_profile(text, key)
        return self._loaded[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


MODBUS_PROFILES: Final[Mapping[str, DeviceProfile]] = _ProfileRegistry()
"""Every profile that comes with the program, by key."""


def get_profile(key: str) -> DeviceProfile:
    """Return the profile `key`.

    Raises:
        DeviceError: No such profile; names the known ones.
    """
    if key not in MODBUS_PROFILES:
        raise DeviceError(
            f"unknown device profile (got {key!r}).",
            field="modbus.profile",
            value=key,
            hint=f"Choose one of {', '.join(sorted(MODBUS_PROFILES))}.",
        )
    return MODBUS_PROFILES[key]


def is_plausible(register: RegisterDef, value: float) -> bool:
    """True when `value` (canonical) is finite and within the register's min and max."""
    return (
        math.isfinite(value)
        and (register.min is None or value >= register.min)
        and (register.max is None or value <= register.max)
    )

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
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from engine.devices.command_def import CommandDef
from engine.devices.encoding import (
    Address,
    DataType,
    Encoding,
    Finite,
    Name,
    PositiveMeans,
    ProfileData,
    WordOrder,
)
from engine.domain.errors import DeviceError
from engine.domain.signals import ALARMS, SIGNALS

READ_BITS: Final = frozenset({1, 2})
"""Function codes that read single bits (coils, discrete inputs)."""


class DeviceKind(StrEnum):
    """What a device is."""

    BATTERY_BMS = "battery_bms"
    PCS = "pcs"
    METER = "meter"
    PV_INVERTER = "pv_inverter"


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
    "pv_kw": _PV_SIGNS,
}


def _frozen(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(dict(mapping))


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


class RegisterDef(Encoding):
    """One readable value.

    Attributes:
        address: Address as the manufacturer writes it.
        function: Read function code: 1 coil, 2 discrete input, 3 holding, 4 input register.
        unit: Unit of the scaled value; for canonical signals the unit of the signal.
        min: Smallest plausible canonical value; below it the value is BAD.
        max: Largest plausible canonical value; above it the value is BAD.
        description: Meaning, for display.
    """

    address: Address
    function: Annotated[int, Field(ge=1, le=4)]
    unit: str | None = None
    min: Finite | None = None
    max: Finite | None = None
    description: str = ""


class AlarmDef(ProfileData):
    """One alarm: a coil (function 1) or discrete input (function 2) that is set while active."""

    address: Address
    function: Annotated[int, Field(ge=1, le=2)]
    severity: Severity


class DeviceProfile(ProfileData):
    """Everything the program knows about one type of device; immutable.

    Attributes:
        key: Key in `MODBUS_PROFILES` and in the configuration.
        label: Name for people.
        manufacturer: Manufacturer, or "EMS Dash" for the demo plant.
        kinds: What the device is.
        source: Where the register facts come from and how far they were verified.
        address_base: Number the manufacturer gives the first register, 0 or 1.
        address_base_stated: False when the base is an assumption that a connection test must
            settle first.
        word_order: Order of the registers of one number.
        max_registers: Most registers one request may ask for.
        registers: Signal name to register.
        alarms: Alarm name (of `engine.domain.signals.ALARMS`) to bit.
        status_codes: Code of `status_code` to text; other codes make the signal BAD.
        commands: Command name to command; only ``"set_power_kw"`` exists.
    """

    key: Name
    label: Annotated[str, Field(min_length=1)]
    manufacturer: Annotated[str, Field(min_length=1)]
    kinds: Annotated[tuple[DeviceKind, ...], Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    address_base: Annotated[int, Field(ge=0, le=1)] = 0
    address_base_stated: bool = True
    word_order: WordOrder = WordOrder.BIG
    max_registers: Annotated[int, Field(ge=4, le=125)] = 120
    registers: Annotated[Mapping[Name, RegisterDef], AfterValidator(_frozen)]
    alarms: Annotated[Mapping[Name, AlarmDef], AfterValidator(_frozen)] = Field(
        default_factory=_nothing
    )
    status_codes: Annotated[Mapping[int, str], AfterValidator(_frozen)] = Field(
        default_factory=_nothing
    )
    commands: Annotated[Mapping[Literal["set_power_kw"], CommandDef], AfterValidator(_frozen)] = (
        Field(default_factory=_nothing)
    )

    def wire_address(self, address: int) -> int:
        """Return the 0-based address that goes over the wire."""
        return address - self.address_base

    @property
    def signals(self) -> frozenset[str]:
        """Signals this profile supplies, `alarm_bits` included when it has alarms."""
        return frozenset(self.registers) | ({"alarm_bits"} if self.alarms else frozenset())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for signal, register in self.registers.items():
            self._check_register(signal, register)
        self._check_alarms()
        self._check_overlaps()
        for name, command in self.commands.items():
            self._check_command(name, command)
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
        if signal == "alarm_bits":
            raise self._error(
                field, register.address, "alarm_bits is derived", "List the bits under alarms."
            )
        known = SIGNALS.get(signal)
        if known is not None and register.unit not in (None, known.unit):
            raise self._error(
                f"{field}.unit",
                register.unit,
                f"{signal} is in {known.unit or 'no unit'}",
                f"Choose the scale so that the value comes out in {known.unit or 'plain numbers'}.",
            )
        meanings = _SIGNED_SIGNALS.get(signal)
        if meanings is not None and register.positive_means not in meanings:
            raise self._error(
                f"{field}.positive_means",
                None if register.positive_means is None else register.positive_means.value,
                f"the sign of {signal} is not stated",
                f"Say what a positive number means: {' or '.join(sorted(meanings))}.",
            )
        if register.min is not None and register.max is not None and register.min >= register.max:
            raise self._error(
                f"{field}.min",
                register.min,
                f"min is not below max {register.max}",
                "Swap or correct them.",
            )

    def _check_alarms(self) -> None:
        for name, alarm in self.alarms.items():
            if name not in ALARMS:
                raise self._error(
                    f"alarms.{name}", name, "unknown alarm", f"Known are {', '.join(ALARMS)}."
                )
            self._check_span(f"alarms.{name}", alarm.address, 1)

    def _check_overlaps(self) -> None:
        spans = [
            (r.function, r.address, 1 if r.function in READ_BITS else r.type.width, signal)
            for signal, r in self.registers.items()
        ] + [(a.function, a.address, 1, name) for name, a in self.alarms.items()]
        spans.sort()
        for (function, start, width, name), (next_function, next_start, _, next_name) in pairwise(
            spans
        ):
            if function == next_function and start + width > next_start:
                raise self._error(
                    f"registers.{next_name}.address",
                    next_start,
                    f"{next_name} overlaps {name} at {start} to {start + width - 1}",
                    f"Correct one address or type, or set {name} to null to leave it out.",
                )

    def _check_command(self, name: str, command: CommandDef) -> None:
        field = f"commands.{name}"
        for index, step in enumerate(command.steps):
            self._check_encoding(f"{field}.steps.{index}", step)
            self._check_span(f"{field}.steps.{index}", step.address, step.type.width)
            if step.function == 6 and step.type.width != 1:
                raise self._error(
                    f"{field}.steps.{index}.function",
                    step.function,
                    f"function 6 writes one register, {step.type} needs {step.type.width}",
                    "Use function 16.",
                )
            if step.value == "power_kw" and step.positive_means not in _BATTERY_SIGNS:
                raise self._error(
                    f"{field}.steps.{index}.positive_means",
                    None if step.positive_means is None else step.positive_means.value,
                    "the sign of the setpoint is not stated",
                    "Say what a positive number means: charge or discharge.",
                )
        if not any(step.value == "power_kw" for step in command.steps):
            raise self._error(
                f"{field}.steps", len(command.steps), "no step writes the power", "Add it."
            )
        for part in ("readback", "clamp_charge", "clamp_discharge"):
            signal = getattr(command, part)
            if isinstance(signal, str) and signal not in self.registers:
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
            (`alarm_bits` too).
        status_codes: Replaces the profile's table when given.
        address_base: Replaces the profile's base when given, and counts as stated.

    Raises:
        DeviceError: The result is not a valid profile; names field, value and remedy.
    """
    data: dict[str, Any] = {name: getattr(profile, name) for name in DeviceProfile.model_fields}
    merged: dict[str, Any] = {
        name: definition.model_dump(exclude_unset=True)
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

"""A device profile: what a type of device is and what its registers mean.

Addresses in a profile are written as the manufacturer writes them; `DeviceProfile.wire_address`
subtracts the base.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Self, cast

from pydantic import AfterValidator, Field, model_validator

from engine.devices.alarm_def import AlarmDef
from engine.devices.command_def import Commands
from engine.devices.connection_def import ConnectionDefaults
from engine.devices.derived_def import DerivedDef
from engine.devices.encoding import (
    Name,
    ProfileData,
    TextDef,
    WordOrder,
    empty_mapping,
    frozen_mapping,
)
from engine.devices.profile_rules.alarms import check_alarms
from engine.devices.profile_rules.commands import check_commands
from engine.devices.profile_rules.fields import check_span, problem_of
from engine.devices.profile_rules.registers import check_overlaps, check_registers
from engine.devices.profile_rules.signals import check_derived, check_sunspec
from engine.devices.register_def import RegisterDef
from engine.devices.rtc_def import RTC_REGISTERS, RtcDef
from engine.devices.sunspec.section import SunSpecUse
from engine.domain.signals import SIGNALS


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


def _no_commands() -> Commands:
    return cast(Commands, MappingProxyType({}))


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
        default_factory=empty_mapping
    )
    texts: Annotated[Mapping[Name, TextDef], AfterValidator(frozen_mapping)] = Field(
        default_factory=empty_mapping
    )
    alarms: Annotated[Mapping[Name, AlarmDef], AfterValidator(frozen_mapping)] = Field(
        default_factory=empty_mapping
    )
    status_codes: Annotated[Mapping[int, str], AfterValidator(frozen_mapping)] = Field(
        default_factory=empty_mapping
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
            raise problem_of(self, signal, signal, "no such signal", "See its list of signals.")
        if known is not None:
            return known.unit
        if signal in self.registers:
            return self.registers[signal].unit
        if signal in self.derived:
            return self.derived[signal].unit
        return None if self.sunspec is None else self.sunspec.signals[signal].unit

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_registers(self)
        check_sunspec(self)
        check_derived(self)
        check_alarms(self)
        for name, text in self.texts.items():
            check_span(self, f"texts.{name}", text.address, text.length)
        check_overlaps(self)
        check_commands(self)
        if self.rtc is not None:
            check_span(self, "rtc", self.rtc.address, RTC_REGISTERS)
        return self

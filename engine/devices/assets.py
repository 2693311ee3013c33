"""What a site is made of, by small capabilities: battery, conversion, PV, meter and loads.

A capability is what the profile of a device supplies, narrowed by the role it
is given in the configuration. A battery storage system is a battery (its
management system gives state and limits) and a power conversion system (it
takes the power), often two devices or more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from engine.devices.aggregation import (
    Combine,
    Part,
    any_bit,
    as_pv,
    highest,
    lowest,
    mean_by_energy,
    missing,
    strictest_status,
    sum_of_limits,
    total,
)
from engine.devices.limit_share import LimitPart, checked_limit, share_limit
from engine.devices.profile_def import DeviceKind, DeviceProfile
from engine.devices.spec import DeviceSpec
from engine.domain.errors import DeviceError
from engine.domain.sample import Quality, Sample
from engine.domain.signals import EXTERNAL_CONTACT, SIGNALS


class Role(StrEnum):
    """What a device is used as."""

    BMS = "bms"
    PCS = "pcs"
    METER = "meter"
    PV = "pv"
    EV_CHARGER = "ev_charger"
    HEAT_PUMP = "heat_pump"


_ROLES_OF_KIND: Final[Mapping[DeviceKind, tuple[Role, ...]]] = {
    DeviceKind.BATTERY_BMS: (Role.BMS,),
    DeviceKind.PCS: (Role.PCS,),
    DeviceKind.METER: (Role.METER,),
    DeviceKind.PV_INVERTER: (Role.PV,),
    DeviceKind.HYBRID: (Role.BMS, Role.PCS, Role.PV),
    # What a site's own energy management reports besides, its other kinds say.
    DeviceKind.SITE: (),
    DeviceKind.INPUTS: (),
}

COMBINATIONS: Final[Mapping[str, tuple[Role, Combine]]] = {
    "soc_percent": (Role.BMS, mean_by_energy),
    "soh_percent": (Role.BMS, mean_by_energy),
    # The lowest voltage, because limits turn permitted currents into power with it.
    "voltage_v": (Role.BMS, lowest),
    "current_a": (Role.BMS, total),
    "temperature_c": (Role.BMS, highest),
    "insulation_resistance_kohm": (Role.BMS, lowest),
    "max_charge_power_kw": (Role.BMS, sum_of_limits),
    "max_discharge_power_kw": (Role.BMS, sum_of_limits),
    "max_charge_current_a": (Role.BMS, sum_of_limits),
    "max_discharge_current_a": (Role.BMS, sum_of_limits),
    "status_code": (Role.BMS, strictest_status),
    "alarm_bits": (Role.BMS, any_bit),
    "battery_kw": (Role.PCS, total),
    "battery_setpoint_kw": (Role.PCS, total),
    "battery_charged_kwh": (Role.PCS, total),
    "battery_discharged_kwh": (Role.PCS, total),
    "grid_kw": (Role.METER, total),
    "grid_import_kwh": (Role.METER, total),
    "grid_export_kwh": (Role.METER, total),
    "pv_kw": (Role.PV, total),
    "pv_energy_kwh": (Role.PV, total),
}
"""Canonical signal to the role that supplies it and how several suppliers become one value."""

_MAIN_SIGNALS: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.BMS: ("soc_percent",),
    Role.PCS: ("battery_kw",),
    Role.METER: ("grid_kw",),
    Role.PV: ("pv_kw",),
    Role.EV_CHARGER: ("ev_power_kw", "grid_kw"),
    Role.HEAT_PUMP: ("heat_pump_kw", "grid_kw"),
}
"""Role to the signals of which it needs at least one."""

_STORAGE_ROLES: Final = frozenset({Role.BMS, Role.PCS})

_NEEDED_OF_EVERY_STORAGE: Final = frozenset(
    {"soc_percent", "battery_kw", "max_charge_power_kw", "max_discharge_power_kw"}
)
"""Of several storages one without these makes the whole unknown (a limit: 0)."""

_LEFT_OUT_UNLESS_OF_ALL: Final = frozenset(
    {
        "current_a",
        "max_charge_current_a",
        "max_discharge_current_a",
        "battery_setpoint_kw",
        "battery_charged_kwh",
        "battery_discharged_kwh",
        "pv_energy_kwh",
    }
)
"""A sum over some of the parts would look like one over all of them."""

_METER_AS_PV: Final[Mapping[str, str]] = {"pv_kw": "grid_kw", "pv_energy_kwh": "grid_export_kwh"}


@runtime_checkable
class Battery(Protocol):
    """State and limits of stored energy."""

    name: str

    def soc_percent(self) -> Sample: ...
    def soh_percent(self) -> Sample: ...
    def max_charge_power_kw(self) -> Sample: ...
    def max_discharge_power_kw(self) -> Sample: ...
    def alarm_bits(self) -> Sample: ...


@runtime_checkable
class PowerConversion(Protocol):
    """Measured AC power (+ discharge) and the setpoint a device holds."""

    name: str

    def battery_kw(self) -> Sample: ...
    def battery_setpoint_kw(self) -> Sample: ...
    @property
    def takes_setpoints(self) -> bool: ...


@runtime_checkable
class EnergyStorage(Battery, PowerConversion, Protocol):
    """A battery with its power conversion."""


@runtime_checkable
class PvGenerator(Protocol):
    """PV power (>= 0); curtailment only where the profile documents it and writing is enabled."""

    name: str

    def pv_kw(self) -> Sample: ...
    def pv_energy_kwh(self) -> Sample: ...
    @property
    def can_curtail(self) -> bool: ...
    def curtail(self, limit_kw: float | None) -> None: ...


@runtime_checkable
class Meter(Protocol):
    """The meter at the grid connection: power (+ import) and counters."""

    name: str

    def grid_kw(self) -> Sample: ...
    def grid_import_kwh(self) -> Sample: ...
    def grid_export_kwh(self) -> Sample: ...


@runtime_checkable
class EvCharger(Protocol):
    """A charging station: power (>= 0), state, current limit; limited where that is enabled."""

    name: str

    def ev_power_kw(self) -> Sample: ...
    def ev_state_code(self) -> Sample: ...
    def ev_current_limit_a(self) -> Sample: ...
    @property
    def can_limit(self) -> bool: ...
    def limit(self, limit_kw: float | None) -> None: ...


@runtime_checkable
class HeatPump(Protocol):
    """A heat pump: power (>= 0) and the limit it holds; limited where that is enabled."""

    name: str

    def heat_pump_kw(self) -> Sample: ...
    def heat_pump_limit_kw(self) -> Sample: ...
    @property
    def can_limit(self) -> bool: ...
    def limit(self, limit_kw: float | None) -> None: ...


@dataclass(frozen=True)
class AssetMember:
    """One device and what it is used as.

    Attributes:
        spec: The device.
        roles: What it is used as; see `roles_of` for what its profile says.
        storage: Storage system it belongs to, when it is part of one.
        energy_capacity_kwh: Energy behind it; needed when several devices give a SoC.
        roles_stated: False when the roles are only what the profile's kinds stand for.
    """

    spec: DeviceSpec
    roles: frozenset[Role]
    storage: str = "battery"
    energy_capacity_kwh: float | None = None
    roles_stated: bool = True

    @property
    def name(self) -> str:
        """Name of the device."""
        return self.spec.name

    @property
    def commanded(self) -> bool:
        """True when power commands are written to it."""
        return self.spec.writable and "set_power_kw" in self.spec.profile.commands

    @property
    def limitable(self) -> bool:
        """True when power limits are written to it."""
        return self.spec.writable and "limit_power_kw" in self.spec.profile.commands

    def supplies(self, signal: str) -> bool:
        """True when its profile has `signal`, also when a meter stands in for a PV inverter."""
        return self.raw_signal(signal) is not None

    def raw_signal(self, signal: str) -> str | None:
        """Return the signal of its profile behind `signal`, or None."""
        signals = self.spec.profile.signals
        if signal in signals:
            return signal
        instead = _METER_AS_PV.get(signal) if Role.METER not in self.roles else None
        return instead if instead in signals else None


def roles_of(profile: DeviceProfile) -> frozenset[Role]:
    """Return the roles a profile's kinds stand for, as far as its signals can fill them."""
    return frozenset(
        role
        for kind in profile.kinds
        for role in _ROLES_OF_KIND[kind]
        if role in _STORAGE_ROLES or profile.signals & frozenset(_MAIN_SIGNALS[role])
    )


ReadSamples = Callable[[str], Mapping[str, Sample]]
"""Returns the newest samples of the device of that name."""


LimitPower = Callable[[str, float | None], None]
"""Asks the device of that name to keep a limit (kW, >= 0; None for none); returns at once."""


def _nowhere_to_write(name: str, limit_kw: float | None) -> None:
    raise DeviceError(
        f"the limit of {name} leads nowhere: these assets only read.",
        field="limit_kw",
        value=limit_kw,
        hint="Limit it through the devices of the site.",
    )


class _Asset:
    """Reads the signals of one or more devices as those of one asset."""

    def __init__(self, name: str, members: Sequence[AssetMember], read: ReadSamples) -> None:
        self.name = name
        self.members = tuple(members)
        self._read = read
        # Profiles never change, and every cycle asks for every signal.
        self._suppliers: dict[str, tuple[AssetMember, ...]] = {}
        self._raw_signals: dict[tuple[str, str], str | None] = {}

    def suppliers(self, signal: str) -> tuple[AssetMember, ...]:
        """Return the devices that supply `signal`: those of its role, else any other."""
        if signal not in self._suppliers:
            self._suppliers[signal] = self._supplying(signal)
        return self._suppliers[signal]

    def _supplying(self, signal: str) -> tuple[AssetMember, ...]:
        supplying = tuple(member for member in self.members if member.supplies(signal))
        role = COMBINATIONS[signal][0] if signal in COMBINATIONS else None
        return tuple(member for member in supplying if role in member.roles) or supplying

    def sample(self, signal: str) -> Sample:
        """Return the sample of `signal` over all devices of the asset; BAD when none has it."""
        suppliers = self.suppliers(signal)
        if not suppliers:
            reason = f"{self.name} does not supply {signal}"
            return Sample(None, self._read_at(), self.name, Quality.BAD, reason)
        if signal in COMBINATIONS:
            return COMBINATIONS[signal][1](self.parts(signal))
        return self._of(suppliers[0], signal)

    def _read_at(self) -> datetime:
        """Return the oldest time of anything its devices have read."""
        return min(s.ts for member in self.members for s in self._read(member.name).values())

    def parts(self, signal: str) -> tuple[Part, ...]:
        """Return what each supplier of `signal` contributes."""
        return tuple(
            Part(self._of(member, signal), member.energy_capacity_kwh or 1.0)
            for member in self.suppliers(signal)
        )

    def _of(self, member: AssetMember, signal: str) -> Sample:
        key = (member.name, signal)
        if key not in self._raw_signals:
            self._raw_signals[key] = member.raw_signal(signal)
        raw = self._raw_signals[key]
        sample = self._read(member.name).get(raw) if raw is not None else None
        if sample is None:
            return Sample(None, self._read_at(), member.name, Quality.BAD, f"{signal} was not read")
        return as_pv(sample) if raw == "grid_kw" and signal == "pv_kw" else sample


class _BatteryPart(_Asset):
    def soc_percent(self) -> Sample:
        """State of charge, 0 to 100 %."""
        return self.sample("soc_percent")

    def soh_percent(self) -> Sample:
        """State of health, 0 to 100 %."""
        return self.sample("soh_percent")

    def max_charge_power_kw(self) -> Sample:
        """Charge power allowed now, >= 0."""
        return self.sample("max_charge_power_kw")

    def max_discharge_power_kw(self) -> Sample:
        """Discharge power allowed now, >= 0."""
        return self.sample("max_discharge_power_kw")

    def alarm_bits(self) -> Sample:
        """Active alarms as bits in the order of `engine.domain.signals.ALARMS`."""
        return self.sample("alarm_bits")


class _ConversionPart(_Asset):
    def battery_kw(self) -> Sample:
        """AC power, + discharge, - charge."""
        return self.sample("battery_kw")

    def battery_setpoint_kw(self) -> Sample:
        """Setpoint the device holds, + discharge, - charge."""
        return self.sample("battery_setpoint_kw")

    @property
    def takes_setpoints(self) -> bool:
        """True when a device of it is enabled for power commands."""
        return any(member.commanded for member in self.members)


class BatteryAsset(_BatteryPart):
    """A battery whose power nobody measures or commands; a `Battery`."""


class ConversionAsset(_ConversionPart):
    """A power conversion system without a battery's state; a `PowerConversion`."""


class StorageAsset(_BatteryPart, _ConversionPart):
    """A battery with its conversion; an `EnergyStorage`."""


class _FlexibleAsset(_Asset, ABC):
    """An asset whose power can be limited where a profile documents it."""

    def __init__(
        self,
        name: str,
        members: Sequence[AssetMember],
        read: ReadSamples,
        limit_power: LimitPower,
    ) -> None:
        super().__init__(name, members, read)
        self._limit_power = limit_power

    @abstractmethod
    def _power_of(self, member: AssetMember) -> Sample:
        """Return what `member` generates or draws."""

    @property
    def _can_limit(self) -> bool:
        return any(member.limitable for member in self.members)

    def limit_parts(self) -> tuple[LimitPart, ...]:
        """Return what each of its devices counts for under a common limit."""
        return tuple(
            LimitPart(
                member.name,
                member.limitable,
                self._nameplate_kw(member),
                _usable_amount(self._power_of(member)),
            )
            for member in self.members
        )

    def _nameplate_kw(self, member: AssetMember) -> float | None:
        command = member.spec.profile.commands.get("limit_power_kw")
        if command is None:
            return None
        if not isinstance(command.clamp, str):
            return command.clamp
        sample = self._read(member.name).get(command.clamp)
        return None if sample is None else _usable_amount(sample) or None

    def _limit(self, limit_kw: float | None) -> None:
        _limit_all(self.members, self.limit_parts, self._limit_power, limit_kw)


def _limit_all(
    members: Sequence[AssetMember],
    parts: Callable[[], Sequence[LimitPart]],
    limit_power: LimitPower,
    limit_kw: float | None,
) -> None:
    """Ask for a common limit; where no device can keep it, the limit state of each says so."""
    limitable = [member.name for member in members if member.limitable]
    if limit_kw is None or not limitable:
        for name in limitable or [member.name for member in members]:
            limit_power(name, limit_kw)
        return
    for name, share_kw in share_limit(checked_limit(limit_kw), parts()).items():
        limit_power(name, share_kw)


class PvAsset(_FlexibleAsset):
    """A PV plant; a `PvGenerator`."""

    def pv_kw(self) -> Sample:
        """AC power, >= 0."""
        return self.sample("pv_kw")

    def pv_energy_kwh(self) -> Sample:
        """Energy generated since commissioning."""
        return self.sample("pv_energy_kwh")

    @property
    def can_curtail(self) -> bool:
        """True when it takes limits of its power and writing is enabled."""
        return self._can_limit

    def curtail(self, limit_kw: float | None) -> None:
        """Ask it to generate no more than `limit_kw` (>= 0), None for no limit; returns at once.

        Repeat it as long as it is to hold: a device with a watchdog forgets it.

        Raises:
            DeviceError: Negative or not a finite number.
        """
        self._limit(limit_kw)

    def _power_of(self, member: AssetMember) -> Sample:
        return self._of(member, "pv_kw")


class MeterAsset(_Asset):
    """The grid meter; a `Meter`."""

    def grid_kw(self) -> Sample:
        """Power at the grid connection, + import, - export."""
        return self.sample("grid_kw")

    def grid_import_kwh(self) -> Sample:
        """Counter of imported energy."""
        return self.sample("grid_import_kwh")

    def grid_export_kwh(self) -> Sample:
        """Counter of exported energy."""
        return self.sample("grid_export_kwh")


class _Load(_FlexibleAsset):
    _own_power: str

    @property
    def can_limit(self) -> bool:
        """True when it takes limits of its power and writing is enabled."""
        return self._can_limit

    def limit(self, limit_kw: float | None) -> None:
        """Ask it to draw no more than `limit_kw` (>= 0), None for no limit; returns at once.

        Repeat it as long as it is to hold: a device with a watchdog forgets it.

        Raises:
            DeviceError: Negative or not a finite number.
        """
        self._limit(limit_kw)

    def _power_of(self, member: AssetMember) -> Sample:
        own = self._own_power
        return self._of(member, own if member.supplies(own) else "grid_kw")

    def _power(self, own: str) -> Sample:
        # A plain meter in front of the load shows what it draws as import.
        supplied = any(member.supplies(own) for member in self.members)
        return self.sample(own if supplied else "grid_kw")


class EvChargerAsset(_Load):
    """A charging station or the meter in front of it; an `EvCharger`."""

    _own_power = "ev_power_kw"

    def ev_power_kw(self) -> Sample:
        """Power drawn, >= 0."""
        return self._power(self._own_power)

    def ev_state_code(self) -> Sample:
        """State as the profile codes it."""
        return self.sample("ev_state_code")

    def ev_current_limit_a(self) -> Sample:
        """Current limit the station holds, per phase."""
        return self.sample("ev_current_limit_a")


class HeatPumpAsset(_Load):
    """A heat pump or the meter in front of it; a `HeatPump`."""

    _own_power = "heat_pump_kw"

    def heat_pump_kw(self) -> Sample:
        """Power drawn, >= 0."""
        return self._power(self._own_power)

    def heat_pump_limit_kw(self) -> Sample:
        """Power limit the heat pump holds."""
        return self.sample("heat_pump_limit_kw")


class SiteAssets:
    """The assets of one site and the site's signals made of them.

    Args:
        members: Every device with its roles.
        read: Newest samples per device name.
        limit_power: Takes the limits of flexible devices; left out where they are only read.

    Raises:
        DeviceError: A role its profile cannot fill, two grid meters, storages or SoC sources
            without the capacities needed to weigh them, or a command for one of several storages.
    """

    def __init__(
        self,
        members: Sequence[AssetMember],
        read: ReadSamples,
        limit_power: LimitPower = _nowhere_to_write,
    ) -> None:
        _check_roles(members)
        self.members = _with_fallback_roles(members)
        self._read = read
        self._limit_power = limit_power
        names = dict.fromkeys(m.storage for m in self.members if m.roles & _STORAGE_ROLES)
        self.storages = tuple(
            _storage(name, [m for m in self.members if _in_storage(m, name)], read)
            for name in names
        )
        self.pv_generators = tuple(
            PvAsset(m.name, [m], read, limit_power) for m in self._with(Role.PV)
        )
        self.meters = tuple(MeterAsset(m.name, [m], read) for m in self._with(Role.METER))
        self.ev_chargers = tuple(
            EvChargerAsset(m.name, [m], read, limit_power) for m in self._with(Role.EV_CHARGER)
        )
        self.heat_pumps = tuple(
            HeatPumpAsset(m.name, [m], read, limit_power) for m in self._with(Role.HEAT_PUMP)
        )
        _check_meters(self.meters)
        _check_contacts(self.members)
        _check_capacities(self.storages)
        _check_command(self.storages)
        self._suppliers = self._plan()

    @property
    def can_curtail(self) -> bool:
        """True when at least one PV plant of the site can be curtailed."""
        return any(pv.can_curtail for pv in self.pv_generators)

    def curtail_pv(self, limit_kw: float | None) -> None:
        """Ask all PV plants together to generate no more than `limit_kw`; returns at once.

        `engine.devices.limit_share.share_limit` says who gets how much of it.

        Args:
            limit_kw: The most they may generate together, >= 0; None for no limit.

        Raises:
            DeviceError: Negative or not a finite number.
        """
        members = [member for pv in self.pv_generators for member in pv.members]

        def parts() -> list[LimitPart]:
            return [part for pv in self.pv_generators for part in pv.limit_parts()]

        _limit_all(members, parts, self._limit_power, limit_kw)

    def configured_signals(self) -> frozenset[str]:
        """Return the canonical signals the site is meant to supply."""
        return frozenset(self._suppliers)

    def samples(self) -> dict[str, Sample]:
        """Return canonical signal to the newest sample of the site."""
        return {signal: self._sample(signal) for signal in self._suppliers}

    def _with(self, role: Role) -> list[AssetMember]:
        return [member for member in self.members if role in member.roles]

    def _assets_for(self, signal: str) -> tuple[_Asset, ...]:
        role = COMBINATIONS[signal][0]
        if role in _STORAGE_ROLES:
            return self.storages
        return self.meters if role is Role.METER else self.pv_generators

    def _plan(self) -> dict[str, tuple[_Asset, ...]]:
        """Return signal to the assets behind it; a signal nobody can vouch for is left out."""
        plan: dict[str, tuple[_Asset, ...]] = {}
        for signal in SIGNALS:
            if signal not in COMBINATIONS:
                others = [m for m in self.members if signal in m.spec.profile.signals]
                # Of several the grid meter is the one the site's values stand for.
                others.sort(key=lambda member: Role.METER not in member.roles)
                if others:
                    plan[signal] = (_Asset(others[0].name, others[:1], self._read),)
                continue
            assets = self._assets_for(signal)
            having = tuple(asset for asset in assets if asset.suppliers(signal))
            partly = len(having) < len(assets)
            if not having or (partly and signal in _LEFT_OUT_UNLESS_OF_ALL):
                continue
            plan[signal] = assets if signal in _NEEDED_OF_EVERY_STORAGE else having
        return plan

    def _sample(self, signal: str) -> Sample:
        assets = self._suppliers[signal]
        if signal not in COMBINATIONS:
            return assets[0].sample(signal)
        parts: list[Part] = []
        without: list[_Asset] = []
        for asset in assets:
            found = asset.parts(signal)
            parts.extend(found)
            if not found:
                without.append(asset)
        like = parts[0].sample
        parts += [
            Part(missing(like, f"{asset.name} does not supply {signal}")) for asset in without
        ]
        return COMBINATIONS[signal][1](parts)


def _usable_amount(sample: Sample) -> float | None:
    return None if sample.value is None or not sample.usable else max(0.0, sample.value)


def _in_storage(member: AssetMember, name: str) -> bool:
    return bool(member.roles & _STORAGE_ROLES) and member.storage == name


def _storage(
    name: str, members: Sequence[AssetMember], read: ReadSamples
) -> BatteryAsset | ConversionAsset | StorageAsset:
    stores = any(member.supplies("soc_percent") for member in members)
    converts = any(member.supplies("battery_kw") for member in members)
    if stores and converts:
        return StorageAsset(name, members, read)
    return BatteryAsset(name, members, read) if stores else ConversionAsset(name, members, read)


def _with_fallback_roles(members: Sequence[AssetMember]) -> tuple[AssetMember, ...]:
    """Let a device that measures the grid or PV on the side do so when no other device does."""
    out = tuple(members)
    for role, signal in ((Role.METER, "grid_kw"), (Role.PV, "pv_kw")):
        if any(role in member.roles for member in out):
            continue
        out = tuple(
            replace(member, roles=member.roles | {role})
            if not member.roles_stated and signal in member.spec.profile.signals
            else member
            for member in out
        )
    return out


def _check_roles(members: Sequence[AssetMember]) -> None:
    for member in members:
        for role in sorted(member.roles):
            wanted = _MAIN_SIGNALS[role]
            if member.roles_stated and not any(member.supplies(signal) for signal in wanted):
                raise DeviceError(
                    f"{member.name} cannot be used as {role}: its profile "
                    f"{member.spec.profile.key} supplies no {' or '.join(wanted)}.",
                    field=f"devices.{member.name}.roles",
                    value=role.value,
                    hint="Correct its roles or its profile.",
                )


def _check_meters(meters: Sequence[MeterAsset]) -> None:
    if len(meters) > 1:
        names = [meter.name for meter in meters]
        raise DeviceError(
            f"grid_kw comes from more than one device ({', '.join(names)}).",
            field=f"devices.{names[1]}.roles",
            value=names,
            hint="State the roles of each; only the meter at the grid connection has role meter.",
        )


def _check_contacts(members: Sequence[AssetMember]) -> None:
    names = [m.name for m in members if EXTERNAL_CONTACT in m.spec.profile.signals]
    if len(names) > 1:
        raise DeviceError(
            f"{EXTERNAL_CONTACT} comes from more than one device ({', '.join(names)}).",
            field=f"devices.{names[1]}.registers.{EXTERNAL_CONTACT}",
            value=names,
            hint="Set it to null in the register overrides of all but one of them.",
        )


def _check_capacities(storages: Sequence[_Asset]) -> None:
    weighed = [member for storage in storages for member in storage.suppliers("soc_percent")]
    if len(weighed) < 2:
        return
    for member in weighed:
        if member.energy_capacity_kwh is None:
            raise DeviceError(
                f"the energy capacity behind {member.name} is not stated, so its state of charge "
                "cannot be weighed against the others'.",
                field=f"devices.{member.name}.energy_capacity_kwh",
                hint="Give its energy capacity in kWh.",
            )


def _check_command(storages: Sequence[_Asset]) -> None:
    commanded = [m.name for storage in storages for m in storage.members if m.commanded]
    if commanded and len(storages) > 1:
        names = ", ".join(storage.name for storage in storages)
        raise DeviceError(
            f"several storage systems ({names}) can be measured, but not commanded: the limits of "
            f"all would apply to {commanded[0]} alone.",
            field=f"devices.{commanded[0]}.write_enabled",
            value=True,
            hint="Set write_enabled: false, or give devices behind one converter the same storage.",
        )

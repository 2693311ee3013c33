"""Devices and the roles they have at a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from engine.devices.profile_def import DeviceKind, DeviceProfile
from engine.devices.spec import DeviceSpec


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

MAIN_SIGNALS: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.BMS: ("soc_percent",),
    Role.PCS: ("battery_kw",),
    Role.METER: ("grid_kw",),
    Role.PV: ("pv_kw",),
    Role.EV_CHARGER: ("ev_power_kw", "grid_kw"),
    Role.HEAT_PUMP: ("heat_pump_kw", "grid_kw"),
}
"""Role to the signals of which it needs at least one."""

STORAGE_ROLES: Final = frozenset({Role.BMS, Role.PCS})

_METER_AS_PV: Final[Mapping[str, str]] = {"pv_kw": "grid_kw", "pv_energy_kwh": "grid_export_kwh"}


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
        return self.spec.takes_commands

    @property
    def limitable(self) -> bool:
        """True when power limits are written to it."""
        return self.spec.takes_limits

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
        if role in STORAGE_ROLES or profile.signals & frozenset(MAIN_SIGNALS[role])
    )


def with_fallback_roles(members: Sequence[AssetMember]) -> tuple[AssetMember, ...]:
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

"""All assets of one site, and the signals of the site made of them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.devices.aggregation import Part, missing
from engine.devices.assets.combinations import (
    COMBINATIONS,
    LEFT_OUT_UNLESS_OF_ALL,
    NEEDED_OF_EVERY_STORAGE,
)
from engine.devices.assets.flexible import (
    EvChargerAsset,
    HeatPumpAsset,
    LimitPower,
    PvAsset,
    limit_all,
)
from engine.devices.assets.members import STORAGE_ROLES, AssetMember, Role, with_fallback_roles
from engine.devices.assets.reading import (
    Asset,
    BatteryAsset,
    ConversionAsset,
    MeterAsset,
    ReadSamples,
    StorageAsset,
)
from engine.devices.assets.rules import (
    check_capacities,
    check_command,
    check_contacts,
    check_meters,
    check_roles,
)
from engine.devices.limit_share import LimitPart
from engine.domain.errors import DeviceError
from engine.domain.sample import Sample
from engine.domain.signals import SIGNALS


def _nowhere_to_write(name: str, limit_kw: float | None) -> None:
    raise DeviceError(
        f"the limit of {name} leads nowhere: these assets only read.",
        field="limit_kw",
        value=limit_kw,
        hint="Limit it through the devices of the site.",
    )


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
        check_roles(members)
        self.members = with_fallback_roles(members)
        self._read = read
        self._limit_power = limit_power
        names = dict.fromkeys(m.storage for m in self.members if m.roles & STORAGE_ROLES)
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
        check_meters(self.meters)
        check_contacts(self.members)
        check_capacities(self.storages)
        check_command(self.storages)
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

        limit_all(members, parts, self._limit_power, limit_kw)

    def configured_signals(self) -> frozenset[str]:
        """Return the canonical signals the site is meant to supply."""
        return frozenset(self._suppliers)

    def samples(self) -> dict[str, Sample]:
        """Return canonical signal to the newest sample of the site."""
        return {signal: self._sample(signal) for signal in self._suppliers}

    def _with(self, role: Role) -> list[AssetMember]:
        return [member for member in self.members if role in member.roles]

    def _assets_for(self, signal: str) -> tuple[Asset, ...]:
        role = COMBINATIONS[signal][0]
        if role in STORAGE_ROLES:
            return self.storages
        return self.meters if role is Role.METER else self.pv_generators

    def _plan(self) -> dict[str, tuple[Asset, ...]]:
        """Return signal to the assets behind it; a signal nobody can vouch for is left out."""
        plan: dict[str, tuple[Asset, ...]] = {}
        for signal in SIGNALS:
            if signal not in COMBINATIONS:
                others = [m for m in self.members if signal in m.spec.profile.signals]
                # Of several the grid meter is the one the site's values stand for.
                others.sort(key=lambda member: Role.METER not in member.roles)
                if others:
                    plan[signal] = (Asset(others[0].name, others[:1], self._read),)
                continue
            assets = self._assets_for(signal)
            having = tuple(asset for asset in assets if asset.suppliers(signal))
            partly = len(having) < len(assets)
            if not having or (partly and signal in LEFT_OUT_UNLESS_OF_ALL):
                continue
            plan[signal] = assets if signal in NEEDED_OF_EVERY_STORAGE else having
        return plan

    def _sample(self, signal: str) -> Sample:
        assets = self._suppliers[signal]
        if signal not in COMBINATIONS:
            return assets[0].sample(signal)
        parts: list[Part] = []
        without: list[Asset] = []
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


def _in_storage(member: AssetMember, name: str) -> bool:
    return bool(member.roles & STORAGE_ROLES) and member.storage == name


def _storage(
    name: str, members: Sequence[AssetMember], read: ReadSamples
) -> BatteryAsset | ConversionAsset | StorageAsset:
    stores = any(member.supplies("soc_percent") for member in members)
    converts = any(member.supplies("battery_kw") for member in members)
    if stores and converts:
        return StorageAsset(name, members, read)
    return BatteryAsset(name, members, read) if stores else ConversionAsset(name, members, read)

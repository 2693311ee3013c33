"""Assets whose power can be limited where a profile documents it: PV and flexible loads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from engine.devices.assets.members import AssetMember
from engine.devices.assets.reading import Asset, ReadSamples
from engine.devices.limit_share import LimitPart, checked_limit, share_limit
from engine.domain.sample import Sample

LimitPower = Callable[[str, float | None], None]
"""Asks the device of that name to keep a limit (kW, >= 0; None for none); returns at once."""


class _FlexibleAsset(Asset, ABC):
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
        limit_all(self.members, self.limit_parts, self._limit_power, limit_kw)


def limit_all(
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

    def _power(self) -> Sample:
        # A plain meter in front of the load shows what it draws as import.
        own = self._own_power
        supplied = any(member.supplies(own) for member in self.members)
        return self.sample(own if supplied else "grid_kw")


class EvChargerAsset(_Load):
    """A charging station or the meter in front of it; an `EvCharger`."""

    _own_power = "ev_power_kw"

    def ev_power_kw(self) -> Sample:
        """Power drawn, >= 0."""
        return self._power()

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
        return self._power()

    def heat_pump_limit_kw(self) -> Sample:
        """Power limit the heat pump holds."""
        return self.sample("heat_pump_limit_kw")


def _usable_amount(sample: Sample) -> float | None:
    return None if sample.value is None or not sample.usable else max(0.0, sample.value)

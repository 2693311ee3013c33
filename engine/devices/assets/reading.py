"""Assets that are only read: battery, conversion and meter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from engine.devices.aggregation import Part, as_pv
from engine.devices.assets.combinations import COMBINATIONS
from engine.devices.assets.members import AssetMember
from engine.domain.sample import Quality, Sample

ReadSamples = Callable[[str], Mapping[str, Sample]]
"""Returns the newest samples of the device of that name."""


class Asset:
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


class _BatteryPart(Asset):
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


class _ConversionPart(Asset):
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


class MeterAsset(Asset):
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

"""What an asset of a site can be asked, in small pieces."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from engine.domain.sample import Sample


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

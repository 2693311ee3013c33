"""What a site is made of, as far as planning and control need to know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Battery:
    """Nameplate and economics of a battery storage system.

    Attributes:
        energy_capacity_kwh: Energy between 0 and 100 % SoC.
        power_charge_max_kw: AC charge power limit, >= 0.
        power_discharge_max_kw: AC discharge power limit, >= 0.
        efficiency_charge: Share of AC energy that is stored, 0..1.
        efficiency_discharge: Share of stored energy that reaches the AC side, 0..1.
        soc_min_percent: Lower end of the SoC window used by the plan.
        soc_max_percent: Upper end of the SoC window used by the plan.
        standby_loss_kw: Constant draw from the stored energy.
        wear_cost_eur_per_kwh: Ageing cost per kWh moved through the DC side, each way.
    """

    energy_capacity_kwh: float
    power_charge_max_kw: float
    power_discharge_max_kw: float
    efficiency_charge: float
    efficiency_discharge: float
    soc_min_percent: float
    soc_max_percent: float
    standby_loss_kw: float = 0.0
    wear_cost_eur_per_kwh: float = 0.0

    @property
    def energy_min_kwh(self) -> float:
        """Stored energy at the lower end of the SoC window."""
        return self.energy_capacity_kwh * self.soc_min_percent / 100.0

    @property
    def energy_max_kwh(self) -> float:
        """Stored energy at the upper end of the SoC window."""
        return self.energy_capacity_kwh * self.soc_max_percent / 100.0


@dataclass(frozen=True, slots=True)
class GridConnection:
    """Power limits at the grid connection point, both >= 0."""

    import_limit_kw: float
    export_limit_kw: float


@dataclass(frozen=True, slots=True)
class Site:
    """One site under management.

    Attributes:
        site_id: Stable key used in every stored row.
        name: Display name.
        timezone: IANA time zone for display and tariffs.
        battery: Its battery.
        grid: Its grid connection.
        pv_peak_kw: Installed PV power, or None when there is none or it is unknown.
        latitude: Degrees north, or None.
        longitude: Degrees east, or None.
    """

    site_id: str
    name: str
    timezone: str
    battery: Battery
    grid: GridConnection
    pv_peak_kw: float | None = None
    latitude: float | None = None
    longitude: float | None = None

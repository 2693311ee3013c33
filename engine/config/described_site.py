"""The site that a configuration describes, as the rest of the engine knows it."""

from __future__ import annotations

from engine.config.schema import Config
from engine.domain.site import Battery, GridConnection, Site


def site_from(config: Config) -> Site:
    """Return the site that a configuration describes."""
    bess = config.bess
    return Site(
        site_id=config.site.id,
        name=config.site.name,
        timezone=config.site.timezone,
        battery=Battery(
            energy_capacity_kwh=bess.energy_capacity_kwh,
            power_charge_max_kw=bess.power_charge_max_kw,
            power_discharge_max_kw=bess.power_discharge_max_kw,
            efficiency_charge=bess.efficiency_charge,
            efficiency_discharge=bess.efficiency_discharge,
            soc_min_percent=bess.soc_min_percent,
            soc_max_percent=bess.soc_max_percent,
            standby_loss_kw=bess.standby_loss_kw,
            wear_cost_eur_per_kwh=bess.wear_cost_eur_per_kwh,
        ),
        grid=GridConnection(config.grid.import_limit_kw, config.grid.export_limit_kw),
        pv_peak_kw=config.demo_plant.pv_peak_kw if config.demo else config.pv.peak_kw,
        latitude=config.site.latitude,
        longitude=config.site.longitude,
    )

"""A case from a site file (the form of ems.yaml) and series, with what had to be assumed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.analytics.backtest.case import BacktestCase, SiteSeries
from engine.analytics.baselines import TimerWindows
from engine.config.schema import Config
from engine.config.tariff import TariffTermsConfig
from engine.domain.site import Site


def case_from(
    config: Config,
    site: Site,
    series: SiteSeries,
    start: datetime,
    end: datetime,
    *,
    stated: Mapping[Any, Any] | None = None,
    soc_start_percent: float = 50.0,
) -> BacktestCase:
    """Return the case of a configured site.

    Args:
        config: Validated configuration.
        site: The site it describes.
        series: Price, load and PV.
        start: Start of the period, aware.
        end: Its end.
        stated: The file as it was written, to say what it left out; None when it is complete.
        soc_start_percent: State of charge at the start.

    Raises:
        BacktestError: The series do not cover the period.
    """
    return BacktestCase(
        site=site,
        tariff=config.tariff,
        series=series,
        start=start,
        end=end,
        soc_start_percent=soc_start_percent,
        curtailment_allowed=config.pv.throttles_itself,
        control=config.control,
        strategies=config.strategies,
        timer=TimerWindows.of(config.analytics.timer),
        holidays_country=config.forecasts.holidays_country,
        assumptions=_assumed(config, site, stated),
    )


def _assumed(config: Config, site: Site, stated: Mapping[Any, Any] | None) -> tuple[str, ...]:
    if stated is None:
        return ()
    said = []
    if not stated.get("tariff"):
        said.append(f"The site file states no tariff; the default is assumed: {_default_tariff()}.")
    elif all(version.demand_charge is None for version in config.tariff.dated):
        said.append("The tariff has no demand charge.")
    if not stated.get("grid"):
        said.append(
            f"The site file states no grid connection; {site.grid.import_limit_kw:g} kW import and "
            f"{site.grid.export_limit_kw:g} kW export are assumed."
        )
    bess = stated.get("bess") or {}
    battery = site.battery
    defaults = {
        "energy_capacity_kwh": f"{battery.energy_capacity_kwh:g} kWh capacity",
        "power_charge_max_kw": f"{battery.power_charge_max_kw:g} kW charge",
        "power_discharge_max_kw": f"{battery.power_discharge_max_kw:g} kW discharge",
        "efficiency_charge": f"{battery.efficiency_charge:g} charge efficiency",
        "efficiency_discharge": f"{battery.efficiency_discharge:g} discharge efficiency",
        "standby_loss_kw": f"{battery.standby_loss_kw:g} kW standby",
        "wear_cost_eur_per_kwh": f"{battery.wear_cost_eur_per_kwh:g} EUR/kWh wear",
    }
    left_out = [words for key, words in defaults.items() if key not in bess]
    if left_out:
        said.append(f"Not stated of the battery, defaults are assumed: {', '.join(left_out)}.")
    if "site" not in stated or "timezone" not in (stated.get("site") or {}):
        said.append(f"No time zone is stated; {site.timezone} is assumed.")
    return tuple(said)


def _default_tariff() -> str:
    terms = TariffTermsConfig()
    return (
        f"buying at the day-ahead price + {100 * terms.spot_markup_eur_per_kwh:g} ct markup "
        f"+ {100 * (terms.grid_fee_eur_per_kwh or 0.0):g} ct grid fee "
        f"+ {100 * terms.levies_eur_per_kwh:g} ct levies, feeding in at the day-ahead price "
        f"- {100 * terms.sell_fee_eur_per_kwh:g} ct, no demand charge, no VAT"
    )

"""Recorded sites and price years for the backtest benchmark, all from data in this repository."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq

from engine.analytics.backtest.case import BacktestCase, SiteSeries
from engine.config.tariff import TariffConfig
from engine.domain.site import Battery, GridConnection, Site
from engine.recorded.library import DATA
from engine.recorded.recording import Recording

ZONE = ZoneInfo("Europe/Vienna")
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, 0.0, 0.015)
TARIFF = TariffConfig.model_validate(
    {
        "spot_markup_eur_per_kwh": 0.10,
        "grid_fee_eur_per_kwh": 0.0,
        "levies_eur_per_kwh": 0.0,
        "sell_fee_eur_per_kwh": 0.005,
        "demand_charge": {"eur_per_kw": 8.0},
    }
)
"""As in the optimisation notes: spot + 10 ct, feed-in spot - 0.5 ct, 8 EUR/kW and month."""

_RECORDED_PV_KW = 160.0


@dataclass(frozen=True, slots=True)
class Company:
    """A measured load, scaled, with a PV plant.

    Attributes:
        name: Row of the tables.
        file: Measured profile.
        energy_mwh: Annual energy it is scaled to.
        pv_kw: Installed PV power; its course is the recorded one of the same season.
    """

    name: str
    file: str
    energy_mwh: float
    pv_kw: float


METALWORKING = Company("metalworking", "metalworking_2018_15min.parquet", 700.0, 150.0)
OFFICE = Company("office", "office_medium_2015_15min.parquet", 250.0, 300.0)


def company_year(company: Company, year: int) -> BacktestCase:
    """Return February to December of a price year; January is its past.

    The load is moved by whole weeks, so that weekdays stay.
    """
    spot_start, spot = _prices(year)
    table = pq.read_table(DATA / "load" / company.file)
    measured = table.column("load_w_per_mwh_a").to_numpy().astype(np.float64)
    load = np.maximum(measured * company.energy_mwh / 1000.0, 0.0)
    load_start = table.column("ts_utc")[0].as_py().astimezone(UTC)
    weeks = round((spot_start - load_start) / timedelta(weeks=1))
    moved = load_start + weeks * timedelta(weeks=1)
    start = max(spot_start, moved)
    n = min(
        spot.size - (start - spot_start) // timedelta(minutes=15),
        load.size - (start - moved) // timedelta(minutes=15),
    )
    at, of = (start - spot_start) // timedelta(minutes=15), (start - moved) // timedelta(minutes=15)
    pv = Recording().quarter_hours("pv_kw", start, n) * company.pv_kw / _RECORDED_PV_KW
    series = SiteSeries(start, spot[at : at + n], load[of : of + n], np.maximum(pv, 0.0))
    return _case(company.name, series, datetime(year, 2, 1, tzinfo=ZONE))


def demo_site() -> BacktestCase:
    """Return November to July of the demo recording with its own quarter-hour prices."""
    start = datetime(2025, 9, 30, 22, tzinfo=UTC)
    n = round((datetime(2026, 8, 21, 21, tzinfo=UTC) - start) / timedelta(minutes=15))
    recording = Recording()
    series = SiteSeries(
        start,
        recording.quarter_hours("price_at_eur_mwh", start, n) / 1000.0,
        np.maximum(recording.quarter_hours("load_kw", start, n), 0.0),
        np.maximum(recording.quarter_hours("pv_kw", start, n), 0.0),
    )
    first, last = datetime(2025, 11, 1, tzinfo=ZONE), datetime(2026, 8, 1, tzinfo=ZONE)
    return _case("demo site", series, first, last)


def _prices(year: int) -> tuple[datetime, np.ndarray]:
    table = pq.read_table(DATA / "prices" / f"prices_at_{year}_hourly.parquet")
    values = table.column("price_eur_per_mwh").to_numpy().astype(np.float64) / 1000.0
    return table.column("ts_utc")[0].as_py().astimezone(UTC), np.repeat(values, 4)


def _case(
    name: str, series: SiteSeries, first: datetime, last: datetime | None = None
) -> BacktestCase:
    site = Site("bench", name, ZONE.key, BATTERY, GridConnection(400.0, 400.0))
    return BacktestCase(site, TARIFF, series, first, last or series.end, holidays_country="AT")

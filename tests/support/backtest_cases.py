"""Small sites for tests of the backtest lab."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.analytics.backtest.case import BacktestCase, SiteSeries
from engine.config.tariff import TariffConfig
from engine.domain.site import Battery, GridConnection, Site

VIENNA = ZoneInfo("Europe/Vienna")
BATTERY = Battery(100.0, 50.0, 50.0, 0.95, 0.95, 10.0, 90.0, 0.05, 0.015)
SITE = Site("bt", "Backtest", "Europe/Vienna", BATTERY, GridConnection(200.0, 200.0))
TARIFF = TariffConfig(
    spot_markup_eur_per_kwh=0.02,
    grid_fee_eur_per_kwh=0.06,
    levies_eur_per_kwh=0.0,
    demand_charge={"eur_per_kw": 8.0},
)


def series(
    first_day: datetime, days: int, *, seed: int = 1, pv_peak_kw: float = 60.0
) -> SiteSeries:
    """Return a site that works on weekdays, with sun and a price that falls at noon."""
    random = np.random.default_rng(seed)
    start = first_day.replace(tzinfo=VIENNA)
    n = round((start + timedelta(days=days) - start) / timedelta(minutes=15))
    hour = np.arange(n) % 96 / 4.0
    day = np.arange(n) // 96
    weekday = (start.weekday() + day) % 7 < 5
    work = np.exp(-(((hour - 11.0) / 3.5) ** 2)) * np.where(weekday, 60.0, 12.0)
    load = 20.0 + work * (1.0 + 0.15 * random.normal(size=days)[day])
    load += np.abs(random.normal(size=n)) * 4.0
    cloud = random.uniform(0.2, 1.0, size=days)[day]
    pv = pv_peak_kw * cloud * np.clip(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0, None)
    spot = 0.09 - 0.05 * np.exp(-(((hour - 13.0) / 3.0) ** 2))
    spot += 0.06 * np.exp(-(((hour - 19.0) / 2.0) ** 2)) + 0.01 * random.normal(size=n)
    return SiteSeries(start, spot, load, pv)


def case(
    first_day: datetime = datetime(2025, 3, 3),  # noqa: DTZ001 (a local day)
    *,
    past_days: int = 14,
    days: int = 7,
    tariff: TariffConfig = TARIFF,
    pv_peak_kw: float = 60.0,
    seed: int = 1,
) -> BacktestCase:
    """Return a case of `days` after `past_days` of past."""
    data = series(first_day, past_days + days, seed=seed, pv_peak_kw=pv_peak_kw)
    start = data.start + timedelta(days=past_days)
    return BacktestCase(SITE, tariff, data, start, start + timedelta(days=days))

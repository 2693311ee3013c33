"""A site on recorded load, PV and prices with a battery that somebody steers: what is stored of it.

Rows and minutes are as the engine stores them; a test may take some away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.analytics.baselines import BaselineBattery
from engine.analytics.facts import (
    BATTERY,
    FACT_COLUMNS,
    GRID,
    MINUTES,
    SOC,
    MinuteFacts,
    Quarter,
    measured_quarters,
)
from engine.config.load import parse_config
from engine.domain.local_days import local_midnight
from engine.domain.quarter_hour import STEP
from engine.domain.records import LedgerRow
from engine.domain.site import Battery, GridConnection, Site
from engine.history.columns import Columns, Resolution
from engine.market.tariff import TariffBook
from engine.recorded.recording import Recording

VIENNA = ZoneInfo("Europe/Vienna")

BATTERY_200 = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, 0.1, 0.015)

SITE = Site("site-1", "Standort Wien", "Europe/Vienna", BATTERY_200, GridConnection(200.0, 200.0))

Wish = Callable[[datetime, float], float]
"""Time and net load of a minute to a wished battery power, + discharge."""


def idle(_ts: datetime, _net_kw: float) -> float:
    """A battery that stands still."""
    return 0.0


def diligent(ts: datetime, net_kw: float) -> float:
    """Charge at night and from surplus, serve the evening peak."""
    hour = ts.astimezone(VIENNA).hour
    if hour < 4:
        return -35.0
    return net_kw if net_kw < 0.0 or hour >= 16 else 0.0


def tariff_book(text: str = "{}") -> TariffBook:
    """Return the tariff of a section ``tariff`` in YAML."""
    return TariffBook(parse_config(f"tariff: {text}").tariff, VIENNA)


@dataclass(frozen=True)
class MeasuredSite:
    """What the history holds of a site."""

    site: Site
    tariff: TariffBook
    rows: list[LedgerRow]
    minutes: Columns

    def quarters(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> list[Quarter]:
        """Return what counts, in ``[since, until)``."""
        rows = [r for r in self.rows if (since or r.ts) <= r.ts and (until is None or r.ts < until)]
        return measured_quarters(rows, MinuteFacts(self.minutes, self.site.battery))

    def without(self, times: Collection[datetime]) -> MeasuredSite:
        """Return the same site with quarter-hours that were watched for half of their time."""
        cut = [replace(r, seconds=450.0) if r.ts in times else r for r in self.rows]
        return replace(self, rows=cut)

    def missing(self, times: Collection[datetime]) -> MeasuredSite:
        """Return the same site with quarter-hours of which nothing is known."""
        minute = self.minutes.ts.astype("datetime64[m]").astype(np.int64)
        gone = {int(ts.timestamp()) // 60 + k for ts in times for k in range(MINUTES)}
        keep = np.array([int(m) not in gone for m in minute])
        return replace(
            self,
            rows=[r for r in self.rows if r.ts not in times],
            minutes=Columns(
                Resolution.MINUTE,
                self.minutes.ts[keep],
                {key: values[keep] for key, values in self.minutes.values.items()},
                self.minutes.simulated[keep],
            ),
        )


def measured_site(
    first: date,
    days: int,
    *,
    recording: Recording,
    tariff: TariffBook | None = None,
    wish: Wish = diligent,
    site: Site = SITE,
    soc_percent: float = 50.0,
    ripple_kw: float = 6.0,
) -> MeasuredSite:
    """Return `days` local days from `first` as they were measured.

    Net load moves within the quarter-hour by a ripple without a mean. PV is scaled up so that
    the site exports at noon.
    """
    book = tariff or tariff_book()
    start = local_midnight(first, VIENNA)
    n = (local_midnight(first + timedelta(days=days), VIENNA) - start) // STEP
    load = recording.quarter_hours("load_kw", start, n)
    pv = recording.quarter_hours("pv_kw", start, n)
    spot = recording.quarter_hours("price_at_eur_mwh", start, n) / 1000.0
    prices = book.prices(start, spot)
    store = BaselineBattery(site.battery, site.battery.energy_capacity_kwh * soc_percent / 100.0)
    ripple = ripple_kw * np.sin(2.0 * np.pi * (np.arange(MINUTES) + 0.5) / MINUTES)
    rows, columns = [], {key: np.empty((n + 1) * MINUTES) for key in FACT_COLUMNS}
    for i in range(n):
        ts, charged, discharged, imported, exported = start + i * STEP, 0.0, 0.0, 0.0, 0.0
        for k in range(MINUTES):
            net_kw = float(load[i] - pv[i] + ripple[k])
            at = ts + timedelta(minutes=k)
            power = store.step(
                wish(at, net_kw), net_kw, import_limit_kw=200.0, export_limit_kw=200.0
            )
            grid = net_kw - power
            charged += max(0.0, -power) / 60.0
            discharged += max(0.0, power) / 60.0
            imported += max(0.0, grid) / 60.0
            exported += max(0.0, -grid) / 60.0
            index = i * MINUTES + k
            columns[GRID][index], columns[BATTERY][index] = grid, power
            columns[SOC][index] = store.energy_kwh / site.battery.energy_capacity_kwh * 100.0
        buy, sell = float(prices.buy_eur_per_kwh[i]), float(prices.sell_eur_per_kwh[i])
        rows.append(
            LedgerRow(
                ts=ts,
                site_id=site.site_id,
                seconds=900.0,
                import_kwh=imported,
                export_kwh=exported,
                battery_charged_kwh=charged,
                battery_discharged_kwh=discharged,
                pv_kwh=float(pv[i]) / 4.0,
                buy_eur_per_kwh=buy,
                sell_eur_per_kwh=sell,
                cost_eur=imported * buy - exported * sell,
                price_source="recorded",
                method="counters",
            )
        )
    # The minute before the first quarter-hour tells what was stored at its start.
    begin = np.datetime64(start.astimezone(UTC).replace(tzinfo=None), "us") - np.timedelta64(1, "m")
    ts64 = begin + np.arange(n * MINUTES + 1).astype("timedelta64[m]")
    values = {}
    for key, filled in columns.items():
        before = soc_percent if key == SOC else np.nan
        values[key] = np.concatenate(([before], filled[: n * MINUTES]))
    minutes = Columns(
        Resolution.MINUTE, ts64.astype("datetime64[us]"), values, np.ones(len(ts64), np.bool_)
    )
    return MeasuredSite(site, book, rows, minutes)

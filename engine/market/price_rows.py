"""Published prices as rows for the history and the pages."""

from __future__ import annotations

from datetime import datetime

from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.records import PriceRow
from engine.market.prices import DayAheadPrices
from engine.market.tariff import Tariff


def price_rows(
    prices: DayAheadPrices, tariff: Tariff, site_id: str, since: datetime, until: datetime
) -> list[PriceRow]:
    """Return the published quarter-hours that start in ``[since, until)``, ascending.

    Args:
        prices: Published day-ahead prices.
        tariff: Tariff for buy and sell prices.
        site_id: The site the rows are for.
        since: First instant, aware; rounded down to its quarter-hour.
        until: End, aware.
    """
    rows = []
    ts = max(quarter_start(since), prices.start)
    while ts < min(until, prices.end):
        spot = prices.at(ts)
        if spot is not None:
            rows.append(
                PriceRow(
                    ts=ts,
                    site_id=site_id,
                    minutes=15,
                    spot_eur_per_kwh=spot,
                    buy_eur_per_kwh=tariff.buy(spot),
                    sell_eur_per_kwh=tariff.sell(spot),
                    source=prices.source,
                    fetched_at=prices.fetched_at,
                )
            )
        ts += STEP
    return rows

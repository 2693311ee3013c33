"""Published prices under the tariff: rows for the history and the pages, and one moment's price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.records import PriceRow
from engine.market.prices import DayAheadPrices
from engine.market.tariff import TariffBook, TariffPrices

TARIFF_SOURCE = "tariff"
"""Source of a price that the tariff alone fixes."""


class SpotTariff(Protocol):
    """What rows of prices need of a tariff."""

    @property
    def known_from(self) -> datetime | None:
        """Instant from which there is a tariff, UTC; None when there always was one."""
        ...

    def prices(self, start: datetime, spot_eur_per_kwh: NDArray[np.float64]) -> TariffPrices:
        """Return buy and sell prices of consecutive quarter-hours."""
        ...


@dataclass(frozen=True, slots=True)
class PriceQuote:
    """What a kWh costs and earns in one quarter-hour, EUR/kWh.

    Attributes:
        buy_eur_per_kwh: Purchase price.
        sell_eur_per_kwh: Feed-in price.
        source: Origin of the day-ahead price, or `TARIFF_SOURCE` where none is needed.
    """

    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    source: str


def price_rows(
    prices: DayAheadPrices, tariff: SpotTariff, site_id: str, since: datetime, until: datetime
) -> list[PriceRow]:
    """Return the published quarter-hours that start in ``[since, until)``, ascending.

    A row says what the exchange published, so there is none without a published price, even
    under a tariff that needs none, and none for times before the tariff's first version.

    Args:
        prices: Published day-ahead prices.
        tariff: Tariff for buy and sell prices.
        site_id: The site the rows are for.
        since: First instant, aware; rounded down to its quarter-hour.
        until: End, aware.
    """
    begin = max(quarter_start(since), prices.start)
    if tariff.known_from is not None:
        begin = max(begin, tariff.known_from)
    n = -((begin - min(until, prices.end)) // STEP)
    if n <= 0:
        return []
    # Whole hours, so that hourly settlement sees all of the first and the last one.
    first = _hour(begin, tariff)
    lead = (begin - first) // STEP
    spot = prices.steps(first, lead + n + 3)
    priced = tariff.prices(first, spot)
    return [
        PriceRow(
            ts=begin + (i - lead) * STEP,
            site_id=site_id,
            minutes=15,
            spot_eur_per_kwh=float(spot[i]),
            buy_eur_per_kwh=float(priced.buy_eur_per_kwh[i]),
            sell_eur_per_kwh=float(priced.sell_eur_per_kwh[i]),
            source=prices.source,
            fetched_at=prices.fetched_at,
        )
        for i in range(lead, lead + n)
        if not np.isnan(spot[i])
    ]


def quote_at(prices: DayAheadPrices | None, book: TariffBook, ts: datetime) -> PriceQuote | None:
    """Return what the quarter-hour that contains `ts` costs and earns, None when not known.

    Args:
        prices: Published day-ahead prices; None when there are none at all.
        book: The tariff.
        ts: Aware instant.

    Raises:
        MarketError: When `ts` lies before the first version of the tariff.
    """
    start = quarter_start(ts)
    first = _hour(start, book)
    spot = prices.steps(first, 4) if prices is not None else np.full(4, np.nan)
    priced = book.prices(first, spot)
    index = (start - first) // STEP
    buy, sell = float(priced.buy_eur_per_kwh[index]), float(priced.sell_eur_per_kwh[index])
    if np.isnan(buy) or np.isnan(sell):
        return None
    source = prices.source if prices is not None and book.needs_spot(ts) else TARIFF_SOURCE
    return PriceQuote(buy, sell, source)


def _hour(ts: datetime, tariff: SpotTariff) -> datetime:
    """Return the start of the clock hour of `ts`, or of the tariff when it begins within it."""
    hour = ts - timedelta(minutes=ts.minute)
    known_from = tariff.known_from
    return hour if known_from is None or known_from > ts else max(hour, known_from)

"""The price of a quarter-hour: published day-ahead price and tariff, never a forecast."""

from __future__ import annotations

from datetime import datetime

from engine.domain.clock import Clock
from engine.domain.errors import MarketError
from engine.domain.quarter_hour import quarter_start
from engine.domain.snapshot import PriceNow
from engine.market.price_rows import quote_at
from engine.market.prices import DayAheadPrices, PriceSource, published_or_none
from engine.market.recorded_prices import SOURCE as RECORDED
from engine.market.tariff import TariffBook


class PriceLookup:
    """Returns the price that is valid at an instant; remembers the last quarter-hour.

    Args:
        prices: Day-ahead prices.
        tariff: From day-ahead to buy and sell price.
        clock: Time.
    """

    def __init__(self, prices: PriceSource, tariff: TariffBook, clock: Clock) -> None:
        self._prices = prices
        self._tariff = tariff
        self._clock = clock
        self._last: tuple[datetime, DayAheadPrices | None, PriceNow | None] | None = None

    def __call__(self, ts: datetime) -> PriceNow | None:
        """Return the price at `ts`, or None when it is not published or no tariff is known."""
        quarter = quarter_start(ts)
        published = published_or_none(self._prices, self._clock.now())
        last = self._last
        if last is not None and last[0] == quarter and last[1] is published:
            return last[2]
        price = self._price(quarter, published)
        self._last = (quarter, published, price)
        return price

    def _price(self, quarter: datetime, published: DayAheadPrices | None) -> PriceNow | None:
        try:
            quote = quote_at(published, self._tariff, quarter)
        except MarketError:
            # No version of the tariff covers this time: the price is unknown, not zero.
            return None
        if quote is None:
            return None
        origin = published.origin_at(quarter) if published is not None else None
        recorded = published is not None and published.source == RECORDED
        return PriceNow(
            spot_eur_per_kwh=published.at(quarter) if published is not None else None,
            buy_eur_per_kwh=quote.buy_eur_per_kwh,
            sell_eur_per_kwh=quote.sell_eur_per_kwh,
            source=quote.source,
            fetched_at=None if origin is None or recorded else origin.fetched_at,
        )

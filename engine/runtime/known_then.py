"""What was known of prices and weather at an earlier time, for a plan that is made for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from engine.config.schema import Config
from engine.domain.errors import MarketError
from engine.domain.local_days import local_midnight
from engine.domain.quarter_hour import STEP
from engine.market.prices import DayAheadPrices, PriceSource
from engine.market.recorded_prices import PUBLICATION_HOUR
from engine.runtime.market_service import MARKET_ZONES, MarketService
from engine.weather.weather import WeatherForecast, WeatherSource


@dataclass(frozen=True, slots=True)
class PricesThen:
    """Prices up to what the exchange had published at the time asked for (`PriceSource`).

    Attributes:
        source: Knows them all.
        zone: Local time of the exchange.
    """

    source: PriceSource
    zone: ZoneInfo

    def published(self, now: datetime) -> DayAheadPrices:
        """Return what was published at `now`: today, from 13:00 local time on tomorrow too.

        Raises:
            MarketError: When nothing of it is known.
        """
        prices = self.source.published(now)
        local = now.astimezone(self.zone)
        days = 2 if local.hour >= PUBLICATION_HOUR else 1
        end = local_midnight(local.date() + timedelta(days=days), self.zone)
        if prices.end <= end:
            return prices
        known = (end - prices.start) // STEP
        if known <= 0:
            raise MarketError(
                f"No day-ahead prices are known for {now:%Y-%m-%d %H:%M} UTC or before.",
                field="prices",
                hint="Known prices begin later; give a later time, or a file with older prices.",
            )
        return replace(
            prices,
            spot_eur_per_kwh=prices.spot_eur_per_kwh[:known],
            origin_index=prices.origin_index[:known],
        )


@dataclass(frozen=True, slots=True)
class WeatherThen:
    """A weather forecast, unless it was issued after the time asked for (`WeatherSource`).

    Attributes:
        source: Knows the newest forecast.
        present: From here on the newest forecast is what is known.
    """

    source: WeatherSource
    present: datetime

    def forecast(self, now: datetime) -> WeatherForecast | None:
        """Return the forecast that was known at `now`, or None."""
        newest = self.source.forecast(now)
        if newest is not None and now < self.present and newest.fetched_at > now:
            return None
        return newest


def known_at(config: Config, market: MarketService, at: datetime, now: datetime) -> MarketService:
    """Return `market` as it was at `at`.

    Args:
        config: Names the exchange.
        market: What is known at `now`.
        at: Time of the plan, aware.
        now: The present, aware.
    """
    if at >= now:
        return market
    return replace(
        market,
        prices=PricesThen(market.prices, ZoneInfo(MARKET_ZONES[config.prices.region])),
        weather=None if market.weather is None else WeatherThen(market.weather, now),
    )

"""The forecasters that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from engine.config.schema import Config
from engine.domain.clock import Clock
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL
from engine.domain.series import MeasuredPoint
from engine.forecasting.base import Forecaster, QuarterHourHistory
from engine.forecasting.factory import build_forecaster
from engine.forecasting.price_history import PriceHistory
from engine.forecasting.published import PublishedPrices
from engine.forecasting.running_step import RunningMean
from engine.market.tariff import TariffBook
from engine.runtime.forecast_service import ForecastService, StandIn
from engine.runtime.market_service import MarketService
from engine.runtime.pv_setup import PvPast, build_pv

DEMO_HISTORY_DAYS = 300
"""The recorded year repeats: a longer past of the demo would hold the days to be forecast."""

MinuteMeans = Callable[[datetime, datetime | None], list[MeasuredPoint]]
"""Closed one-minute means with ``since < ts < until``, ascending."""


def build_forecasts(
    config: Config,
    market: MarketService,
    tariff: TariffBook,
    past: PvPast,
    *,
    minute_means: MinuteMeans,
    clock: Clock,
    has_pv: bool,
) -> ForecastService:
    """Return the forecasters of one site.

    Args:
        config: Validated configuration.
        market: Prices and weather.
        tariff: What it settles in decides how prices are forecast.
        past: What was measured and forecast before.
        minute_means: Means of the running quarter-hour.
        clock: Time.
        has_pv: True when PV is measured.
    """
    zone = ZoneInfo(config.site.timezone)
    running = running_mean(minute_means)
    settlement = tariff.settlement_minutes(clock.now())
    return ForecastService(
        price=_price(config, market, clock, settlement),
        load=_load(config, past.measured, zone, running),
        pv=build_pv(config, market, past, zone, running) if has_pv else None,
        needs_price=tariff.needs_spot,
    )


def running_mean(minute_means: MinuteMeans) -> RunningMean:
    """Return the mean of what was measured so far of a running quarter-hour, by whole minutes."""

    def mean(signal: str, start: datetime, now: datetime) -> float | None:
        points = minute_means(start - timedelta(seconds=1), now)
        values = [v for p in points if (v := p.values.get(signal)) is not None]
        return sum(values) / len(values) if values else None

    return mean


def _price(
    config: Config, market: MarketService, clock: Clock, settlement_minutes: int
) -> Forecaster:
    zone = ZoneInfo(config.site.timezone)
    prices = market.prices
    history = PriceHistory(lambda: prices.published(clock.now()))

    def model(choice: str) -> Forecaster:
        return build_forecaster(
            PRICE_SIGNAL,
            choice,
            history,
            zone,
            _holidays(config),
            subdivision=config.forecasts.holidays_subdivision,
            settlement_minutes=settlement_minutes,
        )

    chosen = model(config.forecasts.price)
    if config.forecasts.price == "prophet":
        chosen = StandIn(chosen, model("auto"))
    return PublishedPrices(chosen, prices.published, zone, settlement_minutes=settlement_minutes)


def _load(
    config: Config, history: QuarterHourHistory, zone: ZoneInfo, running: RunningMean
) -> Forecaster:
    def model(choice: str) -> Forecaster:
        return build_forecaster(
            LOAD_SIGNAL,
            choice,
            history,
            zone,
            _holidays(config),
            subdivision=config.forecasts.holidays_subdivision,
            running_mean=running,
            longest_history_days=DEMO_HISTORY_DAYS if config.demo else None,
        )

    chosen = model(config.forecasts.load)
    return chosen if config.forecasts.load == "auto" else StandIn(chosen, model("auto"))


def _holidays(config: Config) -> str | None:
    # The recorded year is shifted by whole weeks, so no calendar's holidays fit its days.
    return None if config.demo else config.forecasts.holidays_country

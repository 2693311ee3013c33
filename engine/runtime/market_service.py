"""Where prices and weather come from, by configuration, and how their sources are doing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from engine.config.planning import PriceProvider as PriceProviderName
from engine.config.schema import Config
from engine.domain.clock import Clock
from engine.domain.control import StepHealth
from engine.domain.snapshot import Notice
from engine.fetching.cache import DiskCache
from engine.fetching.http import RequestsGetter
from engine.fetching.refresher import BackgroundRefresher, Job
from engine.market.awattar import Awattar
from engine.market.energy_charts import EnergyCharts
from engine.market.entsoe import Entsoe
from engine.market.intervals import PriceProvider
from engine.market.live_prices import LivePrices, PriceSchedule
from engine.market.price_file import PriceFile
from engine.market.prices import PriceSource
from engine.market.recorded_prices import RecordedPrices
from engine.recorded.recording import Recording
from engine.weather import open_meteo, openweathermap
from engine.weather.open_meteo import OpenMeteo
from engine.weather.openweathermap import OpenWeatherMap
from engine.weather.sources import WeatherProvider
from engine.weather.sources_live import LiveWeather
from engine.weather.weather import WeatherSource

CACHE_FOLDER = "cache"
"""Folder of fetched prices and weather, in the data folder."""

MARKET_ZONES = {"AT": "Europe/Vienna", "DE": "Europe/Berlin"}
"""Local time of the exchange by region."""


@dataclass(frozen=True, slots=True)
class MarketService:
    """The sources of one site.

    Attributes:
        prices: Day-ahead prices; answers at once.
        weather: Weather to come, or None without a source.
        live_prices: The same prices where they are fetched, else None.
        live_weather: Likewise.
        refresher: Fetches in the background; None where nothing is fetched.
    """

    prices: PriceSource
    weather: WeatherSource | None = None
    live_prices: LivePrices | None = None
    live_weather: LiveWeather | None = None
    refresher: BackgroundRefresher | None = None

    def start(self) -> None:
        """Start fetching."""
        if self.refresher is not None:
            self.refresher.start()

    def stop(self) -> None:
        """End fetching; a request under way is aborted."""
        if self.refresher is not None:
            self.refresher.stop(timeout_s=1.0)

    def notices(self) -> tuple[Notice, ...]:
        """Return what an operator should know about the sources now."""
        out = []
        if self.live_prices is not None:
            prices = self.live_prices.status()
            if prices.state not in ("ok", "waiting"):
                severity = "warning" if prices.warn else "info"
                out.append(Notice(f"prices_{prices.state}", severity, prices.message))
        if self.live_weather is not None:
            weather = self.live_weather.status()
            if weather.state not in ("ok", "waiting"):
                severity = "warning" if weather.warn else "info"
                out.append(Notice(f"weather_{weather.state}", severity, weather.message))
        return tuple(out)

    def health(self) -> list[StepHealth]:
        """Return one supervision record per background job."""
        return [] if self.refresher is None else [j.as_step() for j in self.refresher.health()]


def build_market(
    config: Config,
    data_dir: Path,
    recording: Recording,
    clock: Clock,
    *,
    settlement_minutes: int,
    environ: Mapping[str, str] = os.environ,
) -> MarketService:
    """Return the sources that a configuration asks for; nothing is fetched before `start`.

    Args:
        config: Validated configuration.
        data_dir: Folder below which fetched data is kept.
        recording: Behind recorded prices.
        clock: Time.
        settlement_minutes: 15 or 60: what the tariff settles in.
        environ: Holds keys and tokens.
    """
    live = not config.prices.demo_mode
    if not live and config.weather.provider == "none":
        return MarketService(RecordedPrices(recording, clock))
    # Jitter between installations needs no secrecy and must differ between them.
    random = Random()
    http = RequestsGetter(clock)
    cache = DiskCache(data_dir / CACHE_FOLDER)
    web = _Web(http, clock, environ)
    jobs: list[Job] = []
    prices: LivePrices | None = None
    weather: LiveWeather | None = None
    if live:
        zone = ZoneInfo(MARKET_ZONES[config.prices.region])
        providers = _price_providers(config, web, zone, settlement_minutes)
        prices = LivePrices(
            providers,
            clock,
            zone,
            random,
            market=_market_key(config),
            cache=cache,
            wanted_minutes=settlement_minutes,
            schedule=_schedule(config),
        )
        jobs += prices.jobs()
    if config.weather.provider != "none":
        latitude, longitude = config.site.latitude or 0.0, config.site.longitude or 0.0
        weather = LiveWeather(
            [_weather_provider(config, web, latitude, longitude)],
            clock,
            random,
            place=f"{latitude:.4f}_{longitude:.4f}",
            cache=cache,
        )
        jobs += weather.jobs()
    return MarketService(
        prices=prices if prices is not None else RecordedPrices(recording, clock),
        weather=weather,
        live_prices=prices,
        live_weather=weather,
        refresher=BackgroundRefresher(jobs, clock, random, cancel=http.close),
    )


def _market_key(config: Config) -> str:
    """Return what cached prices are kept under: prices from a file are a market of their own."""
    region = config.prices.region.lower()
    return f"{region}_file" if "file" in config.prices.sources else region


def _schedule(config: Config) -> PriceSchedule:
    # A year of prices lets the forecast of unpublished ones learn the seasons.
    schedule = PriceSchedule(history_days=400, chunk_days=30)
    if config.prices.provider == "file":
        return replace(schedule, refresh_s=60.0)
    return schedule


@dataclass(frozen=True, slots=True)
class _Web:
    """What every source that fetches is made with."""

    http: RequestsGetter
    clock: Clock
    environ: Mapping[str, str]


def _price_providers(
    config: Config, web: _Web, zone: ZoneInfo, settlement_minutes: int
) -> list[PriceProvider]:
    region, urls, clock = config.prices.region, config.prices.urls, web.clock

    def made(name: PriceProviderName) -> PriceProvider:
        url = {"base_url": urls[name]} if name in urls else {}
        if name == "awattar":
            return Awattar(region, web.http, clock, zone=zone, **url)
        if name == "energy_charts":
            return EnergyCharts(region, web.http, clock, zone=zone, **url)
        if name == "entsoe":
            token = {"token_env": config.prices.entsoe_token_env}
            return Entsoe(region, web.http, clock, zone=zone, environ=web.environ, **token, **url)
        return PriceFile(Path(config.prices.file or ""), clock, zone=zone)

    providers = [made(name) for name in config.prices.sources]
    # Planning quarter-hours on hourly means earns a quarter less (notes/forecasting 4.2).
    return sorted(providers, key=lambda p: p.minutes > settlement_minutes)


def _weather_provider(
    config: Config, web: _Web, latitude: float, longitude: float
) -> WeatherProvider:
    weather = config.weather
    if weather.provider == "open_meteo":
        return OpenMeteo(
            latitude,
            longitude,
            web.http,
            web.clock,
            base_url=weather.url or open_meteo.BASE_URL,
            api_key=web.environ.get(weather.api_key_env) if weather.api_key_env else None,
        )
    return OpenWeatherMap(
        latitude,
        longitude,
        web.http,
        web.clock,
        base_url=weather.url or openweathermap.BASE_URL,
        key_env=weather.api_key_env or openweathermap.KEY_ENV,
        environ=web.environ,
    )

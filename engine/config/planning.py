"""Sections of ``ems.yaml`` behind a plan: prices, weather, PV plant, forecasts, strategies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from engine.config.section import PowerKw, Section

PriceProvider = Literal["awattar", "energy_charts", "entsoe", "file"]
StrategyName = Literal[
    "arbitrage", "peak_shaving", "self_consumption", "load_balancing", "co_optimised"
]
_FALLBACKS: list[PriceProvider] = ["energy_charts"]
ENV_NAME_PATTERN = r"^[A-Z][A-Z0-9_]{0,79}$"
WEB_ADDRESS_PATTERN = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
COUNTRY_PATTERN = r"^[A-Z]{2}$"
WebAddress = Annotated[str, Field(pattern=WEB_ADDRESS_PATTERN, max_length=200)]
EnvName = Annotated[str, Field(pattern=ENV_NAME_PATTERN)]


class PricesConfig(Section):
    """Where day-ahead prices come from.

    `provider` is asked first, then `fallbacks` in their order. Under a tariff that settles
    quarter-hours, sources with quarter-hour prices are asked before hourly ones.

    Attributes:
        demo_mode: Recorded real prices, marked as recorded; never steers a real battery.
        provider: Source of day-ahead prices that is asked first.
        fallbacks: Sources asked when it has none, in their order.
        region: Price zone.
        file: CSV or Parquet file of the source `file`.
        entsoe_token_env: Environment variable that holds the token of ENTSO-E.
        urls: Other hosts of sources, by source.
    """

    demo_mode: bool = True
    provider: PriceProvider = "awattar"
    fallbacks: list[PriceProvider] = Field(default_factory=lambda: _FALLBACKS)
    region: Literal["AT", "DE"] = "AT"
    file: Annotated[str, Field(min_length=1)] | None = None
    entsoe_token_env: EnvName = "EMS_ENTSOE_TOKEN"
    urls: dict[PriceProvider, WebAddress] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _file_is_named(self) -> PricesConfig:
        if "file" in (self.provider, *self.fallbacks) and self.file is None:
            raise ValueError(
                "prices.file|The price source 'file' needs a file.|"
                "Give the path of a CSV or Parquet file with ts_utc and price_eur_per_mwh."
            )
        return self

    @property
    def sources(self) -> tuple[PriceProvider, ...]:
        """Sources in the order they are asked, each once."""
        return tuple(dict.fromkeys((self.provider, *self.fallbacks)))


class WeatherConfig(Section):
    """Where the weather forecast comes from; it needs `site.latitude` and `site.longitude`.

    OpenWeatherMap needs a key, Open-Meteo only on its paid host; `url` names another host.

    Attributes:
        provider: Source of the weather forecast.
        api_key_env: Environment variable that holds its key.
        url: Other host of the source, for example one of your own.
    """

    provider: Literal["none", "open_meteo", "openweathermap"] = "none"
    api_key_env: EnvName | None = None
    url: WebAddress | None = None


class PvPlaneConfig(Section):
    """One surface of the PV plant.

    Attributes:
        peak_kw: Installed power.
        tilt_deg: Tilt: 0 flat, 90 upright.
        azimuth_deg: Direction: 90 east, 180 south, 270 west.
        inverter_limit_kw: Most power of its inverter; None: no limit.
    """

    peak_kw: Annotated[float, Field(gt=0, le=1_000_000)]
    tilt_deg: Annotated[float, Field(ge=0, le=90)] = 30.0
    azimuth_deg: Annotated[float, Field(ge=0, lt=360)] = 180.0
    inverter_limit_kw: PowerKw | None = None


class PvConfig(Section):
    """The PV plant, for the forecast from weather.

    `throttles_itself` says that the plant gives power away by itself where exporting is not
    allowed or costs money, so that a plan may count on it.

    Attributes:
        planes: Surfaces of the plant.
        losses_percent: Losses between module and meter.
        throttles_itself: The plant gives away by itself what may not be exported.
    """

    planes: list[PvPlaneConfig] = Field(default_factory=list)
    losses_percent: Annotated[float, Field(ge=0, lt=100)] = 14.0
    throttles_itself: bool = False

    @property
    def peak_kw(self) -> float | None:
        """Installed power of all planes, or None when none is stated."""
        return sum(plane.peak_kw for plane in self.planes) if self.planes else None


class ForecastsConfig(Section):
    """Which models forecast; ``auto`` is the measured default of each series.

    Attributes:
        price: Model of prices that are not published yet.
        load: Model of the site's load.
        pv: Model of the PV power.
        holidays_country: Two letters of the country whose public holidays count.
        holidays_subdivision: Code of the federal state, where holidays differ.
    """

    price: Literal["auto", "seasonal_naive", "ridge", "prophet"] = "auto"
    load: Literal[
        "auto", "seasonal_naive", "day_type", "ridge", "lightgbm", "prophet", "ensemble"
    ] = "auto"
    pv: Literal["auto", "clear_sky_persistence", "weather_pv", "prophet"] = "auto"
    holidays_country: Annotated[str, Field(pattern=COUNTRY_PATTERN)] = "AT"
    holidays_subdivision: Annotated[str, Field(min_length=1, max_length=10)] | None = None

    @field_validator("holidays_country")
    @classmethod
    def _known_country(cls, value: str) -> str:
        # Not `list_supported_countries`, which imports the holidays of all countries.
        from holidays.registry import EntityLoader

        if value not in EntityLoader.get_country_codes():
            raise ValueError(
                "forecasts.holidays_country|No public holidays are known for this country.|"
                "Give the two letters of a country, for example AT or DE."
            )
        return value


class StrategiesConfig(Section):
    """Which strategy plans, and how readily the choice changes.

    Attributes:
        selection_mode: `auto` values all strategies and takes the best, `manual` takes
            `manual_strategy`.
        manual_strategy: Strategy chosen by hand.
        switch_threshold: A switch must gain this share of what the active strategy saves.
        min_dwell_minutes: Shortest time between two automatic switches.
        peak_target_kw: Import that peak shaving aims at; None: found from the last weeks.
        balancing_window_hours: Window of the moving average of load balancing.
    """

    selection_mode: Literal["auto", "manual"] = "auto"
    manual_strategy: StrategyName = "arbitrage"
    switch_threshold: Annotated[float, Field(ge=0, le=10)] = 0.15
    min_dwell_minutes: Annotated[int, Field(ge=0, le=1440)] = 60
    peak_target_kw: PowerKw | None = None
    balancing_window_hours: Annotated[float, Field(ge=0.5, le=24)] = 4.0


class PlanningConfig(Section):
    """How a plan deals with what it cannot know.

    ``auto`` means scenarios and a peak reserve where the tariff has a demand charge, and the
    median forecast alone elsewhere (measured in notes/optimisation section 3).

    Attributes:
        uncertainty: What a plan is made for: the median forecast or scenarios.
        peak_reserve: Energy is kept for peaks that may come.
        reserve_share: Share of the energy that the rule of the reserve asks for. The rule puts
            the highest load and the lowest PV power of each time together, which is more than
            any day needed; on three recorded sites 0.7 earned more than all of it.
        reserve_pv_quantile: PV power the reserve counts on: this quantile of the same time of day
            in the last three weeks; 0 the lowest. A higher one suits sites with much PV.
        peak_target_share: Where the import worth holding lies between the lowest peak that was
            possible in the last four weeks (0) and the peak without a battery (1).
    """

    uncertainty: Literal["auto", "median", "scenarios"] = "auto"
    peak_reserve: Literal["auto", "on", "off"] = "auto"
    reserve_share: Annotated[float, Field(ge=0, le=2)] = 0.7
    reserve_pv_quantile: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    peak_target_share: Annotated[float, Field(ge=0, le=1)] = 0.33

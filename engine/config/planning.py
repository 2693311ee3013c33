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
    """

    provider: Literal["none", "open_meteo", "openweathermap"] = "none"
    api_key_env: EnvName | None = None
    url: WebAddress | None = None


class PvPlaneConfig(Section):
    """One surface of the PV plant."""

    peak_kw: Annotated[float, Field(gt=0, le=1_000_000)]
    tilt_deg: Annotated[float, Field(ge=0, le=90)] = 30.0
    azimuth_deg: Annotated[float, Field(ge=0, lt=360)] = 180.0
    inverter_limit_kw: PowerKw | None = None


class PvConfig(Section):
    """The PV plant, for the forecast from weather.

    `throttles_itself` says that the plant gives power away by itself where exporting is not
    allowed or costs money, so that a plan may count on it.
    """

    planes: list[PvPlaneConfig] = Field(default_factory=list)
    losses_percent: Annotated[float, Field(ge=0, lt=100)] = 14.0
    throttles_itself: bool = False

    @property
    def peak_kw(self) -> float | None:
        """Installed power of all planes, or None when none is stated."""
        return sum(plane.peak_kw for plane in self.planes) if self.planes else None


class ForecastsConfig(Section):
    """Which models forecast; ``auto`` is the measured default of each series."""

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
        import holidays

        if value not in holidays.list_supported_countries():
            raise ValueError(
                "forecasts.holidays_country|No public holidays are known for this country.|"
                "Give the two letters of a country, for example AT or DE."
            )
        return value


class StrategiesConfig(Section):
    """Which strategy plans, and how readily the choice changes."""

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
    """

    uncertainty: Literal["auto", "median", "scenarios"] = "auto"
    peak_reserve: Literal["auto", "on", "off"] = "auto"

"""Schema of ``config/ems.yaml`` (DESIGN section 5).

Every key has a default, so an empty file describes the demo site. Unknown keys
are errors: a misspelt limit must never be ignored.
"""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Percent = Annotated[float, Field(ge=0, le=100)]
Efficiency = Annotated[float, Field(gt=0, le=1)]
PowerKw = Annotated[float, Field(ge=0, le=1_000_000)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A part of the configuration: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, str_max_length=500
    )


class BessConfig(Section):
    """The battery storage system."""

    energy_capacity_kwh: Annotated[float, Field(gt=0, le=10_000_000)] = 200.0
    power_charge_max_kw: PowerKw = 100.0
    power_discharge_max_kw: PowerKw = 100.0
    efficiency_charge: Efficiency = 0.95
    efficiency_discharge: Efficiency = 0.95
    soc_min_percent: Percent = 10.0
    soc_max_percent: Percent = 90.0
    standby_loss_kw: Annotated[float, Field(ge=0, le=1000)] = 0.1
    wear_cost_eur_per_kwh: Annotated[float, Field(ge=0, le=10)] = 0.015

    @model_validator(mode="after")
    def _window_is_open(self) -> BessConfig:
        if self.soc_min_percent >= self.soc_max_percent:
            raise ValueError(
                "bess.soc_min_percent|"
                f"The value ({self.soc_min_percent:g}) must be smaller than "
                f"soc_max_percent ({self.soc_max_percent:g}).|"
                "Lower soc_min_percent or raise soc_max_percent."
            )
        return self


class EmsConfig(Section):
    """How the engine runs."""

    mode: Literal["auto", "monitor"] = "auto"
    optimization_interval_minutes: Literal[5, 15, 30, 60] = 15
    timestep_s: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    horizon_hours: Annotated[int, Field(ge=24, le=48)] = 36


class StrategiesConfig(Section):
    """Which strategy plans."""

    selection_mode: Literal["auto", "manual"] = "auto"
    manual_strategy: Literal[
        "arbitrage", "peak_shaving", "self_consumption", "load_balancing", "co_optimised"
    ] = "arbitrage"
    switch_threshold: Annotated[float, Field(ge=0, le=10)] = 0.15


class PricesConfig(Section):
    """Where day-ahead prices come from."""

    demo_mode: bool = True
    provider: Literal["awattar", "energy_charts", "entsoe", "file"] = "awattar"
    region: Literal["AT", "DE"] = "AT"


class TariffConfig(Section):
    """What a kWh costs and earns on top of the day-ahead price."""

    spot_markup_eur_per_kwh: Annotated[float, Field(ge=-1, le=1)] = 0.015
    grid_fee_eur_per_kwh: Annotated[float, Field(ge=0, le=2)] = 0.07
    levies_eur_per_kwh: Annotated[float, Field(ge=0, le=2)] = 0.015
    vat_percent: Percent = 0.0
    sell_fee_eur_per_kwh: Annotated[float, Field(ge=-1, le=1)] = 0.005


class GridConfig(Section):
    """The grid connection."""

    import_limit_kw: PowerKw = 200.0
    export_limit_kw: PowerKw = 200.0


class SiteConfig(Section):
    """Name and place."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = "site-1"
    name: Annotated[str, Field(min_length=1, max_length=80)] = "Standort Wien"
    timezone: str = "Europe/Vienna"

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(
                "site.timezone|"
                "This is not a known time zone.|Use an IANA name such as Europe/Vienna."
            )
        return value


class MqttConfig(Section):
    """The MQTT broker."""

    enabled: bool = False
    broker_host: Annotated[str, Field(min_length=1)] = "localhost"
    broker_port: Port = 1883


class RegisterConfig(Section):
    """A register that overrides or extends the profile's."""

    address: Annotated[int, Field(ge=0, le=65535)]
    function: Literal[1, 2, 3, 4] = 4
    type: Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"] = (
        "uint16"
    )
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    description: str = ""


class ModbusConfig(Section):
    """The battery's Modbus connection."""

    enabled: bool = False
    profile: Annotated[str, Field(min_length=1)] = "hithium_ess_5016"
    connection_type: Literal["tcp", "rtu"] = "tcp"
    host: Annotated[str, Field(min_length=1)] = "localhost"
    port: Port = 502
    slave_id: Annotated[int, Field(ge=0, le=255)] = 1
    timeout: Annotated[float, Field(gt=0, le=30)] = 3.0
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    poll_interval_s: Annotated[float, Field(ge=0.2, le=3600)] = 2.0
    write_enabled: bool = False
    status_codes: dict[int, str] = Field(default_factory=dict)
    registers: dict[str, RegisterConfig] = Field(default_factory=dict)

    @field_validator("status_codes", mode="before")
    @classmethod
    def _codes_are_numbers(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        codes: dict[int, object] = {}
        for key, text in value.items():
            if isinstance(key, bool) or not str(key).strip().isdigit():
                raise ValueError(
                    f"modbus.status_codes.{key}|"
                    "A status code must be a whole number, 0 or more.|"
                    'Write it like "5": Ladesperre.'
                )
            codes[int(str(key))] = text
        return codes


class DemoPlantConfig(Section):
    """The simulated plant that is there when no real device is."""

    enabled: bool | None = None
    speed: Annotated[float, Field(gt=0, le=3600)] = 1.0
    soc_start_percent: Percent = 50.0
    pv_peak_kw: PowerKw = 160.0


class Config(Section):
    """The whole of ``ems.yaml``."""

    site: SiteConfig = Field(default_factory=SiteConfig)
    bess: BessConfig = Field(default_factory=BessConfig)
    grid: GridConfig = Field(default_factory=GridConfig)
    ems: EmsConfig = Field(default_factory=EmsConfig)
    strategies: StrategiesConfig = Field(default_factory=StrategiesConfig)
    prices: PricesConfig = Field(default_factory=PricesConfig)
    tariff: TariffConfig = Field(default_factory=TariffConfig)
    mqtt: MqttConfig = Field(default_factory=MqttConfig)
    modbus: ModbusConfig = Field(default_factory=ModbusConfig)
    demo_plant: DemoPlantConfig = Field(default_factory=DemoPlantConfig)

    @model_validator(mode="after")
    def _never_simulated_beside_real(self) -> Config:
        if self.demo_plant.enabled and self.modbus.enabled:
            raise ValueError(
                "demo_plant.enabled|"
                "The demo plant cannot run beside a real device: simulated values must never "
                "reach real dispatch.|"
                "Set demo_plant.enabled: false, or modbus.enabled: false."
            )
        return self

    @property
    def demo(self) -> bool:
        """True when the demo plant runs: asked for, or no real device is enabled."""
        if self.demo_plant.enabled is None:
            return not self.modbus.enabled
        return self.demo_plant.enabled

"""Schema of ``config/ems.yaml`` (DESIGN section 5).

Every key has a default, so an empty file describes the demo site. Unknown keys
are errors: a misspelt limit must never be ignored.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from engine.config.access import AccessConfig, ServerConfig
from engine.config.analytics import AnalyticsConfig
from engine.config.branding import BrandingConfig
from engine.config.control import ControlConfig, LimitsConfig
from engine.config.devices import MODBUS_DEVICE_NAME, DeviceConfig, ModbusConfig, SerialConfig
from engine.config.history import HistoryConfig
from engine.config.mqtt import MqttConfig
from engine.config.notify import NotificationsConfig
from engine.config.planning import (
    ForecastsConfig,
    PlanningConfig,
    PricesConfig,
    PvConfig,
    StrategiesConfig,
    WeatherConfig,
)
from engine.config.section import Efficiency, Percent, PowerKw, Section
from engine.config.tariff import TariffConfig


@cache
def known_timezones() -> frozenset[str]:
    """Return the IANA names of all time zones; read from disk once, which takes a while."""
    return frozenset(available_timezones())


class BessConfig(Section):
    """The battery storage system.

    Attributes:
        energy_capacity_kwh: Energy between 0 and 100 % SoC.
        power_charge_max_kw: Most charge power at the AC side, nameplate.
        power_discharge_max_kw: Most discharge power at the AC side, nameplate.
        efficiency_charge: Share of the AC energy that arrives in the store.
        efficiency_discharge: Share of the stored energy that arrives at the AC side.
        soc_min_percent: Lower end of the SoC window in use.
        soc_max_percent: Upper end of the SoC window in use.
        standby_loss_kw: Power lost all the time.
        wear_cost_eur_per_kwh: Ageing for each kWh through the cells, each way.
    """

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
    """How the engine runs.

    Attributes:
        mode: `auto` steers, `monitor` reads and plans but never writes.
        optimization_interval_minutes: Time between two plans.
        timestep_s: Time between two control steps in seconds.
        horizon_hours: How far a plan reaches.
    """

    mode: Literal["auto", "monitor"] = "auto"
    optimization_interval_minutes: Literal[5, 15, 30, 60] = 15
    timestep_s: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    horizon_hours: Annotated[int, Field(ge=24, le=48)] = 36


class GridConfig(Section):
    """The grid connection.

    Attributes:
        import_limit_kw: Most import the connection bears.
        export_limit_kw: Most export the connection bears.
    """

    import_limit_kw: PowerKw = 200.0
    export_limit_kw: PowerKw = 200.0


class SiteConfig(Section):
    """Name and place.

    Attributes:
        id: Name of the site in tables, topics and the API.
        name: Name of the site on pages.
        timezone: IANA time zone of days and of what pages show.
        latitude: Degrees north, for weather and sun.
        longitude: Degrees east, for weather and sun.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = "site-1"
    name: Annotated[str, Field(min_length=1, max_length=80)] = "Standort Wien"
    timezone: str = "Europe/Vienna"
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in known_timezones():
            raise ValueError(
                "site.timezone|"
                "This is not a known time zone.|Use an IANA name such as Europe/Vienna."
            )
        return value


class DemoPlantConfig(Section):
    """The simulated plant that is there when no real device is.

    Attributes:
        enabled: The plant runs; None: while no real device is configured.
        speed: Factor by which its clock runs faster than real time.
        soc_start_percent: State of charge at its first start.
        pv_peak_kw: Installed PV power.
    """

    enabled: bool | None = None
    speed: Annotated[float, Field(gt=0, le=3600)] = 1.0
    soc_start_percent: Percent = 50.0
    pv_peak_kw: PowerKw = 160.0


class Config(Section):
    """The whole of ``ems.yaml``.

    Attributes:
        site: Name and place.
        bess: The battery.
        grid: The grid connection.
        limits: Limits on top of nameplate and grid connection.
        control: The law between two plans.
        ems: How the engine runs.
        strategies: Choice of the strategy.
        planning: What a plan does about what it cannot know.
        prices: Day-ahead prices.
        tariff: What a kWh costs and earns.
        weather: The weather forecast.
        pv: The PV plant.
        forecasts: Models that forecast.
        history: What is kept, how long and where.
        analytics: Baselines and key figures.
        notifications: Who is told of alarms.
        mqtt: The MQTT broker.
        modbus: The battery's Modbus connection.
        devices: More devices.
        demo_plant: The simulated plant.
        branding: What the pages call themselves.
        access: Who may look in without an account, how long a login lasts.
        server: How the pages are reached from outside.
    """

    site: SiteConfig = Field(default_factory=SiteConfig)
    bess: BessConfig = Field(default_factory=BessConfig)
    grid: GridConfig = Field(default_factory=GridConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    control: ControlConfig = Field(default_factory=ControlConfig)
    ems: EmsConfig = Field(default_factory=EmsConfig)
    strategies: StrategiesConfig = Field(default_factory=StrategiesConfig)
    planning: PlanningConfig = Field(default_factory=PlanningConfig)
    prices: PricesConfig = Field(default_factory=PricesConfig)
    tariff: TariffConfig = Field(default_factory=TariffConfig)
    weather: WeatherConfig = Field(default_factory=WeatherConfig)
    pv: PvConfig = Field(default_factory=PvConfig)
    forecasts: ForecastsConfig = Field(default_factory=ForecastsConfig)
    history: HistoryConfig = Field(default_factory=HistoryConfig)
    analytics: AnalyticsConfig = Field(default_factory=AnalyticsConfig)
    notifications: NotificationsConfig = Field(default_factory=NotificationsConfig)
    mqtt: MqttConfig = Field(default_factory=MqttConfig)
    modbus: ModbusConfig = Field(default_factory=ModbusConfig)
    devices: list[DeviceConfig] = Field(default_factory=list)
    demo_plant: DemoPlantConfig = Field(default_factory=DemoPlantConfig)
    branding: BrandingConfig = Field(default_factory=BrandingConfig)
    access: AccessConfig = Field(default_factory=AccessConfig)
    server: ServerConfig = Field(default_factory=ServerConfig)

    @model_validator(mode="after")
    def _never_simulated_beside_real(self) -> Config:
        if self.demo_plant.enabled and self.has_real_devices:
            what = "modbus.enabled: false" if self.modbus.enabled else "devices: []"
            raise ValueError(
                "demo_plant.enabled|"
                "The demo plant cannot run beside a real device: simulated values must never "
                "reach real dispatch.|"
                f"Set demo_plant.enabled: false, or {what}."
            )
        return self

    @model_validator(mode="after")
    def _feed_in_share_needs_pv(self) -> Config:
        if self.limits.feed_in.needs_pv_peak and not self.demo and not self.pv.planes:
            raise ValueError(
                "limits.feed_in|A feed-in limit in percent needs the installed PV power.|"
                "Add pv.planes with their peak_kw, or give limit_kw."
            )
        return self

    @model_validator(mode="after")
    def _notifications_have_a_broker(self) -> Config:
        if self.notifications.needs_mqtt and not self.mqtt.enabled:
            raise ValueError(
                "notifications.channels|A channel of type mqtt needs the broker.|"
                "Set mqtt.enabled: true, or remove the channel."
            )
        return self

    @model_validator(mode="after")
    def _weather_needs_a_place(self) -> Config:
        if (self.site.latitude is None) != (self.site.longitude is None):
            missing = "longitude" if self.site.longitude is None else "latitude"
            raise ValueError(
                f"site.{missing}|A place needs latitude and longitude.|"
                f"Add site.{missing} in degrees, or remove the other."
            )
        if self.weather.provider != "none" and self.site.latitude is None:
            raise ValueError(
                "weather.provider|A weather forecast needs the place of the site.|"
                "Add site.latitude and site.longitude in degrees, or set weather.provider: none."
            )
        if self.weather.provider != "none" and self.demo:
            raise ValueError(
                "weather.provider|The demo plant replays a recorded year; today's weather would "
                "not fit its sun.|Set weather.provider: none, or enable a device."
            )
        weather_known = self.weather.provider != "none" and bool(self.pv.planes)
        if self.forecasts.pv == "weather_pv" and not weather_known:
            raise ValueError(
                "forecasts.pv|A forecast from weather needs a weather source and the PV planes.|"
                "Set weather.provider and pv.planes, or choose auto."
            )
        return self

    @model_validator(mode="after")
    def _no_mqtt_values_beside_the_demo(self) -> Config:
        if self.mqtt.enabled and self.mqtt.inputs and self.demo:
            raise ValueError(
                "mqtt.inputs|"
                "Values over MQTT are real; they cannot be mixed with the simulated demo plant, "
                "which runs while no real device is enabled.|"
                "Enable a device, or remove mqtt.inputs."
            )
        return self

    @model_validator(mode="after")
    def _devices_are_distinct(self) -> Config:
        names: set[str] = set()
        units: dict[tuple[str, int | None], str] = {}
        lines: dict[str, SerialConfig] = {}
        if self.modbus.enabled:
            names.add(MODBUS_DEVICE_NAME)
            modbus = self.modbus
            endpoint = modbus.serial.device if modbus.serial else f"{modbus.host}:{modbus.port}"
            units[endpoint, modbus.slave_id] = MODBUS_DEVICE_NAME
        for device in self.devices:
            if device.name in names:
                raise ValueError(
                    f"devices.{device.name}.name|The name {device.name} is used twice.|"
                    "Give each device a name of its own"
                    + (
                        "; bms is the device of the modbus block."
                        if device.name == MODBUS_DEVICE_NAME and self.modbus.enabled
                        else "."
                    )
                )
            names.add(device.name)
            if not device.enabled:
                continue
            # Without a stated unit the profiles decide, so the device layer compares those.
            key = (device.endpoint, device.unit_id)
            other = device.name if device.unit_id is None else units.setdefault(key, device.name)
            if other != device.name:
                raise ValueError(
                    f"devices.{device.name}.unit_id|Unit {device.unit_id} at {device.endpoint} is "
                    f"used twice, by {other} and {device.name}.|"
                    "Correct one unit_id, or remove one device."
                )
            if device.serial is not None:
                line = lines.setdefault(device.serial.device, device.serial)
                if line != device.serial:
                    raise ValueError(
                        f"devices.{device.name}.serial|The serial line {line.device} is stated "
                        "with different settings.|Use one baudrate, parity and stop_bits for all "
                        "devices on it."
                    )
        return self

    @property
    def has_real_devices(self) -> bool:
        """True when at least one real device is enabled."""
        return self.modbus.enabled or any(device.enabled for device in self.devices)

    @property
    def demo(self) -> bool:
        """True when the demo plant runs: asked for, or no real device is enabled."""
        if self.demo_plant.enabled is None:
            return not self.has_real_devices
        return self.demo_plant.enabled

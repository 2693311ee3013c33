"""Schema of ``config/ems.yaml`` (DESIGN section 5).

Every key has a default, so an empty file describes the demo site. Unknown keys
are errors: a misspelt limit must never be ignored.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from engine.config.analytics import AnalyticsConfig
from engine.config.branding import BrandingConfig
from engine.config.control import ControlConfig, LimitsConfig
from engine.config.history import HistoryConfig
from engine.config.notify import NotificationsConfig
from engine.config.planning import (
    ForecastsConfig,
    PlanningConfig,
    PricesConfig,
    PvConfig,
    StrategiesConfig,
    WeatherConfig,
)
from engine.config.section import Efficiency, Percent, Port, PowerKw, Section, TopicLevel
from engine.config.tariff import TariffConfig


@cache
def known_timezones() -> frozenset[str]:
    """Return the IANA names of all time zones; read from disk once, which takes a while."""
    return frozenset(available_timezones())


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


class GridConfig(Section):
    """The grid connection."""

    import_limit_kw: PowerKw = 200.0
    export_limit_kw: PowerKw = 200.0


class SiteConfig(Section):
    """Name and place."""

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


class MqttInputConfig(Section):
    """One value taken from an MQTT topic; checked against the signals when it is compiled."""

    topic: Annotated[str, Field(min_length=1, max_length=300)]
    signal: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1, max_length=40)] = "mqtt"
    path: str = ""
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = None
    positive_means: (
        Literal["discharge", "charge", "import", "export", "generation", "consumption"] | None
    ) = None
    min: float | None = None
    max: float | None = None
    max_age_s: Annotated[float, Field(gt=0, le=86400)] = 10.0
    priority: Annotated[int, Field(ge=1, le=99)] = 50


class MqttConfig(Section):
    """The MQTT broker: how to reach it, what to publish, and values taken from it."""

    enabled: bool = False
    broker_host: Annotated[str, Field(min_length=1)] = "localhost"
    broker_port: Port = 1883
    username: Annotated[str, Field(min_length=1)] | None = None
    password_env: Annotated[str, Field(min_length=1)] | None = None
    password_file: Annotated[str, Field(min_length=1)] | None = None
    tls: bool = False
    ca_file: Annotated[str, Field(min_length=1)] | None = None
    keepalive_s: Annotated[int, Field(ge=2, le=600)] = 20
    base_topic: TopicLevel = "ems"
    home_assistant: bool = False
    home_assistant_prefix: TopicLevel = "homeassistant"
    inputs: list[MqttInputConfig] = Field(default_factory=list)


class RegisterConfig(Section):
    """A register that overrides or extends the profile's.

    ``bit`` picks one bit of a register; ``inverted`` is for a bit that is 0 while its value is 1.
    """

    address: Annotated[int, Field(ge=0, le=65535)]
    function: Literal[1, 2, 3, 4] = 4
    type: Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"] = (
        "uint16"
    )
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    description: str = ""
    positive_means: (
        Literal["discharge", "charge", "import", "export", "generation", "consumption"] | None
    ) = None
    word_order: Literal["big", "little"] | None = None
    sentinel: int | None = None
    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    inverted: bool = False
    min: float | None = None
    max: float | None = None


class SerialConfig(Section):
    """A serial line; devices that share one must state it alike."""

    device: Annotated[str, Field(min_length=1)]
    baudrate: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1


class ModbusConfig(Section):
    """The battery's Modbus connection: one device; further ones stand under ``devices``."""

    enabled: bool = False
    profile: Annotated[str, Field(min_length=1)] = "hithium_ess_5016"
    connection_type: Literal["tcp", "rtu", "rtu_over_tcp"] = "tcp"
    host: Annotated[str, Field(min_length=1)] = "localhost"
    port: Port = 502
    slave_id: Annotated[int, Field(ge=0, le=255)] = 1
    timeout: Annotated[float, Field(gt=0, le=30)] = 3.0
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    poll_interval_s: Annotated[float, Field(ge=0.2, le=3600)] = 2.0
    write_enabled: bool = False
    address_base: Literal[0, 1] | None = None
    serial: SerialConfig | None = None
    status_codes: dict[int, str] = Field(default_factory=dict)
    registers: dict[str, RegisterConfig | None] = Field(default_factory=dict)

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


class DeviceConfig(Section):
    """One device of the site.

    ``roles`` says what it is used as; left out, what its profile stands for. Devices of one
    storage system (its BMS, its converter) carry the same ``storage`` name. What is left out of
    port, unit_id, timeout_s and poll_interval_s is as usual for the profile.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    enabled: bool = True
    profile: Annotated[str, Field(min_length=1)]
    roles: (
        Annotated[
            list[Literal["bms", "pcs", "meter", "pv", "ev_charger", "heat_pump"]],
            Field(min_length=1),
        ]
        | None
    ) = None
    storage: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = "battery"
    energy_capacity_kwh: Annotated[float, Field(gt=0, le=10_000_000)] | None = None
    connection: Literal["tcp", "rtu", "rtu_over_tcp"] = "tcp"
    host: Annotated[str, Field(min_length=1)] | None = None
    port: Port | None = None
    serial: SerialConfig | None = None
    unit_id: Annotated[int, Field(ge=0, le=255)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=30)] | None = None
    poll_interval_s: Annotated[float, Field(ge=0.2, le=3600)] | None = None
    write_enabled: bool = False
    address_base: Literal[0, 1] | None = None
    status_codes: dict[int, str] = Field(default_factory=dict)
    registers: dict[str, RegisterConfig | None] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _endpoint_fits_connection(self) -> DeviceConfig:
        where = f"devices.{self.name}"
        if self.connection == "rtu" and self.serial is None:
            raise ValueError(
                f"{where}.serial|A serial connection (rtu) needs a serial line.|"
                "Add serial: {device: /dev/ttyUSB0}."
            )
        if self.connection == "rtu" and self.host is not None:
            raise ValueError(
                f"{where}.host|A serial connection (rtu) has no host ({self.host}).|"
                "Remove host, or set connection: rtu_over_tcp for a gateway."
            )
        if self.connection != "rtu" and self.host is None:
            raise ValueError(
                f"{where}.host|A connection over TCP needs a host.|"
                "Add the device's host name or address."
            )
        if self.connection != "rtu" and self.serial is not None:
            raise ValueError(
                f"{where}.serial|A connection over TCP has no serial line "
                f"({self.serial.device}).|Remove serial, or set connection: rtu."
            )
        return self

    @property
    def endpoint(self) -> str:
        """Serial device, or host and port as far as they are stated."""
        if self.serial is not None:
            return self.serial.device
        return f"{self.host}:{self.port}" if self.port is not None else str(self.host)


MODBUS_DEVICE_NAME = "bms"
"""Name of the device that the ``modbus`` block describes."""


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

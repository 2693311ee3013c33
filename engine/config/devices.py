"""Sections ``modbus`` and ``devices`` of ``ems.yaml``: what is read and commanded over Modbus."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from engine.config.section import Port, Section


class RegisterConfig(Section):
    """A register that overrides or extends the profile's.

    ``bit`` picks one bit of a register; ``inverted`` is for a bit that is 0 while its value is 1.

    Attributes:
        address: Address of the first register.
        function: Function code that reads it.
        type: How its bits are a number.
        scale: Factor on the raw number.
        offset: Added after the factor.
        unit: Unit after scale and offset.
        description: What it is.
        positive_means: Direction of a positive number, for powers with a sign.
        word_order: Order of the words of a longer number; None: that of the profile.
        sentinel: Raw number that means: no value.
        bit: Bit that is the value.
        inverted: The bit is 0 while its value is 1.
        min: Smaller values are BAD.
        max: Larger values are BAD.
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
    """A serial line; devices that share one must state it alike.

    Attributes:
        device: Path of the serial device.
        baudrate: Bits per second.
        parity: None, even or odd.
        stop_bits: Stop bits.
    """

    device: Annotated[str, Field(min_length=1)]
    baudrate: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1


class ModbusConfig(Section):
    """The battery's Modbus connection: one device; further ones stand under ``devices``.

    Attributes:
        enabled: The device is read.
        profile: Key of its profile.
        connection_type: TCP, serial line, or serial frames over TCP.
        host: Host name or address.
        port: TCP port.
        slave_id: Modbus unit id.
        timeout: Longest wait for an answer in seconds.
        retries: Accepted and not used: what failed is read again by the next poll.
        poll_interval_s: Time between two polls in seconds.
        write_enabled: The device may be commanded; else it is only read.
        address_base: Number of the device's first register; None: that of the profile.
        serial: The serial line, for `rtu`.
        status_codes: Words for codes of its status.
        registers: Registers that override or extend the profile's, by signal; null takes one away.
    """

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

    Attributes:
        name: Name of the device, unique.
        enabled: The device is read.
        profile: Key of its profile.
        roles: What it is used as; None: what its profile stands for.
        storage: Name of the storage system it belongs to.
        energy_capacity_kwh: Capacity of its battery, where there are several.
        connection: TCP, serial line, or serial frames over TCP.
        host: Host name or address, for TCP.
        port: TCP port; None: that of the profile.
        serial: The serial line, for `rtu`.
        unit_id: Modbus unit id; None: that of the profile.
        timeout_s: Longest wait for an answer; None: that of the profile.
        poll_interval_s: Time between two polls; None: that of the profile.
        write_enabled: The device may be commanded; else it is only read.
        address_base: Number of the device's first register; None: that of the profile.
        status_codes: Words for codes of its status.
        registers: Registers that override or extend the profile's, by signal; null takes one away.
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

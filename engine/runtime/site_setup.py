"""From the configuration to the devices of a site: profiles, connections, roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from engine.config.devices import (
    MODBUS_DEVICE_NAME,
    DeviceConfig,
    ModbusConfig,
    RegisterConfig,
    SerialConfig,
)
from engine.config.schema import Config
from engine.devices.assets.members import AssetMember, Role, roles_of
from engine.devices.profile import MODBUS_PROFILES, with_overrides
from engine.devices.profile_def import DeviceProfile
from engine.devices.spec import DeviceSpec
from engine.devices.transport import SerialLine, Transport
from engine.domain.errors import ConfigError, DeviceError
from engine.domain.signals import EXTERNAL_CONTACT

CAPACITY_TOLERANCE = 0.02
"""The capacities stated per device may differ from that of the site by rounding."""


def real_members(config: Config) -> tuple[AssetMember, ...]:
    """Return the real devices of the configuration: the ``modbus`` block, then ``devices``.

    Writing stays off in monitor mode, whatever the devices say.

    Raises:
        ConfigError: Unknown profile, overrides that make no profile, an endpoint that is not
            complete, several commanded devices, or capacities that do not add up to the site's.
    """
    members = []
    if config.modbus.enabled:
        members.append(_modbus_member(config, config.modbus))
    members += [_member(config, device) for device in config.devices if device.enabled]
    commanded = [member.name for member in members if member.commanded]
    if len(commanded) > 1:
        raise ConfigError(
            f"More than one device would be commanded ({', '.join(commanded)}).",
            field=_field(commanded[1], "write_enabled"),
            value=True,
            hint="Set write_enabled: false for all but one of them.",
        )
    _check_capacity(config, members)
    return tuple(members)


def mapped_signals(config: Config) -> frozenset[str]:
    """Return the signals that are taken from MQTT topics."""
    inputs = config.mqtt.inputs if config.mqtt.enabled else []
    return frozenset(entry.signal for entry in inputs)


def check_contact(config: Config, supplied: frozenset[str]) -> None:
    """Refuse a contact that nobody reads, and one that is read and would be ignored.

    Args:
        config: Configuration.
        supplied: Signals that some device or topic is meant to supply.

    Raises:
        ConfigError: ``limits.external`` and the devices do not agree.
    """
    if config.limits.reads_contact and EXTERNAL_CONTACT not in supplied:
        raise ConfigError(
            f"The digital input is to be read from a device, but none supplies {EXTERNAL_CONTACT}.",
            field="limits.external",
            value="contact_from: device",
            hint=f"Add {EXTERNAL_CONTACT} with address and function under registers of an enabled "
            "device (profile digital_input_module for an input module), or set contact_from: api.",
        )
    if EXTERNAL_CONTACT in supplied and not config.limits.reads_contact:
        raise ConfigError(
            f"A device supplies {EXTERNAL_CONTACT}, but no limit follows from it.",
            field="limits.external",
            value=[entry.source for entry in config.limits.external],
            hint="Add {source: digital_input, contact_from: device} under limits.external, or set "
            f"{EXTERNAL_CONTACT} to null under registers of the device.",
        )


def profile_of(
    key: str,
    field: str,
    registers: Mapping[str, RegisterConfig | None],
    *,
    status_codes: Mapping[int, str] | None = None,
    address_base: int | None = None,
) -> DeviceProfile:
    """Return the profile `key` with the configuration's registers over its own.

    Raises:
        ConfigError: Unknown profile, or the result is not valid; names ``<field>.<key>``.
    """
    if key not in MODBUS_PROFILES:
        raise ConfigError(
            f"'{key}' is not a known device profile.",
            field=f"{field}.profile",
            value=key,
            hint=f"Known profiles: {', '.join(sorted(MODBUS_PROFILES))}.",
        )
    overrides: dict[str, Mapping[str, Any] | None] = {
        signal: None if register is None else register.model_dump(exclude_unset=True)
        for signal, register in registers.items()
    }
    try:
        return with_overrides(
            MODBUS_PROFILES[key],
            overrides,
            status_codes={int(k): v for k, v in status_codes.items()} if status_codes else None,
            address_base=address_base,
        )
    except DeviceError as exc:
        raise ConfigError(
            exc.message, field=f"{field}.{exc.field}", value=exc.value, hint=exc.hint
        ) from exc


def spec_of(config: DeviceConfig, *, may_write: bool) -> DeviceSpec:
    """Return the device an entry of ``devices`` describes.

    Args:
        config: The entry.
        may_write: False keeps the device read-only whatever the entry says.

    Raises:
        ConfigError: As `profile_of`.
    """
    profile = profile_of(
        config.profile,
        f"devices.{config.name}",
        config.registers,
        status_codes=config.status_codes,
        address_base=config.address_base,
    )
    usual = profile.connection
    return DeviceSpec(
        name=config.name,
        profile=profile,
        host=config.host or "",
        port=_stated(config.port, usual.port),
        unit_id=_stated(config.unit_id, usual.unit_id),
        timeout_s=_stated(config.timeout_s, usual.timeout_s),
        poll_interval_s=_stated(config.poll_interval_s, usual.poll_interval_s),
        writable=config.write_enabled and may_write,
        transport=Transport(config.connection),
        serial=_serial_line(config.serial),
        min_request_gap_s=usual.min_request_gap_s,
        connect_delay_s=usual.connect_delay_s,
        address_base_confirmed=config.address_base is not None,
    )


_T = TypeVar("_T")


def _stated(value: _T | None, usual: _T) -> _T:
    return usual if value is None else value


def may_write(config: Config) -> bool:
    """True unless the site is only monitored: then no code path can write, not even the stop."""
    return config.ems.mode == "auto"


def _modbus_member(config: Config, modbus: ModbusConfig) -> AssetMember:
    if modbus.connection_type == "rtu" and modbus.serial is None:
        raise ConfigError(
            "A serial connection (rtu) needs a serial line.",
            field="modbus.connection_type",
            value=modbus.connection_type,
            hint="Add modbus.serial, for example serial: {device: /dev/ttyUSB0}, or use tcp.",
        )
    serial = _serial_line(modbus.serial) if modbus.connection_type == "rtu" else None
    profile = profile_of(
        modbus.profile,
        "modbus",
        modbus.registers,
        status_codes=modbus.status_codes,
        address_base=modbus.address_base,
    )
    spec = DeviceSpec(
        name=MODBUS_DEVICE_NAME,
        profile=profile,
        host="" if serial else modbus.host,
        port=modbus.port,
        unit_id=modbus.slave_id,
        timeout_s=modbus.timeout,
        poll_interval_s=modbus.poll_interval_s,
        writable=modbus.write_enabled and may_write(config),
        transport=Transport(modbus.connection_type),
        serial=serial,
        min_request_gap_s=profile.connection.min_request_gap_s,
        connect_delay_s=profile.connection.connect_delay_s,
        address_base_confirmed=modbus.address_base is not None,
    )
    roles = roles_of(spec.profile)
    # Beside further batteries the block's battery is what they leave of the site's capacity.
    stated = sum(d.energy_capacity_kwh or 0.0 for d in config.devices if d.enabled)
    rest = config.bess.energy_capacity_kwh - stated
    return AssetMember(
        spec, roles, energy_capacity_kwh=rest if rest > 0 else None, roles_stated=False
    )


def _member(config: Config, device: DeviceConfig) -> AssetMember:
    spec = spec_of(device, may_write=may_write(config))
    stated = device.roles is not None
    roles = (
        frozenset(Role(role) for role in device.roles) if device.roles else roles_of(spec.profile)
    )
    return AssetMember(spec, roles, device.storage, device.energy_capacity_kwh, stated)


def _serial_line(serial: SerialConfig | None) -> SerialLine | None:
    if serial is None:
        return None
    return SerialLine(serial.device, serial.baudrate, serial.parity, serial.stop_bits)


def _check_capacity(config: Config, members: list[AssetMember]) -> None:
    stated = [device for device in config.devices if device.enabled and device.energy_capacity_kwh]
    if not stated:
        return
    total_kwh = sum(device.energy_capacity_kwh or 0.0 for device in stated)
    if config.modbus.enabled and Role.BMS in members[0].roles:
        total_kwh += members[0].energy_capacity_kwh or 0.0
    site_kwh = config.bess.energy_capacity_kwh
    if abs(total_kwh - site_kwh) > CAPACITY_TOLERANCE * site_kwh:
        raise ConfigError(
            f"The batteries' capacities add up to {total_kwh:g} kWh, the site's is "
            f"{site_kwh:g} kWh.",
            field="bess.energy_capacity_kwh",
            value=site_kwh,
            hint="Correct bess.energy_capacity_kwh or the energy_capacity_kwh of the devices.",
        )


def _field(name: str, key: str) -> str:
    return f"modbus.{key}" if name == MODBUS_DEVICE_NAME else f"devices.{name}.{key}"

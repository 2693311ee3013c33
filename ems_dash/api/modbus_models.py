"""Requests and answers of the Modbus routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ems_dash.api.models import ApiModel, UtcTime
from engine.config.devices import DeviceConfig, ModbusConfig, RegisterConfig
from engine.devices.assets.capabilities import EnergyStorage, PowerConversion
from engine.devices.assets.site import SiteAssets
from engine.devices.command_state import LimitState
from engine.devices.connection_test import ConnectionReport
from engine.devices.link_statistics import UnitStatistics
from engine.devices.profile_def import DeviceProfile
from engine.devices.rtc import RtcState


class ConnectionTestRequest(BaseModel):
    """``POST /api/modbus/test``: a configured device by name, or the settings of a new one.

    ``device`` alone names a configured device; else ``profile`` and ``host`` are needed.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    device: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    profile: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    connection: Literal["tcp", "rtu_over_tcp"] = "tcp"
    host: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    unit_id: Annotated[int, Field(ge=0, le=255)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=5)] = 2.0
    address_base: Literal[0, 1] | None = None
    status_codes: Annotated[dict[int, str], Field(max_length=100)] = Field(default_factory=dict)
    registers: Annotated[dict[str, RegisterConfig | None], Field(max_length=200)] = Field(
        default_factory=dict
    )


class AssetInfo(ApiModel):
    """One asset of the site and the devices behind it."""

    name: str
    kind: str
    devices: list[str]
    takes_setpoints: bool


class ModbusConfigAnswer(ApiModel):
    """``GET /api/modbus/config``: the configured devices, as the program runs with them."""

    demo: bool
    modbus: ModbusConfig
    devices: list[DeviceConfig]
    assets: list[AssetInfo]


class ProfileSummary(ApiModel):
    """One device profile in the list."""

    key: str
    label: str
    manufacturer: str
    kinds: list[str]
    takes_setpoints: bool
    takes_limits: bool
    verified_on_hardware: bool


class ProfileRegister(ApiModel):
    """One register of a profile."""

    address: int
    function: int
    type: str
    scale: float
    offset: float
    unit: str
    positive_means: str | None
    min: float | None
    max: float | None
    description: str


class ProfileAlarm(ApiModel):
    """One alarm of a profile."""

    address: int
    function: int
    severity: str


class ProfileDetail(ProfileSummary):
    """``GET /api/modbus/profiles?profile=<key>``: everything an installer needs to know."""

    source: str
    address_base: int
    address_base_stated: bool
    word_order: str
    max_registers: int
    signals: list[str]
    registers: dict[str, ProfileRegister]
    alarms: dict[str, ProfileAlarm]
    status_codes: dict[int, str]
    notes: list[str]


class ProfilesAnswer(ApiModel):
    """``GET /api/modbus/profiles``."""

    profiles: list[ProfileSummary]


class StepInfo(ApiModel):
    """One step of a connection test."""

    name: str
    state: str
    detail: str
    hint: str | None
    duration_ms: float


class LayoutCandidateInfo(ApiModel):
    """How plausible the values are under one address base and word order."""

    address_base: int
    word_order_swapped: bool
    configured: bool
    score: float | None
    by_function: dict[int, float]
    values: dict[str, float]


class RegisterReadingInfo(ApiModel):
    """One register as it was read."""

    signal: str
    address: int | None
    function: int | None
    data_type: str | None
    words: list[int] | None
    value: float | None
    unit: str
    quality: str
    reason: str | None
    latency_ms: float | None
    description: str


class FindingInfo(ApiModel):
    """What looks wrong, and what to try."""

    severity: str
    code: str
    signals: list[str]
    message: str
    hint: str


class ConnectionTestAnswer(ApiModel):
    """What a connection test found; nothing was written to the device."""

    ok: bool
    device: str
    profile: str
    endpoint: str
    unit_id: int
    through_live_link: bool
    simulated: bool
    started: UtcTime
    duration_ms: float
    out_of_time: bool
    address_base: int | None
    steps: list[StepInfo]
    candidates: list[LayoutCandidateInfo]
    registers: list[RegisterReadingInfo]
    findings: list[FindingInfo]


def connection_test_answer(report: ConnectionReport) -> ConnectionTestAnswer:
    """Return the API's view of a report."""
    return ConnectionTestAnswer.model_validate(report)


def profile_summary(profile: DeviceProfile) -> ProfileSummary:
    """Return one line about a profile."""
    return ProfileSummary(
        key=profile.key,
        label=profile.label,
        manufacturer=profile.manufacturer,
        kinds=[kind.value for kind in profile.kinds],
        takes_setpoints="set_power_kw" in profile.commands,
        takes_limits="limit_power_kw" in profile.commands,
        verified_on_hardware=profile.verified_on_hardware,
    )


def profile_detail(profile: DeviceProfile) -> ProfileDetail:
    """Return everything about a profile."""
    registers = {
        signal: ProfileRegister(
            address=register.address,
            function=register.function,
            type=register.type.value,
            scale=register.scale,
            offset=register.offset,
            unit=register.unit or "",
            positive_means=register.positive_means.value if register.positive_means else None,
            min=register.min,
            max=register.max,
            description=register.description,
        )
        for signal, register in profile.registers.items()
    }
    return ProfileDetail(
        **profile_summary(profile).model_dump(),
        source=profile.source,
        address_base=profile.address_base,
        address_base_stated=profile.address_base_stated,
        word_order=profile.word_order.value,
        max_registers=profile.max_registers,
        signals=sorted(profile.signals),
        registers=registers,
        alarms={
            name: ProfileAlarm(
                address=alarm.address, function=alarm.function, severity=alarm.severity.value
            )
            for name, alarm in profile.alarms.items()
        },
        status_codes=dict(profile.status_codes),
        notes=list(profile.notes),
    )


def asset_infos(assets: SiteAssets) -> list[AssetInfo]:
    """Return every asset of a site."""
    infos = []
    for storage in assets.storages:
        whole = isinstance(storage, EnergyStorage)
        part = "power_conversion" if isinstance(storage, PowerConversion) else "battery"
        infos.append(
            AssetInfo(
                name=storage.name,
                kind="energy_storage" if whole else part,
                devices=[member.name for member in storage.members],
                takes_setpoints=isinstance(storage, PowerConversion) and storage.takes_setpoints,
            )
        )
    for kind, others in (
        ("pv_generator", assets.pv_generators),
        ("meter", assets.meters),
        ("ev_charger", assets.ev_chargers),
        ("heat_pump", assets.heat_pumps),
    ):
        for asset in others:
            devices = [member.name for member in asset.members]
            infos.append(
                AssetInfo(name=asset.name, kind=kind, devices=devices, takes_setpoints=False)
            )
    return infos


class LinkStatisticsInfo(ApiModel):
    """Requests to one device since start."""

    requests: int
    errors: int
    errors_by_kind: dict[str, int]
    latency_ms: float | None
    latency_mean_ms: float | None
    latency_p95_ms: float | None
    latency_max_ms: float | None


class DeviceClockInfo(ApiModel):
    """Clock of one device."""

    state: str
    reason: str | None
    ts: UtcTime | None
    drift_s: float | None


class DeviceLimitInfo(ApiModel):
    """Power limit of one device; a limit of null is none."""

    state: str
    reason: str | None
    requested_kw: float | None
    written_kw: float | None
    readback_kw: float | None
    measured_kw: float | None
    flash_writes_today: int | None
    daily_write_budget: int | None


class DeviceRegister(ApiModel):
    """One value of a device, and the registers it was read from; see its profile."""

    name: str
    kind: str
    address: int
    function: int
    type: str
    words: list[int] | None
    value: float | None
    unit: str | None
    quality: str
    reason: str | None
    ts: UtcTime | None
    description: str
    text: str | None


class DeviceRegistersAnswer(ApiModel):
    """``GET /api/modbus/registers``: every value of one device as it was last read."""

    device: str
    registers: list[DeviceRegister]


class ModbusStatusAnswer(ApiModel):
    """``GET /api/modbus/status``: how the connections are doing, by device name."""

    statistics: dict[str, LinkStatisticsInfo]
    clocks: dict[str, DeviceClockInfo]
    limits: dict[str, DeviceLimitInfo]


def modbus_status_answer(
    statistics: Mapping[str, UnitStatistics],
    clocks: Mapping[str, RtcState],
    limits: Mapping[str, LimitState],
) -> ModbusStatusAnswer:
    """Return the API's view of link statistics, device clocks and power limits."""
    return ModbusStatusAnswer(
        statistics={
            name: LinkStatisticsInfo(
                requests=unit.requests,
                errors=unit.errors,
                errors_by_kind=dict(unit.errors_by_kind),
                latency_ms=unit.latency_ms,
                latency_mean_ms=unit.latency_mean_ms,
                latency_p95_ms=unit.latency_p95_ms,
                latency_max_ms=unit.latency_max_ms,
            )
            for name, unit in statistics.items()
        },
        clocks={
            name: DeviceClockInfo(
                state=clock.state.value, reason=clock.reason, ts=clock.ts, drift_s=clock.drift_s
            )
            for name, clock in clocks.items()
        },
        limits={
            name: DeviceLimitInfo(
                state=limit.state.value,
                reason=limit.reason,
                requested_kw=limit.requested_kw,
                written_kw=limit.written_kw,
                readback_kw=limit.readback_kw,
                measured_kw=limit.measured_kw,
                flash_writes_today=limit.flash_writes_today,
                daily_write_budget=limit.daily_write_budget,
            )
            for name, limit in limits.items()
        },
    )

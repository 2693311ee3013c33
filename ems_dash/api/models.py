"""What the API answers with: pydantic models built from the engine's snapshot.

Numbers are finite or ``null``, times ISO 8601 with ``Z``, units part of the names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from engine.domain.plan import Plan
from engine.domain.sample import ProcessImage, Quality
from engine.domain.signals import SIGNALS
from engine.domain.site import Site
from engine.domain.snapshot import EngineSnapshot
from engine.telemetry.recent import RecentCycle


def _utc_text(ts: datetime) -> str:
    return ts.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcTime = Annotated[
    datetime,
    PlainSerializer(_utc_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class ApiModel(BaseModel):
    """Base of all answers: read from attributes, finite numbers only."""

    model_config = ConfigDict(from_attributes=True, allow_inf_nan=False)


class ApiRequest(BaseModel):
    """Base of all bodies of requests: nothing unknown, nothing bent into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ErrorBody(ApiModel):
    """The one error shape."""

    code: str
    message: str
    field: str | None = None
    hint: str | None = None


class ErrorAnswer(ApiModel):
    """An error answer."""

    error: ErrorBody


class Page(ApiModel):
    """Part of a list that comes in pages; `next` is the path of the next page."""

    total: int
    next: str | None


class SiteInfo(ApiModel):
    """Which site, and how large its battery is."""

    id: str
    name: str
    timezone: str
    energy_capacity_kwh: float
    power_charge_max_kw: float
    power_discharge_max_kw: float
    soc_min_percent: float
    soc_max_percent: float


class SignalValue(ApiModel):
    """One signal with its origin and quality."""

    value: float | None
    unit: str
    ts: UtcTime
    source: str
    quality: str
    reason: str | None


class LimitsInfo(ApiModel):
    """Power range allowed now and what sets it."""

    charge_kw: float
    discharge_kw: float
    charge_binding: str
    discharge_binding: str


class SetpointInfo(ApiModel):
    """Decision of the control law; + discharge, - charge."""

    ts: UtcTime
    power_kw: float
    wanted_kw: float
    reason: str
    binding: str | None


class PriceInfo(ApiModel):
    """Price of the running quarter-hour; no day-ahead price under a tariff without one."""

    spot_eur_per_kwh: float | None
    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    source: str
    fetched_at: UtcTime | None
    is_forecast: bool


class PlanSummary(ApiModel):
    """The published plan in one line."""

    plan_id: str
    created_at: UtcTime
    strategy: str
    trigger: str
    profit_24h_eur: float
    status: str
    solver: str
    gap: float
    solve_ms: float


class DeviceInfo(ApiModel):
    """One device connection."""

    name: str
    state: str
    reason: str | None
    endpoint: str
    requests: int
    errors: int
    latency_ms: float | None
    simulated: bool
    writable: bool


class HealthInfo(ApiModel):
    """Supervision record of one recurring step."""

    name: str
    ok: bool
    last_success: UtcTime | None
    failures: int
    restarts: int
    last_error: str | None


class NoticeInfo(ApiModel):
    """A standing remark."""

    code: str
    severity: str
    detail: str | None


class AlarmInfo(ApiModel):
    """One alarm that is active or not acknowledged; `source` is the battery or the engine."""

    id: str
    name: str
    source: str
    severity: str
    subject: str | None
    message: str | None
    active: bool
    raised_at: UtcTime
    cleared_at: UtcTime | None
    acknowledged: bool
    acknowledged_at: UtcTime | None
    count: int
    flapping: bool


class AlarmsAnswer(ApiModel):
    """``GET /api/alarms``, newest first."""

    alarms: list[AlarmInfo]


class AlarmEvent(ApiModel):
    """Event ``alarm`` of ``GET /api/events``; `change` says what happened to it.

    That is raised, cleared, acknowledged, changed, or gone: no more active and seen.
    """

    change: str
    alarm: AlarmInfo


class AcknowledgeRequest(ApiRequest):
    """``POST /api/alarms/ack``: one alarm by name or id, or all when left out."""

    name: Annotated[str, Field(max_length=200)] | None = None


class AcknowledgedAnswer(ApiModel):
    """What was acknowledged by this call."""

    acknowledged: list[str]


class EventInfo(ApiModel):
    """Something that happened."""

    ts: UtcTime
    severity: str
    code: str
    message: str


class EventsAnswer(Page):
    """``GET /api/history/events``: a page of what happened, oldest first."""

    events: list[EventInfo]


class CommandInfo(ApiModel):
    """How far the newest power command got; + discharge, - charge."""

    state: str
    reason: str | None
    requested_kw: float | None
    written_kw: float | None
    readback_kw: float | None
    measured_kw: float | None
    flash_writes_today: int | None
    daily_write_budget: int | None


class RecentValues(ApiModel):
    """One control cycle; quality only of signals that are not good."""

    ts: UtcTime
    values: dict[str, float | None]
    quality: dict[str, str]


class TelemetryAnswer(ApiModel):
    """``GET /api/monitoring/telemetry``: the newest values as shown, and the cycles behind."""

    simulated: bool
    shown: dict[str, SignalValue]
    cycles: list[RecentValues]


class StateAnswer(ApiModel):
    """``GET /api/state``: everything known after the newest control cycle."""

    seq: int
    ts: UtcTime
    site: SiteInfo
    state: str
    state_reason: str | None
    simulated: bool
    time_factor: float
    heartbeat_age_s: float
    signals: dict[str, SignalValue]
    limits: LimitsInfo | None
    setpoint: SetpointInfo | None
    price: PriceInfo | None
    plan: PlanSummary | None
    energy_cost_today_eur: float | None
    devices: list[DeviceInfo]
    health: list[HealthInfo]
    notices: list[NoticeInfo]
    alarms: list[AlarmInfo]
    command: CommandInfo | None


class PlanStep(ApiModel):
    """One step of the plan; powers are means over the step."""

    ts: UtcTime
    battery_kw: float
    grid_kw: float
    load_kw: float
    pv_kw: float
    curtailed_kw: float
    soc_kwh: float
    soc_percent: float
    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    spot_eur_per_kwh: float | None
    price_is_forecast: bool
    stored_value_eur_per_kwh: float


class CheckInfo(ApiModel):
    """Result of the independent replay."""

    passed: bool
    max_violation_kw: float
    max_violation_kwh: float
    cost_difference_eur: float
    messages: list[str]


class PlanAnswer(PlanSummary):
    """``GET /api/plan``: the published plan, step by step."""

    site_id: str
    start: UtcTime
    step_minutes: int
    soc_start_kwh: float
    cost_eur: float
    baseline_cost_eur: float
    gave_way: dict[str, float]
    forecast_sources: dict[str, str]
    check: CheckInfo
    steps: list[PlanStep]


class SitesAnswer(ApiModel):
    """The sites this installation serves."""

    sites: list[SiteInfo]


class TelemetryRow(ApiModel):
    """One control cycle as a row; a value that cannot be used is null."""

    ts: UtcTime
    values: dict[str, float | None]


class PlanRequested(ApiModel):
    """``POST /api/plan``: a new plan was asked for."""

    requested: bool
    plan_in_force: str | None


class HealthAnswer(ApiModel):
    """``GET /healthz``: is the process alive and its control loop beating."""

    status: str
    heartbeat_age_s: float
    state: str


def signal_values(image: ProcessImage) -> dict[str, SignalValue]:
    """Return every signal of a process image with its quality."""
    return {
        name: SignalValue(
            value=sample.value,
            unit=SIGNALS[name].unit if name in SIGNALS else "",
            ts=sample.ts,
            source=sample.source,
            quality=sample.quality.value,
            reason=sample.reason,
        )
        for name, sample in image.samples.items()
    }


def telemetry_answer(snapshot: EngineSnapshot, cycles: Sequence[RecentCycle]) -> TelemetryAnswer:
    """Return the API's view of the recent control cycles."""
    return TelemetryAnswer(
        simulated=snapshot.image.simulated,
        shown=signal_values(snapshot.display),
        cycles=[
            RecentValues(
                ts=cycle.ts,
                values={name: value for name, value, _ in cycle.items()},
                quality={
                    name: quality.value
                    for name, _, quality in cycle.items()
                    if quality is not Quality.GOOD
                },
            )
            for cycle in cycles
        ],
    )


def telemetry_rows(cycles: Sequence[RecentCycle]) -> list[TelemetryRow]:
    """Return recent control cycles as rows."""
    return [
        TelemetryRow(
            ts=cycle.ts,
            values={name: _usable(value, quality) for name, value, quality in cycle.items()},
        )
        for cycle in cycles
    ]


def _usable(value: float | None, quality: Quality) -> float | None:
    return value if quality in (Quality.GOOD, Quality.UNCERTAIN) else None


def site_info(site: Site) -> SiteInfo:
    """Return the API's view of a site."""
    battery = site.battery
    return SiteInfo(
        id=site.site_id,
        name=site.name,
        timezone=site.timezone,
        energy_capacity_kwh=battery.energy_capacity_kwh,
        power_charge_max_kw=battery.power_charge_max_kw,
        power_discharge_max_kw=battery.power_discharge_max_kw,
        soc_min_percent=battery.soc_min_percent,
        soc_max_percent=battery.soc_max_percent,
    )


def state_answer(snapshot: EngineSnapshot, heartbeat_age_s: float) -> StateAnswer:
    """Return the API's view of a snapshot."""
    site = snapshot.site
    return StateAnswer(
        seq=snapshot.seq,
        ts=snapshot.ts,
        site=site_info(site),
        state=snapshot.state.value,
        state_reason=snapshot.state_reason,
        simulated=snapshot.image.simulated,
        time_factor=snapshot.time_factor,
        heartbeat_age_s=heartbeat_age_s,
        signals=signal_values(snapshot.image),
        limits=LimitsInfo.model_validate(snapshot.limits) if snapshot.limits else None,
        setpoint=SetpointInfo.model_validate(snapshot.setpoint) if snapshot.setpoint else None,
        price=PriceInfo.model_validate(snapshot.price) if snapshot.price else None,
        plan=PlanSummary.model_validate(snapshot.plan) if snapshot.plan else None,
        energy_cost_today_eur=snapshot.energy_cost_today_eur,
        devices=[DeviceInfo.model_validate(link) for link in snapshot.links],
        health=[HealthInfo.model_validate(step) for step in snapshot.health],
        notices=[NoticeInfo.model_validate(notice) for notice in snapshot.notices],
        alarms=[AlarmInfo.model_validate(alarm) for alarm in snapshot.alarms],
        command=CommandInfo.model_validate(snapshot.command) if snapshot.command else None,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def plan_answer(plan: Plan, energy_capacity_kwh: float) -> PlanAnswer:
    """Return the API's view of a plan."""
    steps = [
        PlanStep(
            ts=ts,
            battery_kw=float(plan.battery_kw[i]),
            grid_kw=float(plan.grid_kw[i]),
            load_kw=float(plan.load_kw[i]),
            pv_kw=float(plan.pv_kw[i]),
            curtailed_kw=float(plan.curtailed_kw[i]),
            soc_kwh=float(plan.soc_kwh[i]),
            soc_percent=100.0 * float(plan.soc_kwh[i]) / energy_capacity_kwh,
            buy_eur_per_kwh=float(plan.buy_eur_per_kwh[i]),
            sell_eur_per_kwh=float(plan.sell_eur_per_kwh[i]),
            spot_eur_per_kwh=_finite(float(plan.spot_eur_per_kwh[i])),
            price_is_forecast=bool(plan.price_is_forecast[i]),
            stored_value_eur_per_kwh=float(plan.stored_value_eur_per_kwh[i]),
        )
        for i, ts in enumerate(plan.times())
    ]
    return PlanAnswer(
        **PlanSummary.model_validate(plan).model_dump(),
        site_id=plan.site_id,
        start=plan.start,
        step_minutes=plan.step_minutes,
        soc_start_kwh=plan.soc_start_kwh,
        cost_eur=plan.cost_eur,
        baseline_cost_eur=plan.baseline_cost_eur,
        gave_way=dict(plan.gave_way),
        forecast_sources=dict(plan.forecast_sources),
        check=CheckInfo(
            passed=plan.check.passed,
            max_violation_kw=plan.check.max_violation_kw,
            max_violation_kwh=plan.check.max_violation_kwh,
            cost_difference_eur=plan.check.cost_difference_eur,
            messages=list(plan.check.messages),
        ),
        steps=steps,
    )

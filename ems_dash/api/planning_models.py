"""What the planning routes take and answer with: strategies, their choice, forecasts."""

from __future__ import annotations

from pydantic import AwareDatetime, ConfigDict

from ems_dash.api.models import ApiModel, UtcTime
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.quarter_hour import STEP
from engine.domain.strategy import Selection, StrategyKey, StrategyState

UNITS = {PRICE_SIGNAL: "EUR/kWh", LOAD_SIGNAL: "kW", PV_SIGNAL: "kW"}


class CandidateInfo(ApiModel):
    """What one strategy's plan is worth under the tariff the site pays; null: it has no plan."""

    strategy: StrategyKey
    cost_eur: float | None
    saving_eur: float | None
    energy_eur: float | None
    wear_eur: float | None
    demand_eur: float | None
    peak_kw: float | None
    self_consumption: float | None
    full_cycles: float | None
    reason: str | None


class SelectionInfo(ApiModel):
    """The choice made for the plan in force."""

    ts: UtcTime
    plan_id: str
    active: StrategyKey
    previous: StrategyKey | None
    best: StrategyKey
    mode: str
    reason: str
    gain_eur: float
    needed_eur: float
    manual_until: UtcTime | None
    candidates: list[CandidateInfo]


class StrategiesAnswer(ApiModel):
    """``GET /api/strategies``: how the strategy is chosen, and what each is worth."""

    mode: str
    manual: StrategyKey | None
    manual_until: UtcTime | None
    switch_threshold: float
    min_dwell_minutes: int
    strategies: list[StrategyKey]
    selection: SelectionInfo | None


class StrategyRequest(ApiModel):
    """``POST /api/strategy``: one strategy until a time, or for some hours; exactly one of both."""

    model_config = ConfigDict(extra="forbid")

    strategy: StrategyKey
    until: AwareDatetime | None = None
    hours: float | None = None


class ForecastSeries(ApiModel):
    """One forecast in steps of 15 minutes; a known step is published, not forecast."""

    signal: str
    unit: str
    model: str
    method: str
    issued_at: UtcTime
    start: UtcTime
    step_minutes: int
    known: list[bool]
    p10: list[float]
    p50: list[float]
    p90: list[float]


class ForecastAnswer(ApiModel):
    """``GET /api/forecast``: what the plan in force expects."""

    site_id: str
    forecasts: list[ForecastSeries]


def strategies_answer(state: StrategyState) -> StrategiesAnswer:
    """Return the API's view of the choice of strategy."""
    return StrategiesAnswer(
        mode=state.mode,
        manual=state.manual,
        manual_until=state.manual_until,
        switch_threshold=state.switch_threshold,
        min_dwell_minutes=state.min_dwell_minutes,
        strategies=list(StrategyKey),
        selection=selection_info(state.selection) if state.selection is not None else None,
    )


def forecast_series(forecast: Forecast) -> ForecastSeries:
    """Return the API's view of a forecast."""
    return ForecastSeries(
        signal=forecast.signal,
        unit=UNITS[forecast.signal],
        model=forecast.model,
        method=forecast.method,
        issued_at=forecast.issued_at,
        start=forecast.start,
        step_minutes=int(STEP.total_seconds() // 60),
        known=forecast.known.tolist(),
        p10=forecast.p10.tolist(),
        p50=forecast.p50.tolist(),
        p90=forecast.p90.tolist(),
    )


def selection_info(selection: Selection) -> SelectionInfo:
    """Return the API's view of one choice."""
    return SelectionInfo(
        ts=selection.ts,
        plan_id=selection.plan_id,
        active=selection.active,
        previous=selection.previous,
        best=selection.best,
        mode=selection.mode,
        reason=selection.reason.value,
        gain_eur=selection.gain_eur,
        needed_eur=selection.needed_eur,
        manual_until=selection.manual_until,
        candidates=[CandidateInfo.model_validate(c) for c in selection.candidates],
    )

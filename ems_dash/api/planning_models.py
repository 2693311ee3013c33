"""What the planning routes take and answer with: strategies, their choice, forecasts."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import AwareDatetime

from ems_dash.api.models import ApiModel, ApiRequest, UtcTime
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.quarter_hour import STEP
from engine.domain.strategy import Selection, StrategyKey, StrategyState
from engine.forecasting.accuracy import LeadScore
from engine.runtime.accuracy_service import ModelAccuracy

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


class StrategyRequest(ApiRequest):
    """``POST /api/strategy``: one strategy until a time, or for some hours; exactly one of both."""

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


class ForecastRow(ApiModel):
    """One step of one forecast as a row."""

    ts: UtcTime
    signal: str
    unit: str
    known: bool
    p10: float
    p50: float
    p90: float


class PriceRowInfo(ApiModel):
    """The published price of one quarter-hour, and what buying and selling cost then."""

    ts: UtcTime
    minutes: int
    spot_eur_per_kwh: float
    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    source: str
    fetched_at: UtcTime


class PricesAnswer(ApiModel):
    """``GET /api/prices``: published prices in steps of 15 minutes, ascending."""

    site_id: str
    prices: list[PriceRowInfo]


class LeadScoreInfo(ApiModel):
    """Errors of one class of lead times, in the unit of the series."""

    lead_from_hours: float
    lead_to_hours: float | None
    n: int
    mae: float
    rmse: float
    bias: float
    rmae: float | None
    pinball: float
    coverage: float


class ModelAccuracyInfo(ApiModel):
    """How good one model was for one series; rmae is against the values a week before."""

    signal: str
    unit: str
    model: str
    poor: bool
    overall: LeadScoreInfo
    by_lead: list[LeadScoreInfo]


class AccuracyAnswer(ApiModel):
    """``GET /api/forecast/accuracy``: forecasts against what came."""

    site_id: str
    days: int
    models: list[ModelAccuracyInfo]


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


def forecast_rows(forecasts: Sequence[ForecastSeries]) -> list[ForecastRow]:
    """Return forecasts as rows, one forecast after the other."""
    return [
        ForecastRow(
            ts=one.start + i * STEP,
            signal=one.signal,
            unit=one.unit,
            known=one.known[i],
            p10=one.p10[i],
            p50=one.p50[i],
            p90=one.p90[i],
        )
        for one in forecasts
        for i in range(len(one.p50))
    ]


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


def accuracy_answer(site_id: str, days: int, models: Sequence[ModelAccuracy]) -> AccuracyAnswer:
    """Return the API's view of how good forecasts were."""
    return AccuracyAnswer(
        site_id=site_id,
        days=days,
        models=[
            ModelAccuracyInfo(
                signal=entry.signal,
                unit=UNITS[entry.signal],
                model=entry.model,
                poor=entry.poor,
                overall=_lead_score(entry.overall),
                by_lead=[_lead_score(one) for one in entry.by_lead],
            )
            for entry in models
        ],
    )


def _lead_score(found: LeadScore) -> LeadScoreInfo:
    step_hours = STEP.total_seconds() / 3600.0
    last = found.lead_to_steps
    return LeadScoreInfo(
        lead_from_hours=found.lead_from_steps * step_hours,
        lead_to_hours=None if last is None else last * step_hours,
        n=found.n,
        mae=found.mae,
        rmse=found.rmse,
        bias=found.bias,
        rmae=found.rmae,
        pinball=found.pinball,
        coverage=found.coverage,
    )

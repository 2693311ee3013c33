"""What the analytics routes answer with: savings, key figures, attribution, data quality."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date

import numpy as np

from ems_dash.api.models import ApiModel, Page, UtcTime
from engine.analytics.baselines import BASELINES
from engine.analytics.kpis import KPIS
from engine.analytics.quality import QualityReport
from engine.analytics.savings import Amounts, SavingsQuarter
from engine.domain.records import RunRow
from engine.history.columns import ColumnKey, Columns
from engine.runtime.analytics_service import DayFigures, PeriodAttribution, PeriodFigures

NOT_SHOWN = ("carry.", "gap.")
"""Prefixes of metrics that other routes answer, or that only the bookkeeping needs."""


class StateHistoryAnswer(ApiModel):
    """``GET /api/history/state``: powers in kW, + discharge and + import; null where unknown."""

    site_id: str
    resolution: str
    ts: list[UtcTime]
    series: dict[str, list[float | None]]
    state: list[str | None]


class RunInfo(ApiModel):
    """One run of the optimiser; without a plan, `message` says why."""

    ts: UtcTime
    trigger: str
    status: str
    duration_ms: float
    strategy: str | None
    plan_id: str | None
    expected_profit_eur: float | None
    solver: str | None
    gap: float | None
    solve_ms: float | None
    message: str


class StateRow(ApiModel):
    """One minute or quarter-hour of the history of states as a row."""

    ts: UtcTime
    state: str | None
    series: dict[str, float | None]


class OptimizationHistoryAnswer(Page):
    """``GET /api/history/optimization``: a page of runs, oldest first."""

    site_id: str
    days: int
    runs: list[RunInfo]


class DayInfo(ApiModel):
    """One local day: totals and key figures by name, null where unknown."""

    day: date
    closed: bool
    values: dict[str, float | None]


class DailyAnswer(ApiModel):
    """``GET /api/analytics/daily``: the last days, today included, ascending."""

    site_id: str
    timezone: str
    days: list[DayInfo]


class SummaryAnswer(ApiModel):
    """``GET /api/analytics/summary``: local days from `since` to before `until` as one period."""

    site_id: str
    timezone: str
    since: date
    until: date
    days: int
    kpis: dict[str, float | None]
    totals: dict[str, float | None]


class AmountsInfo(ApiModel):
    """Costs of one side in EUR; total = energy + demand + wear - stored."""

    energy_eur: float
    demand_eur: float
    wear_eur: float
    stored_eur: float
    total_eur: float


class QuarterInfo(ApiModel):
    """One booked quarter-hour; `sides` is empty where it does not count in comparisons."""

    ts: UtcTime
    seconds: float
    import_kwh: float
    export_kwh: float
    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    price_source: str
    method: str
    counted: bool
    energy_eur: float
    demand_eur: float
    sides: dict[str, AmountsInfo]
    saving_eur: dict[str, float | None]


class SavingsRow(ApiModel):
    """One booked quarter-hour as a row; costs of a side and savings are columns by name."""

    ts: UtcTime
    seconds: float
    import_kwh: float
    export_kwh: float
    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    price_source: str
    method: str
    counted: bool
    energy_eur: float
    demand_eur: float
    amounts: dict[str, float | None]


class SavingsAnswer(Page):
    """``GET /api/analytics/savings``: a page of the savings ledger, by quarter-hour."""

    site_id: str
    timezone: str
    baselines: list[str]
    quarters: list[QuarterInfo]


class AttributionInfo(ApiModel):
    """Parts of the gap to perfect foresight in EUR; they add up to it exactly."""

    gap_eur: float
    causes: dict[str, float]
    unknown: list[str]


class DayAttributionInfo(AttributionInfo):
    """The parts of one local day."""

    day: date


class AttributionAnswer(ApiModel):
    """``GET /api/analytics/attribution``: why less was earned than with perfect foresight."""

    site_id: str
    since: date
    until: date
    days: int
    total: AttributionInfo | None
    by_day: list[DayAttributionInfo]


class GapInfo(ApiModel):
    """A stretch without samples."""

    start: UtcTime
    minutes: int


class SignalQualityInfo(ApiModel):
    """One signal on one day; null where it cannot be said."""

    signal: str
    unusable_share: float | None
    frozen_minutes: int | None
    out_of_range_minutes: int | None
    counter_kwh: float | None
    integrated_kwh: float | None
    verdict: str


class DataFindingInfo(ApiModel):
    """Something worth saying about the data."""

    code: str
    severity: str
    signal: str | None
    value: float
    message: str


class QualityAnswer(ApiModel):
    """``GET /api/analytics/quality``: data quality of one local day."""

    site_id: str
    day: date
    minutes: int
    covered_minutes: int
    verdict: str
    summary: str
    gaps: list[GapInfo]
    balance_residual_kw: float | None
    balance_minutes: int | None
    signals: list[SignalQualityInfo]
    findings: list[DataFindingInfo]


def state_history_answer(site_id: str, found: Columns) -> StateHistoryAnswer:
    """Return the API's view of a stretch of history."""
    times = found.ts.astype("datetime64[us]").tolist()
    return StateHistoryAnswer(
        site_id=site_id,
        resolution=found.resolution.value,
        ts=[ts.replace(tzinfo=UTC) for ts in times],
        series={key.name: _numbers(found, key) for key in found.values},
        state=[None if word is None else str(word) for word in found.texts["state"]],
    )


def optimization_answer(
    site_id: str, days: int, runs: Sequence[RunRow], page: Page
) -> OptimizationHistoryAnswer:
    """Return the API's view of a page of the optimiser's runs."""
    return OptimizationHistoryAnswer(
        site_id=site_id,
        days=days,
        runs=[RunInfo.model_validate(run) for run in runs],
        **page.model_dump(),
    )


def state_rows(answer: StateHistoryAnswer) -> list[StateRow]:
    """Return a stretch of history as rows."""
    return [
        StateRow(
            ts=ts,
            state=answer.state[i],
            series={name: values[i] for name, values in answer.series.items()},
        )
        for i, ts in enumerate(answer.ts)
    ]


def savings_rows(quarters: Sequence[SavingsQuarter]) -> list[SavingsRow]:
    """Return the savings ledger as rows."""
    return [_savings_row(_quarter(one)) for one in quarters]


def _savings_row(one: QuarterInfo) -> SavingsRow:
    amounts: dict[str, float | None] = {
        f"{side}_{name}": value
        for side, costs in one.sides.items()
        for name, value in costs.model_dump().items()
    }
    amounts |= {f"saving_{name}_eur": value for name, value in one.saving_eur.items()}
    return SavingsRow(
        **one.model_dump(include=set(SavingsRow.model_fields) - {"ts"}), ts=one.ts, amounts=amounts
    )


def daily_answer(site_id: str, timezone: str, days: Sequence[DayFigures]) -> DailyAnswer:
    """Return the API's view of daily figures; every key figure is named."""
    unknown: dict[str, float | None] = dict.fromkeys(KPIS)
    return DailyAnswer(
        site_id=site_id,
        timezone=timezone,
        days=[
            DayInfo(
                day=one.day,
                closed=one.closed,
                values=unknown
                | {
                    key: value for key, value in one.values.items() if not key.startswith(NOT_SHOWN)
                },
            )
            for one in days
        ],
    )


def summary_answer(site_id: str, timezone: str, found: PeriodFigures) -> SummaryAnswer:
    """Return the API's view of a period."""
    return SummaryAnswer(
        site_id=site_id,
        timezone=timezone,
        since=found.since,
        until=found.until,
        days=found.days,
        kpis=dict(found.kpis),
        totals=dict(found.totals),
    )


def savings_answer(
    site_id: str, timezone: str, quarters: Sequence[SavingsQuarter], page: Page
) -> SavingsAnswer:
    """Return the API's view of a page of the savings ledger."""
    return SavingsAnswer(
        site_id=site_id,
        timezone=timezone,
        baselines=list(BASELINES),
        quarters=[_quarter(one) for one in quarters],
        **page.model_dump(),
    )


def attribution_answer(site_id: str, found: PeriodAttribution) -> AttributionAnswer:
    """Return the API's view of an attribution."""
    return AttributionAnswer(
        site_id=site_id,
        since=found.since,
        until=found.until,
        days=found.days,
        total=None if found.total is None else AttributionInfo.model_validate(found.total),
        by_day=[
            DayAttributionInfo(
                day=day, gap_eur=one.gap_eur, causes=dict(one.causes), unknown=list(one.unknown)
            )
            for day, one in sorted(found.by_day.items())
        ],
    )


def quality_answer(site_id: str, found: QualityReport) -> QualityAnswer:
    """Return the API's view of a data quality report."""
    return QualityAnswer(
        site_id=site_id,
        day=found.day,
        minutes=found.minutes,
        covered_minutes=found.covered_minutes,
        verdict=found.verdict,
        summary=found.summary,
        gaps=[GapInfo.model_validate(gap) for gap in found.gaps],
        balance_residual_kw=found.balance_residual_kw,
        balance_minutes=found.balance_minutes,
        signals=[SignalQualityInfo.model_validate(one) for one in found.signals],
        findings=[DataFindingInfo.model_validate(one) for one in found.findings],
    )


def _quarter(one: SavingsQuarter) -> QuarterInfo:
    booked = one.booked
    return QuarterInfo(
        ts=one.ts,
        seconds=booked.seconds,
        import_kwh=booked.import_kwh,
        export_kwh=booked.export_kwh,
        buy_eur_per_kwh=booked.buy_eur_per_kwh,
        sell_eur_per_kwh=booked.sell_eur_per_kwh,
        price_source=booked.price_source,
        method=booked.method,
        counted=one.counted,
        energy_eur=one.energy_eur,
        demand_eur=one.demand_eur,
        sides={side: _amounts(amounts) for side, amounts in one.sides.items()},
        saving_eur={baseline: one.saving_eur(baseline) for baseline in BASELINES},
    )


def _amounts(amounts: Amounts) -> AmountsInfo:
    return AmountsInfo.model_validate(amounts)


def _numbers(found: Columns, key: ColumnKey) -> list[float | None]:
    values = found.values[key]
    return [v if ok else None for v, ok in zip(values.tolist(), np.isfinite(values), strict=True)]

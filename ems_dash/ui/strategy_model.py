"""What the page says about the choice between strategies: pure functions to texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ems_dash.i18n import label, said, t
from ems_dash.ui import format as fmt
from engine.domain.control import ManualOrder
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.plan import Plan
from engine.domain.strategy import (
    CandidateValue,
    ChoiceReason,
    Selection,
    StrategyKey,
    StrategyState,
)

_ROW_OF_SIGNAL = {PRICE_SIGNAL: "price", LOAD_SIGNAL: "load", PV_SIGNAL: "pv"}


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One strategy in the comparison.

    Attributes:
        key: The strategy.
        name: Its name.
        active: True for the one in force.
        best: True for the one expected to save most.
        saving: Expected saving as money, or a dash.
        share_percent: Length of its bar, 0..100; 0 for a loss or without a plan.
        loss: True when it is expected to cost more than no battery.
        facts: Peak, self-consumption and cycles in words.
        reason: Why it has no plan; empty when it has one.
    """

    key: StrategyKey
    name: str
    active: bool
    best: bool
    saving: str
    share_percent: float
    loss: bool
    facts: str
    reason: str


def candidate_rows(selection: Selection, lang: str) -> list[CandidateRow]:
    """Return every strategy of a choice, the best first, those without a plan last."""
    savings = [c.saving_eur for c in selection.candidates if c.saving_eur is not None]
    longest = max([abs(saving) for saving in savings], default=0.0)

    def order(candidate: CandidateValue) -> tuple[bool, float]:
        saving = candidate.saving_eur
        return saving is None, 0.0 if saving is None else -saving

    return [
        _row(candidate, selection, longest, lang)
        for candidate in sorted(selection.candidates, key=order)
    ]


def _row(
    candidate: CandidateValue, selection: Selection, longest_eur: float, lang: str
) -> CandidateRow:
    saving = candidate.saving_eur
    share = 0.0 if saving is None or longest_eur <= 0.0 else 100.0 * abs(saving) / longest_eur
    return CandidateRow(
        key=candidate.strategy,
        name=label("strategy", candidate.strategy.value, lang),
        active=candidate.strategy is selection.active,
        best=candidate.strategy is selection.best,
        saving=fmt.money(saving, lang, signed=True),
        share_percent=share,
        loss=saving is not None and saving < 0.0,
        facts=_facts(candidate, lang),
        reason=said(candidate.reason, lang),
    )


def _facts(candidate: CandidateValue, lang: str) -> str:
    parts = []
    if candidate.peak_kw is not None:
        parts.append(t("choice.peak", lang, peak=fmt.power(candidate.peak_kw, lang)))
    if candidate.self_consumption is not None:
        share = fmt.percent(100.0 * candidate.self_consumption, lang)
        parts.append(t("choice.self_consumption", lang, share=share))
    if candidate.full_cycles is not None:
        cycles = fmt.number(candidate.full_cycles, 2, lang)
        parts.append(t("choice.cycles", lang, cycles=cycles))
    return " · ".join(parts)


def why_chosen(state: StrategyState, tz: ZoneInfo, lang: str) -> str:
    """Return one sentence on why the active strategy is the active one."""
    selection = state.selection
    if selection is None:
        return t("choice.none", lang)
    key = f"choice.{selection.reason.value}"
    if selection.reason is ChoiceReason.MANUAL and selection.manual_until is None:
        key = "choice.manual_configured"
    if selection.reason is ChoiceReason.SWITCHED and selection.previous is None:
        key = f"choice.{ChoiceReason.BEST.value}"

    def name(strategy: StrategyKey | None) -> str:
        return "" if strategy is None else label("strategy", strategy.value, lang)

    return t(
        key,
        lang,
        active=name(selection.active),
        best=name(selection.best),
        previous=name(selection.previous),
        manual=name(state.manual),
        gain=fmt.money(selection.gain_eur, lang),
        needed=fmt.money(selection.needed_eur, lang),
        minutes=state.min_dwell_minutes,
        until=until_text(selection.manual_until, selection.ts, tz, lang),
    )


def until_text(until: datetime | None, now: datetime, tz: ZoneInfo, lang: str) -> str:
    """Return the end of a choice by hand: the time today, with its day later; empty for none."""
    if until is None:
        return ""
    time = fmt.clock_time(until, tz)
    if until.astimezone(tz).date() == now.astimezone(tz).date():
        return time
    return f"{fmt.day_label(until, tz, lang)} {time}"


def mode_text(state: StrategyState, now: datetime, tz: ZoneInfo, lang: str) -> str:
    """Return how the strategy is chosen: automatically, or by hand and until when."""
    if state.mode != "manual":
        return t("mode.auto", lang)
    if state.manual_until is None:
        return t("mode.manual_configured", lang)
    return t("mode.manual", lang, until=until_text(state.manual_until, now, tz, lang))


def behind_plan(
    plan: Plan | None, forecasts: Mapping[str, Forecast], lang: str
) -> list[tuple[str, str]]:
    """Return what a plan rests on as (what, in words): its series, the solver and the check."""
    if plan is None:
        return []
    rows = [
        (t(f"behind.{_ROW_OF_SIGNAL[signal]}", lang), said(forecasts[signal].method, lang))
        for signal in (PRICE_SIGNAL, LOAD_SIGNAL, PV_SIGNAL)
        if signal in forecasts
    ]
    gap = t("behind.exact", lang) if plan.gap == 0.0 else t("behind.gap", lang, gap=_gap(plan.gap))
    solved = t(
        "behind.solved", lang, solver=plan.solver, ms=fmt.number(plan.solve_ms, 0, lang), gap=gap
    )
    rows.append((t("behind.solver", lang), solved))
    rows.append((t("behind.check", lang), t("behind.check_passed", lang)))
    return rows


def _gap(gap: float) -> str:
    return f"{gap:.1e}"


def order_text(order: ManualOrder | None, now: datetime, tz: ZoneInfo, lang: str) -> str:
    """Return the order in force in words, or that there is none."""
    if order is None:
        return t("hand.none", lang)
    if order.power_kw == 0.0:
        key = "hand.running_idle"
    elif order.soc_percent is None:
        key = "hand.running"
    else:
        key = "hand.running_soc"
    return t(
        key,
        lang,
        action=t("hand.discharge" if order.power_kw > 0.0 else "hand.charge", lang),
        power=fmt.power(abs(order.power_kw), lang),
        until=until_text(order.until, now, tz, lang),
        soc=fmt.percent(order.soc_percent, lang),
    )

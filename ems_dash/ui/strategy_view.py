"""The card about the choice between strategies: comparison, reason, choice by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_bootstrap_components as dbc
from dash import html

from ems_dash.i18n import label, t
from ems_dash.ui import components as ui
from ems_dash.ui import strategy_model as model
from engine.domain.forecast import Forecast
from engine.domain.plan import Plan
from engine.domain.strategy import StrategyKey, StrategyState

HOURS = (1, 2, 4, 8, 12, 24, 48)
"""How long a choice by hand may hold, as the page offers it."""

FIRST_HOURS = 4


def choice(
    state: StrategyState,
    plan: Plan | None,
    forecasts: Mapping[str, Forecast],
    *,
    now: datetime,
    tz: ZoneInfo,
    lang: str,
) -> list[Any]:
    """Return the part of the card that changes with every plan."""
    if state.selection is None:
        return [ui.empty(t("choice.none", lang))]
    head = html.P(
        [
            html.Span(
                label("strategy", state.selection.active.value, lang), className="choice-active"
            ),
            html.Span(model.mode_text(state, now, tz, lang), className="pill pill-info"),
            html.Span(model.why_chosen(state, tz, lang), className="choice-why"),
        ],
        className="choice-head",
    )
    rows = [_candidate(row, lang) for row in model.candidate_rows(state.selection, lang)]
    behind = model.behind_plan(plan, forecasts, lang)
    return [
        head,
        html.Ul(rows, className="candidates", **{"aria-label": t("choice.title", lang)}),
        html.Details(
            [
                html.Summary(t("behind.title", lang)),
                html.Dl(
                    [part for what, text in behind for part in (html.Dt(what), html.Dd(text))],
                    className="behind",
                ),
            ],
            className="behind-plan",
        )
        if behind
        else None,
    ]


def _candidate(row: model.CandidateRow, lang: str) -> Any:
    marks = []
    if row.active:
        marks.append(html.Span(t("choice.active", lang), className="pill pill-info pill-small"))
    if row.best and not row.active:
        marks.append(html.Span(t("choice.best_mark", lang), className="pill pill-info pill-small"))
    bar = html.Span(
        html.Span(
            className="candidate-fill is-loss" if row.loss else "candidate-fill",
            style={"width": f"{row.share_percent:.1f}%"},
        ),
        className="candidate-bar",
        **{"aria-hidden": "true"},
    )
    return html.Li(
        [
            html.Div([html.Span(row.name), *marks], className="candidate-name"),
            bar,
            html.Div(row.saving, className="candidate-saving"),
            html.Div(row.reason or row.facts, className="candidate-facts"),
        ],
        className="candidate is-active" if row.active else "candidate",
    )


def card(parts: list[Any], controls: Any, lang: str) -> Any:
    """Return the whole card; `controls` stand beside the comparison."""
    return html.Section(
        [
            html.Div(
                [
                    html.H2(t("choice.title", lang), id="choice-title"),
                    html.Span(t("choice.caption", lang), className="caption"),
                ],
                className="card-head",
            ),
            html.Div(
                [
                    html.Div(parts, id="ov-choice", className="choice"),
                    html.Div(controls, className="choice-column"),
                ],
                className="choice-body",
            ),
        ],
        className="card area-choice",
        **{"aria-labelledby": "choice-title"},
    )


def controls(state: StrategyState, *, allowed: bool, lang: str) -> Any:
    """Return the choice by hand, or a note that it is not possible from here."""
    if not allowed:
        return html.Div(t("choice.not_here", lang), className="choice-controls caption")
    first = state.manual or StrategyKey.PEAK_SHAVING
    return html.Div(
        [
            html.H3(t("choice.by_hand", lang)),
            dbc.Label(t("choice.strategy", lang), html_for="ov-choice-strategy"),
            dbc.Select(
                id="ov-choice-strategy",
                options=[
                    {"label": label("strategy", key.value, lang), "value": key.value}
                    for key in StrategyKey
                ],
                value=first.value,
            ),
            dbc.Label(t("choice.for", lang), html_for="ov-choice-hours"),
            dbc.Select(
                id="ov-choice-hours",
                options=[
                    {"label": t("choice.hours", lang, hours=hours), "value": str(hours)}
                    for hours in HOURS
                ],
                value=str(FIRST_HOURS),
            ),
            html.Div(
                [
                    dbc.Button(
                        t("choice.apply", lang), id="ov-choice-apply", className="button-main"
                    ),
                    dbc.Button(t("choice.auto", lang), id="ov-choice-auto", className="button"),
                ],
                className="choice-buttons",
            ),
            html.Div(id="ov-choice-said", className="choice-said", role="status"),
        ],
        className="choice-controls",
    )

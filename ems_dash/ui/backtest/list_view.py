"""The list of backtests: state, progress, what may be done with each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from dash import dcc, html

from ems_dash.i18n import label, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.backtest import words as w
from ems_dash.ui.moment import Moment
from engine.runtime.backtests.desk import ACTIVE, DONE, RUNNING, BacktestState

PATH = "/backtest"
MOST_COMPARED = 5

_PILL = {
    "queued": "info",
    "running": "info",
    "done": "ok",
    "failed": "alarm",
    "cancelled": "warn",
    "interrupted": "warn",
}


def address(result: str | None, others: Sequence[str] = ()) -> str:
    """Return the address of a result, compared with others."""
    parameters = {"result": result} if result else {}
    if result and others:
        parameters["with"] = ",".join(others)
    return f"{PATH}?{urlencode(parameters, safe=',')}" if parameters else PATH


def backtest_list(
    states: Sequence[BacktestState],
    shown: str | None,
    others: Sequence[str],
    moment: Moment,
    *,
    allowed: bool,
) -> list[Any]:
    """Return the list.

    Args:
        states: All backtests, the newest first.
        shown: Id of the one that is looked at.
        others: Ids of those it is compared with.
        moment: State of the engine, for times and language.
        allowed: Whether cancelling and deleting are offered.
    """
    lang = moment.lang
    if not states:
        hint = t("backtest.none_hint", lang) if allowed else ""
        return [ui.empty(t("backtest.none", lang), hint)]
    return [
        html.Ul(
            [_row(state, shown, others, moment, allowed=allowed) for state in states],
            className="bt-list",
        )
    ]


def _row(
    state: BacktestState,
    shown: str | None,
    others: Sequence[str],
    moment: Moment,
    *,
    allowed: bool,
) -> Any:
    lang = moment.lang
    when = f"{fmt.day_label(state.created_at, moment.tz, lang)} "
    when += f"{fmt.clock_time(state.created_at, moment.tz)} · {state.by}"
    parts: list[Any] = [
        html.Div(
            [
                dcc.Link(w.title(state.name, lang), href=address(state.id), className="bt-open"),
                html.Span(
                    t(f"backtest.state_{state.state}", lang),
                    className=f"pill pill-small pill-{_PILL[state.state]}",
                ),
            ],
            className="bt-row-head",
        ),
        html.Div(when, className="row-word"),
    ]
    if state.state == RUNNING:
        parts.append(progress(state, lang))
    actions: list[Any] = []
    if state.state == DONE and shown is not None and state.id != shown:
        if state.id in others:
            rest = [other for other in others if other != state.id]
            text, to = t("backtest.uncompare", lang), address(shown, rest)
        else:
            text, to = t("backtest.compare", lang), address(shown, [*others, state.id])
        if state.id in others or len(others) < MOST_COMPARED - 1:
            actions.append(dcc.Link(text, href=to, className="bt-link"))
    if allowed:
        active = state.state in ACTIVE
        key = "cancel" if active else "delete"
        button = html.Button(
            t(f"backtest.{key}", lang),
            type="button",
            className="bt-link",
            **{"aria-label": f"{t(f'backtest.{key}', lang)}: {w.title(state.name, lang)}"},
        )
        actions.append(
            dcc.ConfirmDialogProvider(
                button,
                id={"type": "bt-remove", "id": state.id},
                message=t(f"backtest.{key}_sure", lang, name=w.title(state.name, lang)),
            )
        )
    if actions:
        parts.append(html.Div(actions, className="bt-row-actions"))
    current = {"aria-current": "true"} if state.id == shown else {}
    return html.Li(parts, className="is-active" if current else None, **current)


def _stage(name: str, lang: str) -> str:
    if name.startswith("study_"):
        return t(f"backtest.{name}", lang)
    return label("backtest.strategy", name, lang)


def progress(state: BacktestState, lang: str) -> Any:
    """Return the bar of a backtest that runs, with what it is at."""
    percent = round(100.0 * state.share)
    first, _, rest = state.what.partition(", ")
    what = _stage(first, lang) if first else t("backtest.starting", lang)
    if rest:
        what += f" ({label('backtest.forecaster', rest.partition(', ')[0], lang)})"
    return html.Div(
        [
            html.Div(
                html.Div(className="bar-fill", style={"width": f"{percent}%"}),
                className="bar",
                role="progressbar",
                **{
                    "aria-valuenow": str(percent),
                    "aria-valuemin": "0",
                    "aria-valuemax": "100",
                    "aria-label": t("backtest.progress", lang),
                },
            ),
            html.Div(f"{fmt.percent(float(percent), lang)} · {what}", className="row-word"),
        ],
        className="bt-progress",
    )

"""What came of a backtest as components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.backtest import figures as fig
from ems_dash.ui.backtest import studies_view
from ems_dash.ui.backtest import words as w
from ems_dash.ui.backtest.form_view import field_id
from ems_dash.ui.backtest.list_view import progress
from ems_dash.ui.backtest.report import headline, money_cells, money_heads, sizing_claim
from ems_dash.ui.figure_parts import Figure
from ems_dash.ui.forecasts.figures import Look
from ems_dash.ui.segments import segments
from engine.runtime.backtests.desk import ACTIVE, BacktestState

MEASURES: tuple[str, ...] = ("npv", "payback")

Named = tuple[BacktestState, w.Result]


def body(
    state: BacktestState,
    result: w.Result | None,
    others: Sequence[Named],
    measure: str,
    look: Look,
    *,
    allowed: bool,
) -> list[Any]:
    """Return everything about one backtest.

    Args:
        state: How it is doing.
        result: What came of it so far; None for nothing.
        others: Backtests it is compared with.
        measure: What the sizing map shows.
        look: How it looks.
        allowed: Whether it may be renamed.
    """
    lang = look.lang
    parts: list[Any] = [_head(state, result, lang, allowed=allowed)]
    if state.state in ACTIVE:
        parts.append(
            html.Section(
                [
                    html.H2(t(f"backtest.state_{state.state}", lang)),
                    progress(state, lang),
                ],
                className="card",
                role="status",
            )
        )
    elif state.state != "done":
        text = state.error or t(f"backtest.why_{state.state}", lang)
        parts.append(
            html.Div(
                [html.Strong(text), html.Span(f" {state.hint}") if state.hint else None],
                className=f"notice notice-{'alarm' if state.state == 'failed' else 'warn'}",
                role="status",
            )
        )
    if result is None:
        return parts
    if result["partial"]:
        parts.append(
            html.Div(t("backtest.partial", lang), className="notice notice-warn", role="status")
        )
    top = w.best(result)
    if top is not None:
        parts.append(html.P(headline(result, top, lang), className="bt-headline"))
    if others:
        parts.append(_compared([(state, result), *others], look))
    parts += [
        _cards(result, top, lang),
        _money(result, top, lang),
        html.Div(
            [
                _chart(
                    "bt-cumulative",
                    t("backtest.cumulative_title", lang),
                    t("backtest.cumulative_caption", lang),
                    unit="€",
                    figure=fig.cumulative_figure(result, look),
                    look=look,
                    legend=[
                        (swatch, role, w.strategy_name(entry, lang))
                        for entry, (role, _, swatch) in zip(
                            fig.curves(result), fig.STYLES, strict=False
                        )
                    ],
                ),
                _chart(
                    "bt-duration",
                    t("backtest.duration_title", lang),
                    t("backtest.duration_caption", lang),
                    unit="kW",
                    figure=fig.duration_figure(result, look),
                    look=look,
                    legend=_with_and_without(top, lang),
                ),
                _chart(
                    "bt-peaks",
                    t("backtest.peaks_title", lang),
                    t("backtest.peaks_caption", lang),
                    unit="kW",
                    figure=fig.peaks_figure(result, look),
                    look=look,
                    legend=_with_and_without(top, lang, bar=True),
                ),
                _months(top, lang),
            ],
            className="an-grid",
        ),
    ]
    if result["sizing"]:
        parts.append(_sizing(result["sizing"], measure, look))
    parts += studies_view.cards(result, state.id, look)
    parts.append(_assumptions(result, lang))
    return parts


def _head(state: BacktestState, result: w.Result | None, lang: str, *, allowed: bool) -> Any:
    about = [] if result is None else [w.battery_text(result, lang), w.period_text(result, lang)]
    links: list[Any] = []
    if result is not None:
        base = f"/api/backtests/{state.id}"
        links.append(
            html.A(
                t("backtest.report", lang),
                href=f"{base}/report.html?lang={lang}",
                target="_blank",
                className="button",
            )
        )
        if not result["partial"]:
            links += [
                html.A(kind, href=f"{base}/traces.{kind.lower()}", className="button", download="")
                for kind in ("CSV", "Parquet")
            ]
    rename: list[Any] = []
    if allowed:
        rename = [
            html.Details(
                [
                    html.Summary(t("backtest.rename", lang)),
                    html.Div(
                        [
                            html.Label(
                                [
                                    html.Span(t("backtest.name", lang), className="bt-label"),
                                    dbc.Input(
                                        id=field_id("new_name"), value=state.name, maxLength=80
                                    ),
                                ],
                                className="bt-field",
                            ),
                            html.Button(
                                t("backtest.save", lang),
                                id={"type": "bt-rename", "id": state.id},
                                type="button",
                                className="button",
                            ),
                        ],
                        className="bt-rename",
                    ),
                ],
                className="bt-more bt-rename-box",
            )
        ]
    return html.Div(
        [
            html.Div(
                [
                    html.H2(w.title(state.name, lang), className="bt-title"),
                    html.P(" · ".join(about), className="caption") if about else None,
                ]
            ),
            html.Div([*links, *rename], className="an-links bt-links"),
        ],
        className="bt-head",
    )


def _figure_parts(value: str) -> list[Any]:
    """Return a figure with its unit smaller, as on every page; money keeps its sign beside it."""
    space = fmt.NARROW_NBSP if fmt.NARROW_NBSP in value else fmt.NBSP
    number, _, unit = value.rpartition(space)
    if not number or "€" in value:
        return [html.Span(value, className="kpi-number")]
    return [html.Span(number, className="kpi-number"), html.Span(unit, className="unit")]


def _cards(result: w.Result, top: w.Result | None, lang: str) -> Any:
    if top is None:
        return html.Div()
    perfect = next((e for e in result["strategies"] if w.is_perfect(e)), None)
    cards = [
        (
            "currency-euro",
            "saving",
            w.euros(top["saving_eur"], lang),
            t("backtest.card_saving", lang, strategy=w.strategy_name(top, lang)),
        ),
        (
            "graph-up-arrow",
            "capture",
            w.share(top["capture"], lang),
            t(
                "backtest.card_capture",
                lang,
                best=w.euros(None if perfect is None else perfect["saving_eur"], lang),
            ),
        ),
        (
            "battery-charging",
            "cycles",
            fmt.number(top["full_cycles"], 0, lang),
            t("backtest.card_cycles", lang, wear=w.euros(top["wear_eur"], lang)),
        ),
        (
            "arrow-down-up",
            "peak",
            str(fmt.power(max(top["monthly_peaks_kw"]), lang)),
            t(
                "backtest.card_peak",
                lang,
                without=str(fmt.power(max(top["monthly_peaks_without_kw"]), lang)),
            ),
        ),
    ]
    return html.Div(
        [
            html.Section(
                [
                    html.Div(
                        [
                            ui.icon(icon),
                            html.H3(t(f"backtest.col_{key}", lang), id=f"bt-card-{key}"),
                        ],
                        className="kpi-label",
                    ),
                    html.Div(_figure_parts(value), className="kpi-value"),
                    html.Div(sub, className="kpi-subs"),
                ],
                className="card kpi an-kpi",
                **{"aria-labelledby": f"bt-card-{key}"},
            )
            for icon, key, value, sub in cards
        ],
        className="kpis",
    )


def _money(result: w.Result, top: w.Result | None, lang: str) -> Any:
    rows = []
    for entry in w.shown(result):
        name, *cells = money_cells(entry, lang)
        mark = (
            html.Span(t("backtest.best", lang), className="pill pill-small pill-ok")
            if entry is top
            else None
        )
        rows.append(
            html.Tr(
                [html.Th([name, mark], scope="row"), *(html.Td(cell) for cell in cells)],
                className="bt-best" if entry is top else None,
            )
        )
    return html.Section(
        [
            _title("bt-money", t("backtest.money_title", lang), t("backtest.money_caption", lang)),
            ui.table(t("backtest.money_title", lang), money_heads(lang), rows, "bt-money"),
        ],
        className="card bt-card",
        **{"aria-labelledby": "bt-money-title"},
    )


def _months(top: w.Result | None, lang: str) -> Any:
    if top is None:
        inner: Any = ui.empty(t("backtest.nothing", lang))
        said = ""
    else:
        said = w.strategy_name(top, lang)
        rows = [
            html.Tr([html.Th(month, scope="row"), *(html.Td(cell) for cell in cells)])
            for month, *cells in w.month_rows(top, lang)
        ]
        inner = ui.table(t("backtest.months_title", lang), w.month_heads(lang), rows, "bt-money")
    return html.Section(
        [_title("bt-months", t("backtest.months_title", lang), said), inner],
        className="card",
        **{"aria-labelledby": "bt-months-title"},
    )


def _sizing(sizing: w.Result, measure: str, look: Look) -> Any:
    lang = look.lang
    figure = fig.sizing_figure(sizing, measure, look)
    chart: Any = ui.empty(t("backtest.nothing", lang))
    if figure["data"]:
        summary = f"{t('backtest.sizing_title', lang)}. {sizing_claim(sizing, lang)}"
        chart = ui.chart("bt-sizing", figure, ui.chart_config(lang), summary, "tall")
    return html.Section(
        [
            _title(
                "bt-sizing",
                t("backtest.sizing_title", lang),
                t(f"backtest.measure_{measure}_caption", lang),
            ),
            html.P(t("backtest.partial", lang), className="notice notice-warn")
            if sizing["partial"]
            else None,
            html.P(sizing_claim(sizing, lang)),
            segments(
                {"type": "bt-measure", "key": "sizing"},
                [(key, t(f"backtest.measure_{key}", lang)) for key in MEASURES],
                measure,
                t("backtest.measure_label", lang),
            ),
            chart,
            html.Details(
                [
                    html.Summary(t("backtest.assumptions_title", lang)),
                    html.Ul(studies_view.remarks(sizing["assumptions"], lang)),
                ],
                className="bt-more",
            ),
        ],
        className="card bt-card",
        **{"aria-labelledby": "bt-sizing-title"},
    )


def _assumptions(result: w.Result, lang: str) -> Any:
    return html.Section(
        [
            _title("bt-assumed", t("backtest.assumptions_title", lang), ""),
            html.Ul(
                [html.Li(text, lang=spoken) for text, spoken in w.assumptions(result, lang)],
                className="bt-assumed",
            ),
            html.P(t("backtest.limits", lang), className="caption"),
        ],
        className="card bt-card",
        **{"aria-labelledby": "bt-assumed-title"},
    )


def _compared(named: Sequence[Named], look: Look) -> Any:
    lang = look.lang
    # The same ones in legend, chart and table: a style is a place in this list.
    known = [
        (w.title(state.name, lang), result, top)
        for state, result in named
        if (top := w.best(result)) is not None
    ]
    rows = []
    for name, result, top in known:
        days = float(result["period"]["days"])
        cells = (
            w.strategy_name(top, lang),
            w.battery_text(result, lang),
            fmt.number(days, 0, lang),
            w.euros(top["saving_eur"], lang),
            w.euros(top["saving_eur"] * 365.25 / days, lang),
            w.share(top["capture"], lang),
            fmt.number(top["full_cycles"], 0, lang),
            w.euros(top["total_eur"], lang),
        )
        rows.append(html.Tr([html.Th(name, scope="row"), *(html.Td(cell) for cell in cells)]))
    keys = ("backtest", "strategy", "battery", "days", "saving", "per_year", "capture", "cycles")
    heads = [t(f"backtest.col_{key}", lang) for key in (*keys, "total")]
    figure = fig.compared_figure([(name, top) for name, _, top in known], look)
    return html.Section(
        [
            _title(
                "bt-compared",
                t("backtest.compared_title", lang),
                t("backtest.compared_caption", lang),
            ),
            ui.legend(
                [
                    (swatch, role, name)
                    for (name, _, _), (role, _, swatch) in zip(known, fig.STYLES, strict=False)
                ]
            ),
            ui.chart(
                "bt-compared",
                figure,
                ui.chart_config(lang),
                t("backtest.compared_title", lang),
                "middle",
            ),
            ui.table(t("backtest.compared_title", lang), heads, rows, "bt-money"),
        ],
        className="card bt-card",
        **{"aria-labelledby": "bt-compared-title"},
    )


def _with_and_without(
    top: w.Result | None, lang: str, *, bar: bool = False
) -> list[tuple[str, str, str]]:
    if top is None:
        return []
    return [
        ("bar" if bar else "line", "grid", w.strategy_name(top, lang)),
        ("line", "text", t("backtest.strategy.none", lang))
        if bar
        else ("dashes", "muted", t("backtest.strategy.none", lang)),
    ]


def _title(name: str, title: str, caption: str, unit: str = "") -> Any:
    return html.Div(
        [
            html.H2(title, id=f"{name}-title"),
            html.Span(caption, className="caption") if caption else None,
            html.Span(unit, className="card-unit") if unit else None,
        ],
        className="card-head",
    )


def _chart(
    name: str,
    title: str,
    caption: str,
    *,
    unit: str,
    figure: Figure,
    look: Look,
    legend: Sequence[tuple[str, str, str]],
) -> Any:
    if figure["data"]:
        chart = ui.chart(name, figure, ui.chart_config(look.lang), f"{title}: {caption}", "middle")
    else:
        chart = ui.empty(t("backtest.nothing", look.lang))
    return html.Section(
        [_title(name, title, caption, unit), ui.legend(legend) if legend else None, chart],
        className="card",
        **{"aria-labelledby": f"{name}-title"},
    )

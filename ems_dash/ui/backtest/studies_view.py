"""Studies of a backtest as cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dash import html

from ems_dash.i18n import t
from ems_dash.i18n.backtest_said import assumed
from ems_dash.ui import components as ui
from ems_dash.ui.backtest import studies_figures as fig
from ems_dash.ui.backtest import studies_words as sw
from ems_dash.ui.backtest import words as w
from ems_dash.ui.figure_parts import Figure
from ems_dash.ui.forecasts.figures import Look

_DRAWN: dict[str, Callable[[w.Result, Look], Figure]] = {
    "tariffs": fig.tariffs_figure,
    "forecast": fig.forecast_figure,
    "montecarlo": fig.years_figure,
}


def cards(result: w.Result, number: str, look: Look) -> list[Any]:
    """Return one card per study of a result, and where their rows can be had.

    Args:
        result: What came of the backtest so far.
        number: Its id.
        look: How it looks.
    """
    found = sw.shown(result)
    if not found:
        return []
    return [*(_card(name, study, look) for name, study in found), _exports(number, look.lang)]


def _card(name: str, study: w.Result, look: Look) -> Any:
    lang = look.lang
    title = t(f"backtest.study_{name}", lang)
    said = sw.claim(name, study, lang)
    parts: list[Any] = []
    if study["failure"] is not None:
        parts.append(html.P(said, className="notice notice-warn", role="status"))
    elif said is not None:
        parts.append(html.P(said))
    figure = _DRAWN[name](study, look) if name in _DRAWN else fig.NOTHING
    if figure["data"]:
        summary = f"{title}. {said or sw.caption(name, lang)}"
        if name == "tariffs":
            parts.append(
                ui.legend(
                    [
                        ("bar", role, t(f"backtest.tariff_{key}", lang))
                        for key, role, _ in fig.TARIFF_BARS
                    ]
                )
            )
        parts.append(ui.chart(f"bt-{name}", figure, ui.chart_config(lang), summary, "middle"))
    cells = sw.rows(name, study, lang)
    if cells:
        rows = [
            html.Tr([html.Th(first, scope="row"), *(html.Td(cell) for cell in rest)])
            for first, *rest in cells
        ]
        parts.append(ui.table(title, sw.heads(name, lang), rows, f"bt-money bt-{name}-table"))
    if study["assumptions"]:
        parts.append(
            html.Details(
                [
                    html.Summary(t("backtest.assumptions_title", lang)),
                    html.Ul(remarks(study["assumptions"], lang)),
                ],
                className="bt-more",
            )
        )
    head = html.Div(
        [
            html.H2(title, id=f"bt-{name}-title"),
            html.Span(sw.caption(name, lang), className="caption"),
        ],
        className="card-head",
    )
    return html.Section(
        [head, *parts], className="card bt-card", **{"aria-labelledby": f"bt-{name}-title"}
    )


def _exports(number: str, lang: str) -> Any:
    base = f"/api/backtests/{number}/studies"
    return html.Div(
        [
            html.A(t("backtest.studies_csv", lang), href=f"{base}.csv", className="btn button"),
            html.A(
                t("backtest.studies_parquet", lang), href=f"{base}.parquet", className="btn button"
            ),
        ],
        className="an-links",
    )


def remarks(texts: Sequence[str], lang: str) -> list[Any]:
    """Return what the engine says of assumptions as items of a list, each in its language."""
    said = [assumed(text, lang) for text in texts]
    return [html.Li(text, lang=spoken) for text, spoken in said]

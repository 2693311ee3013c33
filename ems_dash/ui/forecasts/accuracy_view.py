"""The card about how good forecasts were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from ems_dash.i18n import label, t
from ems_dash.ui import components as ui
from ems_dash.ui.forecasts import words
from ems_dash.ui.forecasts.accuracy_figures import daily_figure, lead_figure, lead_text
from ems_dash.ui.forecasts.figures import Look
from ems_dash.ui.forecasts.series import SERIES, ForecastSeries
from engine.runtime.accuracy_service import ModelAccuracy

PERIODS_DAYS = (7, 28)
"""Periods offered; older forecasts are thinned out, so longer ones would not compare."""

FIRST_DAYS = 28


def accuracy(
    scores: Sequence[ModelAccuracy], series: ForecastSeries, days: int, look: Look
) -> list[Any]:
    """Return charts and tables of one series, and one line per series and model.

    Args:
        scores: Accuracy of every series and model over `days` days.
        series: The series to look at closely.
        days: Length of the period.
        look: How it looks.
    """
    lang = look.lang
    if not scores:
        return [ui.empty(t("accuracy.none", lang), t("accuracy.none_hint", lang))]
    return [*_close(scores, series, days, look), _all_models(scores, lang)]


def _close(
    scores: Sequence[ModelAccuracy], series: ForecastSeries, days: int, look: Look
) -> list[Any]:
    lang = look.lang
    models = words.of_signal(scores, series)
    name = t(f"series.{series.key}", lang)
    if not models:
        return [ui.empty(t("accuracy.none_of", lang, series=name), t("accuracy.none_hint", lang))]
    note = words.prophet_note(series, models, days, lang)
    config = ui.chart_config(lang)
    legend = _legend(models, series, lang)
    best = models[0]
    return [
        legend,
        html.Div(
            [
                html.Div(
                    [
                        html.H3(t("accuracy.by_lead", lang, series=name, unit=series.unit)),
                        ui.chart(
                            "fc-lead",
                            lead_figure(models, series, look),
                            config,
                            t(
                                "accuracy.summary_lead",
                                lang,
                                series=name,
                                leads="; ".join(
                                    f"{lead_text(s, lang)}: {series.text(s.mae, lang)}"
                                    for s in best.by_lead
                                ),
                            ),
                            "small",
                        ),
                    ]
                ),
                html.Div(
                    [
                        html.H3(t("accuracy.by_day", lang, series=name, unit=series.unit)),
                        ui.chart(
                            "fc-daily",
                            daily_figure(models, series, look),
                            config,
                            t(
                                "accuracy.summary_daily",
                                lang,
                                series=name,
                                days=len(best.by_day),
                                mae=series.text(best.overall.mae, lang),
                            ),
                            "small",
                        ),
                    ]
                ),
            ],
            className="two-charts",
        ),
        html.P(note, className="fc-note") if note else None,
        html.Details(
            [
                html.Summary(t("accuracy.lead_table", lang)),
                html.Div(
                    [
                        _table(
                            [
                                words.score_row(
                                    f"{label('model', entry.model, lang)}, {lead_text(s, lang)}",
                                    s,
                                    series,
                                    lang,
                                )
                                for entry in models
                                for s in entry.by_lead
                            ],
                            t("accuracy.lead_table", lang),
                            lang,
                            unit=series.unit,
                        )
                    ],
                    className="table-scroll",
                    tabIndex="0",
                ),
            ],
            className="more",
        ),
    ]


def _legend(models: Sequence[ModelAccuracy], series: ForecastSeries, lang: str) -> Any:
    names = [
        (f"swatch-model-{min(i, 3)} role-{series.role}", entry.model)
        for i, entry in enumerate(models)
    ]
    if any(error.naive_mae is not None for entry in models for error in entry.by_day):
        names.append(("swatch-dots role-muted", "seasonal_naive"))
    return html.Ul(
        [
            html.Li([html.Span(className=f"swatch {look}"), label("model", model, lang)])
            for look, model in names
        ],
        className="legend",
        **{"aria-hidden": "true"},
    )


def _all_models(scores: Sequence[ModelAccuracy], lang: str) -> Any:
    rows = [
        words.score_row(
            f"{t(f'series.{series.key}', lang)} ({series.unit}), "
            f"{label('model', entry.model, lang)}",
            entry.overall,
            series,
            lang,
        )
        for series in SERIES
        for entry in words.of_signal(scores, series)
    ]
    return html.Div(
        [
            html.H3(t("accuracy.all", lang), className="minor-title"),
            html.Div(
                _table(rows, t("accuracy.all", lang), lang), className="table-scroll", tabIndex="0"
            ),
            html.P(t("accuracy.explained", lang), className="caption"),
        ]
    )


def _table(rows: Sequence[words.ScoreRow], caption: str, lang: str, *, unit: str = "") -> Any:
    suffix = f" ({unit})" if unit else ""
    heads = (
        t("accuracy.col_model", lang),
        t("accuracy.col_pairs", lang),
        t("accuracy.col_mae", lang) + suffix,
        t("accuracy.col_bias", lang) + suffix,
        t("accuracy.col_rmae", lang),
        t("accuracy.col_coverage", lang),
    )
    return html.Table(
        [
            html.Caption(caption, className="visually-hidden"),
            html.Thead(html.Tr([html.Th(head, scope="col") for head in heads])),
            html.Tbody([_row(row, lang) for row in rows]),
        ],
        className="value-table",
    )


def _row(row: words.ScoreRow, lang: str) -> Any:
    mark = None
    if row.few:
        mark = html.Span(t("accuracy.mark_few", lang), className="pill pill-small pill-info")
    elif row.poor:
        mark = html.Span(t("accuracy.mark_poor", lang), className="pill pill-small pill-warn")
    return html.Tr(
        [
            html.Th([html.Span(row.name), mark], scope="row"),
            *(html.Td(text) for text in (row.pairs, row.mae, row.bias, row.rmae, row.coverage)),
        ],
        className="is-muted" if row.few else None,
    )

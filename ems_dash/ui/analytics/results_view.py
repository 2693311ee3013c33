"""The results of a period as components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import dash_bootstrap_components as dbc
from dash import html

from ems_dash.i18n import label, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.analytics.periods import CUSTOM, PRESETS, Period
from ems_dash.ui.analytics.results_model import BASELINES, LEDGER_HEADS, Card, LedgerLine
from ems_dash.ui.figure_parts import Figure
from ems_dash.ui.segments import segments
from engine.analytics.quality import QualityReport
from engine.runtime.analytics_service import PeriodAttribution

HEAT_CHOICES: tuple[tuple[str, str, str], ...] = (
    ("price", "price:spot_eur_per_kwh", "price"),
    ("grid", "grid_kw", "grid"),
    ("soc", "soc_percent", "battery"),
)
"""Key, series and role of what the heat map may show."""

FINDINGS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Results:
    """Everything the results show of one period.

    Attributes:
        period: The days.
        start: Their start, UTC.
        end: Their end, UTC.
        cards: Big figures.
        daily: Profit by day.
        peaks: Peaks by day.
        waterfall: From perfect foresight to what was earned; None while it is unknown.
        attribution: The same in figures.
        heat: Hours by days.
        duration: Load-duration curve; None without measurements.
        shares: Strategy and share of the time.
        ledger: Rows of the ledger.
        quality: Data quality of the last day of the period; None when it could not be read.
        notes: What went wrong while reading, in sentences.
    """

    period: Period
    start: datetime
    end: datetime
    cards: Sequence[Card]
    daily: Figure
    peaks: Figure
    waterfall: Figure | None
    attribution: PeriodAttribution
    heat: Figure
    duration: Figure | None
    shares: Sequence[tuple[str, float]]
    ledger: Sequence[LedgerLine]
    quality: QualityReport | None
    notes: Sequence[str] = ()


def picker(period: Period, baseline: str, heat: str, lang: str) -> Any:
    """Return the choice of days, baseline and picture to begin with."""
    return html.Section(
        [
            segments(
                "an-period",
                [(key, t(f"analytics.period_{key}", lang)) for key in (*PRESETS, CUSTOM)],
                period.key,
                t("analytics.period", lang),
            ),
            html.Div(
                [
                    _day_field("an-from", t("analytics.from", lang), period.since.isoformat()),
                    _day_field("an-to", t("analytics.to", lang), period.last.isoformat()),
                ],
                id="an-days",
                className="an-days",
                hidden=period.key != CUSTOM,
            ),
            _select(
                "an-baseline",
                t("analytics.against", lang),
                [(key, label("baseline", key, lang)) for key in BASELINES],
                baseline,
            ),
            _select(
                "an-heat-choice",
                t("analytics.heat", lang),
                [(key, t(f"results.heat_{key}", lang)) for key, _, _ in HEAT_CHOICES],
                heat,
            ),
        ],
        className="card an-picker",
        **{"aria-label": t("analytics.period", lang)},
    )


def _day_field(name: str, text: str, value: str) -> Any:
    return html.Div(
        [dbc.Label(text, html_for=name), dbc.Input(id=name, type="date", value=value)],
        className="fc-field an-field",
    )


def _select(name: str, text: str, options: Sequence[tuple[str, str]], value: str) -> Any:
    return html.Div(
        [
            dbc.Label(text, html_for=name),
            dbc.Select(
                id=name,
                options=[{"label": words, "value": key} for key, words in options],
                value=value,
            ),
        ],
        className="fc-field an-field",
    )


def beginning(period: Period, cards: Sequence[Card], lang: str) -> list[Any]:
    """Return the days of a period and its key figures, with which its results begin."""
    return [
        html.P(period.text(lang), className="an-period-text"),
        html.Div([_card(card) for card in cards], className="kpis"),
    ]


def body(results: Results, baseline: str, heat: str, lang: str) -> list[Any]:
    """Return the results of a period."""
    against = label("baseline", baseline, lang)
    period, cards = beginning(results.period, results.cards, lang)
    return [
        period,
        html.Ul(
            [html.Li(text, className="notice notice-warn") for text in results.notes],
            className="notices",
        ),
        cards,
        html.Div(
            [
                _chart_card(
                    "an-daily",
                    t("results.daily_title", lang),
                    t("results.daily_caption", lang, baseline=against),
                    unit="€",
                    figure=results.daily,
                    lang=lang,
                ),
                _chart_card(
                    "an-peaks",
                    t("results.peaks_title", lang),
                    t("results.peaks_caption", lang),
                    unit="kW",
                    figure=results.peaks,
                    lang=lang,
                    legend=(
                        ("bar", "grid", t("results.peak_highest", lang)),
                        ("bar-pale", "grid", t("results.peak_day", lang)),
                        ("line", "text", label("baseline", "no_battery", lang)),
                    ),
                ),
                _waterfall_card(results, lang),
                _chart_card(
                    "an-heat",
                    t("results.heat_title", lang),
                    t(f"results.heat_{heat}", lang),
                    unit="",
                    figure=results.heat,
                    lang=lang,
                    height="tall",
                ),
                _duration_card(results, lang),
                html.Div(
                    [_shares_card(results, lang), _quality_card(results, lang)], className="column"
                ),
            ],
            className="an-grid",
        ),
        _ledger_card(results, baseline, lang),
    ]


def _card(card: Card) -> Any:
    name = f"an-kpi-{card.key}"
    return html.Section(
        [
            html.Div(
                [ui.icon(card.icon), html.H2(card.label, id=f"{name}-l")], className="kpi-label"
            ),
            html.Div(
                [
                    html.Span(card.value, className="kpi-number", id=f"{name}-v"),
                    html.Span(card.unit, className="unit") if card.unit else None,
                ],
                className="kpi-value",
            ),
            html.Div(card.sub, className="kpi-subs"),
        ],
        className="card kpi an-kpi",
        **{"aria-labelledby": f"{name}-l"},
    )


def _head(name: str, title: str, caption: str, unit: str = "") -> Any:
    return html.Div(
        [
            html.H2(title, id=f"{name}-title"),
            html.Span(caption, className="caption"),
            html.Span(unit, className="card-unit") if unit else None,
        ],
        className="card-head",
    )


def _chart_card(
    name: str,
    title: str,
    caption: str,
    *,
    unit: str,
    figure: Figure,
    lang: str,
    legend: Sequence[tuple[str, str, str]] = (),
    height: str = "middle",
) -> Any:
    if figure["data"]:
        chart = ui.chart(name, figure, ui.chart_config(lang), f"{title}: {caption}", height)
        lines = ui.legend(legend) if legend else None
    else:
        chart, lines = ui.empty(t("results.nothing", lang)), None
    return html.Section(
        [_head(name, title, caption, unit), lines, chart],
        className="card",
        **{"aria-labelledby": f"{name}-title"},
    )


def _waterfall_card(results: Results, lang: str) -> Any:
    found = results.attribution
    if results.waterfall is None or found.total is None:
        inner: list[Any] = [ui.empty(t("results.no_gap", lang), t("results.no_gap_hint", lang))]
    else:
        whole = found.total
        rows = [
            html.Tr(
                [
                    html.Th(label("cause", cause, lang), scope="row"),
                    html.Td(fmt.money(-lost, lang, signed=True)),
                ]
            )
            for cause, lost in whole.causes.items()
        ]
        inner = [
            ui.chart(
                "an-waterfall",
                results.waterfall,
                ui.chart_config(lang),
                t("results.gap_summary", lang, gap=fmt.money(whole.gap_eur, lang)),
                "tall",
            ),
            html.Details(
                [
                    html.Summary(t("table.show", lang)),
                    ui.table(
                        t("results.gap_title", lang),
                        [t("results.cause", lang), t("results.amount", lang)],
                        rows,
                    ),
                ],
                className="more",
            ),
        ]
        if whole.unknown:
            causes = ", ".join(label("cause", cause, lang) for cause in whole.unknown)
            inner.append(html.P(t("results.gap_unknown", lang, causes=causes), className="caption"))
    return html.Section(
        [
            _head(
                "an-waterfall",
                t("results.gap_title", lang),
                t(f"results.gap_caption_{_count_word(found.days)}", lang, days=found.days),
                "€",
            ),
            *inner,
        ],
        className="card",
        **{"aria-labelledby": "an-waterfall-title"},
    )


def _count_word(n: int) -> str:
    return {0: "none", 1: "one"}.get(n, "many")


def _duration_card(results: Results, lang: str) -> Any:
    return _chart_card(
        "an-duration",
        t("results.duration_title", lang),
        t("results.duration_caption", lang),
        unit="kW",
        figure=results.duration or {"data": [], "layout": {}},
        lang=lang,
        legend=(
            ("line", "load", t("series.load", lang)),
            ("dashes", "grid", t("results.grid", lang)),
        ),
    )


def _shares_card(results: Results, lang: str) -> Any:
    if results.shares:
        inner: list[Any] = [
            html.Div(
                [
                    html.Span(
                        className=f"an-share an-share-{i % 5}", style={"flexGrow": f"{share:.4f}"}
                    )
                    for i, (_, share) in enumerate(results.shares)
                ],
                className="an-shares",
                **{"aria-hidden": "true"},
            ),
            html.Ul(
                [
                    html.Li(
                        [
                            html.Span(className=f"swatch an-share-{i % 5}"),
                            html.Span(label("strategy", key, lang)),
                            html.Span(str(fmt.percent(100.0 * share, lang)), className="an-value"),
                        ]
                    )
                    for i, (key, share) in enumerate(results.shares)
                ],
                className="an-list",
            ),
        ]
    else:
        inner = [ui.empty(t("results.no_runs", lang))]
    return html.Section(
        [
            _head("an-shares", t("results.shares_title", lang), t("results.shares_caption", lang)),
            *inner,
        ],
        className="card",
        **{"aria-labelledby": "an-shares-title"},
    )


_VERDICT_PILL = {"good": "ok", "fair": "warn", "poor": "alarm", "none": "info"}


def _quality_card(results: Results, lang: str) -> Any:
    found = results.quality
    if found is None or not found.minutes:
        return html.Section(
            [
                _head("an-quality", t("results.quality_title", lang), ""),
                ui.empty(t("results.nothing", lang)),
            ],
            className="card",
            **{"aria-labelledby": "an-quality-title"},
        )
    lines = [
        html.Li(
            [
                html.Span(
                    t(f"verdict.{finding.severity}", lang),
                    className=f"pill pill-small pill-{_VERDICT_PILL[finding.severity]}",
                ),
                html.Span(
                    t(
                        f"quality.{finding.code}",
                        lang,
                        signal=label("signal", finding.signal, lang) if finding.signal else "",
                        value=_finding_value(finding.code, finding.value, lang),
                    )
                ),
            ]
        )
        for finding in found.findings[:FINDINGS_SHOWN]
    ]
    more = len(found.findings) - FINDINGS_SHOWN
    return html.Section(
        [
            html.Div(
                [
                    html.H2(t("results.quality_title", lang), id="an-quality-title"),
                    html.Span(fmt.date_of_day(found.day, lang), className="caption"),
                    html.Span(
                        t(f"verdict.{found.verdict}", lang),
                        className=f"pill pill-{_VERDICT_PILL[found.verdict]} an-verdict",
                    ),
                ],
                className="card-head",
            ),
            html.P(
                t(
                    "results.quality_cover",
                    lang,
                    share=fmt.some_percent(100.0 * found.covered_minutes / found.minutes, lang),
                ),
                className="caption",
            ),
            html.Ul(lines, className="an-list an-findings"),
            html.P(t("results.quality_more", lang, n=more), className="caption")
            if more > 0
            else None,
        ],
        className="card",
        **{"aria-labelledby": "an-quality-title"},
    )


def _finding_value(code: str, value: float, lang: str) -> str:
    if code in ("unusable", "counter"):
        return str(fmt.percent(100.0 * value, lang))
    if code == "balance":
        return f"{fmt.number(value, 1, lang)}{fmt.NBSP}kW"
    if code in ("gaps", "frozen"):
        return fmt.duration(value)
    return f"{fmt.number(value, 0, lang)}{fmt.NBSP}min"


def _ledger_card(results: Results, baseline: str, lang: str) -> Any:
    heads = [t("results.day", lang), *(t(f"results.col_{key}", lang) for key in LEDGER_HEADS)]
    rows = [
        html.Tr(
            [
                html.Th(
                    [line.head, html.Span(line.note, className="pill pill-small pill-info")]
                    if line.note
                    else line.head,
                    scope="row",
                ),
                *(
                    html.Td(cell, **{"data-label": head})
                    for cell, head in zip(line.cells, heads[1:], strict=True)
                ),
            ],
            className="an-sum" if i == len(results.ledger) - 1 else None,
        )
        for i, line in enumerate(results.ledger)
    ]
    span = urlencode({"from": _stamp(results.start), "to": _stamp(results.end)})
    links = [
        html.A(
            text,
            href=f"/api/export/{dataset}.{kind}?{span}{extra}",
            className="btn button",
            download="",
        )
        for text, dataset, kind, extra in (
            (t("results.export_ledger", lang), "ledger", "csv", _profile(lang)),
            (t("results.export_savings", lang), "savings", "csv", _profile(lang)),
            ("Parquet", "ledger", "parquet", ""),
            ("XLSX", "ledger", "xlsx", ""),
        )
    ]
    return html.Section(
        [
            _head(
                "an-ledger",
                t("results.ledger_title", lang),
                t("results.ledger_caption", lang, baseline=label("baseline", baseline, lang)),
            ),
            ui.table(t("results.ledger_title", lang), heads, rows, "an-ledger")
            if len(rows) > 1
            else ui.empty(t("results.nothing", lang)),
            html.Div(links, className="an-links"),
            html.P(t("results.ledger_note", lang), className="caption"),
        ],
        className="card",
        **{"aria-labelledby": "an-ledger-title"},
    )


def _stamp(ts: datetime) -> str:
    return ts.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _profile(lang: str) -> str:
    return "&profile=excel_de" if lang == "de" else ""

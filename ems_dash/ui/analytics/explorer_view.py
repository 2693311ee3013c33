"""The data explorer as components: what is chosen from, the chart, figures of the period, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import dash_bootstrap_components as dbc
from dash import dcc, html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.analytics.explorer_figure import Pen, pens
from ems_dash.ui.analytics.explorer_model import (
    NO_COMPARISON,
    PRESETS,
    Asked,
    groups_with,
    series_text,
    to_local,
    unit_text,
)
from ems_dash.ui.analytics.explorer_values import closed
from ems_dash.ui.figure_parts import Figure
from ems_dash.ui.segments import segments
from engine.history.series_names import series_name
from engine.history.series_query import MOST_SIGNALS, Earlier, Series, SeriesAnswer, Step

CHART = "ex-chart"

HEADS: tuple[str, ...] = (
    "series",
    "unit",
    "mean",
    "low",
    "high",
    "p05",
    "p95",
    "sum",
    "coverage",
)

_NEVER_NEGATIVE = frozenset({"pv_kw", "load_kw"})

FILES: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("csv", "csv", {}),
    ("csv_de", "csv", {"profile": "excel_de"}),
    ("parquet", "parquet", {}),
    ("xlsx", "xlsx", {}),
)
"""Key, ending and further parameters of each file."""


def controls(asked: Asked, zone: ZoneInfo, lang: str) -> Any:
    """Return the choices and the place of the chart, which stay while it is filled anew."""
    return html.Div(
        [
            dcc.Store(
                id="ex-range",
                data=range_of(asked),
            ),
            dcc.Store(id="ex-zoom"),
            _period(asked, zone, lang),
            _signals(asked.signals, lang),
            _chart_card(lang),
        ]
    )


def range_of(asked: Asked) -> dict[str, str]:
    """Return the period as the browser keeps it."""
    return {
        "from": asked.since.isoformat(),
        "to": asked.until.isoformat(),
        "range": asked.preset,
    }


def _period(asked: Asked, zone: ZoneInfo, lang: str) -> Any:
    return html.Section(
        [
            segments(
                "ex-preset",
                [(key, t(f"explorer.range_{key}", lang)) for key in PRESETS],
                asked.preset or None,
                t("analytics.period", lang),
            ),
            html.Div(
                [
                    _time_field("ex-from", t("explorer.from", lang), to_local(asked.since, zone)),
                    _time_field("ex-to", t("explorer.to", lang), to_local(asked.until, zone)),
                ],
                className="an-days",
            ),
            _select(
                "ex-step",
                t("explorer.resolution", lang),
                [(str(step), t(f"explorer.step_{step}", lang)) for step in Step],
                str(asked.step),
            ),
            _select(
                "ex-compare",
                t("explorer.compare", lang),
                [
                    (key, t(f"explorer.compare_{key}", lang))
                    for key in (NO_COMPARISON, *map(str, Earlier))
                ],
                NO_COMPARISON if asked.compare is None else str(asked.compare),
            ),
            html.Div(
                [
                    html.Button(
                        t(f"explorer.{name}", lang),
                        id=f"ex-{name}",
                        type="button",
                        className="button",
                    )
                    for name in ("back", "out", "forward")
                ],
                className="an-links ex-moves",
            ),
        ],
        className="card an-picker",
        **{"aria-label": t("analytics.period", lang)},
    )


def _time_field(name: str, text: str, value: str) -> Any:
    return html.Div(
        [
            dbc.Label(text, html_for=name),
            dbc.Input(id=name, type="datetime-local", value=value, debounce=True),
        ],
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


def _signals(signals: Sequence[str], lang: str) -> Any:
    return html.Details(
        [
            html.Summary(
                [
                    html.Span(t("explorer.signals", lang)),
                    html.Span(
                        chosen_text(signals, lang), id="ex-chosen", className="caption ex-chosen"
                    ),
                ]
            ),
            html.Div(
                [
                    html.Fieldset(
                        [
                            html.Legend(t(f"explorer.group_{group}", lang)),
                            dbc.Checklist(
                                id={"type": "ex-group", "id": group},
                                options=[
                                    {"label": _option(name, lang), "value": name} for name in names
                                ],
                                value=[name for name in names if name in signals],
                            ),
                        ]
                    )
                    for group, names in groups_with(signals).items()
                ],
                className="ex-groups",
            ),
        ],
        className="card ex-signals",
    )


def chosen_text(signals: Sequence[str], lang: str) -> str:
    """Return how many series are chosen, and which."""
    names = " · ".join(series_text(name, lang) for name in signals)
    return t("explorer.chosen", lang, n=len(signals), most=MOST_SIGNALS, names=names)


def _option(name: str, lang: str) -> str:
    unit = series_name(name).unit
    text = series_text(name, lang)
    return f"{text} ({unit_text(unit, lang)})" if unit else text


def _chart_card(lang: str) -> Any:
    return html.Section(
        [
            html.Div(
                [
                    html.H2(t("explorer.title", lang), id="ex-title"),
                    html.Span("", id="ex-caption", className="caption"),
                    html.Span(t("explorer.busy", lang), className="ex-busy", role="status"),
                ],
                className="card-head",
            ),
            html.Div(id="ex-legend"),
            html.Div(id="ex-plot"),
            html.P(t("explorer.hint", lang), className="caption"),
        ],
        id="ex-card",
        className="card ex-card",
        hidden=True,
        **{"aria-labelledby": "ex-title"},
    )


def chart(figure: Figure, summary: str, lang: str) -> Any:
    """Return the chart; there is none before its first figure.

    Plotly stumbles when an empty figure is still being drawn while the first real one comes.
    """
    config = {**ui.chart_config(lang), "doubleClick": False}
    return ui.chart(CHART, figure, config, summary, "explorer")


def caption(answer: SeriesAnswer, zone: ZoneInfo, lang: str) -> str:
    """Return period, resolution and origin of what is shown."""
    query = answer.query
    found = answer.series.values()
    parts = [
        t(
            "analytics.from_to",
            lang,
            since=_moment(query.since, zone, lang),
            until=_moment(query.until, zone, lang),
        ),
        t(f"explorer.step_{answer.step}", lang),
    ]
    first = _first_value(answer)
    if first is not None and first - query.since > (query.until - query.since) / 10:
        parts.append(t("explorer.since", lang, since=_moment(first, zone, lang)))
    if any(one.low is not None for one in found):
        parts.append(t("explorer.band", lang))
    if answer.earlier_since is not None:
        parts.append(
            t("explorer.earlier_from", lang, since=_moment(answer.earlier_since, zone, lang))
        )
    if any(one.simulated for one in found):
        parts.append(t("explorer.simulated", lang))
    if any(one.imported for one in found):
        parts.append(t("explorer.imported", lang))
    return " · ".join(parts)


def _first_value(answer: SeriesAnswer) -> datetime | None:
    """Return when the first of what is shown begins, UTC; None when nothing is."""
    starts = [one.ts[0] for one in answer.series.values() if one.n]
    if not starts:
        return None
    first: datetime = min(starts).astype("datetime64[us]").astype(datetime)
    return first.replace(tzinfo=UTC)


def summary(answer: SeriesAnswer, zone: ZoneInfo, lang: str) -> str:
    """Return the chart in words."""
    parts = [caption(answer, zone, lang) + "."]
    for one in answer.series.values():
        figures = one.statistics
        if figures is not None and figures.low is not None and figures.high is not None:
            parts.append(
                t(
                    "explorer.spoken",
                    lang,
                    series=series_text(one.name, lang),
                    low=fmt.number(figures.low, decimals(one.unit), lang),
                    high=fmt.number(figures.high, decimals(one.unit), lang),
                    unit=one.unit,
                )
            )
    return " ".join(parts)


def legend(answer: SeriesAnswer, lang: str) -> Any:
    """Return what each line is."""
    items = []
    # Each unit has a panel of its own, and strokes begin anew in it.
    several = len({one.unit for one in answer.series.values()}) > 1
    for name, pen in pens(answer.series).items():
        text = _option(name, lang) if several else series_text(name, lang)
        items.append((pen.swatch, pen.role, text))
    if answer.earlier:
        items.append(("dots", "muted", t("explorer.earlier_legend", lang)))
    return ui.legend(items)


def body(answer: SeriesAnswer, asked: Asked, lang: str) -> list[Any]:
    """Return the figures of the period and the files of it."""
    heads = [t(f"explorer.col_{name}", lang) for name in HEADS]
    drawn = pens(answer.series)
    rows = []
    for name, one in answer.series.items():
        rows.append(_row(one, drawn[name], series_text(name, lang), heads=heads, lang=lang))
        earlier = answer.earlier.get(name)
        if earlier is not None:
            text = t("explorer.earlier", lang, series=series_text(name, lang))
            row = _row(earlier, drawn[name], text, heads=heads, lang=lang, class_name="ex-earlier")
            rows.append(row)
    return [
        html.Section(
            [
                html.Div(
                    [
                        html.H2(t("explorer.statistics", lang), id="ex-statistics"),
                        html.Span(t("explorer.statistics_caption", lang), className="caption"),
                    ],
                    className="card-head",
                ),
                ui.table(t("explorer.statistics", lang), heads, rows, "as-cards ex-table"),
                closed(lang),
                html.Div(
                    [
                        html.A(
                            t(f"explorer.file_{key}", lang),
                            href=f"/api/export/series.{ending}?"
                            + urlencode({**asked.export_query(answer.step), **more}),
                            className="button",
                            download="",
                        )
                        for key, ending, more in FILES
                    ],
                    className="an-links",
                    role="group",
                    **{"aria-label": t("explorer.files", lang)},
                ),
                html.P(t("explorer.files_hint", lang), className="caption"),
            ],
            className="card",
            **{"aria-labelledby": "ex-statistics"},
        )
    ]


def _row(
    one: Series, pen: Pen, text: str, *, heads: Sequence[str], lang: str, class_name: str = ""
) -> Any:
    digits = decimals(one.unit)
    found = one.statistics
    cells = [unit_text(one.unit, lang), *([fmt.NO_VALUE] * (len(HEADS) - 2))]
    if found is not None:
        cells[1:6] = [
            fmt.number(value, digits, lang)
            for value in (found.mean, found.low, found.high, found.p05, found.p95)
        ]
        cells[6] = _sum(one, lang)
        if found.coverage is not None:
            cells[7] = fmt.some_percent(100.0 * found.coverage, lang)
    return html.Tr(
        [
            html.Th(
                [
                    html.Span(
                        className=f"swatch swatch-{pen.swatch} role-{pen.role}",
                        **{"aria-hidden": "true"},
                    ),
                    f" {text}",
                ],
                scope="row",
                className="cell-title",
            ),
            *(
                html.Td(
                    cell,
                    className="cell-none" if cell == fmt.NO_VALUE else None,
                    **{"data-label": head},
                )
                for cell, head in zip(cells, heads[1:], strict=True)
            ),
        ],
        className=class_name or None,
    )


def _sum(one: Series, lang: str) -> str:
    found = one.statistics
    if found is None:
        return fmt.NO_VALUE
    if found.total is not None:
        return f"{fmt.number(found.total, 2, lang)}{fmt.NBSP}{unit_text(one.unit, lang)}"
    if one.name in _NEVER_NEGATIVE and found.positive_kwh:
        return str(fmt.energy(found.positive_kwh, lang))
    parts = []
    for sign, value in (("+", found.positive_kwh), (fmt.MINUS, found.negative_kwh)):
        if value:
            parts.append(f"{sign}{fmt.energy(value, lang)}")
    return " / ".join(parts) or fmt.NO_VALUE


def decimals(unit: str) -> int:
    if unit == "EUR/kWh":
        return 4
    return 2 if unit in ("kW", "EUR", "Hz", "kWh") else 1


def _moment(ts: Any, zone: ZoneInfo, lang: str) -> str:
    return f"{fmt.date(ts, zone, lang)} {fmt.clock_time(ts, zone)}"

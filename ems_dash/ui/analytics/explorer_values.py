"""Every value the data explorer has drawn, as a table: for those who do not see the chart.

A plain table rather than a grid component: screen readers know it, and the grid's script would
add 1.3 MB to the first visit of every page. It is one component that holds text: with one for
every cell, each of which Dash asks about every change, the page stood still for a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from dash import dcc, html

from ems_dash.i18n import t
from ems_dash.ui import format as fmt
from ems_dash.ui.analytics.explorer_model import series_text, unit_text
from engine.history.series_query import Series, SeriesAnswer, Step

MOST_ROWS = 1000
"""More would make the page slow; the files hold all."""


def closed(lang: str) -> Any:
    """Return the table before it is asked for."""
    return html.Details(
        [
            html.Summary(t("table.show", lang), id="ex-values-open"),
            html.Div(id="ex-values"),
        ],
        className="more",
    )


def values_table(answer: SeriesAnswer, zone: ZoneInfo, lang: str, *, decimals: Any) -> list[Any]:
    """Return every time with the value of each series, and a sentence when there are too many.

    Args:
        answer: What was drawn.
        zone: Time zone of the site.
        lang: ``"de"`` or ``"en"``.
        decimals: Unit to digits after the point.
    """
    series = list(answer.series.values())
    times = np.unique(np.concatenate([one.ts for one in series]))
    shown = times[:MOST_ROWS]
    columns = [_texts(one, shown, decimals(one.unit), lang) for one in series]
    heads = [t("explorer.time", lang)] + [_head(one, lang) for one in series]
    lines = [_line(heads), _line([":--", *("--:" for _ in series)])]
    lines += [
        _line([_time(at, zone, answer.step, lang), *(column[i] for column in columns)])
        for i, at in enumerate(shown)
    ]
    parts = [
        html.Div(
            dcc.Markdown("\n".join(lines)),
            className="table-scroll ex-values-table",
            tabIndex="0",
            role="group",
            **{"aria-label": t("explorer.values", lang)},
        )
    ]
    if any("" in column for column in columns):
        parts.insert(0, html.P(t("explorer.values_empty", lang), className="caption"))
    if times.size > shown.size:
        note = t(
            "explorer.values_cut",
            lang,
            shown=fmt.number(shown.size, 0, lang),
            all=fmt.number(times.size, 0, lang),
        )
        parts.insert(0, html.P(note, className="caption"))
    return parts


def _line(cells: Sequence[str]) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _texts(one: Series, times: np.ndarray[Any, Any], digits: int, lang: str) -> list[str]:
    at = np.searchsorted(one.ts, times)
    found = (at < one.ts.size) & (one.ts[np.minimum(at, one.ts.size - 1)] == times)
    values = np.where(found, one.values[np.minimum(at, one.ts.size - 1)], np.nan)
    # Where only other series are drawn there is nothing to tell; a gap of its own is one.
    return [
        "" if not drawn else fmt.NO_VALUE if np.isnan(v) else fmt.number(float(v), digits, lang)
        for v, drawn in zip(values, found, strict=True)
    ]


def _head(one: Series, lang: str) -> str:
    text = series_text(one.name, lang)
    return f"{text} ({unit_text(one.unit, lang)})" if one.unit else text


def _time(at: np.datetime64, zone: ZoneInfo, step: Step, lang: str) -> str:
    moment = at.astype("datetime64[us]").astype(datetime).replace(tzinfo=UTC)
    day = fmt.date(moment, zone, lang)
    if step is Step.DAY:
        return day
    return f"{day} {fmt.clock_time(moment, zone, seconds=step is Step.RAW)}"

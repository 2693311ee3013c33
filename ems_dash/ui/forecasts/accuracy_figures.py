"""Charts of how good forecasts were: by lead time and by day.

Models differ by hatching and marker, not by colour alone. Rules of all figures: `plan_chart`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from ems_dash.i18n import label, t
from ems_dash.ui import theme as th
from ems_dash.ui.figure_parts import Figure, nice_range, separators, y_axis
from ems_dash.ui.forecasts.figures import Look
from ems_dash.ui.forecasts.series import ForecastSeries
from engine.forecasting.accuracy import LeadScore
from engine.runtime.accuracy_service import ModelAccuracy

_HATCHES = ("", "/", "x", ".")
_OPACITIES = (0.8, 0.45, 0.3, 0.2)
_SYMBOLS = ("circle", "square-open", "diamond-open", "cross-open")
_DASHES = ("solid", "dash", "dashdot", "dot")
_STEPS_PER_HOUR = 4


def lead_text(score: LeadScore, lang: str) -> str:
    """Return a class of lead times in words: ``below 1 h``, ``1–2 h``, ``from 48 h``."""
    low = score.lead_from_steps // _STEPS_PER_HOUR
    if score.lead_to_steps is None:
        return t("accuracy.lead_from", lang, low=low)
    high = score.lead_to_steps // _STEPS_PER_HOUR
    if score.lead_from_steps == 0:
        return t("accuracy.lead_below", lang, high=high)
    return t("accuracy.lead_between", lang, low=low, high=high)


def lead_figure(models: Sequence[ModelAccuracy], series: ForecastSeries, look: Look) -> Figure:
    """Return the mean absolute error by lead time, one group of bars per class.

    Args:
        models: Accuracy of the models of one series.
        series: The series.
        look: How it looks.
    """
    classes: dict[int, str] = {}
    for entry in models:
        for score in entry.by_lead:
            classes[score.lead_from_steps] = lead_text(score, look.lang)
    names = [classes[low] for low in sorted(classes)]
    traces: list[Figure] = []
    for i, entry in enumerate(models):
        opacity = _OPACITIES[i % len(_OPACITIES)]
        trace: Figure = {
            "type": "bar",
            "x": [lead_text(score, look.lang) for score in entry.by_lead],
            "y": [round(score.mae * series.factor, 3) for score in entry.by_lead],
            "customdata": [score.n for score in entry.by_lead],
            "name": label("model", entry.model, look.lang),
            "marker": {"color": th.colour(series.role, opacity, look.theme)},
            "hovertemplate": f"%{{y:.2f}} {series.unit} (n = %{{customdata:,}})",
            "meta": {"role": series.role, "marker": opacity},
        }
        hatch = _HATCHES[i % len(_HATCHES)]
        if hatch:
            trace["marker"]["pattern"] = {
                "shape": hatch,
                "size": 6,
                "solidity": 0.3,
                "fillmode": "overlay",
                "fgcolor": th.colour(series.role, 0.95, look.theme),
            }
            trace["meta"]["pattern"] = 0.95
        traces.append(trace)
    axis: dict[str, Any] = {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": names,
        "range": [-0.5, len(names) - 0.5],
        "autorange": False,
        "ticks": "",
    }
    figure = _figure(traces, axis, look)
    figure["layout"].update(barmode="group", bargap=0.35, bargroupgap=0.12)
    figure["layout"]["uirevision"] = f"lead-{series.key}"
    return figure


def daily_figure(models: Sequence[ModelAccuracy], series: ForecastSeries, look: Look) -> Figure:
    """Return the mean absolute error of each day, one line per model, with the naive's dotted.

    Args:
        models: Accuracy of the models of one series.
        series: The series.
        look: How it looks.
    """
    traces: list[Figure] = []
    for i, entry in enumerate(models):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [_noon_ms(error.day) for error in entry.by_day],
                "y": [round(error.mae * series.factor, 3) for error in entry.by_day],
                "name": label("model", entry.model, look.lang),
                "line": {
                    "width": 2,
                    "dash": _DASHES[i % len(_DASHES)],
                    "color": th.colour(series.role, 1, look.theme),
                },
                "marker": {"symbol": _SYMBOLS[i % len(_SYMBOLS)], "size": 7},
                "hovertemplate": f"%{{y:.2f}} {series.unit}",
                "meta": {"role": series.role, "line": 1},
            }
        )
    naive = {
        error.day: error.naive_mae * series.factor
        for entry in models
        for error in entry.by_day
        if error.naive_mae is not None
    }
    days = sorted({error.day for entry in models for error in entry.by_day})
    if naive:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [_noon_ms(day) for day in days],
                "y": [round(naive[day], 3) if day in naive else None for day in days],
                "name": label("model", "seasonal_naive", look.lang),
                "connectgaps": False,
                "line": {
                    "width": 1.5,
                    "dash": "dot",
                    "color": th.colour("muted", 1, look.theme),
                },
                "marker": {"symbol": "x-thin-open", "size": 6},
                "hovertemplate": f"%{{y:.2f}} {series.unit}",
                "meta": {"role": "muted", "line": 1},
            }
        )
    half = timedelta(hours=12) // timedelta(milliseconds=1)
    axis: dict[str, Any] = {
        "type": "date",
        "range": [_noon_ms(days[0]) - half, _noon_ms(days[-1]) + half] if days else [0, 1],
        "autorange": False,
        "nticks": 5 if look.narrow else 9,
        "tickformat": "%d.%m." if look.lang == "de" else "%-d %b",
        "hoverformat": "%a, %d.%m." if look.lang == "de" else "%a, %-d %b",
    }
    if 0 < len(days) <= (5 if look.narrow else 9):
        axis |= {"tickmode": "array", "tickvals": [_noon_ms(day) for day in days]}
    figure = _figure(traces, axis, look)
    figure["layout"]["uirevision"] = f"daily-{series.key}"
    return figure


def _figure(traces: Sequence[Figure], axis: dict[str, Any], look: Look) -> Figure:
    values = [v for trace in traces for v in trace["y"] if v is not None]
    low, high, dtick = nice_range(values, most=4)
    return {
        "data": list(traces),
        "layout": {
            "template": th.template(look.theme),
            "xaxis": axis,
            "yaxis": y_axis([low, high], dtick, ",~f"),
            "separators": separators(look.lang),
            "margin": {"l": 40, "r": 10, "t": 10, "b": 28, "pad": 0},
            "transition": {"duration": 0},
            "autosize": True,
        },
    }


def _noon_ms(day: date) -> int:
    """Return noon of a local day on a date axis without zones, in ms."""
    return round(datetime.combine(day, time(12), UTC).timestamp() * 1000)

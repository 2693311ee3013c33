"""Charts of forecasts: what is expected now, and what was expected once beside what came.

A forecast is a dashed median in a pale band from P10 to P90, what was measured or published a
solid line, so both are told apart without colour. Rules of all figures: see `plan_chart`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ems_dash.i18n import t
from ems_dash.ui import theme as th
from ems_dash.ui.chart_marks import note, now_label, now_shapes
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import Figure, area_below, base_layout, nice_range, y_axis
from ems_dash.ui.forecasts.series import PRICE, ForecastSeries
from ems_dash.ui.forecasts.words import known_ahead
from ems_dash.ui.price_bars import PriceBar, price_traces
from engine.domain.forecast import FloatArray, Forecast
from engine.domain.quarter_hour import STEP

BAND = 0.2
"""Opacity of the area from P10 to P90."""

BAND_EDGE = 0.45
"""Opacity of its edges, which show the band to those who do not see its tint."""

_MINUTES = round(STEP.total_seconds() / 60)


@dataclass(frozen=True, slots=True)
class Look:
    """How a chart is to look: ``"light"`` or ``"dark"``, ``"de"`` or ``"en"``, phone or not."""

    theme: str
    lang: str
    narrow: bool = False


def expected_figure(
    window: ChartWindow,
    series: ForecastSeries,
    forecast: Forecast | None,
    came: FloatArray,
    look: Look,
) -> Figure:
    """Return what came up to now and what is expected from now on, in the unit shown.

    Args:
        window: The time axis; it begins on a quarter-hour.
        series: What is drawn.
        forecast: The newest forecast, or None.
        came: Quarter-hours from the window's start, in the engine's unit, NaN where unknown.
        look: How it looks.
    """
    traces: list[Figure] = []
    if series is PRICE:
        traces += price_traces(_bars(window, forecast, came), window, look.theme, look.lang)
    else:
        name = f"{t(f'series.{series.key}', look.lang)} ({t('chart.measured', look.lang)})"
        traces.append(_came(window, window.start, came, series, look, name=name))
        if series.role == "pv":
            traces.append(area_below(traces, 0, 0.18, look.theme))
    if forecast is not None:
        traces += _forecast(window, forecast, series, look, median=series is not PRICE)
    figure = _figure(window, traces, look)
    layout = figure["layout"]
    layout["shapes"] = now_shapes(window, look.theme)
    layout["annotations"] = [now_label(window, look.lang, look.theme)]
    if forecast is None and known_ahead(came, window.start, window.now) is None:
        text = t("forecast.chart_none", look.lang)
        layout["annotations"].append(note(window, text, 0.6, look.theme))
    layout["uirevision"] = f"expected-{series.key}"
    return figure


def vintage_figure(
    window: ChartWindow,
    series: ForecastSeries,
    forecast: Forecast,
    came: FloatArray,
    look: Look,
) -> Figure:
    """Return what `forecast` expected when it was issued, and what came, in the unit shown.

    Steps that were published when it was issued are not part of what it expected.

    Args:
        window: The time axis; it begins on a quarter-hour.
        series: What is drawn.
        forecast: A forecast as it was issued.
        came: Quarter-hours from the window's start, in the engine's unit, NaN where unknown.
        look: How it looks.
    """
    key = "forecast.published" if series is PRICE else "chart.measured"
    name = f"{t(f'series.{series.key}', look.lang)} ({t(key, look.lang)})"
    traces = [
        *_forecast(window, forecast, series, look, median=True),
        _came(window, window.start, came, series, look, name=name),
    ]
    figure = _figure(window, traces, look)
    layout = figure["layout"]
    issued = ChartWindow(window.start, window.end, forecast.issued_at, window.tz)
    layout["shapes"] = now_shapes(issued, look.theme)
    label = now_label(issued, look.lang, look.theme)
    label["text"] = t("forecast.issued_mark", look.lang)
    layout["annotations"] = [label]
    if window.start < window.now < window.end:
        layout["shapes"].append(now_shapes(window, look.theme)[1])
        layout["annotations"].append(now_label(window, look.lang, look.theme))
    layout["uirevision"] = f"vintage-{series.key}"
    return figure


def _figure(window: ChartWindow, traces: Sequence[Figure], look: Look) -> Figure:
    values = [v for trace in traces for v in trace["y"] if v is not None]
    low, high, dtick = nice_range(values, most=5)
    layout = base_layout(window, look.theme, look.lang, narrow=look.narrow)
    layout["yaxis"] = y_axis([low, high], dtick, ",~f")
    layout["meta"] = {"offset_ms": window.offset_ms}
    return {"data": list(traces), "layout": layout}


def _shown(values: FloatArray, series: ForecastSeries) -> list[float | None]:
    decimals = 3 if series is PRICE else 2
    return [
        round(float(v), decimals) + 0.0 if np.isfinite(v) else None for v in series.shown(values)
    ]


def _came(
    window: ChartWindow,
    start: datetime,
    came: FloatArray,
    series: ForecastSeries,
    look: Look,
    *,
    name: str,
) -> Figure:
    """Return the solid line of what came: stairs for a price, a line through means else."""
    stairs = series is PRICE
    shift = timedelta(0) if stairs else STEP / 2
    values = _shown(came, series)
    trace: Figure = {
        "type": "scatter",
        "mode": "lines",
        "x": [window.x(start + i * STEP + shift) for i in range(len(values))],
        "y": values,
        "name": name,
        "connectgaps": False,
        "line": {
            "color": th.colour(series.role, 1, look.theme),
            "width": 2,
            "shape": "hv" if stairs else "linear",
        },
        "hovertemplate": f"%{{y:.1f}} {series.unit}",
        "meta": {"role": series.role, "line": 1},
    }
    return trace


def _forecast(
    window: ChartWindow,
    forecast: Forecast,
    series: ForecastSeries,
    look: Look,
    *,
    median: bool,
) -> list[Figure]:
    """Return band and median from the first step that is forecast to the last one."""
    unknown = np.flatnonzero(~forecast.known)
    if unknown.size == 0:
        return []
    first, stop = int(unknown[0]), int(unknown[-1]) + 1
    shift = timedelta(0) if series is PRICE else STEP / 2
    x = [window.x(forecast.start + i * STEP + shift) for i in range(first, stop)]
    p10, p50, p90 = (
        _shown(q[first:stop], series) for q in (forecast.p10, forecast.p50, forecast.p90)
    )
    if series is PRICE:
        # A step line ends where its last step begins; one more point draws it in full.
        x.append(window.x(forecast.start + stop * STEP))
        for values in (p10, p50, p90):
            values.append(values[-1])
    shape = "hv" if series is PRICE else "linear"
    edge = {
        "width": 1,
        "shape": shape,
        "color": th.colour(series.role, BAND_EDGE, look.theme),
    }
    common: Figure = {"type": "scatter", "mode": "lines", "connectgaps": False}
    lower: Figure = {
        **common,
        "x": x,
        "y": p10,
        "line": edge,
        "hoverinfo": "skip",
        "meta": {"role": series.role, "line": BAND_EDGE},
    }
    upper: Figure = {
        **common,
        "x": x,
        "y": p90,
        "line": edge,
        "fill": "tonexty",
        "fillcolor": th.colour(series.role, BAND, look.theme),
        "hoverinfo": "skip",
        "meta": {"role": series.role, "line": BAND_EDGE, "fill": BAND},
    }
    words = f"%{{y:.1f}} {series.unit} (%{{customdata[0]:.1f}} – %{{customdata[1]:.1f}})"
    middle: Figure = {
        **common,
        "x": x,
        "y": p50,
        "customdata": [list(pair) for pair in zip(p10, p90, strict=True)],
        "name": f"{t(f'series.{series.key}', look.lang)} ({t('forecast.expected', look.lang)})",
        "line": {
            "width": 2 if median else 0,
            "dash": "dash",
            "shape": shape,
            "color": th.colour(series.role, 1, look.theme),
        },
        "hovertemplate": words,
        "meta": {"role": series.role, "line": 1},
    }
    if not median:
        # The hatched bars say the median; here only the band speaks.
        middle["name"] = t("forecast.band_name", look.lang)
        middle["hovertemplate"] = f"%{{customdata[0]:.1f}} – %{{customdata[1]:.1f}} {series.unit}"
    return [lower, upper, middle]


def _bars(window: ChartWindow, forecast: Forecast | None, came: FloatArray) -> list[PriceBar]:
    bars = {}
    for i, price in enumerate(came):
        ts = window.start + i * STEP
        if np.isfinite(price) and ts < window.end:
            bars[ts] = PriceBar(ts, _MINUTES, float(price), is_forecast=False)
    if forecast is not None:
        for i in range(forecast.n_steps):
            ts = forecast.start + i * STEP
            if window.start <= ts < window.end and ts not in bars:
                known = bool(forecast.known[i])
                bars[ts] = PriceBar(ts, _MINUTES, float(forecast.p50[i]), is_forecast=not known)
    return [bars[ts] for ts in sorted(bars)]


def empty_figure(window: ChartWindow, text: str, look: Look) -> Figure:
    """Return a chart that says why it shows nothing."""
    figure = _figure(window, [], look)
    middle = ChartWindow(window.start, window.end, window.start, window.tz)
    figure["layout"]["shapes"] = []
    figure["layout"]["annotations"] = [note(middle, text, 0.5, look.theme)]
    for axis in ("xaxis", "yaxis"):
        figure["layout"][axis]["visible"] = False
    return figure

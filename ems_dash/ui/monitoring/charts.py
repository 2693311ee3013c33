"""The charts of what was measured: power at the site, battery within its limits, state of charge.

Pure functions from data to Plotly JSON, see `ems_dash.ui.figures`. `assets/monitoring.js` extends
the traces by their order and moves the time axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ems_dash.i18n import t
from ems_dash.ui import theme as th
from ems_dash.ui.chart_marks import soc_limit_labels, soc_limits, words_ground
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import (
    Figure,
    area_below,
    area_trace,
    base_layout,
    line_trace,
    live_value,
    nice_range,
    y_axis,
)
from ems_dash.ui.monitoring.series import Span, with_holes
from ems_dash.ui.plan_chart import charge_part, discharge_part
from engine.domain.series import MeasuredPoint
from engine.domain.site import Site

Column = list[float | None]

BATTERY_DOMAIN = (0.5, 1.0)
SOC_DOMAIN = (0.0, 0.42)
BAND_OPACITY = 0.09

_PV = 2
"""Place of the line in the power chart."""

_EDGES, _SOC = (0, 1), 4
"""Places of lines in the battery's chart."""


def window_of(span: Span, now: datetime, tz: ZoneInfo) -> ChartWindow:
    """Return the time axis of a chart that ends with the bucket before `now`."""
    end = span.start_of(now)
    return ChartWindow(end - span.length, end, now, tz)


def _columns(
    window: ChartWindow, points: Sequence[MeasuredPoint], hole_s: float
) -> tuple[list[int], dict[str, Column]]:
    drawn = with_holes([p for p in points if p.ts >= window.start], hole_s)
    x = [window.x(p.ts) for p in drawn]
    names = {name for p in drawn for name in p.values}
    return x, {n: [live_value(p.values.get(n)) for p in drawn] for n in names}


def power_figure(
    window: ChartWindow,
    points: Sequence[MeasuredPoint],
    span: Span,
    *,
    hole_s: float,
    theme: str,
    lang: str,
    narrow: bool = False,
) -> Figure:
    """Return PV, load, grid and battery in kW over the range.

    Args:
        window: The time axis.
        points: Means in ascending order.
        span: The range.
        hole_s: Two points further apart than this are not joined.
        theme: ``"light"`` or ``"dark"``.
        lang: ``"de"`` or ``"en"``.
        narrow: True on a phone: fewer ticks.
    """
    x, values = _columns(window, points, hole_s)
    none: Column = [None] * len(x)
    battery = values.get("battery_kw", none)
    traces = [
        area_trace(x, [discharge_part(v) for v in battery], "battery", 0.55, theme),
        area_trace(x, [charge_part(v) for v in battery], "battery", 0.26, theme),
        line_trace(x, values.get("pv_kw", none), "pv", theme, t("legend.pv", lang), width=1.5),
        line_trace(
            x,
            values.get("grid_kw", none),
            "grid",
            theme,
            t("legend.grid_short", lang),
            width=1.25,
            shape="hv",
            signed=True,
        ),
        line_trace(x, values.get("load_kw", none), "load", theme, t("legend.load", lang), width=2),
        # The two halves are drawn, but only the whole speaks when hovering.
        line_trace(
            x,
            battery,
            "battery",
            theme,
            t("legend.battery", lang),
            width=0,
            shape="hv",
            signed=True,
        ),
    ]
    traces.append(area_below(traces, _PV, 0.18, theme))
    low, high, dtick = nice_range(_finite(traces))
    layout = _layout(window, span, theme, lang, narrow=narrow)
    layout["yaxis"] = {**y_axis([low, high], dtick, ",~f"), "showticklabels": bool(points)}
    layout["meta"] = _meta(window, span, points, [low, high])
    layout["shapes"], layout["annotations"] = [], _notes(points, lang, theme)
    layout["uirevision"] = f"m-power-{span.key}"
    return {"data": traces, "layout": layout}


def battery_figure(
    window: ChartWindow,
    points: Sequence[MeasuredPoint],
    span: Span,
    site: Site,
    *,
    hole_s: float,
    theme: str,
    lang: str,
    narrow: bool = False,
) -> Figure:
    """Return battery power within what the BMS allows, over the state of charge.

    Args:
        window: The time axis.
        points: Means in ascending order.
        span: The range.
        site: For the SoC window.
        hole_s: Two points further apart than this are not joined.
        theme: ``"light"`` or ``"dark"``.
        lang: ``"de"`` or ``"en"``.
        narrow: True on a phone: fewer ticks.
    """
    x, values = _columns(window, points, hole_s)
    none: Column = [None] * len(x)
    charge = [None if v is None else 0.0 - v for v in values.get("max_charge_power_kw", none)]
    traces = [
        _edge(
            x, values.get("max_discharge_power_kw", none), "monitoring.may_discharge", theme, lang
        ),
        _edge(x, charge, "monitoring.may_charge", theme, lang),
        _setpoint(x, values.get("battery_setpoint_kw", none), theme, lang),
        line_trace(
            x,
            values.get("battery_kw", none),
            "battery",
            theme,
            t("legend.battery", lang),
            width=2,
            shape="hv",
            signed=True,
        ),
        _soc(x, values.get("soc_percent", none), theme, lang),
    ]
    low, high, dtick = nice_range(_finite(traces[:_SOC]), most=4)
    traces += [area_below(traces, edge, BAND_OPACITY, theme) for edge in _EDGES]
    traces.append(area_below(traces, _SOC, 0.14, theme))
    layout = _layout(window, span, theme, lang, narrow=narrow)
    layout["xaxis"]["anchor"] = "y2"
    layout["yaxis"] = {
        **y_axis([low, high], dtick, ",~f"),
        "domain": list(BATTERY_DOMAIN),
        "showticklabels": bool(points),
    }
    layout["yaxis2"] = {
        **y_axis([0, 104], 25, ",~f"),
        "domain": list(SOC_DOMAIN),
        "anchor": "x",
        "tickvals": [0, 25, 50, 75, 100],
    }
    layout["hoversubplots"] = "axis"
    layout["meta"] = _meta(window, span, points, [low, high])
    layout["shapes"] = soc_limits(site, theme)
    # Held to the paper: the axis moves under them.
    layout["annotations"] = [
        {**note, "xref": "paper", "x": 0.0} for note in soc_limit_labels(site, window, lang, theme)
    ]
    layout["annotations"] += _notes(points, lang, theme)
    layout["uirevision"] = f"m-battery-{span.key}"
    return {"data": traces, "layout": layout}


def _edge(x: list[int], y: Column, key: str, theme: str, lang: str) -> Figure:
    """Return one edge of what the BMS allows."""
    trace = line_trace(
        x,
        y,
        "battery",
        theme,
        t(key, lang),
        width=1.25,
        shape="hv",
        signed=True,
    )
    trace["line"]["dash"] = "dot"
    return trace


def _setpoint(x: list[int], y: Column, theme: str, lang: str) -> Figure:
    trace = line_trace(
        x, y, "load", theme, t("monitoring.setpoint", lang), width=1.25, shape="hv", signed=True
    )
    trace["line"]["dash"] = "dash"
    return trace


def _soc(x: list[int], y: Column, theme: str, lang: str) -> Figure:
    trace = line_trace(x, y, "battery", theme, t("legend.soc", lang), width=2)
    trace.update(yaxis="y2", hovertemplate="%{y:.1f} %")
    return trace


def _layout(window: ChartWindow, span: Span, theme: str, lang: str, *, narrow: bool) -> Figure:
    layout = base_layout(window, theme, lang, narrow=narrow)
    axis = window.x_axis(lang, narrow=narrow, tick=span.tick)
    if not window.clock_changes:
        fine = span.bucket_s < 60
        axis["tickformat"] = "%H:%M"
        axis["hoverformat"] = "%H:%M:%S" if fine else "%a %H:%M"
    layout["xaxis"] = axis
    if not window.clock_changes:
        layout["margin"] = {"b": 24}  # no second line of days
    return layout


def _meta(
    window: ChartWindow, span: Span, points: Sequence[MeasuredPoint], y: list[float]
) -> dict[str, Any]:
    """Return what the browser needs to add points and to move the axis."""
    newest = points[-1].ts if points else window.start
    return {
        "offset_ms": window.offset_ms,
        "y": y,
        "span_ms": span.length // timedelta(milliseconds=1),
        "bucket_ms": round(span.bucket_s * 1000),
        "newest": round(newest.timestamp() * 1000),
        "empty": not points,
        "made": f"{span.key}|{round(window.now.timestamp() * 1000)}",
    }


def _notes(points: Sequence[MeasuredPoint], lang: str, theme: str) -> list[Figure]:
    if points:
        return []
    return [
        {
            "name": "note:muted:1",
            "text": t("monitoring.no_points", lang),
            "x": 0.5,
            "xref": "paper",
            "y": 0.75,
            "yref": "paper",
            "showarrow": False,
            "font": {"size": 13, "color": th.colour("muted", 1, theme)},
            **words_ground(theme),
        }
    ]


def _finite(traces: Sequence[Figure]) -> list[float]:
    return [v for trace in traces for v in trace["y"] if v is not None]

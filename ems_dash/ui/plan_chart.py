"""The power chart of the overview: measured up to now, planned after it.

Figures are plain dictionaries of plain lists: the browser appends points to them with
``extendData``, which fails on encoded arrays. Each trace says in ``meta`` which role colours it
and how opaque its line, fill and marker are, so that the browser can repaint it for the other
theme. Signs: battery + discharge, - charge; grid + import, - export.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ems_dash.i18n import t
from ems_dash.ui.chart_marks import note, now_label, now_shapes
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import (
    Figure,
    area_below,
    area_trace,
    bar_trace,
    base_layout,
    line_trace,
    live_value,
    nice_range,
    y_axis,
)
from ems_dash.ui.measured_past import Past, with_gaps
from ems_dash.ui.plan_ahead import Ahead, planned_then
from engine.domain.plan import Plan
from engine.domain.series import MeasuredPoint
from engine.runtime.planned_past import PlannedStep

_PV = 2
"""Place of the measured line among the traces."""


def plan_figure(
    window: ChartWindow,
    points: Sequence[MeasuredPoint],
    plan: Plan | None,
    *,
    theme: str,
    lang: str,
    narrow: bool = False,
    planned: Sequence[PlannedStep] = (),
) -> Figure:
    """Return the power chart: measured up to now, planned after it, all in kW.

    Args:
        window: The time axis.
        points: One-minute means in ascending order.
        plan: The published plan, or None.
        theme: ``"light"`` or ``"dark"``.
        lang: ``"de"`` or ``"en"``.
        narrow: True on a phone: fewer ticks.
        planned: What earlier plans wanted of the past, in ascending order.
    """
    past = with_gaps([p for p in points if window.start <= p.ts], window)
    ahead = Ahead.of(plan, window)
    traces = [
        *_measured_power(past, theme, lang),
        *_planned_power(ahead, theme, lang),
        *planned_then(window, planned, [s.battery_kw for s in planned], theme, lang),
    ]
    low, high, dtick = nice_range(_power_values(traces))
    traces.append(area_below(traces, _PV, 0.18, theme))
    layout = base_layout(window, theme, lang, narrow=narrow)
    layout["yaxis"] = y_axis([low, high], dtick, ",~f")
    layout["meta"] = {"offset_ms": window.offset_ms, "y": [low, high], "live": "power"}
    layout["shapes"] = now_shapes(window, theme)
    layout["annotations"] = [now_label(window, lang, theme)]
    if plan is None:
        layout["annotations"].append(note(window, t("chart.no_plan", lang), 0.62, theme))
    layout["uirevision"] = "plan"
    return {"data": traces, "layout": layout}


def discharge_part(value: float | None) -> float | None:
    """Return the discharging part of a battery power, >= 0."""
    return None if value is None else max(0.0, value)


def charge_part(value: float | None) -> float | None:
    """Return the charging part of a battery power, <= 0."""
    return None if value is None else min(0.0, value)


def _measured_power(past: Past, theme: str, lang: str) -> list[Figure]:
    """Return the live traces; `assets/live.js` extends these six by their order."""
    battery = past.values["battery_kw"]
    measured = t("chart.measured", lang)

    def name(key: str) -> str:
        return f"{t(key, lang)} ({measured})"

    # The two halves are drawn, but only the whole speaks when hovering.
    whole = line_trace(
        past.x, battery, "battery", theme, name("legend.battery"), width=0, shape="hv", signed=True
    )
    return [
        area_trace(past.x, [discharge_part(v) for v in battery], "battery", 0.55, theme),
        area_trace(past.x, [charge_part(v) for v in battery], "battery", 0.26, theme),
        line_trace(past.x, past.values["pv_kw"], "pv", theme, name("legend.pv"), width=1.5),
        line_trace(
            past.x,
            past.values["grid_kw"],
            "grid",
            theme,
            name("legend.grid_short"),
            width=1.25,
            shape="hv",
            signed=True,
        ),
        line_trace(past.x, past.values["load_kw"], "load", theme, name("legend.load"), width=2),
        whole,
    ]


def _planned_power(ahead: Ahead, theme: str, lang: str) -> list[Figure]:
    plan = ahead.plan
    if plan is None or not ahead.indices:
        return []
    planned = t("chart.planned", lang)

    def name(key: str) -> str:
        return f"{t(key, lang)} ({planned})"

    rows = ahead.indices
    battery = [float(plan.battery_kw[i]) for i in rows]
    middles = ahead.middles()
    widths = [
        ahead.window.x(b) - ahead.window.x(a) for a, b in zip(ahead.starts, ahead.ends, strict=True)
    ]
    pv = [round(float(plan.pv_kw[i] - plan.curtailed_kw[i]), 2) for i in rows]
    grid_x, grid_y = ahead.stairs([round(float(plan.grid_kw[i]), 2) for i in rows])
    load = [round(float(plan.load_kw[i]), 2) for i in rows]
    look: dict[str, Any] = {"widths": widths, "role": "battery", "theme": theme}
    discharge = bar_trace(middles, [round(max(0.0, v), 2) for v in battery], opacity=0.78, **look)
    charge = bar_trace(middles, [round(min(0.0, v), 2) for v in battery], opacity=0.34, **look)
    return [
        _says_battery(discharge, charge, [live_value(v) for v in battery], name("legend.battery")),
        charge,
        line_trace(middles, pv, "pv", theme, name("legend.pv"), width=1.5, fill=0.18),
        line_trace(
            grid_x,
            grid_y,
            "grid",
            theme,
            name("legend.grid_short"),
            width=1.5,
            shape="hv",
            signed=True,
        ),
        line_trace(middles, load, "load", theme, name("legend.load"), width=2.25),
    ]


def _says_battery(
    discharge: Figure, charge: Figure, battery_kw: Sequence[float | None], name: str
) -> Figure:
    """Make `discharge` speak for both halves of the battery, so hovering says it once."""
    discharge.update(name=name, customdata=list(battery_kw), hovertemplate="%{customdata:+.1f} kW")
    charge["hoverinfo"] = "skip"
    return discharge


def _power_values(traces: Sequence[Figure]) -> list[float]:
    return [v for trace in traces for v in trace["y"] if v is not None]

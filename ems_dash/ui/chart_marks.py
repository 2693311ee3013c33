"""Marks of a chart over time: the past, now, and words where there is nothing to draw."""

from __future__ import annotations

from ems_dash.i18n import t
from ems_dash.ui import theme as th
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import Figure


def now_shapes(window: ChartWindow, theme: str) -> list[Figure]:
    """Return the veil over the past and the line at now; the browser moves both."""
    now = window.x(window.now)
    return [
        {
            "name": "past:sunken:0.5",
            "type": "rect",
            "layer": "below",
            "xref": "x",
            "yref": "paper",
            "x0": window.x(window.start),
            "x1": now,
            "y0": 0,
            "y1": 1,
            "line": {"width": 0},
            "fillcolor": th.colour("sunken", 0.5, theme),
        },
        {
            "name": "now:muted:1",
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": now,
            "x1": now,
            "y0": 0,
            "y1": 1,
            "line": {"width": 1.25, "dash": "dot", "color": th.colour("muted", 1, theme)},
        },
    ]


def now_label(window: ChartWindow, lang: str, theme: str) -> Figure:
    return {
        "name": "now:muted:1",
        "text": t("chart.now", lang),
        "x": window.x(window.now),
        "xref": "x",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": th.colour("muted", 1, theme)},
    }


def note(window: ChartWindow, text: str, y: float, theme: str) -> Figure:
    """Return words in the right half of a chart where there is nothing to draw; `y` of paper."""
    return {
        "name": "note:muted:1",
        "text": text,
        "x": window.x(window.now + (window.end - window.now) / 2),
        "xref": "x",
        "y": y,
        "yref": "paper",
        "showarrow": False,
        "font": {"size": 13, "color": th.colour("muted", 1, theme)},
    }

"""Marks of a chart over time: the past, now, SoC limits, and words where nothing is."""

from __future__ import annotations

from ems_dash.i18n import t
from ems_dash.ui import format as fmt
from ems_dash.ui import theme as th
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import Figure
from engine.domain.site import Site

ROOM_FOR_WORDS_PERCENT = 8.0
"""Height of a label in the state-of-charge panel."""

ROOM_FOR_WORDS_SHARE = 0.14
"""Share of the chart that the words at its left end need; a shorter past leaves them none."""


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


def _past_is_short(window: ChartWindow, share: float = ROOM_FOR_WORDS_SHARE) -> bool:
    return window.now - window.start < share * (window.end - window.start)


def now_label(window: ChartWindow, lang: str, theme: str) -> Figure:
    """Return the word above the line at now, beside it where it would cover the y axis."""
    return {
        "name": "now:muted:1",
        "text": t("chart.now", lang),
        "x": window.x(window.now),
        "xref": "x",
        "y": 1,
        "yref": "paper",
        "xanchor": "left" if _past_is_short(window, 0.05) else "center",
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
        **words_ground(theme),
    }


def words_ground(theme: str) -> Figure:
    """Return what keeps grid lines out of words; the browser repaints it with the theme."""
    return {"bgcolor": th.colour("surface", 1, theme), "borderpad": 3}


def soc_limits(site: Site, theme: str) -> list[Figure]:
    """Return the dotted lines at the ends of the SoC window, on the second y axis."""
    return [
        {
            "name": "limit:muted:0.9",
            "type": "line",
            "xref": "paper",
            "yref": "y2",
            "x0": 0,
            "x1": 1,
            "y0": level,
            "y1": level,
            "line": {"width": 1, "dash": "dot", "color": th.colour("muted", 0.9, theme)},
        }
        for level in (site.battery.soc_min_percent, site.battery.soc_max_percent)
    ]


def soc_limit_labels(site: Site, window: ChartWindow, lang: str, theme: str) -> list[Figure]:
    """Return the words at the limits: outside the window, where the curve seldom is.

    They stand at the left end, or at the right one where the past has no room for them.
    """
    low, high = site.battery.soc_min_percent, site.battery.soc_max_percent
    right = window.start < window.now < window.end and _past_is_short(window)
    return [
        {
            "name": "limit:muted:1",
            "text": t(key, lang, level=fmt.percent(level, lang)),
            "x": window.x(window.end if right else window.start),
            "xref": "x",
            "xanchor": "right" if right else "left",
            "xshift": -4 if right else 4,
            "y": level,
            "yref": "y2",
            "yanchor": anchor,
            "showarrow": False,
            "font": {"size": 11, "color": th.colour("muted", 1, theme)},
        }
        for key, level, anchor in (
            ("chart.soc_min", low, "top" if low >= ROOM_FOR_WORDS_PERCENT else "bottom"),
            ("chart.soc_max", high, "bottom" if high <= 100 - ROOM_FOR_WORDS_PERCENT else "top"),
        )
    ]

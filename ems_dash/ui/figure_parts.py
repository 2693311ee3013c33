"""What every chart is made of: lines, areas, bars, axes and quiet ranges, as Plotly JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ems_dash.ui import theme as th
from ems_dash.ui.chart_window import ChartWindow

Figure = dict[str, Any]

MAX_POINTS = 720
"""Most points of a live trace (DESIGN, live views)."""


def live_value(value: float | None) -> float | None:
    """Return a measured value as it is sent to the browser: two decimals, no -0."""
    return None if value is None else round(value, 2) + 0.0


def nice_range(values: Iterable[float], most: int = 7) -> tuple[float, float, float]:
    """Return low end, high end and tick distance of a quiet axis around `values` and 0.

    The ends are multiples of half the tick distance, so small changes of the data leave the
    axis alone.

    Args:
        values: Data; non-finite ones are ignored.
        most: Most intervals between ticks.
    """
    finite = [v for v in values if math.isfinite(v)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    if high - low < 1e-9:
        return 0.0, 10.0, 5.0
    margin = 0.03 * (high - low)
    exponent = math.floor(math.log10((high - low) / most))
    for step in [m * 10.0**e for e in (exponent, exponent + 1) for m in (1, 2, 2.5, 5)]:
        half = step / 2
        bottom = 0.0 if low >= 0 else math.floor((low - margin) / half) * half
        top = 0.0 if high <= 0 else math.ceil((high + margin) / half) * half
        if (top - bottom) / step <= most:
            return round(bottom, 9), round(top, 9), round(step, 9)
    raise AssertionError("unreachable: the largest step spans the data in two intervals")


def hover(signed: bool) -> str:
    """Return what a trace in kW says when hovered over; `signed` writes + before positives."""
    return "%{y:+.1f} kW" if signed else "%{y:.1f} kW"


def line_trace(
    x: Sequence[int],
    y: Sequence[float | None],
    role: str,
    theme: str,
    name: str,
    *,
    width: float,
    fill: float = 0.0,
    shape: str = "linear",
    signed: bool = False,
) -> Figure:
    """Return a line in kW that leaves gaps open.

    Args:
        x: Positions on the time axis, see `ChartWindow.x`.
        y: Values; None is a gap.
        role: Colours it.
        theme: ``"light"`` or ``"dark"``.
        name: Said when hovered over.
        width: Line width, px.
        fill: Opacity of the area between line and 0, for a line without gaps; 0 for none.
        shape: ``"linear"`` or ``"hv"`` for steps.
        signed: True to write + before positive values.
    """
    trace: Figure = {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "name": name,
        "connectgaps": False,
        "line": {"color": th.colour(role, 1, theme), "width": width, "shape": shape},
        "hovertemplate": hover(signed),
        "meta": {"role": role, "line": 1},
    }
    if fill:
        trace.update(fill="tozeroy", fillcolor=th.colour(role, fill, theme))
        trace["meta"]["fill"] = fill
    return trace


def area_trace(
    x: Sequence[int], y: Sequence[float | None], role: str, opacity: float, theme: str
) -> Figure:
    """Return a stepped area down to 0 without an outline; it says nothing when hovered over.

    Plotly's fill bridges a gap in its line with a straight edge, which would show power that
    nobody measured; a step to 0 is an area of nothing.
    """
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": [0.0 if value is None else value for value in y],
        "line": {"width": 0, "shape": "hv", "color": th.colour(role, opacity, theme)},
        "fill": "tozeroy",
        "fillcolor": th.colour(role, opacity, theme),
        "hoverinfo": "skip",
        "meta": {"role": role, "fill": opacity, "line": opacity},
    }


def area_below(traces: Sequence[Figure], index: int, opacity: float, theme: str) -> Figure:
    """Return the area between a line that may have gaps and 0, as a trace of its own.

    It is empty where the line has a gap, see `area_trace`. The scripts in `assets` that add
    points to the line find it by ``meta.below``.

    Args:
        traces: Traces of the figure, among them the line.
        index: Place of the line.
        opacity: Of the area.
        theme: ``"light"`` or ``"dark"``.
    """
    line = traces[index]
    x: list[int] = []
    y: list[float | None] = []
    gap = False
    for at, value in zip(line["x"], line["y"], strict=True):
        if gap and value is not None:
            x.append(at)
            y.append(0.0)
        gap = value is None
        x.append(at)
        y.append(value)
    area = area_trace(x, y, line["meta"]["role"], opacity, theme)
    area["line"]["shape"] = line["line"].get("shape", "linear")
    area["meta"]["below"] = index
    if "yaxis" in line:
        area["yaxis"] = line["yaxis"]
    return area


def bar_trace(
    x: Sequence[int],
    y: Sequence[float],
    *,
    widths: Sequence[int],
    role: str,
    opacity: float,
    theme: str,
) -> Figure:
    """Return bars around `x`, `widths` ms wide."""
    return {
        "type": "bar",
        "x": list(x),
        "y": list(y),
        "width": list(widths),
        "marker": {"color": th.colour(role, opacity, theme), "line": {"width": 0}},
        "meta": {"role": role, "marker": opacity},
    }


def base_layout(window: ChartWindow, theme: str, lang: str, *, narrow: bool) -> Figure:
    """Return the layout every chart over a time axis has."""
    return {
        "template": th.template(theme),
        "xaxis": window.x_axis(lang, narrow=narrow),
        "separators": separators(lang),
        "transition": {"duration": 0},
        "autosize": True,
    }


def separators(lang: str) -> str:
    """Return the decimal point and what stands between thousands, as Plotly wants them."""
    return ",." if lang == "de" else ".,"


def y_axis(bounds: Sequence[float], dtick: float, tickformat: str) -> Figure:
    """Return a y axis that stands still between `bounds`."""
    return {
        "range": list(bounds),
        "autorange": False,
        "tick0": 0,
        "dtick": dtick,
        "tickformat": tickformat,
    }

"""Chart of the weather behind the PV forecast: irradiance, and cloud cover below it."""

from __future__ import annotations

import numpy as np

from ems_dash.i18n import t
from ems_dash.ui import theme as th
from ems_dash.ui.chart_marks import now_label, now_shapes
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import Figure, area_below, base_layout, nice_range, y_axis
from ems_dash.ui.forecasts.figures import Look
from engine.domain.quarter_hour import STEP
from engine.weather.weather import FloatArray, WeatherForecast

UPPER = (0.42, 1.0)
LOWER = (0.0, 0.3)


def weather_figure(window: ChartWindow, weather: WeatherForecast, look: Look) -> Figure:
    """Return two panels: global irradiance in W/m² and cloud cover in percent.

    Args:
        window: The time axis.
        weather: The forecast; without irradiance the upper panel says so.
        look: How it looks.
    """
    x = [window.x(weather.start + i * STEP + STEP / 2) for i in range(weather.n_steps)]
    inside = [window.x(window.start) <= at <= window.x(window.end) for at in x]
    keep = np.flatnonzero(inside)
    traces = [
        _trace(
            x, weather.ghi_w_m2, keep, look, axis="y", role="pv", key="weather.ghi", unit="W/m²"
        ),
        _trace(
            x,
            weather.cloud_cover_percent,
            keep,
            look,
            axis="y2",
            role="muted",
            key="weather.clouds",
            unit="%",
        ),
    ]
    low, high, dtick = nice_range([v for v in traces[0]["y"] if v is not None], most=4)
    traces += [area_below(traces, line, 0.16, look.theme) for line in range(2)]
    layout = base_layout(window, look.theme, look.lang, narrow=look.narrow)
    layout["xaxis"]["anchor"] = "y2"
    layout["yaxis"] = {**y_axis([low, high], dtick, ",~f"), "domain": list(UPPER)}
    layout["yaxis2"] = {
        **y_axis([0, 104], 50, ",~f"),
        "domain": list(LOWER),
        "anchor": "x",
    }
    layout["hoversubplots"] = "axis"
    layout["shapes"] = now_shapes(window, look.theme)
    layout["annotations"] = [now_label(window, look.lang, look.theme)]
    layout["uirevision"] = "weather"
    return {"data": traces, "layout": layout}


def _trace(
    x: list[int],
    values: FloatArray,
    keep: np.ndarray,
    look: Look,
    *,
    axis: str,
    role: str,
    key: str,
    unit: str,
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [x[i] for i in keep],
        "y": [round(float(values[i]), 1) if np.isfinite(values[i]) else None for i in keep],
        "yaxis": axis,
        "name": t(key, look.lang),
        "connectgaps": False,
        "line": {"width": 1.5, "color": th.colour(role, 1, look.theme)},
        "hovertemplate": f"%{{y:.0f}} {unit}",
        "meta": {"role": role, "line": 1},
    }

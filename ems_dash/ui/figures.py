"""The charts of the overview: pure functions from data to Plotly JSON.

Figures are plain dictionaries of plain lists: the browser appends points to them with
``extendData``, which fails on encoded arrays. Each trace says in ``meta`` which role colours it
and how opaque its line, fill and marker are, so that the browser can repaint it for the other
theme. Signs: battery + discharge, - charge; grid + import, - export.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ems_dash.i18n import t
from ems_dash.ui import format as fmt
from ems_dash.ui import theme as th
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import (
    MAX_POINTS,
    Figure,
    area_trace,
    bar_trace,
    base_layout,
    line_trace,
    live_value,
    nice_range,
    y_axis,
)
from engine.domain.plan import Plan
from engine.domain.series import MeasuredPoint
from engine.domain.site import Site

MEASURED_SIGNALS: tuple[str, ...] = ("pv_kw", "load_kw", "grid_kw", "battery_kw", "soc_percent")
"""Order of the values in a live point, as `assets/live.js` reads them."""

GAP = timedelta(seconds=90)
"""Two one-minute points further apart than this have a hole between them."""

CENTS = 100.0
ROOM_FOR_WORDS_PERCENT = 8.0
"""Height of a label in the state-of-charge panel."""

PRICE_DOMAIN = (0.53, 1.0)
SOC_DOMAIN = (0.0, 0.45)


@dataclass(frozen=True, slots=True)
class PriceBar:
    """One interval of day-ahead prices, starting at `ts` (UTC)."""

    ts: datetime
    minutes: int
    spot_eur_per_kwh: float
    is_forecast: bool


def plan_figure(
    window: ChartWindow,
    points: Sequence[MeasuredPoint],
    plan: Plan | None,
    *,
    theme: str,
    lang: str,
    narrow: bool = False,
) -> Figure:
    """Return the power chart: measured up to now, planned after it, all in kW.

    Args:
        window: The time axis.
        points: One-minute means in ascending order.
        plan: The published plan, or None.
        theme: ``"light"`` or ``"dark"``.
        lang: ``"de"`` or ``"en"``.
        narrow: True on a phone: fewer ticks.
    """
    past = _with_gaps([p for p in points if window.start <= p.ts], window)
    ahead = _Ahead.of(plan, window)
    traces = [
        *_measured_power(past, theme, lang),
        *_planned_power(ahead, theme, lang),
    ]
    low, high, dtick = nice_range(_power_values(traces))
    layout = base_layout(window, theme, lang, narrow=narrow)
    layout["yaxis"] = y_axis([low, high], dtick, ",~f")
    layout["meta"] = {"offset_ms": window.offset_ms, "y": [low, high], "live": "power"}
    layout["shapes"] = _now_shapes(window, theme)
    layout["annotations"] = [_now_label(window, lang, theme)]
    if plan is None:
        layout["annotations"].append(_note(window, t("chart.no_plan", lang), 0.62, theme))
    layout["uirevision"] = "plan"
    return {"data": traces, "layout": layout}


def price_soc_figure(
    window: ChartWindow,
    points: Sequence[MeasuredPoint],
    plan: Plan | None,
    prices: Sequence[PriceBar],
    site: Site,
    *,
    theme: str,
    lang: str,
    narrow: bool = False,
) -> Figure:
    """Return two panels over one time axis: day-ahead price in ct/kWh, state of charge in %.

    Args:
        window: The time axis.
        points: One-minute means in ascending order.
        plan: The published plan, or None.
        prices: Known and forecast prices, past and future, in ascending order.
        site: For the battery's capacity and SoC window.
        theme: ``"light"`` or ``"dark"``.
        lang: ``"de"`` or ``"en"``.
        narrow: True on a phone: fewer ticks.
    """
    past = _with_gaps([p for p in points if window.start <= p.ts], window)
    ahead = _Ahead.of(plan, window)
    shown = [b for b in prices if window.start <= b.ts < window.end]
    traces = [
        _soc_measured(past, theme, lang),
        _soc_planned(ahead, site, past, theme=theme, lang=lang),
        *_price_traces(shown, window, theme, lang),
    ]
    low, high, dtick = nice_range([b.spot_eur_per_kwh * CENTS for b in shown], most=4)
    layout = base_layout(window, theme, lang, narrow=narrow)
    layout["xaxis"]["anchor"] = "y2"
    layout["yaxis"] = {**y_axis([low, high], dtick, ",~f"), "domain": list(PRICE_DOMAIN)}
    layout["yaxis2"] = {
        **y_axis([0, 104], 25, ",~f"),
        "domain": list(SOC_DOMAIN),
        "anchor": "x",
        "tickvals": [0, 25, 50, 75, 100],
    }
    layout["hoversubplots"] = "axis"
    layout["meta"] = {"offset_ms": window.offset_ms, "y": [0, 104], "live": "soc"}
    layout["shapes"] = [*_now_shapes(window, theme), *_soc_limits(site, theme)]
    layout["annotations"] = [
        _now_label(window, lang, theme),
        *_soc_limit_labels(site, window, lang, theme),
    ]
    if not shown:
        middle = sum(PRICE_DOMAIN) / 2
        layout["annotations"].append(_note(window, t("chart.no_prices", lang), middle, theme))
    layout["uirevision"] = "price-soc"
    return {"data": traces, "layout": layout}


# --- measured ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Past:
    x: list[int]
    values: dict[str, list[float | None]]


def _with_gaps(points: Sequence[MeasuredPoint], window: ChartWindow) -> _Past:
    x: list[int] = []
    values: dict[str, list[float | None]] = {name: [] for name in MEASURED_SIGNALS}
    before: datetime | None = None
    for point in points[-MAX_POINTS:]:
        if before is not None and point.ts - before > GAP:
            # A point without values keeps the line from bridging the hole.
            x.append(window.x(before + timedelta(minutes=1)))
            for column in values.values():
                column.append(None)
        x.append(window.x(point.ts))
        for name, column in values.items():
            column.append(live_value(point.values.get(name)))
        before = point.ts
    return _Past(x, values)


def discharge_part(value: float | None) -> float | None:
    """Return the discharging part of a battery power, >= 0."""
    return None if value is None else max(0.0, value)


def charge_part(value: float | None) -> float | None:
    """Return the charging part of a battery power, <= 0."""
    return None if value is None else min(0.0, value)


def _measured_power(past: _Past, theme: str, lang: str) -> list[Figure]:
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
        line_trace(
            past.x, past.values["pv_kw"], "pv", theme, name("legend.pv"), width=1.5, fill=0.18
        ),
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


def _soc_measured(past: _Past, theme: str, lang: str) -> Figure:
    trace = line_trace(
        past.x,
        past.values["soc_percent"],
        "battery",
        theme,
        f"{t('legend.soc', lang)} ({t('chart.measured', lang)})",
        width=2,
        fill=0.22,
    )
    trace.update(yaxis="y2", hovertemplate="%{y:.0f} %")
    return trace


# --- planned ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The steps of a plan that are not over at the window's now, the first cut there."""

    starts: list[datetime]
    ends: list[datetime]
    indices: list[int]
    plan: Plan | None
    window: ChartWindow

    @classmethod
    def of(cls, plan: Plan | None, window: ChartWindow) -> _Ahead:
        starts: list[datetime] = []
        ends: list[datetime] = []
        indices: list[int] = []
        for index, start in enumerate(plan.times() if plan is not None else ()):
            end = start + plan.step if plan is not None else start
            if end <= window.now or start >= window.end:
                continue
            starts.append(max(start, window.now))
            ends.append(end)
            indices.append(index)
        return cls(starts, ends, indices, plan, window)

    def middles(self) -> list[int]:
        return [
            (self.window.x(a) + self.window.x(b)) // 2
            for a, b in zip(self.starts, self.ends, strict=True)
        ]

    def stairs(self, values: Sequence[float]) -> tuple[list[int], list[float | None]]:
        """Return x and y of a step line that also draws the last step's full length."""
        if not self.indices:
            return [], []
        x = [self.window.x(a) for a in self.starts] + [self.window.x(self.ends[-1])]
        y: list[float | None] = [*values, values[-1]]
        return x, y


def _planned_power(ahead: _Ahead, theme: str, lang: str) -> list[Figure]:
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


def _soc_planned(ahead: _Ahead, site: Site, past: _Past, *, theme: str, lang: str) -> Figure:
    x: list[int] = []
    y: list[float | None] = []
    plan = ahead.plan
    if plan is not None and ahead.indices:
        capacity = site.battery.energy_capacity_kwh
        # The planned course starts where the battery stands now, not where the plan began.
        measured = next((v for v in reversed(past.values["soc_percent"]) if v is not None), None)
        first = ahead.indices[0]
        before = plan.soc_start_kwh if first == 0 else float(plan.soc_kwh[first - 1])
        x.append(ahead.window.x(ahead.starts[0]))
        y.append(live_value(measured if measured is not None else before / capacity * 100.0))
        for end, index in zip(ahead.ends, ahead.indices, strict=True):
            x.append(ahead.window.x(end))
            y.append(round(float(plan.soc_kwh[index]) / capacity * 100.0, 2))
    trace = line_trace(
        x,
        y,
        "battery",
        theme,
        f"{t('legend.soc', lang)} ({t('chart.planned', lang)})",
        width=2,
        fill=0.12,
    )
    trace.update(yaxis="y2", hovertemplate="%{y:.0f} %")
    return trace


def price_bars(plan: Plan | None, remembered: Sequence[PriceBar]) -> list[PriceBar]:
    """Return the prices of `plan` preceded by `remembered` ones from before its start.

    A step without a day-ahead price, under a tariff that needs none, has no bar.
    """
    if plan is None:
        return list(remembered)
    own = [
        PriceBar(
            ts, plan.step_minutes, float(plan.spot_eur_per_kwh[i]), bool(plan.price_is_forecast[i])
        )
        for i, ts in enumerate(plan.times())
        if math.isfinite(plan.spot_eur_per_kwh[i])
    ]
    return [b for b in remembered if b.ts < plan.start] + own


def _price_traces(
    bars: Sequence[PriceBar], window: ChartWindow, theme: str, lang: str
) -> list[Figure]:
    def is_past(bar: PriceBar) -> bool:
        return bar.ts + timedelta(minutes=bar.minutes) <= window.now

    groups = (
        ("chart.price_past", 0.35, [b for b in bars if not b.is_forecast and is_past(b)]),
        ("chart.price_known", 0.85, [b for b in bars if not b.is_forecast and not is_past(b)]),
        ("chart.price_forecast", 0.3, [b for b in bars if b.is_forecast]),
    )
    traces = []
    for key, opacity, group in groups:
        traces.append(
            _price_trace(
                group, window, theme, t(key, lang), opacity, hatched=key == "chart.price_forecast"
            )
        )
    return traces


def _price_trace(
    bars: Sequence[PriceBar],
    window: ChartWindow,
    theme: str,
    name: str,
    opacity: float,
    *,
    hatched: bool,
) -> Figure:
    halves = [timedelta(minutes=b.minutes / 2) for b in bars]
    trace = bar_trace(
        [window.x(b.ts + half) for b, half in zip(bars, halves, strict=True)],
        [round(b.spot_eur_per_kwh * CENTS, 3) for b in bars],
        widths=[round(b.minutes * 60_000 * 0.86) for b in bars],
        role="price",
        opacity=opacity,
        theme=theme,
    )
    trace.update(name=name, hovertemplate="%{y:.1f} ct/kWh")
    if hatched:
        # Hatching keeps forecasts apart from published prices without relying on colour.
        trace["marker"]["pattern"] = {
            "shape": "/",
            "size": 5,
            "solidity": 0.35,
            "fillmode": "overlay",
            "fgcolor": th.colour("price", 0.95, theme),
        }
        trace["meta"]["pattern"] = 0.95
    return trace


def _says_battery(
    discharge: Figure, charge: Figure, battery_kw: Sequence[float | None], name: str
) -> Figure:
    """Make `discharge` speak for both halves of the battery, so hovering says it once."""
    discharge.update(name=name, customdata=list(battery_kw), hovertemplate="%{customdata:+.1f} kW")
    charge["hoverinfo"] = "skip"
    return discharge


def _power_values(traces: Sequence[Figure]) -> list[float]:
    return [v for trace in traces for v in trace["y"] if v is not None]


def _now_shapes(window: ChartWindow, theme: str) -> list[Figure]:
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


def _now_label(window: ChartWindow, lang: str, theme: str) -> Figure:
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


def _note(window: ChartWindow, text: str, y: float, theme: str) -> Figure:
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


def _soc_limits(site: Site, theme: str) -> list[Figure]:
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


def _soc_limit_labels(site: Site, window: ChartWindow, lang: str, theme: str) -> list[Figure]:
    """Return the words at the limits: outside the window, where the curve seldom is."""
    low, high = site.battery.soc_min_percent, site.battery.soc_max_percent
    return [
        {
            "name": "limit:muted:1",
            "text": t(key, lang, level=fmt.percent(level, lang)),
            "x": window.x(window.start),
            "xref": "x",
            "xanchor": "left",
            "xshift": 4,
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

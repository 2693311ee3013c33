"""Charts of the results of a period, as pure functions from figures to Plotly JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ems_dash.i18n import label, t
from ems_dash.ui import format as fmt
from ems_dash.ui import theme as th
from ems_dash.ui.figure_parts import Figure, nice_range, separators, y_axis
from ems_dash.ui.forecasts.figures import Look
from engine.domain.forecast import FloatArray
from engine.runtime.analytics_service import DayFigures

MAX_DURATION_POINTS = 400
"""Points of a load-duration curve; it falls steadily, so quantiles show all of it."""

HOURS = 24
DAY_MS = 86_400_000
FEW_DAYS = 5
MOST_NAMED_DAYS = 62
"""So many days stand apart far enough for a tick to name one of them."""


def daily_figure(days: Sequence[DayFigures], baseline: str, look: Look) -> Figure:
    """Return the profit of each day against `baseline`, EUR; unknown days have no bar."""
    key = f"{baseline}_saving_eur"
    known = [(day.day, value) for day in days if (value := day.values.get(key)) is not None]
    trace = _day_bars(
        [day for day, _ in known],
        [value for _, value in known],
        role="battery",
        opacity=0.78,
        look=look,
        hover="%{y:,.2f} €",
    )
    return _by_day([trace] if known else [], days, [value for _, value in known], look, "an-daily")


def peaks_figure(days: Sequence[DayFigures], look: Look) -> Figure:
    """Return the highest 15-min mean import of each day in kW, beside that without a battery.

    The highest of the period is full; it is the one a demand charge bills, where there is one.
    """
    mine = [(day.day, v) for day in days if (v := day.values.get("peak_kw")) is not None]
    none = [(day.day, v) for day in days if (v := day.values.get("no_battery_peak_kw")) is not None]
    highest = max((value for _, value in mine), default=None)
    traces: list[Figure] = []
    for top in (False, True):
        part = [(day, value) for day, value in mine if (value == highest) is top]
        if part:
            traces.append(
                _day_bars(
                    [day for day, _ in part],
                    [value for _, value in part],
                    role="grid",
                    opacity=0.95 if top else 0.45,
                    look=look,
                    hover="%{y:.1f} kW",
                    name=t("results.peak_highest" if top else "results.peak_day", look.lang),
                )
            )
    if none:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [_noon_ms(day) for day, _ in none],
                "y": [round(value, 2) for _, value in none],
                "name": label("baseline", "no_battery", look.lang),
                "marker": {
                    "symbol": "line-ew-open",
                    # As wide as the bar of a week or a month is, in a card of a narrow page.
                    "size": 24 if len(days) <= 10 else 12 if len(days) <= 31 else 6,
                    "line": {"width": 3},
                    "color": th.colour("text", 1, look.theme),
                },
                "hovertemplate": "%{y:.1f} kW",
                "meta": {"role": "text", "marker": 1},
            }
        )
    values = [value for _, value in (*mine, *none)]
    return _by_day(traces, days, values, look, "an-peaks")


def waterfall_figure(
    best_eur: float, causes: Mapping[str, float], earned_eur: float, look: Look
) -> Figure:
    """Return the way from the profit of perfect foresight to what was earned, EUR.

    Args:
        best_eur: Profit of perfect foresight against no battery.
        causes: Cause to EUR lost by it, in order; negative where it earned.
        earned_eur: Profit really made on the same days; best less all causes.
        look: How it looks.
    """
    lang = look.lang
    names = [t("results.best", lang)]
    bases, heights, roles, texts = [0.0], [best_eur], ["accent"], [fmt.money(best_eur, lang)]
    level = best_eur
    for cause, lost in causes.items():
        names.append(label("cause", cause, lang))
        bases.append(level - max(lost, 0.0))
        heights.append(abs(lost))
        roles.append("alarm" if lost > 0 else "ok")
        texts.append(fmt.money(-lost, lang, signed=True))
        level -= lost
    names.append(t("results.earned", lang))
    bases.append(0.0)
    heights.append(earned_eur)
    roles.append("battery")
    texts.append(fmt.money(earned_eur, lang))
    tops = [base + height for base, height in zip(bases, heights, strict=True)]
    low, high, dtick = nice_range([*bases, *tops, 1.08 * max(tops)], most=5)
    order = list(range(len(names)))
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "y": order,
                "x": [round(height, 4) for height in heights],
                "base": [round(base, 4) for base in bases],
                "text": texts,
                "textposition": "outside",
                "cliponaxis": False,
                "textfont": {"color": th.colour("text", 1, look.theme), "size": 12},
                "customdata": names,
                "hovertemplate": "%{customdata}: %{text}<extra></extra>",
                "marker": {
                    "color": [th.colour(role, 0.85, look.theme) for role in roles],
                    "line": {"width": 0},
                },
            }
        ],
        "layout": {
            "template": th.template(look.theme),
            "xaxis": {
                "range": [low, high],
                "autorange": False,
                "dtick": dtick,
                "tickformat": ",~f",
                "showgrid": True,
                "gridcolor": th.colour("border", 1, look.theme),
            },
            "yaxis": {
                "tickmode": "array",
                "tickvals": order,
                "ticktext": names,
                "range": [len(names) - 0.5, -0.5],
                "autorange": False,
                "automargin": True,
                "showgrid": False,
                "zeroline": False,
            },
            "hovermode": "closest",
            "bargap": 0.35,
            "margin": {"l": 40, "r": 64, "t": 6, "b": 28, "pad": 4},
            "separators": separators(lang),
            "autosize": True,
            "uirevision": "an-waterfall",
        },
    }


def heat_figure(
    days: Sequence[date], values: FloatArray, unit: str, role: str, look: Look
) -> Figure:
    """Return a picture of hours by days.

    Args:
        days: Local days, ascending, shape (n,).
        values: Mean of each local hour, shape (24, n); NaN where nothing is known.
        unit: Unit of the values.
        role: Colour of high values; negative ones are drawn grey.
        look: How it looks.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {"data": [], "layout": {}}
    low, high = float(finite.min()), float(finite.max())
    paper, full = th.colour("sunken", 1, look.theme), th.colour(role, 1, look.theme)
    scale: list[list[Any]] = [[0.0, paper], [1.0, full]]
    if low < 0.0 < high:
        zero = -low / (high - low)
        scale = [[0.0, th.colour("muted", 0.9, look.theme)], [zero, paper], [1.0, full]]
    return {
        "data": [
            {
                "type": "heatmap",
                **_columns(days),
                "y": list(range(HOURS)),
                "z": [[None if np.isnan(v) else round(float(v), 2) for v in row] for row in values],
                "zmin": low,
                "zmax": high if high > low else low + 1.0,
                "colorscale": scale,
                "xgap": 1 if len(days) <= 62 else 0,
                "ygap": 1,
                "hoverongaps": False,
                "colorbar": {
                    "thickness": 10,
                    "outlinewidth": 0,
                    "ticksuffix": f" {unit}",
                    "nticks": 5,
                },
                "hovertemplate": f"%{{x|%d.%m.}} %{{y}}:00 – %{{z}} {unit}<extra></extra>",
            }
        ],
        "layout": {
            "template": th.template(look.theme),
            "xaxis": _day_axis(list(days), look) | {"ticks": "", "showline": False},
            "yaxis": {
                "range": [HOURS - 0.5, -0.5],
                "autorange": False,
                "tickvals": [0, 6, 12, 18],
                "ticktext": ["00:00", "06:00", "12:00", "18:00"],
                "showgrid": False,
                "zeroline": False,
            },
            "hovermode": "closest",
            "margin": {"l": 46, "r": 10, "t": 6, "b": 28, "pad": 4},
            "separators": separators(look.lang),
            "autosize": True,
            "uirevision": "an-heat",
        },
    }


def duration_figure(load_kw: FloatArray, grid_kw: FloatArray, look: Look) -> Figure:
    """Return how long load and grid power were at least how high.

    Args:
        load_kw: Load per quarter-hour, NaN where unknown.
        grid_kw: Grid power per quarter-hour, + import, likewise.
        look: How it looks.
    """
    traces: list[Figure] = []
    every: list[float] = []
    for values, role, name in (
        (load_kw, "load", t("series.load", look.lang)),
        (grid_kw, "grid", t("results.grid", look.lang)),
    ):
        shares, sorted_kw = _duration(values)
        if not len(shares):
            continue
        every += sorted_kw
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": shares,
                "y": sorted_kw,
                "name": name,
                "line": {
                    "color": th.colour(role, 1, look.theme),
                    "width": 2.25 if role == "load" else 1.75,
                    "dash": "solid" if role == "load" else "dash",
                },
                "hovertemplate": "%{y:.1f} kW",
                "meta": {"role": role, "line": 1},
            }
        )
    low, high, dtick = nice_range(every, most=5)
    return {
        "data": traces,
        "layout": {
            "template": th.template(look.theme),
            "xaxis": {
                "range": [0, 100],
                "autorange": False,
                "dtick": 20,
                "ticksuffix": " %",
                "hoverformat": ".1f",
            },
            "yaxis": y_axis([low, high], dtick, ",~f"),
            "margin": {"l": 46, "r": 28, "t": 6, "b": 28, "pad": 0},
            "separators": separators(look.lang),
            "autosize": True,
            "uirevision": "an-duration",
        },
    }


def hourly_means(
    ts: NDArray[np.datetime64], values: FloatArray, days: Sequence[date], offsets_s: Sequence[int]
) -> FloatArray:
    """Return the mean of each local hour of each day, shape (24, n days), NaN where nothing is.

    The hour that a day has twice is the mean of both; the one it lacks stays NaN.

    Args:
        ts: Times, UTC, as ``datetime64``, shape (n,).
        values: Values, shape (n,).
        days: Local days, ascending.
        offsets_s: Seconds from UTC to local time at each of `ts`, shape (n,).
    """
    out = np.full((HOURS, len(days)), np.nan)
    if not len(ts) or not len(days):
        return out
    local = ts.astype("datetime64[s]") + np.asarray(offsets_s, dtype="timedelta64[s]")
    day = local.astype("datetime64[D]")
    hour = (local - day).astype("timedelta64[h]").astype(int)
    column = (day - np.datetime64(days[0], "D")).astype(int)
    keep = np.isfinite(values) & (column >= 0) & (column < len(days))
    sums, counts = np.zeros_like(out), np.zeros_like(out)
    np.add.at(sums, (hour[keep], column[keep]), values[keep])
    np.add.at(counts, (hour[keep], column[keep]), 1)
    some = counts > 0
    out[some] = sums[some] / counts[some]
    return out


def _duration(values: FloatArray) -> tuple[list[float], list[float]]:
    known = np.sort(values[np.isfinite(values)])[::-1]
    if known.size < 2:
        # One quarter-hour is a point, and a line through it shows nothing.
        return [], []
    n = min(MAX_DURATION_POINTS, known.size)
    at = np.linspace(0, known.size - 1, n).round().astype(int)
    shares = 100.0 * at / max(1, known.size - 1)
    return [round(float(x), 2) for x in shares], [round(float(v), 2) for v in known[at]]


def _day_bars(
    days: Sequence[date],
    values: Sequence[float],
    *,
    role: str,
    opacity: float,
    look: Look,
    hover: str,
    name: str = "",
) -> Figure:
    return {
        "type": "bar",
        "x": [_noon_ms(day) for day in days],
        "y": [round(value, 4) for value in values],
        "width": 0.72 * DAY_MS,
        "name": name,
        "marker": {"color": th.colour(role, opacity, look.theme), "line": {"width": 0}},
        "hovertemplate": hover + ("" if name else "<extra></extra>"),
        "meta": {"role": role, "marker": opacity},
    }


def _by_day(
    traces: Sequence[Figure],
    days: Sequence[DayFigures],
    values: Sequence[float],
    look: Look,
    revision: str,
) -> Figure:
    low, high, dtick = nice_range(values, most=4)
    return {
        "data": list(traces),
        "layout": {
            "template": th.template(look.theme),
            "xaxis": _with_room(_day_axis([day.day for day in days], look), len(days)),
            "yaxis": y_axis([low, high], dtick, ",~f"),
            "separators": separators(look.lang),
            "margin": {"l": 46, "r": 10, "t": 6, "b": 28, "pad": 0},
            "autosize": True,
            "uirevision": revision,
        },
    }


def _columns(days: Sequence[date]) -> dict[str, Any]:
    """Return where the columns of a picture stand; a single one would have no width by itself."""
    if len(days) == 1:
        return {"xtype": "scaled", "x0": _noon_ms(days[0]), "dx": DAY_MS}
    return {"x": [_noon_ms(day) for day in days]}


def _with_room(axis: dict[str, Any], days: int) -> dict[str, Any]:
    """Return the axis with room beside few days, whose bars would else be as wide as the card."""
    room_ms = max(0, FEW_DAYS - days) * DAY_MS // 2
    low, high = axis["range"]
    return axis | {"range": [low - room_ms, high + room_ms]}


def _day_axis(days: Sequence[date], look: Look) -> dict[str, Any]:
    half = timedelta(hours=12) // timedelta(milliseconds=1)
    most = 4 if look.narrow else 9
    axis: dict[str, Any] = {
        "type": "date",
        "range": [_noon_ms(days[0]) - half, _noon_ms(days[-1]) + half] if days else [0, 1],
        "autorange": False,
        "nticks": most,
        "tickformat": "%d.%m." if look.lang == "de" else "%-d %b",
        "hoverformat": "%a, %d.%m.%Y" if look.lang == "de" else "%a, %-d %b %Y",
    }
    if 0 < len(days) <= MOST_NAMED_DAYS:
        # Ticks of Plotly's own stand at midnight, between two days.
        named = days[:: -math.ceil(len(days) / most)]
        axis |= {"tickmode": "array", "tickvals": [_noon_ms(day) for day in reversed(named)]}
    return axis


def _noon_ms(day: date) -> int:
    """Return noon of a local day on a date axis without zones, in ms."""
    return round(datetime.combine(day, time(12), UTC).timestamp() * 1000)

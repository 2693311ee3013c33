"""Charts of a backtest, as pure functions from its result to Plotly JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from itertools import accumulate
from typing import Any

from ems_dash.i18n import t
from ems_dash.ui import format as fmt
from ems_dash.ui import theme as th
from ems_dash.ui.backtest import words as w
from ems_dash.ui.figure_parts import Figure, nice_range, separators, y_axis
from ems_dash.ui.forecasts.figures import Look

STYLES: tuple[tuple[str, str, str], ...] = (
    ("accent", "solid", "line"),
    ("grid", "dash", "dashes"),
    ("price", "dot", "dots"),
    ("pv", "dashdot", "dashes"),
    ("load", "longdash", "dashes"),
    ("battery", "solid", "line"),
    ("muted", "dash", "dashes"),
    ("muted", "dot", "dots"),
    ("muted", "solid", "line"),
)
"""Role, dash and legend swatch of each curve; told apart without colour by the dashes."""


def curves(result: w.Result) -> list[w.Result]:
    """Return the strategies that are drawn, in the order of their styles."""
    return [entry for entry in w.shown(result) if entry["strategy"] != w.NO_BATTERY][: len(STYLES)]


FEW_DAYS = 62
"""Up to so many days are named one by one on an axis; longer ones by round dates."""


def cumulative_figure(result: w.Result, look: Look) -> Figure:
    """Return what each strategy has saved up to each day, EUR."""
    named = [
        (w.strategy_name(entry, look.lang), entry["daily_saving_eur"]) for entry in curves(result)
    ]
    return _curves([_noon_ms(day) for day in result["days"]], named, look, dates=True)


def compared_figure(tops: Sequence[tuple[str, w.Result]], look: Look) -> Figure:
    """Return what the best strategy of each backtest has saved after so many days, EUR."""
    named = [(name, top["daily_saving_eur"]) for name, top in tops[: len(STYLES)]]
    longest = max((len(values) for _, values in named), default=0)
    return _curves(list(range(1, longest + 1)), named, look, dates=False)


def _curves(
    x: Sequence[int], named: Sequence[tuple[str, Sequence[float]]], look: Look, *, dates: bool
) -> Figure:
    traces, every = [], []
    for (name, daily), (role, dash, _) in zip(named, STYLES, strict=False):
        sums = [round(value, 2) for value in accumulate(daily)]
        every += sums
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": list(x[: len(sums)]),
                "y": sums,
                "name": name,
                "line": {"color": th.colour(role, 1, look.theme), "width": 2, "dash": dash},
                "hovertemplate": "%{y:,.0f} €",
                "meta": {"role": role, "line": 1},
            }
        )
    low, high, dtick = nice_range(every, most=5)
    axis: dict[str, Any] = {"nticks": 4 if look.narrow else 9}
    if dates and len(x) <= FEW_DAYS:
        # Left to itself the axis of two weeks names a single day on a phone.
        every_nth = -(-len(x) // (4 if look.narrow else 8))
        axis = {"tickmode": "array", "tickvals": list(x)[:: max(1, every_nth)]}
    if dates:
        axis |= {
            "type": "date",
            "tickformat": "%d.%m.%y" if look.lang == "de" else "%-d %b %y",
            "hoverformat": "%a, %d.%m.%Y" if look.lang == "de" else "%a, %-d %b %Y",
        }
    return chart(traces, axis, y_axis([low, high], dtick, ",~f"), look, "bt-cumulative")


def peaks_figure(result: w.Result, look: Look) -> Figure:
    """Return the highest 15-min import of each month with the best strategy and without."""
    top = w.best(result)
    if top is None:
        return {"data": [], "layout": {}}
    months = [w.month_text(month, look.lang) for month in top["months"]]
    own, without = top["monthly_peaks_kw"], top["monthly_peaks_without_kw"]
    traces: list[Figure] = [
        {
            "type": "bar",
            "x": months,
            "y": [round(value, 2) for value in own],
            # A month alone is no wall.
            "width": min(0.6, 0.15 * len(months)),
            "name": w.strategy_name(top, look.lang),
            "marker": {"color": th.colour("grid", 0.85, look.theme), "line": {"width": 0}},
            "hovertemplate": "%{y:.1f} kW",
            "meta": {"role": "grid", "marker": 0.85},
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": months,
            "y": [round(value, 2) for value in without],
            "name": t("backtest.strategy.none", look.lang),
            "marker": {
                "symbol": "line-ew-open",
                "size": 24 if len(months) < 8 else 16,
                "line": {"width": 3},
                "color": th.colour("text", 1, look.theme),
            },
            "hovertemplate": "%{y:.1f} kW",
            "meta": {"role": "text", "marker": 1},
        },
    ]
    low, high, dtick = nice_range([*own, *without], most=4)
    axis: dict[str, Any] = {"type": "category"}
    if len(months) > (3 if look.narrow else 7):
        every = -(-len(months) // (3 if look.narrow else 6))
        axis |= {"tickmode": "array", "tickvals": months[::every]}
    return chart(traces, axis, y_axis([low, high], dtick, ",~f"), look, "bt-peaks")


def duration_figure(result: w.Result, look: Look) -> Figure:
    """Return how long grid power was at least how high, best strategy and without a battery."""
    top = w.best(result)
    none = next((e for e in result["strategies"] if e["strategy"] == w.NO_BATTERY), None)
    traces, every = [], []
    for entry, role, dash in ((none, "muted", "dash"), (top, "grid", "solid")):
        if entry is None:
            continue
        values = entry["duration_kw"]
        every += values
        n = max(1, len(values) - 1)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [round(100.0 * i / n, 2) for i in range(len(values))],
                "y": values,
                "name": w.strategy_name(entry, look.lang),
                "line": {"color": th.colour(role, 1, look.theme), "width": 2, "dash": dash},
                "hovertemplate": "%{y:.1f} kW",
                "meta": {"role": role, "line": 1},
            }
        )
    low, high, dtick = nice_range(every, most=5)
    axis = {
        "range": [0, 100],
        "autorange": False,
        "dtick": 25 if look.narrow else 20,
        "ticksuffix": " %",
        "hoverformat": ".1f",
    }
    return chart(traces, axis, y_axis([low, high], dtick, ",~f"), look, "bt-duration")


def sizing_figure(sizing: w.Result, measure: str, look: Look) -> Figure:
    """Return net present value or payback over capacity and power; the best is framed.

    Args:
        sizing: The map.
        measure: ``"npv"`` or ``"payback"``.
        look: How it looks.
    """
    lang = look.lang
    energies, powers = sizing["energies_kwh"], sizing["powers_kw"]
    by_size = {(p["energy_kwh"], p["power_kw"]): p for p in sizing["points"]}
    key = "npv_eur" if measure == "npv" else "payback_years"
    rows = [[by_size[(kwh, kw)].get(key) for kw in powers] for kwh in energies]
    known = [value for row in rows for value in row if value is not None]
    if not known:
        return {"data": [], "layout": {}}
    low, high = min(known), max(known)
    # Paler in the dark, where the figures on it are white.
    strength = 0.9 if look.theme == "light" else 0.45
    paper, good = th.colour("sunken", 1, look.theme), th.colour("battery", strength, look.theme)
    scale: list[list[Any]] = [[0.0, paper], [1.0, good]]
    if measure == "payback":
        scale = [[0.0, good], [1.0, paper]]
    elif low < 0.0 < high:
        zero = -low / (high - low)
        scale = [[0.0, th.colour("muted", 0.55, look.theme)], [zero, paper], [1.0, good]]
    elif high <= 0.0:
        scale = [[0.0, th.colour("muted", 0.55, look.theme)], [1.0, paper]]
    text = [
        [_cell(by_size[(kwh, kw)], measure, lang, narrow=look.narrow) for kw in powers]
        for kwh in energies
    ]
    shapes = []
    marked = sizing["best" if measure == "npv" else "fastest"]
    if marked is not None:
        i, j = energies.index(marked[0]), powers.index(marked[1])
        shapes.append(
            {
                "type": "rect",
                "x0": j - 0.48,
                "x1": j + 0.48,
                "y0": i - 0.46,
                "y1": i + 0.46,
                "line": {"color": th.colour("text", 1, look.theme), "width": 2.5},
            }
        )
    return {
        "data": [
            {
                "type": "heatmap",
                "x": list(range(len(powers))),
                "y": list(range(len(energies))),
                "z": rows,
                "zmin": low,
                "zmax": high if high > low else low + 1.0,
                "colorscale": scale,
                "showscale": False,
                "xgap": 2,
                "ygap": 2,
                "text": text,
                "texttemplate": "%{text}",
                "textfont": {
                    "color": th.colour("text", 1, look.theme),
                    "size": 10 if look.narrow else 12,
                },
                "customdata": [[f"{kwh:g} kWh, {kw:g} kW" for kw in powers] for kwh in energies],
                "hovertemplate": "%{customdata}: %{text}<extra></extra>",
            }
        ],
        "layout": {
            "template": th.template(look.theme),
            "xaxis": {
                "tickvals": list(range(len(powers))),
                "ticktext": [f"{kw:g}" + ("" if look.narrow else " kW") for kw in powers],
                "ticks": "",
                "showline": False,
                "range": [-0.5, len(powers) - 0.5],
            },
            "yaxis": {
                "tickvals": list(range(len(energies))),
                "ticktext": [f"{kwh:g}" + ("" if look.narrow else " kWh") for kwh in energies],
                "range": [-0.5, len(energies) - 0.5],
                "showgrid": False,
                "zeroline": False,
                "automargin": True,
            },
            "shapes": shapes,
            "hovermode": "closest",
            "margin": {"l": 40 if look.narrow else 62, "r": 8, "t": 6, "b": 26, "pad": 4},
            "separators": separators(lang),
            "autosize": True,
            "uirevision": "bt-sizing",
        },
    }


def _cell(point: w.Result, measure: str, lang: str, *, narrow: bool) -> str:
    if "npv_eur" not in point:
        return "–" if point.get("failure") else "…"
    if measure == "payback":
        found = point["payback_years"]
        return t("backtest.never_short", lang) if found is None else w.years(found, lang)
    if narrow:
        return f"{fmt.number(point['npv_eur'] / 1000.0, 1, lang)}k"
    return w.euros(point["npv_eur"], lang)


def chart(
    traces: Sequence[Figure], x_axis: Figure, axis: Figure, look: Look, revision: str
) -> Figure:
    """Return a chart with the layout that those of a backtest have in common.

    Args:
        traces: What is drawn.
        x_axis: Its x axis.
        axis: Its y axis.
        look: How it looks.
        revision: Name of the chart; the browser keeps a zoom as long as it stays.
    """
    return {
        "data": list(traces),
        "layout": {
            "template": th.template(look.theme),
            "xaxis": x_axis,
            "yaxis": axis,
            "margin": {"l": 52, "r": 14, "t": 8, "b": 28, "pad": 0},
            "separators": separators(look.lang),
            "autosize": True,
            "uirevision": revision,
        },
    }


def _noon_ms(day: str) -> int:
    return round(datetime.combine(date.fromisoformat(day), time(12), UTC).timestamp() * 1000)

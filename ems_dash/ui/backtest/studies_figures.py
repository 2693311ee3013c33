"""Charts of the studies of a backtest, as pure functions from data to Plotly JSON."""

from __future__ import annotations

from ems_dash.i18n import t
from ems_dash.ui import format as fmt
from ems_dash.ui import theme as th
from ems_dash.ui.backtest import studies_words as sw
from ems_dash.ui.backtest import words as w
from ems_dash.ui.backtest.figures import chart
from ems_dash.ui.figure_parts import Figure, nice_range, y_axis
from ems_dash.ui.forecasts.figures import Look

NOTHING: Figure = {"data": [], "layout": {}}


def forecast_figure(study: w.Result, look: Look) -> Figure:
    """Return what share of perfect foresight is reached with each quality of forecast, percent."""
    rows = [row for row in study["rows"] if row["capture"] is not None]
    if not rows:
        return NOTHING
    own = sw.scaled_forecaster(study)
    opacity = [
        0.9 if (row["forecaster"], row["error_scale"]) == (own, 1.0) else 0.5 for row in rows
    ]
    values = [round(100.0 * row["capture"], 1) for row in rows]
    bars: Figure = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(rows))),
        "x": values,
        "marker": {
            "color": [th.colour("accent", each, look.theme) for each in opacity],
            "line": {"width": 0},
        },
        "customdata": [sw.forecast_name(row, look.lang) for row in rows],
        "hovertemplate": "%{customdata}: %{x:.1f} %<extra></extra>",
    }
    axis = {
        "tickvals": list(range(len(rows))),
        "ticktext": [_short(row, look) for row in rows],
        "autorange": "reversed",
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    shares = {
        "range": [min(0.0, *values), max(100.0, *values) * 1.02],
        "ticksuffix": " %",
        "nticks": 6,
    }
    figure = chart([bars], shares, axis, look, "bt-forecast")
    margin = {"l": 8, "r": 14, "t": 6, "b": 28, "pad": 6}
    figure["layout"] |= {"bargap": 0.3, "hovermode": "closest", "margin": margin}
    return figure


def years_figure(study: w.Result, look: Look) -> Figure:
    """Return the saving of each made-up year, the least first, EUR per year."""
    values = [round(row["saving_eur_per_year"], 2) for row in study["rows"]]
    if not values:
        return NOTHING
    low, high, dtick = nice_range(values, most=5)
    n = len(values)
    bars: Figure = {
        "type": "bar",
        "x": [round(100.0 * (i + 0.5) / n, 2) for i in range(n)],
        "y": values,
        "width": 100.0 / n * 0.86,
        "marker": {"color": th.colour("accent", 0.75, look.theme), "line": {"width": 0}},
        "hovertemplate": "%{y:,.0f} €<extra></extra>",
        "meta": {"role": "accent", "marker": 0.75},
    }
    share = {"range": [0, 100], "dtick": 25, "ticksuffix": " %"}
    figure = chart([bars], share, y_axis([low, high], dtick, ",~f"), look, "bt-years")
    figure["layout"]["hovermode"] = "closest"
    return figure


TARIFF_BARS: tuple[tuple[str, str, float], ...] = (
    ("without", "muted", 0.55),
    ("best", "accent", 0.9),
    ("perfect", "battery", 0.6),
)
"""Rows of a tariff that are drawn, their colour and its strength."""


def tariffs_figure(study: w.Result, look: Look) -> Figure:
    """Return what the site pays under each tariff: without a battery, at best, with foresight."""
    costs = sw.tariff_costs(study)
    if not costs:
        return NOTHING
    names = [sw.tariff_name(one.name, look.lang) for one in costs]
    traces: list[Figure] = []
    every = [0.0]
    for key, role, strength in TARIFF_BARS:
        rows = [getattr(one, key) for one in costs]
        if not any(rows):
            continue
        values = [None if row is None else round(row["total_eur"], 2) for row in rows]
        every += [value for value in values if value is not None]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "y": list(range(len(costs))),
                "x": values,
                "name": t(f"backtest.tariff_{key}", look.lang),
                "marker": {
                    "color": th.colour(role, strength, look.theme),
                    "line": {"width": 0},
                },
                "customdata": [
                    "" if row is None else w.strategy_name(row, look.lang) for row in rows
                ],
                "hovertemplate": "%{customdata}: %{x:,.0f} €<extra></extra>",
                "meta": {"role": role, "marker": strength},
            }
        )
    low, high, dtick = nice_range(every, most=3 if look.narrow else 5)
    axis = {
        "tickvals": list(range(len(costs))),
        "ticktext": [name if len(name) <= 24 else f"{name[:23]}…" for name in names],
        "autorange": "reversed",
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    euros = {"range": [low, high], "dtick": dtick, "tickformat": ",~f", "ticksuffix": " €"}
    figure = chart(traces, euros, axis, look, "bt-tariffs")
    margin = {"l": 8, "r": 14, "t": 6, "b": 28, "pad": 6}
    figure["layout"] |= {
        "barmode": "group",
        "bargap": 0.3,
        "bargroupgap": 0.08,
        "hovermode": "closest",
        "margin": margin,
    }
    return figure


def _short(row: w.Result, look: Look) -> str:
    name = sw.forecast_name(row, look.lang)
    if not look.narrow:
        return name
    if row["error_scale"] == 1.0:
        return t(f"backtest.forecaster_short.{row['forecaster']}", look.lang)
    return f"{t('backtest.errors', look.lang)} × {fmt.number(row['error_scale'], 2, look.lang)}"

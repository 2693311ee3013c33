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


def _short(row: w.Result, look: Look) -> str:
    name = sw.forecast_name(row, look.lang)
    if not look.narrow:
        return name
    if row["error_scale"] == 1.0:
        return t(f"backtest.forecaster_short.{row['forecaster']}", look.lang)
    return f"{t('backtest.errors', look.lang)} × {fmt.number(row['error_scale'], 2, look.lang)}"

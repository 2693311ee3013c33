"""Price and state of charge over one time axis: two panels, see `plan_chart` for the rules."""

from __future__ import annotations

from collections.abc import Sequence

from ems_dash.i18n import t
from ems_dash.ui.chart_marks import note, now_label, now_shapes, soc_limit_labels, soc_limits
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import (
    Figure,
    area_below,
    base_layout,
    line_trace,
    live_value,
    nice_range,
    y_axis,
)
from ems_dash.ui.measured_past import Past, with_gaps
from ems_dash.ui.plan_ahead import Ahead, planned_then
from ems_dash.ui.price_bars import CENTS, PriceBar, price_traces
from engine.domain.plan import Plan
from engine.domain.series import MeasuredPoint
from engine.domain.site import Site
from engine.runtime.planned_past import PlannedStep

PRICE_DOMAIN = (0.53, 1.0)
SOC_DOMAIN = (0.0, 0.45)


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
    planned: Sequence[PlannedStep] = (),
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
        planned: What earlier plans wanted of the past, in ascending order.
    """
    past = with_gaps([p for p in points if window.start <= p.ts], window)
    ahead = Ahead.of(plan, window)
    shown = [b for b in prices if window.start <= b.ts < window.end]
    traces = [
        _soc_measured(past, theme, lang),
        _soc_planned(ahead, site, past, theme=theme, lang=lang),
        *price_traces(shown, window, theme, lang),
        *_soc_planned_then(planned, window, site, theme, lang),
    ]
    traces.append(area_below(traces, 0, 0.22, theme))
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
    layout["shapes"] = [*now_shapes(window, theme), *soc_limits(site, theme)]
    layout["annotations"] = [
        now_label(window, lang, theme),
        *soc_limit_labels(site, window, lang, theme),
    ]
    if not shown:
        middle = sum(PRICE_DOMAIN) / 2
        layout["annotations"].append(note(window, t("chart.no_prices", lang), middle, theme))
    layout["uirevision"] = "price-soc"
    return {"data": traces, "layout": layout}


def _soc_measured(past: Past, theme: str, lang: str) -> Figure:
    trace = line_trace(
        past.x,
        past.values["soc_percent"],
        "battery",
        theme,
        f"{t('legend.soc', lang)} ({t('chart.measured', lang)})",
        width=2,
    )
    trace.update(yaxis="y2", hovertemplate="%{y:.0f} %")
    return trace


def _soc_planned(ahead: Ahead, site: Site, past: Past, *, theme: str, lang: str) -> Figure:
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


def _soc_planned_then(
    planned: Sequence[PlannedStep], window: ChartWindow, site: Site, theme: str, lang: str
) -> list[Figure]:
    capacity = site.battery.energy_capacity_kwh
    percent = [step.soc_kwh / capacity * 100.0 for step in planned]
    traces = planned_then(window, planned, percent, theme, lang)
    for trace in traces:
        # Stored energy is planned for the end of a step and runs evenly there.
        shift = round((planned[0].end - planned[0].start).total_seconds() * 1000)
        trace["x"] = [x + shift for x in trace["x"]]
        trace["line"]["shape"] = "linear"
        trace.update(yaxis="y2", hovertemplate="%{y:.0f} %")
    return traces

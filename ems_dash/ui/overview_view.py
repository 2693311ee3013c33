"""The parts of the overview page as components, from state to layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui import overview_model as model
from ems_dash.ui.alarm_strip import alarm_entries
from ems_dash.ui.alarm_strip import strip as strip_of_alarms
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.fields import Fields
from ems_dash.ui.figure_parts import Figure
from ems_dash.ui.flow_view import flow
from ems_dash.ui.header import badges, prices_are_recorded, site_line
from ems_dash.ui.live import TICK_MS
from ems_dash.ui.moment import Moment
from ems_dash.ui.next_steps import NextStep, StripPart, day_strip
from ems_dash.ui.plan_chart import plan_figure
from ems_dash.ui.price_bars import PriceBar, price_bars
from ems_dash.ui.price_soc_chart import price_soc_figure
from ems_dash.ui.profit_past import profit_past
from ems_dash.ui.segments import segments
from ems_dash.ui.why_view import PARTS
from engine.domain.records import RunRow
from engine.domain.series import MeasuredPoint
from engine.runtime.planned_past import PlannedStep

STATUS_ROWS = (("price", "row.price", "currency-euro", "price", "ct/kWh"),)
"""Field stem, label, icon, role and unit of the rows of the system status."""


@dataclass(frozen=True, slots=True)
class PlanPart:
    """What changes with the plan: charts with captions and summaries, steps, day strip."""

    plan_figure: Figure
    price_figure: Figure
    plan_caption: str
    price_caption: str
    plan_summary: str
    price_summary: str
    steps: Any
    strip: Any


def plan_part(
    moment: Moment,
    points: Sequence[MeasuredPoint],
    prices: Sequence[PriceBar],
    steps: Sequence[NextStep],
    *,
    window: ChartWindow,
    theme: str,
    narrow: bool = False,
    planned: Sequence[PlannedStep] | None = (),
    runs: Sequence[RunRow] = (),
) -> PlanPart:
    """Return everything that changes when a plan is published or a quarter-hour begins.

    Args:
        moment: The state of the engine.
        points: One-minute means of the last 24 hours.
        prices: Published prices in the window.
        steps: Next steps, first one first.
        window: Time axis of the charts.
        theme: ``"light"`` or ``"dark"``.
        narrow: True on a phone.
        planned: What earlier plans wanted of the past; None when it could not be read.
        runs: The last runs of the optimiser, for what they expected.
    """
    snapshot, lang = moment.snapshot, moment.lang
    power = plan_figure(
        window, points, snapshot.plan, theme=theme, lang=lang, narrow=narrow, planned=planned or ()
    )
    newest = points[-1].ts if points else window.start
    meta = power["layout"]["meta"]
    meta["minute"] = round(newest.timestamp() * 1000)
    # Tells the browser that the figure was rebuilt and begins anew at that minute.
    meta["made"] = f"{snapshot.seq}|{meta['minute']}"
    price = price_soc_figure(
        window,
        points,
        snapshot.plan,
        price_bars(snapshot.plan, prices),
        snapshot.site,
        theme=theme,
        lang=lang,
        narrow=narrow,
        planned=planned or (),
    )
    price["layout"]["meta"]["profit"] = profit_past(runs, moment.now)
    return PlanPart(
        plan_figure=power,
        price_figure=price,
        plan_caption=_plan_caption(moment, past_failed=planned is None),
        price_caption=t(
            "chart.price_sub_recorded" if prices_are_recorded(snapshot) else "chart.price_sub",
            lang,
        ),
        plan_summary=_plan_summary(moment, steps),
        price_summary=_price_summary(moment),
        steps=steps_list(moment, steps),
        strip=strip(day_strip(snapshot.plan, moment.now, moment.tz, lang), lang),
    )


def page(moment: Moment, part: PlanPart, first_state: dict[str, Any], choice: Any) -> Any:
    """Return the whole page; `choice` is the card about the choice of strategy."""
    snapshot, lang = moment.snapshot, moment.lang
    fields = model.fields(moment)
    return ui.live(
        html.Div,
        "ov-root",
        fields,
        **{"data-tick": "ov-tick"},
        children=[
            dcc.Interval(id="ov-tick", interval=TICK_MS),
            dcc.Store(id="ov-state", data=first_state),
            dcc.Store(id="ov-delta"),
            dcc.Store(id="ov-charts"),
            dcc.Store(id="ov-lists"),
            html.Div(t("late.bar", lang), className="late-bar", role="status"),
            html.Div(
                [
                    html.Div(
                        [
                            html.H1(t("overview.title", lang)),
                            html.P(site_line(snapshot, lang), className="subtitle"),
                        ]
                    ),
                    html.Div(badge_list(moment), id="ov-badges", className="badges"),
                ],
                className="page-head",
            ),
            html.Div(alarms(moment), id="ov-alarms", role="status"),
            html.Ul(
                notice_list(moment),
                id="ov-notices",
                className="notices",
                **{"aria-label": t("notices.title", lang)},
            ),
            _kpis(moment, fields, part),
            html.Div(
                [
                    html.Div(
                        [_plan_card(moment, part), _price_card(moment, part)], className="column"
                    ),
                    html.Div(
                        [
                            _status_card(moment, fields),
                            html.Section(
                                [
                                    html.H2(t("steps.title", lang), id="steps-title"),
                                    html.Div(part.steps, id="ov-steps"),
                                ],
                                className="card area-steps",
                                **{"aria-labelledby": "steps-title"},
                            ),
                        ],
                        className="column",
                    ),
                ],
                className="main-grid",
            ),
            _steps_card(lang),
            choice,
            dbc.Modal(
                [
                    dbc.ModalHeader(
                        [
                            dbc.ModalTitle(id="ov-why-title"),
                            # The one of the library says "Close" in every language.
                            html.Button(
                                type="button",
                                id="ov-why-close",
                                className="btn-close",
                                **{"aria-label": t("why.close", lang)},
                            ),
                        ],
                        close_button=False,
                    ),
                    dbc.ModalBody(id="ov-why-body"),
                ],
                id="ov-why",
                is_open=False,
                centered=True,
            ),
        ],
    )


def _steps_card(lang: str) -> Any:
    """Return the card whose table of steps is fetched when it is opened."""
    return html.Section(
        html.Details(
            [
                html.Summary(
                    [
                        html.H2(t("plan.table", lang), id="plan-table-title"),
                        html.Span(t("plan.table_caption", lang), className="caption"),
                    ],
                    id="ov-table-open",
                ),
                segments(
                    "ov-table-part",
                    [
                        (part, t("plan.part", lang, start=6 * part, end=6 * part + 6))
                        for part in range(PARTS)
                    ],
                    0,
                ),
                html.Div(id="ov-table", className="table-scroll", tabIndex="0"),
            ],
            className="more more-card",
        ),
        className="card area-table",
        **{"aria-labelledby": "plan-table-title"},
    )


def badge_list(moment: Moment) -> list[Any]:
    """Return the badges that say what is not real."""
    return [ui.badge(entry) for entry in badges(moment.snapshot, moment.lang)]


def alarms(moment: Moment) -> Any:
    """Return the strip of active alarms, or nothing."""
    return strip_of_alarms(alarm_entries(moment.snapshot, moment.lang), moment.lang)


def notice_list(moment: Moment) -> list[Any]:
    """Return standing remarks and failed engine steps."""
    return [ui.notice(entry) for entry in model.notices(moment.snapshot, moment.lang)]


def device_list(moment: Moment) -> Any:
    """Return the device connections, or that there are none."""
    entries = model.devices(moment.snapshot, moment.lang)
    if not entries:
        return ui.empty(t("devices.none", moment.lang))
    return html.Ul([ui.device(entry) for entry in entries], className="rows")


def steps_list(moment: Moment, steps: Sequence[NextStep]) -> Any:
    """Return the next steps as a list, or why there are none."""
    lang = moment.lang
    if moment.snapshot.plan is None:
        why = model.why_no_plan(moment.snapshot, lang, briefly=True)
        return ui.empty(t("steps.none", lang), why)
    if not steps:
        return ui.empty(t("steps.none", lang))
    idle = model.why_not_applied(moment.snapshot, lang)
    if idle:
        steps = [replace(step, running=False) for step in steps]
    return [
        html.P(idle, className="steps-idle") if idle else None,
        html.Ol([_step(step, lang) for step in steps], className="rows"),
    ]


def _step(step: NextStep, lang: str) -> Any:
    figures: list[Any] = []
    running = html.Span(t("steps.running", lang), className="pill pill-ok pill-dot pill-small")
    if step.power is not None:
        figures.append(
            html.Span(
                [
                    html.Span(step.power.text, className="row-number"),
                    html.Span(step.power.unit, className="unit"),
                ],
                className="row-value",
            )
        )
    return html.Li(
        [
            ui.icon(step.icon, step.role),
            html.Div(
                [
                    html.Div(
                        [html.Span(step.title), running if step.running else None],
                        className="row-label",
                    ),
                    html.Div(step.detail, className="row-word"),
                    html.Div(step.why, className="row-word row-why") if step.why else None,
                ],
                className="row-text",
            ),
            html.Div(figures, className="row-figures"),
        ],
        className="row-item is-running" if step.running else "row-item",
    )


def strip(parts: Sequence[StripPart], lang: str) -> Any:
    """Return the strip of the next 24 h, or nothing without a plan."""
    if not parts:
        return None
    return [
        html.Div(
            [
                html.Span(
                    className=f"strip-part strip-{part.kind}",
                    style={"flexGrow": f"{part.share:.4f}"},
                    title=part.title,
                )
                for part in parts
            ],
            className="strip",
            role="img",
            **{"aria-label": t("strip.label", lang)},
        ),
        html.Div(
            [html.Span(t("strip.from", lang)), html.Span(t("strip.to", lang))],
            className="bar-ends",
            **{"aria-hidden": "true"},
        ),
    ]


def _kpis(moment: Moment, fields: Fields, part: PlanPart) -> Any:
    lang, battery = moment.lang, moment.snapshot.site.battery
    return html.Div(
        [
            ui.kpi_card(
                "soc",
                t("kpi.soc", lang),
                "battery-half",
                "%",
                fields,
                middle=ui.progress(
                    "soc-b", fields, limits=(battery.soc_min_percent, battery.soc_max_percent)
                ),
                subs=("soc-s",),
                spark=t("kpi.spark", lang),
            ),
            ui.kpi_card(
                "pow",
                t("kpi.power", lang),
                "arrow-down-up",
                "kW",
                fields,
                middle=ui.middle_bar(
                    "pow-b", fields, t("battery.charge_end", lang), t("battery.discharge_end", lang)
                ),
                subs=("pow-s",),
                spark=t("kpi.spark", lang),
            ),
            ui.kpi_card(
                "strat",
                t("kpi.strategy", lang),
                "diagram-3",
                "",
                fields,
                middle=html.Div(part.strip, id="ov-strip"),
                subs=("strat-s",),
                wordy=True,
            ),
            ui.kpi_card(
                "profit",
                t("kpi.profit", lang),
                "graph-up-arrow",
                "",
                fields,
                middle=html.Div(t("kpi.profit_sub", lang), className="kpi-note"),
                spark=t("kpi.spark_profit", lang),
                foot=html.Div(
                    [
                        html.Span(t("kpi.cost_today", lang)),
                        ui.live(html.Span, "profit-t", fields, "foot-value"),
                    ],
                    className="kpi-foot",
                ),
            ),
        ],
        className="kpis",
        role="region",
        **{"aria-label": t("kpi.region", lang)},
    )


def _chart_card(name: str, *, title: str, caption: str, unit: str, legend: Any, chart: Any) -> Any:
    return html.Section(
        [
            html.Div(
                [
                    html.H2(title, id=f"{name}-title"),
                    html.Span(caption, id=f"{name}-caption", className="caption"),
                    html.Span(unit, className="card-unit"),
                ],
                className="card-head",
            ),
            legend,
            chart,
        ],
        className=f"card area-{name}",
        **{"aria-labelledby": f"{name}-title"},
    )


def _plan_card(moment: Moment, part: PlanPart) -> Any:
    lang = moment.lang
    legend = ui.legend(
        (
            ("area", "pv", t("legend.pv", lang)),
            ("line", "load", t("legend.load", lang)),
            ("line", "grid", t("legend.grid", lang)),
            ("bar", "battery", t("legend.discharge", lang)),
            ("bar-pale", "battery", t("legend.charge", lang)),
            ("dashes", "text", t("chart.planned_then_battery", lang)),
        )
    )
    return _chart_card(
        "plan",
        title=t("chart.plan", lang),
        caption=part.plan_caption,
        unit="kW",
        legend=legend,
        chart=ui.chart("plan", part.plan_figure, ui.chart_config(lang), part.plan_summary, "main"),
    )


def _price_card(moment: Moment, part: PlanPart) -> Any:
    lang = moment.lang
    legend = ui.legend(
        (
            ("bar", "price", t("legend.price", lang)),
            ("hatch", "price", t("legend.price_forecast", lang)),
            ("area", "battery", t("legend.soc", lang)),
            ("dashes", "text", t("chart.planned_then_soc", lang)),
            ("dots", "muted", t("legend.soc_limits", lang)),
        )
    )
    return _chart_card(
        "price",
        title=t("chart.price_soc", lang),
        caption=part.price_caption,
        unit=f"ct/kWh{fmt.NBSP}· %",
        legend=legend,
        chart=ui.chart(
            "price-soc", part.price_figure, ui.chart_config(lang), part.price_summary, "double"
        ),
    )


def _status_card(moment: Moment, fields: Fields) -> Any:
    lang = moment.lang
    rows = html.Ul(
        [
            *(
                ui.status_row(name, t(key, lang), icon_name, role=role, unit=unit, fields=fields)
                for name, key, icon_name, role, unit in STATUS_ROWS
            ),
            html.Li(
                [
                    ui.icon("cpu"),
                    html.Div(
                        [
                            html.Div(t("row.engine_label", lang), className="row-label"),
                            ui.live(html.Div, "eng-w", fields, "row-word"),
                        ],
                        className="row-text",
                    ),
                    ui.live(html.Span, "eng-v", fields),
                ],
                className="row-item",
            ),
        ],
        className="rows",
    )
    return html.Section(
        [
            html.H2(t("status.title", lang), id="status-title"),
            flow(fields, lang),
            rows,
            html.H3(t("devices.title", lang), className="minor-title"),
            html.Div(device_list(moment), id="ov-devices"),
        ],
        className="card area-status",
        **{"aria-labelledby": "status-title"},
    )


def _plan_caption(moment: Moment, *, past_failed: bool) -> str:
    caption = _measured_then_plan(moment)
    return f"{caption} · {t('chart.planned_then_failed', moment.lang)}" if past_failed else caption


def _measured_then_plan(moment: Moment) -> str:
    plan = moment.snapshot.plan
    if plan is None:
        return t("chart.plan_sub_none", moment.lang)
    made = fmt.clock_time(plan.created_at, moment.tz)
    return t("chart.plan_sub", moment.lang, time=made)


def _plan_summary(moment: Moment, steps: Sequence[NextStep]) -> str:
    lang, image = moment.lang, moment.snapshot.display
    now = t(
        "summary.plan",
        lang,
        pv=fmt.power(image.value("pv_kw"), lang),
        load=fmt.power(image.value("load_kw"), lang),
        grid=fmt.power(image.value("grid_kw"), lang, signed=True),
        battery=fmt.power(image.value("battery_kw"), lang, signed=True),
    )
    if moment.snapshot.plan is None:
        why = model.why_no_plan(moment.snapshot, lang)
        return f"{now} {t('summary.no_plan', lang, why=why)}"
    ahead = "; ".join(
        f"{step.title} {step.detail}" + (f", {step.power}" if step.power else "") for step in steps
    )
    return f"{now} {t('summary.steps', lang, steps=ahead)}" if ahead else now


def _price_summary(moment: Moment) -> str:
    snapshot, lang = moment.snapshot, moment.lang
    soc = fmt.percent(snapshot.display.value("soc_percent"), lang)
    plan = snapshot.plan
    first = None if plan is None else plan.step_at(moment.now)
    if plan is None or first is None:
        return t("summary.price_soc_none", lang, soc=soc)
    last = first + int(timedelta(hours=24) / plan.step)
    spot, stored = plan.spot_eur_per_kwh[first:last], plan.soc_kwh[first:last]
    full = snapshot.site.battery.energy_capacity_kwh
    return t(
        "summary.price_soc",
        lang,
        low=fmt.price(float(spot.min()), lang),
        high=fmt.price(float(spot.max()), lang),
        soc=soc,
        soc_low=fmt.percent(float(stored.min()) / full * 100, lang),
        soc_high=fmt.percent(float(stored.max()) / full * 100, lang),
    )

"""The monitoring page as components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import dcc, html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.fields import Fields
from ems_dash.ui.figure_parts import Figure
from ems_dash.ui.header import badges, site_line
from ems_dash.ui.live import TICK_MS
from ems_dash.ui.moment import Moment
from ems_dash.ui.monitoring import alarms
from ems_dash.ui.monitoring import signal_text as text
from ems_dash.ui.monitoring.charts import battery_figure, power_figure, window_of
from ems_dash.ui.monitoring.delta import ROOT
from ems_dash.ui.monitoring.events import FILTER_STORE
from ems_dash.ui.monitoring.panel import TABS, Look
from ems_dash.ui.monitoring.registers import DEVICE_STORE
from ems_dash.ui.monitoring.series import SPANS, Span, gap_s, table_rows
from ems_dash.ui.monitoring.tiles import tiles
from engine.domain.series import MeasuredPoint

POWER_TABLE = ("pv_kw", "load_kw", "grid_kw", "battery_kw")
BATTERY_TABLE = ("battery_kw", "max_charge_power_kw", "max_discharge_power_kw", "soc_percent")


BEGINS_EMPTY = 0.1
"""Share of a chart without values at its left end from which on the caption says so."""


@dataclass(frozen=True, slots=True)
class Charts:
    """Both charts with what they say in words and as tables."""

    power: Figure
    battery: Figure
    power_summary: str
    battery_summary: str
    power_table: Any
    battery_table: Any
    caption: str


def charts(
    moment: Moment,
    points: Sequence[MeasuredPoint],
    span: Span,
    *,
    theme: str,
    narrow: bool,
) -> Charts:
    """Return the charts of `span`; `points` are its means in ascending order."""
    snapshot, lang = moment.snapshot, moment.lang
    window = window_of(span, moment.now, moment.tz)
    hole_s = gap_s(span, snapshot.timestep_s)
    look: dict[str, Any] = {"hole_s": hole_s, "theme": theme, "lang": lang, "narrow": narrow}
    power = power_figure(window, points, span, **look)
    battery = battery_figure(window, points, span, snapshot.site, **look)
    for figure in (power, battery):
        figure["layout"]["meta"]["hole_ms"] = round(hole_s * 1000)
        figure["layout"]["meta"]["made"] += f"|{snapshot.seq}"
    return Charts(
        power=power,
        battery=battery,
        power_summary=_summary("monitoring.power_summary", moment, span, POWER_TABLE),
        battery_summary=_summary("monitoring.battery_summary", moment, span, BATTERY_TABLE),
        power_table=_table("table_power", points, span, POWER_TABLE, moment),
        battery_table=_table("table_battery", points, span, BATTERY_TABLE, moment),
        caption=_caption(moment, points, span),
    )


def _caption(moment: Moment, points: Sequence[MeasuredPoint], span: Span) -> str:
    """Return how fine the charts are, and since when there is anything where they begin empty."""
    lang = moment.lang
    said = t("monitoring.means", lang, mean=fmt.age(span.bucket_s))
    begins = span.start_of(moment.now) - span.length
    if not points or points[0].ts - begins < BEGINS_EMPTY * span.length:
        return said
    since = fmt.clock_time(points[0].ts, moment.tz)
    return f"{said} · {t('monitoring.values_since', lang, time=since)}"


def _summary(key: str, moment: Moment, span: Span, signals: Sequence[str]) -> str:
    image, lang = moment.snapshot.display, moment.lang
    now = ", ".join(
        f"{text.name_of(name, lang)} {text.figure(name, image.value(name), lang)}"
        for name in signals
    )
    return t(key, lang, span=t(f"span.{span.key}", lang), now=now)


def _table(
    name: str,
    points: Sequence[MeasuredPoint],
    span: Span,
    signals: Sequence[str],
    moment: Moment,
) -> Any:
    """Return the means of a chart as a table, for those who do not see it."""
    lang = moment.lang
    rows = table_rows(points, span)
    if not rows:
        return ui.empty(t("monitoring.no_points", lang))
    columns = [t("monitoring.col_time", lang), *(text.name_of(s, lang) for s in signals)]
    body = [
        html.Tr(
            [
                html.Th(fmt.clock_time(ts, moment.tz), scope="row"),
                *(
                    html.Td(str(text.figure(s, values.get(s), lang)), className="cell-number")
                    for s in signals
                ),
            ]
        )
        for ts, values in rows
    ]
    return ui.table(t(f"monitoring.{name}", lang), columns, body, "series-table")


def page(
    moment: Moment,
    fields: Fields,
    *,
    look: Look,
    span: Span,
    drawn: Charts,
    rows: Sequence[alarms.AlarmRow],
    panel: Any,
    first_state: dict[str, Any],
    allowed: bool,
) -> Any:
    """Return the whole page.

    Args:
        moment: The state of the engine.
        fields: The texts to start with.
        look: What is looked at.
        span: The range of the charts.
        drawn: The charts.
        rows: The rows of the table of alarms.
        panel: The panel that is looked at.
        first_state: What the browser has once the page is there.
        allowed: True for who may acknowledge and test.
    """
    lang = moment.lang
    stores = {
        "mon-state": first_state,
        "mon-delta": None,
        "mon-charts": None,
        "mon-alarms": None,
        "mon-panel-key": None,
        "mon-panel-made": None,
        "mon-raw-due": None,
        "mon-span": span.key,
        "mon-tab": look.tab,
        DEVICE_STORE: look.device,
        FILTER_STORE: look.event_filter,
        "mon-hold": "yes" if look.hold_raw else "no",
        "mon-alarm-filter": "all",
    }
    return ui.live(
        html.Div,
        ROOT,
        fields,
        **{"data-tick": "mon-tick"},
        children=[
            dcc.Interval(id="mon-tick", interval=TICK_MS),
            *(dcc.Store(id=name, data=data) for name, data in stores.items()),
            html.Div(t("late.bar", lang), className="late-bar", role="status"),
            html.Div(
                [
                    html.Div(
                        [
                            html.H1(t("monitoring.title", lang)),
                            html.P(site_line(moment.snapshot, lang), className="subtitle"),
                        ]
                    ),
                    html.Div(badge_list(moment), id="mon-badges", className="badges"),
                ],
                className="page-head",
            ),
            tiles(moment, fields),
            _alarm_card(rows, lang, allowed=allowed),
            html.Div(
                [_power_card(drawn, span, lang), _battery_card(drawn, lang)],
                className="chart-pair",
            ),
            _details(look, panel, lang),
        ],
    )


def badge_list(moment: Moment) -> list[Any]:
    """Return the badges that say what is not real."""
    return [ui.badge(entry) for entry in badges(moment.snapshot, moment.lang)]


def alarm_part(rows: Sequence[alarms.AlarmRow], lang: str, *, allowed: bool) -> tuple[Any, Any]:
    """Return headline and table of the alarms."""
    return alarms.headline(rows, lang), alarms.alarm_table(rows, lang, allowed=allowed)


def _alarm_card(rows: Sequence[alarms.AlarmRow], lang: str, *, allowed: bool) -> Any:
    headline, table = alarm_part(rows, lang, allowed=allowed)
    tools: list[Any] = [
        ui.segment(
            "mon-alarm-filter",
            t("alarms.filter", lang),
            [(name, t(f"alarms.filter_{name}", lang)) for name in alarms.FILTERS],
            "all",
        )
    ]
    if allowed:
        tools.append(
            html.Button(
                [ui.icon("check2-all"), html.Span(t("alarms.acknowledge_all", lang))],
                id="mon-ack-all",
                className="button button-small",
                type="button",
            )
        )
    else:
        tools.append(html.Span(t("alarms.not_here", lang), className="caption"))
    return html.Section(
        [
            html.Div(
                [
                    html.H2(t("alarms.title", lang), id="mon-alarms-title"),
                    html.Span(headline, id="mon-alarm-head"),
                    html.Div(tools, className="card-tools"),
                ],
                className="card-head",
            ),
            html.Div(id="mon-alarm-said", className="said", role="status"),
            html.Div(table, id="mon-alarm-list", className="filtered filter-all"),
        ],
        className="card area-alarms",
        **{"aria-labelledby": "mon-alarms-title"},
    )


def _power_card(drawn: Charts, span: Span, lang: str) -> Any:
    legend = ui.legend(
        (
            ("area", "pv", t("legend.pv", lang)),
            ("line", "load", t("legend.load", lang)),
            ("line", "grid", t("legend.grid", lang)),
            ("bar", "battery", t("legend.discharge", lang)),
            ("bar-pale", "battery", t("legend.charge", lang)),
        )
    )
    ranges = ui.segment(
        "mon-span",
        t("monitoring.range", lang),
        [(key, t(f"span.{key}", lang)) for key in SPANS],
        span.key,
        parameter="range",
    )
    return _chart_card(
        "m-power",
        t("monitoring.chart_power", lang),
        caption=html.Span(drawn.caption, id="mon-caption", className="caption"),
        unit="kW",
        tools=ranges,
        legend=legend,
        chart=ui.chart("m-power", drawn.power, ui.chart_config(lang), drawn.power_summary, "main"),
        table=drawn.power_table,
        lang=lang,
    )


def _battery_card(drawn: Charts, lang: str) -> Any:
    legend = ui.legend(
        (
            ("line", "battery", t("legend.battery", lang)),
            ("band", "battery", t("monitoring.legend_band", lang)),
            ("dash", "load", t("monitoring.setpoint", lang)),
            ("area", "battery", t("legend.soc", lang)),
            ("dots", "muted", t("legend.soc_limits", lang)),
        )
    )
    return _chart_card(
        "m-battery",
        t("monitoring.chart_battery", lang),
        caption=None,
        unit=f"kW{fmt.NBSP}· %",
        tools=None,
        legend=legend,
        chart=ui.chart(
            "m-battery", drawn.battery, ui.chart_config(lang), drawn.battery_summary, "main"
        ),
        table=drawn.battery_table,
        lang=lang,
    )


def _chart_card(
    name: str,
    title: str,
    *,
    caption: Any,
    unit: str,
    tools: Any,
    legend: Any,
    chart: Any,
    table: Any,
    lang: str,
) -> Any:
    return html.Section(
        [
            html.Div(
                [
                    html.H2(title, id=f"{name}-title"),
                    caption,
                    html.Div(
                        [tools, html.Span(unit, className="card-unit")], className="card-tools"
                    ),
                ],
                className="card-head",
            ),
            legend,
            chart,
            html.Details(
                [
                    html.Summary(t("monitoring.as_table", lang), id=f"{name}-open"),
                    html.Div(table, id=f"{name}-table"),
                ],
                className="as-table",
            ),
        ],
        className="card area-chart",
        **{"aria-labelledby": f"{name}-title"},
    )


def _details(look: Look, panel: Any, lang: str) -> Any:
    return html.Section(
        [
            html.H2(t("monitoring.details", lang), className="visually-hidden"),
            html.Div(
                [
                    html.Button(
                        t(f"monitoring.tab_{tab}", lang),
                        id=f"mon-tab-{tab}",
                        className="detail-tab",
                        type="button",
                        role="tab",
                        tabIndex="0" if tab == look.tab else "-1",
                        **{
                            "data-choice": "mon-tab",
                            "data-value": tab,
                            "data-parameter": "tab",
                            "aria-selected": "true" if tab == look.tab else "false",
                            "aria-controls": "mon-panel",
                        },
                    )
                    for tab in TABS
                ],
                className="detail-tabs",
                role="tablist",
                **{"aria-label": t("monitoring.details", lang)},
            ),
            html.Div(id="mon-notify-said", className="said", role="status"),
            html.Div(
                panel,
                id="mon-panel",
                className="panel",
                role="tabpanel",
                **{"aria-label": t("monitoring.details", lang)},
            ),
        ],
        className="card area-details",
    )

"""The forecasts page as components: what is expected, what was, and the weather behind PV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from ems_dash.i18n import label, said, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.analytics.frame import silent_line
from ems_dash.ui.fields import Fields
from ems_dash.ui.figure_parts import Figure
from ems_dash.ui.forecasts import words
from ems_dash.ui.forecasts.accuracy_view import FIRST_DAYS, PERIODS_DAYS
from ems_dash.ui.forecasts.series import PRICE, SERIES, ForecastSeries
from ems_dash.ui.forecasts.vintages import Choice
from ems_dash.ui.header import badges, site_line
from ems_dash.ui.live import TICK_MS
from ems_dash.ui.moment import Moment
from ems_dash.ui.overview_model import why_no_plan
from ems_dash.ui.segments import segments
from ems_dash.ui.strategy_model import until_text
from engine.domain.forecast import Forecast
from engine.runtime.forecast_archive import WeatherInputs

SILENT = "fc-silent"
"""Id of the line that says which devices do not answer; without a text it is not there."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What changes on a card of what is expected, when a forecast is made."""

    figure: Figure
    facts: Any
    summary: str


@dataclass(frozen=True, slots=True)
class LookedBack:
    """What changes when another past forecast is chosen.

    Attributes:
        choice: The forecast among the others; None when none is stored.
        figure: Chart of it beside what came.
        issued: When and by which model it was made, in words.
        note: How it turned out, in words.
    """

    choice: Choice | None
    figure: Figure
    issued: str
    note: str

    @property
    def said_below(self) -> str:
        """What stands below the chart; a chart of nothing says its reason itself."""
        return "" if self.choice is None else self.note


def page(
    moment: Moment,
    fields: Fields,
    first_state: dict[str, Any],
    *,
    cards: Mapping[str, Expected],
    back: LookedBack,
    address: dict[str, str],
    series: ForecastSeries,
    days: int,
    weather: Any,
) -> Any:
    """Return the whole page.

    Args:
        moment: The state of the engine.
        fields: Texts that change while the page is looked at.
        first_state: What the browser has after this.
        cards: What is expected, by the short name of the series.
        back: The past forecast to begin with.
        address: What the address of the page keeps of it.
        series: The series that is looked at closely.
        days: Period of the accuracy.
        weather: The card about the weather.
    """
    lang = moment.lang
    return ui.live(
        html.Div,
        "fc-root",
        fields,
        **{"data-tick": "fc-tick"},
        children=[
            dcc.Interval(id="fc-tick", interval=TICK_MS),
            dcc.Store(id="fc-state", data=first_state),
            dcc.Store(id="fc-delta"),
            dcc.Store(id="fc-charts"),
            dcc.Store(id="fc-address", data=address),
            html.Div(t("late.bar", lang), className="late-bar", role="status"),
            html.Div(
                [
                    html.Div(
                        [
                            html.H1(t("forecast.title", lang)),
                            html.P(site_line(moment.snapshot, lang), className="subtitle"),
                        ]
                    ),
                    html.Div(
                        [ui.badge(entry) for entry in badges(moment.snapshot, lang)],
                        className="badges",
                    ),
                ],
                className="page-head",
            ),
            silent_line(SILENT, fields),
            *(_expected_card(entry, cards[entry.key], fields, lang) for entry in SERIES),
            _close_up(back, series, days, moment),
            html.Section(
                weather,
                id="fc-weather-card",
                className="card fc-weather",
                **{"aria-labelledby": "fc-weather-title"},
            ),
        ],
    )


def _expected_card(series: ForecastSeries, part: Expected, fields: Fields, lang: str) -> Any:
    name = t(f"series.{series.key}", lang)
    return html.Section(
        [
            html.Div(
                [
                    html.Div(
                        [
                            ui.icon(series.icon, series.role),
                            html.H2(name, id=f"fc-{series.key}-title"),
                            ui.live(html.Span, f"fc-{series.key}-age", fields, "caption"),
                            ui.mark_pill(f"fc-{series.key}-mark", fields),
                            html.Span(series.unit, className="card-unit"),
                        ],
                        className="card-head fc-head",
                    ),
                    _legend(series, lang),
                    ui.chart(
                        f"fc-{series.key}",
                        part.figure,
                        ui.chart_config(lang),
                        part.summary,
                        "middle",
                    ),
                    values_table(series.key, lang),
                ],
                className="fc-chart",
            ),
            html.Div(
                [
                    html.Div(part.facts, id=f"fc-{series.key}-facts"),
                    html.Div(id=f"fc-{series.key}-note", className="fc-notes", role="note"),
                ],
                className="fc-facts",
            ),
        ],
        className="card fc-card",
        **{"aria-labelledby": f"fc-{series.key}-title"},
    )


def _legend(series: ForecastSeries, lang: str) -> Any:
    if series is PRICE:
        items = (
            ("bar", "price", t("forecast.published", lang)),
            ("hatch", "price", t("forecast.expected", lang)),
            ("quantiles", "price", t("forecast.band", lang)),
        )
    else:
        items = (
            ("line", series.role, t("chart.measured", lang)),
            ("dashes", series.role, t("forecast.expected", lang)),
            ("quantiles", series.role, t("forecast.band", lang)),
        )
    return ui.legend(items)


def facts_part(
    series: ForecastSeries,
    forecast: Forecast | None,
    forecasts: Mapping[str, Forecast],
    *,
    known_until: datetime | None,
    moment: Moment,
) -> Any:
    """Return the column beside a chart: figures, notes, and how the forecast is made.

    Args:
        series: The series.
        forecast: Its newest forecast, or None.
        forecasts: Those there are, by signal.
        known_until: Up to when values are known ahead, as published prices are, or None.
        moment: The state of the engine.
    """
    lang = moment.lang
    if forecast is None:
        why = why_no_plan(moment.snapshot, lang)
        nothing = ui.empty(*words.why_none(series, forecasts, why, lang))
        if known_until is None:
            return nothing
        until = until_text(known_until, moment.now, moment.tz, lang)
        return [_facts([words.Fact(t("forecast.published_until", lang), until)]), nothing]
    return [
        _facts(words.facts(series, forecast, moment.now, moment.tz, lang)),
        html.Details(
            [
                html.Summary(t("forecast.how", lang)),
                html.P(said(forecast.method, lang), className="caption"),
            ],
            className="more",
        ),
    ]


def _facts(listed: Sequence[words.Fact]) -> Any:
    return html.Dl(
        [html.Div([html.Dt(fact.what), html.Dd(fact.text)]) for fact in listed],
        className="facts",
    )


def notes_part(notes: Sequence[str]) -> list[Any]:
    """Return sentences about how good a forecast was."""
    return [html.P(text, className="fc-note") for text in notes]


def values_table(name: str, lang: str) -> Any:
    """Return a table that is fetched when it is opened."""
    return html.Details(
        [
            html.Summary(t("table.show", lang), id={"type": "fc-table-open", "id": name}),
            html.Div(id={"type": "fc-table", "id": name}, className="table-scroll", tabIndex="0"),
        ],
        className="more",
    )


def table(rows: Sequence[tuple[str, ...]], series: ForecastSeries, lang: str) -> Any:
    """Return the values of a forecast by the hour as a table."""
    heads = (
        t("table.time", lang),
        "P10",
        "P50",
        "P90",
        t("table.came", lang),
        t("table.kind", lang),
    )
    return html.Table(
        [
            html.Caption(
                t("table.caption", lang, series=t(f"series.{series.key}", lang), unit=series.unit)
            ),
            html.Thead(html.Tr([html.Th(head, scope="col") for head in heads])),
            html.Tbody(
                [
                    html.Tr([html.Th(row[0], scope="row"), *(html.Td(cell) for cell in row[1:])])
                    for row in rows
                ]
            ),
        ],
        className="value-table",
    )


# --- looking back -------------------------------------------------------------------------------


def _close_up(back: LookedBack, series: ForecastSeries, days: int, moment: Moment) -> Any:
    lang = moment.lang
    return html.Section(
        [
            html.Div(
                [
                    html.H2(t("forecast.back_title", lang), id="fc-back-title"),
                    html.Span(t("forecast.back_caption", lang), className="caption"),
                ],
                className="card-head",
            ),
            html.Div(
                [
                    segments(
                        "fc-signal",
                        [(entry.key, t(f"series.{entry.key}", lang)) for entry in SERIES],
                        series.key,
                    ),
                    *_picker(back, lang, moment),
                ],
                className="fc-picker",
                role="group",
                **{"aria-labelledby": "fc-back-title"},
            ),
            html.P(back.issued, id="fc-issued", className="fc-issued", role="status"),
            html.Div(back_legend(series, lang), id="fc-back-legend"),
            ui.chart("fc-back", back.figure, ui.chart_config(lang), back.note, "main"),
            html.P(back.said_below, id="fc-back-note", className="fc-note"),
            html.Div(values_table("back", lang), id="fc-back-values"),
            html.Div(
                [
                    html.Div(
                        [
                            html.H2(t("accuracy.title", lang), id="fc-accuracy-title"),
                            html.Span(t("accuracy.caption", lang), className="caption"),
                        ],
                        className="card-head",
                    ),
                    segments(
                        "fc-days",
                        [
                            (period, t("accuracy.days", lang, days=period))
                            for period in PERIODS_DAYS
                        ],
                        days if days in PERIODS_DAYS else FIRST_DAYS,
                    ),
                ],
                className="fc-accuracy-head",
            ),
            html.Div(
                html.Div(t("accuracy.loading", lang), className="skeleton skeleton-chart"),
                id="fc-accuracy",
            ),
        ],
        className="card fc-back",
        **{"aria-labelledby": "fc-back-title"},
    )


def _picker(back: LookedBack, lang: str, moment: Moment) -> list[Any]:
    choice = back.choice
    return [
        html.Div(
            [
                dbc.Label(t("forecast.day", lang), html_for="fc-day"),
                dbc.Select(
                    id="fc-day",
                    options=day_options(choice, lang),
                    value=None if choice is None else choice.day.isoformat(),
                ),
            ],
            className="fc-field",
        ),
        html.Div(
            [
                dbc.Label(t("forecast.issue", lang), html_for="fc-issue"),
                html.Div(
                    [
                        html.Button(
                            "‹",
                            id="fc-earlier",
                            className="icon-button",
                            disabled=choice is None or not choice.earlier,
                            title=t("forecast.earlier", lang),
                            **{"aria-label": t("forecast.earlier", lang)},
                        ),
                        dbc.Input(
                            id="fc-issue",
                            type="range",
                            min=0,
                            max=0 if choice is None else len(choice.of_day) - 1,
                            step=1,
                            value=0 if choice is None else choice.index,
                            className="fc-range",
                        ),
                        html.Button(
                            "›",
                            id="fc-later",
                            className="icon-button",
                            disabled=choice is None or not choice.later,
                            title=t("forecast.later", lang),
                            **{"aria-label": t("forecast.later", lang)},
                        ),
                    ],
                    className="fc-steps",
                ),
            ],
            className="fc-field fc-field-wide",
        ),
    ]


def day_options(choice: Choice | None, lang: str) -> list[dict[str, str]]:
    """Return the days to choose from, newest first."""
    if choice is None:
        return []
    return [{"label": fmt.date_of_day(day, lang), "value": day.isoformat()} for day in choice.days]


def back_legend(series: ForecastSeries, lang: str) -> Any:
    """Return the legend of the chart of a past forecast."""
    came = "forecast.published" if series is PRICE else "chart.measured"
    return ui.legend(
        (
            ("line", series.role, t(came, lang)),
            ("dashes", series.role, t("forecast.expected_then", lang)),
            ("quantiles", series.role, t("forecast.band", lang)),
        )
    )


def issued_text(forecast: Forecast, moment: Moment) -> str:
    """Return when and by which model a forecast was made."""
    return t(
        "forecast.issued",
        moment.lang,
        date=fmt.date(forecast.issued_at, moment.tz, moment.lang),
        time=fmt.clock_time(forecast.issued_at, moment.tz),
        age=words.age_text(forecast.issued_at, moment.now, moment.lang),
        model=label("model", forecast.model, moment.lang),
    )


# --- weather ------------------------------------------------------------------------------------


def weather_part(
    inputs: WeatherInputs | None, figure: Figure | None, pv: Forecast | None, moment: Moment
) -> list[Any]:
    """Return what the card says about the weather behind PV, or why there is none.

    Args:
        inputs: The weather source; None where none is configured.
        figure: Chart of its forecast; None without one.
        pv: The PV forecast; None for a site without.
        moment: The state of the engine.
    """
    lang, now = moment.lang, moment.now
    weather = None if inputs is None else inputs.forecast
    body: list[Any]
    if weather is None:
        if inputs is not None and inputs.status is not None:
            state = t(f"weather.state_{inputs.status.state}", lang)
            body = [ui.empty(state, said(inputs.status.message, lang))]
        else:
            model = "" if pv is None else label("model", pv.model, lang)
            hint = t("weather.none_model", lang, model=model) if pv else ""
            body = [ui.empty(t("weather.none", lang), hint)]
    else:
        body = _weather_body(weather.source, weather.fetched_at, weather.end, inputs, moment)
        body.append(
            html.P(t("weather.no_irradiance", lang), className="fc-note")
            if not weather.has_irradiance
            else None
        )
        if figure is not None:
            summary = t(
                "weather.summary",
                lang,
                source=label("weather_source", weather.source, lang),
                age=words.age_text(weather.fetched_at, now, lang),
            )
            body.append(ui.chart("fc-weather", figure, ui.chart_config(lang), summary, "middle"))
    return [
        html.Div(
            [
                html.H2(t("weather.title", lang), id="fc-weather-title"),
                html.Span("W/m² · %" if weather is not None else "", className="card-unit"),
            ],
            className="card-head",
        ),
        *body,
    ]


def _weather_body(
    source: str,
    fetched_at: datetime,
    end: datetime,
    inputs: WeatherInputs | None,
    moment: Moment,
) -> list[Any]:
    lang = moment.lang
    listed = [
        (t("weather.source", lang), label("weather_source", source, lang)),
        (t("weather.age", lang), words.age_text(fetched_at, moment.now, lang)),
        (
            t("forecast.reaches", lang),
            f"{fmt.day_label(end, moment.tz, lang)} {fmt.clock_time(end, moment.tz)}",
        ),
    ]
    status = None if inputs is None else inputs.status
    if status is not None:
        if status.state != "ok":
            listed.append((t("weather.state", lang), t(f"weather.state_{status.state}", lang)))
        listed += [(t("weather.attribution", lang), text) for text in status.attribution]
    return [
        html.Dl(
            [html.Div([html.Dt(what), html.Dd(text)]) for what, text in listed],
            className="facts facts-row",
        ),
        ui.legend(
            (("area", "pv", t("weather.ghi", lang)), ("area", "muted", t("weather.clouds", lang)))
        ),
    ]

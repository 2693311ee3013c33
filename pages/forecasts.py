"""The forecasts ``/forecasts``: what is expected, how sure that is, and how good it was.

Callbacks are thin: they fetch from `Services`, call pure functions of `ems_dash.ui.forecasts`
and return. The address keeps the series, the past forecast and the period looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import dash
import numpy as np
from dash import MATCH, ClientsideFunction, Input, Output, State, no_update

from ems_dash.auth.roles import Role
from ems_dash.i18n import said, t
from ems_dash.services import Services
from ems_dash.ui import components as ui
from ems_dash.ui.branding import window_title
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.fields import Fields, ShownTexts
from ems_dash.ui.forecasts import view, words
from ems_dash.ui.forecasts import vintages as vin
from ems_dash.ui.forecasts.accuracy_view import FIRST_DAYS, PERIODS_DAYS, accuracy
from ems_dash.ui.forecasts.figures import Look, empty_figure, expected_figure, vintage_figure
from ems_dash.ui.forecasts.series import PRICE, SERIES, ForecastSeries, series_of
from ems_dash.ui.forecasts.weather_figure import weather_figure
from ems_dash.ui.header import frame_fields
from ems_dash.ui.live import Delta, nothing_new, text_delta
from ems_dash.ui.moment import Moment
from ems_dash.ui.overview_model import why_no_plan
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_is_narrow, request_lang, request_theme
from ems_dash.ui.silence import silence
from engine.domain.errors import EmsError
from engine.domain.forecast import FloatArray, Forecast
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.series import quarter_hour_values
from engine.history.store import MIN_GOOD_MINUTES, ForecastHeader

PAST = timedelta(hours=24)
AHEAD = timedelta(hours=36)

LOOK_BACK = timedelta(days=14)
"""How old a forecast may be to be looked at again."""

LEAD_IN = timedelta(hours=6)
"""What is drawn of the time before a past forecast was made."""

NOTE_DAYS = 7


class _Forecasts:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._shown = ShownTexts()

    # --- the page ------------------------------------------------------------------------------

    def layout(
        self,
        signal: str | None = None,
        vintage: str | None = None,
        days: str | None = None,
        **_values: str,
    ) -> Any:
        look = Look(request_theme(), request_lang(), request_is_narrow())
        moment = self._moment(look.lang)
        series = series_of(signal)
        forecasts = self._services.forecasts()
        fields = self._fields(moment, forecasts)
        state = {
            "seq": moment.snapshot.seq,
            "token": self._shown.put(fields),
            "charts": _charts_key(moment, forecasts),
        }
        period = next((p for p in PERIODS_DAYS if str(p) == days), FIRST_DAYS)
        back = self._first_look(moment, series, vintage, look)
        return view.page(
            moment,
            fields,
            state,
            cards=self._cards(moment, forecasts, look),
            back=back,
            address=_address(series, back.choice, period),
            series=series,
            days=period,
            weather=self._weather(moment, forecasts, look),
        )

    def delta(self, _tick: int, state: dict[str, Any] | None, lang: str) -> Any:
        moment = self._moment(lang)
        if nothing_new(state, moment):
            return no_update
        forecasts = self._services.forecasts()
        fields = self._fields(moment, forecasts)
        out: Delta = text_delta(state or {}, moment, fields, self._shown)
        key = _charts_key(moment, forecasts)
        if key != (state or {}).get("charts"):
            out["charts"] = key
        return out

    def charts(self, _key: str, theme: str, lang: str) -> tuple[Any, ...]:
        look = Look(theme, lang, request_is_narrow())
        moment = self._moment(lang)
        forecasts = self._services.forecasts()
        cards = self._cards(moment, forecasts, look)
        return (
            self._weather(moment, forecasts, look),
            *(
                part
                for series in SERIES
                for part in (
                    cards[series.key].figure,
                    cards[series.key].facts,
                    cards[series.key].summary,
                )
            ),
        )

    def notes(self, _key: str | None, lang: str) -> tuple[list[Any], ...]:
        """Return what accuracy says of each series, in sentences."""
        forecasts = self._services.forecasts()
        try:
            scores = self._services.forecast_accuracy(NOTE_DAYS)
        except EmsError as exc:
            return tuple([said(str(exc), lang)] for _ in SERIES)
        out = []
        for series in SERIES:
            forecast = forecasts.get(series.signal)
            entry = words.in_use(scores, series, forecast)
            notes = [words.bias_note(series, entry, NOTE_DAYS, lang)] if forecast else []
            notes.append(words.naive_note(entry, lang))
            out.append([text for text in notes if text])
        return tuple(view.notes_part(notes) for notes in out)

    def accuracy(self, days: int | str, signal: str, theme: str, lang: str) -> list[Any]:
        period = int(days) if int(days) in PERIODS_DAYS else FIRST_DAYS
        try:
            scores = self._services.forecast_accuracy(period)
        except EmsError as exc:
            return [ui.empty(t("accuracy.failed", lang), said(str(exc), lang))]
        look = Look(theme, lang, request_is_narrow())
        return accuracy(scores, series_of(signal), period, look)

    def _cards(
        self, moment: Moment, forecasts: Mapping[str, Forecast], look: Look
    ) -> dict[str, view.Expected]:
        window = _window(moment)
        out = {}
        for series in SERIES:
            forecast = forecasts.get(series.signal)
            came = self._past(series, window)
            out[series.key] = view.Expected(
                expected_figure(window, series, forecast, came, look),
                view.facts_part(
                    series,
                    forecast,
                    forecasts,
                    known_until=words.known_ahead(came, window.start, moment.now),
                    moment=moment,
                ),
                words.expected_summary(series, forecast, moment.now, moment.tz, look.lang),
            )
        return out

    def _past(self, series: ForecastSeries, window: ChartWindow) -> FloatArray:
        """Return what came from the window's start up to now; a price as far as published."""
        if series is PRICE:
            n = (window.end - window.start) // STEP
            out = np.full(n, np.nan)
            for row in self._services.prices(window.start, window.end):
                out[(row.ts - window.start) // STEP] = row.spot_eur_per_kwh
            return out
        n = (quarter_start(window.now) - window.start) // STEP
        points = self._services.measured(window.start - timedelta(minutes=1))
        return quarter_hour_values(
            points, series.signal, window.start, n, fewest_minutes=MIN_GOOD_MINUTES
        )

    def _fields(self, moment: Moment, forecasts: Mapping[str, Forecast]) -> Fields:
        out = frame_fields(moment, "fc-root") | {view.SILENT: silence(moment)}
        for series in SERIES:
            forecast = forecasts.get(series.signal)
            out[f"fc-{series.key}-age"] = (
                ""
                if forecast is None
                else t(
                    "forecast.made",
                    moment.lang,
                    age=words.age_text(forecast.issued_at, moment.now, moment.lang),
                )
            )
            stale = forecast is not None and words.is_stale(forecast, moment.now)
            out[f"fc-{series.key}-mark"] = t("forecast.stale", moment.lang) if stale else ""
        return out

    def _weather(self, moment: Moment, forecasts: Mapping[str, Forecast], look: Look) -> Any:
        inputs = self._services.forecast_archive.weather(moment.now)
        figure = None
        if inputs is not None and inputs.forecast is not None:
            figure = weather_figure(_window(moment), inputs.forecast, look)
        pv = next((forecasts.get(s.signal) for s in SERIES if s.key == "pv"), None)
        return view.weather_part(inputs, figure, pv, moment)

    # --- looking back --------------------------------------------------------------------------

    def look_back(
        self,
        asked: dict[str, Any],
        days: int,
        address: dict[str, Any] | None,
        theme: str,
        lang: str,
    ) -> tuple[Any, ...]:
        """Return the past forecast that was chosen by day, slider, arrow or series."""
        look = Look(theme, lang, request_is_narrow())
        moment, series = self._moment(lang), series_of(asked["signal"])
        before = vin.from_stamp((address or {}).get("vintage")) or moment.now - vin.FIRST_LOOK
        try:
            stored = self._vintages(series, moment)
            chosen = vin.nearest(stored, before)
            if chosen is not None:
                chosen = _moved(dash.ctx.triggered_id, stored, chosen, asked, moment)
            back = self._looked_back(moment, series, stored, chosen, look)
        except EmsError as exc:
            back = _nothing(moment, look, said(str(exc), look.lang))
        choice = back.choice
        return (
            view.day_options(choice, lang),
            None if choice is None else choice.day.isoformat(),
            0 if choice is None else len(choice.of_day) - 1,
            0 if choice is None else choice.index,
            choice is None or not choice.earlier,
            choice is None or not choice.later,
            back.figure,
            back.issued,
            back.note,
            back.said_below,
            view.back_legend(series, lang),
            view.values_table("back", lang),
            _address(series, choice, days),
        )

    def values(
        self, clicks: int | None, address: dict[str, Any] | None, signal: str, lang: str
    ) -> Any:
        """Return the values behind a chart as a table, when it is opened."""
        name = dash.ctx.triggered_id["id"]
        if not clicks:
            return no_update
        moment = self._moment(lang)
        series = series_of(signal if name == "back" else name)
        forecast: Forecast | None
        try:
            if name == "back":
                stored = self._vintages(series, moment)
                wanted = vin.from_stamp((address or {}).get("vintage"))
                chosen = vin.nearest(stored, wanted or moment.now - vin.FIRST_LOOK)
                forecast = None if chosen is None else self._vintage(stored[chosen])
            else:
                forecast = self._services.forecasts().get(series.signal)
            if forecast is None:
                return ui.empty(t("forecast.none_stored", lang))
            came = self._services.forecast_archive.came(
                series.signal, forecast.start, min(forecast.end, moment.now)
            )
        except EmsError as exc:
            return ui.empty(said(str(exc), lang))
        actual = came.at(forecast.start, forecast.n_steps)
        return view.table(
            words.hourly_rows(series, forecast, actual, moment.tz, lang), series, lang
        )

    def _first_look(
        self, moment: Moment, series: ForecastSeries, vintage: str | None, look: Look
    ) -> view.LookedBack:
        wanted = vin.from_stamp(vintage) or moment.now - vin.FIRST_LOOK
        try:
            stored = self._vintages(series, moment)
            return self._looked_back(moment, series, stored, vin.nearest(stored, wanted), look)
        except EmsError as exc:
            return _nothing(moment, look, said(str(exc), look.lang))

    def _vintages(self, series: ForecastSeries, moment: Moment) -> list[ForecastHeader]:
        archive = self._services.forecast_archive
        return archive.vintages(series.signal, moment.now - LOOK_BACK, moment.now)

    def _vintage(self, header: ForecastHeader) -> Forecast | None:
        return self._services.forecast_archive.vintage(
            header.signal, header.issued_at, header.model
        )

    def _looked_back(
        self,
        moment: Moment,
        series: ForecastSeries,
        stored: list[ForecastHeader],
        chosen: int | None,
        look: Look,
    ) -> view.LookedBack:
        forecast = None if chosen is None else self._vintage(stored[chosen])
        if chosen is None or forecast is None:
            return _nothing(moment, look, t("forecast.none_stored", look.lang))
        start = quarter_start(forecast.start - LEAD_IN)
        window = ChartWindow(start, forecast.end, moment.now, moment.tz)
        # A published price is known ahead of its quarter-hour.
        known_until = forecast.end if series is PRICE else quarter_start(moment.now)
        until = min(forecast.end, known_until)
        came = self._services.forecast_archive.came(series.signal, start, until)
        n = (window.end - window.start) // STEP
        return view.LookedBack(
            vin.choose(stored, chosen, moment.tz),
            vintage_figure(window, series, forecast, came.at(start, n), look),
            view.issued_text(forecast, moment),
            words.vintage_note(
                series, forecast, came.at(forecast.start, forecast.n_steps), look.lang
            ),
        )

    def _moment(self, lang: str) -> Moment:
        services = self._services
        return Moment(services.snapshot(), services.now(), services.heartbeat_age_s(), lang)


def _window(moment: Moment) -> ChartWindow:
    anchor = quarter_start(moment.now)
    return ChartWindow(anchor - PAST, anchor + AHEAD, moment.now, moment.tz)


def _nothing(moment: Moment, look: Look, why: str) -> view.LookedBack:
    return view.LookedBack(None, empty_figure(_window(moment), why, look), "", why)


def _charts_key(moment: Moment, forecasts: Mapping[str, Forecast]) -> str:
    """Return a name for the charts' contents; it changes with a forecast and a quarter-hour."""
    issued = [f"{f.issued_at.timestamp():.0f}" for _, f in sorted(forecasts.items())]
    if not forecasts:
        issued.append(why_no_plan(moment.snapshot, moment.lang))
    return "|".join([f"{quarter_start(moment.now).timestamp():.0f}", *dict.fromkeys(issued)])


def _moved(
    trigger: Any,
    stored: list[ForecastHeader],
    chosen: int,
    asked: Mapping[str, Any],
    moment: Moment,
) -> int:
    """Return the place of the forecast that a control asks for."""
    if trigger == "fc-earlier":
        return chosen - 1
    if trigger == "fc-later":
        return chosen + 1
    if trigger == "fc-day" and asked["day"]:
        like = stored[chosen].issued_at
        return vin.on_day(stored, date.fromisoformat(asked["day"]), like, moment.tz)
    if trigger == "fc-issue" and asked["place"] is not None:
        now = vin.choose(stored, chosen, moment.tz)
        return chosen - now.index + int(float(asked["place"]))
    return chosen


def _address(series: ForecastSeries, choice: vin.Choice | None, days: int) -> dict[str, str]:
    out = {"signal": series.key, "days": str(days)}
    if choice is not None:
        out["vintage"] = vin.stamp(choice.header.issued_at)
    return out


def register(app: dash.Dash, services: Services) -> None:
    """Add the forecasts page and its callbacks to `app`."""
    page = _Forecasts(services)
    add_page(
        app,
        "forecasts",
        "/forecasts",
        page.layout,
        title=lambda **_values: window_title(t("forecast.title", request_lang())),
        nav_key="nav.forecasts",
    )
    app.callback(
        Output("fc-delta", "data"),
        Input("fc-tick", "n_intervals"),
        State("fc-state", "data"),
        State("lang", "data"),
        running=[(Output("fc-tick", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.delta)
    app.clientside_callback(
        ClientsideFunction("ems", "applyTexts"),
        Output("fc-state", "data"),
        Output("fc-charts", "data"),
        Input("fc-delta", "data"),
        State("fc-state", "data"),
        prevent_initial_call=True,
    )
    app.callback(
        Output("fc-weather-card", "children"),
        *(
            output
            for series in SERIES
            for output in (
                Output({"type": "chart", "id": f"fc-{series.key}"}, "figure", allow_duplicate=True),
                Output(f"fc-{series.key}-facts", "children"),
                Output(f"fc-{series.key}-summary", "children"),
            )
        ),
        Input("fc-charts", "data"),
        State("theme", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.charts)
    app.callback(
        *(Output(f"fc-{series.key}-note", "children") for series in SERIES),
        Input("fc-charts", "data"),
        State("lang", "data"),
        role=Role.VIEWER,
    )(page.notes)
    app.callback(
        Output("fc-accuracy", "children"),
        Input("fc-days", "value"),
        Input("fc-signal", "value"),
        State("theme", "data"),
        State("lang", "data"),
        role=Role.VIEWER,
    )(page.accuracy)
    app.callback(
        output=[
            Output("fc-day", "options"),
            Output("fc-day", "value"),
            Output("fc-issue", "max"),
            Output("fc-issue", "value"),
            Output("fc-earlier", "disabled"),
            Output("fc-later", "disabled"),
            Output({"type": "chart", "id": "fc-back"}, "figure", allow_duplicate=True),
            Output("fc-issued", "children"),
            Output("fc-back-note", "children"),
            Output("fc-back-summary", "children"),
            Output("fc-back-legend", "children"),
            Output("fc-back-values", "children"),
            Output("fc-address", "data"),
        ],
        inputs={
            "asked": {
                "signal": Input("fc-signal", "value"),
                "day": Input("fc-day", "value"),
                "place": Input("fc-issue", "value"),
                "earlier": Input("fc-earlier", "n_clicks"),
                "later": Input("fc-later", "n_clicks"),
            },
            "days": Input("fc-days", "value"),
            "address": State("fc-address", "data"),
            "theme": State("theme", "data"),
            "lang": State("lang", "data"),
        },
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.look_back)
    app.callback(
        Output({"type": "fc-table", "id": MATCH}, "children"),
        Input({"type": "fc-table-open", "id": MATCH}, "n_clicks"),
        State("fc-address", "data"),
        State("fc-signal", "value"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.values)
    app.clientside_callback(
        ClientsideFunction("ems", "writeAddress"),
        Output("fc-address", "clear_data"),
        Input("fc-address", "data"),
        prevent_initial_call=True,
    )

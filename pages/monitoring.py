"""Monitoring ``/monitoring``: what the plant reports, how far it may be believed, what is wrong.

The address keeps range, panel and device (``?range=6h&tab=registers&device=bms``). Callbacks are
thin: they fetch from `Services`, call pure functions of `ems_dash.ui.monitoring` and return.
"""

from __future__ import annotations

from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, no_update

from ems_dash.auth.access import may
from ems_dash.auth.roles import Role
from ems_dash.i18n import said, t
from ems_dash.services import Services
from ems_dash.ui.branding import window_title
from ems_dash.ui.fields import ShownTexts
from ems_dash.ui.last_known import last_soc
from ems_dash.ui.live import nothing_new
from ems_dash.ui.moment import Moment
from ems_dash.ui.monitoring import alarms, channels, raw, view
from ems_dash.ui.monitoring import delta as live
from ems_dash.ui.monitoring.events import FILTER_STORE
from ems_dash.ui.monitoring.panel import Look, panel, panel_state
from ems_dash.ui.monitoring.registers import DEVICE_STORE
from ems_dash.ui.monitoring.series import points_of, span_of
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_is_narrow, request_lang, request_theme
from engine.domain.errors import EmsError

POWER_CHART = {"type": "chart", "id": "m-power"}
BATTERY_CHART = {"type": "chart", "id": "m-battery"}


class _Monitoring:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._shown = ShownTexts()

    def layout(self, **values: str) -> Any:
        moment, look = self._moment(request_lang()), Look.of(values)
        now = live.shown_now(self._services, moment, look)
        span = span_of(look.span, moment.snapshot.time_factor)
        points = points_of(self._services, span, moment.now, moment.now - span.length)
        allowed = may(Role.OPERATOR)
        return view.page(
            moment,
            now.fields,
            look=look,
            span=span,
            drawn=view.charts(
                moment, points, span, theme=request_theme(), narrow=request_is_narrow()
            ),
            rows=self._alarm_rows(moment),
            panel=panel(self._services, moment, look, now.fields, allowed=may(Role.ADMIN)),
            first_state=live.first_state(moment, now, points, self._shown),
            allowed=allowed,
        )

    def delta(
        self,
        *,
        tick: int,
        state: dict[str, Any],
        made: dict[str, str] | None,
        span_key: str,
        tab: str,
        device: str,
        lang: str,
    ) -> Any:
        del tick
        moment = self._moment(lang)
        look = Look.of({"tab": tab, "range": span_key, "device": device})
        if nothing_new(state, moment) and state.get("made") == made:
            return no_update
        now = live.shown_now(self._services, moment, look)
        span = span_of(span_key, moment.snapshot.time_factor)
        points = live.new_points(self._services, moment, span, state)
        return live.delta(state, moment, now, points, self._shown, made=made)

    def charts(
        self, _key: str, span_key: str, _power: int, _battery: int, theme: str, lang: str
    ) -> tuple[Any, ...]:
        moment = self._moment(lang)
        span = span_of(span_key, moment.snapshot.time_factor)
        points = points_of(self._services, span, moment.now, moment.now - span.length)
        made = view.charts(moment, points, span, theme=theme, narrow=request_is_narrow())
        figures = (made.power, made.battery)
        if dash.ctx.triggered_id in ("m-power-open", "m-battery-open"):
            figures = (no_update, no_update)
        return (
            *figures,
            made.power_summary,
            made.battery_summary,
            made.power_table,
            made.battery_table,
            made.caption,
        )

    def alarm_list(self, _key: str, lang: str) -> tuple[Any, Any, Any]:
        moment = self._moment(lang)
        allowed = may(Role.OPERATOR)
        parts = view.alarm_part(self._alarm_rows(moment), lang, allowed=allowed)
        return *parts, view.badge_list(moment)

    def panel(
        self, _key: str, tab: str, device: str, chosen: str, held: str, lang: str
    ) -> tuple[Any, dict[str, str]]:
        moment = self._moment(lang)
        look = Look.of({"tab": tab, "device": device, "event_filter": chosen, "hold_raw": held})
        state = panel_state(self._services, moment, look)
        made = panel(self._services, moment, look, state.fields, allowed=may(Role.ADMIN))
        key = live.panel_key(look, state)
        return made, {"id": f"{key}|{moment.snapshot.seq}", "key": key}

    def raw(self, _due: int, lang: str) -> str:
        return raw.raw_text(self._moment(lang))

    def acknowledge(self, _all: int | None, _ones: list[int | None], lang: str) -> Any:
        """Mark one alarm or all as seen; return what was done."""
        if not dash.ctx.triggered or not dash.ctx.triggered[0]["value"]:
            return no_update
        asked = dash.ctx.triggered_id
        name = None if asked == "mon-ack-all" else str(asked["id"])
        try:
            seen = self._services.acknowledge(name)
        except EmsError as exc:
            return said(str(exc), lang)
        if not seen:
            return t("alarms.said_none", lang)
        return t("alarms.said", lang, n=len(seen))

    def try_channel(self, _clicks: list[int | None], lang: str) -> Any:
        """Send a test message; return what came of it."""
        if not dash.ctx.triggered or not dash.ctx.triggered[0]["value"]:
            return no_update
        try:
            result = self._services.notifications.test(str(dash.ctx.triggered_id["id"]))
        except EmsError as exc:
            return said(str(exc), lang)
        return channels.result_text(result, lang)

    def _alarm_rows(self, moment: Moment) -> list[alarms.AlarmRow]:
        # An alarm that has ended since yesterday may have been raised days before.
        events = self._services.events(moment.now - 7 * alarms.RECENT)
        return alarms.alarm_rows(moment, events)

    def _moment(self, lang: str) -> Moment:
        services = self._services
        snapshot, now = services.snapshot(), services.now()
        last = last_soc(services, snapshot, now)
        return Moment(snapshot, now, services.heartbeat_age_s(), lang, last)


def register(app: dash.Dash, services: Services) -> None:
    """Add the monitoring page and its callbacks to `app`."""
    page = _Monitoring(services)
    add_page(
        app,
        "monitoring",
        "/monitoring",
        page.layout,
        title=lambda **_values: window_title(t("monitoring.title", request_lang())),
        nav_key="nav.monitoring",
    )
    _register_live(app, page)
    app.callback(
        Output("mon-alarm-said", "children"),
        Input("mon-ack-all", "n_clicks"),
        Input({"type": "mon-ack", "id": ALL}, "n_clicks"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.OPERATOR,
    )(page.acknowledge)
    app.callback(
        Output("mon-notify-said", "children"),
        Input({"type": "mon-notify-test", "id": ALL}, "n_clicks"),
        State("lang", "data"),
        running=[(Output("mon-panel", "className"), "panel is-busy", "panel")],
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(page.try_channel)
    for store, name in (("mon-alarm-filter", "mon-alarm-list"), (FILTER_STORE, "mon-event-list")):
        app.clientside_callback(
            ClientsideFunction("emsMonitoring", "filterClass"),
            Output(name, "className"),
            Input(store, "data"),
            prevent_initial_call=True,
        )


def _register_live(app: dash.Dash, page: _Monitoring) -> None:
    app.callback(
        Output("mon-delta", "data"),
        inputs={"tick": Input("mon-tick", "n_intervals")},
        state={
            "state": State("mon-state", "data"),
            "made": State("mon-panel-made", "data"),
            "span_key": State("mon-span", "data"),
            "tab": State("mon-tab", "data"),
            "device": State(DEVICE_STORE, "data"),
            "lang": State("lang", "data"),
        },
        running=[(Output("mon-tick", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.delta)
    app.clientside_callback(
        ClientsideFunction("emsMonitoring", "applyDelta"),
        Output("mon-state", "data"),
        Output(POWER_CHART, "extendData"),
        Output(BATTERY_CHART, "extendData"),
        Output("mon-charts", "data"),
        Output("mon-alarms", "data"),
        Output("mon-panel-key", "data"),
        Output("mon-raw-due", "data"),
        Input("mon-delta", "data"),
        State("mon-state", "data"),
        State(POWER_CHART, "figure"),
        State("mon-span", "data"),
        State("mon-tab", "data"),
        State("mon-hold", "data"),
        prevent_initial_call=True,
    )
    app.callback(
        Output(POWER_CHART, "figure", allow_duplicate=True),
        Output(BATTERY_CHART, "figure", allow_duplicate=True),
        Output("m-power-summary", "children"),
        Output("m-battery-summary", "children"),
        Output("m-power-table", "children"),
        Output("m-battery-table", "children"),
        Output("mon-caption", "children"),
        Input("mon-charts", "data"),
        Input("mon-span", "data"),
        Input("m-power-open", "n_clicks"),
        Input("m-battery-open", "n_clicks"),
        State("theme", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.charts)
    app.callback(
        Output("mon-alarm-head", "children"),
        Output("mon-alarm-list", "children"),
        Output("mon-badges", "children"),
        Input("mon-alarms", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.alarm_list)
    app.callback(
        Output("mon-panel", "children"),
        Output("mon-panel-made", "data"),
        Input("mon-panel-key", "data"),
        Input("mon-tab", "data"),
        Input(DEVICE_STORE, "data"),
        State(FILTER_STORE, "data"),
        State("mon-hold", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.panel)
    app.callback(
        Output("mon-raw-text", "children"),
        Input("mon-raw-due", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.raw)

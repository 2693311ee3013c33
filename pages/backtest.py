"""The backtests ``/backtest``: ask, follow, read, compare, share.

Callbacks are thin: they ask `Services`, call pure functions of `ems_dash.ui.backtest` and return.
The address keeps what is shown: ``?result=<id>&with=<id>,<id>``.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update

from ems_dash.auth.access import actor, may
from ems_dash.auth.roles import Role
from ems_dash.i18n import t
from ems_dash.i18n.backtest_said import refused
from ems_dash.services import Services
from ems_dash.ui import components as ui
from ems_dash.ui.backtest import form_model as form
from ems_dash.ui.backtest import list_view, result_view
from ems_dash.ui.backtest.form_view import field_id, field_name, source_hint
from ems_dash.ui.backtest.form_view import form as form_view
from ems_dash.ui.branding import window_title
from ems_dash.ui.fields import ShownTexts
from ems_dash.ui.forecasts.figures import Look
from ems_dash.ui.header import badges, frame_fields, site_line
from ems_dash.ui.live import TICK_MS, nothing_new, text_delta
from ems_dash.ui.moment import Moment
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_is_narrow, request_lang
from engine.domain.errors import EmsError
from engine.runtime.backtests.desk import BacktestDefaults, BacktestState


class _Backtests:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._shown = ShownTexts()

    def layout(self, result: str | None = None, **values: str) -> Any:
        moment = self._moment(request_lang())
        lang = moment.lang
        fields = frame_fields(moment, "bt-root")
        others = [number for number in (values.get("with") or "").split(",") if number]
        allowed = may(Role.OPERATOR)
        shown = {"result": result, "with": others[: list_view.MOST_COMPARED - 1]}
        return ui.live(
            html.Div,
            "bt-root",
            fields,
            **{"data-tick": "bt-tick"},
            children=[
                dcc.Interval(id="bt-tick", interval=TICK_MS),
                dcc.Store(
                    id="bt-state", data={"seq": moment.snapshot.seq, "token": self._put(fields)}
                ),
                dcc.Store(id="bt-delta"),
                dcc.Store(id="bt-charts"),
                dcc.Store(id="bt-shown", data=shown),
                dcc.Store(id="bt-list-token"),
                dcc.Store(id="bt-renamed"),
                dcc.Store(id="bt-chosen-files"),
                dcc.Store(id="bt-days", data=_days(self._services.backtests.defaults())),
                dcc.Store(id="bt-body-token"),
                dcc.Location(id="bt-go", refresh="callback-nav"),
                html.Div(t("late.bar", lang), className="late-bar", role="status"),
                html.Div(
                    [
                        html.Div(
                            [
                                html.H1(t("backtest.title", lang)),
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
                self._upper(result, allowed, lang),
                html.Div(id="bt-body", className="bt-body", **{"aria-live": "polite"}),
            ],
        )

    def _upper(self, result: str | None, allowed: bool, lang: str) -> Any:
        """Return form and list; the form folded away while a result is looked at."""
        made = form_view(self._services.backtests.defaults(), lang, allowed=allowed)
        if result is not None:
            made = html.Details(
                [html.Summary(t("backtest.new", lang), className="button"), made],
                className="bt-fold",
            )
        listed = html.Section(
            [
                html.H2(t("backtest.list", lang), id="bt-list-title"),
                html.Div(id="bt-list", **{"aria-live": "polite"}),
                html.Div(id="bt-list-message", role="status"),
            ],
            className="card",
            **{"aria-labelledby": "bt-list-title"},
        )
        if result is not None:
            listed = html.Details(
                [
                    html.Summary(t("backtest.list", lang), className="button"),
                    listed,
                ],
                className="bt-fold",
            )
            return html.Div([made, listed], className="bt-folds")
        return html.Div([made, listed], className="main-grid bt-upper")

    def delta(self, _tick: int, state: dict[str, Any] | None, lang: str) -> Any:
        """Return the texts of the header that have changed."""
        moment = self._moment(lang)
        if nothing_new(state, moment):
            return no_update
        return text_delta(state or {}, moment, frame_fields(moment, "bt-root"), self._shown)

    def listed(
        self, _tick: int, _said: Any, shown: dict[str, Any], token: str | None, lang: str
    ) -> Any:
        """Return the list when it has changed."""
        states = self._services.backtests.list()
        now = _token([state.as_dict() for state in states], shown)
        if now == token:
            return no_update, no_update
        rows = list_view.backtest_list(
            states,
            shown["result"],
            shown["with"],
            self._moment(lang),
            allowed=may(Role.OPERATOR),
        )
        return rows, now

    def filled(
        self,
        _tick: int,
        theme: str,
        measure: list[str],
        shown: dict[str, Any],
        token: str | None,
        lang: str,
    ) -> Any:
        """Return the backtest that is looked at when it has changed."""
        number = shown["result"]
        if number is None:
            return no_update, no_update
        wanted = measure[0] if measure and measure[0] in result_view.MEASURES else "npv"
        look = Look(theme, lang, request_is_narrow())
        desk = self._services.backtests
        try:
            state = desk.state(number)
            now = _token(_settled(state), shown, theme, wanted)
            if now == token:
                return no_update, no_update
            result = desk.result(number)
            others = [
                (desk.state(other), found)
                for other in shown["with"]
                if (found := desk.result(other)) is not None
            ]
        except EmsError as exc:
            now = _token(str(exc))
            if now == token:
                return no_update, no_update
            why = refused(exc.message, lang)[0]
            failed = ui.empty(t("backtest.not_there", lang), why)
            return [html.Section(failed, className="card")], now
        allowed = may(Role.OPERATOR)
        return result_view.body(state, result, others, wanted, look, allowed=allowed), now

    def start(self, _clicks: int, fields: list[Any], ids: list[Any], files: Any, lang: str) -> Any:
        """Start what the form asks for; go to it, or say what is wrong."""
        if not _clicks:
            return no_update, no_update
        values = {one["key"]: value for one, value in zip(ids, fields, strict=True)}
        values["files"] = files
        begun = form.initial(self._services.backtests.defaults())
        try:
            state = self._services.backtests.start(form.request_from(values, begun), by=actor())
        except EmsError as exc:
            return _refused(exc, lang), no_update
        return "", list_view.address(state.id)

    def remove(self, clicks: list[int | None], shown: dict[str, Any], lang: str) -> Any:
        """Cancel or delete one backtest."""
        asked = ctx.triggered_id
        if not any(clicks) or not isinstance(asked, dict):
            return no_update, no_update
        try:
            removed = self._services.backtests.remove(asked["id"])
        except EmsError as exc:
            return _refused(exc, lang), no_update
        gone = removed.id == shown["result"] and removed.state != "cancelled"
        return "", list_view.PATH if gone else no_update

    def rename(self, clicks: list[int | None], names: list[str], fields: list[Any]) -> Any:
        """Give the backtest that is looked at another name."""
        asked = ctx.triggered_id
        if not any(clicks) or not isinstance(asked, dict):
            return no_update
        by_key = {one["key"]: name for one, name in zip(fields, names, strict=True)}
        try:
            self._services.backtests.rename(asked["id"], str(by_key.get("new_name") or ""))
        except EmsError as exc:
            return refused(exc.message, request_lang())[0]
        return asked["id"]

    def _moment(self, lang: str) -> Moment:
        services = self._services
        return Moment(services.snapshot(), services.now(), services.heartbeat_age_s(), lang)

    def _put(self, fields: Any) -> str:
        return self._shown.put(fields)


def source(name: str, prices: str, days: dict[str, Any], lang: str) -> Any:
    """Return what of the form is out of place, what is said of the source, and its days."""
    if name == "upload":
        return False, True, t("backtest.upload_hint", lang), "", ""
    recorded = name == "recorded"
    first, last = days[prices if recorded else name]
    said = source_hint(name, date.fromisoformat(first), date.fromisoformat(last), lang)
    return True, not recorded, said, first, last


def files_chosen(contents: list[str] | None, names: list[str] | None) -> Any:
    """Return the files that were dropped, and their names."""
    if not contents or not names:
        return no_update, no_update
    return list(zip(names, contents, strict=True)), ", ".join(names)


def _refused(exc: EmsError, lang: str) -> Any:
    place = t("backtest.field", lang, field=field_name(exc.field or "", lang))
    text, spoken = refused(exc.message, lang)
    # The German text has its remedy in it.
    hint = exc.hint if spoken == "en" else None
    return html.Div(
        [
            html.Strong(text, className="bt-lines", lang=spoken),
            html.Span(f" {hint}", lang="en") if hint else None,
            html.Div(place, className="caption") if exc.field else None,
        ],
        className="notice notice-alarm",
    )


def _days(defaults: BacktestDefaults) -> dict[str, list[str]]:
    known = {**defaults.recorded, "history": defaults.history}
    return {name: [day.isoformat() for day in days] for name, days in known.items()}


def _settled(state: BacktestState) -> Any:
    """Return what of a state changes the page: its progress only in whole percent."""
    return {**state.as_dict(), "share": round(state.share, 2)}


def _token(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def register(app: dash.Dash, services: Services) -> None:
    """Add the page and its callbacks to `app`."""
    page = _Backtests(services)
    add_page(
        app,
        "backtest",
        list_view.PATH,
        page.layout,
        title=lambda **_values: window_title(t("backtest.title", request_lang())),
        nav_key="nav.backtest",
    )
    _register_header(app, page)
    fields = {"type": "bt-field", "key": ALL}
    app.callback(
        Output("bt-list", "children"),
        Output("bt-list-token", "data"),
        Input("bt-tick", "n_intervals"),
        Input("bt-list-message", "children"),
        State("bt-shown", "data"),
        State("bt-list-token", "data"),
        State("lang", "data"),
        role=Role.VIEWER,
    )(page.listed)
    app.callback(
        Output("bt-body", "children"),
        Output("bt-body-token", "data"),
        Input("bt-tick", "n_intervals"),
        Input("theme", "data"),
        Input({"type": "bt-measure", "key": ALL}, "value"),
        State("bt-shown", "data"),
        State("bt-body-token", "data"),
        State("lang", "data"),
        role=Role.VIEWER,
    )(page.filled)
    app.callback(
        Output("bt-message", "children"),
        Output("bt-go", "href", allow_duplicate=True),
        Input("bt-start", "n_clicks"),
        State(fields, "value"),
        State(fields, "id"),
        State("bt-chosen-files", "data"),
        State("lang", "data"),
        running=[(Output("bt-start", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.OPERATOR,
    )(page.start)
    app.callback(
        Output("bt-list-message", "children"),
        Output("bt-go", "href", allow_duplicate=True),
        Input({"type": "bt-remove", "id": ALL}, "submit_n_clicks"),
        State("bt-shown", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.OPERATOR,
    )(page.remove)
    app.callback(
        Output("bt-renamed", "data"),
        Input({"type": "bt-rename", "id": ALL}, "n_clicks"),
        State(fields, "value"),
        State(fields, "id"),
        prevent_initial_call=True,
        role=Role.OPERATOR,
    )(page.rename)
    app.callback(
        Output("bt-upload-box", "hidden"),
        Output("bt-recorded-box", "hidden"),
        Output("bt-source-hint", "children"),
        Output(field_id("start"), "value"),
        Output(field_id("end"), "value"),
        Input(field_id("source"), "value"),
        Input(field_id("recorded_prices"), "value"),
        State("bt-days", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.OPERATOR,
    )(source)
    app.callback(
        Output("bt-chosen-files", "data"),
        Output("bt-files", "children"),
        Input("bt-upload", "contents"),
        State("bt-upload", "filename"),
        prevent_initial_call=True,
        role=Role.OPERATOR,
    )(files_chosen)


def _register_header(app: dash.Dash, page: _Backtests) -> None:
    app.callback(
        Output("bt-delta", "data"),
        Input("bt-tick", "n_intervals"),
        State("bt-state", "data"),
        State("lang", "data"),
        running=[(Output("bt-tick", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.delta)
    app.clientside_callback(
        ClientsideFunction("ems", "applyTexts"),
        Output("bt-state", "data"),
        Output("bt-charts", "data"),
        Input("bt-delta", "data"),
        State("bt-state", "data"),
        prevent_initial_call=True,
    )

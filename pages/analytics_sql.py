"""SQL for analysts ``/analytics/sql``: ask the history, look at the answer, take it along.

What may run is judged where ``POST /api/sql`` is judged, and for the same callers.
"""

from __future__ import annotations

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State, no_update

from ems_dash.auth.roles import Role
from ems_dash.i18n import history_said, t
from ems_dash.services import Services
from ems_dash.ui import components as ui
from ems_dash.ui.analytics import sql_view as view
from ems_dash.ui.analytics.sql_examples import EXAMPLES
from ems_dash.ui.branding import window_title
from ems_dash.ui.fields import Fields, ShownTexts
from ems_dash.ui.header import frame_fields
from ems_dash.ui.live import Delta, nothing_new, text_delta
from ems_dash.ui.moment import Moment
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_lang
from ems_dash.ui.silence import silence
from engine.domain.errors import EmsError
from engine.history.dictionary import table_info
from engine.history.sql_guard import MOST_CHARACTERS


class _Sql:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._shown = ShownTexts()

    def layout(self, sql: str | None = None, **_values: str) -> Any:
        moment = self._moment(request_lang())
        fields = _fields(moment)
        state = {"seq": moment.snapshot.seq, "token": self._shown.put(fields)}
        return view.page(moment, fields, state, (sql or EXAMPLES[0].sql)[:MOST_CHARACTERS])

    def delta(self, _tick: int, state: dict[str, Any] | None, lang: str) -> Any:
        moment = self._moment(lang)
        if nothing_new(state, moment):
            return no_update
        out: Delta = text_delta(state or {}, moment, _fields(moment), self._shown)
        return out

    def run(self, _clicks: int | None, sql: str | None, lang: str) -> Any:
        """Return the answer to the statement in the editor, or what is wrong with it."""
        text = sql or ""
        if not text.strip():
            return ui.empty(t("sqlpage.need_sql", lang), t("sqlpage.not_run_hint", lang))
        try:
            history = self._services.history
            return view.answer(history.sql(text), text, history.timezone, lang)
        except EmsError as exc:
            return view.mistake(exc, text, lang)

    def columns(self, table: str | None, lang: str) -> Any:
        """Return what is known about the table chosen."""
        try:
            return view.columns_of(table_info(table or view.FIRST_TABLE), lang)
        except EmsError as exc:
            return ui.empty(history_said(exc.message, lang), history_said(exc.hint, lang))

    def _moment(self, lang: str) -> Moment:
        services = self._services
        return Moment(services.snapshot(), services.now(), services.heartbeat_age_s(), lang)


def _fields(moment: Moment) -> Fields:
    return frame_fields(moment, "sq-root") | {view.SILENT: silence(moment)}


def register(app: dash.Dash, services: Services) -> None:
    """Add the page and its callbacks to `app`."""
    page = _Sql(services)
    add_page(
        app,
        "analytics_sql",
        "/analytics/sql",
        page.layout,
        title=lambda **_values: window_title(t("sqlpage.title", request_lang())),
    )
    app.callback(
        Output("sq-delta", "data"),
        Input("sq-tick", "n_intervals"),
        State("sq-state", "data"),
        State("lang", "data"),
        running=[(Output("sq-tick", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.delta)
    app.clientside_callback(
        ClientsideFunction("ems", "applyTexts"),
        Output("sq-state", "data"),
        Output("sq-charts", "data"),
        Input("sq-delta", "data"),
        State("sq-state", "data"),
        prevent_initial_call=True,
    )
    app.callback(
        Output("sq-result", "children"),
        Input("sq-run", "n_clicks"),
        State("sq-sql", "value"),
        State("lang", "data"),
        running=[(Output("sq-busy", "hidden"), False, True)],
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.run)
    app.callback(
        Output("sq-columns", "children"),
        Input("sq-table", "value"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.columns)
    app.clientside_callback(
        ClientsideFunction("emsSql", "showSaved"),
        Output("sq-saved-list", "children"),
        Input("sq-saved", "modified_timestamp"),
        State("sq-saved", "data"),
    )

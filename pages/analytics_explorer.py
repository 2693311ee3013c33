"""The data explorer ``/analytics/explorer``: any series, any period, as fine as one looks.

Callbacks are thin: they fetch from `Services`, call pure functions of `ems_dash.ui.analytics` and
return. The address keeps series, period, resolution and comparison.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, no_update

from ems_dash.auth.roles import Role
from ems_dash.i18n import history_said, t
from ems_dash.services import Services
from ems_dash.ui import components as ui
from ems_dash.ui.analytics import explorer_model as model
from ems_dash.ui.analytics import explorer_view as view
from ems_dash.ui.analytics.explorer_figure import explorer_figure, height_px, panels
from ems_dash.ui.analytics.explorer_values import values_table
from ems_dash.ui.branding import window_title
from ems_dash.ui.forecasts.figures import Look
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_is_narrow, request_lang
from engine.domain.errors import EmsError
from engine.history.series_query import SeriesAnswer
from pages.analytics_frame import Frame, register_address

_CHART = {"type": "chart", "id": view.CHART}


class _Explorer:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._frame = Frame(services)

    def layout(self, **values: str) -> Any:
        moment = self._frame.moment(request_lang())
        asked = model.asked_of(values, moment.now)
        picker = view.controls(asked, self._zone(), moment.lang)
        return self._frame.page(moment, "explorer", picker)

    def move(self, wanted: dict[str, Any], period: dict[str, str]) -> tuple[Any, ...]:
        """Return the period that a choice, a field, a button or a zoom asks for."""
        zone, now = self._zone(), self._services.now()
        before = model.asked_of(period, now)
        after = self._moved(dash.ctx.triggered_id, wanted, before, now)
        if after is None:
            # a field that says nothing gets its time back
            return no_update, no_update, *self._fields(before, zone)
        return view.range_of(after), after.preset or None, *self._fields(after, zone)

    def _moved(
        self, trigger: Any, wanted: dict[str, Any], before: model.Asked, now: datetime
    ) -> model.Asked | None:
        zone = self._zone()
        if trigger == "ex-preset" and wanted["preset"]:
            return model.asked_of({"range": wanted["preset"]}, now)
        if trigger == "ex-back":
            return model.moved(before, -1)
        if trigger == "ex-forward":
            return model.moved(before, 1)
        if trigger == "ex-out":
            return model.zoomed_out(before)
        if trigger in ("ex-from", "ex-to"):
            since = model.from_local(wanted["since"], zone)
            until = model.from_local(wanted["until"], zone)
            if since is None or until is None or since >= until:
                return None
            found: tuple[datetime, datetime] | None = model.bounded(since, until)
        else:
            found = model.zoom_of(wanted["zoom"], zone)
        if found is None:
            return None
        return replace(before, since=found[0], until=found[1], preset="")

    def _fields(self, asked: model.Asked, zone: ZoneInfo) -> tuple[str, str]:
        return model.to_local(asked.since, zone), model.to_local(asked.until, zone)

    def fill(
        self,
        period: dict[str, str],
        groups: list[list[str] | None],
        choice: dict[str, str],
        theme: str,
        lang: str,
    ) -> tuple[Any, ...]:
        """Return the chart, the figures beside it and the address of what is chosen."""
        zone, look = self._zone(), Look(theme, lang, request_is_narrow())
        asked = self._asked(period, groups, choice)
        address, chosen = asked.address(), view.chosen_text(asked.signals, lang)
        if not asked.signals:
            nothing = ui.empty(t("explorer.none", lang), t("explorer.none_hint", lang))
            return _without_chart([nothing], chosen, address)
        try:
            answer = self._answer(asked)
        except EmsError as exc:
            failed = ui.empty(t("explorer.failed", lang), history_said(str(exc), lang))
            return _without_chart([failed], chosen, address)
        if not any(one.n for one in (*answer.series.values(), *answer.earlier.values())):
            nothing = ui.empty(t("explorer.empty", lang), t("explorer.empty_hint", lang))
            return _without_chart([nothing], chosen, address)
        height = height_px(len(panels(answer.series)), narrow=look.narrow)
        return (
            view.chart(
                explorer_figure(answer, asked.since, asked.until, zone, look),
                view.summary(answer, zone, lang),
                lang,
            ),
            {"height": f"{height}px"},
            False,
            view.caption(answer, zone, lang),
            view.legend(answer, lang),
            view.body(answer, asked, lang),
            chosen,
            address,
        )

    def values(
        self,
        clicks: int | None,
        period: dict[str, str],
        groups: list[list[str] | None],
        choice: dict[str, str],
        lang: str,
    ) -> Any:
        """Return every value drawn as a table, when it is opened."""
        asked = self._asked(period, groups, choice)
        if not clicks or not asked.signals:
            return no_update
        try:
            answer = self._answer(asked)
        except EmsError as exc:
            return ui.empty(t("explorer.failed", lang), history_said(str(exc), lang))
        return values_table(answer, self._zone(), lang, decimals=view.decimals)

    def _asked(
        self, period: dict[str, str], groups: list[list[str] | None], choice: dict[str, str]
    ) -> model.Asked:
        names = [name for group in groups for name in group or ()]
        asked = replace(
            model.asked_of({**period, **choice}, self._services.now()),
            signals=model.known_signals(names),
        )
        # what moves with the clock was fixed when it was chosen
        since, until = model.parsed(period["from"]), model.parsed(period["to"])
        if since is not None and until is not None:
            asked = replace(asked, since=since, until=until, preset=period["range"])
        return asked

    def _answer(self, asked: model.Asked) -> SeriesAnswer:
        site_id = self._services.snapshot().site.site_id
        return self._services.history.series(asked.query(site_id, narrow=request_is_narrow()))

    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._services.history.timezone)


def _without_chart(body: list[Any], chosen: str, address: dict[str, str]) -> tuple[Any, ...]:
    return None, {}, True, "", None, body, chosen, address


def register(app: dash.Dash, services: Services) -> None:
    """Add the page and its callbacks to `app`."""
    page = _Explorer(services)
    add_page(
        app,
        "analytics_explorer",
        "/analytics/explorer",
        page.layout,
        title=lambda **_values: window_title(t("explorer.title", request_lang())),
    )
    register_address(app, "explorer")
    app.clientside_callback(
        ClientsideFunction("emsExplorer", "zoomOf"),
        Output("ex-zoom", "data"),
        Input(_CHART, "relayoutData"),
        prevent_initial_call=True,
    )
    app.callback(
        output=[
            Output("ex-range", "data"),
            Output("ex-preset", "value"),
            Output("ex-from", "value"),
            Output("ex-to", "value"),
        ],
        inputs={
            "wanted": {
                "preset": Input("ex-preset", "value"),
                "since": Input("ex-from", "value"),
                "until": Input("ex-to", "value"),
                "back": Input("ex-back", "n_clicks"),
                "out": Input("ex-out", "n_clicks"),
                "forward": Input("ex-forward", "n_clicks"),
                "zoom": Input("ex-zoom", "data"),
            },
            "period": State("ex-range", "data"),
        },
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.move)
    app.callback(
        output=[
            Output("ex-plot", "children"),
            Output("ex-plot", "style"),
            Output("ex-card", "hidden"),
            Output("ex-caption", "children"),
            Output("ex-legend", "children"),
            Output("an-body-explorer", "children"),
            Output("ex-chosen", "children"),
            Output("an-address-explorer", "data"),
        ],
        inputs={
            "period": Input("ex-range", "data"),
            "groups": Input({"type": "ex-group", "id": ALL}, "value"),
            "choice": {
                "step": Input("ex-step", "value"),
                "compare": Input("ex-compare", "value"),
            },
            "theme": State("theme", "data"),
            "lang": State("lang", "data"),
        },
        role=Role.VIEWER,
    )(page.fill)
    app.callback(
        output=Output("ex-values", "children"),
        inputs={
            "clicks": Input("ex-values-open", "n_clicks"),
            "period": State("ex-range", "data"),
            "groups": State({"type": "ex-group", "id": ALL}, "value"),
            "choice": {
                "step": State("ex-step", "value"),
                "compare": State("ex-compare", "value"),
            },
            "lang": State("lang", "data"),
        },
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.values)

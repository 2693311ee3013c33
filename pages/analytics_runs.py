"""The optimiser's runs ``/analytics/runs``: every plan and every failure, with its reason."""

from __future__ import annotations

from typing import Any

import dash
from dash import Input, Output, State

from ems_dash.auth.roles import Role
from ems_dash.i18n import said, t
from ems_dash.services import Services
from ems_dash.ui import components as ui
from ems_dash.ui.analytics import runs_view as view
from ems_dash.ui.branding import window_title
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_lang
from engine.domain.errors import EmsError
from pages.analytics_frame import Frame, register_address

FIRST_DAYS = 7


class _Runs:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._frame = Frame(services)

    def layout(self, days: str | None = None, show: str | None = None, **_values: str) -> Any:
        moment = self._frame.moment(request_lang())
        picker = view.picker(_days(days), _filter(show), moment.lang)
        return self._frame.page(moment, "runs", picker)

    def fill(self, days: str, show: str, lang: str) -> tuple[list[Any], dict[str, str]]:
        """Return the runs of what is chosen, and the address."""
        period, wanted = _days(days), _filter(show)
        try:
            runs = self._services.analytics.runs(period)
        except EmsError as exc:
            return [ui.empty(t("results.failed", lang), said(str(exc), lang))], {}
        body = view.body(runs, wanted, self._frame.moment(lang))
        return body, {"days": str(period), "show": wanted}


def _days(asked: str | None) -> int:
    return next((days for days in view.DAYS if str(days) == asked), FIRST_DAYS)


def _filter(asked: str | None) -> str:
    return asked if asked in view.FILTERS else view.FILTERS[0]


def register(app: dash.Dash, services: Services) -> None:
    """Add the page and its callback to `app`."""
    page = _Runs(services)
    add_page(
        app,
        "analytics_runs",
        "/analytics/runs",
        page.layout,
        title=lambda **_values: window_title(t("runs.title", request_lang())),
    )
    register_address(app, "runs")
    app.callback(
        Output("an-body-runs", "children"),
        Output("an-address-runs", "data"),
        Input("rn-days", "value"),
        Input("rn-filter", "value"),
        State("lang", "data"),
        role=Role.VIEWER,
    )(page.fill)

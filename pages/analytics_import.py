"""Files into the history ``/analytics/import``: choose, say what the columns are, check, import.

The engine imports beside its work; this page sends the file and shows how far it is. For admins
only, like every change of what the program keeps.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dash
from dash import ALL, Input, Output, State, no_update

from ems_dash.auth.access import may
from ems_dash.auth.roles import Role
from ems_dash.i18n import t
from ems_dash.services import Services
from ems_dash.ui.analytics import import_view as view
from ems_dash.ui.branding import window_title
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_lang
from engine.domain.errors import EmsError
from engine.history.import_series import ImportOptions
from engine.history.query_errors import QueryError
from engine.runtime.history_import import ImportAsked
from pages.analytics_frame import Frame


class _Import:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._frame = Frame(services)

    def layout(self, **_values: str) -> Any:
        moment = self._frame.moment(request_lang())
        picker = view.picker(allowed=may(Role.ADMIN), lang=moment.lang)
        return self._frame.page(moment, "import", picker)

    def take(self, contents: str | None, name: str | None, lang: str) -> tuple[Any, Any, Any]:
        """Return the token of a file that was sent, its form, and what is wrong with it."""
        if not contents:
            return no_update, no_update, no_update
        try:
            data = base64.b64decode(contents.partition(",")[2], validate=True)
            path = self._services.imports.keep(name or "", [data])
            zone = self._services.history.timezone
            preview = self._services.imports.preview(ImportAsked(path, self._options(zone, False)))
        except (EmsError, binascii.Error) as exc:
            return None, None, _mistake(exc, lang)
        return (
            {"token": path.parent.name, "columns": list(preview.table.columns)},
            view.form(preview, zone, lang),
            None,
        )

    def start(
        self,
        file: dict[str, Any] | None,
        targets: list[str | None],
        units: list[str | None],
        zone: str | None,
        ends: bool | None,
        *,
        dry_run: bool,
    ) -> tuple[Any, Any]:
        """Begin to check or import; return its number and what is wrong with the question."""
        imports = self._services.imports
        try:
            asked = ImportAsked(
                imports.kept(str((file or {}).get("token", ""))),
                self._options(zone or "", bool(ends)),
                view.stated((file or {}).get("columns", []), targets, units),
            )
            return imports.start(asked, dry_run=dry_run).number, None
        except EmsError as exc:
            return no_update, _mistake(exc, request_lang())

    def shown(self, _tick: int | None, _number: int | None, lang: str) -> tuple[Any, bool]:
        """Return the newest imports, and whether nothing is left to wait for."""
        states = self._services.imports.states()
        running = any(state.state == "running" for state in states)
        zone = ZoneInfo(self._services.history.timezone)
        shown = view.imports(states, zone, lang, allowed=may(Role.ADMIN))
        return shown, not running

    def cancel(self, _clicks: int | None) -> Any:
        """End the import that runs."""
        self._services.imports.cancel()
        return no_update

    def _options(self, zone: str, ends: bool) -> ImportOptions:
        try:
            return ImportOptions(ZoneInfo(zone), stamp_is_end=ends, now=self._services.now())
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise QueryError(
                f"There is no time zone '{zone[:60]}'.",
                field="timezone",
                value=zone[:60],
                hint="Name one like Europe/Vienna, or UTC.",
            ) from exc


def _mistake(exc: Exception, lang: str) -> Any:
    if isinstance(exc, EmsError):
        return view.mistake(exc.message, exc.hint, lang)
    return view.mistake(str(exc), None, lang)


def register(app: dash.Dash, services: Services) -> None:
    """Add the page and its callbacks to `app`."""
    page = _Import(services)
    add_page(
        app,
        "analytics_import",
        "/analytics/import",
        page.layout,
        title=lambda **_values: window_title(t("import.title", request_lang())),
    )
    app.callback(
        Output("im-token", "data"),
        Output("im-form", "children"),
        Output("im-said", "children"),
        Input("im-file", "contents"),
        State("im-file", "filename"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(page.take)
    for button, dry_run in (("im-check", True), ("im-go", False)):
        app.callback(
            Output("im-number", "data", allow_duplicate=True),
            Output("im-said", "children", allow_duplicate=True),
            Input(button, "n_clicks"),
            State("im-token", "data"),
            State({"type": "im-target", "column": ALL}, "value"),
            State({"type": "im-unit", "column": ALL}, "value"),
            State("im-zone", "value"),
            State("im-end", "value"),
            prevent_initial_call=True,
            role=Role.ADMIN,
        )(_starter(page, dry_run))
    app.callback(
        Output("im-number", "data", allow_duplicate=True),
        Input("im-cancel", "n_clicks"),
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(page.cancel)
    app.callback(
        Output("an-body-import", "children"),
        Output("im-tick", "disabled"),
        Input("im-tick", "n_intervals"),
        Input("im-number", "data"),
        State("lang", "data"),
        role=Role.VIEWER,
    )(page.shown)


def _starter(page: _Import, dry_run: bool) -> Callable[..., tuple[Any, Any]]:
    def start(clicks: int | None, *values: Any) -> tuple[Any, Any]:
        # the buttons come with the form, which is no click
        return page.start(*values, dry_run=dry_run) if clicks else (no_update, no_update)

    return start

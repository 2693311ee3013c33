"""The settings ``/settings``: everything an admin sets up, without editing a file.

Sections are reached by ``/settings?section=<key>``. What is typed is a draft in the browser,
checked by the schema with every change; only saving writes the file.
"""

from __future__ import annotations

import dash
from dash import ALL, ClientsideFunction, Input, Output, State

from ems_dash.auth.roles import Role
from ems_dash.i18n import t
from ems_dash.services import Services
from ems_dash.ui.branding import window_title
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_lang
from ems_dash.ui.settings_force import APPLY
from pages.settings.assistants import Assistants
from pages.settings.page import SettingsPage

FIELDS = {"type": "set-field", "path": ALL}
ERRORS = {"type": "set-error", "path": ALL}

__all__ = ["register"]


def register(app: dash.Dash, services: Services) -> None:
    """Add the settings and their callbacks to `app`."""
    page = SettingsPage(services)
    assistants = Assistants(services, page)
    add_page(
        app,
        "settings",
        "/settings",
        page.layout,
        title=lambda **_values: window_title(t("set.title", request_lang())),
        nav_key="nav.settings",
    )
    sent = {
        "entered": State(FIELDS, "value"),
        "ids": State(FIELDS, "id"),
        "draft": State("set-draft", "data"),
        "view": State("set-view", "data"),
        "lang": State("lang", "data"),
        "theme": State("theme", "data"),
    }
    app.callback(
        output=[
            Output("set-draft", "data"),
            Output(ERRORS, "children"),
            Output("set-changes", "children"),
            Output("set-save", "disabled"),
            Output("set-form", "children"),
            Output("set-side", "children"),
        ],
        inputs={"sent": {**sent, "entered": Input(FIELDS, "value")}},
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(page.edit)
    rendered = [
        Output("set-draft", "data", allow_duplicate=True),
        Output("set-view", "data", allow_duplicate=True),
        Output("set-form", "children", allow_duplicate=True),
        Output("set-side", "children", allow_duplicate=True),
        Output("set-changes", "children", allow_duplicate=True),
        Output("set-save", "disabled", allow_duplicate=True),
    ]
    app.callback(
        output=[*rendered, Output("set-said", "children", allow_duplicate=True)],
        inputs={
            "_clicks": Input({"type": "set-act", "op": ALL, "path": ALL}, "n_clicks"),
            "extra": State({"type": "set-extra", "name": ALL}, "value"),
            "secrets": {
                "ids": State({"type": "set-secret", "path": ALL}, "id"),
                "typed": State({"type": "set-secret", "path": ALL}, "value"),
            },
            "sent": sent,
        },
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(page.act)
    app.callback(
        output=[*rendered, Output("set-url", "data")],
        inputs={
            "_clicks": Input({"type": "set-nav", "section": ALL}, "n_clicks"),
            "sent": sent,
        },
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.go)
    app.callback(
        output=[*rendered, Output("set-said", "children"), Output("set-notice", "children")],
        inputs={
            "_clicks": [
                Input("set-save", "n_clicks"),
                Input("set-discard", "n_clicks"),
                Input({"type": "set-restore", "name": ALL}, "n_clicks"),
                Input({"type": "set-undo", "name": ALL}, "n_clicks"),
            ],
            "sent": sent,
        },
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(page.decide)
    app.callback(
        output=[
            Output("set-said", "children", allow_duplicate=True),
            Output("set-notice", "children", allow_duplicate=True),
        ],
        inputs={"_clicks": Input(APPLY, "n_clicks"), "lang": State("lang", "data")},
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(page.apply)
    app.callback(
        output=[
            Output("set-form", "children", allow_duplicate=True),
            Output("set-view", "data", allow_duplicate=True),
        ],
        inputs={"clicks": Input("set-test-device", "n_clicks"), "sent": sent},
        running=[(Output("set-test-device", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(assistants.test_device)
    app.callback(
        output=Output("set-broker-result", "children"),
        inputs={"clicks": Input("set-test-broker", "n_clicks"), "sent": sent},
        running=[(Output("set-test-broker", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(assistants.test_broker)
    app.callback(
        output=Output("set-channel-result", "children"),
        inputs={
            "_clicks": Input({"type": "set-channel", "name": ALL}, "n_clicks"),
            "lang": State("lang", "data"),
        },
        prevent_initial_call=True,
        role=Role.ADMIN,
    )(assistants.try_channel)
    app.callback(
        Output("set-delta", "data"),
        Input("set-tick", "n_intervals"),
        State("set-frame", "data"),
        State("lang", "data"),
        running=[(Output("set-tick", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.tick)
    app.clientside_callback(
        ClientsideFunction("settings", "applyFrame"),
        Output("set-frame", "data"),
        Input("set-delta", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("settings", "showSection"),
        Output("set-nav", "className"),
        Input("set-url", "data"),
    )

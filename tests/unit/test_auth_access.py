"""Every callback and route asks who calls, whatever the request looks like."""

from __future__ import annotations

from typing import Any

import pytest
from dash import Input, Output

from ems_dash.app import EmsDash, create_app
from ems_dash.auth.access import OpenAccess
from ems_dash.auth.roles import Role
from tests.support.access import OPEN
from tests.unit.test_ui_app import StandingServices, post


class DeskServices(StandingServices):
    """Remembers what was asked of the plant."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def choose_automatically(self) -> Any:
        self.asked.append("auto")


def test_roles_are_ordered() -> None:
    assert [[a.may(b) for b in Role] for a in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_callback_without_a_role_cannot_be_registered() -> None:
    app = EmsDash("test")
    with pytest.raises(TypeError, match="role"):
        app.callback(Output("a", "children"), Input("b", "value"))(lambda value: value)


def test_a_crafted_callback_of_a_viewer_changes_nothing() -> None:
    services = DeskServices()
    app = create_app(services, access=OpenAccess(Role.VIEWER))
    client = app.server.test_client()
    client.get("/_dash-layout")
    (output,) = (key for key in app.callback_map if key.startswith("..ov-choice-said.children"))
    body = {
        "output": output,
        "outputs": [
            {"id": "ov-choice-said", "property": "children"},
            {"id": "ov-choice", "property": output.rstrip(".").rsplit(".", 1)[1]},
        ],
        "inputs": [
            {"id": "ov-choice-apply", "property": "n_clicks", "value": None},
            {"id": "ov-choice-auto", "property": "n_clicks", "value": 1},
        ],
        "state": [
            {"id": "ov-choice-strategy", "property": "value", "value": "arbitrage"},
            {"id": "ov-choice-hours", "property": "value", "value": "4"},
            {"id": "lang", "property": "data", "value": "en"},
        ],
        "changedPropIds": ["ov-choice-auto.n_clicks"],
    }
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == 403
    assert answer.get_json()["error"]["code"] == "forbidden"
    assert services.asked == []
    operator = create_app(services, access=OpenAccess(Role.OPERATOR)).server.test_client()
    operator.get("/_dash-layout")
    operator.post("/_dash-update-component", json=body)
    assert services.asked == ["auto"]


def test_without_access_nobody_may_anything() -> None:
    app = create_app(StandingServices(), access=OPEN)
    del app.server.extensions["ems_access"]
    client = app.server.test_client()
    client.get("/_dash-layout")
    answer = post(
        client,
        "ov-delta.data",
        {"ov-tick.n_intervals": 1},
        {"ov-state.data": {}, "lang.data": "de"},
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")

"""Bodies our page never sends are refused before Dash takes them apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dash
import pytest
from dash import ALL, MATCH, Input, Output, State
from flask.testing import FlaskClient

from ems_dash.app import EmsDash
from ems_dash.auth.access import install_access
from ems_dash.auth.roles import Role
from ems_dash.callback_bodies import install_callback_bodies, problem_of
from tests.support.access import OPEN

PATH = "/_dash-update-component"


@pytest.fixture
def app() -> dash.Dash:
    made = EmsDash("bodies")
    install_access(made.server, OPEN)
    install_callback_bodies(made)
    made.layout = dash.html.Div()

    @made.callback(Output("out", "children"), Input("in", "value"), role=Role.VIEWER)
    def one(value: Any) -> str:
        return f"saw {value}"

    @made.callback(
        Output("a", "children"),
        Output({"type": "row", "n": MATCH}, "children"),
        Input({"type": "go", "n": MATCH}, "n_clicks"),
        State({"type": "box", "n": ALL}, "value"),
        role=Role.VIEWER,
    )
    def many(clicks: Any, values: Any) -> tuple[str, str]:
        return str(clicks), str(values)

    return made


@pytest.fixture
def client(app: dash.Dash) -> Iterator[FlaskClient]:
    with app.server.test_client() as made:
        made.get("/")
        yield made


def body() -> dict[str, Any]:
    return {
        "output": "out.children",
        "outputs": {"id": "out", "property": "children"},
        "inputs": [{"id": "in", "property": "value", "value": 7}],
        "changedPropIds": ["in.value"],
    }


def test_what_the_page_sends_is_answered(client: FlaskClient) -> None:
    answer = client.post(PATH, json=body())
    assert answer.status_code == 200
    assert answer.get_json()["response"]["out"]["children"] == "saw 7"


@pytest.mark.parametrize(
    "change",
    [
        {"output": "settings.data"},
        {"output": None},
        {"output": ["out.children"]},
        {"inputs": None},
        {"inputs": []},
        {"inputs": {"id": "in"}},
        {"inputs": [None]},
        {"inputs": [{"id": "other", "property": "value", "value": 7}]},
        {"inputs": [{"id": "in", "property": "children", "value": 7}]},
        {"inputs": [{"id": "in"}]},
        {"inputs": [[{"id": "in", "property": "value"}]]},
        {"inputs": [{"id": "in", "property": "value"}] * 2},
        {"state": [{"id": "in", "property": "value"}]},
        {"state": "x"},
        {"changedPropIds": "in.value"},
        {"changedPropIds": [1]},
        {"outputs": "out"},
        {"outputs": {"id": 3, "property": "children"}},
    ],
)
def test_a_made_up_body_is_refused_and_said(client: FlaskClient, change: Mapping[str, Any]) -> None:
    answer = client.post(PATH, json={**body(), **change})
    assert answer.status_code == 400
    assert answer.get_json()["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"7", b'{"output": ', b"\xff\xfe"])
def test_what_is_no_object_is_refused(client: FlaskClient, data: bytes) -> None:
    answer = client.post(PATH, data=data, content_type="application/json")
    assert answer.status_code == 400


def test_patterns_take_any_component_of_theirs_and_no_other(
    app: dash.Dash, client: FlaskClient
) -> None:
    output = next(key for key in app.callback_map if key.startswith("..a.children"))
    sent: dict[str, Any] = {
        "output": output,
        "outputs": [
            {"id": "a", "property": "children"},
            {"id": {"type": "row", "n": 3}, "property": "children"},
        ],
        "inputs": [{"id": {"type": "go", "n": 3}, "property": "n_clicks", "value": 1}],
        "state": [[{"id": {"type": "box", "n": n}, "property": "value"} for n in (3, "x")]],
        "changedPropIds": [],
    }
    assert problem_of(sent, app.callback_map) is None
    sent["state"] = [[]]
    assert problem_of(sent, app.callback_map) is None
    sent["state"] = [[{"id": {"type": "box", "n": {"deep": 1}}, "property": "value"}]]
    assert problem_of(sent, app.callback_map) is not None
    sent["state"] = [[{"id": {"type": "go", "n": 3}, "property": "value"}]]
    assert problem_of(sent, app.callback_map) is not None
    sent["state"] = [[]]
    sent["outputs"] = sent["outputs"][:1]
    assert problem_of(sent, app.callback_map) is not None


def test_an_unknown_script_is_not_found(client: FlaskClient) -> None:
    for path in ("nothing/none.js", "dash/none.js", "dash_html_components/..%2f..%2fx.js"):
        assert client.get(f"/_dash-component-suites/{path}").status_code == 404

"""Every route and every callback of the whole program, asked by nobody and by each role.

The list is made from what is registered, so a new one is tried too, and one that states no role
fails here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import dash
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

import ems_dash.server as program
from ems_dash.auth.access import role_of
from ems_dash.auth.roles import Role
from tests.support.accounts import csrf_of, log_in
from tests.support.login import prepare

DASH_OWN: Final = "dash"
"""Routes of Dash itself: its pages, layout, scripts. The gate lets in whoever may read."""

SENDS_JSON: Final = "/_dash-update-component"


@dataclass
class Whole:
    """The whole program, not started, with a browser for nobody and each role."""

    app: dash.Dash
    server: Flask
    browsers: dict[Role | None, FlaskClient]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    options = program.ServerOptions("127.0.0.1", 0, folder / "config", folder / "data")
    options.data_dir.mkdir()
    prepare(options.config_dir)
    apps: list[dash.Dash] = []
    real = program.create_app

    def remembered(*args: Any, **kwargs: Any) -> dash.Dash:
        apps.append(real(*args, **kwargs))
        return apps[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "create_app", remembered)
        server, engine = program.build_server(options)
    try:
        browsers: dict[Role | None, FlaskClient] = {None: server.test_client()}
        for role in Role:
            browsers[role] = server.test_client()
            assert log_in(browsers[role], role.value).status_code == 303
            browsers[role].get("/")
            # The first page makes Dash register its own callbacks.
            browsers[role].get("/_dash-layout")
        yield Whole(apps[0], server, browsers)
    finally:
        engine.stop()


def stated(whole: Whole, rule: Rule) -> Role | None:
    """Return the role a route needs; None for a public one."""
    view = whole.server.view_functions[rule.endpoint]
    try:
        return role_of(view)
    except LookupError:
        module = getattr(view, "__module__", "") or ""
        assert module.startswith(DASH_OWN) or rule.endpoint.endswith("static"), (
            f"{rule.rule} states neither @needs(Role.X) nor @public"
        )
        public = rule.rule.startswith("/assets/")
        return None if public else Role.VIEWER


def requests_to(whole: Whole) -> list[tuple[str, str, Role | None]]:
    """Return method, path and role of everything that can be asked for."""
    found = []
    for rule in whole.server.url_map.iter_rules():
        values = dict.fromkeys(rule.arguments, "1")
        with whole.server.test_request_context():
            built = whole.server.url_map.bind("localhost").build(rule.endpoint, values)
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            found.append((method, built, stated(whole, rule)))
    return found


def ask(whole: Whole, who: Role | None, method: str, path: str, body: Any = None) -> Any:
    client = whole.browsers[who]
    headers = {} if who is None or method == "GET" else csrf_of(client)
    if body is not None:
        return client.open(path, method=method, json=body, headers=headers)
    return client.open(path, method=method, data=b"[", headers=headers)


def is_refused(answer: Any) -> bool:
    to_login = answer.status_code == 302 and answer.location.startswith("/login")
    return answer.status_code in (401, 403) or to_login


def test_every_route_refuses_whoever_may_not(whole: Whole) -> None:
    wrong, asked = [], 0
    for method, path, needed in requests_to(whole):
        if needed is None or path == SENDS_JSON:
            continue
        for who in (None, *Role):
            if who is not None and who.may(needed):
                continue
            asked += 1
            answer = ask(whole, who, method, path)
            expected = 403 if who is not None else (401, 302, 403)
            ok = answer.status_code in (expected if isinstance(expected, tuple) else (expected,))
            if not ok or not is_refused(answer):
                wrong.append((method, path, who, answer.status_code))
    assert wrong == []
    assert asked > 80


def test_every_route_that_reads_answers_whoever_may(whole: Whole) -> None:
    for method, path, needed in requests_to(whole):
        if method != "GET" or needed is None or "/events" in path:
            continue
        answer = ask(whole, needed, method, path)
        answer.close()
        assert not is_refused(answer), path
        # Dash raises for scripts of components that do not exist.
        assert answer.status_code != 500 or path.startswith("/_dash-component"), path


def test_every_route_that_changes_something_needs_more_than_reading(whole: Whole) -> None:
    own = ("/account", "/api/tokens", "/logout", "/login")
    reads = ("/api/sql", SENDS_JSON, "/api/<path:rest>", "/api/", "/api/1")
    for method, path, needed in requests_to(whole):
        if method == "GET" or path.startswith(own) or path in reads:
            continue
        assert needed in (Role.OPERATOR, Role.ADMIN), (method, path)


def callbacks(whole: Whole) -> list[tuple[str, Role, dict[str, Any]]]:
    """Return output, role and a request for every callback that runs on the server."""
    found = []
    for output, entry in whole.app.callback_map.items():
        function = entry.get("callback")
        if function is None:
            continue
        role = role_of(function)
        assert role is not None, output
        body = {
            "output": output,
            "outputs": _outputs(output),
            "inputs": [_value(i) for i in entry["inputs"]],
            "state": [_value(s) for s in entry["state"]],
        }
        first = next((i for i in body["inputs"] if isinstance(i, dict)), None)
        body["changedPropIds"] = [] if first is None else [f"{first['id']}.{first['property']}"]
        found.append((output, role, body))
    return found


def test_every_callback_refuses_whoever_may_not(whole: Whole) -> None:
    asked = 0
    for output, needed, body in callbacks(whole):
        for who in (None, *Role):
            if who is not None and who.may(needed):
                continue
            asked += 1
            answer = ask(whole, who, "POST", SENDS_JSON, body)
            assert answer.status_code == (401 if who is None else 403), (output, who)
            code = answer.get_json()["error"]["code"]
            assert code == ("unauthenticated" if who is None else "forbidden")
    assert asked > 50


def test_callbacks_that_change_something_are_not_for_viewers(whole: Whole) -> None:
    """By name, so that a slip in a `role=` is seen."""
    roles = {output: role for output, role, _ in callbacks(whole)}

    def role(part: str) -> set[Role]:
        found = {r for output, r in roles.items() if part in output}
        assert found, part
        return found

    assert role("ov-hand-said") == role("ov-choice-said") == {Role.OPERATOR}
    assert role("mon-alarm-said") == {Role.OPERATOR}
    for part in ("mon-notify-said", "set-broker-result", "set-channel-result", "set-notice"):
        assert role(part) == {Role.ADMIN}
    assert role("_pages_content") == role("ov-delta") == {Role.VIEWER}


def _outputs(output: str) -> Any:
    if output.startswith(".."):
        return [_place(part) for part in output.strip(".").split("...")]
    return _place(output)


def _place(text: str) -> Any:
    name, _, prop = text.rpartition(".")
    found = _id(name)
    return [] if found is None else {"id": found, "property": prop}


def _value(dependency: dict[str, Any]) -> Any:
    found = _id(dependency["id"])
    if found is None:
        return []
    return {"id": found, "property": dependency["property"], "value": None}


def _id(name: Any) -> Any:
    """Return a concrete id; None for a pattern that stands for any number of them."""
    if not (isinstance(name, str) and name.startswith("{")):
        return name
    pattern = json.loads(name)
    if any(value in (["ALL"], ["ALLSMALLER"]) for value in pattern.values()):
        return None
    return {key: "x" if value == ["MATCH"] else value for key, value in pattern.items()}

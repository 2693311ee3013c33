"""The API document says everything the program answers, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient
from ruamel.yaml import YAML

from ems_dash.api.described import is_api
from ems_dash.api.document import ROLE_KEY
from ems_dash.auth.access import role_of
from tests.support.build import SIMPLE_MODELS
from tests.support.login import bearer
from tests.support.whole_program import build

PROMISED = """
GET /api/state GET /api/events GET /api/monitoring/telemetry GET /api/plan GET /api/forecast
GET /api/strategies POST /api/strategy POST /api/strategy/auto GET /api/history/state
GET /api/history/optimization GET /api/analytics/daily GET /api/analytics/summary
GET /api/mqtt/config POST /api/mqtt/config POST /api/mqtt/test GET /api/modbus/config
POST /api/modbus/config POST /api/modbus/test GET /api/modbus/profiles GET /api/openapi.yaml
GET /healthz GET /api/sites
"""
"""What DESIGN section 6 promises to outsiders."""

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application as it is served."""
    program = build(tmp_path_factory.mktemp("document"), SIMPLE_MODELS)
    yield program.server
    program.stop()


@pytest.fixture(scope="module")
def client(server: Flask) -> FlaskClient:
    """Asks as an admin."""
    client = server.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = bearer()["Authorization"]
    return client


@pytest.fixture(scope="module")
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").get_json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield path, method, operation


def registered(server: Flask) -> dict[tuple[str, str], Any]:
    """Return path and method of every route of the API, and its view."""
    found = {}
    for rule in server.url_map.iter_rules():
        if not is_api(rule) or rule.endpoint == "api.unknown":
            continue
        path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", str(rule.rule))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            found[path, method.lower()] = server.view_functions[rule.endpoint]
    return found


def test_every_route_is_in_the_document_and_every_documented_route_exists(
    server: Flask, document: dict[str, Any]
) -> None:
    documented = {(path, method) for path, method, _ in operations(document)}
    assert documented == set(registered(server))
    pairs = zip(PROMISED.split()[1::2], PROMISED.split()[::2], strict=True)
    assert {(path, method.lower()) for path, method in pairs} <= documented


def test_every_route_says_its_role_as_it_is_asked_for(
    server: Flask, document: dict[str, Any]
) -> None:
    views = registered(server)
    for path, method, operation in operations(document):
        role = role_of(views[path, method])
        assert operation[ROLE_KEY] == ("public" if role is None else role), path
        assert bool(operation["security"]) == (role is not None), path
        may_be_unknown = role is not None or path == "/metrics"
        assert ("401" in operation["responses"]) == may_be_unknown, path


def test_every_route_says_what_it_is_for_under_a_name_of_its_own(
    document: dict[str, Any],
) -> None:
    found = list(operations(document))
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in document["tags"]}
    for path, _, operation in found:
        assert len(operation["summary"]) > 10, path
        assert set(operation["tags"]) <= tags, path
        for parameter in operation["parameters"]:
            assert parameter["description"], (path, parameter["name"])


def test_every_reference_leads_somewhere_and_every_schema_is_one(
    document: dict[str, Any],
) -> None:
    schemas = document["components"]["schemas"]
    named = set(re.findall(r"#/components/schemas/([\w.-]+)", str(document)))
    assert named == set(schemas)
    for schema in schemas.values():
        jsonschema_rs.meta.validate(schema)
    assert not [name for name in schemas if "__" in name], "two models have the same name"


def test_yaml_says_the_same_as_json(client: FlaskClient, document: dict[str, Any]) -> None:
    answer = client.get("/api/openapi.yaml")
    assert answer.mimetype == "application/yaml"
    assert YAML(typ="safe").load(answer.data) == document
    assert document["openapi"].startswith("3.1")


def test_what_has_not_changed_is_not_sent_again(client: FlaskClient) -> None:
    for path in ("/api/openapi.yaml", "/api/modbus/profiles", "/api/config"):
        first = client.get(path)
        tag = first.headers["ETag"]
        assert "no-cache" in first.headers["Cache-Control"]
        again = client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == tag
        compressed = tag.rstrip('"') + ':br"'
        assert client.get(path, headers={"If-None-Match": compressed}).status_code == 304
        assert client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


def test_the_page_shows_every_route_without_foreign_parts(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    page = client.get("/api/docs").get_data(as_text=True)
    for path, _, operation in operations(document):
        assert f"<code>{path}</code>" in page
        assert f'id="{operation["operationId"]}"' in page
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert not re.findall(r"<script(?![^>]*\bsrc=)", page), "inline scripts are forbidden"
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(ids)


def test_a_parameter_that_is_not_known_or_given_twice_is_refused(client: FlaskClient) -> None:
    answer = client.get("/api/history/state?hour=3")
    error = answer.get_json()["error"]
    assert (answer.status_code, error["field"]) == (400, "hour")
    assert "hours" in error["hint"]
    twice = client.get("/api/history/state?hours=3&hours=4")
    assert (twice.status_code, twice.get_json()["error"]["field"]) == (400, "hours")


def test_what_is_wrong_before_a_route_is_reached_has_the_one_shape(client: FlaskClient) -> None:
    for method, path, status in (
        ("GET", "/api/nothing", 404),
        ("PUT", "/api/export/samples.csv", 405),
        ("DELETE", "/api/plan", 405),
        ("TRACE", "/api/plan", 405),
    ):
        answer = client.open(path, method=method)
        assert answer.status_code == status, (method, path)
        assert set(answer.get_json()["error"]) == {"code", "message", "field", "hint"}
        if status == 405:
            assert "GET" in answer.headers["Allow"]

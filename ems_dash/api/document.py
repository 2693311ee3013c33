"""The OpenAPI 3.1 document, made of what every route says of itself.

Not by spectree: it gives each status one answer in JSON, so that rows as CSV or Parquet, event
streams, headers and 304 cannot be said; it names the same nested model anew under every parent;
and it says 422 of every route, where ours answer 400 with field and remedy. The schemas come
from the pydantic models that take and give the data, in one go, so that each is there once.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from ems_dash.api.described import JSON, PARQUET, Route, described_rules
from ems_dash.api.models import ErrorAnswer
from ems_dash.api.tabular import ENDINGS, PROFILE
from ems_dash.auth.access import role_of
from ems_dash.auth.roles import Role
from engine.history.exporter import MIME_TYPES

OPENAPI: Final = "3.1.0"
SCHEMA: Final = "#/components/schemas/{model}"
ROLE_KEY: Final = "x-ems-role"
"""Key of an operation: the least role that may call it, or ``public``."""

_UNSAFE: Final = ("POST", "PUT", "PATCH", "DELETE")

TAGS: Final[dict[str, str]] = {
    "state": "What the plant is doing now: state, telemetry, alarms, events as they happen.",
    "plan": "The plan in force, strategies and their choice, forecasts, prices.",
    "control": "Orders by hand and limits from outside.",
    "history": "Series, SQL, exports, imports and backups of everything that is kept.",
    "analytics": "Key figures, savings, attribution, data quality.",
    "backtests": "What a battery would have earned in a past period; one runs at a time.",
    "devices": "Modbus devices and the MQTT broker.",
    "configuration": "The configuration file: read, check, save, go back.",
    "notifications": "Who is told of alarms.",
    "accounts": "Users, API tokens, and the log of who changed what.",
    "service": "The API itself and the health of the program.",
}

_DESCRIPTION: Final = """\
Everything is below `/api`, in JSON unless rows are asked for as CSV or Parquet.

**Signs.** Battery + is discharge, - is charge; grid + is import, - is export; PV and load are
never negative. Units are part of the names (`_kw`, `_kwh`, `_percent`, `_eur_per_kwh`).

**Times** are ISO 8601 with `Z` in answers; in questions any offset is possible, none is not.

**Who.** Send an API token as `Authorization: Bearer ems_...`, or use the session of the pages;
then changes also need the cookie `ems_csrf` sent back as the header `X-CSRFToken`. Each route
says the least role that may call it: viewer < operator < admin.

**Errors** have one shape: `{"error": {"code", "message", "field", "hint"}}`.

**Pace.** Each sender has a number of questions and of changes per minute; beyond it the answer
is 429, and `Retry-After` says for how many seconds.

**Not changed.** Where an answer has an `ETag`, sending it back as `If-None-Match` is answered
with 304 and no body while it is still right.
"""

_SECURITY: Final[dict[str, Any]] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token, `ems_<key>_<secret>`. It has a role and an end. Made on "
        "the account page, or with `POST /api/tokens`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "ems_session",
        "description": "The session of somebody who has logged in at `/login`.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRFToken",
        "description": "With a session: the cookie `ems_csrf`, sent back.",
    },
}

_EVERYWHERE: Final[dict[int, str]] = {
    400: "The request cannot be understood, or is not possible.",
    429: "Too many requests, or something like it is running already.",
    503: "The part of the program that knows is not available; the message says why.",
}
_PROTECTED: Final[dict[int, str]] = {
    401: "It is not known who asks.",
    403: "Who asks may not do this.",
}
_WITH_BODY: Final[dict[int, str]] = {
    413: "The body is too long.",
    415: "The body is not of the right kind.",
}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "required": True}},
}

_ROUTE_FIRST: Final = re.compile(r"``GET[^:]*: |``POST[^:]*: |``PUT[^:]*: ")

Key = tuple[type[BaseModel], Literal["validation", "serialization"]]


def api_document(server: Flask, *, title: str, version: str) -> dict[str, Any]:
    """Return the document of every described route of `server`."""
    rules = described_rules(server)
    refs, schemas = _schemas(route for _, _, route in rules)
    paths: dict[str, dict[str, Any]] = {}
    for rule, view, route in rules:
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            operations = paths.setdefault(_path(rule), {})
            operations[method.lower()] = _operation(rule, method, view, route, refs)
    used = {route.tag for _, _, route in rules}
    document = {
        "openapi": OPENAPI,
        "info": {
            "title": title,
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This installation"}],
        "tags": [{"name": tag, "description": text} for tag, text in TAGS.items() if tag in used],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }
    # words of enumerations become plain texts
    plain: dict[str, Any] = json.loads(json.dumps(document))
    return plain


def _schemas(routes: Iterable[Route]) -> tuple[dict[Key, Any], dict[str, Any]]:
    keys: dict[Key, None] = {(ErrorAnswer, "serialization"): None}
    for route in routes:
        if route.answer is not None:
            keys[(route.answer, "serialization")] = None
        for model in (*route.events, *(model for model, _ in route.also.values())):
            keys[(model, "serialization")] = None
        if isinstance(route.body, type):
            keys[(route.body, "validation")] = None
    refs, definitions = models_json_schema(list(keys), ref_template=SCHEMA)
    found: dict[str, Any] = definitions.get("$defs", {})
    for schema in found.values():
        if "description" in schema:
            schema["description"] = _without_route(schema["description"])
    return refs, dict(sorted(found.items()))  # type: ignore[return-value]


def _operation(
    rule: Rule, method: str, view: Callable[..., Any], route: Route, refs: dict[Key, Any]
) -> dict[str, Any]:
    summary, _, rest = (inspect.getdoc(view) or "").partition("\n")
    role = role_of(view)
    needed = "Everybody may call it." if role is None else f"Needs the role `{role}`."
    found: dict[str, Any] = {
        "tags": [route.tag],
        "summary": summary.rstrip("."),
        "description": f"{rest.strip()}\n\n{needed}".strip(),
        "operationId": _operation_id(rule, method),
        ROLE_KEY: "public" if role is None else role.value,
        "security": _security(role, method),
        "parameters": _parameters(rule, route),
        "responses": _responses(rule, role, route, refs),
    }
    if route.body is not None:
        found["requestBody"] = _body(route, refs)
    return found


def _responses(rule: Rule, role: Role | None, route: Route, refs: dict[Key, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    only = _only_media(rule, route)
    if route.answer is not None and only is None:
        content[JSON] = {"schema": refs[(route.answer, "serialization")]}
    for media in route.media if only is None else (only,):
        schema: dict[str, Any] = {"type": "string"} if media.startswith("text/") else {}
        content[media] = {"schema": _event(route, refs) if route.events else schema}
    good: dict[str, Any] = {"description": _meaning(route), "content": content}
    if route.revalidated:
        good["headers"] = {"ETag": {"schema": {"type": "string"}, "required": True}}
    found = {str(route.status): good}
    if route.revalidated:
        found["304"] = {"description": "It is still what `If-None-Match` names."}
    for status, (model, meaning) in route.also.items():
        content = {JSON: {"schema": refs[(model, "serialization")]}}
        found[str(status)] = {"description": meaning, "content": content}
    errors = dict(_EVERYWHERE)
    errors |= _PROTECTED if role is not None else {}
    errors |= _WITH_BODY if route.body is not None else {}
    errors |= {404: "There is no such site."} if _has_site(route) else {}
    shape = refs[(ErrorAnswer, "serialization")]
    for status, meaning in sorted((errors | dict(route.errors)).items()):
        if str(status) in found:
            variants = found[str(status)]["content"][JSON]
            variants["schema"] = {"anyOf": [variants["schema"], shape]}
            found[str(status)]["description"] += f" Or: {meaning}"
            continue
        found[str(status)] = {"description": meaning, "content": {JSON: {"schema": shape}}}
        if status in _HEADERS:
            found[str(status)]["headers"] = _HEADERS[status]
    return dict(sorted(found.items()))


def _event(route: Route, refs: dict[Key, Any]) -> dict[str, Any]:
    """Return what one event of a stream looks like; its data is JSON of one of the models."""
    models = [refs[(model, "serialization")] for model in route.events]
    return {
        "type": "object",
        "description": "One event of the stream.",
        "required": ["id", "event", "data"],
        "properties": {
            "id": {"type": "string"},
            "event": {"type": "string"},
            "data": {
                "type": "string",
                "contentMediaType": JSON,
                "contentSchema": {"anyOf": models},
            },
        },
    }


def _meaning(route: Route) -> str:
    if route.answer is not None and route.answer.__doc__:
        return " ".join(_without_route(route.answer.__doc__.partition("\n\n")[0]).split())
    return " ".join(route.media.values()) or "It is done."


def _without_route(text: str) -> str:
    """Return the docstring of a model without the route that it begins with."""
    match = _ROUTE_FIRST.match(text)
    return text if match is None else text[match.end()].upper() + text[match.end() + 1 :]


def _only_media(rule: Rule, route: Route) -> str | None:
    """Return the media type a path with the ending of a format gives; None for other paths."""
    found = {f".{form}": MIME_TYPES[form].partition(";")[0] for form in ENDINGS}
    media = next((one for end, one in found.items() if str(rule.rule).endswith(end)), None)
    return media if media in route.media else None


def _has_site(route: Route) -> bool:
    return any(parameter.name == "site" for parameter in route.query)


def _body(route: Route, refs: dict[Key, Any]) -> dict[str, Any]:
    if isinstance(route.body, type):
        content: dict[str, Any] = {JSON: {"schema": refs[(route.body, "validation")]}}
    else:
        content = {media: {"schema": {}} for media in route.body or ()}
    return {"required": route.body_needed, "content": content}


def _parameters(rule: Rule, route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in sorted(rule.arguments):
        parameter = route.path[name]
        found.append(
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": parameter.meaning,
                "schema": parameter.schema(),
            }
        )
    no_csv = _only_media(rule, route) == PARQUET
    asked = [one for one in route.query if not (no_csv and one.name == PROFILE.name)]
    places = [("query", one) for one in asked] + [("header", one) for one in route.headers]
    for place, parameter in places:
        found.append(
            {
                "name": parameter.name,
                "in": place,
                "required": parameter.required,
                "description": parameter.meaning,
                "schema": parameter.schema(),
            }
        )
    return found


def _security(role: Role | None, method: str) -> list[dict[str, list[str]]]:
    if role is None:
        return []
    session: dict[str, list[str]] = {"session": [role.value]}
    if method in _UNSAFE:
        session["csrf"] = []
    return [{"token": [role.value]}, session]


def _path(rule: Rule) -> str:
    return "".join(
        f"{{{text.rpartition(':')[2]}}}" if dynamic else text for dynamic, text in _pieces(rule)
    )


def _pieces(rule: Rule) -> list[tuple[bool, str]]:
    """Return the parts of a rule, and for each whether it is a parameter."""
    found: list[tuple[bool, str]] = []
    rest = str(rule.rule)
    while rest:
        text, opened, rest = rest.partition("<")
        if text:
            found.append((False, text))
        if opened:
            inside, _, rest = rest.partition(">")
            found.append((True, inside))
    return found


def _operation_id(rule: Rule, method: str) -> str:
    words = [
        text.rpartition(":")[2] if dynamic else text.removeprefix("/api")
        for dynamic, text in _pieces(rule)
    ]
    name = "".join(c if c.isalnum() else "_" for c in "_".join(words))
    return "_".join([method.lower(), *(part for part in name.split("_") if part)])

"""Whether the body of a callback's request is one that our own page could have sent.

Dash takes a body apart without looking: a made-up one ends in a Python error and status 500.
Here it is compared with what the callback was registered with. Values are not judged: each
callback reads its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import dash
from dash.exceptions import DependencyException, InvalidResourceError
from flask import Flask, Response, request

from ems_dash.api.answers import error
from ems_dash.auth.gate import CALLBACKS

_WILDCARDS: Final = frozenset({("ALL",), ("ALLSMALLER",), ("MATCH",)})


def install_callback_bodies(app: dash.Dash) -> None:
    """Refuse bodies that fit no registered callback of `app`, and scripts nobody registered."""

    def no_script(_exc: Exception) -> Response:
        return error(404, "not_found", "There is no such script.")

    # Dash raises these for made-up addresses of scripts, which would be a server error.
    server: Flask = app.server
    server.register_error_handler(DependencyException, no_script)
    server.register_error_handler(InvalidResourceError, no_script)

    @server.before_request
    def judge() -> Response | None:
        if request.path != CALLBACKS or request.method != "POST":
            return None
        problem = problem_of(request.get_json(silent=True), app.callback_map)
        if problem is None:
            return None
        return error(
            400,
            "invalid_request",
            f"The request fits no callback: {problem}.",
            hint="Load the page again; programs use the API under /api.",
        )


def problem_of(body: Any, callbacks: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return what is wrong with a body, or None.

    Args:
        body: Parsed JSON of the request; None when it is none.
        callbacks: Dash's ``callback_map``: what each output was registered with.
    """
    if not isinstance(body, dict):
        return "it is no JSON object"
    output = body.get("output")
    if not isinstance(output, str) or output not in callbacks:
        return "there is no such output"
    known = callbacks[output]
    for name, optional in (("inputs", False), ("state", True)):
        sent = body.get(name, [] if optional else None)
        if (problem := _problem_of_group(sent, known.get(name) or [], name)) is not None:
            return problem
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(item, str) for item in changed):
        return "changedPropIds must be a list of texts"
    return _problem_of_outputs(body.get("outputs"), output)


def _problem_of_group(sent: Any, known: list[Mapping[str, Any]], name: str) -> str | None:
    if not isinstance(sent, list) or len(sent) != len(known):
        return f"{name} must be a list of {len(known)}"
    for place, (item, registered) in enumerate(zip(sent, known, strict=True)):
        wanted = _id_of(registered["id"])
        items = item if isinstance(item, list) and isinstance(wanted, dict) else [item]
        if not all(_fits(one, wanted, registered["property"]) for one in items):
            return f"{name}[{place}] must be {registered['property']} of its component"
    return None


def _problem_of_outputs(outputs: Any, output: str) -> str | None:
    if outputs is None:
        return None
    many = output.startswith("..")
    if many and not isinstance(outputs, list):
        return "outputs must be a list"
    items = outputs if isinstance(outputs, list) else [outputs]
    if many and len(items) != output.count("...") + 1:
        return "outputs must be as many as registered"
    for item in items:
        for one in item if isinstance(item, list) else [item]:
            if not _is_component(one):
                return "each output must have id and property"
    return None


def _fits(sent: Any, wanted: Any, prop: str) -> bool:
    if not _is_component(sent) or sent["property"] != prop:
        return False
    found = sent["id"]
    if not isinstance(wanted, dict):
        return bool(found == wanted)
    if not isinstance(found, dict) or found.keys() != wanted.keys():
        return False
    return all(
        isinstance(found[key], str | int | float | bool)
        if isinstance(value, list) and tuple(value) in _WILDCARDS
        else found[key] == value
        for key, value in wanted.items()
    )


def _is_component(sent: Any) -> bool:
    return (
        isinstance(sent, dict)
        and isinstance(sent.get("property"), str)
        and isinstance(sent.get("id"), str | dict)
    )


def _id_of(registered: Any) -> Any:
    """Return a registered id as text, or as a dictionary where it is a pattern."""
    if isinstance(registered, str) and registered.startswith("{"):
        return json.loads(registered)
    return registered

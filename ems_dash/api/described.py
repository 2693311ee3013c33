"""What a route says of itself; the API document is made of nothing else.

The first line of a view's docstring is its summary, the rest its description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from flask import Flask
from pydantic import BaseModel
from werkzeug.routing import Rule

from ems_dash.api.parameters import SITE, Parameter, check_query

JSON: Final = "application/json"
CSV: Final = "text/csv"
PARQUET: Final = "application/vnd.apache.parquet"

_ATTRIBUTE: Final = "__ems_route__"

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Route:
    """What one view says of itself.

    Attributes:
        tag: Heading it stands under.
        answer: Model of its good answer; None for what is no JSON (see `media`).
        status: Status of its good answer.
        query: Parameters of its query.
        body: Model of its body, or the media types of one that is no JSON.
        body_needed: Nothing is sent when it is False and the sender has nothing to say.
        path: Parameters of its path by name.
        media: Media types of its good answer, with their meaning; JSON is `answer`.
        also: Further answers in JSON by status: model and what it means.
        errors: Error statuses besides those every route may answer with.
        headers: Headers of the request it heeds.
        events: Models of the events of a stream.
        revalidated: It has an ETag, and answers 304 to one that is still right.
    """

    tag: str
    answer: type[BaseModel] | None = None
    status: int = 200
    query: tuple[Parameter, ...] = ()
    body: type[BaseModel] | tuple[str, ...] | None = None
    body_needed: bool = True
    path: Mapping[str, Parameter] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[int, tuple[type[BaseModel], str]] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)
    headers: tuple[Parameter, ...] = ()
    events: tuple[type[BaseModel], ...] = ()
    revalidated: bool = False


def described(
    tag: str,
    answer: type[BaseModel] | None = None,
    *,
    query: tuple[Parameter, ...] = (),
    site: bool = True,
    **more: Any,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Describe a view, and hold its queries to that.

    Args:
        tag: See `Route`.
        answer: See `Route`.
        query: See `Route`.
        site: It takes the parameter `SITE`.
        more: Further fields of `Route`.
    """
    known = (*query, SITE) if site else query
    route = Route(tag, answer, query=known, **more)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def held(*args: P.args, **kwargs: P.kwargs) -> R:
            check_query(known)
            return view(*args, **kwargs)

        setattr(held, _ATTRIBUTE, route)
        return held

    return decorate


def route_of(view: Any) -> Route | None:
    """Return what a view says of itself; None when it says nothing."""
    found: Route | None = getattr(view, _ATTRIBUTE, None)
    return found


def is_api(rule: Rule) -> bool:
    """Return True for rules of the API, which the document must describe."""
    return str(rule.rule).startswith("/api/") or rule.rule in ("/healthz", "/readyz", "/metrics")


def described_rules(server: Flask) -> list[tuple[Rule, Callable[..., Any], Route]]:
    """Return every rule of the API with its view and what that says of itself, by path.

    Rules that say nothing are left out: such as the one that answers for unknown paths.
    """
    found = []
    for rule in server.url_map.iter_rules():
        view = server.view_functions[rule.endpoint]
        route = route_of(view)
        if is_api(rule) and route is not None:
            found.append((rule, view, route))
    return sorted(found, key=lambda one: (str(one[0].rule), sorted(one[0].methods or ())))

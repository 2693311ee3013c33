"""The gate before every request: right host, no foreign page, somebody known, password chosen.

What a route or callback needs beyond that, it states itself (`ems_dash.auth.access.needs`).
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from flask import Flask, Request, current_app, flash, redirect, request
from flask_wtf.csrf import ValidationError, validate_csrf

from ems_dash.api.answers import error, known_error
from ems_dash.auth.access import ROLE_ATTRIBUTE, UnauthenticatedError, current_principal
from ems_dash.auth.actors import Login
from ems_dash.auth.sessions import SessionStoreError
from ems_dash.auth.user_store import UsersFileError
from engine.config.access import ServerConfig

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CALLBACKS: Final = "/_dash-update-component"
LOGIN: Final = "/login"
PASSWORD: Final = "/account/password"
FORMS: Final = ("/login", "/logout", "/account", "/settings/users")
"""Paths below which browsers send forms; everything else unsafe is JSON."""

_PROBES: Final = ("/healthz", "/readyz")
"""Asked by load balancers under whatever name; they tell nothing and change nothing."""

_NO_PAGES: Final = ("/api/", "/_dash", "/assets/", "/metrics", "/healthz", "/readyz")
_WHILE_MUST_CHANGE: Final = (PASSWORD, "/logout", "/login")


class _Web(Protocol):
    @property
    def server(self) -> ServerConfig: ...

    def login(self) -> Login | None: ...


def bearer_of(request: Request) -> str | None:
    """Return the token of ``Authorization: Bearer``; None without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def safe_next(target: str | None) -> str:
    """Return where to go after logging in: a path of our own pages, else the overview.

    Anything a browser could read as another host is refused: ``//host``, ``/\\host``, control
    characters.
    """
    if (
        target is None
        or not target.startswith("/")
        or target.startswith(("//", "/login", "/logout", *_NO_PAGES))
        or "\\" in target
        or any(ord(char) < 33 or ord(char) == 127 for char in target)
        or urlsplit(target).netloc
    ):
        return "/"
    return target


def leading_to(target: str, path: str) -> str:
    """Return the address of the page at `path` that leads to `target` afterwards."""
    return f"{path}?next={quote(target, safe='/')}"


def install_gate(server: Flask, web: _Web) -> None:
    """Let every request to `server` pass the gate first."""
    # Without their files nobody is let in, and the reason is said.
    server.register_error_handler(UsersFileError, known_error)
    server.register_error_handler(SessionStoreError, known_error)

    @server.before_request
    def gate() -> Any:
        if not is_our_host(request.host, web.server) and request.path not in _PROBES:
            return error(
                400,
                "host_refused",
                f"The request was made for the host '{request.host[:80]}'.",
                field="Host",
                hint="Add it to server.allowed_hosts, or use the address.",
            )
        if bearer_of(request) is not None:
            # A token is no cookie: no page can make a browser send it.
            return None if current_principal() is not None or _is_public() else _unknown()
        if request.method not in SAFE:
            refused = _foreign(request) or _wrong_kind(request)
            if refused is not None:
                return refused
        if current_principal() is None and not _is_public():
            return _unknown()
        if request.method not in SAFE and (refused := _without_token()) is not None:
            return refused
        login = web.login()
        if login is not None and login.user.must_change and not _is_open_while_must_change():
            return _must_change()
        return None


def is_our_host(host: str, config: ServerConfig) -> bool:
    """Return True for names this program goes by: an address, localhost, configured ones.

    A name somebody made to point here (DNS rebinding) is none of them.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name in {h.lower() for h in config.allowed_hosts}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def asks_for_page(request: Request) -> bool:
    """Return True when `request` asks for a page rather than for data or a file."""
    return request.method == "GET" and not request.path.startswith(_NO_PAGES)


def _is_public() -> bool:
    if request.path.startswith("/assets/"):
        return True
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, ROLE_ATTRIBUTE, "") is None


def _foreign(request: Request) -> Any:
    """Refuse what a page of another origin sends."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
    if site == "same-origin":
        # The browser knows best, also behind a proxy that drops the port, and for forms of pages
        # that tell nobody where they came from (then the origin is "null").
        return None
    if origin is not None and urlsplit(origin).netloc != request.host:
        return error(
            403,
            "forbidden",
            f"The request comes from another origin ('{origin[:80]}').",
            field="Origin",
            hint="Send it from a page of EMS Dash itself.",
        )
    if site != "none":
        return error(
            403,
            "forbidden",
            "The request comes from a page of another site.",
            field="Sec-Fetch-Site",
            hint="Send it from a page of EMS Dash itself.",
        )
    return None


def _wrong_kind(request: Request) -> Any:
    if request.path == CALLBACKS and not request.is_json:
        return error(
            415, "unsupported_media_type", "Callbacks take JSON only.", field="Content-Type"
        )
    return None


def _without_token() -> Any:
    is_form = request.path.startswith(FORMS)
    # Elsewhere the view has not said yet how long a body may be: it must not be read here.
    token = request.form.get("csrf_token") if is_form else None
    try:
        validate_csrf(token or request.headers.get("X-CSRFToken"))
    except ValidationError as exc:
        if is_form and "text/html" in request.headers.get("Accept", ""):
            flash("auth.page_too_old", "alarm")
            return redirect(request.path if request.path == LOGIN else "/account", 303)
        return error(
            403,
            "csrf",
            str(exc),
            field="X-CSRFToken",
            hint="Send the cookie ems_csrf back as X-CSRFToken, or use an API token.",
        )
    return None


def _unknown() -> Any:
    if asks_for_page(request):
        here = request.full_path.rstrip("?")
        target = safe_next(here)
        return redirect(LOGIN if target == "/" else leading_to(target, LOGIN))
    return known_error(UnauthenticatedError())


def _is_open_while_must_change() -> bool:
    return request.path in _WHILE_MUST_CHANGE or _is_public()


def _must_change() -> Any:
    if asks_for_page(request):
        return redirect(PASSWORD)
    answer = error(
        403,
        "password_change_required",
        "The password has to be changed first.",
        hint=f"Change it at {PASSWORD}.",
    )
    answer.headers["X-EMS-Reason"] = "password"
    return answer

"""Logging in and out: ``/login``, ``/login/code``, ``/logout``."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, redirect, request, session

from ems_dash.auth.access import public
from ems_dash.auth.account_errors import FirstPasswordExpiredError, LoginFailedError, SetupCodeError
from ems_dash.auth.first_login import is_expired
from ems_dash.auth.gate import LOGIN, safe_next
from ems_dash.auth.passwords import BusyError
from ems_dash.auth.throttle import TooManyAttemptsError
from ems_dash.auth.views.frame import Web, error_key, field, page, tell
from engine.domain.errors import EmsError

PENDING: Final = "pending"
PENDING_S: Final = 300
"""So long the code may follow the password."""


def add_views(pages: Blueprint, web: Web) -> None:
    """Add the pages to `pages`."""

    @pages.get(LOGIN)
    @public
    def login_form() -> Any:
        if web.login() is not None:
            return redirect(safe_next(request.args.get("next")))
        return _login_page(web)

    @pages.post(LOGIN)
    @public
    def enter() -> Any:
        sender = web.sender(request)
        try:
            name = web.accounts.check_password(
                field("name"), field("password"), sender, field("setup_code")
            )
        except (TooManyAttemptsError, BusyError) as exc:
            return _login_page(web, exc, 429)
        except (LoginFailedError, SetupCodeError, FirstPasswordExpiredError) as exc:
            return _login_page(web, exc, 401)
        target = safe_next(field("next", 2000))
        if web.accounts.needs_code(name):
            session[PENDING] = {"name": name, "at": web.accounts.now().timestamp(), "next": target}
            return redirect("/login/code", 303)
        return _enter(web, name, target)

    @pages.get("/login/code")
    @public
    def ask_code() -> Any:
        if _pending(web) is None:
            return redirect(LOGIN)
        return page("code.html", web, title="auth.code.title", error=None)

    @pages.post("/login/code")
    @public
    def check_code() -> Any:
        pending = _pending(web)
        if pending is None:
            tell("auth.code.too_late", "warn")
            return redirect(LOGIN, 303)
        try:
            web.accounts.check_code(pending["name"], field("code"), web.sender(request))
        except EmsError as exc:
            status = 429 if isinstance(exc, TooManyAttemptsError) else 401
            answer = page(
                "code.html",
                web,
                title="auth.code.title",
                error=_code_error(exc),
                status=status,
                wait_s=_wait_s(exc),
            )
            return _with_retry(answer, exc)
        return _enter(web, pending["name"], safe_next(pending["next"]))

    @pages.post("/logout")
    @public
    def leave() -> Any:
        login, sid = web.login(), session.get("sid")
        if login is not None and isinstance(sid, str):
            web.accounts.log_out(login, sid, web.sender(request).address)
        session.clear()
        tell("auth.logged_out")
        return redirect(LOGIN, 303)


def _enter(web: Web, name: str, target: str) -> Any:
    web.begin(name, web.sender(request))
    must_change = web.accounts.users().users[name].must_change
    return redirect("/account/password" if must_change else target, 303)


def _login_page(web: Web, exc: EmsError | None = None, status: int = 200) -> Any:
    sender = web.sender(request)
    issued = [
        user.issued
        for user in web.accounts.users().users.values()
        if user.issued is not None and user.issued.first
    ]
    expired = any(is_expired(entry, web.accounts.now()) for entry in issued)
    answer = page(
        "login.html",
        web,
        title="auth.login.title",
        status=status,
        error=None if exc is None else error_key(exc),
        wait_s=_wait_s(exc),
        name=field("name"),
        next=safe_next(request.values.get("next")),
        # Whoever sits at the machine could read it in the manual as well.
        first=sender.is_loopback and any(entry.documented for entry in issued) and not expired,
        expired=sender.is_private and expired,
        asks_setup_code=bool(issued) and not sender.is_private,
    )
    return _with_retry(answer, exc)


def _with_retry(answer: Any, exc: EmsError | None) -> Any:
    if isinstance(exc, TooManyAttemptsError | BusyError):
        answer.headers["Retry-After"] = str(_wait_s(exc))
    return answer


def _wait_s(exc: EmsError | None) -> int:
    return round(exc.wait_s + 0.5) if isinstance(exc, TooManyAttemptsError) else 3


def _code_error(exc: EmsError) -> str:
    return "auth.error.code" if isinstance(exc, LoginFailedError) else error_key(exc)


def _pending(web: Web) -> dict[str, Any] | None:
    found = session.get(PENDING)
    if (
        not isinstance(found, dict)
        or web.accounts.now().timestamp() - float(found["at"]) > PENDING_S
    ):
        session.pop(PENDING, None)
        return None
    return found

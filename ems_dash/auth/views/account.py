"""One's own account: password, second factor, sessions, tokens; ``/account``."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, redirect, request, session
from markupsafe import Markup

from ems_dash.auth import totp
from ems_dash.auth.access import needs
from ems_dash.auth.account_errors import AccountError, LoginFailedError
from ems_dash.auth.browser_name import browser_name
from ems_dash.auth.gate import PASSWORD
from ems_dash.auth.passwords import LEAST_CHARACTERS, PasswordRefusedError
from ems_dash.auth.roles import Role
from ems_dash.auth.throttle import TooManyAttemptsError
from ems_dash.auth.tokens import LONGEST_DAYS
from ems_dash.auth.views.frame import (
    Web,
    actor_of,
    error_key,
    field,
    own_login,
    page,
    tell,
    tell_error,
)
from ems_dash.ui.branding import branding
from engine.domain.errors import EmsError

HOME: Final = "/account"
NEW_SECRET: Final = "totp"
TOKEN_DAYS: Final = (30, 90, 180, 366)


def add_views(pages: Blueprint, web: Web) -> None:
    """Add the pages to `pages`."""
    accounts = web.accounts

    @pages.get(HOME)
    @needs(Role.VIEWER, named=True)
    def show_account() -> Any:
        return _account_page(web)

    @pages.get(PASSWORD)
    @needs(Role.VIEWER, named=True)
    def ask_password() -> Any:
        return _password_page(web)

    @pages.post(PASSWORD)
    @needs(Role.VIEWER, named=True)
    def change_password() -> Any:
        login, sender = own_login(web), web.sender(request)
        new = field("new")
        if new != field("again"):
            return _password_page(web, "auth.error.differ", 400)
        try:
            accounts.change_password(login, session["sid"], field("old"), new, sender)
        except TooManyAttemptsError as exc:
            return _password_page(web, error_key(exc), 429)
        except (PasswordRefusedError, LoginFailedError, AccountError) as exc:
            wrong = isinstance(exc, LoginFailedError)
            return _password_page(web, "auth.error.old" if wrong else error_key(exc), 400)
        tell("auth.password.changed")
        return redirect("/" if login.user.must_change else HOME, 303)

    @pages.get("/account/totp")
    @needs(Role.VIEWER, named=True)
    def begin_totp() -> Any:
        if own_login(web).user.totp is not None:
            return redirect(HOME)
        session.setdefault(NEW_SECRET, totp.new_secret())
        return _totp_page(web)

    @pages.post("/account/totp")
    @needs(Role.VIEWER, named=True)
    def take_totp() -> Any:
        login, secret = own_login(web), session.get(NEW_SECRET)
        if not isinstance(secret, str) or login.user.totp is not None:
            return redirect(HOME, 303)
        try:
            codes = accounts.set_totp(login, secret, field("code"), web.sender(request))
        except LoginFailedError:
            return _totp_page(web, "auth.error.code", 400)
        session.pop(NEW_SECRET, None)
        return page("recovery.html", web, title="account.recovery.title", codes=codes)

    @pages.post("/account/totp/off")
    @needs(Role.VIEWER, named=True)
    def drop_totp() -> Any:
        return _done(
            lambda: accounts.drop_own_totp(own_login(web), field("password"), web.sender(request)),
            "account.totp.dropped",
        )

    @pages.post("/account/sessions/end")
    @needs(Role.VIEWER, named=True)
    def end_session() -> Any:
        name = own_login(web).name
        return _done(
            lambda: accounts.end_session(field("key"), actor_of(web), user=name),
            "account.sessions.ended",
        )

    @pages.post("/account/sessions/end-others")
    @needs(Role.VIEWER, named=True)
    def end_others() -> Any:
        login = own_login(web)
        return _done(
            lambda: accounts.end_sessions(login.name, actor_of(web), but=login.session.key),
            "account.sessions.ended_others",
        )

    @pages.post("/account/tokens")
    @needs(Role.VIEWER, named=True)
    def add_token() -> Any:
        login = own_login(web)
        role, days = field("role"), field("days")
        if role not in list(Role) or not (days.isascii() and days.isdigit()):
            tell("auth.error.account", "alarm")
            return redirect(HOME, 303)
        try:
            _, text = accounts.add_token(
                login.name, field("name"), Role(role), int(days[:4]), actor_of(web)
            )
        except EmsError as exc:
            tell_error(exc)
            return redirect(HOME, 303)
        return _account_page(web, token=text)

    @pages.post("/account/tokens/revoke")
    @needs(Role.VIEWER, named=True)
    def revoke_token() -> Any:
        name = own_login(web).name
        return _done(
            lambda: accounts.remove_token(field("key"), actor_of(web), user=name),
            "account.tokens.revoked",
        )


def _done(action: Any, said: str) -> Any:
    try:
        action()
    except EmsError as exc:
        wrong = isinstance(exc, LoginFailedError)
        tell("auth.error.old" if wrong else error_key(exc), "alarm")
    else:
        tell(said)
    return redirect(HOME, 303)


def _account_page(web: Web, token: str | None = None) -> Any:
    login = own_login(web)
    mine = {k: v for k, v in web.accounts.users().tokens.items() if v.user == login.name}
    return page(
        "account.html",
        web,
        title="account.title",
        sessions=web.accounts.sessions(login.name),
        browser_name=browser_name,
        tokens=mine,
        token_uses=web.accounts.token_uses(),
        roles=[role for role in Role if login.user.role.may(role)],
        days=TOKEN_DAYS,
        most_days=LONGEST_DAYS,
        least=LEAST_CHARACTERS,
        new_token=token,
        error=None,
    )


def _password_page(web: Web, error: str | None = None, status: int = 200) -> Any:
    return page(
        "password.html",
        web,
        title="auth.password.title",
        status=status,
        error=error,
        least=LEAST_CHARACTERS,
    )


def _totp_page(web: Web, error: str | None = None, status: int = 200) -> Any:
    secret = session[NEW_SECRET]
    address = totp.address(secret, own_login(web).name, branding().product_name)
    return page(
        "totp.html",
        web,
        title="account.totp.title",
        status=status,
        error=error,
        secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
        # Made here from a base32 secret and a checked name; segno escapes nothing else.
        qr=Markup(totp.qr_svg(address)),  # nosec B704
    )

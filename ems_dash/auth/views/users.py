"""Managing users, for admins: ``/settings/users``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, redirect

from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.auth.views.frame import Web, actor_of, field, page, tell, tell_error
from engine.domain.errors import EmsError

HOME: Final = "/settings/users"


def add_views(pages: Blueprint, web: Web) -> None:
    """Add the pages to `pages`."""
    accounts = web.accounts

    @pages.get(HOME)
    @needs(Role.ADMIN, named=True)
    def show_users() -> Any:
        return _users_page(web)

    @pages.post(f"{HOME}/add")
    @needs(Role.ADMIN, named=True)
    def add_user() -> Any:
        name, role = field("name").strip().lower(), field("role")
        if role not in list(Role):
            tell("auth.error.account", "alarm")
            return redirect(HOME, 303)
        try:
            given = accounts.add_user(name, Role(role), actor_of(web))
        except EmsError as exc:
            tell_error(exc)
            return redirect(HOME, 303)
        return _users_page(web, given=(name, given))

    @pages.post(f"{HOME}/reset")
    @needs(Role.ADMIN, named=True)
    def reset_password() -> Any:
        name = field("name")
        try:
            given = accounts.reset_password(name, actor_of(web))
        except EmsError as exc:
            tell_error(exc)
            return redirect(HOME, 303)
        return _users_page(web, given=(name, given))

    @pages.post(f"{HOME}/role")
    @needs(Role.ADMIN, named=True)
    def set_role() -> Any:
        role = field("role")
        if role not in list(Role):
            tell("auth.error.account", "alarm")
            return redirect(HOME, 303)
        return _done(
            lambda: accounts.set_role(field("name"), Role(role), actor_of(web)), "users.said.role"
        )

    @pages.post(f"{HOME}/disable")
    @needs(Role.ADMIN, named=True)
    def disable() -> Any:
        return _done(
            lambda: accounts.set_disabled(field("name"), True, actor_of(web)),
            "users.said.disabled",
        )

    @pages.post(f"{HOME}/enable")
    @needs(Role.ADMIN, named=True)
    def enable() -> Any:
        return _done(
            lambda: accounts.set_disabled(field("name"), False, actor_of(web)),
            "users.said.enabled",
        )

    @pages.post(f"{HOME}/remove")
    @needs(Role.ADMIN, named=True)
    def remove() -> Any:
        return _done(
            lambda: accounts.remove_user(field("name"), actor_of(web)), "users.said.removed"
        )

    @pages.post(f"{HOME}/totp-off")
    @needs(Role.ADMIN, named=True)
    def drop_user_totp() -> Any:
        return _done(lambda: accounts.drop_totp(field("name"), actor_of(web)), "users.said.totp")

    @pages.post(f"{HOME}/end-sessions")
    @needs(Role.ADMIN, named=True)
    def end_sessions() -> Any:
        return _done(
            lambda: accounts.end_sessions(field("name"), actor_of(web)), "users.said.sessions"
        )

    @pages.post(f"{HOME}/end-session")
    @needs(Role.ADMIN, named=True)
    def end_any_session() -> Any:
        return _done(
            lambda: accounts.end_session(field("key"), actor_of(web)), "account.sessions.ended"
        )

    @pages.post(f"{HOME}/revoke-token")
    @needs(Role.ADMIN, named=True)
    def revoke_any_token() -> Any:
        return _done(
            lambda: accounts.remove_token(field("key"), actor_of(web)), "account.tokens.revoked"
        )


def _done(action: Callable[[], object], said: str) -> Any:
    try:
        action()
    except EmsError as exc:
        tell_error(exc)
    else:
        tell(said)
    return redirect(HOME, 303)


def _users_page(web: Web, given: tuple[str, str] | None = None) -> Any:
    accounts = web.accounts
    found = accounts.users()
    return page(
        "users.html",
        web,
        title="users.title",
        users=found.users,
        tokens=found.tokens,
        token_uses=accounts.token_uses(),
        sessions=accounts.sessions(),
        lockouts=accounts.lockouts(),
        roles=list(Role),
        given=given,
    )

"""Who asks, and whether he may: the one check before every route and every callback.

An `Access` object, handed to `create_app`, tells who sent a request. A view or callback states
the least role that may call it with `needs`; without an `Access` nobody may anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeVar

from flask import Flask, Request, current_app, g, has_request_context, request

from ems_dash.auth.roles import Role
from engine.domain.errors import EmsError

EXTENSION: Final = "ems_access"
CSRF_COOKIE: Final = "ems_csrf"
"""Dash sends it back in a header with every callback."""

ROLE_ATTRIBUTE: Final = "__ems_role__"
"""Attribute of a view or callback: the `Role` it needs, or None when everybody may call it."""

P = ParamSpec("P")
R = TypeVar("R")

Via = Literal["session", "token", "anonymous", "open"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request.

    Attributes:
        name: Name of the user, or of the user a token belongs to.
        role: What he may.
        via: How he is known; ``"anonymous"`` for readers without an account where the
            configuration lets them in, ``"open"`` for an access that asks nobody.
        token: Id of the token, or None.
    """

    name: str
    role: Role
    via: Via
    token: str | None = None


class Access(Protocol):
    """Tells who sent a request."""

    def identify(self, request: Request) -> Principal | None:
        """Return who sent `request`, or None when that is not known."""
        ...

    def install(self, server: Flask) -> None:
        """Add what `server` needs for it: its own pages, and checks before every request."""
        ...


@dataclass(frozen=True, slots=True)
class OpenAccess:
    """Everybody is `role`: for tests and for looking at pages over invented data."""

    role: Role = Role.ADMIN
    name: str = "open"

    def identify(self, request: Request) -> Principal | None:
        """Return the one principal."""
        return Principal(self.name, self.role, "open")

    def install(self, server: Flask) -> None:
        """Add nothing."""


class UnauthenticatedError(EmsError):
    """The request does not say who sent it."""

    code = "unauthenticated"

    def __init__(self) -> None:
        super().__init__(
            "This is for users who have logged in.",
            hint="Log in at /login, or send an API token as Authorization: Bearer ems_...",
        )


class ForbiddenError(EmsError):
    """The request may not be made by this user, or not from there."""

    code = "forbidden"


def install_access(server: Flask, access: Access) -> None:
    """Let `access` tell who sends the requests to `server`."""
    server.extensions[EXTENSION] = access
    access.install(server)


def current_principal() -> Principal | None:
    """Return who sent the current request; None outside of one or when nobody is known.

    Asked once per request; `g` keeps the answer.
    """
    if not has_request_context():
        return None
    if "ems_principal" not in g:
        access: Access | None = current_app.extensions.get(EXTENSION)
        g.ems_principal = None if access is None else access.identify(request)
    found: Principal | None = g.ems_principal
    return found


def has_accounts() -> bool:
    """Return True when the sender of the current request is known by a session of his own."""
    principal = current_principal()
    return principal is not None and principal.via == "session"


def actor() -> str:
    """Return the name to write down for what the current request does."""
    principal = current_principal()
    if principal is None:
        return "unknown"
    return principal.name if principal.token is None else f"{principal.name} ({principal.token})"


def may(needed: Role) -> bool:
    """Return True when the sender of the current request has the role `needed`."""
    principal = current_principal()
    return principal is not None and principal.role.may(needed)


def require(needed: Role, *, named: bool = False) -> Principal:
    """Return who sent the current request.

    Args:
        needed: The least role that may.
        named: Refuse readers without an account too.

    Raises:
        UnauthenticatedError: Nobody is known.
        ForbiddenError: His role is below `needed`.
    """
    principal = current_principal()
    if principal is None or (named and principal.via == "anonymous"):
        raise UnauthenticatedError
    if not principal.role.may(needed):
        raise ForbiddenError(
            f"This needs the role {needed}; {principal.name} is {principal.role}.",
            hint="Ask an admin of this installation.",
        )
    return principal


def needs(role: Role, *, named: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only senders with `role` call a view or callback, whatever the request looks like."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            require(role, named=named)
            return function(*args, **kwargs)

        setattr(checked, ROLE_ATTRIBUTE, role)
        return checked

    return decorate


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a view as one that everybody may call."""
    setattr(function, ROLE_ATTRIBUTE, None)
    return function


def role_of(function: Any) -> Role | None:
    """Return the role a view or callback needs; None when everybody may call it.

    Raises:
        LookupError: It states neither a role nor that it is public.
    """
    if not hasattr(function, ROLE_ATTRIBUTE):
        raise LookupError(f"{function!r} states no role.")
    found: Role | None = getattr(function, ROLE_ATTRIBUTE)
    return found

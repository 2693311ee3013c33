"""Routes about accounts: who asks, users, API tokens."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Flask, Response, request
from pydantic import Field

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer
from ems_dash.api.bodies import parsed_body
from ems_dash.api.described import described
from ems_dash.api.models import ApiModel, ApiRequest, UtcTime
from ems_dash.api.parameters import Text
from ems_dash.auth.access import actor, needs, require
from ems_dash.auth.account_errors import AccountError
from ems_dash.auth.accounts import Accounts
from ems_dash.auth.actors import Actor
from ems_dash.auth.roles import Role
from ems_dash.auth.tokens import LONGEST_DAYS
from ems_dash.auth.users import UsersFile


class AccountAnswer(ApiModel):
    """``GET /api/account``: who the request comes from."""

    name: str
    role: str
    via: str


class UserInfo(ApiModel):
    """One user, without anything that lets one in."""

    name: str
    role: str
    disabled: bool
    must_change: bool
    totp: bool
    created: UtcTime


class UsersAnswer(ApiModel):
    """``GET /api/users``."""

    users: list[UserInfo]


class UserRequest(ApiRequest):
    """``POST /api/users``."""

    name: Annotated[str, Field(max_length=80)]
    role: Role


class UserChange(ApiRequest):
    """``POST /api/users/<name>``: what is to change; at least one."""

    role: Role | None = None
    disabled: bool | None = None
    reset_password: bool = False
    end_sessions: bool = False


class UserAnswer(ApiModel):
    """A user as he is now; the password of a new or reset one, which is told once."""

    user: UserInfo | None
    password: str | None


class TokenInfo(ApiModel):
    """One API token, without its secret."""

    key: str
    user: str
    name: str
    role: str
    created: UtcTime
    expires: UtcTime
    last_used: UtcTime | None


class TokensAnswer(ApiModel):
    """``GET /api/tokens``."""

    tokens: list[TokenInfo]


class TokenRequest(ApiRequest):
    """``POST /api/tokens``."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    role: Role
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] = 90


class TokenAnswer(ApiModel):
    """``POST /api/tokens``: the whole token, which is told once and kept nowhere."""

    key: str
    token: str


_NO_USER = {404: "There is no such user."}
_NO_TOKEN = {404: "There is no such token, or it belongs to somebody else."}
_NAME = Text("name", "Name of the user.")
_KEY = Text("key", "Key of the token, the part between `ems_` and its secret.")


def register_account_api(server: Flask, accounts: Accounts) -> None:
    """Add the routes about accounts to a Flask application."""
    api = Blueprint("account_api", __name__)

    @api.get("/api/account")
    @needs(Role.VIEWER)
    @described("accounts", AccountAnswer, site=False)
    def account() -> Response:
        """Who the request comes from, and what he may."""
        found = require(Role.VIEWER)
        return json_answer(AccountAnswer(name=found.name, role=found.role.value, via=found.via))

    @api.get("/api/users")
    @needs(Role.ADMIN)
    @described("accounts", UsersAnswer, site=False)
    def users() -> Response:
        """Every user, without anything that lets one in."""
        found = accounts.users()
        return json_answer(UsersAnswer(users=[_user(found, name) for name in found.users]))

    @api.post("/api/users")
    @needs(Role.ADMIN)
    @described("accounts", UserAnswer, status=201, body=UserRequest, site=False)
    def add_user() -> Response:
        """Add a user; the answer has his first password, which is told once."""
        asked = parsed_body(UserRequest, hint='Send {"name": "anna", "role": "operator"}.')
        given = accounts.add_user(asked.name, asked.role, _actor())
        name = asked.name.strip().lower()
        return json_answer(UserAnswer(user=_user(accounts.users(), name), password=given), 201)

    @api.post("/api/users/<name>")
    @needs(Role.ADMIN)
    @described(
        "accounts", UserAnswer, body=UserChange, path={"name": _NAME}, errors=_NO_USER, site=False
    )
    def change_user(name: str) -> Response:
        """Change role or state of a user, give a new password, end all sessions."""
        asked = parsed_body(UserChange, hint='Send {"role": "viewer"} or {"disabled": true}.')
        given = None
        if asked == UserChange():
            raise InvalidRequestError("Nothing is to change.", hint='Send {"role": "viewer"}.')
        if asked.role is not None:
            accounts.set_role(name, asked.role, _actor())
        if asked.disabled is not None:
            accounts.set_disabled(name, asked.disabled, _actor())
        if asked.reset_password:
            given = accounts.reset_password(name, _actor())
        if asked.end_sessions:
            accounts.end_sessions(name, _actor())
        return json_answer(UserAnswer(user=_user(accounts.users(), name), password=given))

    @api.delete("/api/users/<name>")
    @needs(Role.ADMIN)
    @described("accounts", UserAnswer, path={"name": _NAME}, errors=_NO_USER, site=False)
    def remove_user(name: str) -> Response:
        """Remove a user, with his sessions and tokens."""
        accounts.remove_user(name, _actor())
        return json_answer(UserAnswer(user=None, password=None))

    @api.get("/api/tokens")
    @needs(Role.VIEWER, named=True)
    @described("accounts", TokensAnswer, site=False)
    def tokens() -> Response:
        """Own API tokens; those of everybody for an admin."""
        me, uses = require(Role.VIEWER), accounts.token_uses()
        listed = [
            TokenInfo(
                key=key,
                user=token.user,
                name=token.name,
                role=token.role.value,
                created=token.created,
                expires=token.expires,
                last_used=uses.get(key),
            )
            for key, token in accounts.users().tokens.items()
            if me.role is Role.ADMIN or token.user == me.name
        ]
        return json_answer(TokensAnswer(tokens=listed))

    @api.post("/api/tokens")
    @needs(Role.VIEWER, named=True)
    @described("accounts", TokenAnswer, status=201, body=TokenRequest, site=False)
    def add_token() -> Response:
        """Make an API token of at most the own role; it is told once and kept nowhere."""
        me = require(Role.VIEWER)
        asked = parsed_body(
            TokenRequest, hint='Send {"name": "Grafana", "role": "viewer", "days": 90}.'
        )
        if not me.role.may(asked.role):
            # Its user may be more than this token is.
            raise AccountError(
                "A token may make none that may more than itself.", field="role", value=asked.role
            )
        key, text = accounts.add_token(me.name, asked.name, asked.role, asked.days, _actor())
        return json_answer(TokenAnswer(key=key, token=text), 201)

    @api.delete("/api/tokens/<key>")
    @needs(Role.VIEWER, named=True)
    @described("accounts", TokensAnswer, path={"key": _KEY}, errors=_NO_TOKEN, site=False)
    def remove_token(key: str) -> Response:
        """Withdraw a token; it lets nobody in from now on."""
        me = require(Role.VIEWER)
        accounts.remove_token(key, _actor(), user=None if me.role is Role.ADMIN else me.name)
        return tokens()

    add_error_handlers(api)
    server.register_blueprint(api)


def _actor() -> Actor:
    return Actor(actor(), request.remote_addr)


def _user(found: UsersFile, name: str) -> UserInfo:
    user = found.users[name]
    return UserInfo(
        name=name,
        role=user.role.value,
        disabled=user.disabled,
        must_change=user.must_change,
        totp=user.totp is not None,
        created=user.created,
    )

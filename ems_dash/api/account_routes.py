"""Routes about accounts: who asks, users, API tokens."""

from __future__ import annotations

from typing import Annotated, TypeVar

from flask import Blueprint, Flask, Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer
from ems_dash.api.models import ApiModel, UtcTime
from ems_dash.auth.access import actor, needs, require
from ems_dash.auth.accounts import AccountError, Accounts, Actor
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


class UserRequest(BaseModel):
    """``POST /api/users``."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=80)]
    role: Role


class UserChange(BaseModel):
    """``POST /api/users/<name>``: what is to change; at least one."""

    model_config = ConfigDict(extra="forbid")

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


class TokenRequest(BaseModel):
    """``POST /api/tokens``."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)]
    role: Role
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] = 90


class TokenAnswer(ApiModel):
    """``POST /api/tokens``: the whole token, which is told once and kept nowhere."""

    key: str
    token: str


Model = TypeVar("Model", bound=BaseModel)


def register_account_api(server: Flask, accounts: Accounts) -> None:
    """Add the routes about accounts to a Flask application."""
    api = Blueprint("account_api", __name__)

    @api.get("/api/account")
    @needs(Role.VIEWER)
    def account() -> Response:
        found = require(Role.VIEWER)
        return json_answer(AccountAnswer(name=found.name, role=found.role.value, via=found.via))

    @api.get("/api/users")
    @needs(Role.ADMIN)
    def users() -> Response:
        found = accounts.users()
        return json_answer(UsersAnswer(users=[_user(found, name) for name in found.users]))

    @api.post("/api/users")
    @needs(Role.ADMIN)
    def add_user() -> Response:
        asked = _parsed(UserRequest, 'Send {"name": "anna", "role": "operator"}.')
        given = accounts.add_user(asked.name, asked.role, _actor())
        name = asked.name.strip().lower()
        return json_answer(UserAnswer(user=_user(accounts.users(), name), password=given), 201)

    @api.post("/api/users/<name>")
    @needs(Role.ADMIN)
    def change_user(name: str) -> Response:
        asked = _parsed(UserChange, 'Send {"role": "viewer"} or {"disabled": true}.')
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
    def remove_user(name: str) -> Response:
        accounts.remove_user(name, _actor())
        return json_answer(UserAnswer(user=None, password=None))

    @api.get("/api/tokens")
    @needs(Role.VIEWER, named=True)
    def tokens() -> Response:
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
    def add_token() -> Response:
        me = require(Role.VIEWER)
        asked = _parsed(TokenRequest, 'Send {"name": "Grafana", "role": "viewer", "days": 90}.')
        if not me.role.may(asked.role):
            # Its user may be more than this token is.
            raise AccountError(
                "A token may make none that may more than itself.", field="role", value=asked.role
            )
        key, text = accounts.add_token(me.name, asked.name, asked.role, asked.days, _actor())
        return json_answer(TokenAnswer(key=key, token=text), 201)

    @api.delete("/api/tokens/<key>")
    @needs(Role.VIEWER, named=True)
    def remove_token(key: str) -> Response:
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


def _parsed(model: type[Model], example: str) -> Model:
    try:
        return model.model_validate_json(request.get_data(cache=False))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InvalidRequestError(
            f"The request cannot be understood: {first['msg']}.",
            field=".".join(str(part) for part in first["loc"]) or None,
            hint=example,
        ) from exc

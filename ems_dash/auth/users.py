"""Users and API tokens as they stand in ``config/users.yaml``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from ems_dash.auth.roles import Role

USER_NAME: Final = r"^[a-z0-9][a-z0-9._@-]{0,39}$"
MOST_USERS: Final = 200

Name = Annotated[str, Field(pattern=USER_NAME)]
TokenId = Annotated[str, Field(pattern=r"^[a-z0-9]{8}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=500)


class Issued(_Stored):
    """A password that was given to a user and has to be changed at the first login.

    Attributes:
        at: When it was given.
        first: True for the first password of the installation.
        documented: True when it is the one of the manual.
        failures: Wrong passwords tried since.
    """

    at: AwareDatetime
    first: bool = False
    documented: bool = False
    failures: int = 0


class Totp(_Stored):
    """The second factor of a user: shared secret (base32) and hashes of unused recovery codes."""

    secret: str
    recovery_sha256: tuple[Sha256, ...] = ()


class User(_Stored):
    """A person who logs in.

    Attributes:
        role: What he may.
        password_hash: Argon2id.
        issued: Not None while the password has to be changed.
        disabled: True when he may not log in.
        generation: Counts what ends all his sessions; a session of an earlier one is over.
        totp: Second factor, or None.
        created: When the user was added.
        password_changed: When the password was set last.
    """

    role: Role
    password_hash: str
    issued: Issued | None = None
    disabled: bool = False
    generation: int = 0
    totp: Totp | None = None
    created: AwareDatetime
    password_changed: AwareDatetime

    @property
    def must_change(self) -> bool:
        """True while nothing but changing the password is possible."""
        return self.issued is not None


class ApiToken(_Stored):
    """A token of a program, without its secret.

    Attributes:
        user: Whose it is.
        name: What it is for.
        role: The most it may; never more than its user may.
        sha256: Hash of the secret.
        created: When it was made.
        expires: When it ends.
    """

    user: Name
    name: Annotated[str, Field(min_length=1, max_length=60)]
    role: Role
    sha256: Sha256
    created: AwareDatetime
    expires: AwareDatetime

    def is_expired(self, now: datetime) -> bool:
        """Return True when it has ended."""
        return now >= self.expires


class UsersFile(_Stored):
    """The whole of ``users.yaml``."""

    version: int = 1
    users: dict[Name, User] = Field(default_factory=dict)
    tokens: dict[TokenId, ApiToken] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _tokens_have_users(self) -> UsersFile:
        for key, token in self.tokens.items():
            if token.user not in self.users:
                raise ValueError(f"token {key} belongs to {token.user}, who does not exist")
        return self

    @property
    def admins(self) -> tuple[str, ...]:
        """Names of the admins who may log in."""
        return tuple(
            name
            for name, user in self.users.items()
            if user.role is Role.ADMIN and not user.disabled
        )

    def with_user(self, name: str, user: User) -> UsersFile:
        """Return the file with `user` as `name`."""
        return UsersFile(users={**self.users, name: user}, tokens=self.tokens)

    def without_user(self, name: str) -> UsersFile:
        """Return the file without a user and his tokens."""
        users = {key: user for key, user in self.users.items() if key != name}
        tokens = {key: token for key, token in self.tokens.items() if token.user != name}
        return UsersFile(users=users, tokens=tokens)

    def with_token(self, key: str, token: ApiToken) -> UsersFile:
        """Return the file with one more token."""
        return UsersFile(users=self.users, tokens={**self.tokens, key: token})

    def without_token(self, key: str) -> UsersFile:
        """Return the file without a token."""
        tokens = {k: token for k, token in self.tokens.items() if k != key}
        return UsersFile(users=self.users, tokens=tokens)

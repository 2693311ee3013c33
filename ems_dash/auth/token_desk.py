"""Tokens of programs: whom one stands for, and making and revoking them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ems_dash.auth import tokens
from ems_dash.auth.access import Principal
from ems_dash.auth.account_errors import AccountError, NoSuchAccountError
from ems_dash.auth.actors import Actor, record_by
from ems_dash.auth.audit import Audit
from ems_dash.auth.roles import Role
from ems_dash.auth.sender import Sender
from ems_dash.auth.sessions import SessionStore
from ems_dash.auth.user_book import UserBook, valid
from ems_dash.auth.users import ApiToken, UsersFile
from engine.domain.clock import Clock

LOCAL_TOKEN: Final = "local"
"""Id of the token that commands on this machine read from the data folder."""

MOST_TOKENS: Final = 50


class TokenDesk:
    """Knows the tokens of an installation; safe for several threads.

    Args:
        users: Keeps the tokens with their users.
        sessions: Notes when each was used.
        clock: Current time.
        audit: Keeps what was done.
    """

    def __init__(self, users: UserBook, sessions: SessionStore, clock: Clock, audit: Audit) -> None:
        self._users = users
        self._sessions = sessions
        self._clock = clock
        self._audit = audit
        self._local_sha256: str | None = None

    def principal_of(self, text: str, sender: Sender) -> Principal | None:
        """Return whom a token stands for; None when it stands for nobody, or nobody any more."""
        found = tokens.parts(text)
        if found is None:
            return None
        key, secret = found
        if key == LOCAL_TOKEN:
            known = self._local_sha256
            if known is None or not sender.is_loopback or not tokens.is_secret(secret, known):
                return None
            return Principal(LOCAL_TOKEN, Role.ADMIN, "token", key)
        users = self._users.read()
        token = users.tokens.get(key)
        if token is None or not tokens.is_secret(secret, token.sha256):
            return None
        user = users.users[token.user]
        if token.is_expired(self._clock.now()) or user.disabled or user.must_change:
            return None
        self._sessions.note_token(key, sender.address)
        role = token.role if user.role.may(token.role) else user.role
        return Principal(token.user, role, "token", key)

    def use_local(self, sha256: str) -> None:
        """Accept, from this machine, the token that was written into the data folder."""
        self._local_sha256 = sha256

    def add(self, user: str, name: str, role: Role, days: int, actor: Actor) -> tuple[str, str]:
        """Make a token; return its id and its whole text, which is kept nowhere.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: More than the user may, too long, without a name, or too many.
        """
        if not self._users.user(user).role.may(role):
            raise AccountError("A token may no more than its user.", field="role", value=role.value)
        if not 1 <= days <= tokens.LONGEST_DAYS:
            raise AccountError(
                f"A token lasts 1 to {tokens.LONGEST_DAYS} days.", field="days", value=days
            )
        key, text, hashed = tokens.new_token()
        now = self._clock.now()

        def edit(users: UsersFile) -> UsersFile:
            kept = users
            for old, found in users.tokens.items():
                if found.is_expired(now - timedelta(days=30)):
                    kept = kept.without_token(old)
            if len(kept.tokens) >= MOST_TOKENS:
                raise AccountError(f"There are {MOST_TOKENS} tokens already.", field="name")
            return valid(
                lambda: kept.with_token(
                    key,
                    ApiToken(
                        user=user,
                        name=name.strip(),
                        role=role,
                        sha256=hashed,
                        created=now,
                        expires=now + timedelta(days=days),
                    ),
                ),
                "name",
                name,
            )

        self._users.change(edit)
        record_by(
            self._audit,
            actor,
            "token.add",
            key,
            after={"user": user, "role": role.value, "days": days},
        )
        return key, text

    def remove(self, key: str, actor: Actor, user: str | None = None) -> None:
        """Revoke a token, of `user` if given.

        Raises:
            NoSuchAccountError: No such token.
        """
        token = self._users.read().tokens.get(key)
        if token is None or user not in (None, token.user):
            raise NoSuchAccountError(f"There is no token {key[:20]}.", field="token")
        self._users.change(lambda users: users.without_token(key))
        record_by(
            self._audit, actor, "token.remove", key, before={"user": token.user, "name": token.name}
        )

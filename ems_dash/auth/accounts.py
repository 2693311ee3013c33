"""The accounts of an installation: logging in, one's own account, managing users and tokens.

Every method that changes something writes it down and raises an `EmsError` that says what is
wrong; nothing here knows of HTTP.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ems_dash.auth import tokens, totp
from ems_dash.auth.access import Principal
from ems_dash.auth.audit import Audit
from ems_dash.auth.first_login import first_login_pending, is_expired, setup_code
from ems_dash.auth.passwords import Passwords, check_new_password, temporary_password
from ems_dash.auth.roles import Role
from ems_dash.auth.sender import Sender
from ems_dash.auth.sessions import Session, SessionStore
from ems_dash.auth.throttle import Lockout, Throttle
from ems_dash.auth.user_store import UserStore
from ems_dash.auth.users import MOST_USERS, ApiToken, Issued, Totp, User, UsersFile
from engine.domain.clock import Clock
from engine.domain.errors import EmsError

log = logging.getLogger(__name__)

LOCAL_TOKEN: Final = "local"
"""Id of the token that commands on this machine read from the data folder."""

MOST_TOKENS: Final = 50


class LoginFailedError(EmsError):
    """Name and password, or the code, do not fit."""

    code = "login_failed"


class FirstPasswordExpiredError(EmsError):
    """The password that was given can no longer be used."""

    code = "first_password_expired"


class SetupCodeError(EmsError):
    """A first login from outside needs the code of the log."""

    code = "setup_code"


class AccountError(EmsError):
    """Something about users or tokens that cannot be done."""

    code = "account"


class NoSuchAccountError(EmsError):
    """There is no such user, session or token."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where."""

    name: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A session with its user as he is now."""

    name: str
    user: User
    session: Session


class Accounts:
    """The accounts of one installation; safe for several threads.

    Args:
        users: Users and tokens.
        sessions: Sessions.
        passwords: Hashes and checks passwords.
        clock: Current time.
        audit: Keeps what was done.
    """

    def __init__(
        self,
        users: UserStore,
        sessions: SessionStore,
        passwords: Passwords,
        clock: Clock,
        audit: Audit,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._clock = clock
        self._audit = audit
        self._throttle = Throttle(clock, sessions)
        self._setup_code = setup_code()
        self._local_sha256: str | None = None

    # Who is there.

    @property
    def first_login_pending(self) -> bool:
        """True while the first password of the installation has not been changed."""
        return first_login_pending(self._users.read())

    @property
    def setup_code(self) -> str:
        """The code that a first login from outside the private networks needs; for the log."""
        return self._setup_code

    def now(self) -> datetime:
        """Return the current time."""
        return self._clock.now()

    def users(self) -> UsersFile:
        """Return all users and tokens."""
        return self._users.read()

    def sessions(self, user: str | None = None) -> tuple[Session, ...]:
        """Return the sessions of `user`, or all, newest first."""
        return self._sessions.sessions(user)

    def lockouts(self) -> tuple[Lockout, ...]:
        """Return who has to wait after wrong passwords."""
        return self._throttle.lockouts()

    def token_uses(self) -> dict[str, datetime]:
        """Return token id to when it was used last."""
        return self._sessions.token_uses()

    def login_of(self, sid: str) -> Login | None:
        """Return who is logged in with session id `sid`; None when that session is over."""
        session = self._sessions.find(sid)
        if session is None:
            return None
        user = self._users.read().users.get(session.user)
        if user is None or user.disabled or user.generation != session.generation:
            self._sessions.end_key(session.key)
            return None
        return Login(session.user, user, session)

    def principal_of_token(self, text: str, sender: Sender) -> Principal | None:
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

    def use_local_token(self, sha256: str) -> None:
        """Accept, from this machine, the token that was written into the data folder."""
        self._local_sha256 = sha256

    # Logging in.

    def check_password(self, name: str, password: str, sender: Sender, code: str = "") -> str:
        """Return the name of the user whose password this is.

        Args:
            name: What was typed as a name; case does not matter.
            password: What was typed as a password.
            sender: Where from.
            code: The code of the log, for a first login from outside.

        Raises:
            TooManyAttemptsError: He, or everybody together, has to wait.
            LoginFailedError: No such user, wrong password, or disabled.
            SetupCodeError: Name and password are right, and the code is missing or wrong.
            FirstPasswordExpiredError: The first password is no longer accepted.
        """
        name = name.strip().lower()[:80]
        self._throttle.check(sender.address, name)
        user = self._users.read().users.get(name)
        issued = None if user is None else user.issued
        expired = issued is not None and is_expired(issued, self._clock.now())
        usable = user is not None and not user.disabled and not expired
        stored = user.password_hash if user is not None and usable else None
        if not self._passwords.matches(stored, password):
            if expired and sender.is_private:
                raise FirstPasswordExpiredError(
                    "The password that was given has expired.",
                    hint=f"Run: python -m ems_dash user set-password {name}",
                )
            self._failed(name, sender)
            raise LoginFailedError("User name or password is wrong.")
        assert user is not None
        if issued is not None and issued.first and not sender.is_private:
            self._check_setup_code(name, code, sender)
        self._throttle.succeeded(sender.address, name)
        if self._passwords.is_outdated(user.password_hash):
            hashed = self._passwords.hash(password)
            self._edit(name, lambda u: u.model_copy(update={"password_hash": hashed}))
        return name

    def needs_code(self, name: str) -> bool:
        """Return True when the user has a second factor."""
        return self._user(name).totp is not None

    def check_code(self, name: str, code: str, sender: Sender) -> None:
        """Accept a one-time code or a recovery code of a user, once.

        Raises:
            TooManyAttemptsError: He has to wait.
            LoginFailedError: The code is wrong or was used before.
        """
        # Counted apart: a right password in between must not clear wrong codes.
        pair = f"{name} (code)"
        self._throttle.check(sender.address, pair)
        factor = self._user(name).totp
        if factor is None:
            return
        step = totp.step_of(factor.secret, code, self._clock.now())
        if step is not None and self._sessions.take_totp_step(name, step):
            self._throttle.succeeded(sender.address, pair)
            return
        left = totp.without_code(factor, code)
        if left is None:
            self._failed(name, sender, pair)
            raise LoginFailedError("The code is wrong or was used before.", field="code")
        self._edit(name, lambda u: u.model_copy(update={"totp": left}))
        self._throttle.succeeded(sender.address, pair)
        self._audit.record(name, "login.recovery_code", name, after="used", address=sender.address)

    def begin(self, name: str, sender: Sender) -> str:
        """Begin a session of a user who has shown who he is; return its id."""
        user = self._user(name)
        self._audit.record(name, "login", name, address=sender.address)
        return self._sessions.begin(name, user.generation, sender.address, sender.agent)

    def log_out(self, login: Login, sid: str, address: str) -> None:
        """End a session."""
        self._sessions.end(sid)
        self._audit.record(login.name, "logout", login.name, address=address)

    # One's own account.

    def change_password(
        self, login: Login, sid: str, old: str | None, new: str, sender: Sender
    ) -> None:
        """Set a new password; all other sessions of the user end.

        Args:
            login: Who.
            sid: The session that lives on.
            old: The present password; not asked for while it has to be changed.
            new: The new one.
            sender: Where from.

        Raises:
            LoginFailedError: `old` is wrong.
            PasswordRefusedError: `new` is not good enough.
            TooManyAttemptsError: Too many wrong ones.
        """
        name = login.name
        if not login.user.must_change:
            self._confirm(name, old or "", sender)
        check_new_password(new, name)
        if self._passwords.matches(login.user.password_hash, new):
            raise AccountError("This is the present password.", field="password", value="same")
        self._set_password(name, new, issued=None)
        self._sessions.move_on(sid, self._user(name).generation)
        self._sessions.end_all(name, but=login.session.key)
        self._audit.record(name, "user.password", name, after="changed", address=sender.address)

    def set_totp(self, login: Login, secret: str, code: str, sender: Sender) -> tuple[str, ...]:
        """Take over a second factor once its first code is right; return the recovery codes.

        Raises:
            LoginFailedError: The code is wrong.
        """
        step = totp.step_of(secret, code, self._clock.now())
        if step is None or not self._sessions.take_totp_step(login.name, step):
            raise LoginFailedError("The code is wrong.", field="code")
        codes = totp.new_recovery_codes()
        factor = Totp(secret=secret, recovery_sha256=totp.hashed(codes))
        self._edit(login.name, lambda u: u.model_copy(update={"totp": factor}))
        self._audit.record(login.name, "user.totp", login.name, after="on", address=sender.address)
        return codes

    def drop_own_totp(self, login: Login, password: str, sender: Sender) -> None:
        """Give up the second factor.

        Raises:
            LoginFailedError: The password is wrong.
        """
        self._confirm(login.name, password, sender)
        self.drop_totp(login.name, Actor(login.name, sender.address))

    # Managing users.

    def add_user(self, name: str, role: Role, actor: Actor, password: str | None = None) -> str:
        """Add a user and return the password for his first login.

        Args:
            name: His name.
            role: What he may.
            actor: Who adds him.
            password: The first password; None for a random one.

        Raises:
            AccountError: The name is taken or not possible, or there are too many.
            PasswordRefusedError: `password` is not good enough.
        """
        name = name.strip().lower()
        given = self._given(name, password)
        now = self._clock.now()
        hashed = self._passwords.hash(given)

        def edit(users: UsersFile) -> UsersFile:
            if name in users.users:
                raise AccountError(f"There is a user {name} already.", field="name", value="taken")
            if len(users.users) >= MOST_USERS:
                raise AccountError(f"There are {MOST_USERS} users already.", field="name")
            user = User(
                role=role,
                password_hash=hashed,
                issued=Issued(at=now),
                created=now,
                password_changed=now,
            )
            return _valid(lambda: users.with_user(name, user), "name", name)

        self._users.change(edit)
        self._record(actor, "user.add", name, after={"role": role.value})
        return given

    def set_role(self, name: str, role: Role, actor: Actor) -> None:
        """Give a user another role; his sessions end.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: He is the last admin.
        """
        before = self._user(name).role
        if before is role:
            return
        self._edit(name, lambda u: _again(u, role=role), keep_admin=True)
        self._sessions.end_all(name)
        self._record(actor, "user.role", name, before=before.value, after=role.value)

    def set_disabled(self, name: str, disabled: bool, actor: Actor) -> None:
        """Let a user in no more, or again; his sessions end.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: He is the last admin.
        """
        if self._user(name).disabled is disabled:
            return
        self._edit(name, lambda u: _again(u, disabled=disabled), keep_admin=True)
        self._sessions.end_all(name)
        self._record(actor, "user.disabled", name, before=not disabled, after=disabled)

    def remove_user(self, name: str, actor: Actor) -> None:
        """Remove a user with his tokens and sessions.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: He is the last admin.
        """
        before = self._user(name).role

        def edit(users: UsersFile) -> UsersFile:
            return _with_admin(users.without_user(name))

        self._users.change(edit)
        self._sessions.end_all(name)
        self._record(actor, "user.remove", name, before={"role": before.value})

    def reset_password(self, name: str, actor: Actor, password: str | None = None) -> str:
        """Give a user a password for his next login and return it; his sessions end.

        Raises:
            NoSuchAccountError: No such user.
            PasswordRefusedError: `password` is not good enough.
        """
        self._user(name)
        given = self._given(name, password)
        self._set_password(name, given, issued=Issued(at=self._clock.now()))
        self._sessions.end_all(name)
        self._record(actor, "user.password", name, after="reset")
        return given

    def drop_totp(self, name: str, actor: Actor) -> None:
        """Take the second factor from a user, for example when his telephone is lost.

        Raises:
            NoSuchAccountError: No such user.
        """
        if self._user(name).totp is None:
            return
        self._edit(name, lambda u: u.model_copy(update={"totp": None}))
        self._record(actor, "user.totp", name, before="on", after="off")

    def end_sessions(self, name: str, actor: Actor, but: str | None = None) -> int:
        """End all sessions of a user but the one with the key `but`; return how many.

        Raises:
            NoSuchAccountError: No such user.
        """
        self._user(name)
        ended = self._sessions.end_all(name, but)
        self._record(actor, "session.end_all", name, after=ended)
        return ended

    def end_session(self, key: str, actor: Actor, user: str | None = None) -> None:
        """End one session, of `user` if given.

        Raises:
            NoSuchAccountError: No such session.
        """
        if not self._sessions.end_key(key, user):
            raise NoSuchAccountError(f"There is no session {key[:20]}.", field="session")
        self._record(actor, "session.end", key)

    # Tokens.

    def add_token(
        self, user: str, name: str, role: Role, days: int, actor: Actor
    ) -> tuple[str, str]:
        """Make a token; return its id and its whole text, which is kept nowhere.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: More than the user may, too long, without a name, or too many.
        """
        if not self._user(user).role.may(role):
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
            return _valid(
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
        self._record(
            actor, "token.add", key, after={"user": user, "role": role.value, "days": days}
        )
        return key, text

    def remove_token(self, key: str, actor: Actor, user: str | None = None) -> None:
        """Revoke a token, of `user` if given.

        Raises:
            NoSuchAccountError: No such token.
        """
        token = self._users.read().tokens.get(key)
        if token is None or user not in (None, token.user):
            raise NoSuchAccountError(f"There is no token {key[:20]}.", field="token")
        self._users.change(lambda users: users.without_token(key))
        self._record(actor, "token.remove", key, before={"user": token.user, "name": token.name})

    # Parts.

    def _user(self, name: str) -> User:
        return _found(self._users.read(), name)

    def _edit(self, name: str, edit: Callable[[User], User], *, keep_admin: bool = False) -> None:
        def change(users: UsersFile) -> UsersFile:
            changed = users.with_user(name, edit(_found(users, name)))
            return _with_admin(changed) if keep_admin else changed

        self._users.change(change)

    def _set_password(self, name: str, password: str, issued: Issued | None) -> None:
        hashed, now = self._passwords.hash(password), self._clock.now()
        self._edit(
            name,
            lambda u: _again(u, password_hash=hashed, issued=issued, password_changed=now),
        )

    def _given(self, name: str, password: str | None) -> str:
        if password is None:
            return temporary_password()
        check_new_password(password, name)
        return password

    def _confirm(self, name: str, password: str, sender: Sender) -> None:
        self._throttle.check(sender.address, name)
        if not self._passwords.matches(self._user(name).password_hash, password):
            self._failed(name, sender)
            raise LoginFailedError("The present password is wrong.", field="old")
        self._throttle.succeeded(sender.address, name)

    def _failed(self, name: str, sender: Sender, pair: str | None = None) -> None:
        user = self._users.read().users.get(name)
        wait_s = self._throttle.failed(sender.address, pair or name, keep=user is not None)
        if user is not None and user.issued is not None:
            self._edit(name, _with_failure)
        shown = name if user is not None else "(unknown user)"
        self._audit.record(shown, "login.failed", shown, address=sender.address, outcome="refused")
        if wait_s:
            log.warning("%s has to wait %.0f s to log in as %s", sender.address, wait_s, shown)
            self._audit.record(
                shown, "login.blocked", shown, after=f"{wait_s:.0f} s", address=sender.address
            )

    def _check_setup_code(self, name: str, code: str, sender: Sender) -> None:
        if hmac.compare_digest(code.strip().upper().encode(), self._setup_code.encode()):
            return
        if code:
            self._failed(name, sender)
        raise SetupCodeError(
            "The first login from outside this network needs the code of the log.",
            field="setup_code",
            hint="Look for 'set-up code' in the log of EMS Dash, or log in on its own machine.",
        )

    def _record(
        self, actor: Actor, action: str, target: str, *, before: object = None, after: object = None
    ) -> None:
        self._audit.record(
            actor.name, action, target, before=before, after=after, address=actor.address
        )


def _found(users: UsersFile, name: str) -> User:
    user = users.users.get(name)
    if user is None:
        raise NoSuchAccountError(f"There is no user {name[:40]}.", field="user")
    return user


def _again(user: User, **changed: object) -> User:
    """Return the changed user with all his sessions ended."""
    return user.model_copy(update={**changed, "generation": user.generation + 1})


def _with_failure(user: User) -> User:
    if user.issued is None:
        return user
    issued = user.issued.model_copy(update={"failures": user.issued.failures + 1})
    return user.model_copy(update={"issued": issued})


def _with_admin(users: UsersFile) -> UsersFile:
    if not users.admins:
        raise AccountError(
            "The last admin has to stay.",
            field="role",
            value="last_admin",
            hint="Make somebody else an admin first.",
        )
    return users


def _valid(make: Callable[[], UsersFile], field: str, value: str) -> UsersFile:
    try:
        return make()
    except ValueError as exc:
        raise AccountError(
            f"'{value[:40]}' is not possible as a name.",
            field=field,
            value="name",
            hint="Use small letters, digits and . _ - @, at most 40 characters.",
        ) from exc

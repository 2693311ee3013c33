"""The accounts of an installation: logging in, one's own account, managing users and tokens.

Every method that changes something writes it down and raises an `EmsError` that says what is
wrong; nothing here knows of HTTP.
"""

from __future__ import annotations

from datetime import datetime

from ems_dash.auth import totp
from ems_dash.auth.access import Principal
from ems_dash.auth.account_errors import AccountError, LoginFailedError, NoSuchAccountError
from ems_dash.auth.actors import Actor, Login, record_by
from ems_dash.auth.audit import Audit
from ems_dash.auth.credentials import Credentials
from ems_dash.auth.first_login import first_login_pending
from ems_dash.auth.passwords import Passwords, check_new_password, temporary_password
from ems_dash.auth.roles import Role
from ems_dash.auth.sender import Sender
from ems_dash.auth.sessions import Session, SessionStore
from ems_dash.auth.throttle import Lockout
from ems_dash.auth.token_desk import TokenDesk
from ems_dash.auth.user_book import UserBook, again, valid, with_admin
from ems_dash.auth.user_store import UserStore
from ems_dash.auth.users import MOST_USERS, Issued, Totp, User, UsersFile
from engine.domain.clock import Clock


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
        self._users = UserBook(users)
        self._sessions = sessions
        self._passwords = passwords
        self._clock = clock
        self._audit = audit
        self._credentials = Credentials(self._users, sessions, passwords, clock, audit)
        self._tokens = TokenDesk(self._users, sessions, clock, audit)

    # Who is there.

    @property
    def first_login_pending(self) -> bool:
        """True while the first password of the installation has not been changed."""
        return first_login_pending(self._users.read())

    @property
    def setup_code(self) -> str:
        """The code that a first login from outside the private networks needs; for the log."""
        return self._credentials.setup_code

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
        return self._credentials.lockouts()

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
        return self._tokens.principal_of(text, sender)

    def use_local_token(self, sha256: str) -> None:
        """Accept, from this machine, the token that was written into the data folder."""
        self._tokens.use_local(sha256)

    # Logging in.

    def check_password(self, name: str, password: str, sender: Sender, code: str = "") -> str:
        """Return the name of the user whose password this is (`Credentials.check_password`)."""
        return self._credentials.check_password(name, password, sender, code)

    def needs_code(self, name: str) -> bool:
        """Return True when the user has a second factor."""
        return self._users.user(name).totp is not None

    def check_code(self, name: str, code: str, sender: Sender) -> None:
        """Accept a one-time code or a recovery code of a user, once.

        Raises:
            TooManyAttemptsError: He has to wait.
            LoginFailedError: The code is wrong or was used before.
        """
        self._credentials.check_code(name, code, sender)

    def begin(self, name: str, sender: Sender) -> str:
        """Begin a session of a user who has shown who he is; return its id."""
        user = self._users.user(name)
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
            self._credentials.confirm(name, old or "", sender)
        check_new_password(new, name)
        if self._passwords.matches(login.user.password_hash, new):
            raise AccountError("This is the present password.", field="password", value="same")
        self._set_password(name, new, issued=None)
        self._sessions.move_on(sid, self._users.user(name).generation)
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
        self._users.edit(login.name, lambda u: u.model_copy(update={"totp": factor}))
        self._audit.record(login.name, "user.totp", login.name, after="on", address=sender.address)
        return codes

    def drop_own_totp(self, login: Login, password: str, sender: Sender) -> None:
        """Give up the second factor.

        Raises:
            LoginFailedError: The password is wrong.
        """
        self._credentials.confirm(login.name, password, sender)
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
            return valid(lambda: users.with_user(name, user), "name", name)

        self._users.change(edit)
        record_by(self._audit, actor, "user.add", name, after={"role": role.value})
        return given

    def set_role(self, name: str, role: Role, actor: Actor) -> None:
        """Give a user another role; his sessions end.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: He is the last admin.
        """
        before = self._users.user(name).role
        if before is role:
            return
        self._users.edit(name, lambda u: again(u, role=role), keep_admin=True)
        self._sessions.end_all(name)
        record_by(self._audit, actor, "user.role", name, before=before.value, after=role.value)

    def set_disabled(self, name: str, disabled: bool, actor: Actor) -> None:
        """Let a user in no more, or again; his sessions end.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: He is the last admin.
        """
        if self._users.user(name).disabled is disabled:
            return
        self._users.edit(name, lambda u: again(u, disabled=disabled), keep_admin=True)
        self._sessions.end_all(name)
        record_by(self._audit, actor, "user.disabled", name, before=not disabled, after=disabled)

    def remove_user(self, name: str, actor: Actor) -> None:
        """Remove a user with his tokens and sessions.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: He is the last admin.
        """
        before = self._users.user(name).role

        def edit(users: UsersFile) -> UsersFile:
            return with_admin(users.without_user(name))

        self._users.change(edit)
        self._sessions.end_all(name)
        record_by(self._audit, actor, "user.remove", name, before={"role": before.value})

    def reset_password(self, name: str, actor: Actor, password: str | None = None) -> str:
        """Give a user a password for his next login and return it; his sessions end.

        Raises:
            NoSuchAccountError: No such user.
            PasswordRefusedError: `password` is not good enough.
        """
        self._users.user(name)
        given = self._given(name, password)
        self._set_password(name, given, issued=Issued(at=self._clock.now()))
        self._sessions.end_all(name)
        record_by(self._audit, actor, "user.password", name, after="reset")
        return given

    def drop_totp(self, name: str, actor: Actor) -> None:
        """Take the second factor from a user, for example when his telephone is lost.

        Raises:
            NoSuchAccountError: No such user.
        """
        if self._users.user(name).totp is None:
            return
        self._users.edit(name, lambda u: u.model_copy(update={"totp": None}))
        record_by(self._audit, actor, "user.totp", name, before="on", after="off")

    def end_sessions(self, name: str, actor: Actor, but: str | None = None) -> int:
        """End all sessions of a user but the one with the key `but`; return how many.

        Raises:
            NoSuchAccountError: No such user.
        """
        self._users.user(name)
        ended = self._sessions.end_all(name, but)
        record_by(self._audit, actor, "session.end_all", name, after=ended)
        return ended

    def end_session(self, key: str, actor: Actor, user: str | None = None) -> None:
        """End one session, of `user` if given.

        Raises:
            NoSuchAccountError: No such session.
        """
        if not self._sessions.end_key(key, user):
            raise NoSuchAccountError(f"There is no session {key[:20]}.", field="session")
        record_by(self._audit, actor, "session.end", key)

    # Tokens.

    def add_token(
        self, user: str, name: str, role: Role, days: int, actor: Actor
    ) -> tuple[str, str]:
        """Make a token; return its id and its whole text, which is kept nowhere.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: More than the user may, too long, without a name, or too many.
        """
        return self._tokens.add(user, name, role, days, actor)

    def remove_token(self, key: str, actor: Actor, user: str | None = None) -> None:
        """Revoke a token, of `user` if given.

        Raises:
            NoSuchAccountError: No such token.
        """
        self._tokens.remove(key, actor, user)

    # Parts.

    def _set_password(self, name: str, password: str, issued: Issued | None) -> None:
        hashed, now = self._passwords.hash(password), self._clock.now()
        self._users.edit(
            name,
            lambda u: again(u, password_hash=hashed, issued=issued, password_changed=now),
        )

    def _given(self, name: str, password: str | None) -> str:
        if password is None:
            return temporary_password()
        check_new_password(password, name)
        return password

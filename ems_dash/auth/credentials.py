"""Passwords and codes of people who log in: checked, counted, and written down when wrong."""

from __future__ import annotations

import hmac
import logging

from ems_dash.auth import totp
from ems_dash.auth.account_errors import (
    FirstPasswordExpiredError,
    LoginFailedError,
    SetupCodeError,
)
from ems_dash.auth.audit import Audit
from ems_dash.auth.first_login import is_expired, setup_code
from ems_dash.auth.passwords import Passwords
from ems_dash.auth.sender import Sender
from ems_dash.auth.sessions import SessionStore
from ems_dash.auth.throttle import Lockout, Throttle
from ems_dash.auth.user_book import UserBook
from ems_dash.auth.users import User
from engine.domain.clock import Clock

log = logging.getLogger(__name__)


class Credentials:
    """Tells whether somebody is who he says he is; safe for several threads.

    Args:
        users: Users.
        sessions: Keeps which codes were used, and the waits after wrong passwords.
        passwords: Checks passwords.
        clock: Current time.
        audit: Keeps what failed.

    Attributes:
        setup_code: What a first login from outside the private networks needs.
    """

    def __init__(
        self,
        users: UserBook,
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
        self.setup_code = setup_code()

    def lockouts(self) -> tuple[Lockout, ...]:
        """Return who has to wait after wrong passwords."""
        return self._throttle.lockouts()

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
            self._users.edit(name, lambda u: u.model_copy(update={"password_hash": hashed}))
        return name

    def check_code(self, name: str, code: str, sender: Sender) -> None:
        """Accept a one-time code or a recovery code of a user, once.

        Raises:
            TooManyAttemptsError: He has to wait.
            LoginFailedError: The code is wrong or was used before.
        """
        # Counted apart: a right password in between must not clear wrong codes.
        pair = f"{name} (code)"
        self._throttle.check(sender.address, pair)
        factor = self._users.user(name).totp
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
        self._users.edit(name, lambda u: u.model_copy(update={"totp": left}))
        self._throttle.succeeded(sender.address, pair)
        self._audit.record(name, "login.recovery_code", name, after="used", address=sender.address)

    def confirm(self, name: str, password: str, sender: Sender) -> None:
        """Make sure that it is the user himself who asks.

        Raises:
            TooManyAttemptsError: He has to wait.
            LoginFailedError: It is not his present password.
        """
        self._throttle.check(sender.address, name)
        if not self._passwords.matches(self._users.user(name).password_hash, password):
            self._failed(name, sender)
            raise LoginFailedError("The present password is wrong.", field="old")
        self._throttle.succeeded(sender.address, name)

    def _failed(self, name: str, sender: Sender, pair: str | None = None) -> None:
        user = self._users.read().users.get(name)
        wait_s = self._throttle.failed(sender.address, pair or name, keep=user is not None)
        if user is not None and user.issued is not None:
            self._users.edit(name, _with_failure)
        shown = name if user is not None else "(unknown user)"
        self._audit.record(shown, "login.failed", shown, address=sender.address, outcome="refused")
        if wait_s:
            log.warning("%s has to wait %.0f s to log in as %s", sender.address, wait_s, shown)
            self._audit.record(
                shown, "login.blocked", shown, after=f"{wait_s:.0f} s", address=sender.address
            )

    def _check_setup_code(self, name: str, code: str, sender: Sender) -> None:
        if hmac.compare_digest(code.strip().upper().encode(), self.setup_code.encode()):
            return
        if code:
            self._failed(name, sender)
        raise SetupCodeError(
            "The first login from outside this network needs the code of the log.",
            field="setup_code",
            hint="Look for 'set-up code' in the log of EMS Dash, or log in on its own machine.",
        )


def _with_failure(user: User) -> User:
    if user.issued is None:
        return user
    issued = user.issued.model_copy(update={"failures": user.issued.failures + 1})
    return user.model_copy(update={"issued": issued})

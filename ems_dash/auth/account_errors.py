"""What can go wrong with users, logins and tokens."""

from __future__ import annotations

from engine.domain.errors import EmsError


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

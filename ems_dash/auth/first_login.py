"""The first login of an installation, and other passwords that were given and not chosen.

The documented first password gives no control to whoever finds a forgotten installation: it is
accepted from this machine and private networks only (from elsewhere a one-time code of the log
is needed too), it ends after a day or 20 wrong ones, and all it opens is the page to change it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from ems_dash.auth.passwords import FIRST_PASSWORD, Passwords
from ems_dash.auth.roles import Role
from ems_dash.auth.users import Issued, User, UsersFile

FIRST_USER: Final = "admin"
PASSWORD_VARIABLE: Final = "EMS_ADMIN_PASSWORD"
FIRST_LIFE: Final = timedelta(hours=24)
ISSUED_LIFE: Final = timedelta(hours=72)
MOST_FAILURES: Final = 20


def first_users(passwords: Passwords, environ: Mapping[str, str], now: datetime) -> UsersFile:
    """Return the users of a fresh installation: one admin who has to change his password.

    Args:
        passwords: Hashes the password.
        environ: `PASSWORD_VARIABLE` replaces the documented password.
        now: Current time.
    """
    own = environ.get(PASSWORD_VARIABLE)
    admin = User(
        role=Role.ADMIN,
        password_hash=passwords.hash(own or FIRST_PASSWORD),
        issued=Issued(at=now, first=True, documented=not own),
        created=now,
        password_changed=now,
    )
    return UsersFile(users={FIRST_USER: admin})


def is_expired(issued: Issued, now: datetime) -> bool:
    """Return True when a given password can no longer be used to log in."""
    life = FIRST_LIFE if issued.first else ISSUED_LIFE
    return now - issued.at >= life or issued.failures >= MOST_FAILURES


def first_login_pending(users: UsersFile) -> bool:
    """Return True while the first password of the installation has not been changed."""
    return any(u.issued is not None and u.issued.first for u in users.users.values())


def setup_code() -> str:
    """Return a one-time code for a first login from outside the private networks."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "".join(secrets.choice(letters) for _ in range(10))

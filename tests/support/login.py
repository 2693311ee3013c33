"""Accounts of tests that drive the real server: three users, a token for each, and logging in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from selenium.webdriver.support.ui import WebDriverWait

from ems_dash.auth.passwords import Passwords
from ems_dash.auth.roles import Role
from ems_dash.auth.tokens import sha256
from ems_dash.auth.user_store import UserStore
from ems_dash.auth.users import ApiToken, User, UsersFile

PASSWORD: Final = "nine wise otters juggling"
CHEAP: Final = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
"""Argon2id that costs nothing; of other parameters than the program's, so a login replaces it."""

_SECRET: Final = "s3cret-of-tests"
_LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(2100, 1, 1, tzinfo=UTC)


def token(role: Role = Role.ADMIN) -> str:
    """Return the API token of the user called like `role`."""
    return f"ems_{_key(role)}_{_SECRET}"


def bearer(role: Role = Role.ADMIN) -> dict[str, str]:
    """Return the header that makes a request one of the user called like `role`."""
    return {"Authorization": f"Bearer {token(role)}"}


def users() -> UsersFile:
    """Return users ``admin``, ``operator`` and ``viewer``, all with `PASSWORD` and a token."""
    hashed = CHEAP.hash(PASSWORD)
    return UsersFile(
        users={
            role.value: User(
                role=role, password_hash=hashed, created=_LONG_AGO, password_changed=_LONG_AGO
            )
            for role in Role
        },
        tokens={
            _key(role): ApiToken(
                user=role.value,
                name="tests",
                role=role,
                sha256=sha256(_SECRET),
                created=_LONG_AGO,
                expires=_NEVER,
            )
            for role in Role
        },
    )


def prepare(config_dir: Path) -> None:
    """Write `users` into a folder of a configuration that has no users yet."""
    UserStore(config_dir / "users.yaml").create(users())


def log_in(driver: Any, url: str, name: str = "admin", password: str = PASSWORD) -> None:
    """Log a browser in through the form."""
    driver.get(f"{url.rstrip('/')}/login")
    driver.find_element("id", "name").send_keys(name)
    driver.find_element("id", "password").send_keys(password)
    # By script: the driver clicks where an element was when the page began to scroll smoothly.
    driver.execute_script("document.querySelector('.acc-form button').click()")
    WebDriverWait(driver, 60).until(lambda d: urlsplit(d.current_url).path != "/login")


def _key(role: Role) -> str:
    return role.value.ljust(8, "0")[:8]

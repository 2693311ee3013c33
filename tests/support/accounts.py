"""Accounts over a folder of their own, a clock moved by hand, and an application in front."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from flask import Flask
from flask.testing import FlaskClient

from ems_dash.app import create_app
from ems_dash.auth.accounts import Accounts
from ems_dash.auth.sender import sender
from ems_dash.auth.web import WebAccess, open_accounts, serve_accounts
from ems_dash.services import Services
from engine.config.access import AccessConfig, ServerConfig
from engine.config.schema import Config
from engine.domain.clock import ManualClock
from tests.support.login import CHEAP, PASSWORD, prepare

START: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
HERE: Final = sender("127.0.0.1", "test")
OUTSIDE: Final = sender("203.0.113.7", "test")


@dataclass
class RecordedAudit:
    """Remembers what was written down."""

    entries: list[tuple[str, str, str]] = field(default_factory=list)

    def record(self, actor: str, action: str, target: str, **_more: Any) -> None:
        self.entries.append((actor, action, target))

    def actions(self) -> list[str]:
        return [action for _, action, _ in self.entries]


@dataclass
class World:
    """One installation.

    Attributes:
        folder: Its configuration and data.
        clock: Its time.
        audit: What was written down.
        accounts: Its accounts.
        config: Its configuration.
    """

    folder: Path
    clock: ManualClock
    audit: RecordedAudit
    accounts: Accounts
    config: Config

    @classmethod
    def make(
        cls,
        folder: Path,
        *,
        prepared: bool = True,
        environ: dict[str, str] | None = None,
        access: AccessConfig | None = None,
        server: ServerConfig | None = None,
    ) -> World:
        """Return an installation with the users of `tests.support.login`, or a fresh one."""
        if prepared:
            (folder / "config").mkdir(exist_ok=True)
            prepare(folder / "config")
        clock, audit = ManualClock(START), RecordedAudit()
        config = Config(access=access or AccessConfig(), server=server or ServerConfig())
        world = cls(folder, clock, audit, None, config)  # type: ignore[arg-type]
        world.accounts = world.opened(environ)
        return world

    def opened(self, environ: dict[str, str] | None = None) -> Accounts:
        """Return the accounts as the next start of the program would open them."""
        return open_accounts(
            self.folder / "config",
            self.folder / "data",
            self.config.access,
            self.clock,
            self.audit,
            environ=environ or {},
            passwords=CHEAP,
        )

    def pass_time(self, **length: float) -> None:
        """Let time pass: ``minutes=5``."""
        self.clock.advance(timedelta(**length).total_seconds())

    def access(self) -> WebAccess:
        """Return the access of the web application."""
        return serve_accounts(self.accounts, self.folder / "data", self.config)

    def server(self, services: Services) -> Flask:
        """Return the whole web application over `services`."""
        server: Flask = create_app(services, access=self.access()).server
        return server


def token_in(page: str) -> str:
    """Return the CSRF token of the first form of a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found.group(1)


def log_in(client: FlaskClient, name: str = "admin", password: str = PASSWORD, **more: str) -> Any:
    """Send the login form as a browser would; return the answer."""
    token = token_in(client.get("/login").text)
    form = {"name": name, "password": password, "csrf_token": token, **more}
    return client.post("/login", data=form)


def csrf_of(client: FlaskClient) -> dict[str, str]:
    """Return the header that Dash sends with every callback of the page."""
    cookie = client.get_cookie("ems_csrf")
    assert cookie is not None
    return {"X-CSRFToken": cookie.value}

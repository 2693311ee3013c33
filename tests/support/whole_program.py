"""The whole program in one process, with real files: server, engine and audit log, no threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from ems_dash.auth.roles import Role
from ems_dash.server import ServerOptions, build_server
from engine.audit.entry import AuditEntry
from engine.audit.reading import AuditQuery, read_page
from engine.config.load import FILE_NAME
from engine.runtime.engine import Engine
from engine.runtime.sites import SiteEngines
from tests.support.login import bearer, prepare


@dataclass(frozen=True)
class Program:
    """A program that was built but not started.

    Attributes:
        server: The web application.
        sites: The engines; one control cycle each has run, without a device read or a plan made.
        folder: Holds ``config`` and ``data``.
    """

    server: Flask
    sites: SiteEngines
    folder: Path

    @property
    def engine(self) -> Engine:
        """The engine of the first site."""
        return self.sites.engines[0]

    def ask(self, method: str, path: str, role: str = "admin", **what: Any) -> TestResponse:
        """Send a request as a user with `role`."""
        headers = {**bearer(Role(role)), **what.pop("headers", {})}
        return self.server.test_client().open(
            path, method=method, headers=headers, buffered=True, **what
        )

    def audit(self, action: str | None = None) -> list[AuditEntry]:
        """Return the newest entries of the audit log, newest first."""
        query = AuditQuery(action=action, limit=500)
        return list(read_page(self.folder / "data" / "audit", query).entries)

    def stop(self) -> None:
        """Stop the engines."""
        self.sites.stop()


def build(folder: Path, ems_yaml: str = "") -> Program:
    """Return a program over `folder` with the users of `tests.support.login`."""
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    if ems_yaml:
        (config / FILE_NAME).write_text(ems_yaml, encoding="utf-8")
    prepare(config)
    server, sites = build_server(ServerOptions("127.0.0.1", 0, config, folder / "data"))
    for engine in sites.engines:
        engine.step()
    return Program(server, sites, folder)

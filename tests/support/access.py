"""Access objects of tests whose subject is not access itself."""

from __future__ import annotations

from typing import Final

from flask import Flask, Request

from ems_dash.auth.access import OpenAccess, Principal, install_access
from ems_dash.auth.roles import Role

OPEN: Final = OpenAccess()
"""Everybody is an admin."""

AS_VIEWER: Final = {"X-Test-Role": "viewer"}
AS_OPERATOR: Final = {"X-Test-Role": "operator"}


class RoleByHeader:
    """Everybody is what the header ``X-Test-Role`` says, an admin without it."""

    def identify(self, request: Request) -> Principal | None:
        role = Role(request.headers.get("X-Test-Role", Role.ADMIN))
        return Principal("tester", role, "open")

    def install(self, server: Flask) -> None:
        pass


def open_flask() -> Flask:
    """Return a Flask application that believes the header of `RoleByHeader`."""
    server = Flask("test")
    install_access(server, RoleByHeader())
    return server

"""Access until there are accounts: this machine may everything, everybody else reads.

A page of another origin on this machine cannot do anything either: it would have to send a header
that browsers send across origins only after asking, and the host it names must be this machine
(a name that is made to point here, DNS rebinding, is not).
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from flask import Request

from ems_dash.auth.access import Principal
from ems_dash.auth.roles import Role

REQUEST_HEADER: Final = "X-EMS-Request"
_SAFE: Final = ("GET", "HEAD", "OPTIONS")


class LocalAccess:
    """Admin for requests from this machine, viewer for all others."""

    def identify(self, request: Request) -> Principal | None:
        """Return who sent `request`."""
        return Principal("local", Role.ADMIN if _is_ours(request) else Role.VIEWER, "open")


def _is_ours(request: Request) -> bool:
    origin = request.headers.get("Origin")
    unsafe_api = request.method not in _SAFE and request.path.startswith("/api/")
    return (
        _is_loopback(request.remote_addr or "")
        and _is_loopback(urlsplit(f"//{request.host}").hostname or "")
        and (origin is None or urlsplit(origin).netloc == request.host)
        and request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
        and (not unsafe_api or request.headers.get(REQUEST_HEADER) == "1")
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

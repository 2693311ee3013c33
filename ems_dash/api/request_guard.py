"""Guards of the routes that do something, until there are accounts.

Such a route is served to this machine only. A page of another origin cannot
call it: it would have to send a header that browsers send across origins only
after asking, and the host it names must be this machine (a name that is made
to point here, DNS rebinding, is not).
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from flask import Request

from engine.domain.errors import EmsError

REQUEST_HEADER: Final = "X-EMS-Request"


class ForbiddenError(EmsError):
    """The request may not come from there."""

    code = "forbidden"


class RateLimitedError(EmsError):
    """Too many requests; try again later."""

    code = "rate_limited"


def require_local_request(request: Request) -> None:
    """Refuse a request that does not come from a page or program on this machine.

    Raises:
        ForbiddenError: Another machine, a foreign host name or origin, or no `REQUEST_HEADER`.
    """
    require_local_page(request)
    if request.headers.get(REQUEST_HEADER) != "1":
        raise ForbiddenError(
            f"The header {REQUEST_HEADER} is missing.",
            field=REQUEST_HEADER,
            hint=f"Send {REQUEST_HEADER}: 1.",
        )


def require_local_page(request: Request) -> None:
    """Refuse a request that does not come from a page of ours opened on this machine.

    For callbacks of the page itself, whose JSON a browser sends across origins only after
    asking; the header of `require_local_request` is not theirs to send.

    Raises:
        ForbiddenError: Another machine, or a foreign host name or origin.
    """
    if not _is_loopback(request.remote_addr or ""):
        raise ForbiddenError(
            "This is possible from the machine EMS Dash runs on only.",
            hint="Use it there until accounts protect it.",
        )
    if not _is_loopback(urlsplit(f"//{request.host}").hostname or ""):
        raise ForbiddenError(
            f"The request was made for the host '{request.host}'.",
            field="Host",
            hint="Open EMS Dash as http://localhost.",
        )
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise ForbiddenError(
            f"The request comes from another origin ('{origin}').",
            field="Origin",
            hint="Send it from a page of EMS Dash itself.",
        )
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise ForbiddenError(
            "The request comes from a page of another site.",
            field="Sec-Fetch-Site",
            hint="Send it from a page of EMS Dash itself.",
        )


def is_local_page(request: Request) -> bool:
    """Return True when `require_local_page` lets the request pass."""
    try:
        require_local_page(request)
    except ForbiddenError:
        return False
    return True


class OneAtATime:
    """Lets one caller in at a time, and at most one per `interval_s`.

    Args:
        what: What is limited, for the message.
        interval_s: Least time between two beginnings.
        monotonic: Seconds that never run backwards.
    """

    def __init__(self, what: str, interval_s: float, monotonic: Callable[[], float]) -> None:
        self._what = what
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._busy = threading.Lock()
        self._last_s = float("-inf")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn while the block runs.

        Raises:
            RateLimitedError: Another caller has it, or had it too short a time ago.
        """
        if not self._busy.acquire(blocking=False):
            raise RateLimitedError(
                f"A {self._what} is running.", hint="Wait until it has ended (at most 20 s)."
            )
        try:
            now = self._monotonic()
            if now - self._last_s < self._interval_s:
                raise RateLimitedError(
                    f"The last {self._what} was less than {self._interval_s:g} s ago.",
                    hint="Try again in a second.",
                )
            self._last_s = now
            yield
        finally:
            self._busy.release()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""Who is behind a request, for the audit log; and what was refused, as entries of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from flask import Flask, Response, has_request_context, request

from ems_dash.auth.access import current_principal
from ems_dash.auth.gate import SAFE
from engine.audit.log import AuditLog
from engine.audit.trail import Origin, current_origin
from engine.domain.errors import EmsError

_REFUSED: Final = (401, 403)

REFUSALS_PER_MINUTE: Final = 30
"""More are only counted: whoever may do nothing must not be able to fill the log."""


def install_audit(
    server: Flask, audit: AuditLog, *, monotonic: Callable[[], float] = time.monotonic
) -> None:
    """Let `audit` know who asks, and take down every change that was refused.

    Args:
        server: The application.
        audit: The log.
        monotonic: Paces the entries about refusals.
    """
    audit.origin = request_origin
    pace = _Pace(monotonic)

    @server.after_request
    def refused(answer: Response) -> Response:
        if request.method not in SAFE and answer.status_code in _REFUSED:
            uncounted = pace.take()
            if uncounted is not None:
                said = {"status": answer.status_code}
                if uncounted:
                    said["more_before"] = uncounted
                audit.note(
                    "request.refused",
                    f"{request.method} {request.path}",
                    after=said,
                    outcome="refused",
                )
        return answer


def request_origin() -> Origin:
    """Return who sent the current request; outside of one, who asks otherwise."""
    if not has_request_context():
        return current_origin()
    try:
        principal = current_principal()
    except EmsError:
        principal = None
    name = "unknown" if principal is None else principal.name
    return Origin(name, "web" if principal is None else principal.via, request.remote_addr)


class _Pace:
    """Lets so many through per minute, and counts the others."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._begin_s = float("-inf")
        self._taken = 0
        self._left_out = 0

    def take(self) -> int | None:
        """Return None to leave one out, else how many were left out before it."""
        now_s = self._monotonic()
        if now_s - self._begin_s >= 60.0:
            self._begin_s, self._taken = now_s, 0
        if self._taken >= REFUSALS_PER_MINUTE:
            self._left_out += 1
            return None
        self._taken += 1
        left_out, self._left_out = self._left_out, 0
        return left_out

"""How many requests one sender may make: enough for dashboards that poll, not for a flood.

Counted in memory, because one process serves all. Pages and their callbacks are not counted.
"""

from __future__ import annotations

import math
import time
from typing import Final

from flask import Flask, Response, request
from flask_limiter import Limiter, RequestLimit

from ems_dash.api.answers import error
from ems_dash.auth.access import current_principal
from ems_dash.auth.gate import SAFE

QUESTIONS: Final = "3000 per minute"
"""50 screens of one account that ask once per second."""

CHANGES: Final = "300 per minute"


def install_rate_limits(
    server: Flask, *, questions: str = QUESTIONS, changes: str = CHANGES
) -> Limiter:
    """Count requests below ``/api`` per sender and refuse those beyond the limits with 429.

    Must be installed after what tells who sends a request.

    Args:
        server: The application.
        questions: Limit of requests that only read, in the notation of `limits`.
        changes: Limit of all others.
    """
    limiter = Limiter(
        _sender,
        storage_uri="memory://",
        application_limits=[lambda: questions if request.method in SAFE else changes],
        on_breach=_refused,
    )
    limiter.request_filter(_not_counted)
    limiter.init_app(server)
    return limiter


def _sender() -> str:
    principal = current_principal()
    if principal is None or principal.via == "anonymous":
        return f"from {request.remote_addr}"
    return f"{principal.via} {principal.name}"


def _not_counted() -> bool:
    return not request.path.startswith("/api/")


def _refused(limit: RequestLimit) -> Response:
    answer = error(
        429,
        "rate_limited",
        f"More than {limit.limit} were asked.",
        hint="Ask less often, or listen to /api/events.",
    )
    answer.headers["Retry-After"] = str(max(1, math.ceil(limit.reset_at - time.time())))
    return answer

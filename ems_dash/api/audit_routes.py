"""Route about the audit log: who changed what, when and from where."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, get_args

from flask import Blueprint, Flask, Response, request

from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    json_answer,
    whole_number,
)
from ems_dash.api.models import ApiModel
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import AuditServices
from engine.audit.reading import AuditQuery
from engine.audit.trail import Outcome

MAX_LIMIT: Final = 500
_MAX_TEXT: Final = 300


class AuditEntryInfo(ApiModel):
    """One entry; see `engine.audit.entry.AuditEntry`."""

    seq: int
    ts: str
    actor: str
    via: str
    address: str | None
    action: str
    target: str
    outcome: str
    before: Any
    after: Any
    mac: str


class AuditState(ApiModel):
    """How the log is doing; ``head`` is an anchor to keep elsewhere."""

    head: str
    waiting: int
    problem: str | None


class AuditAnswer(ApiModel):
    """``GET /api/audit``, newest first; ``next_before`` is ``before`` of the next page."""

    entries: list[AuditEntryInfo]
    next_before: int | None
    unreadable: int
    log: AuditState


def register_audit_api(server: Flask, audit: AuditServices) -> None:
    """Add the route to a Flask application."""
    api = Blueprint("audit_api", __name__)

    @api.get("/api/audit")
    @needs(Role.ADMIN)
    def entries() -> Response:
        page, status = audit.page(_query()), audit.status()
        return json_answer(
            AuditAnswer(
                entries=[AuditEntryInfo.model_validate(entry) for entry in page.entries],
                next_before=page.next_before,
                unreadable=page.unreadable,
                log=AuditState(
                    head=f"{status.seq}:{status.mac}",
                    waiting=status.waiting,
                    problem=status.problem,
                ),
            )
        )

    add_error_handlers(api)
    server.register_blueprint(api)


def _query() -> AuditQuery:
    outcome = _text("outcome")
    if outcome is not None and outcome not in get_args(Outcome):
        raise InvalidRequestError(
            "There is no such outcome.",
            field="outcome",
            value=outcome[:40],
            hint=f"Use {', '.join(get_args(Outcome))}.",
        )
    return AuditQuery(
        actor=_text("actor"),
        action=_text("action"),
        target=_text("target"),
        outcome=outcome,
        since=_time("since"),
        until=_time("until"),
        before=whole_number("before", 0, 1, 999_999_999) or None,
        limit=whole_number("limit", 50, 1, MAX_LIMIT),
    )


def _text(name: str) -> str | None:
    text = request.args.get(name) or None
    if text is not None and len(text) > _MAX_TEXT:
        raise InvalidRequestError(f"{name} is too long.", field=name, hint="Shorten it.")
    return text


def _time(name: str) -> datetime | None:
    text = _text(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidRequestError(
            "This is no time with an offset.",
            field=name,
            value=text[:40],
            hint="Give one such as 2026-11-25T20:00:00Z.",
        )
    return found

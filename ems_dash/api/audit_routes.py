"""Route about the audit log: who changed what, when and from where."""

from __future__ import annotations

from typing import Any, Final, get_args

from flask import Blueprint, Flask, Response

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer
from ems_dash.api.described import described
from ems_dash.api.models import ApiModel
from ems_dash.api.parameters import Moment, Text, WholeNumber
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import AuditServices
from engine.audit.reading import AuditQuery
from engine.audit.trail import Outcome

MAX_LIMIT: Final = 500
_MAX_TEXT: Final = 300

_ACTOR: Final = Text("actor", "Only what this user did.")
_ACTION: Final = Text("action", "Only actions that begin like this.")
_TARGET: Final = Text("target", "Only what was done to this.")
_OUTCOME: Final = Text("outcome", "Only what ended like this.", known=get_args(Outcome))
_SINCE: Final = Moment("since", "Only entries from then on.")
_UNTIL: Final = Moment("until", "Only entries before then.")
_BEFORE: Final = WholeNumber("before", 0, 1, 999_999_999, "Only entries with a smaller number.")
_LIMIT: Final = WholeNumber("limit", 50, 1, MAX_LIMIT, "Most entries of a page.")
_FILTERS: Final = (_ACTOR, _ACTION, _TARGET, _OUTCOME, _SINCE, _UNTIL, _BEFORE, _LIMIT)


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
    @described("accounts", AuditAnswer, query=_FILTERS, site=False)
    def entries() -> Response:
        """Who changed what, when and from where; newest first.

        `log.head` is an anchor: kept elsewhere, it shows later that nothing was cut off.
        """
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
    outcome = _OUTCOME.read()
    if outcome is not None and outcome not in _OUTCOME.known:
        raise InvalidRequestError(
            "There is no such outcome.",
            field="outcome",
            value=outcome[:40],
            hint=f"Use {', '.join(_OUTCOME.known)}.",
        )
    return AuditQuery(
        actor=_text(_ACTOR),
        action=_text(_ACTION),
        target=_text(_TARGET),
        outcome=outcome,
        since=_SINCE.read(),
        until=_UNTIL.read(),
        before=_BEFORE.read() or None,
        limit=_LIMIT.read(),
    )


def _text(parameter: Text) -> str | None:
    text = parameter.read() or None
    if text is not None and len(text) > _MAX_TEXT:
        raise InvalidRequestError(
            f"{parameter.name} is too long.", field=parameter.name, hint="Shorten it."
        )
    return text

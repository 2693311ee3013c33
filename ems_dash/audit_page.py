"""The audit log for admins, ``/settings/audit``: newest first, filtered by a form, page by page."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, get_args
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, request

from ems_dash.auth.access import ForbiddenError, needs
from ems_dash.auth.roles import Role
from ems_dash.auth.views import forbidden_page
from ems_dash.auth.views.frame import Web, page
from ems_dash.i18n import catalogue, label, t
from ems_dash.services import AuditServices
from ems_dash.ui.request import request_lang
from ems_dash.ui.settings_fields import number_text
from engine.audit.entry import AuditEntry
from engine.audit.reading import AuditQuery
from engine.audit.trail import Outcome

HOME: Final = "/settings/audit"
SHOWN: Final = 50
MAX_VALUE: Final = 400

_NOBODY: Final = frozenset({"unknown", "(unknown user)"})
_FILTERS: Final = ("actor", "action", "target", "outcome")


def register_audit_page(server: Flask, audit: AuditServices, web: Web) -> None:
    """Add the page to a Flask application.

    Args:
        server: The application, with the pages of the accounts.
        audit: The log.
        web: Where accounts and site are.
    """
    pages = Blueprint("audit_page", __name__)

    @pages.get(HOME)
    @needs(Role.ADMIN, named=True)
    def show() -> Response:
        asked = {name: request.args.get(name, "")[:100] for name in _FILTERS}
        if asked["outcome"] not in get_args(Outcome):
            asked["outcome"] = ""
        before = request.args.get("before", "")
        is_number = before.isascii() and before.isdigit() and len(before) < 10
        query = AuditQuery(
            actor=asked["actor"] or None,
            action=asked["action"] or None,
            target=asked["target"] or None,
            outcome=asked["outcome"] or None,
            before=int(before) if is_number else None,
            limit=SHOWN,
        )
        found, status = audit.page(query), audit.status()
        older = None
        if found.next_before is not None:
            kept = {name: text for name, text in asked.items() if text}
            older = f"{HOME}?{urlencode({**kept, 'before': found.next_before})}"
        return page(
            "audit.html",
            web,
            title="audit.title",
            entries=[_shown(entry, request_lang()) for entry in found.entries],
            asked=asked,
            outcomes=get_args(Outcome),
            older=older,
            newest=HOME if is_number else None,
            head=f"{status.seq}:{status.mac}",
            problem=status.problem,
            unreadable=found.unreadable,
        )

    pages.register_error_handler(ForbiddenError, forbidden_page(web))
    server.register_blueprint(pages)


def _shown(entry: AuditEntry, lang: str) -> dict[str, Any]:
    via = label("audit.via", entry.via, lang)
    return {
        # The filter asks for the code, so it stands below the words.
        "words": catalogue(lang).get(f"audit.act.{entry.action}", ""),
        "seq": entry.seq,
        "ts": datetime.fromisoformat(entry.ts),
        # What a name stands for, where it is none; a user may be called like it.
        "actor": label("audit.who", entry.actor, lang) if entry.actor in _NOBODY else entry.actor,
        "origin": f"{via}, {entry.address}" if entry.address else via,
        "action": entry.action,
        "target": entry.target,
        "outcome": entry.outcome,
        "before": _value(entry.before, lang),
        "after": _value(entry.after, lang),
    }


def _value(value: Any, lang: str) -> str:
    """Return a value in words: what few keys hold one after the other, deeper ones as JSON."""
    if value is None:
        return ""
    if isinstance(value, dict) and not any(isinstance(one, dict | list) for one in value.values()):
        value = ", ".join(
            f"{label('audit.key', key, lang)}: {_plain(one, lang)}" for key, one in value.items()
        )
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def _plain(value: Any, lang: str) -> str:
    if isinstance(value, bool):
        return t("set.yes" if value else "set.no", lang)
    if isinstance(value, float):
        return number_text(value, 0, lang)
    return "–" if value is None else str(value)

"""Routes about alarms and events: what is wrong, that it was seen, what happened."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from flask import Blueprint, Flask, Response

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.bodies import parsed_body
from ems_dash.api.described import described
from ems_dash.api.models import (
    AcknowledgedAnswer,
    AcknowledgeRequest,
    AlarmInfo,
    AlarmsAnswer,
    EventInfo,
    EventsAnswer,
)
from ems_dash.api.paging import PAGING, page_of
from ems_dash.api.parameters import Text, WholeNumber, Word
from ems_dash.api.tabular import PROFILE, ROW_MEDIA, rows_answer, rows_route, wanted_format
from ems_dash.auth.access import actor, needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.domain.alarms import ENGINE_ALARMS
from engine.domain.signals import ALARMS


class Severity(StrEnum):
    """Severities, least first."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


_HOURS = WholeNumber("hours", 24, 1, 31 * 24, "How far back the events reach.")
_SEVERITY = Word("severity", Severity, None, "Only events of this severity.")
_CODE = Text("code", "Only events of this kind, for example `alarm_raised`.")


def register_alarm_api(server: Flask, services: Services) -> None:
    """Add the routes about alarms and events to a Flask application."""
    api = Blueprint("alarm_api", __name__)

    @api.get("/api/alarms")
    @needs(Role.VIEWER)
    @described("state", AlarmsAnswer)
    def alarms() -> Response:
        """Alarms that are active or that nobody has acknowledged, newest first."""
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        listed = [AlarmInfo.model_validate(alarm) for alarm in snapshot.alarms]
        return json_answer(AlarmsAnswer(alarms=listed))

    @api.post("/api/alarms/ack")
    @needs(Role.OPERATOR)
    @described("state", AcknowledgedAnswer, body=AcknowledgeRequest, body_needed=False)
    def acknowledge() -> Response:
        """Acknowledge one alarm by its name or id, or all of them."""
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        name = _acknowledged_name()
        done = services.acknowledge(name, actor())
        return json_answer(AcknowledgedAnswer(acknowledged=list(done)))

    @rows_route(api, "/api/history/events")
    @needs(Role.VIEWER)
    @described(
        "history",
        EventsAnswer,
        query=(_HOURS, _SEVERITY, _CODE, *PAGING, PROFILE),
        media=ROW_MEDIA,
    )
    def events() -> Response:
        """What happened: alarms raised and cleared, changes of state, settings, plans.

        Oldest first; only the newest 2,000 of the period. `GET /api/export/events.csv` has all.
        """
        site = services.snapshot().site
        if (wrong := wrong_site(site.site_id)) is not None:
            return wrong
        severity, code = _SEVERITY.read(), _CODE.read()
        found = [
            EventInfo.model_validate(event)
            for event in services.events(services.now() - timedelta(hours=_HOURS.read()))
            if severity in (None, event.severity) and code in (None, event.code)
        ]
        rows, page = page_of(found)
        if (form := wanted_format()) is None:
            return json_answer(EventsAnswer(events=rows, **page.model_dump()))
        return rows_answer(
            form,
            EventInfo,
            rows,
            name="events",
            site=site,
            now=services.now(),
        )

    add_error_handlers(api)
    server.register_blueprint(api)


def _acknowledged_name() -> str | None:
    name = parsed_body(
        AcknowledgeRequest,
        hint='Send {"name": "system_fault"}, or nothing to acknowledge all.',
        needed=False,
    ).name
    if name is not None and name.partition(":")[0] not in (*ALARMS, *ENGINE_ALARMS):
        raise InvalidRequestError(
            f"There is no alarm '{name[:60]}'.",
            field="name",
            value=name,
            hint=f"Known alarms: {', '.join((*ALARMS, *ENGINE_ALARMS))}.",
        )
    return name

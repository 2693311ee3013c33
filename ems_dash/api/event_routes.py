"""Route that tells events as they happen: ``text/event-stream``."""

from __future__ import annotations

import threading
from typing import Final

from flask import Blueprint, Flask, Response, request

from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    error,
    wrong_site,
)
from ems_dash.api.described import described
from ems_dash.api.event_hub import EventHub, EventKind, Seats, TooManyListenersError
from ems_dash.api.models import AlarmEvent, PlanAnswer, StateAnswer
from ems_dash.api.parameters import Names, Text
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from ems_dash.site_router import site_here

EVENT_STREAM: Final = "text/event-stream"
COME_BACK_S: Final = 30

_HUBS: Final = "ems_event_hubs"

_KINDS = Names("kinds", "Only these, with commas between them: `state`, `plan`, `alarm`.")
_LAST_ID = Text("Last-Event-ID", "Id of the last event the listener has; later ones follow.")


def register_event_api(server: Flask, services: Services, hub: EventHub | None = None) -> None:
    """Add the stream of events to a Flask application.

    Args:
        server: The application.
        services: The seam to the engine.
        hub: Tells the events; None for one per site over `services`. Its thread starts with the
            first listener.
    """
    api = Blueprint("event_api", __name__)
    hubs = _Hubs(hub)
    server.extensions[_HUBS] = hubs

    @api.get("/api/events")
    @needs(Role.VIEWER)
    @described(
        "state",
        query=(_KINDS,),
        headers=(_LAST_ID,),
        media={EVENT_STREAM: "Events, until the program stops or a quarter of an hour is over."},
        events=(StateAnswer, PlanAnswer, AlarmEvent),
        errors={503: "32 listen already; Retry-After says when to come back."},
    )
    def events() -> Response:
        """Events as they happen: `state` every control cycle, `plan`, `alarm`.

        The data of an event is JSON: of `state` as `GET /api/state` answers, of `plan` as
        `GET /api/plan`, of `alarm` an `AlarmEvent`. A stream begins with state and plan as they
        are; one that is resumed with `Last-Event-ID` begins with what it missed: every change of
        an alarm, the newest state, the newest plan. A comment comes at least every 15 s.
        """
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        kinds = _kinds()
        # A stream outlives its request: it is bound to the site asked for now.
        hub = hubs.of(site_here(services))
        try:
            hub.enter()
        except TooManyListenersError as exc:
            full = error(503, exc.code, exc.message, hint=exc.hint)
            full.headers["Retry-After"] = str(COME_BACK_S)
            return full
        answer = Response(
            hub.stream(request.headers.get("Last-Event-ID"), kinds), mimetype=EVENT_STREAM
        )
        answer.call_on_close(hub.leave)
        answer.headers["Cache-Control"] = "no-store"
        # nginx would keep events back until it has a page of them.
        answer.headers["X-Accel-Buffering"] = "no"
        return answer

    add_error_handlers(api)
    server.register_blueprint(api)


def end_streams(server: Flask) -> None:
    """End every stream of events of `server`, because the program is about to stop.

    A stream lasts a quarter of an hour otherwise, and the server lingers over open ones.
    """
    hubs: _Hubs = server.extensions[_HUBS]
    hubs.end()


class _Hubs:
    """One hub per site, made when somebody first listens there.

    Args:
        given: The hub of every site, for an installation with one; None to make them.
    """

    def __init__(self, given: EventHub | None) -> None:
        self._given = given
        self._seats = Seats()
        self._lock = threading.Lock()
        self._by_site: dict[str, EventHub] = {}
        self._ended = False

    def of(self, services: Services) -> EventHub:
        """Return the hub of a site, given its own services."""
        if self._given is not None:
            return self._given
        site_id = services.snapshot().site.site_id
        with self._lock:
            if site_id not in self._by_site:
                made = EventHub(services, seats=self._seats)
                if self._ended:
                    made.end()
                self._by_site[site_id] = made
            return self._by_site[site_id]

    def end(self) -> None:
        """End the streams of all of them."""
        with self._lock:
            self._ended = True
            hubs = [*self._by_site.values(), *([self._given] if self._given else [])]
        for hub in hubs:
            hub.end()


def _kinds() -> frozenset[EventKind]:
    names = _KINDS.read() or tuple(EventKind)
    known = {str(kind) for kind in EventKind}
    for name in names:
        if name not in known:
            raise InvalidRequestError(
                f"There are no events '{name[:40]}'.",
                field="kinds",
                value=name,
                hint=f"Known: {', '.join(EventKind)}.",
            )
    return frozenset(EventKind(name) for name in names)

"""Events for everybody who listens: what a stream begins with, resumes with and ends with."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from ems_dash.api.event_hub import EventHub, EventKind, Seats, TooManyListenersError
from ems_dash.api.event_routes import end_streams, register_event_api
from engine.domain.alarms import AlarmView
from engine.domain.control import EngineState
from engine.domain.site import Site
from engine.domain.snapshot import EngineSnapshot
from tests.support.access import open_flask
from tests.support.build import NOW, image, plan

NEVER_S = 3600.0
"""For hubs whose own thread is not to look: the test does."""


class Source:
    """Holds one snapshot."""

    def __init__(self, site: Site) -> None:
        self.now = EngineSnapshot(
            seq=1, ts=NOW, site=site, state=EngineState.AUTOMATIC, state_reason=None, image=image()
        )

    def snapshot(self) -> EngineSnapshot:
        return self.now

    def heartbeat_age_s(self) -> float:
        return 0.1

    def cycle(self, **changes: Any) -> None:
        self.now = replace(self.now, seq=self.now.seq + 1, **changes)


@pytest.fixture
def source(site: Site) -> Source:
    return Source(site)


@pytest.fixture
def hub(source: Source) -> EventHub:
    made = EventHub(source, look_s=NEVER_S, heartbeat_s=0.01)
    made.enter()
    return made


def taken(stream: Iterator[bytes], n: int) -> list[tuple[str, str, Any]]:
    """Return the next `n` events as (id, kind, data), comments left out."""
    messages = (m.decode() for m in stream)
    found = []
    for message in itertools.islice((m for m in messages if m.startswith("id: ")), n):
        lines = dict(line.split(": ", 1) for line in message.strip().splitlines())
        found.append((lines["id"], lines["event"], json.loads(lines["data"])))
    return found


def test_a_stream_begins_with_plan_and_state_as_they_are(source: Source, hub: EventHub) -> None:
    source.cycle(plan=plan())
    hub.look()
    stream = hub.stream()
    assert next(stream) == b"retry: 3000\n\n"
    (_, first, told_plan), (_, second, told_state) = taken(stream, 2)
    assert (first, second) == ("plan", "state")
    assert told_plan["plan_id"] == plan().plan_id
    assert told_state["seq"] == 2
    assert next(stream) == b": heartbeat\n\n", "nothing new: a sign of life"


def test_what_happens_is_told_once_and_a_slow_listener_gets_the_newest_state(
    source: Source, hub: EventHub
) -> None:
    stream = hub.stream(kinds=frozenset({EventKind.STATE}))
    assert taken(stream, 1)[0][2]["seq"] == 1
    for _ in range(5):
        source.cycle()
        hub.look()
    assert [data["seq"] for _, _, data in taken(stream, 1)] == [6]
    hub.look()
    assert next(stream) == b": heartbeat\n\n"


def test_a_resumed_stream_tells_every_change_of_alarms_that_was_missed(
    source: Source, hub: EventHub
) -> None:
    last_id = taken(hub.stream(), 1)[0][0]
    raised = AlarmView("system_fault", True, NOW)
    cleared = replace(raised, active=False, cleared_at=NOW)
    for alarms in ((raised,), (cleared,), (replace(cleared, acknowledged=True),), ()):
        source.cycle(alarms=alarms)
        hub.look()
    events = taken(hub.stream(last_id), 5)
    assert [data["change"] for _, kind, data in events if kind == "alarm"] == [
        *("raised", "cleared", "acknowledged", "gone")
    ]
    assert [data["seq"] for _, kind, data in events if kind == "state"] == [5]
    ids = [event_id for event_id, _, _ in events]
    assert len(set(ids)) == 5
    later = taken(hub.stream(ids[1]), 3)
    assert [data.get("change") for _, _, data in later] == ["acknowledged", "gone", None]


@pytest.mark.parametrize("last_id", ["", "abc", "00000000-3", "run-x", "{run}-99999", "{run}--1"])
def test_an_id_that_is_not_known_begins_anew(hub: EventHub, last_id: str) -> None:
    run = taken(hub.stream(), 1)[0][0].partition("-")[0]
    assert taken(hub.stream(last_id.replace("{run}", run)), 1)[0][1] == "state"


def test_streams_end_when_the_engine_stops(source: Source, hub: EventHub) -> None:
    streams = [hub.stream(), hub.stream()]
    for stream in streams:
        taken(stream, 1)
    source.cycle(state=EngineState.STOPPED)
    hub.look()
    for stream in streams:
        ends = [m for m in stream if m.startswith(b"id: ")]
        assert b'"state":"stopped"' in ends[-1]


def test_a_stream_ends_after_its_longest_time(source: Source) -> None:
    clock = itertools.count(0.0, 10.0)
    hub = EventHub(
        source, look_s=NEVER_S, heartbeat_s=0.01, longest_s=25.0, monotonic=lambda: next(clock)
    )
    hub.enter()
    assert len(list(hub.stream())) <= 4


def test_no_more_than_the_cap_listen_and_a_place_is_given_back(source: Source) -> None:
    hub = EventHub(source, seats=Seats(2), look_s=NEVER_S)
    hub.enter()
    hub.enter()
    with pytest.raises(TooManyListenersError):
        hub.enter()
    hub.leave()
    hub.enter()
    assert hub.listeners == 2


@pytest.fixture
def client(source: Source) -> FlaskClient:
    server = open_flask()
    hub = EventHub(source, seats=Seats(1), look_s=NEVER_S, heartbeat_s=0.01)
    register_event_api(server, source, hub)  # type: ignore[arg-type]
    return server.test_client()


def test_the_route_streams_refuses_the_one_too_many_and_frees_the_place(
    client: FlaskClient,
) -> None:
    first = client.get("/api/events", buffered=False)
    assert (first.status_code, first.mimetype) == (200, "text/event-stream")
    assert first.headers["Cache-Control"] == "no-store"
    assert next(iter(first.response)) == b"retry: 3000\n\n"
    full = client.get("/api/events")
    assert (full.status_code, full.get_json()["error"]["code"]) == (503, "too_many_streams")
    assert int(full.headers["Retry-After"]) > 0
    first.close()
    again = client.get("/api/events?kinds=alarm,plan", buffered=False)
    assert again.status_code == 200
    again.close()
    head = client.head("/api/events")
    assert head.status_code == 200
    head.close()
    assert client.get("/api/events", buffered=False).status_code == 200, "HEAD holds no place"


def test_streams_end_when_the_program_begins_to_stop(source: Source) -> None:
    server = open_flask()
    register_event_api(
        server,
        source,  # type: ignore[arg-type]
        EventHub(source, look_s=NEVER_S, heartbeat_s=NEVER_S),
    )
    client = server.test_client()
    answer = client.get("/api/events?kinds=alarm", buffered=False)
    pieces = iter(answer.response)
    assert next(pieces) == b"retry: 3000\n\n"
    rest: list[str | bytes] = []
    listener = threading.Thread(target=lambda: rest.extend(pieces), daemon=True)
    listener.start()
    end_streams(server)
    listener.join(20)
    assert not listener.is_alive(), "nobody waits for the next event or heartbeat"
    late = client.get("/api/events", buffered=False)
    assert b"event: state" in late.data, "who comes late hears how it is, and no more"


def test_unknown_kinds_are_refused(client: FlaskClient) -> None:
    answer = client.get("/api/events?kinds=state,weather")
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (400, "kinds")

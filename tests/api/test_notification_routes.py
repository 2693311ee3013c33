"""Who is told of alarms, over HTTP: no secret leaves, a test is guarded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from ems_dash.api.notification_routes import register_notification_api
from engine.domain.clock import ManualClock
from engine.domain.snapshot import EngineSnapshot
from engine.notify.errors import NotifyError
from engine.notify.notifier import NotifyTest
from engine.notify.outbox import ChannelStatus
from tests.support.access import AS_OPERATOR, open_flask
from tests.unit.ui_builders import snapshot


class FakeServices:
    """One webhook that works."""

    def __init__(self) -> None:
        self.tested: list[str] = []

    @property
    def notifications(self) -> FakeServices:
        return self

    def snapshot(self) -> EngineSnapshot:
        return snapshot()

    def status(self) -> tuple[ChannelStatus, ...]:
        return (
            ChannelStatus(
                name="control-room",
                type="webhook",
                target="hooks.site.example",
                enabled=True,
                state="ok",
                last_success=ManualClock(snapshot().ts).now(),
                last_error=None,
                failures=0,
                queued=0,
                sent=3,
                suppressed=0,
                expired=0,
                failed=0,
                next_try=None,
                quiet_until=None,
            ),
        )

    def test(self, channel: str) -> NotifyTest:
        if channel != "control-room":
            raise NotifyError(
                f"There is no channel '{channel}'.",
                kind="config",
                field="channel",
                hint="Known: control-room.",
            )
        self.tested.append(channel)
        return NotifyTest(channel, True, "taken", 0.2)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def client(services: FakeServices) -> Iterator[FlaskClient]:
    server = open_flask()
    register_notification_api(server, services)  # type: ignore[arg-type]
    with server.test_client() as client:
        yield client


def test_channels_are_told_without_their_addresses(client: FlaskClient) -> None:
    (channel,) = client.get("/api/notifications").get_json()["channels"]
    assert (channel["name"], channel["state"], channel["sent"]) == ("control-room", "ok", 3)
    assert channel["target"] == "hooks.site.example"
    assert "url" not in channel


def test_the_test_button_tells_what_came_of_it(client: FlaskClient, services: FakeServices) -> None:
    answer = client.post("/api/notifications/test", json={"channel": "control-room"})
    assert answer.get_json()["ok"] is True
    assert services.tested == ["control-room"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"{}", "channel"),
        (b'{"channel": 5}', "channel"),
        (b'{"channel": "a", "to": "me"}', "to"),
    ],
)
def test_what_is_no_request_is_refused(
    client: FlaskClient, services: FakeServices, body: bytes, field: str | None
) -> None:
    answer = client.post("/api/notifications/test", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["field"] == field
    assert services.tested == []


def test_an_unknown_channel_and_a_test_by_an_operator_are_refused(
    client: FlaskClient, services: FakeServices
) -> None:
    unknown = client.post("/api/notifications/test", json={"channel": "pager"})
    assert unknown.status_code == 400
    assert unknown.get_json()["error"]["field"] == "channel"
    body = {"channel": "control-room"}
    refused = client.post("/api/notifications/test", json=body, headers=AS_OPERATOR)
    assert refused.status_code == 403
    assert services.tested == []

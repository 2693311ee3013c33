"""MQTT routes: what is configured, how it is doing, whether it works; never a password."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from ems_dash.api.mqtt_routes import register_mqtt_api
from engine.config.load import parse_config
from engine.config.schema import Config
from engine.devices.mqtt.broker_check import BrokerCheck, CheckStep, InputReading
from engine.devices.mqtt.status import MqttStatus
from engine.domain.sample import Quality, Sample
from tests.support.access import AS_OPERATOR, open_flask

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class FakeBroker:
    """A broker connection that answers what it is told to."""

    def __init__(self, text: str, status: MqttStatus | None) -> None:
        self.config: Config = parse_config(text)
        self.current = status
        self.tests = 0

    def status(self) -> MqttStatus | None:
        return self.current

    def test(self) -> BrokerCheck:
        self.tests += 1
        bad = Sample(None, NOW, "mqtt", Quality.BAD, "nothing came")
        return BrokerCheck(
            False,
            (CheckStep("connect", True, "logged in"), CheckStep("inputs", False, "1 is silent")),
            (InputReading("meter/1", "grid_kw", "kW", bad),),
        )


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    monkeypatch.setenv("EMS_TEST_PASSWORD", "canary-secret")
    text = "mqtt: {enabled: true, username: ems, password_env: EMS_TEST_PASSWORD}"
    return FakeBroker(text, MqttStatus("online", None, "localhost:1883", "ems-1", False, True, NOW))


@pytest.fixture
def client(broker: FakeBroker) -> Iterator[FlaskClient]:
    server = open_flask()
    ticks = iter(range(0, 1000, 5))
    register_mqtt_api(server, broker, monotonic=lambda: float(next(ticks)))
    with server.test_client() as client:
        yield client


def test_configuration_and_state_without_any_secret(client: FlaskClient) -> None:
    answer = client.get("/api/mqtt/config")
    assert answer.status_code == 200
    body = answer.get_json()
    assert body["mqtt"]["username"] == "ems"
    assert body["status"]["state"] == "online"
    assert body["status"]["connected_at"] == "2026-11-23T12:00:00.000Z"
    assert "canary-secret" not in answer.text


def test_disabled_says_so(client: FlaskClient, broker: FakeBroker) -> None:
    broker.current = None
    assert client.get("/api/mqtt/config").get_json()["status"] is None


def test_the_test_reports_step_by_step(client: FlaskClient) -> None:
    body = client.post("/api/mqtt/test").get_json()
    assert body["ok"] is False
    assert [s["name"] for s in body["steps"]] == ["connect", "inputs"]
    assert body["inputs"][0]["sample"]["quality"] == "bad"
    assert body["inputs"][0]["sample"]["value"] is None


def test_an_operator_cannot_start_a_test(client: FlaskClient, broker: FakeBroker) -> None:
    assert client.post("/api/mqtt/test", headers=AS_OPERATOR).status_code == 403
    assert broker.tests == 0


def test_another_site_is_unknown(client: FlaskClient) -> None:
    answer = client.get("/api/mqtt/config?site=other")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "unknown_site")

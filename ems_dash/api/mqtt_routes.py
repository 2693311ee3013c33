"""Routes about the MQTT broker: configuration (read) with its state, connection test.

Passwords are never part of the configuration, so none can be returned. ``POST``
is guarded as in `ems_dash.api.request_guard`, and one test runs at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from flask import Blueprint, Flask, Response

from ems_dash.api.answers import add_error_handlers, json_answer, wrong_site
from ems_dash.api.described import described
from ems_dash.api.models import ApiModel, SignalValue, UtcTime
from ems_dash.api.request_guard import OneAtATime
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import MqttServices
from engine.config.mqtt import MqttConfig
from engine.devices.mqtt.broker_check import BrokerCheck

TEST_INTERVAL_S: Final = 1.0


class MqttStatusInfo(ApiModel):
    """State of the connection to the broker."""

    state: str
    reason: str | None
    endpoint: str
    client_id: str
    tls: bool
    retrying: bool
    connected_at: UtcTime | None
    connects: int
    failures: int
    published: int
    dropped: int
    queued: int
    received: int
    bad_messages: int
    silent_topics: tuple[str, ...]


class MqttConfigAnswer(ApiModel):
    """``GET /api/mqtt/config``."""

    mqtt: MqttConfig
    status: MqttStatusInfo | None


class CheckStepInfo(ApiModel):
    """One step of a test."""

    name: str
    ok: bool
    detail: str


class InputInfo(ApiModel):
    """What came from one mapped topic."""

    topic: str
    signal: str
    sample: SignalValue


class BrokerCheckAnswer(ApiModel):
    """``POST /api/mqtt/test``."""

    ok: bool
    steps: list[CheckStepInfo]
    inputs: list[InputInfo]


def register_mqtt_api(
    server: Flask,
    services: MqttServices,
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Add the MQTT routes to a Flask application.

    Args:
        server: The application.
        services: The broker connection of the running site.
        monotonic: Paces the rate limit.
    """
    api = Blueprint("mqtt_api", __name__)
    gate = OneAtATime("broker test", TEST_INTERVAL_S, monotonic)

    @api.get("/api/mqtt/config")
    @needs(Role.VIEWER)
    @described("devices", MqttConfigAnswer)
    def config() -> Response:
        """The broker as the program runs with it, and how the connection is doing."""
        if (wrong := wrong_site(services.config.site.id)) is not None:
            return wrong
        status = services.status()
        return json_answer(
            MqttConfigAnswer(
                mqtt=services.config.mqtt,
                status=None if status is None else MqttStatusInfo.model_validate(status),
            )
        )

    @api.post("/api/mqtt/test")
    @needs(Role.ADMIN)
    @described("devices", BrokerCheckAnswer)
    def test() -> Response:
        """Log in to the broker, publish and read back, listen to the mapped topics."""
        if (wrong := wrong_site(services.config.site.id)) is not None:
            return wrong
        with gate.turn():
            return json_answer(_answer(services.test()))

    add_error_handlers(api)
    server.register_blueprint(api)


def _answer(check: BrokerCheck) -> BrokerCheckAnswer:
    inputs = [
        InputInfo(
            topic=reading.topic,
            signal=reading.signal,
            sample=SignalValue(
                value=reading.sample.value,
                unit=reading.unit,
                ts=reading.sample.ts,
                source=reading.sample.source,
                quality=reading.sample.quality.value,
                reason=reading.sample.reason,
            ),
        )
        for reading in check.inputs
    ]
    return BrokerCheckAnswer(
        ok=check.ok,
        steps=[CheckStepInfo.model_validate(step) for step in check.steps],
        inputs=inputs,
    )

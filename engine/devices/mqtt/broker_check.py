"""Connection test of the broker: log in, a round trip, and what the mapped topics say."""

from __future__ import annotations

import os
import queue
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from engine.config.mqtt import MqttConfig
from engine.devices.mqtt.connection import (
    Acknowledged,
    BrokerAddress,
    BrokerConnection,
    Connected,
    Event,
    Subscription,
    SubscriptionRefused,
)
from engine.devices.mqtt.credentials import read_password, tls_context
from engine.devices.mqtt.inputs import InputSamples, compile_inputs
from engine.devices.mqtt.topics import Topics
from engine.domain.clock import Clock
from engine.domain.errors import EmsError
from engine.domain.sample import Sample
from engine.domain.signals import SIGNALS

LISTEN_S = 5.0
ANSWER_S = 8.0


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One step of the test.

    Attributes:
        name: ``"configuration"``, ``"connect"``, ``"publish"``, ``"round_trip"`` or ``"inputs"``.
        ok: True when it worked.
        detail: What was found or what is wrong, in words.
    """

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class InputReading:
    """What a mapped topic said during the test.

    Attributes:
        topic: The topic.
        signal: Canonical signal.
        unit: Unit of the value.
        sample: Value with quality and reason; BAD when nothing came.
    """

    topic: str
    signal: str
    unit: str
    sample: Sample


@dataclass(frozen=True, slots=True)
class BrokerCheck:
    """Result of the test.

    Attributes:
        ok: True when every step worked.
        steps: The steps, up to the first that made going on impossible.
        inputs: Readings of the mapped topics.
    """

    ok: bool
    steps: tuple[CheckStep, ...]
    inputs: tuple[InputReading, ...] = ()


def check_broker(
    config: MqttConfig,
    site_id: str,
    clock: Clock,
    *,
    environment: Mapping[str, str] = os.environ,
    listen_s: float = LISTEN_S,
    answer_s: float = ANSWER_S,
) -> BrokerCheck:
    """Test a broker with a client id of its own, beside a running bridge.

    A CONNACK alone says little: a broker may drop what it takes. So a message is sent to
    ``<base_topic>/<site_id>/check/<random>`` and must come back; nothing stays at the broker.
    Blocks for up to `answer_s` + `listen_s` seconds of real time.

    Args:
        config: The MQTT section to test; need not be the one in use.
        site_id: Site, part of the topics.
        clock: Stamps samples.
        environment: Environment variables.
        listen_s: How long to listen to the mapped topics; ends early when all have spoken.
        answer_s: How long to wait for the broker.
    """
    try:
        inputs = InputSamples(compile_inputs(config))
        password = read_password(config, environment)
        context = tls_context(config)
    except EmsError as exc:
        return BrokerCheck(False, (CheckStep("configuration", False, str(exc)),))
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    returned, spoken = threading.Event(), threading.Event()
    nonce = secrets.token_hex(6)
    topic = f"{Topics(config.base_topic, site_id).root}/check/{nonce}"

    def receive(name: str, payload: bytes, retained: bool) -> None:
        if name == topic:
            returned.set()
        elif inputs.receive(name, payload, clock.now(), retained=retained) and (
            not inputs.silent_topics()
        ):
            spoken.set()

    connection = BrokerConnection(
        BrokerAddress(config.broker_host, config.broker_port, config.keepalive_s, config.tls),
        f"ems-check-{nonce}",
        topic,
        [Subscription(topic), *(Subscription(name, stored=True) for name in inputs.topics)],
        emit=events.put,
        receive=receive,
        retain_will=False,
    )
    connection.log_in_with(config.username, password)
    if context is not None:
        connection.encrypt_with(context)
    connection.open()
    try:
        steps = _log_in(events, answer_s, topic)
        if len(steps) > 1:
            steps += _listen(answer_s, listen_s, returned, spoken, inputs)
    finally:
        connection.close()
        connection.join(1.0)
    by_source = inputs.by_source(clock.now())
    readings = tuple(
        InputReading(e.topic, e.signal, SIGNALS[e.signal].unit, by_source[e.source][e.signal])
        for e in inputs.entries
    )
    return BrokerCheck(all(step.ok for step in steps), tuple(steps), readings)


def _log_in(events: queue.SimpleQueue[Event], answer_s: float, topic: str) -> list[CheckStep]:
    deadline_s = monotonic() + answer_s
    steps: list[CheckStep] = []
    birth_mid: int | None = None
    refused: list[SubscriptionRefused] = []
    while True:
        try:
            event = events.get(timeout=max(0.0, deadline_s - monotonic()))
        except queue.Empty:
            name = "publish" if steps else "connect"
            return [*steps, CheckStep(name, False, f"no answer within {answer_s:g} s")]
        if isinstance(event, Connected):
            birth_mid = event.birth_mid
            steps.append(CheckStep("connect", True, "connected and logged in"))
        elif isinstance(event, SubscriptionRefused):
            refused.append(event)
        elif isinstance(event, Acknowledged) and event.mid == birth_mid:
            if event.refusal is not None:
                detail = f"the broker refuses messages on {topic}: {event.refusal}"
                return [*steps, CheckStep("publish", False, detail), *_refusals(refused)]
            return [*steps, CheckStep("publish", True, f"accepted on {topic}"), *_refusals(refused)]
        elif not isinstance(event, Acknowledged):
            return [*steps, CheckStep("connect", False, event.reason)]


def _refusals(refused: list[SubscriptionRefused]) -> list[CheckStep]:
    return [
        CheckStep("inputs", False, f"the broker refuses the subscription to {r.topic}: {r.reason}")
        for r in refused
    ]


def _listen(
    answer_s: float,
    listen_s: float,
    returned: threading.Event,
    spoken: threading.Event,
    inputs: InputSamples,
) -> list[CheckStep]:
    came = returned.wait(answer_s)
    detail = "a message came back" if came else "a message was accepted and did not come back"
    steps = [CheckStep("round_trip", came, detail)]
    if not inputs.topics:
        return steps
    spoken.wait(listen_s)
    silent = inputs.silent_topics()
    if silent:
        text = f"nothing on {', '.join(silent)} within {listen_s:g} s"
    else:
        text = f"all {len(inputs.topics)} mapped topics have spoken"
    steps.append(CheckStep("inputs", not silent, text))
    return steps

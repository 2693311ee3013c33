"""The notifier with real receivers side by side: a broker, a web server, a mail server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from engine.config.notify import NotificationsConfig
from engine.domain.clock import AcceleratedClock, ManualClock
from engine.notify.factory import build_notifier
from engine.notify.notifier import Notifier
from tests.faults.mqtt_broker import Broker, Outside
from tests.support.http_server import Answer
from tests.support.process import free_port, wait_for
from tests.support.smtp_server import SmtpServer
from tests.support.webhook_server import WebhookServer
from tests.unit.notify_builders import NOW, SITE, cleared, raised

TOPIC = "ems/site-1/notification"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    running.start()
    yield running
    running.kill()


def publisher(port: int) -> tuple[Callable[[str, bytes], bool], paho.Client]:
    """Return a callable as the runtime gives it: True only when the broker has the message."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port, keepalive=30)
    client.loop_start()

    def publish(topic: str, payload: bytes) -> bool:
        if not client.is_connected():
            return False
        info = client.publish(topic, payload, qos=1)
        info.wait_for_publish(5)
        return info.is_published()

    return publish, client


def notifier(config: dict[str, object], clock: object, **more: object) -> Notifier:
    settings = {"publish": lambda _topic, _payload: False, "default_topic": TOPIC, **more}
    return build_notifier(
        NotificationsConfig.model_validate(config),
        SITE,
        clock,
        Random(1),
        **settings,  # type: ignore[arg-type]
    )


def test_a_broker_gets_every_message_also_after_it_was_away(broker: Broker) -> None:
    outside = Outside(broker.port)
    outside.client.subscribe("ems/#", 1)
    publish, client = publisher(broker.port)
    try:
        wait_for(client.is_connected, "the connection of the publisher", 20)
        clock = ManualClock(NOW)
        it = notifier({"channels": [{"type": "mqtt", "name": "bus"}]}, clock, publish=publish)
        assert it.test("bus").ok
        assert outside.wait(TOPIC)["kind"] == "test"
        broker.kill()
        wait_for(lambda: not client.is_connected(), "the loss of the broker", 20)
        it.tell([raised()])
        clock.advance(10)
        it.step()
        (status,) = it.status()
        assert (status.state, status.queued) == ("failing", 1)
        broker.start()
        wait_for(client.is_connected, "the broker's return", 20)
        wait_for(outside.client.is_connected, "the observer's return", 20)
        outside.client.subscribe("ems/#", 1)
        it.tell([cleared()])
        clock.advance(60)
        it.step()
        data = outside.wait(TOPIC, lambda d: d["kind"] == "several")
        assert [a["kind"] for a in data["alarms"]] == ["raised", "cleared"]
        assert not any(m.retain for m in outside.on(TOPIC))
    finally:
        client.loop_stop()
        outside.close()


def test_dead_and_slow_receivers_delay_no_other(tmp_path: Path) -> None:
    mail = SmtpServer()
    secret = tmp_path / "hook"
    with WebhookServer() as web:
        secret.write_text(web.take("/services/hunter2"))
        secret.chmod(0o600)
        smtp = {
            "type": "email",
            "host": "127.0.0.1",
            "security": "plain",
            "sender": "ems@site.example",
            "recipients": ["anna@site.example"],
        }
        config = {
            "language": "en",
            "channels": [
                {"type": "webhook", "name": "slow", "url": web.take("/slow", Answer(silent=True))},
                {"type": "webhook", "name": "dead", "url": f"http://127.0.0.1:{free_port()}"},
                {"type": "webhook", "name": "broken", "url": web.take("/500", Answer(status=500))},
                {"type": "webhook", "name": "good", "url_file": str(secret)},
                {**smtp, "name": "mail", "port": mail.port},
                {**smtp, "name": "nomail", "port": free_port()},
                {"type": "mqtt", "name": "bus"},
            ],
        }
        it = notifier(config, AcceleratedClock(NOW, 200.0))
        it.start()
        for i in range(1000):
            it.tell([raised("notice", f"n{i}", severity="warning")])
        wait_for(lambda: any(p.path == "/services/hunter2" for p in web.posts), "the webhook", 20)
        wait_for(lambda: mail.mails, "the mail", 20)
        wait_for(lambda: any(p.path == "/slow" for p in web.posts), "the slow one is asked", 20)

        def states() -> dict[str, str]:
            return {s.name: s.state for s in it.status()}

        wait_for(
            lambda: [states()[n] for n in ("dead", "broken", "nomail", "bus")] == ["failing"] * 4,
            "the failures",
            20,
        )
        assert (states()["good"], states()["mail"]) == ("ok", "ok")
        good = next(p for p in web.posts if p.path == "/services/hunter2").json()
        assert len(good["alarms"]) + good["unlisted"] + good["suppressed"] >= 1
        assert good["alarms"][0]["title"] == "Notice"
        assert "hunter2" not in json.dumps([repr(s) for s in it.status()])
        assert it.stop(5.0)
    mail.close()


def test_a_stop_does_not_wait_for_a_receiver_that_hangs() -> None:
    mail = SmtpServer()
    mail.silent_at = "greeting"
    with WebhookServer() as web:
        config = {
            "channels": [
                {"type": "webhook", "name": "slow", "url": web.take("/slow", Answer(silent=True))},
                {
                    "type": "email",
                    "name": "mail",
                    "host": "127.0.0.1",
                    "port": mail.port,
                    "security": "plain",
                    "sender": "ems@site.example",
                    "recipients": ["anna@site.example"],
                },
            ]
        }
        it = notifier(config, AcceleratedClock(NOW, 200.0))
        it.start()
        it.tell([raised()])
        wait_for(lambda: web.posts and mail.connections, "both are asked", 20)
        # Within 1 s, while the receivers would keep it for 15 s and 25 s.
        assert it.stop(1.0)
    mail.close()

"""MQTT against a real Mosquitto: both directions, and everything that goes wrong with brokers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mqtt_broker import Broker, Outside, make_certificates, password_settings

from engine.config.mqtt import MqttConfig, MqttInputConfig
from engine.devices.mqtt.bridge import MqttBridge
from engine.devices.mqtt.broker_check import BrokerCheck, check_broker
from engine.devices.mqtt.commands import Command, CommandHandler, CommandOutcome
from engine.domain.alarms import AlarmView
from engine.domain.clock import SystemClock
from engine.domain.control import EngineState, PowerLimits, Setpoint
from engine.domain.sample import Quality
from engine.domain.site import Site
from engine.domain.snapshot import EngineSnapshot
from tests.support.build import NOW, image, plan
from tests.support.process import ROOT, wait_for

ROOT_TOPIC = "ems/site-1"
METER = MqttInputConfig(
    topic="meter/1", signal="grid_kw", path="p[0].w", unit="W", positive_means="import"
)


class Bench:
    """A broker, an outside client and the bridges of one test; all gone afterwards."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder = folder
        self.site = site
        self.broker = Broker(folder)
        self.made: list[Callable[[], None]] = [self.broker.kill]
        self.seq = 0

    def outside(self, username: str | None = None, password: str | None = None) -> Outside:
        outside = Outside(self.broker.port, username, password)
        self.made.append(outside.close)
        return outside

    def bridge(
        self,
        on_command: CommandHandler | None = None,
        commands: frozenset[str] = frozenset(),
        environment: dict[str, str] | None = None,
        **config: object,
    ) -> MqttBridge:
        config = {"broker_host": "127.0.0.1", "broker_port": self.broker.port} | config
        bridge = MqttBridge(
            MqttConfig.model_validate(config),
            "site-1",
            self.snapshot,
            on_command,
            SystemClock(),
            install_id="0123456789ab",
            commands=commands,
            environment=environment if environment is not None else {},
            retry_s=(1, 1),
        )
        self.made.append(bridge.stop)
        bridge.start()
        return bridge

    def snapshot(self, bad: tuple[str, ...] = (), **values: float) -> EngineSnapshot:
        self.seq += 1
        ts = NOW + timedelta(seconds=2 * self.seq)
        return EngineSnapshot(
            seq=self.seq,
            ts=ts,
            site=self.site,
            state=EngineState.AUTOMATIC,
            state_reason=None,
            image=image(ts, bad=bad, **values),
            limits=PowerLimits(100.0, 80.0, "nameplate", "bms_power"),
            setpoint=Setpoint(ts, 12.5, 14.0, "value_dispatch", "bms_power"),
            plan=plan(),
        )

    def close(self) -> None:
        for action in reversed(self.made):
            action()


@pytest.fixture
def bench(tmp_path: Path, site: Site) -> Iterator[Bench]:
    made = Bench(tmp_path, site)
    yield made
    made.close()


def online(bridge: MqttBridge) -> None:
    wait_for(lambda: bridge.status().state == "online", f"online: {bridge.status()}", 20)


def offline(bridge: MqttBridge) -> str:
    wait_for(lambda: bridge.status().state == "offline", f"offline: {bridge.status()}", 20)
    return str(bridge.status().reason)


def accept(command: Command) -> CommandOutcome:
    return CommandOutcome(True, command.value)


def test_a_real_broker_carries_both_directions(bench: Bench) -> None:
    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge(accept, frozenset({"power_kw"}), inputs=[METER.model_dump()])
    bridge.publish(bench.snapshot(grid_kw=20.0))

    assert outside.wait(f"{ROOT_TOPIC}/status") == "online"
    telemetry = outside.wait(f"{ROOT_TOPIC}/telemetry")
    assert (telemetry["grid_kw"], telemetry["state"]) == (20.0, "automatic")
    assert outside.wait(f"{ROOT_TOPIC}/setpoint")["power_kw"] == 12.5
    assert outside.wait(f"{ROOT_TOPIC}/limits")["discharge_binding"] == "bms_power"
    assert outside.wait(f"{ROOT_TOPIC}/strategy")["strategy"] == "co_optimised"
    assert len(outside.wait(f"{ROOT_TOPIC}/plan")["battery_kw"]) == 144
    assert outside.wait(f"{ROOT_TOPIC}/alarms") | {"ts": ""} == {
        "ts": "",
        "known": True,
        "active": [],
        "severity": None,
        "alarms": [],
    }

    assert bridge.samples()["grid_kw"].quality is Quality.BAD
    outside.send("meter/1", {"p": [{"w": -4200}]})
    wait_for(lambda: bridge.samples()["grid_kw"].value == -4.2, "the value from the meter")

    outside.send(f"{ROOT_TOPIC}/set/power_kw", {"value": -25, "ttl_s": 60, "id": "a1"})
    result = outside.wait(f"{ROOT_TOPIC}/set/power_kw/result")
    assert (result["id"], result["accepted"], result["applied"]) == ("a1", True, -25.0)
    online(bridge)

    late = bench.outside()
    for name in ("status", "alarms", "plan", "setpoint", "strategy", "limits"):
        late.wait(f"{ROOT_TOPIC}/{name}")
        assert late.on(f"{ROOT_TOPIC}/{name}")[0].retain
    assert not late.on(f"{ROOT_TOPIC}/telemetry")


def test_unchanged_states_are_not_sent_again_and_telemetry_is(bench: Bench) -> None:
    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge()
    online(bridge)
    for seq in range(1, 6):
        bridge.publish(bench.snapshot())
        outside.wait(f"{ROOT_TOPIC}/telemetry", lambda d, seq=seq: d["seq"] == seq)
    assert len(outside.on(f"{ROOT_TOPIC}/plan")) == 1
    assert len(outside.on(f"{ROOT_TOPIC}/setpoint")) == 1


def test_broker_absent_at_start_is_said_and_joined_later(bench: Bench) -> None:
    bridge = bench.bridge()
    assert "no broker listens" in offline(bridge)
    bridge.publish(bench.snapshot())
    assert bridge.status().retrying
    bench.broker.start()
    outside = bench.outside()
    online(bridge)
    assert outside.wait(f"{ROOT_TOPIC}/telemetry")["seq"] == 1


def test_killed_and_restarted_broker_gets_alarms_and_the_newest_state(bench: Bench) -> None:
    bench.broker.start()
    bridge = bench.bridge()
    bridge.publish(bench.snapshot())
    online(bridge)
    bench.broker.kill()
    offline(bridge)
    # The alarm comes and goes while the broker is away.
    for bits in (16.0, 0.0):
        bridge.publish(bench.snapshot(alarm_bits=bits))
        wait_for(lambda: not bridge._snapshot_waiting, "the snapshot to be taken")
    changed = replace(bench.snapshot(), setpoint=Setpoint(NOW, -40.0, -40.0, "no_plan"))
    bridge.publish(changed)
    bench.broker.start()
    outside = bench.outside()
    alarm = outside.wait(f"{ROOT_TOPIC}/alarms", lambda d: d["active"] == ["system_fault"])
    assert alarm["alarms"][0]["count"] == 1
    # What was not acknowledged before the kill may come once more, before the newest.
    outside.wait(f"{ROOT_TOPIC}/setpoint", lambda d: d["power_kw"] == -40.0)
    online(bridge)
    assert bridge.status().connects == 2
    assert bridge.status().dropped == 0


def test_alarms_of_the_engine_are_kept_by_the_broker_until_they_are_over_and_seen(
    bench: Bench,
) -> None:
    bench.broker.start()
    bridge = bench.bridge()
    topic, outside = f"{ROOT_TOPIC}/alarms", bench.outside()
    meter = AlarmView(
        "link_offline",
        True,
        NOW,
        severity="warning",
        subject="meter",
        message="it refuses the connection",
        source="engine",
    )
    limited = AlarmView("external_limit", True, NOW, severity="info", subject="dso")

    def publish(*own: AlarmView, **values: float) -> None:
        alarms = tuple(replace(view, source="engine") for view in own)
        bridge.publish(replace(bench.snapshot(**values), alarms=alarms))

    publish(limited)
    assert outside.wait(topic, lambda d: d["active"] == ["external_limit:dso"])["severity"] == (
        "info"
    )
    publish(meter, limited)
    raised = outside.wait(topic, lambda d: "link_offline:meter" in d["active"])
    assert raised["severity"] == "warning"
    shown = next(a for a in raised["alarms"] if a["name"] == "link_offline")
    assert shown == {
        "id": "link_offline:meter",
        "name": "link_offline",
        "subject": "meter",
        "source": "engine",
        "severity": "warning",
        "message": "it refuses the connection",
        "active": True,
        "flapping": False,
        "raised_at": "2026-11-23T12:00:00.000Z",
        "cleared_at": None,
        "acknowledged": False,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "count": 1,
    }
    publish(meter, alarm_bits=16.0)
    both = outside.wait(topic, lambda d: len(d["active"]) == 2 and d["severity"] == "alarm")
    assert {(a["name"], a["source"]) for a in both["alarms"]} == {
        ("link_offline", "engine"),
        ("system_fault", "device"),
    }
    bench.broker.kill()
    offline(bridge)
    later = NOW + timedelta(minutes=1)
    seen = replace(meter, acknowledged=True, acknowledged_at=later, acknowledged_by="mqtt")
    for view in (seen, replace(seen, active=False, cleared_at=later)):
        publish(view)
        wait_for(lambda: not bridge._snapshot_waiting, "the snapshot to be taken")
    bench.broker.start()
    late = bench.outside()
    over = late.wait(topic, lambda d: any(a["cleared_at"] for a in d["alarms"]))
    gone = next(a for a in over["alarms"] if a["name"] == "link_offline")
    assert (gone["active"], gone["acknowledged_by"]) == (False, "mqtt")
    assert bridge.status().dropped == 0


def test_alarms_reach_the_broker_also_while_no_cycle_completes(bench: Bench) -> None:
    bench.broker.start()
    bridge, outside = bench.bridge(), bench.outside()
    bridge.publish(bench.snapshot())
    outside.wait(f"{ROOT_TOPIC}/telemetry")
    hangs = AlarmView("engine_hangs", True, NOW, source="engine")
    bridge.publish_alarms(replace(bench.snapshot(), alarms=(hangs,)))
    told = outside.wait(f"{ROOT_TOPIC}/alarms", lambda d: d["active"] == ["engine_hangs"])
    assert told["severity"] == "alarm"
    assert len(outside.on(f"{ROOT_TOPIC}/telemetry")) == 1, "what was measured is not said again"


def test_more_messages_than_the_broker_takes_at_once_all_arrive_in_order(bench: Bench) -> None:
    bridge = bench.bridge()
    offline(bridge)
    for i in range(60):
        bridge.publish(bench.snapshot(bad=("alarm_bits",) if i % 2 else ()))
        wait_for(lambda i=i: bridge.status().queued == i + 1, "the message to be queued")
    bench.broker.start()
    outside = bench.outside()
    online(bridge)
    wait_for(lambda: bridge.status().queued == 0, "the queue to empty")
    late = bench.outside()
    assert late.wait(f"{ROOT_TOPIC}/alarms")["known"] is False, "the newest one is kept"
    assert bench.broker.log.count(f"'{ROOT_TOPIC}/alarms'") >= 60
    assert bridge.status().dropped == 0
    outside.close()


def test_a_full_queue_gives_up_the_oldest_and_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.devices.mqtt.bridge.OUTBOX_SIZE", 5)
    bridge = bench.bridge()
    offline(bridge)
    for i in range(12):
        bridge.publish(bench.snapshot(bad=("alarm_bits",) if i % 2 else ()))
        wait_for(
            lambda i=i: bridge.status().queued + bridge.status().dropped == i + 1, "queued or lost"
        )
    assert (bridge.status().queued, bridge.status().dropped) == (5, 7)


def test_a_frozen_broker_is_noticed_and_publishing_goes_on(bench: Bench) -> None:
    bench.broker.start()
    bridge = bench.bridge(keepalive_s=2)
    online(bridge)
    bench.broker.freeze()
    for _ in range(500):
        bridge.publish(bench.snapshot())
    assert "Keep alive" in offline(bridge) or bridge.status().reason
    bench.broker.thaw()
    online(bridge)


def test_bad_credentials_stop_the_attempts_until_told_to_retry(bench: Bench) -> None:
    bench.broker.settings = password_settings(bench.folder, {"ems": "right", "see": "see"})
    bench.broker.start()
    environment = {"MQTT_PW": "wrong"}
    bridge = bench.bridge(username="ems", password_env="MQTT_PW", environment=environment)
    reason = offline(bridge)
    assert "user name or password" in reason
    assert not bridge.status().retrying
    # The thread that would connect has ended: there is nobody left to make a storm.
    assert bridge._connection is not None
    assert bridge._connection.join(10.0)
    assert bridge.status().failures == 1
    assert "wrong" not in repr(bridge.status())
    environment["MQTT_PW"] = "right"
    bridge.retry()
    online(bridge)
    assert bench.broker.log.count("as ems-site-1-0123456789ab") == 1


def test_a_missing_password_is_named_and_nothing_is_tried(bench: Bench) -> None:
    bridge = bench.bridge(username="ems", password_env="NOT_SET_ANYWHERE")
    assert "NOT_SET_ANYWHERE" in offline(bridge)
    assert not bridge.status().retrying
    bridge.publish(bench.snapshot())


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("power_kw", '{"value": 500, "id": "x"}', "outside -100 to 100"),
        ("power_kw", '{"value": 5, "ttl_s": 30, "ts": "2020-01-01T00:00:00Z"}', "expired"),
        ("power_kw", '{"value": NaN}', "not valid JSON"),
        ("power_kw", '{"value": 5, "tll_s": 3}', "unknown key 'tll_s'"),
        ("power_kw", '{"value": true}', "not a number"),
        ("power_kw", "[" * 3000, "not valid JSON"),
        ("power_kw", b"\xff\xfe", "not UTF-8"),
        ("power_kw", "", "empty"),
        ("strategy", "gambling", "not one of"),
        ("selfdestruct", "1", "unknown command"),
        ("soc_min", "20", "cannot be commanded in this version"),
    ],
)
def test_a_command_that_must_not_act_is_refused_with_a_reason(
    bench: Bench, name: str, payload: str | bytes, reason: str
) -> None:
    carried_out: list[Command] = []

    def remember(command: Command) -> CommandOutcome:
        carried_out.append(command)
        return accept(command)

    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge(remember, frozenset({"power_kw", "strategy"}))
    online(bridge)
    outside.send(f"{ROOT_TOPIC}/set/{name}", payload)
    result = outside.wait(f"{ROOT_TOPIC}/set/{name}/result")
    assert (result["accepted"], result["applied"]) == (False, None)
    assert reason in result["reason"]
    assert carried_out == []
    outside.send(f"{ROOT_TOPIC}/set/power_kw", "7.5")
    outside.wait(f"{ROOT_TOPIC}/set/power_kw/result", lambda d: d["accepted"])
    assert [c.value for c in carried_out] == [7.5]


def test_retained_commands_never_act(bench: Bench) -> None:
    carried_out: list[float | str] = []

    def remember(command: Command) -> CommandOutcome:
        carried_out.append(command.value)
        return accept(command)

    bench.broker.start()
    outside = bench.outside()
    outside.send(f"{ROOT_TOPIC}/set/power_kw", "11", retain=True)
    bridge = bench.bridge(remember, frozenset({"power_kw"}))
    online(bridge)
    # Sent while we are connected, but to be stored: it would come back with every connection.
    outside.send(f"{ROOT_TOPIC}/set/power_kw", '{"value": 12, "id": "r"}', retain=True)
    refused = outside.wait(f"{ROOT_TOPIC}/set/power_kw/result")
    assert (refused["id"], refused["accepted"]) == ("r", False)
    assert "retained" in refused["reason"]
    outside.send(f"{ROOT_TOPIC}/set/power_kw", "13")
    outside.wait(f"{ROOT_TOPIC}/set/power_kw/result", lambda d: d["accepted"])
    assert carried_out == [13.0]


def test_a_handler_that_fails_is_answered_reported_and_survived(bench: Bench) -> None:
    def fail_once(command: Command) -> CommandOutcome:
        if command.value == 1.0:
            raise ZeroDivisionError("handler")
        return accept(command)

    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge(fail_once, frozenset({"power_kw"}))
    online(bridge)
    outside.send(f"{ROOT_TOPIC}/set/power_kw", "1")
    assert "internal error" in outside.wait(f"{ROOT_TOPIC}/set/power_kw/result")["reason"]
    assert bridge.status().state == "degraded"
    outside.send(f"{ROOT_TOPIC}/set/power_kw", "2")
    outside.wait(f"{ROOT_TOPIC}/set/power_kw/result", lambda d: d["applied"] == 2.0)
    online(bridge)


def test_an_exception_in_the_network_thread_is_reported_and_survived(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge(inputs=[METER.model_dump()])
    online(bridge)
    receive = bridge._inputs.receive

    def broken(topic: str, payload: bytes, now: datetime, *, retained: bool) -> bool:
        if payload == b"poison":
            raise KeyError("poison")
        return receive(topic, payload, now, retained=retained)

    monkeypatch.setattr(bridge._inputs, "receive", broken)
    outside.send("meter/1", "poison")
    wait_for(lambda: "poison" in str(bridge.status().reason), "the report")
    outside.send("meter/1", {"p": [{"w": 1000}]})
    wait_for(lambda: bridge.samples()["grid_kw"].value == 1.0, "the next value")


def test_malformed_telemetry_is_bad_and_never_a_number(bench: Bench) -> None:
    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge(inputs=[METER.model_dump()])
    online(bridge)
    for i, payload in enumerate(["{", '{"p": []}', '{"p": [{"w": null}]}', b"\xff", "", "1e999"]):
        outside.send("meter/1", payload)
        wait_for(lambda i=i: bridge.status().bad_messages == i + 1, f"message {i}")
        sample = bridge.samples()["grid_kw"]
        assert (sample.value, sample.quality) == (None, Quality.BAD)
        assert sample.reason
    assert bridge.status().state == "online"


def test_a_retained_value_is_shown_and_not_used(bench: Bench) -> None:
    bench.broker.start()
    outside = bench.outside()
    outside.send("meter/1", {"p": [{"w": 5000}]}, retain=True)
    bridge = bench.bridge(inputs=[METER.model_dump()])
    wait_for(lambda: bridge.samples()["grid_kw"].value == 5.0, "the stored value")
    stored = bridge.samples()["grid_kw"]
    assert stored.quality is Quality.STALE
    assert not stored.usable
    # A live message is used even when its sender wants it stored.
    outside.send("meter/1", {"p": [{"w": 6000}]}, retain=True)
    wait_for(lambda: bridge.samples()["grid_kw"].value == 6.0, "the live value")
    assert bridge.samples()["grid_kw"].usable


def test_two_programs_with_one_client_id_are_reported(bench: Bench) -> None:
    bench.broker.start()
    first = bench.bridge()
    online(first)
    second = bench.bridge()
    both = (first, second)
    told = wait_for(
        lambda: [b.status() for b in both if "running twice" in str(b.status().reason)],
        "the report",
        30,
    )
    assert told[0].retrying
    # The one that reports waits long, so the other one stays: they do not go on each second.
    wait_for(lambda: any(b.status().connected_at for b in both), "the other one to stay")
    assert bench.broker.log.count("as ems-site-1-0123456789ab") <= 8


def test_topics_the_broker_denies_are_named(bench: Bench) -> None:
    acl = (
        "user ems\ntopic readwrite ems/site-1/status\ntopic write ems/site-1/telemetry\n"
        "topic write ems/site-1/alarms\ntopic write ems/site-1/strategy\n"
        "topic write ems/site-1/setpoint\ntopic write ems/site-1/limits\n"
    )
    bench.broker.settings = password_settings(bench.folder, {"ems": "right"}, acl)
    bench.broker.start()
    bridge = bench.bridge(username="ems", password_env="PW", environment={"PW": "right"})
    bridge.publish(bench.snapshot())
    wait_for(lambda: bridge.status().state == "degraded", "the denial")
    reason = str(bridge.status().reason)
    assert "ems/site-1/plan" in reason
    assert "Not authorized" in reason
    assert "telemetry" not in reason


def test_denied_telemetry_is_noticed_although_it_needs_no_answer(bench: Bench) -> None:
    acl = "user ems\ntopic write ems/site-1/status\n"
    bench.broker.settings = password_settings(bench.folder, {"ems": "right"}, acl)
    bench.broker.start()
    bridge = bench.bridge(username="ems", password_env="PW", environment={"PW": "right"})
    bridge.publish(bench.snapshot())
    wait_for(lambda: "site-1/telemetry" in str(bridge.status().reason), "the denial")


def test_tls_with_a_private_authority(bench: Bench) -> None:
    ca, certificate, key = make_certificates(bench.folder / "pki")
    other_ca, _, _ = make_certificates(bench.folder / "other")
    bench.broker.settings = (
        "allow_anonymous true",
        f"certfile {certificate}",
        f"keyfile {key}",
    )
    bench.broker.start()
    good = bench.bridge(tls=True, ca_file=str(ca))
    online(good)
    assert good.status().tls
    good.stop()
    wrong = bench.bridge(tls=True, ca_file=str(other_ca))
    assert "not trusted" in offline(wrong)
    plain = bench.bridge()
    assert "without TLS" in offline(plain)
    missing = bench.bridge(tls=True, ca_file=str(bench.folder / "none.pem"))
    assert "mqtt.ca_file" in offline(missing)


def test_something_that_is_no_broker_is_named(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    taken, _ = server.accept()
                except OSError:
                    return
                with taken:
                    taken.recv(100)

        threading.Thread(target=hang_up, daemon=True).start()
        bridge = bench.bridge(broker_port=server.getsockname()[1])
        assert "is it an MQTT broker" in offline(bridge)
        bridge.stop()
        server.shutdown(socket.SHUT_RDWR)


def test_a_network_thread_that_ends_is_noticed_and_started_again(bench: Bench) -> None:
    bridge = bench.bridge(broker_host="a..b")
    wait_for(lambda: bridge.status().restarts >= 2, f"a restart: {bridge.status()}", 20)
    assert "UnicodeError" in offline(bridge)
    bridge.publish(bench.snapshot())


def test_a_program_that_dies_is_offline_by_its_last_will(bench: Bench) -> None:
    bench.broker.start()
    outside = bench.outside()
    program = (
        "import sys, threading\n"
        "from engine.config.mqtt import MqttConfig\n"
        "from engine.devices.mqtt.bridge import MqttBridge\n"
        "from engine.domain.clock import SystemClock\n"
        "config = MqttConfig(broker_host='127.0.0.1', broker_port=int(sys.argv[1]))\n"
        "bridge = MqttBridge(config, 'site-1', lambda: None, None, SystemClock(),"
        " install_id='0123456789ab')\n"
        "bridge.start()\n"
        "threading.Event().wait(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(bench.broker.port)], cwd=ROOT, env=os.environ
    )
    try:
        outside.wait(f"{ROOT_TOPIC}/status", lambda d: d == "online")
        child.send_signal(signal.SIGKILL)
        outside.wait(f"{ROOT_TOPIC}/status", lambda d: d == "offline")
    finally:
        child.kill()
        child.wait(timeout=20)


def test_a_stop_says_offline_and_leaves_no_thread(bench: Bench) -> None:
    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge()
    online(bridge)
    bridge.stop()
    outside.wait(f"{ROOT_TOPIC}/status", lambda d: d == "offline")
    assert bridge.status().state == "stopped"
    bridge.stop()
    bridge.publish(bench.snapshot())
    assert bridge._connection is not None
    assert bridge._connection.join(10.0)


def test_home_assistant_is_told_at_connection_and_when_it_comes_back(bench: Bench) -> None:
    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge(accept, frozenset({"power_kw"}), home_assistant=True)
    bridge.publish(bench.snapshot())
    topic = "homeassistant/device/ems_site-1/config"
    device = outside.wait(topic)
    assert device["availability"][0]["topic"] == f"{ROOT_TOPIC}/status"
    assert device["cmps"]["set_power_kw"]["min"] == -100.0
    # Telemetry is repeated: Home Assistant subscribes only after it has read the discovery.
    outside.wait(f"{ROOT_TOPIC}/telemetry", after=1)
    outside.send("homeassistant/status", "online")

    def told_again() -> bool:
        # As in every cycle: the first may come before the news that Home Assistant is back.
        bridge.publish(bench.snapshot())
        return sum(message.topic == topic for message in outside.messages) > 1

    wait_for(told_again, "the discovery to be told again")
    assert outside.wait(topic, after=1) == device
    assert len(outside.on(topic)) == 2


def test_a_late_command_expires_while_it_waits(bench: Bench) -> None:
    release = threading.Event()
    carried_out: list[float | str] = []

    def slow(command: Command) -> CommandOutcome:
        carried_out.append(command.value)
        release.wait(20)
        return accept(command)

    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge(slow, frozenset({"power_kw"}))
    online(bridge)
    outside.send(f"{ROOT_TOPIC}/set/power_kw", "1")
    wait_for(lambda: carried_out == [1.0], "the first command")
    sent = datetime.now(UTC).isoformat()
    outside.send(f"{ROOT_TOPIC}/set/power_kw", {"value": 2, "ttl_s": 0.5, "ts": sent, "id": "2"})
    over = datetime.fromisoformat(sent) + timedelta(seconds=0.5)
    wait_for(lambda: datetime.now(UTC) > over, "its end")
    release.set()
    late = outside.wait(f"{ROOT_TOPIC}/set/power_kw/result", lambda d: d["id"] == "2")
    assert not late["accepted"]
    assert "expired" in late["reason"]
    assert carried_out == [1.0]


def checked(bench: Bench, **config: object) -> BrokerCheck:
    values = {"broker_host": "127.0.0.1", "broker_port": bench.broker.port} | config
    return check_broker(
        MqttConfig.model_validate(values),
        "site-1",
        SystemClock(),
        environment={"PW": "right"},
        listen_s=0.5,
        answer_s=3.0,
    )


def steps(check: BrokerCheck) -> dict[str, bool]:
    return {step.name: step.ok for step in check.steps}


def test_the_connection_test_shows_values_with_units_beside_a_running_bridge(bench: Bench) -> None:
    bench.broker.start()
    outside = bench.outside()
    bridge = bench.bridge()
    online(bridge)
    outside.send("meter/1", {"p": [{"w": 1500}]}, retain=True)
    check = checked(bench, inputs=[METER.model_dump()])
    assert check.ok, check.steps
    assert list(steps(check)) == ["connect", "publish", "round_trip", "inputs"]
    (reading,) = check.inputs
    assert (reading.signal, reading.sample.value, reading.unit) == ("grid_kw", 1.5, "kW")
    assert bridge.status().connects == 1
    # Nothing of the test stays at the broker.
    late = bench.outside()
    late.wait("meter/1")
    late.send("done", "1")
    late.wait("done")
    assert not [m.topic for m in late.messages if "/check/" in m.topic]


def test_the_connection_test_names_what_is_wrong(bench: Bench) -> None:
    absent = checked(bench)
    assert steps(absent) == {"connect": False}
    assert "no broker listens" in absent.steps[0].detail
    acl = "user ems\ntopic write ems/site-1/#\nuser mute\ntopic read #\n"
    bench.broker.settings = password_settings(bench.folder, {"ems": "right", "mute": "right"}, acl)
    bench.broker.start()
    wrong = checked(bench, username="nobody", password_env="PW")
    assert "user name or password" in wrong.steps[-1].detail
    deaf = checked(bench, username="ems", password_env="PW", inputs=[METER.model_dump()])
    assert steps(deaf) == {"connect": True, "publish": True, "round_trip": False, "inputs": False}
    mute = checked(bench, username="mute", password_env="PW")
    assert steps(mute)["publish"] is False
    unset = checked(bench, username="ems", password_env="NOT_SET")
    assert steps(unset) == {"configuration": False}

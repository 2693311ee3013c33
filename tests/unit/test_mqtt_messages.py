"""What is published, what is announced, and how passwords are found."""

from __future__ import annotations

import json
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.config.mqtt import MqttConfig
from engine.devices.mqtt.bridge import MqttBridge
from engine.devices.mqtt.commands import CommandRejectedError, parse_command
from engine.devices.mqtt.credentials import read_password, tls_context
from engine.devices.mqtt.home_assistant import discovery_payload, discovery_topic
from engine.devices.mqtt.install_id import install_id
from engine.devices.mqtt.outgoing import state_messages, telemetry_payload
from engine.devices.mqtt.topics import Topics
from engine.domain.clock import ManualClock
from engine.domain.control import EngineState, PowerLimits, Setpoint
from engine.domain.errors import ConfigError
from engine.domain.site import Site
from engine.domain.snapshot import EngineSnapshot
from engine.telemetry.debounce import AnalogDebounce
from tests.support.build import NOW, image, plan

TOPICS = Topics("ems", "site-1")


@pytest.fixture
def snapshot(site: Site) -> EngineSnapshot:
    return EngineSnapshot(
        seq=7,
        ts=NOW,
        site=site,
        state=EngineState.AUTOMATIC,
        state_reason=None,
        image=image(bad=("pv_kw",)),
        limits=PowerLimits(100.0, 80.0, "nameplate", "bms_power"),
        setpoint=Setpoint(NOW, 10.0, 12.0, "value_dispatch", "bms_power"),
        plan=plan(soc_kwh=50.0),
    )


def test_telemetry_says_null_and_why_for_what_must_not_be_used(snapshot: EngineSnapshot) -> None:
    data = json.loads(telemetry_payload(snapshot))
    assert data["grid_kw"] == 20.0
    assert data["pv_kw"] is None
    assert data["quality"] == {"pv_kw": {"quality": "bad", "reason": "no answer"}}
    assert data["ts"] == "2026-11-23T12:00:00.000Z"
    assert data["simulated"] is False


def test_a_plan_is_told_in_percent_of_the_sites_battery(snapshot: EngineSnapshot) -> None:
    found = {m.name: m for m in state_messages(snapshot, (), AnalogDebounce(), 0.0)}
    assert found.keys() == {"alarms", "plan", "strategy", "setpoint", "limits"}
    data = json.loads(found["plan"].payload())
    assert data["soc_percent"][0] == 25.0
    assert len(data["price_is_forecast"]) == 144


def test_missing_alarm_bits_are_not_told_as_no_alarm(snapshot: EngineSnapshot) -> None:
    blind = replace(snapshot, image=image(bad=("alarm_bits",)))
    message = next(m for m in state_messages(blind, (), AnalogDebounce(), 0.0))
    assert json.loads(message.payload())["known"] is False


def test_a_new_cause_of_the_setpoint_is_told_at_once(snapshot: EngineSnapshot) -> None:
    calm = AnalogDebounce(min_interval_s=60.0, deadbands={"setpoint_kw": 1.0})

    def told(power_kw: float, reason: str) -> float:
        changed = replace(snapshot, setpoint=Setpoint(NOW, power_kw, power_kw, reason))
        messages = state_messages(changed, (), calm, 0.0)
        return json.loads(next(m for m in messages if m.name == "setpoint").payload())["power_kw"]

    assert told(10.0, "value_dispatch") == 10.0
    assert told(10.3, "value_dispatch") == 10.0
    assert told(0.0, "bms_missing") == 0.0


def test_home_assistant_gets_what_the_site_has_and_only_commands_that_work(
    snapshot: EngineSnapshot,
) -> None:
    none = json.loads(discovery_payload(snapshot, TOPICS))
    assert not any(key.startswith("set_") for key in none["cmps"])
    assert "temperature_c" not in none["cmps"], "no device measures it"
    assert none["cmps"]["soc_percent"] == {
        "p": "sensor",
        "name": "State of charge",
        "state_topic": "ems/site-1/telemetry",
        "value_template": "{{ value_json.soc_percent }}",
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "device_class": "battery",
        "expire_after": 60,
        "unique_id": "ems_site-1_soc_percent",
    }
    unique = [c["unique_id"] for c in none["cmps"].values()]
    assert len(unique) == len(set(unique))
    some = json.loads(
        discovery_payload(snapshot, TOPICS, frozenset({"power_kw", "strategy", "ack"}))
    )
    commands = {k: c["p"] for k, c in some["cmps"].items() if k.startswith("set_")}
    assert commands == {"set_power_kw": "number", "set_strategy": "select", "set_ack": "button"}
    assert some["cmps"]["set_power_kw"]["max"] == snapshot.site.battery.power_discharge_max_kw
    assert discovery_topic("homeassistant", TOPICS) == "homeassistant/device/ems_site-1/config"


def test_a_simulated_site_says_so_in_home_assistant(snapshot: EngineSnapshot) -> None:
    demo = replace(snapshot, image=replace(snapshot.image, simulated=True))
    assert "simulated" in json.loads(discovery_payload(demo, TOPICS))["dev"]["name"]
    assert json.loads(telemetry_payload(demo))["simulated"] is True


def test_commands_as_number_word_and_object(site: Site) -> None:
    plain = parse_command("power_kw", b"-25", NOW, site)
    assert (plain.value, plain.ttl_s, plain.command_id) == (-25.0, 60.0, None)
    assert parse_command("strategy", b"arbitrage", NOW, site).value == "arbitrage"
    full = parse_command(
        "power_kw",
        b'{"value": 5, "ttl_s": 90, "id": 7, "ts": "2026-11-23T12:59:30+01:00"}',
        NOW,
        site,
    )
    assert (full.command_id, full.expires_at) == ("7", NOW + timedelta(seconds=60))


@pytest.mark.parametrize("value", ["all", "system_fault", "meter_stale", "link_offline:meter"])
def test_any_alarm_can_be_acknowledged_by_code_or_id(site: Site, value: str) -> None:
    payload = json.dumps({"value": value}).encode()
    assert parse_command("ack", payload, NOW, site).value == value


@pytest.mark.parametrize("value", ["nobody", "nobody:meter", ":meter", "", 1])
def test_what_is_no_alarm_cannot_be_acknowledged(site: Site, value: object) -> None:
    with pytest.raises(CommandRejectedError, match="is not one of all"):
        parse_command("ack", json.dumps({"value": value}).encode(), NOW, site)


def test_a_senders_fast_clock_does_not_extend_a_command(site: Site) -> None:
    ahead = b'{"value": 5, "ttl_s": 90, "ts": "2026-11-23T12:00:20Z"}'
    assert parse_command("power_kw", ahead, NOW, site).expires_at == NOW + timedelta(seconds=90)
    far = b'{"value": 5, "ts": "2026-11-23T13:00:00Z", "id": "k"}'
    with pytest.raises(CommandRejectedError, match="future") as caught:
        parse_command("power_kw", far, NOW, site)
    assert caught.value.command_id == "k"


@pytest.mark.parametrize("ts", ['"2026-11-23T12:00:00"', '"yesterday"', "12", "[]"])
def test_an_unclear_time_is_refused(site: Site, ts: str) -> None:
    with pytest.raises(CommandRejectedError, match="'ts'"):
        parse_command("power_kw", f'{{"value": 5, "ts": {ts}}}'.encode(), NOW, site)


@pytest.mark.parametrize("ttl", ["0", "-5", "1e9", '"soon"', "null"])
def test_an_unclear_ttl_is_refused(site: Site, ttl: str) -> None:
    with pytest.raises(CommandRejectedError):
        parse_command("power_kw", f'{{"value": 5, "ttl_s": {ttl}}}'.encode(), NOW, site)


def test_password_from_environment_or_private_file(tmp_path: Path) -> None:
    assert read_password(MqttConfig(), {}) is None
    named = MqttConfig(username="ems", password_env="PW")
    assert read_password(named, {"PW": "secret"}) == "secret"
    with pytest.raises(ConfigError, match="empty or not set"):
        read_password(named, {})
    path = tmp_path / "password"
    path.write_text("secret\n")
    path.chmod(0o600)
    filed = MqttConfig(username="ems", password_file=str(path))
    assert read_password(filed, {}) == "secret"
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="0640") as caught:
        read_password(filed, {})
    assert "secret" not in str(caught.value)
    path.chmod(0o600)
    path.write_text("")
    with pytest.raises(ConfigError, match="empty"):
        read_password(filed, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        read_password(MqttConfig(username="ems", password_file=str(tmp_path / "none")), {})
    with pytest.raises(ConfigError, match="user name"):
        read_password(MqttConfig(password_env="PW"), {"PW": "secret"})
    with pytest.raises(ConfigError, match="two places"):
        read_password(MqttConfig(username="e", password_env="A", password_file="b"), {})


def test_tls_always_checks_certificates(tmp_path: Path) -> None:
    assert tls_context(MqttConfig()) is None
    context = tls_context(MqttConfig(tls=True))
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    with pytest.raises(ConfigError, match="not encrypted"):
        tls_context(MqttConfig(ca_file="ca.pem"))
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="cannot be used"):
        tls_context(MqttConfig(tls=True, ca_file=str(tmp_path / "ca.pem")))


def test_an_installation_keeps_its_identifier(tmp_path: Path) -> None:
    first = install_id(tmp_path / "data")
    assert install_id(tmp_path / "data") == first
    assert install_id(tmp_path / "other") != first
    (tmp_path / "data" / "install_id").write_text("../../x")
    with pytest.raises(ConfigError, match="damaged"):
        install_id(tmp_path / "data")


def test_our_own_topics_cannot_be_an_input(snapshot: EngineSnapshot) -> None:
    config = MqttConfig.model_validate(
        {"inputs": [{"topic": "ems/site-1/telemetry", "signal": "soc_percent", "path": "x"}]}
    )
    with pytest.raises(ConfigError, match="itself publishes"):
        MqttBridge(config, "site-1", lambda: snapshot, None, ManualClock(NOW), install_id="0")


def test_a_bridge_that_was_never_started_can_be_stopped_and_asked(snapshot: EngineSnapshot) -> None:
    bridge = MqttBridge(
        MqttConfig(), "site-1", lambda: snapshot, None, ManualClock(NOW), install_id="0"
    )
    bridge.publish(snapshot)
    assert bridge.status().state == "connecting"
    bridge.stop()
    assert bridge.status().state == "stopped"
    assert bridge.status().link().name == "mqtt"
    assert bridge.samples() == {}

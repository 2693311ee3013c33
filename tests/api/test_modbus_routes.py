"""Modbus routes: what is configured, what profiles say, and a guarded connection test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ems_dash.api.address_guard import AddressRefusedError, checked_address
from ems_dash.api.modbus_routes import register_modbus_api
from ems_dash.api.request_guard import OneAtATime, RateLimitedError
from engine.config.load import parse_config
from engine.devices.connection_test import ConnectionReport
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.server import DemoPlantServer
from engine.devices.site_devices import SiteDevices
from engine.devices.spec import DeviceSpec
from engine.domain.clock import ManualClock, SystemClock
from engine.domain.site import Battery, Site
from engine.runtime.device_service import DeviceService
from engine.runtime.site_setup import real_members
from tests.support.access import AS_OPERATOR, open_flask
from tests.support.whole_program import build

START = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0)


class Ticking:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 100.0
        return self.now_s


class World:
    """A real Modbus plant, the service over it and a client of the API."""

    def __init__(self, site: Site) -> None:
        clock = SystemClock()
        self.plant = DemoPlant(DemoParameters(BATTERY), lambda _: 60.0, lambda _: 20.0, clock)
        self.server = DemoPlantServer(self.plant)
        self.port = self.server.start()
        text = "devices:\n" + "".join(
            f"  - {{name: {name}, profile: demo_{name}, host: 127.0.0.1, port: {self.port}, "
            f"unit_id: {unit}}}\n"
            for name, unit in (("bms", 1), ("pcs", 2), ("meter", 3))
        )
        config = parse_config(text)
        self.devices = SiteDevices(real_members(config), clock)
        self.devices.poll_once()
        self.service = DeviceService(
            config, site, self.devices, clock, measured=lambda since: [], observe_s=0.02
        )
        self.resolved: list[str] = []
        self.addresses = {"localhost": ["127.0.0.1"]}
        flask = open_flask()
        register_modbus_api(
            flask, self.service, lambda: "site-1", resolve=self.resolve, monotonic=Ticking()
        )
        self.client: FlaskClient = flask.test_client()

    def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        if host.replace(".", "").isdigit() or ":" in host:
            return [host]
        if host not in self.addresses:
            raise OSError("unknown")
        return self.addresses[host]

    def test(self, body: object, **options: Any) -> TestResponse:
        headers = options.pop("headers", {})
        return self.client.post("/api/modbus/test", json=body, headers=headers, **options)

    def close(self) -> None:
        self.devices.stop(safe_power_kw=None)
        self.server.stop()


@pytest.fixture
def world(site: Site) -> Iterator[World]:
    world = World(site)
    yield world
    world.close()


def error_of(answer: TestResponse) -> dict[str, Any]:
    body = answer.get_json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "field", "hint"}
    return dict(body["error"])


def test_the_configuration_is_told_with_assets(world: World) -> None:
    answer = world.client.get("/api/modbus/config")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert [device["name"] for device in body["devices"]] == ["bms", "pcs", "meter"]
    assert body["modbus"]["profile"] == "hithium_ess_5016"
    assert {asset["kind"] for asset in body["assets"]} == {"energy_storage", "meter"}
    assert body["assets"][0]["devices"] == ["bms", "pcs"]
    assert body["demo"] is False


def test_another_site_is_unknown(world: World) -> None:
    answer = world.client.get("/api/modbus/config?site=other")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "unknown_site")


def test_the_profiles_are_listed_and_one_is_told_in_full(world: World) -> None:
    listed = world.client.get("/api/modbus/profiles").get_json()["profiles"]
    keys = {profile["key"] for profile in listed}
    assert {"hithium_ess_5016", "demo_meter"} <= keys
    detail = world.client.get("/api/modbus/profiles?profile=hithium_ess_5016").get_json()
    assert detail["registers"]["max_charge_power_kw"] == {
        "address": 33,
        "function": 4,
        "type": "uint16",
        "scale": 0.1,
        "offset": 0.0,
        "unit": "kW",
        "positive_means": None,
        "min": 0.0,
        "max": None,
        "description": "Permitted maximum charge power",
    }
    assert detail["alarms"]["charge_prohibited"]["address"] == 55
    assert detail["address_base_stated"] is False
    answer = world.client.get("/api/modbus/profiles?profile=nobody")
    assert answer.status_code == 404
    assert "hithium_ess_5016" in error_of(answer)["hint"]


def test_a_configured_device_is_tested_through_its_live_connection(world: World) -> None:
    answer = world.test({"device": "meter"})
    assert answer.status_code == 200
    body = answer.get_json()
    assert body["ok"] is True
    assert body["through_live_link"] is True
    rows = {row["signal"]: row for row in body["registers"]}
    assert rows["grid_kw"]["value"] == 40.0
    assert rows["grid_kw"]["words"] is not None
    assert rows["grid_kw"]["unit"] == "kW"
    assert [step["name"] for step in body["steps"]][-1] == "physics"
    json.dumps(body, allow_nan=False)


def test_settings_that_are_not_configured_yet_are_tested(world: World) -> None:
    body = {"profile": "demo_pv", "host": "localhost", "port": world.port, "unit_id": 4}
    answer = world.test(body).get_json()
    assert answer["ok"] is True
    assert {row["signal"]: row["value"] for row in answer["registers"]}["pv_kw"] == 20.0
    assert world.resolved[0] == "localhost"


def test_a_wrong_setting_is_answered_with_what_to_try(world: World) -> None:
    body = {"profile": "demo_bms", "host": "127.0.0.1", "port": world.port, "unit_id": 9}
    answer = world.test(body).get_json()
    assert answer["ok"] is False
    unit = next(step for step in answer["steps"] if step["name"] == "unit")
    assert unit["state"] == "failed"
    assert unit["hint"]


def test_the_test_never_writes(world: World) -> None:
    world.plant.set_power_kw(12.0)
    for device in ("bms", "pcs", "meter"):
        assert world.test({"device": device}).status_code == 200
    assert world.plant.pcs_values()["battery_setpoint_kw"] == 12.0
    spec = world.service.new_device(
        parse_config(
            "devices: [{name: x, profile: demo_pcs, host: h, write_enabled: true}]"
        ).devices[0]
    )
    assert not spec.writable


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 400, "invalid_request", "profile"),
        ({"profile": "demo_bms"}, 400, "invalid_request", "host"),
        ({"device": "nobody"}, 404, "not_found", "device"),
        ({"device": "bms", "port": 502}, 400, "invalid_request", "port"),
        ({"device": "bms", "write": True}, 400, "invalid_request", "write"),
        ({"profile": "nobody", "host": "127.0.0.1"}, 400, "config_invalid", None),
        ({"profile": "demo_bms", "host": "127.0.0.1", "port": "502"}, 400, "invalid_request", None),
        ({"profile": "demo_bms", "host": "127.0.0.1", "port": 22}, 400, "address_refused", "port"),
        ({"profile": "demo_bms", "host": "8.8.8.8", "port": 502}, 400, "address_refused", "host"),
        ({"profile": "demo_bms", "host": "nobody", "port": 502}, 400, "address_refused", "host"),
        ([], 400, "invalid_request", None),
    ],
)
def test_what_cannot_be_tested_is_told_in_one_shape(
    world: World, body: object, status: int, code: str, field: str | None
) -> None:
    answer = world.test(body)
    found = error_of(answer)
    assert (answer.status_code, found["code"]) == (status, code)
    assert found["hint"]
    if field is not None:
        assert found["field"] == field


def test_what_is_no_json_or_too_large_is_refused(world: World) -> None:
    answer = world.client.post("/api/modbus/test", data="device=bms")
    assert (answer.status_code, error_of(answer)["field"]) == (415, "Content-Type")
    answer = world.client.post(
        "/api/modbus/test",
        data=b" " * 65_000,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413
    assert "64 kB" in error_of(answer)["message"]


def test_only_an_admin_may_start_a_test(world: World) -> None:
    answer = world.test({"device": "bms"}, headers=AS_OPERATOR)
    assert answer.status_code == 403
    assert error_of(answer)["code"] == "forbidden"


def test_a_second_test_at_the_same_time_is_turned_away(world: World) -> None:
    inside, go_on = threading.Event(), threading.Event()
    real = world.service.test

    def slow(spec: DeviceSpec, address: str | None) -> ConnectionReport:
        inside.set()
        assert go_on.wait(20)
        return real(spec, address)

    world.service.test = slow  # type: ignore[method-assign]
    answers: list[TestResponse] = []
    thread = threading.Thread(target=lambda: answers.append(world.test({"device": "bms"})))
    thread.start()
    assert inside.wait(20)
    refused = world.test({"device": "bms"})
    go_on.set()
    thread.join(20)
    assert (refused.status_code, error_of(refused)["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == "1"
    assert answers[0].status_code == 200


def test_tests_keep_a_second_apart() -> None:
    clock = ManualClock(START)
    gate = OneAtATime("connection test", 1.0, clock.monotonic)
    with gate.turn():
        pass
    clock.advance(0.4)
    with pytest.raises(RateLimitedError, match="less than 1 s"), gate.turn():
        raise AssertionError("not reached")
    clock.advance(1.0)
    with gate.turn():
        pass


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [
        (["127.0.0.1"], True),
        (["10.1.2.3"], True),
        (["172.31.0.9"], True),
        (["192.168.178.40"], True),
        (["::1"], True),
        (["fd00::5"], True),
        (["::ffff:192.168.1.2"], True),
        (["8.8.8.8"], False),
        (["172.32.0.1"], False),
        (["169.254.169.254"], False),
        (["0.0.0.0"], False),
        (["::"], False),
        (["::ffff:8.8.8.8"], False),
        (["2001:4860:4860::8888"], False),
        (["224.0.0.1"], False),
        (["192.168.1.2", "8.8.8.8"], False),
        ([], False),
    ],
)
def test_only_private_addresses_are_connected_to(addresses: list[str], allowed: bool) -> None:
    if allowed:
        assert checked_address("device", 502, (), lambda host, port: addresses) == addresses[0]
    else:
        with pytest.raises(AddressRefusedError):
            checked_address("device", 502, (), lambda host, port: addresses)


def test_ports_of_configured_devices_are_allowed_besides_the_usual_ones() -> None:
    for port in (502, 1502, 5020, 8899, 9999):
        assert checked_address("h", port, (9999,), lambda host, port: ["10.0.0.1"]) == "10.0.0.1"
    with pytest.raises(AddressRefusedError, match="Port 443"):
        checked_address("h", 443, (9999,), lambda host, port: ["10.0.0.1"])


def test_a_simulated_site_says_nothing_about_a_real_device(world: World) -> None:
    members = [
        replace(member, spec=replace(member.spec, simulated=True))
        for member in world.devices.assets.members
    ]
    simulated = SiteDevices(members, SystemClock())
    simulated.poll_once()
    asked: list[str] = []
    original = simulated.samples
    simulated.samples = lambda: asked.append("asked") or original()  # type: ignore[method-assign]
    service = DeviceService(
        world.service.config,
        world.service._site,
        simulated,
        SystemClock(),
        measured=lambda since: [],
        observe_s=0.02,
    )
    other = DemoPlantServer(world.plant)
    port = other.start()
    try:
        new = parse_config(
            f"devices: [{{name: x, profile: demo_pv, host: 127.0.0.1, port: {port}, unit_id: 4}}]"
        )
        report = service.test(service.new_device(new.devices[0]), "127.0.0.1")
    finally:
        other.stop()
        simulated.stop(safe_power_kw=None)
    assert not report.simulated
    assert asked == []


def test_the_whole_program_serves_these_routes_on_its_demo_plant(tmp_path: Path) -> None:
    program = build(tmp_path)
    try:
        config = program.ask("GET", "/api/modbus/config").get_json()
        assert config["demo"] is True
        assert {asset["kind"] for asset in config["assets"]} == {
            *("energy_storage", "meter", "pv_generator"),
        }
        answer = program.ask("POST", "/api/modbus/test", json={"device": "meter"})
        assert answer.status_code == 200
        assert answer.get_json()["simulated"] is True
        assert program.ask("PUT", "/api/modbus/config").status_code == 405
    finally:
        program.stop()


def test_the_connections_are_told_with_errors_by_kind(world: World) -> None:
    body = world.client.get("/api/modbus/status").get_json()
    assert set(body["statistics"]) == {"bms", "pcs", "meter"}
    meter = body["statistics"]["meter"]
    assert meter["requests"] >= 1
    assert meter["errors"] == sum(meter["errors_by_kind"].values()) == 0
    assert meter["latency_p95_ms"] > 0
    assert body["clocks"] == {}, "the demo's devices have no clock to set"
    assert body["limits"] == {}, "no writable device takes a limit"

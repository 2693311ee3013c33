"""A failing part never stops the control loop, and the battery ends in a safe state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.config.load import parse_config
from engine.config.schema import Config
from engine.devices.mqtt.commands import Command
from engine.devices.simulator.plant import DemoPlant
from engine.devices.simulator.server import DemoPlantServer
from engine.domain.clock import ManualClock
from engine.domain.control import EngineState
from engine.domain.errors import ConfigError, MarketError
from engine.forecasting.histories import RecordedHistory
from engine.history.duckdb_store import DuckDbHistory
from engine.market.recorded_prices import RecordedPrices
from engine.optimization import check as check_module
from engine.recorded.recording import Recording
from engine.runtime import planner, planning_setup
from engine.runtime.assembly import build_engine
from engine.runtime.device_setup import make_demo_plant
from engine.runtime.engine import Engine
from engine.strategies import candidates
from tests.support.build import SIMPLE_MODELS
from tests.support.design_yaml import DESIGN_YAML
from tests.support.process import free_port

# A November evening at high prices: the battery serves the load.
START = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@dataclass
class Demo:
    """An engine on the demo plant, moved by hand."""

    engine: Engine
    plant: DemoPlant
    clock: ManualClock

    @property
    def setpoint_kw(self) -> float:
        """What the converter was last told."""
        return float(self.plant.pcs_values()["battery_setpoint_kw"])

    def run(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            self.clock.advance(2.0)
            self.engine.run_once()


Build = Callable[..., Demo]


@pytest.fixture
def build(tmp_path: Path, recording: Recording) -> Iterator[Build]:
    made: list[Demo] = []

    def make(text: str = "") -> Demo:
        config: Config = parse_config(SIMPLE_MODELS + text)
        clock = ManualClock(START)
        plant = make_demo_plant(config, recording, clock)
        demo = Demo(build_engine(config, tmp_path / "data", clock, plant), plant, clock)
        made.append(demo)
        return demo

    yield make
    for demo in made:
        demo.engine.stop()


def test_the_demo_plans_and_serves_the_load(build: Build) -> None:
    demo = build()
    demo.run(30)
    snapshot = demo.engine.snapshot()
    assert snapshot.state is EngineState.AUTOMATIC
    assert snapshot.plan is not None
    assert snapshot.setpoint is not None
    assert snapshot.setpoint.power_kw > 1
    battery_kw = snapshot.image.value("battery_kw")
    assert battery_kw is not None
    assert battery_kw > 1


def test_stop_leaves_the_battery_at_zero(build: Build) -> None:
    demo = build()
    demo.run(30)
    assert demo.setpoint_kw != 0
    demo.engine.stop()
    assert demo.setpoint_kw == 0
    assert demo.engine.snapshot().state is EngineState.STOPPED


def test_monitor_mode_plans_but_never_writes(build: Build) -> None:
    demo = build("ems: {mode: monitor}")
    demo.run(30)
    snapshot = demo.engine.snapshot()
    assert snapshot.state is EngineState.MONITORING
    assert snapshot.plan is not None
    assert demo.setpoint_kw == 0
    assert demo.plant.truth.total.discharged_kwh == 0
    assert "monitor_mode" in {n.code for n in snapshot.notices}
    assert not any(link.writable for link in snapshot.links)
    demo.plant.set_power_kw(10.0)
    demo.engine.stop()
    assert demo.setpoint_kw == 10.0, "not even the stop writes"


@pytest.mark.parametrize("fault", ["setpoints_refused", "setpoints_ignored"])
def test_a_converter_that_does_not_obey_is_reported(build: Build, fault: str) -> None:
    demo = build()
    demo.run(30)
    setattr(demo.plant.faults, fault, True)
    demo.plant.faults.discharge_limit_kw = 2.0
    demo.run(60)
    health = {h.name: h for h in demo.engine.snapshot().health}
    assert not health["command"].ok
    assert health["command"].last_error


def test_a_silent_plant_means_zero_and_says_so(build: Build) -> None:
    demo = build()
    demo.run(30)
    for stop in demo.engine._parts.on_stop:
        stop()
    demo.run(2)
    snapshot = demo.engine.snapshot()
    assert (snapshot.state, snapshot.state_reason) == (EngineState.SAFE, "bms_missing")
    assert snapshot.setpoint is not None
    assert snapshot.setpoint.power_kw == 0
    assert snapshot.limits is not None
    assert (snapshot.limits.charge_kw, snapshot.limits.discharge_kw) == (0, 0)
    assert all(s.value is None for s in snapshot.image.samples.values())
    assert all(link.state == "offline" and link.reason for link in snapshot.links)


def test_a_battery_fault_stops_both_directions_in_the_same_cycle(build: Build) -> None:
    demo = build()
    demo.run(30)
    demo.plant.faults.bms_fault = True
    demo.run(1)
    snapshot = demo.engine.snapshot()
    assert snapshot.limits is not None
    assert (snapshot.limits.charge_kw, snapshot.limits.discharge_kw) == (0, 0)
    assert snapshot.limits.discharge_binding == "status"
    assert (snapshot.state, snapshot.state_reason) == (EngineState.FAULT, "battery_fault")
    assert snapshot.setpoint is not None
    assert snapshot.setpoint.power_kw == 0


def test_an_alarm_is_listed_until_it_is_over_and_seen(build: Build) -> None:
    demo = build()
    demo.run(30)
    demo.plant.faults.charge_prohibited = True
    demo.run(2)
    (alarm,) = demo.engine.snapshot().alarms
    assert (alarm.name, alarm.active, alarm.acknowledged) == ("charge_prohibited", True, False)
    demo.plant.faults.charge_prohibited = False
    demo.run(5)
    (alarm,) = demo.engine.snapshot().alarms
    assert not alarm.active, "over, but nobody has seen it"
    assert demo.engine.acknowledge() == ("charge_prohibited",)
    demo.run(1)
    assert demo.engine.snapshot().alarms == ()
    demo.engine._parts.history.flush(5.0)
    codes = [e.code for e in demo.engine._parts.history._store.events("site-1", *EVER)]
    assert [c for c in codes if c.startswith("alarm")] == [
        "alarm_raised",
        "alarm_cleared",
        "alarm_acknowledged",
    ]


def test_all_alarms_are_acknowledged_over_mqtt_and_none_is_refused(build: Build) -> None:
    demo = build()
    demo.run(30)
    everything = Command("ack", "all", 30.0, "", demo.clock.now() + timedelta(minutes=1))
    send = demo.engine.mqtt_service._on_command
    refused = send(everything)
    assert not refused.accepted
    assert "no such alarm" in str(refused.reason)
    demo.plant.faults.charge_prohibited = True
    demo.run(2)
    assert send(everything).accepted
    demo.run(1)
    (alarm,) = demo.engine.snapshot().alarms
    assert (alarm.active, alarm.acknowledged) == (True, True)
    assert not send(everything).accepted, "everything listed has been seen"


def test_a_fluttering_alarm_is_one_event_while_every_cycle_obeys_it(build: Build) -> None:
    demo = build()
    demo.run(30)
    for cycle in range(20):
        demo.plant.faults.charge_prohibited = cycle % 2 == 0
        demo.run(1)
        limits = demo.engine.snapshot().limits
        assert limits is not None
        if cycle % 2 == 0:
            assert limits.charge_kw == 0, "limits act on the raw bit at once"
        (alarm,) = demo.engine.snapshot().alarms
        assert (alarm.active, alarm.count) == (True, 1)
    demo.engine._parts.history.flush(5.0)
    events = demo.engine._parts.history._store.events("site-1", *EVER)
    assert [e.code for e in events].count("alarm_raised") == 1


def test_the_last_hour_is_kept_cycle_by_cycle(build: Build) -> None:
    demo = build()
    demo.run(30)
    cycles = demo.engine.recent(START)
    assert len(cycles) == 30
    assert cycles[-1].value("soc_percent") == pytest.approx(50, abs=1)
    report = demo.engine.snapshot().command
    assert report is not None
    assert report.state in ("confirmed", "pending")
    assert set(demo.engine.device_service.statistics()) == {"bms", "pcs", "meter", "pv"}


def test_control_goes_on_without_prices_and_the_page_hears_why(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = build()
    demo.run(30)

    def fail(self: RecordedPrices, now: datetime) -> None:
        raise MarketError("The price source burnt down.", hint="Buy a new one.")

    plan = demo.engine.snapshot().plan
    monkeypatch.setattr(planner.Planner, "due", lambda self, *observed: "request")
    monkeypatch.setattr(RecordedPrices, "published", fail)
    with monkeypatch.context() as patch:
        patch.setattr(demo.engine._parts.cycle, "_price_at", lambda ts: None)
        patch.setattr(demo.engine._parts.cycle._ledger, "_quote_at", lambda ts: None)
        demo.run(2)
    snapshot = demo.engine.snapshot()
    assert snapshot.plan is plan, "the plan that was there stays"
    assert (snapshot.state, snapshot.state_reason) == (EngineState.DEGRADED, "no_price")
    health = {h.name: h for h in snapshot.health}
    assert not health["plan"].ok
    assert "burnt down" in str(health["plan"].last_error)
    assert health["control"].ok


def test_a_failure_while_looking_whether_a_plan_is_due_is_supervised_too(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = build()
    demo.run(5)

    def fail(self: planner.Planner, *observed: object) -> None:
        raise MarketError("The price source hangs up.")

    with monkeypatch.context() as patch:
        patch.setattr(planner.Planner, "due", fail)
        demo.run(2)
        health = {h.name: h for h in demo.engine.snapshot().health}
        assert "hangs up" in str(health["plan"].last_error)
    demo.engine.request_plan()
    demo.run(2)
    assert {h.name: h for h in demo.engine.snapshot().health}["plan"].ok


def test_a_plan_that_fails_its_check_is_never_published(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(instance, solution):
        good = check_module.check_solution(instance, solution)
        return type(good)(False, 5.0, 0.0, 0.0, ("step 3 imports 5 kW more than allowed",))

    monkeypatch.setattr(candidates, "check_solution", refuse)
    demo = build()
    demo.run(5)
    snapshot = demo.engine.snapshot()
    assert snapshot.plan is None
    assert snapshot.setpoint is not None
    assert (snapshot.setpoint.power_kw, snapshot.setpoint.reason) == (0.0, "no_plan")
    health = {h.name: h for h in snapshot.health}
    assert "step 3 imports" in str(health["plan"].last_error)


def test_a_broken_control_step_commands_zero_and_ages_the_heartbeat(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = build()
    demo.run(30)
    assert demo.setpoint_kw != 0
    beat = demo.engine._beat

    def explode(plan: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(demo.engine._parts.cycle, "run", explode)
    demo.run(3)
    assert demo.setpoint_kw == 0
    assert demo.engine._beat == beat


def test_control_goes_on_while_the_database_fails(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = build()
    demo.run(5)

    def fail(self: DuckDbHistory, batch: object) -> None:
        raise OSError("disk on strike")

    with monkeypatch.context() as patch:
        patch.setattr(DuckDbHistory, "write", fail)
        assert not demo.engine._parts.history.flush(1.0)
        demo.run(30)
        snapshot = demo.engine.snapshot()
        health = {h.name: h for h in snapshot.health}
        assert not health["history"].ok
        assert "strike" in str(health["history"].last_error)
        assert snapshot.state is EngineState.AUTOMATIC
    assert demo.engine._parts.history.flush(5.0)
    assert demo.engine._parts.history.status().rows_dropped == 0


def test_a_failed_build_gives_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise MarketError("no")

    before = set(threading.enumerate())
    with monkeypatch.context() as patch:
        patch.setattr(planning_setup, "Planner", refuse)
        with pytest.raises(MarketError):
            build_engine(parse_config(""), tmp_path / "data", ManualClock(START))
    assert not set(threading.enumerate()) - before
    engine = build_engine(parse_config(""), tmp_path / "data", ManualClock(START))
    engine.stop()


def test_a_real_battery_that_does_not_answer_is_waited_for_and_never_replaced_by_the_demo(
    tmp_path: Path,
) -> None:
    text = DESIGN_YAML.replace("enabled: false", "enabled: true").replace(
        "port: 502", f"port: {free_port()}"
    )
    engine = build_engine(parse_config(text), tmp_path / "data", ManualClock(START))
    engine.run_once()
    snapshot = engine.snapshot()
    engine.stop()
    assert snapshot.state in (EngineState.SAFE, EngineState.MONITORING)
    assert not snapshot.image.simulated
    device, broker = snapshot.links
    assert (device.name, device.state, device.writable) == ("bms", "offline", False)
    assert (broker.name, broker.simulated) == ("mqtt", False), "the design enables MQTT"
    assert "demo_plant" not in {n.code for n in snapshot.notices}
    assert all(sample.value is None for sample in snapshot.image.samples.values())


def test_a_real_battery_is_never_steered_on_recorded_prices(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The demo plant behind a configuration that knows it as a real, writable site, with a past.
    clock = ManualClock(START)
    plant = make_demo_plant(parse_config(""), recording, clock)
    server = DemoPlantServer(plant)
    port = server.start()
    entries = ", ".join(
        f"{{name: {name}, profile: demo_{name}, host: 127.0.0.1, port: {port}, unit_id: {unit}, "
        f"timeout_s: 30, write_enabled: {str(name == 'pcs').lower()}}}"
        for unit, name in enumerate(("bms", "pcs", "meter", "pv"), start=1)
    )
    past = RecordedHistory(recording, {"load_kw": ("load_kw", 1.0), "pv_kw": ("pv_kw", 1.0)}, clock)
    monkeypatch.setattr(planning_setup, "past_of", lambda *arguments: past)
    engine = build_engine(
        parse_config(f"{SIMPLE_MODELS}devices: [{entries}]"), tmp_path / "data", clock
    )
    try:
        for _ in range(30):
            clock.advance(2.0)
            engine.run_once()
        snapshot = engine.snapshot()
        assert snapshot.plan is not None, "a plan is made and shown"
        assert (snapshot.state, snapshot.state_reason) == (
            EngineState.DEGRADED,
            "recorded_prices",
        )
        assert snapshot.setpoint is not None
        assert snapshot.setpoint.wanted_kw > 1
        assert plant.pcs_values()["battery_setpoint_kw"] == 0
        assert plant.truth.total.discharged_kwh == 0
        plant.faults.bms_fault = True
        for _ in range(2):
            clock.advance(2.0)
            engine.run_once()
        snapshot = engine.snapshot()
        assert (snapshot.state, snapshot.state_reason) == (EngineState.FAULT, "battery_fault")
    finally:
        engine.stop()
        server.stop()


def test_a_register_that_cannot_be_is_a_configuration_mistake(tmp_path: Path) -> None:
    text = "modbus: {enabled: true, registers: {soc_percent: {address: 65535, type: uint32}}}"
    with pytest.raises(ConfigError) as caught:
        build_engine(parse_config(text), tmp_path / "data", ManualClock(START))
    assert str(caught.value.field).startswith("modbus.registers.soc_percent")
    assert caught.value.hint

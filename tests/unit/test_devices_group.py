"""A device group against the demo plant over real Modbus TCP."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

import engine.devices
from engine.devices.command_state import CommandPhase
from engine.devices.group import DeviceGroup
from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.profile import MODBUS_PROFILES, with_overrides
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.server import DemoPlantServer, specs
from engine.devices.spec import DeviceSpec
from engine.domain.clock import ManualClock, SystemClock
from engine.domain.errors import DeviceError, WriteRefusedError
from engine.domain.sample import Quality
from engine.domain.site import Battery

START = datetime(2026, 5, 1, 8, tzinfo=UTC)
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, standby_loss_kw=0.2)


class Site:
    def __init__(self, clock: ManualClock | SystemClock) -> None:
        self.clock = clock
        self.plant = DemoPlant(DemoParameters(BATTERY), lambda _: 60.0, lambda _: 20.0, clock)
        self.server = DemoPlantServer(self.plant)
        self.port = self.server.start()
        self.groups: list[DeviceGroup] = []

    def group(self, devices: list[DeviceSpec] | None = None) -> DeviceGroup:
        group = DeviceGroup(devices or specs(self.port, timeout_s=10.0), self.clock)
        self.groups.append(group)
        return group

    def close(self) -> None:
        for group in self.groups:
            group.stop(safe_power_kw=None)
        self.server.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def site(clock: ManualClock) -> Iterator[Site]:
    site = Site(clock)
    yield site
    site.close()


@pytest.fixture
def live_site() -> Iterator[Site]:
    site = Site(SystemClock())
    yield site
    site.close()


def wait_until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    pause = threading.Event()
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        pause.wait(0.005)


def test_every_configured_signal_arrives_with_source_and_time(site: Site) -> None:
    group = site.group()
    assert group.last_poll() is None
    assert not group.poll_health().ok
    group.poll_once()
    samples = group.samples()
    assert set(samples) == group.configured_signals()
    for sample in samples.values():
        assert sample.quality is Quality.GOOD
        assert sample.ts == START
    assert samples["soc_percent"].value == 50.0
    assert samples["soc_percent"].source == "bms"
    assert samples["grid_kw"].value == 40.0
    assert samples["grid_kw"].source == "meter"
    assert samples["pv_kw"].value == 20.0
    assert samples["alarm_bits"].value == 0.0
    assert group.last_poll() == START
    assert group.poll_health().ok


def test_signals_outside_the_canonical_list_stay_with_their_device(site: Site) -> None:
    group = site.group()
    group.poll_once()
    assert "rated_charge_power_kw" not in group.samples()
    assert group.device_samples("pcs")["rated_charge_power_kw"].value == 100.0
    with pytest.raises(DeviceError, match="nobody"):
        group.device_samples("nobody")


def test_before_the_first_poll_everything_is_bad_and_says_why(site: Site) -> None:
    group = site.group()
    assert set(group.samples()) == group.configured_signals()
    assert all(s.reason == "not read yet" for s in group.samples().values())
    assert {link.state for link in group.links()} == {"connecting"}


def test_a_charge_command_moves_power_soc_and_meter(site: Site, clock: ManualClock) -> None:
    group = site.group()
    group.poll_once()
    for _ in range(180):
        group.command_power(-50.0)
        group.poll_once()
        clock.advance(10)
    group.poll_once()
    samples = group.samples()
    assert samples["battery_kw"].value == -50.0
    assert samples["battery_setpoint_kw"].value == -50.0
    assert samples["grid_kw"].value == 90.0
    assert samples["status_code"].value == 1.0
    assert (samples["current_a"].value or 0) < 0
    # 30 min at 50 kW: 25 kWh, 95 % of it stored, 0.1 kWh standby, of 200 kWh.
    assert samples["soc_percent"].value == pytest.approx(50 + (23.75 - 0.1) / 2, abs=0.05)
    assert samples["battery_charged_kwh"].value == pytest.approx(25.0, abs=0.05)
    assert samples["grid_import_kwh"].value == pytest.approx(45.0, abs=0.05)
    state = group.command_state()
    assert state.state is CommandPhase.CONFIRMED
    assert state.readback_kw == -50.0


def test_the_first_command_is_confirmed_in_the_first_poll(site: Site) -> None:
    group = site.group()
    group.command_power(30.0)
    assert group.command_state().state is CommandPhase.PENDING
    group.poll_once()
    assert group.command_state().state is CommandPhase.CONFIRMED
    assert site.plant.pcs_values()["battery_setpoint_kw"] == 30.0


def test_the_newest_command_replaces_the_older(site: Site) -> None:
    group = site.group()
    group.command_power(30.0)
    group.command_power(-20.0)
    group.poll_once()
    assert site.plant.pcs_values()["battery_setpoint_kw"] == -20.0


def test_commands_are_clamped_to_the_nameplate_of_the_device(site: Site) -> None:
    group = site.group()
    group.command_power(-500.0)
    group.poll_once()
    assert group.command_state().written_kw == -100.0
    assert site.plant.pcs_values()["battery_setpoint_kw"] == -100.0


def test_a_refused_setpoint_is_told(site: Site, clock: ManualClock) -> None:
    site.plant.faults.setpoints_refused = True
    group = site.group()
    group.command_power(-50.0)
    group.poll_once()
    assert group.command_state().state is CommandPhase.REFUSED
    assert "illegal value" in (group.command_state().reason or "")
    assert group.samples()["battery_kw"].quality is Quality.GOOD


def test_an_ignored_setpoint_is_told(site: Site, clock: ManualClock) -> None:
    site.plant.faults.setpoints_ignored = True
    group = site.group()
    for _ in range(3):
        group.command_power(-50.0)
        group.poll_once()
        clock.advance(2)
    assert group.command_state().state is CommandPhase.NO_EFFECT


def test_alarms_and_status_8_arrive_in_the_same_poll(site: Site) -> None:
    group = site.group()
    site.plant.faults.contactor_abnormal_closed = True
    group.poll_once()
    samples = group.samples()
    assert samples["status_code"].value == 8
    assert samples["alarm_bits"].value == 0b11110
    assert samples["max_charge_power_kw"].value == 0.0


def test_without_the_control_loop_the_watchdog_of_the_converter_ends_the_power(
    site: Site, clock: ManualClock
) -> None:
    group = site.group()
    group.command_power(-50.0)
    for _ in range(45):
        group.poll_once()
        clock.advance(2)
    assert group.samples()["battery_kw"].value == 0.0


def test_read_only_devices_are_never_written(site: Site, clock: ManualClock) -> None:
    group = site.group([replace(spec, writable=False) for spec in specs(site.port)])
    assert not group.commandable
    group.command_power(-50.0)
    group.poll_once()
    clock.advance(10)
    group.poll_once()
    group.stop(safe_power_kw=10.0)
    assert group.command_state().state is CommandPhase.REFUSED
    assert "nothing was sent" in (group.command_state().reason or "")
    assert site.plant.pcs_values()["battery_setpoint_kw"] == 0.0


def test_the_link_itself_refuses_writes_and_sends_nothing(site: Site, clock: ManualClock) -> None:
    link = ModbusLink("127.0.0.1", site.port, {2: UnitSettings(writable=False)}, clock)
    with pytest.raises(WriteRefusedError, match="not enabled"):
        link.write(2, 16, 0, [0, 1000])
    assert not link.connected
    assert link.statistics(2).requests == 0
    assert site.plant.pcs_values()["battery_setpoint_kw"] == 0.0


def test_only_the_link_can_write_at_all() -> None:
    folder = Path(engine.devices.__file__).parent
    writers = {
        path.name
        for path in folder.rglob("*.py")
        if re.search(r"\.write_(coil|register)s?\(|\.(mask_write|readwrite)", path.read_text())
    }
    assert writers == {"link.py"}


def test_simulated_and_real_devices_never_mix(site: Site, clock: ManualClock) -> None:
    devices = specs(site.port)
    devices[0] = replace(devices[0], simulated=False)
    with pytest.raises(DeviceError, match="must not be mixed") as caught:
        DeviceGroup(devices, clock)
    assert caught.value.hint
    assert DeviceGroup(devices[1:], clock).simulated


def test_groups_that_cannot_work_are_refused(site: Site, clock: ManualClock) -> None:
    bms, pcs, meter, pv = specs(site.port)
    for broken, problem in (
        ([], "at least one device"),
        ([bms, replace(pcs, name="bms")], "same name"),
        ([bms, replace(pcs, unit_id=1)], "configured twice"),
        ([bms, replace(bms, name="bms2", unit_id=9)], "comes from two devices"),
        ([replace(bms, port=0)], "port of bms"),
        ([replace(bms, unit_id=300)], "unit_id of bms"),
        ([replace(bms, timeout_s=0)], "timeout_s of bms"),
        ([replace(bms, poll_interval_s=-1)], "poll_interval_s of bms"),
    ):
        with pytest.raises(DeviceError, match=problem):
            DeviceGroup(broken, clock)
    without = with_overrides(pcs.profile, {"battery_kw": None})
    assert "battery_kw" not in DeviceGroup([replace(pcs, profile=without)], clock).samples()
    assert DeviceGroup([meter, pv], clock).configured_signals() >= {"grid_kw", "pv_kw"}


def test_two_devices_to_command_are_refused(site: Site, clock: ManualClock) -> None:
    pcs = specs(site.port)[1]
    profile = pcs.profile
    other = profile.model_copy(
        update={
            "registers": {
                "other_setpoint_kw": profile.registers["battery_setpoint_kw"],
            },
        }
    )
    with pytest.raises(DeviceError, match="more than one device takes power commands"):
        DeviceGroup([pcs, replace(pcs, name="pcs2", unit_id=5, profile=other)], clock)


def test_a_register_the_device_does_not_have_costs_only_its_signal(
    site: Site, clock: ManualClock
) -> None:
    meter = specs(site.port)[2]
    profile = with_overrides(
        meter.profile, {"load_kw": {"address": 12, "function": 4, "type": "int32"}}
    )
    group = site.group([replace(meter, profile=profile)])
    for _ in range(2):
        group.poll_once()
        samples = group.samples()
        assert samples["grid_kw"].value == 40.0
        assert samples["load_kw"].quality is Quality.BAD
        assert "not supported" in (samples["load_kw"].reason or "")
    (link,) = group.links()
    assert link.state == "degraded"
    assert "load_kw" in (link.reason or "")
    errors = link.errors
    group.poll_once()
    assert group.links()[0].errors == errors, "what was learned is not asked again"


def test_an_unknown_unit_is_answered_like_a_gateway_does(site: Site) -> None:
    meter = specs(site.port)[2]
    group = site.group([replace(meter, unit_id=77)])
    group.poll_once()
    (link,) = group.links()
    assert link.state == "degraded"
    assert "gateway target did not answer" in (link.reason or "")
    assert group.samples()["grid_kw"].quality is Quality.BAD


def test_discrete_inputs_arrive_in_the_right_order_and_place(site: Site) -> None:
    site.plant.faults.charge_prohibited = True
    site.plant.advance()
    client = ModbusTcpClient("127.0.0.1", port=site.port, retries=0, timeout=10)
    try:
        assert client.read_discrete_inputs(0, count=5, device_id=1).bits[:5] == [
            False,
            False,
            True,
            False,
            False,
        ]
        assert client.read_discrete_inputs(2, count=1, device_id=1).bits[:1] == [True]
        assert client.read_holding_registers(5, count=1, device_id=2).exception_code == 2
        assert client.write_register(0, 5, device_id=2).exception_code == 2
        assert client.write_registers(0, [0, 5], device_id=1).exception_code == 2
        assert client.write_registers(0, [1, 0x86A1], device_id=2).exception_code == 3
        assert client.write_registers(0, [0, 0xC350], device_id=2).exception_code == 0
    finally:
        client.close()
    assert site.plant.pcs_values()["battery_setpoint_kw"] == 50.0


def test_the_demo_plant_listens_on_loopback_only(site: Site) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "example.org"):
        with pytest.raises(DeviceError, match="this machine only"):
            DemoPlantServer(site.plant, host=host)


def test_a_port_in_use_is_named(site: Site) -> None:
    with pytest.raises(DeviceError, match=f"cannot listen on 127.0.0.1:{site.port}"):
        DemoPlantServer(site.plant, port=site.port).start()


def test_only_the_converter_of_the_demo_plant_is_writable(site: Site) -> None:
    assert [s.name for s in specs(1) if s.writable] == ["pcs"]
    assert all(s.simulated for s in specs(1))
    assert {s.profile.key for s in specs(1)} <= set(MODBUS_PROFILES)


def test_stop_leaves_the_safe_setpoint_behind(site: Site) -> None:
    group = site.group()
    group.command_power(-50.0)
    group.poll_once()
    group.stop()
    assert site.plant.pcs_values()["battery_setpoint_kw"] == 0.0
    assert {link.state for link in group.links()} == {"offline"}
    assert all(s.quality is Quality.BAD for s in group.samples().values())
    group.stop()
    group.command_power(10.0)
    assert group.command_state().reason == "the devices are stopped"
    with pytest.raises(DeviceError, match="stopped"):
        group.poll_once()
    with pytest.raises(DeviceError, match="stopped"):
        group.start()


def test_stop_without_a_setpoint_leaves_the_last_one(site: Site) -> None:
    group = site.group()
    group.command_power(-50.0)
    group.poll_once()
    group.stop(safe_power_kw=None)
    assert site.plant.pcs_values()["battery_setpoint_kw"] == -50.0


def test_stop_with_a_dead_device_says_that_nothing_was_written(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    group = site.group()
    group.poll_once()
    site.server.stop()
    with caplog.at_level(logging.ERROR):
        group.stop()
    assert any("was not written" in record.getMessage() for record in caplog.records)


def test_the_thread_polls_and_a_new_command_wakes_it(live_site: Site) -> None:
    group = live_site.group(specs(live_site.port, poll_interval_s=3600.0, timeout_s=10.0))
    group.start()
    group.start()
    wait_until(lambda: group.poll_health().ok)
    assert group.samples()["soc_percent"].quality is Quality.GOOD
    group.command_power(-50.0)
    wait_until(lambda: live_site.plant.pcs_values()["battery_setpoint_kw"] == -50.0)
    group.stop(timeout_s=20.0)
    assert live_site.plant.pcs_values()["battery_setpoint_kw"] == 0.0
    own = f"poll 127.0.0.1:{live_site.port}"
    assert own not in {thread.name for thread in threading.enumerate()}


def test_the_thread_polls_again_and_again(live_site: Site) -> None:
    group = live_site.group(specs(live_site.port, poll_interval_s=0.02, timeout_s=10.0))
    group.start()
    wait_until(lambda: group.links()[0].requests > 20)
    first = group.last_poll()
    wait_until(lambda: group.last_poll() != first)
    assert group.poll_health().failures == 0


def test_the_server_can_be_stopped_and_started_on_the_same_port(site: Site) -> None:
    port = site.port
    site.server.stop()
    site.server.stop()
    assert site.server.start() == port
    assert site.server.start() == port

"""Power limits against the demo plant and a simulated profile over real Modbus TCP."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.devices.assets.members import AssetMember, roles_of
from engine.devices.command_state import CommandPhase
from engine.devices.group import DeviceGroup
from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.profile_server import ProfileServer
from engine.devices.simulator.server import DemoPlantServer, specs
from engine.devices.site_devices import SiteDevices
from engine.devices.spec import DeviceSpec
from engine.domain.clock import ManualClock, SystemClock
from engine.domain.errors import DeviceError, WriteRefusedError
from engine.domain.site import Battery

START = datetime(2026, 5, 1, 8, tzinfo=UTC)
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, standby_loss_kw=0.2)


class Site:
    """The demo plant with 20 kW of sun, and what is connected to it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        parameters = DemoParameters(BATTERY, pv_rated_kw=50.0)
        self.plant = DemoPlant(parameters, lambda _: 60.0, lambda _: 20.0, clock)
        self.server = DemoPlantServer(self.plant)
        self.port = self.server.start()
        self.groups: list[DeviceGroup | SiteDevices] = []

    def specs(self, writable: bool = True) -> list[DeviceSpec]:
        found = specs(self.port, timeout_s=10.0)
        return [replace(s, writable=writable) if s.name == "pv" else s for s in found]

    def group(self, writable: bool = True) -> DeviceGroup:
        group = DeviceGroup(self.specs(writable), self.clock)
        self.groups.append(group)
        return group

    def curtailed_kwh(self) -> float:
        self.plant.advance()
        return self.plant.truth.total.curtailed_kwh

    def limited(self) -> tuple[bool, float]:
        self.plant.advance()
        values = self.plant.pv_values()
        return bool(values["pv_limited"]), values["pv_limit_kw"]

    def close(self) -> None:
        for group in self.groups:
            group.stop(safe_power_kw=None, timeout_s=10.0)
        self.server.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def site(clock: ManualClock) -> Iterator[Site]:
    site = Site(clock)
    yield site
    site.close()


def run(group: DeviceGroup | SiteDevices, site: Site, seconds: int, limit_kw: float | None) -> None:
    for _ in range(seconds // 2):
        group.limit_power("pv", limit_kw)
        group.poll_once()
        site.clock.advance(2)


def test_a_limit_arrives_is_shown_and_measured_and_the_plant_books_what_it_cost(site: Site) -> None:
    group = site.group()
    group.poll_once()
    run(group, site, 3600, 5.0)
    state = group.limit_states()["pv"]
    assert state.state is CommandPhase.CONFIRMED
    assert (state.written_kw, state.readback_kw, state.measured_kw) == (5.0, 5.0, 5.0)
    assert state.followed is True
    assert group.samples()["pv_kw"].value == 5.0
    assert group.samples()["grid_kw"].value == pytest.approx(55.0)
    assert site.curtailed_kwh() == pytest.approx(15.0)
    truth = site.plant.truth.total
    assert truth.pv_kwh + truth.curtailed_kwh == pytest.approx(20.0)
    assert site.plant.pv_values()["pv_energy_kwh"] == pytest.approx(truth.pv_kwh)
    assert sum(q.curtailed_kwh for q in site.plant.truth.quarters) == pytest.approx(15.0)


def test_no_limit_lets_the_inverter_generate_again(site: Site) -> None:
    group = site.group()
    run(group, site, 10, 5.0)
    run(group, site, 10, None)
    assert group.samples()["pv_kw"].value == 20.0
    state = group.limit_states()["pv"]
    assert (state.state, state.requested_kw) == (CommandPhase.CONFIRMED, None)
    assert site.limited() == (False, 50.0)


def test_a_limit_beyond_the_nameplate_is_written_as_the_nameplate(site: Site) -> None:
    group = site.group()
    run(group, site, 10, 500.0)
    assert group.limit_states()["pv"].written_kw == 50.0
    assert group.limit_states()["pv"].state is CommandPhase.CONFIRMED


def test_the_first_limit_goes_out_in_the_first_poll_although_the_nameplate_is_read(
    site: Site,
) -> None:
    group = site.group()
    group.limit_power("pv", 5.0)
    group.poll_once()
    assert site.limited() == (True, 5.0)
    assert group.limit_states()["pv"].state is CommandPhase.CONFIRMED


def test_a_limit_outlives_the_watchdog_while_it_is_asked_for(site: Site) -> None:
    group = site.group()
    run(group, site, 300, 5.0)
    assert site.limited() == (True, 5.0)


def test_without_the_control_loop_the_inverter_is_free_after_its_watchdog(site: Site) -> None:
    group = site.group()
    run(group, site, 2, 5.0)
    for _ in range(45):
        group.poll_once()
        site.clock.advance(2)
    assert site.limited() == (False, 50.0)
    assert group.samples()["pv_kw"].value == 20.0
    assert site.curtailed_kwh() == pytest.approx(15.0 * 60 / 3600, rel=1e-3)


def test_on_stop_the_limit_is_lifted(site: Site) -> None:
    group = site.group()
    run(group, site, 10, 5.0)
    group.stop(timeout_s=10.0)
    assert site.limited() == (False, 50.0)


def test_a_running_group_takes_a_limit_at_once_and_lifts_it_on_stop(site: Site) -> None:
    # The poll interval is an hour: only the wake-up can bring the limit in time.
    specs_ = [replace(spec, poll_interval_s=3600.0) for spec in site.specs()]
    group = DeviceGroup(specs_, SystemClock())
    group.start()
    try:
        wait_until(lambda: group.samples()["pv_kw"].usable)
        group.limit_power("pv", 5.0)
        wait_until(lambda: site.limited() == (True, 5.0))
    finally:
        group.stop(timeout_s=10.0)
    assert site.limited() == (False, 50.0)


def test_a_refused_limit_is_told(site: Site) -> None:
    site.plant.faults.pv_limits_refused = True
    group = site.group()
    run(group, site, 4, 5.0)
    state = group.limit_states()["pv"]
    assert state.state is CommandPhase.REFUSED
    assert "illegal value" in (state.reason or "")
    assert group.samples()["pv_kw"].value == 20.0


def test_a_limit_without_effect_is_told(site: Site) -> None:
    site.plant.faults.pv_limits_ineffective = True
    group = site.group()
    run(group, site, 14, 5.0)
    state = group.limit_states()["pv"]
    assert state.state is CommandPhase.NO_EFFECT
    assert state.followed is False
    assert (state.readback_kw, state.measured_kw) == (5.0, 20.0)


def test_by_default_the_demo_inverter_is_read_only(site: Site) -> None:
    group = site.group(writable=False)
    assert group.limitable == frozenset()
    run(group, site, 10, 5.0)
    state = group.limit_states()["pv"]
    assert state.state is CommandPhase.REFUSED
    assert "not enabled for writing" in (state.reason or "")
    assert site.limited() == (False, 50.0)
    assert group.samples()["pv_kw"].value == 20.0
    link = ModbusLink("127.0.0.1", site.port, {4: UnitSettings(10.0, False)}, SystemClock())
    with pytest.raises(WriteRefusedError):
        link.write(4, 6, 8, [1])
    link.close()


def test_limits_and_setpoints_do_not_disturb_each_other(site: Site) -> None:
    group = site.group()
    for _ in range(10):
        group.command_power(-30.0)
        group.limit_power("pv", 5.0)
        group.poll_once()
        site.clock.advance(2)
    assert group.command_state().state is CommandPhase.CONFIRMED
    assert group.limit_states()["pv"].state is CommandPhase.CONFIRMED
    assert site.plant.pcs_values()["battery_setpoint_kw"] == -30.0
    group.stop(timeout_s=10.0)
    assert site.plant.pcs_values()["battery_setpoint_kw"] == 0.0
    assert site.limited() == (False, 50.0)


def test_a_limit_for_a_device_that_takes_none_is_told(site: Site) -> None:
    group = site.group()
    group.limit_power("meter", 5.0)
    state = group.limit_states()["meter"]
    assert state.state is CommandPhase.REFUSED
    assert "takes no power limit" in (state.reason or "")
    with pytest.raises(DeviceError, match="no such device"):
        group.limit_power("roof", 5.0)
    with pytest.raises(DeviceError, match="at least 0 kW"):
        group.limit_power("pv", -5.0)


def test_several_plants_of_a_site_share_a_limit(clock: ManualClock) -> None:
    sites = [Site(clock), Site(clock)]
    members = []
    for number, each in enumerate(sites):
        pv = replace(each.specs()[3], name=f"pv-{number}")
        members.append(AssetMember(pv, roles_of(pv.profile)))
    devices = SiteDevices(members, clock)
    try:
        devices.poll_once()
        assert devices.limitable == {"pv-0", "pv-1"}
        devices.curtail_pv(16.0)
        devices.poll_once()
        assert devices.samples()["pv_kw"].value == 16.0
        assert [each.limited() for each in sites] == [(True, 8.0), (True, 8.0)]
        states = devices.limit_states()
        assert [states[n].state for n in ("pv-0", "pv-1")] == [CommandPhase.CONFIRMED] * 2
    finally:
        devices.stop(timeout_s=10.0)
        assert [each.limited() for each in sites] == [(False, 50.0), (False, 50.0)]
        for each in sites:
            each.close()


def test_the_simulated_profile_takes_a_limit_too() -> None:
    clock = ManualClock(START + timedelta(hours=4))
    server = ProfileServer(MODBUS_PROFILES["demo_pv"], clock=clock)
    profile = MODBUS_PROFILES["demo_pv"]
    port = server.start()
    spec = DeviceSpec("pv", profile, "127.0.0.1", port, server.unit_id, 10.0, writable=True)
    group = DeviceGroup([spec], clock)
    try:
        group.poll_once()
        free_kw = group.samples()["pv_kw"].value
        assert free_kw is not None
        assert free_kw > 20.0
        group.limit_power("pv", 10.0)
        group.poll_once()
        clock.advance(2)
        group.limit_power("pv", 10.0)
        group.poll_once()
        assert group.samples()["pv_kw"].value == 10.0
        assert group.limit_states()["pv"].state is CommandPhase.CONFIRMED
        group.limit_power("pv", None)
        group.poll_once()
        clock.advance(2)
        group.poll_once()
        assert (group.samples()["pv_kw"].value or 0.0) > 20.0
    finally:
        group.stop(timeout_s=10.0)
        server.stop()


def wait_until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)

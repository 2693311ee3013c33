"""Several devices in ``ems.yaml``: one clear message per mistake, and a site that runs on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.config.load import ConfigProblems, parse_config
from engine.devices.assets.capabilities import EnergyStorage
from engine.devices.assets.members import Role
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.server import DemoPlantServer
from engine.devices.site_devices import SiteDevices
from engine.devices.transport import Transport
from engine.domain.clock import ManualClock
from engine.domain.control import EngineState
from engine.domain.errors import ConfigError
from engine.domain.sample import Quality
from engine.domain.site import Battery
from engine.runtime.assembly import build_engine, check_buildable
from engine.runtime.site_setup import real_members
from tests.support.design_yaml import DESIGN_YAML

START = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
METER = "{name: meter, profile: demo_meter, host: 10.0.0.5, unit_id: 3}"
PCS = "{name: pcs, profile: demo_pcs, host: 10.0.0.5, unit_id: 2, write_enabled: true}"
INPUTS = "{name: inputs, profile: digital_input_module, host: 10.0.0.5, unit_id: 9}"
READ_CONTACT = "{source: digital_input, contact_from: device}"
CONTACT_WITHOUT_BIT = "registers: {external_limit_contact: {address: 9, function: 3}}"


def devices(*entries: str) -> str:
    return "devices:\n" + "".join(f"  - {entry}\n" for entry in entries)


@pytest.mark.parametrize(
    ("text", "field", "fragments"),
    [
        (devices("{profile: demo_meter, host: a}"), "devices.0.name", ["missing"]),
        (devices("{name: M!, profile: demo_meter, host: a}"), "devices.0.name", ["'M!'"]),
        (devices("{name: m, profile: demo_meter, hots: a}"), "devices.0.hots", ["'host'"]),
        (devices("{name: m, profile: demo_meter}"), "devices.m.host", ["needs a host", "Add"]),
        (
            devices("{name: m, profile: demo_meter, connection: rtu}"),
            "devices.m.serial",
            ["serial line", "ttyUSB0"],
        ),
        (
            devices("{name: m, profile: p, connection: rtu, serial: {device: /dev/x}, host: h}"),
            "devices.m.host",
            ["no host", "rtu_over_tcp"],
        ),
        (
            devices("{name: m, profile: p, host: h, serial: {device: /dev/x}}"),
            "devices.m.serial",
            ["/dev/x", "connection: rtu"],
        ),
        (
            devices(
                "{name: m, profile: p, connection: rtu, serial: {device: /dev/x, baudrate: 1}}"
            ),
            "devices.0.serial.baudrate",
            ["1 is not possible", "9600"],
        ),
        (
            devices("{name: m, profile: p, host: h, roles: [boss]}"),
            "devices.0.roles.0",
            ["'boss'", "'meter'"],
        ),
        (devices(METER, METER), "devices.meter.name", ["used twice"]),
        (
            devices(METER, METER.replace("meter,", "other,", 1)),
            "devices.other.unit_id",
            ["Unit 3", "10.0.0.5", "meter and other"],
        ),
        (
            "modbus: {enabled: true}\n" + devices("{name: bms, profile: demo_bms, host: h}"),
            "devices.bms.name",
            ["used twice", "modbus block"],
        ),
        (
            "demo_plant: {enabled: true}\n" + devices(METER),
            "demo_plant.enabled",
            ["never reach real dispatch", "devices: []"],
        ),
        (
            devices(
                "{name: a, profile: p, connection: rtu, serial: {device: /dev/x}, unit_id: 1}",
                "{name: b, profile: p, connection: rtu, unit_id: 2, "
                "serial: {device: /dev/x, parity: E}}",
            ),
            "devices.b.serial",
            ["/dev/x", "one baudrate"],
        ),
    ],
)
def test_mistakes_name_key_value_and_remedy(text: str, field: str, fragments: list[str]) -> None:
    with pytest.raises(ConfigProblems) as caught:
        parse_config(text)
    assert len(caught.value.problems) == 1
    problem = caught.value.problems[0]
    assert problem.field == field
    for fragment in fragments:
        assert fragment in str(problem)


@pytest.mark.parametrize(
    ("text", "field", "fragment"),
    [
        (devices("{name: m, profile: nobody, host: h}"), "devices.m.profile", "hithium_ess_5016"),
        (
            devices(PCS, PCS.replace("pcs,", "second,", 1).replace("unit_id: 2", "unit_id: 4")),
            "devices.second.write_enabled",
            "More than one device would be commanded",
        ),
        (
            devices(METER, METER.replace("meter,", "m2,", 1).replace("unit_id: 3", "unit_id: 8")),
            "devices.m2.roles",
            "more than one device",
        ),
        (
            devices("{name: m, profile: demo_meter, host: h, roles: [bms]}"),
            "devices.m.roles",
            "cannot be used as bms",
        ),
        (
            devices(
                "{name: m, profile: demo_meter, host: h, "
                "registers: {grid_kw: {address: 0, type: int32, positive_means: generation}}}"
            ),
            "devices.m.registers.grid_kw.positive_means",
            "import",
        ),
        (
            devices(
                "{name: one, profile: demo_bms, host: h, energy_capacity_kwh: 100}",
                "{name: two, profile: demo_bms, host: g, energy_capacity_kwh: 500}",
            ),
            "bess.energy_capacity_kwh",
            "600 kWh",
        ),
        (
            devices(
                "{name: one, profile: demo_meter, host: h, port: 502, unit_id: 1}",
                "{name: two, profile: demo_pv, host: h}",
            ),
            "devices.two.unit_id",
            "twice",
        ),
        (
            devices(METER) + "limits: {external: [" + READ_CONTACT + "]}",
            "limits.external",
            "none supplies external_limit_contact",
        ),
        (devices(INPUTS), "limits.external", "no limit follows from it"),
        (
            devices(INPUTS, INPUTS.replace("inputs,", "more,", 1).replace("5", "6"))
            + "limits: {external: ["
            + READ_CONTACT
            + "]}",
            "devices.more.registers.external_limit_contact",
            "more than one device",
        ),
        (
            devices(METER.replace("unit_id: 3}", "unit_id: 3, " + CONTACT_WITHOUT_BIT + "}")),
            "devices.meter.registers.external_limit_contact.bit",
            "one bit",
        ),
    ],
)
def test_what_cannot_be_a_site_is_refused_before_the_start(
    text: str, field: str, fragment: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_buildable(parse_config(text))
    assert caught.value.field == field
    assert fragment in str(caught.value)
    assert caught.value.hint


def test_the_design_file_with_a_real_battery_is_one_device() -> None:
    config = parse_config(DESIGN_YAML.replace("enabled: false", "enabled: true"))
    (member,) = real_members(config)
    assert (member.name, member.spec.unit_id, member.spec.port) == ("bms", 1, 502)
    assert member.roles == {Role.BMS}
    assert not member.spec.writable
    assert not member.spec.address_base_confirmed


def test_what_is_left_out_is_as_usual_for_the_profile() -> None:
    usual = parse_config(devices("{name: m, profile: eastron_sdm630, host: h}"))
    stated = parse_config(
        devices(
            "{name: m, profile: eastron_sdm630, connection: rtu, unit_id: 7, address_base: 0, "
            "timeout_s: 1.5, serial: {device: /dev/ttyUSB0, baudrate: 19200, parity: E}}"
        )
    )
    spec = real_members(usual)[0].spec
    profile = spec.profile
    assert (spec.port, spec.unit_id) == (profile.connection.port, profile.connection.unit_id)
    assert spec.transport is Transport.TCP
    spec = real_members(stated)[0].spec
    assert (spec.transport, spec.unit_id, spec.timeout_s) == (Transport.RTU, 7, 1.5)
    assert spec.serial is not None
    assert (spec.serial.device, spec.serial.baudrate, spec.serial.parity) == (
        *("/dev/ttyUSB0", 19200, "E"),
    )
    assert spec.address_base_confirmed


def test_a_disabled_device_is_not_there() -> None:
    config = parse_config(devices(METER.replace("}", ", enabled: false}")))
    assert config.demo
    assert not config.has_real_devices


def test_monitor_mode_makes_every_device_read_only() -> None:
    config = parse_config("ems: {mode: monitor}\n" + devices(PCS))
    assert not real_members(config)[0].spec.writable
    config = parse_config(devices(PCS))
    assert real_members(config)[0].spec.writable


@pytest.fixture
def plant() -> Iterator[tuple[DemoPlant, int, ManualClock]]:
    clock = ManualClock(START)
    battery = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0)
    plant = DemoPlant(DemoParameters(battery), lambda _: 60.0, lambda _: 20.0, clock)
    server = DemoPlantServer(plant)
    yield plant, server.start(), clock
    server.stop()


def test_a_site_of_several_real_devices_is_measured_and_commanded(
    tmp_path: Path, plant: tuple[DemoPlant, int, ManualClock]
) -> None:
    simulated, port, clock = plant
    text = devices(
        *(
            f"{{name: {name}, profile: demo_{name}, host: 127.0.0.1, port: {port}, "
            f"unit_id: {unit}, write_enabled: {str(name == 'pcs').lower()}}}"
            for name, unit in (("bms", 1), ("pcs", 2), ("meter", 3), ("pv", 4))
        )
    )
    simulated.set_power_kw(20.0)
    engine = build_engine(parse_config(text), tmp_path, clock)
    try:
        for _ in range(5):
            clock.advance(2.0)
            engine.run_once()
        snapshot = engine.snapshot()
        # A real site has no past to forecast from on its first day: it idles and says so.
        assert (snapshot.state, snapshot.state_reason) == (
            EngineState.WAITING,
            "too_little_measured",
        )
        assert simulated.pcs_values()["battery_setpoint_kw"] == 0
        assert not snapshot.image.simulated
        assert snapshot.image.value("load_kw") == pytest.approx(60.0, abs=0.5)
        assert {link.name for link in snapshot.links} == {"bms", "pcs", "meter", "pv"}
        storage = engine.device_service.assets.storages[0]
        assert isinstance(storage, EnergyStorage)
        assert storage.takes_setpoints
        engine._parts.devices.command_power(-15.0)
        engine._parts.devices.poll_once()
        assert simulated.pcs_values()["battery_setpoint_kw"] == -15.0
    finally:
        engine.stop()
    assert simulated.pcs_values()["battery_setpoint_kw"] == 0


def test_a_slow_device_does_not_make_a_fast_one_look_fresh(
    plant: tuple[DemoPlant, int, ManualClock],
) -> None:
    _, port, clock = plant
    text = devices(
        f"{{name: bms, profile: demo_bms, host: 127.0.0.1, port: {port}, unit_id: 1}}",
        f"{{name: meter, profile: demo_meter, host: 127.0.0.1, port: {port}, unit_id: 3, "
        "poll_interval_s: 60}",
    )
    site = SiteDevices(real_members(parse_config(text)), clock)
    site.poll_once()
    clock.advance(10.0)
    samples = site.samples()
    site.stop(safe_power_kw=None)
    assert samples["soc_percent"].quality is Quality.STALE
    assert samples["grid_kw"].quality is Quality.GOOD


@pytest.mark.parametrize(
    "text",
    [
        devices(INPUTS),
        devices(METER.replace("unit_id: 3}", "unit_id: 3, " + CONTACT_WITHOUT_BIT + "}")).replace(
            "function: 3", "function: 3, bit: 2, inverted: true"
        ),
        devices(METER)
        + "mqtt: {enabled: true, inputs: [{topic: a/b, signal: external_limit_contact}]}\n",
    ],
    ids=["input module", "bit of the meter", "mqtt"],
)
def test_a_contact_may_come_from_any_source(text: str) -> None:
    config = parse_config(text + "limits: {external: [" + READ_CONTACT + "]}")
    check_buildable(config)
    assert config.limits.reads_contact

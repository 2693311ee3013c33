"""Every profile as a simulated device: readable, moving, commandable, its clock settable."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pymodbus.client import ModbusTcpClient

from engine.devices.group import DeviceGroup
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.simulator.profile_server import ProfileServer
from engine.devices.spec import DeviceSpec
from engine.devices.write_budget import WriteCount
from engine.domain.clock import ManualClock
from engine.domain.sample import Quality, Sample
from engine.domain.signals import SIGNALS

START = datetime(2026, 6, 3, 11, tzinfo=UTC)
COMMANDABLE = sorted(
    key for key, p in MODBUS_PROFILES.items() if p.commands and not key.startswith("demo_")
)


class CountsInMemory:
    """Keeps write counts as long as the test runs."""

    def __init__(self) -> None:
        self.counts: dict[str, WriteCount] = {}

    def load(self, device: str) -> WriteCount | None:
        return self.counts.get(device)

    def save(self, device: str, count: WriteCount) -> None:
        self.counts[device] = count


class Bench:
    """One simulated device and a group that polls it, both on one clock."""

    def __init__(self, key: str, writable: bool) -> None:
        self.clock = ManualClock(START)
        self.server = ProfileServer(MODBUS_PROFILES[key], clock=self.clock)
        self.port = self.server.start()
        spec = DeviceSpec(
            name="device",
            profile=MODBUS_PROFILES[key],
            host="127.0.0.1",
            port=self.port,
            unit_id=self.server.unit_id,
            writable=writable,
            simulated=True,
            timeout_s=30.0,
        )
        self.group = DeviceGroup([spec], self.clock, write_counts=CountsInMemory())

    def poll(self, seconds: float = 2.0) -> Mapping[str, Sample]:
        self.clock.advance(seconds)
        self.group.poll_once()
        return self.group.device_samples("device")

    def setpoint_kw(self) -> float:
        return float(self.server.site.plant.pcs_values()["battery_setpoint_kw"])


@contextmanager
def bench(key: str, writable: bool = False) -> Iterator[Bench]:
    made = Bench(key, writable)
    try:
        yield made
    finally:
        made.group.stop(None)
        made.server.stop()


@pytest.mark.parametrize("key", sorted(MODBUS_PROFILES))
def test_every_profile_can_be_simulated_and_read(key: str) -> None:
    with bench(key) as made:
        samples = made.poll()
        profile = MODBUS_PROFILES[key]
        unusable = {n: s.reason for n, s in samples.items() if s.quality is not Quality.GOOD}
        if key == "goodwe_et":
            # In a mode of its own the inverter has no setpoint, and none is made up.
            assert set(unusable) == {"ems_direction", "battery_setpoint_kw"}
        elif profile.sunspec is None:
            assert unusable == {}
        else:
            assert all("no SunSpec model" in str(reason) for reason in unusable.values())
        assert any(sample.usable for name, sample in samples.items() if name in SIGNALS)


@pytest.mark.parametrize("key", sorted(MODBUS_PROFILES))
def test_simulated_values_move(key: str) -> None:
    with bench(key) as made:
        first = {name: sample.value for name, sample in made.poll().items()}
        later = {name: sample.value for name, sample in made.poll(90.0).items()}
        moved = {name for name in first if first[name] != later[name]}
        assert moved & SIGNALS.keys() or moved


def test_a_simulated_hybrid_closes_its_energy_balance() -> None:
    with bench("sma_storage") as made:
        made.poll()
        values = {name: sample.value or 0.0 for name, sample in made.poll(60.0).items()}
        load_kw = values["grid_kw"] + values["pv_kw"] + values["battery_kw"]
        assert 0.0 < load_kw < 5.0
        assert values["ac_power_kw"] == pytest.approx(
            values["pv_kw"] + values["battery_kw"], abs=0.01
        )
        assert values["battery_kw"] == pytest.approx(
            values["battery_discharge_power_kw"] - values["battery_charge_power_kw"]
        )


@pytest.mark.parametrize("key", COMMANDABLE)
@pytest.mark.parametrize("power_kw", [3.0, -2.5, 0.0])
def test_the_command_of_every_profile_reaches_the_device_with_the_right_sign(
    key: str, power_kw: float
) -> None:
    with bench(key, writable=True) as made:
        made.poll()
        made.group.command_power(power_kw)
        for _ in range(20):
            made.poll()
        assert made.setpoint_kw() == pytest.approx(power_kw, abs=0.11)
        state = made.group.command_state()
        assert state.written_kw == pytest.approx(power_kw, abs=0.11), state
        assert state.reason is None, state


@pytest.mark.parametrize("key", COMMANDABLE)
def test_nothing_is_written_while_writing_is_not_enabled(key: str) -> None:
    with bench(key) as made:
        made.poll()
        before_kw = made.setpoint_kw()
        made.group.command_power(3.21)
        made.poll(0.01)
        assert made.setpoint_kw() == pytest.approx(before_kw, abs=0.5)
        assert made.setpoint_kw() != pytest.approx(3.21, abs=1e-6)


def test_a_clean_stop_gives_control_back() -> None:
    with bench("sma_storage", writable=True) as made:
        made.poll()
        made.group.command_power(1.5)
        made.poll()
        assert made.setpoint_kw() == pytest.approx(1.5)
        made.group.stop(0.0)
        made.clock.advance(1.0)
        made.server.site.values()
        assert made.setpoint_kw() not in (0.0, pytest.approx(1.5))


def test_a_write_to_a_register_without_a_command_is_refused() -> None:
    with bench("sma_storage") as made:
        client = ModbusTcpClient("127.0.0.1", port=made.port, retries=0)
        assert client.connect()
        refused = client.write_registers(30845, [0, 1], device_id=made.server.unit_id)
        nowhere = client.write_register(5, 1, device_id=made.server.unit_id)
        other = client.read_holding_registers(30845, count=2, device_id=99)
        client.close()
        assert refused.isError()
        assert nowhere.isError()
        assert other.isError()


def test_the_clock_of_a_simulated_bms_can_be_set_and_runs_on() -> None:
    with bench("hithium_ess_5016") as made:
        client = ModbusTcpClient("127.0.0.1", port=made.port, retries=0)
        assert client.connect()
        assert not client.write_registers(524, [26, 2, 3, 4, 5, 6], device_id=1).isError()
        assert client.write_registers(524, [26, 2, 30, 4, 5, 6], device_id=1).isError()
        made.clock.advance(10)
        shown = client.read_holding_registers(524, count=6, device_id=1).registers
        client.close()
        assert shown == [26, 2, 3, 4, 5, 16]


def test_the_texts_of_a_sunspec_device_are_known() -> None:
    with bench("sunspec") as made:
        made.poll()
        device = made.group._devices[0]
        assert device.texts["manufacturer"] == "EMS Dash"
        assert device.texts["serial_number"] == "SIMULATED"


def test_day_and_night_change_pv() -> None:
    with bench("victron_gx") as made:
        noon = made.poll()["pv_kw"].value
        made.clock.advance(timedelta(hours=11).total_seconds())
        night = made.poll()["pv_kw"].value
        assert noon is not None
        assert noon > 1.0
        assert night == 0.0

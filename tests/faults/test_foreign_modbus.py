"""Programs of other people: mbpoll reads our simulator, we read a modbus-tk server."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import modbus_tk.defines
import pytest
import serial
from modbus_tk import modbus_rtu, modbus_tcp
from modbus_tk.modbus import Server

from engine.devices.command_state import CommandPhase
from engine.devices.group import DeviceGroup
from engine.devices.profile import parse_profile
from engine.devices.profile_def import DeviceProfile
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.server import DemoPlantServer
from engine.devices.spec import DeviceSpec
from engine.devices.transport import SerialLine, Transport
from engine.domain.clock import ManualClock
from engine.domain.sample import Quality
from engine.domain.site import Battery
from tests.support.process import free_port

START = datetime(2026, 5, 1, 8, tzinfo=UTC)
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0)
DEADLINE_S = 20.0
BAUDRATE = 115200


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name}: apt-get install {name}")
    return path


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        pause.wait(0.01)


class TestMbpollReadsOurSimulator:
    @pytest.fixture
    def plant(self) -> DemoPlant:
        clock = ManualClock(START)
        return DemoPlant(DemoParameters(BATTERY), lambda _: 60.0, lambda _: 20.0, clock)

    @pytest.fixture
    def port(self, plant: DemoPlant) -> Iterator[int]:
        server = DemoPlantServer(plant)
        yield server.start()
        server.stop()

    def mbpoll(self, port: int, *arguments: str) -> tuple[int, str]:
        run = subprocess.run(
            [program("mbpoll"), "-m", "tcp", "-p", str(port), "-0", "-1", "-o", "5", *arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return run.returncode, run.stdout + run.stderr

    def values(self, output: str) -> dict[int, int]:
        found = re.findall(r"^\[(\d+)\]:\s+(-?\d+)", output, re.MULTILINE)
        return {int(reference): int(value) for reference, value in found}

    def test_input_registers(self, plant: DemoPlant, port: int) -> None:
        code, output = self.mbpoll(port, "-a", "3", "-t", "3:int", "-r", "0", "127.0.0.1")
        assert code == 0, output
        assert self.values(output) == {0: 40_000}, "60 kW load less 20 kW PV, in watts"

    def test_nameplate_with_the_high_word_first(self, plant: DemoPlant, port: int) -> None:
        code, output = self.mbpoll(
            port, "-a", "2", "-t", "3:int", "-B", "-r", "2", "-c", "2", "127.0.0.1"
        )
        assert code == 0, output
        assert self.values(output) == {2: 100_000, 4: 100_000}

    def test_discrete_inputs(self, plant: DemoPlant, port: int) -> None:
        plant.faults.charge_prohibited = True
        plant.advance()
        code, output = self.mbpoll(port, "-a", "1", "-t", "1", "-r", "0", "-c", "5", "127.0.0.1")
        assert code == 0, output
        assert self.values(output) == {0: 0, 1: 0, 2: 1, 3: 0, 4: 0}

    def test_a_setpoint_written_by_mbpoll_is_taken(self, plant: DemoPlant, port: int) -> None:
        code, output = self.mbpoll(
            port, "-a", "2", "-t", "4:int", "-B", "-r", "0", "127.0.0.1", "--", "-30000"
        )
        assert code == 0, output
        assert plant.pcs_values()["battery_setpoint_kw"] == -30.0

    def test_addresses_that_do_not_exist_are_refused(self, plant: DemoPlant, port: int) -> None:
        code, output = self.mbpoll(port, "-a", "3", "-t", "3", "-r", "900", "127.0.0.1")
        assert code != 0
        assert "Illegal data address" in output


def peer_profile() -> DeviceProfile:
    step = {"address": 200, "function": 16, "type": "int32", "scale": 0.001}
    return parse_profile(
        {
            "key": "peer",
            "label": "Peer",
            "manufacturer": "M",
            "kinds": ["pcs"],
            "source": "test",
            "registers": {
                "soc_percent": {"address": 10, "function": 3, "scale": 0.1},
                "battery_kw": {
                    "address": 12,
                    "function": 3,
                    "type": "int32",
                    "scale": 0.001,
                    "positive_means": "charge",
                },
                "temperature_c": {"address": 15, "function": 3, "type": "float32"},
                "grid_import_kwh": {
                    "address": 40,
                    "function": 4,
                    "type": "uint32",
                    "word_order": "little",
                },
                "running": {"address": 3, "function": 1},
                "battery_setpoint_kw": {
                    **step,
                    "function": 3,
                    "positive_means": "charge",
                },
            },
            "alarms": {"system_fault": {"address": 57, "function": 2, "severity": "fault"}},
            "commands": {
                "set_power_kw": {
                    "steps": [{**step, "positive_means": "charge"}],
                    "readback": "battery_setpoint_kw",
                    "clamp_charge": 100,
                    "clamp_discharge": 100,
                }
            },
        }
    )


TRUE_VALUES = {
    "soc_percent": 55.5,
    "battery_kw": 12.345,
    "temperature_c": 21.5,
    "grid_import_kwh": 70_000.0,
    "alarm_bits": 16.0,
    "battery_setpoint_kw": 0.0,
}


def fill(server: Server) -> None:
    """Lay raw words into the peer's tables; worked out by hand."""
    unit = server.add_slave(5)
    unit.add_block("holding", modbus_tk.defines.HOLDING_REGISTERS, 10, 7)
    unit.add_block("setpoint", modbus_tk.defines.HOLDING_REGISTERS, 200, 2)
    unit.add_block("input", modbus_tk.defines.ANALOG_INPUTS, 40, 2)
    unit.add_block("coils", modbus_tk.defines.COILS, 0, 8)
    unit.add_block("alarms", modbus_tk.defines.DISCRETE_INPUTS, 50, 16)
    # 555 * 0.1 %; -12345 W charging is 12.345 kW discharging; 21.5 as IEEE 754 is 41AC0000.
    unit.set_values("holding", 10, [555])
    unit.set_values("holding", 12, [0xFFFF, 0xCFC7])
    unit.set_values("holding", 15, [0x41AC, 0x0000])
    # 70000 = 0x11170, low word first.
    unit.set_values("input", 40, [0x1170, 0x0001])
    unit.set_values("coils", 3, [1])
    unit.set_values("alarms", 57, [1])


@pytest.fixture
def tcp_peer() -> Iterator[tuple[Server, DeviceSpec]]:
    port = free_port()
    server = modbus_tcp.TcpServer(port=port, address="127.0.0.1")
    fill(server)
    server.start()
    wait_until(lambda: bool(server._sockets))
    yield (
        server,
        DeviceSpec("peer", peer_profile(), "127.0.0.1", port, 5, timeout_s=5.0, writable=True),
    )
    server.stop()


@pytest.fixture
def rtu_peer(tmp_path: Path) -> Iterator[tuple[Server, DeviceSpec]]:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    cable = subprocess.Popen(
        [program("socat"), f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}"]
    )
    try:
        wait_until(lambda: ours.exists() and theirs.exists())
        server = modbus_rtu.RtuServer(serial.Serial(str(theirs), BAUDRATE))
        fill(server)
        server.start()
        spec = DeviceSpec(
            "peer",
            peer_profile(),
            "",
            0,
            5,
            timeout_s=5.0,
            writable=True,
            transport=Transport.RTU,
            serial=SerialLine(str(ours), baudrate=BAUDRATE),
        )
        yield server, spec
        server.stop()
    finally:
        cable.terminate()
        cable.wait(DEADLINE_S)


@pytest.fixture(params=["tcp_peer", "rtu_peer"])
def peer(request: pytest.FixtureRequest) -> tuple[Server, DeviceSpec]:
    found: tuple[Server, DeviceSpec] = request.getfixturevalue(request.param)
    return found


class TestWeReadModbusTk:
    def test_every_value_arrives_with_sign_scale_and_word_order(
        self, peer: tuple[Server, DeviceSpec]
    ) -> None:
        _, spec = peer
        group = DeviceGroup([spec], ManualClock(START))
        for _ in range(2):
            group.poll_once()
            values = {name: sample.value for name, sample in group.samples().items()}
            assert values == pytest.approx(TRUE_VALUES)
            assert group.device_samples("peer")["running"].value == 1.0
        assert group.links()[0].state == "online"
        assert spec.serial is None or group.links()[0].endpoint.startswith(spec.serial.device)
        group.stop(safe_power_kw=None)

    def test_a_setpoint_is_written_and_read_back(self, peer: tuple[Server, DeviceSpec]) -> None:
        server, spec = peer
        group = DeviceGroup([spec], ManualClock(START))
        group.command_power(-42.5)
        group.poll_once()
        assert group.command_state().state is CommandPhase.CONFIRMED
        held = server.get_slave(5).get_values("setpoint", 200, 2)
        assert list(held) == [0, 42_500]
        group.stop(safe_power_kw=0.0, timeout_s=10.0)
        assert list(server.get_slave(5).get_values("setpoint", 200, 2)) == [0, 0]

    def test_a_peer_that_falls_silent_leaves_no_old_values(
        self, peer: tuple[Server, DeviceSpec]
    ) -> None:
        server, spec = peer
        clock = ManualClock(START)
        group = DeviceGroup([spec], clock)
        group.poll_once()
        assert group.samples()["soc_percent"].quality is Quality.GOOD
        server.stop()
        clock.advance(2)
        group.poll_once()
        assert all(sample.quality is Quality.BAD for sample in group.samples().values())
        assert group.links()[0].state == "offline"
        group.stop(safe_power_kw=None)

"""A device that goes away and comes back."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pymodbus.pdu import ModbusPDU

from engine.devices.backoff import BACKOFF_MAX_S
from engine.devices.group import DeviceGroup
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.server import DemoPlantServer, specs
from engine.devices.transport import ModbusClient, PacketTrace
from engine.domain.clock import ManualClock
from engine.domain.sample import Quality
from engine.domain.site import Battery

START = datetime(2026, 5, 1, 8, tzinfo=UTC)
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def server(clock: ManualClock) -> Iterator[DemoPlantServer]:
    plant = DemoPlant(DemoParameters(BATTERY), lambda _: 60.0, lambda _: 20.0, clock)
    server = DemoPlantServer(plant)
    yield server
    server.stop()


def test_a_killed_server_makes_every_signal_bad_and_comes_back(
    server: DemoPlantServer, clock: ManualClock
) -> None:
    group = DeviceGroup(specs(server.start(), timeout_s=10.0), clock)
    group.poll_once()
    assert group.samples()["soc_percent"].value == 50.0

    server.stop()
    clock.advance(2)
    group.poll_once()
    for signal, sample in group.samples().items():
        assert sample.quality is Quality.BAD, signal
        assert sample.value is None
        assert sample.ts == clock.now()
    assert {link.state for link in group.links()} == {"offline"}
    assert all(link.reason for link in group.links())
    health = group.poll_health()
    assert not health.ok
    assert health.failures == 1
    assert health.last_success == START
    assert health.last_error

    server.start()
    clock.advance(2)
    group.poll_once()
    assert {link.state for link in group.links()} == {"online"}
    assert group.samples()["soc_percent"].value == pytest.approx(50.0)
    assert group.poll_health().ok
    assert group.poll_health().failures == 0
    group.stop()


def test_a_setpoint_is_written_again_after_a_reconnect(
    server: DemoPlantServer, clock: ManualClock
) -> None:
    group = DeviceGroup(specs(server.start(), timeout_s=10.0), clock)
    group.command_power(-50.0)
    group.poll_once()
    requests = group.links()[1].requests
    clock.advance(2)
    group.poll_once()
    reads = group.links()[1].requests - requests
    server.stop()
    server.start()
    clock.advance(2)
    group.poll_once()
    clock.advance(2)
    requests = group.links()[1].requests
    group.poll_once()
    assert group.links()[1].requests - requests == reads + 1
    group.stop()


def test_a_device_that_is_absent_at_start_is_offline_with_a_reason(clock: ManualClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    group = DeviceGroup(specs(port), clock)
    group.poll_once()
    for link in group.links():
        assert link.state == "offline"
        assert "no connection" in (link.reason or "")
        assert link.endpoint.startswith(f"127.0.0.1:{port}")
    group.command_power(-50.0)
    group.poll_once()
    assert "no connection" in (group.command_state().reason or "")
    group.stop()


class Unreachable:
    """A client whose device never accepts a connection; it counts the attempts."""

    def __init__(self, clock: ManualClock) -> None:
        self.socket: socket.socket | None = None
        self.attempts: list[float] = []
        self._clock = clock

    def open(self, host: str, port: int, timeout_s: float, trace: PacketTrace) -> ModbusClient:
        del host, port, timeout_s, trace
        return self

    def connect(self) -> bool:
        self.attempts.append(self._clock.monotonic())
        return False

    def close(self) -> None: ...

    def _never(self) -> ModbusPDU:
        raise AssertionError("nothing may be sent without a connection")

    def read_coils(self, address: int, *, count: int, device_id: int) -> ModbusPDU:
        return self._never()

    def read_discrete_inputs(self, address: int, *, count: int, device_id: int) -> ModbusPDU:
        return self._never()

    def read_holding_registers(self, address: int, *, count: int, device_id: int) -> ModbusPDU:
        return self._never()

    def read_input_registers(self, address: int, *, count: int, device_id: int) -> ModbusPDU:
        return self._never()

    def write_register(self, address: int, value: int, *, device_id: int) -> ModbusPDU:
        return self._never()

    def write_registers(self, address: int, values: list[int], *, device_id: int) -> ModbusPDU:
        return self._never()


def test_attempts_become_rare_but_never_end(clock: ManualClock) -> None:
    client = Unreachable(clock)
    group = DeviceGroup(specs(1502), clock, open_client=client.open)
    for _ in range(300):
        group.poll_once()
        clock.advance(2)
    gaps = [b - a for a, b in zip(client.attempts, client.attempts[1:], strict=False)]
    assert gaps[:4] == [2, 2, 2, 4], "one attempt per slot at most, for all devices together"
    assert all(gap <= BACKOFF_MAX_S for gap in gaps)
    assert gaps[-5:] == [BACKOFF_MAX_S] * 5
    assert "next attempt in" in (group.links()[3].reason or "")
    assert group.poll_health().failures == 300

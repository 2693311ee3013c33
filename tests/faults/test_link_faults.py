"""Faults of devices that answer correctly by the protocol, or do not answer any more."""

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import ClassVar, Final

import pytest
from devices_evil_server import (
    Memory,
    Request,
    evil_server,
    frame,
    honest,
    silent,
)

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.command_state import CommandPhase
from engine.devices.group import DeviceGroup
from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.profile import parse_profile
from engine.devices.profile_def import DeviceProfile
from engine.devices.spec import DeviceSpec
from engine.domain.clock import ManualClock
from engine.domain.errors import LinkError
from engine.domain.sample import Quality

START = datetime(2026, 11, 3, 12, tzinfo=UTC)


def profile_of(registers: dict[str, object], **more: object) -> DeviceProfile:
    return parse_profile(
        {
            "key": "device",
            "label": "Device",
            "manufacturer": "M",
            "kinds": ["pcs"],
            "source": "test",
            "registers": registers,
            **more,
        }
    )


def group_of(port: int, profile: DeviceProfile, clock: ManualClock, **more: object) -> DeviceGroup:
    spec = DeviceSpec("device", profile, "127.0.0.1", port, 1, timeout_s=0.5, **more)  # type: ignore[arg-type]
    return DeviceGroup([spec], clock)


POWER: Final[Mapping[str, object]] = {
    "type": "int16",
    "scale": 0.1,
    "positive_means": "discharge",
}


class TestValuesThatAreNone:
    REGISTERS: ClassVar[dict[str, object]] = {
        "soc_percent": {"address": 0, "function": 3, "max": 100, "sentinel": 0xFFFF},
        "battery_kw": {
            "address": 1,
            "function": 3,
            "type": "int16",
            "positive_means": "discharge",
            "sentinel": -32768,
        },
        "temperature_c": {"address": 2, "function": 3, "type": "float32"},
        "voltage_v": {"address": 4, "function": 3, "type": "uint32", "sentinel": 0xFFFFFFFF},
        "status_code": {"address": 6, "function": 3},
    }

    def samples(self, words: list[int]) -> dict[str, tuple[float | None, str]]:
        profile = profile_of(self.REGISTERS, status_codes={3: "ready"})
        with evil_server(Memory(dict(enumerate(words)))) as server:
            group = group_of(server.port, profile, ManualClock(START))
            group.poll_once()
            found = {
                name: (sample.value, sample.reason or "")
                for name, sample in group.samples().items()
            }
            group.stop()
        return found

    def test_sentinels_nan_and_unknown_codes_never_become_numbers(self) -> None:
        found = self.samples([0xFFFF, 0x8000, 0x7FC0, 0, 0xFFFF, 0xFFFF, 44])
        assert {value for value, _ in found.values()} == {None}
        assert "not available" in found["soc_percent"][1]
        assert "not available" in found["battery_kw"][1]
        assert "not documented" in found["status_code"][1]

    def test_infinity_and_what_cannot_be_are_bad_beside_good_values(self) -> None:
        found = self.samples([250, 0xFFFE, 0x7F80, 0, 0, 800, 3])
        assert found["soc_percent"][0] is None
        assert "outside" in found["soc_percent"][1]
        assert found["temperature_c"][0] is None
        assert found["battery_kw"] == (-2.0, "")
        assert found["voltage_v"] == (800.0, "")
        assert found["status_code"] == (3.0, "")


def test_a_counter_that_starts_again_is_shown_as_it_is() -> None:
    clock = ManualClock(START)
    memory = Memory({0: 0x0001, 1: 0x86A0})
    profile = profile_of({"grid_import_kwh": {"address": 0, "function": 3, "type": "uint32"}})
    with evil_server(memory) as server:
        group = group_of(server.port, profile, clock)
        seen = []
        for words in ((0x0001, 0x86A0), (0, 0), (0, 3)):
            memory.registers.update(enumerate(words))
            group.poll_once()
            seen.append(group.samples()["grid_import_kwh"].value)
            clock.advance(2)
        assert seen == [100_000.0, 0.0, 3.0]
        group.stop()


class TestFrozen:
    def test_a_device_that_freezes_leaves_no_old_value_behind(self) -> None:
        clock = ManualClock(START)
        profile = profile_of({"soc_percent": {"address": 5, "function": 3, "scale": 0.01}})
        with evil_server() as server:
            group = group_of(server.port, profile, clock)
            group.poll_once()
            assert group.samples()["soc_percent"].value == pytest.approx(10.05)
            server.behaviour = silent
            clock.advance(2)
            group.poll_once()
            sample = group.samples()["soc_percent"]
            assert (sample.value, sample.quality) == (None, Quality.BAD)
            assert "no answer within 0.5 s" in (sample.reason or "")
            assert not group.poll_health().ok
            server.behaviour = honest
            clock.advance(1)
            group.poll_once()
            assert group.samples()["soc_percent"].value == pytest.approx(10.05)
            group.stop()

    def test_a_server_that_accepts_but_never_reads_is_left_within_the_timeout(self) -> None:
        clock = ManualClock(START)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            link = ModbusLink("127.0.0.1", listener.getsockname()[1], {1: UnitSettings(0.3)}, clock)
            with pytest.raises(LinkError, match="no answer within"):
                link.read(1, 3, 0, 1)
            assert link.statistics(1).errors_by_kind == {"timeout": 1}
            link.close()


@contextmanager
def one_client_server() -> Iterator[tuple[int, list[int]]]:
    """Serve one connection at a time and hang up on every other, like many inverters do."""
    refused: list[int] = []
    memory = Memory({0: 42})
    threads: list[threading.Thread] = []
    busy = threading.Lock()
    with evil_server(memory) as inner, socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection, socket.create_connection(("127.0.0.1", inner.port)) as upstream:
                while data := connection.recv(4096):
                    upstream.sendall(data)
                    connection.sendall(upstream.recv(4096))
            busy.release()

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                if not busy.acquire(blocking=False):
                    refused.append(1)
                    connection.close()
                    continue
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        yield int(listener.getsockname()[1]), refused
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(10)
        for thread in threads:
            thread.join(10)


def test_a_device_for_one_client_only_is_not_disturbed_by_a_second() -> None:
    clock = ManualClock(START)
    profile = profile_of({"soc_percent": {"address": 0, "function": 3}})
    with one_client_server() as (port, refused):
        first, second = group_of(port, profile, clock), group_of(port, profile, clock)
        first.poll_once()
        for _ in range(3):
            second.poll_once()
            assert second.samples()["soc_percent"].value is None
            assert "closed the connection" in (second.links()[0].reason or "")
            first.poll_once()
            assert first.samples()["soc_percent"].value == 42.0
            assert first.links()[0].state == "online"
            clock.advance(40)
        assert refused
        ((_, link),) = first.connections()
        assert link.read(1, 3, 0, 1) == (42,), "whoever else wants values asks the same link"
        assert link.session == 1
        first.stop()
        second.stop()


class TestWrites:
    def profile(self, **command: object) -> DeviceProfile:
        return profile_of(
            {
                "battery_setpoint_kw": {"address": 0, "function": 3, **POWER},
                "battery_kw": {"address": 1, "function": 3, **POWER},
            },
            commands={
                "set_power_kw": {
                    "steps": [{"address": 0, "function": 6, **POWER}],
                    "readback": "battery_setpoint_kw",
                    "effect": "battery_kw",
                    "effect_within_s": 10,
                    "clamp_charge": 100,
                    "clamp_discharge": 100,
                    **command,
                }
            },
        )

    def test_a_setpoint_that_is_kept_but_not_followed_is_reported(self) -> None:
        clock = ManualClock(START)
        memory = Memory({0: 0, 1: 0})
        with evil_server(memory) as server:
            group = group_of(server.port, self.profile(), clock, writable=True)
            states = []
            for _ in range(8):
                group.command_power(30.0)
                group.poll_once()
                states.append(group.command_state().state)
                clock.advance(2)
            assert memory.registers[0] == 300
            assert states == [CommandPhase.CONFIRMED] * 5 + [CommandPhase.NO_EFFECT] * 3
            assert "its power is 0 kW" in (group.command_state().reason or "")
            assert group.links()[0].state == "online", "values are shown all the same"
            memory.registers[1] = 300
            group.poll_once()
            assert group.command_state().state is CommandPhase.CONFIRMED
            assert group.command_state().followed is True
            group.stop()

    def test_a_device_that_confirms_and_forgets_is_reported(self) -> None:
        clock = ManualClock(START)
        memory = Memory({0: 0, 1: 0})
        memory.deaf = True
        with evil_server(memory) as server:
            group = group_of(server.port, self.profile(), clock, writable=True)
            for power_kw in (30.0, 31.0, 32.0, 33.0):
                group.command_power(power_kw)
                group.poll_once()
                clock.advance(2)
            assert group.command_state().state is CommandPhase.NO_EFFECT
            assert "shows a setpoint of 0 kW" in (group.command_state().reason or "")
            group.stop()

    @pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 7, 10, 11])
    def test_a_refused_setpoint_does_not_cost_the_values(self, code: int) -> None:
        clock = ManualClock(START)
        memory = Memory({0: 0, 1: 55})

        def refuse_writes(request: Request) -> list[bytes]:
            if request.function == 6:
                return [frame(request.tid, request.unit, bytes([0x86, code]))]
            return memory(request)

        with evil_server(refuse_writes) as server:
            group = group_of(server.port, self.profile(), clock, writable=True)
            for power_kw in (30.0, 31.0, 32.0):
                group.command_power(power_kw)
                group.poll_once()
                temporary = code in (5, 6, 10, 11)
                expected = CommandPhase.PENDING if temporary else CommandPhase.REFUSED
                assert group.command_state().state is expected
                assert f"exception {code}" in (group.command_state().reason or "")
                assert group.command_state().written_kw is None
                assert group.samples()["battery_kw"].value == pytest.approx(5.5)
                assert group.links()[0].state == "online"
                clock.advance(2)
            group.stop()


class TestPaceAndStatistics:
    def test_requests_keep_their_distance(self) -> None:
        clock = ManualClock(START)
        with evil_server() as server:
            link = ModbusLink(
                "127.0.0.1",
                server.port,
                {1: UnitSettings(5.0), 2: UnitSettings(5.0)},
                clock,
                min_gap_s=0.25,
                connect_delay_s=1.5,
            )
            times = []
            for unit in (1, 2, 1):
                link.read(unit, 3, 0, 1)
                times.append(clock.monotonic())
            assert times == [1.5, 1.75, 2.0]
            clock.advance(10)
            link.read(1, 3, 0, 1)
            assert clock.monotonic() == 12.0, "a pause that is over is not waited for again"
            link.close()

    def test_an_abort_ends_the_waiting(self) -> None:
        class RealClock(ManualClock):
            def wait(self, event: threading.Event, seconds: float) -> bool:
                waiting.set()
                return event.wait(seconds)

        waiting = threading.Event()
        with evil_server() as server:
            link = ModbusLink(
                "127.0.0.1",
                server.port,
                {1: UnitSettings(5.0)},
                RealClock(START),
                connect_delay_s=3600.0,
            )
            problems: list[str] = []

            def ask() -> None:
                try:
                    link.read(1, 3, 0, 1)
                except LinkError as exc:
                    problems.append(str(exc))

            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            assert waiting.wait(20)
            link.abort()
            thread.join(20)
            assert not thread.is_alive()
            assert "cut off" in problems[0]
            assert not server.requests

    def test_errors_are_counted_by_kind_and_latency_is_measured(self) -> None:
        clock = ManualClock(START)
        ticks = iter(float(number) for number in range(1000))
        answers = {
            1: honest,
            2: lambda request: [frame(request.tid, request.unit, b"\x83\x0b")],
            3: lambda request: [frame(request.tid, request.unit, struct.pack(">BBH", 3, 2, 7))],
            4: lambda request: [frame(request.tid, request.unit, b"\x04\x04\x00\x01\x00\x01")],
            5: silent,
        }

        def scripted(request: Request) -> list[bytes]:
            return answers.get(request.number, honest)(request)

        with evil_server(scripted) as server:
            link = ModbusLink(
                "127.0.0.1",
                server.port,
                {1: UnitSettings(0.3)},
                clock,
                stopwatch=lambda: next(ticks) / 1000,
            )
            assert link.statistics(1).latency_ms is None
            for _ in range(6):
                try:
                    link.read(1, 3, 0, 2)
                except (LinkError, DeviceAnswerError):
                    clock.advance(31)
            found = link.statistics(1)
            assert found.requests == 6
            assert found.errors == 4
            assert found.errors_by_kind == {
                "exception 11": 1,
                "wrong_length": 1,
                "wrong_function": 1,
                "timeout": 1,
            }
            assert found.latency_ms == pytest.approx(1.0)
            assert found.latency_mean_ms == pytest.approx(1.0)
            assert found.latency_p95_ms == pytest.approx(1.0)
            assert found.latency_max_ms == pytest.approx(1.0)
            link.close()

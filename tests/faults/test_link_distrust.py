"""Whatever a device sends, a wrong value never comes out of a link."""

import select
import struct
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from devices_evil_server import (
    CLOSE,
    Behaviour,
    EvilServer,
    Request,
    evil_server,
    frame,
    honest,
    honest_pdu,
    silent,
)

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.command_state import CommandPhase
from engine.devices.group import DeviceGroup
from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.profile import parse_profile
from engine.devices.profile_def import DeviceProfile
from engine.devices.spec import DeviceSpec
from engine.devices.transport import ModbusClient, PacketTrace, open_tcp_client
from engine.domain.clock import ManualClock
from engine.domain.errors import DeviceError, LinkError
from engine.domain.sample import Quality

START = datetime(2026, 11, 3, 12, tzinfo=UTC)
TIMEOUT_S = 0.5
TRUE_VALUES = {
    "voltage_v": float((1010 << 16) + 1011),
    "soc_percent": 10.12,
    "temperature_c": 105.0,
}


def two_block_profile(**changes: object) -> DeviceProfile:
    return parse_profile(
        {
            "key": "victim",
            "label": "Victim",
            "manufacturer": "M",
            "kinds": ["battery_bms"],
            "source": "test",
            "registers": {
                "voltage_v": {"address": 10, "function": 3, "type": "uint32"},
                "soc_percent": {"address": 12, "function": 3, "scale": 0.01},
                "temperature_c": {"address": 50, "function": 3, "scale": 0.1},
            },
            **changes,
        }
    )


def group_of(server: EvilServer, clock: ManualClock) -> DeviceGroup:
    spec = DeviceSpec(
        "victim", two_block_profile(), "127.0.0.1", server.port, 1, timeout_s=TIMEOUT_S
    )
    return DeviceGroup([spec], clock)


def first_answer(build: Callable[[Request], list[bytes]]) -> Behaviour:
    """Misbehave once, then be honest."""

    def behave(request: Request) -> list[bytes]:
        return build(request) if request.number == 1 else honest(request)

    return behave


def short_answer(request: Request) -> list[bytes]:
    words = struct.pack(">BBH", request.function, 2, 7)
    return [frame(request.tid, request.unit, words)]


def long_answer(request: Request) -> list[bytes]:
    pdu = struct.pack(">BB5H", request.function, 10, 1, 2, 3, 4, 5)
    return [frame(request.tid, request.unit, pdu)]


def other_function(request: Request) -> list[bytes]:
    return [frame(request.tid, request.unit, b"\x04" + honest_pdu(request)[1:])]


def other_exception(request: Request) -> list[bytes]:
    return [frame(request.tid, request.unit, b"\x84\x02")]


def other_unit(request: Request) -> list[bytes]:
    return [frame(request.tid, request.unit + 1, honest_pdu(request))]


def other_transaction(request: Request) -> list[bytes]:
    return [frame(request.tid + 7, request.unit, honest_pdu(request))]


def zero_transaction(request: Request) -> list[bytes]:
    return [frame(0, request.unit, honest_pdu(request))]


def other_protocol(request: Request) -> list[bytes]:
    good = frame(request.tid, request.unit, honest_pdu(request))
    return [good[:2] + b"\x00\x07" + good[4:]]


def byte_count_too_large(request: Request) -> list[bytes]:
    pdu = bytearray(honest_pdu(request))
    pdu[1] = 200
    return [frame(request.tid, request.unit, bytes(pdu))]


def byte_count_odd(request: Request) -> list[bytes]:
    pdu = bytearray(honest_pdu(request) + b"\x55")
    pdu[1] += 1
    return [frame(request.tid, request.unit, bytes(pdu))]


def truncated(request: Request) -> list[bytes]:
    return [honest(request)[0][:-1]]


def trickle(request: Request) -> list[bytes]:
    return [bytes([byte]) for byte in honest(request)[0][:-2]]


def trailing_junk(request: Request) -> list[bytes]:
    return [honest(request)[0] + b"\x00\x01\x02"]


def empty_pdu(request: Request) -> list[bytes]:
    return [struct.pack(">HHHB", request.tid, 0, 1, request.unit)]


def unknown_function(request: Request) -> list[bytes]:
    return [frame(request.tid, request.unit, b"\x63\x02\x00\x01")]


def http(_: Request) -> list[bytes]:
    return [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"]


def zeros(_: Request) -> list[bytes]:
    return [bytes(300)]


def hang_up(_: Request) -> list[bytes]:
    return [CLOSE]


EVIL = [
    short_answer,
    long_answer,
    other_function,
    other_exception,
    other_unit,
    other_transaction,
    zero_transaction,
    other_protocol,
    byte_count_too_large,
    byte_count_odd,
    truncated,
    trickle,
    trailing_junk,
    empty_pdu,
    unknown_function,
    http,
    zeros,
    hang_up,
    silent,
]


@pytest.mark.parametrize("build", EVIL, ids=lambda build: build.__name__)
def test_no_wrong_value_ever_and_right_values_once_the_device_behaves(build: Behaviour) -> None:
    clock = ManualClock(START)
    with evil_server(first_answer(build)) as server:
        group = group_of(server, clock)
        group.poll_once()
        for signal, sample in group.samples().items():
            assert sample.value is None, signal
            assert sample.quality is Quality.BAD
            assert "127.0.0.1" in (sample.reason or "")
        (link,) = group.links()
        assert link.state == "offline"
        assert link.errors == 1
        assert group.poll_health().failures == 1
        clock.advance(1)
        group.poll_once()
        values = {name: sample.value for name, sample in group.samples().items()}
        assert values == pytest.approx(TRUE_VALUES)
        assert group.links()[0].state == "online"
        assert group.poll_health().ok
        assert server.connections == 2, "after any doubt the connection is a new one"
        group.stop()


def test_an_answer_that_comes_late_is_never_the_answer_to_the_next_question() -> None:
    clock = ManualClock(START)
    release = threading.Event()

    def late(request: Request) -> list[bytes]:
        if request.number == 1:
            assert release.wait(20)
        return honest(request)

    with evil_server(late) as server:
        group = group_of(server, clock)
        group.poll_once()
        assert all(sample.value is None for sample in group.samples().values())
        release.set()
        clock.advance(1)
        for _ in range(3):
            group.poll_once()
            values = {name: sample.value for name, sample in group.samples().items()}
            assert values == pytest.approx(TRUE_VALUES)
        group.stop()


def test_data_that_nobody_asked_for_closes_the_connection() -> None:
    clock = ManualClock(START)
    clients: list[ModbusClient] = []

    def remember(host: str, port: int, timeout_s: float, trace: PacketTrace) -> ModbusClient:
        clients.append(open_tcp_client(host, port, timeout_s, trace))
        return clients[-1]

    with evil_server() as server:
        units = {1: UnitSettings(timeout_s=20.0)}
        link = ModbusLink("127.0.0.1", server.port, units, clock, open_client=remember)
        assert link.read(1, 3, 10, 3) == (1010, 1011, 1012)
        # What the next question would be answered with, but with another value.
        server.push(frame(server.requests[-1].tid + 1, 1, b"\x03\x02\x00\x2a"))
        assert clients[0].socket is not None
        assert select.select([clients[0].socket], [], [], 20)[0]
        with pytest.raises(LinkError, match="nobody asked for"):
            link.read(1, 3, 50, 1)
        assert not link.connected
        clock.advance(1)
        assert link.read(1, 3, 50, 1) == (1050,)
        link.close()


def test_what_a_device_does_not_support_is_asked_again_after_a_reconnect() -> None:
    clock = ManualClock(START)

    def without_50(request: Request) -> list[bytes]:
        if request.address <= 50 < request.address + request.count:
            return [frame(request.tid, request.unit, b"\x83\x02")]
        return honest(request)

    with evil_server(without_50) as server:
        group = group_of(server, clock)
        for _ in range(2):
            group.poll_once()
            assert group.samples()["soc_percent"].value == pytest.approx(10.12)
            assert "not supported" in (group.samples()["temperature_c"].reason or "")
        server.behaviour = hang_up
        clock.advance(2)
        group.poll_once()
        server.behaviour = honest
        clock.advance(2)
        group.poll_once()
        values = {name: sample.value for name, sample in group.samples().items()}
        assert values == pytest.approx(TRUE_VALUES)
        assert group.links()[0].state == "online"
        group.stop()


def test_a_confirmed_write_to_another_address_counts_as_not_written() -> None:
    clock = ManualClock(START)

    def elsewhere(request: Request) -> list[bytes]:
        pdu = struct.pack(">BHH", request.function, request.address + 1, request.count)
        return [frame(request.tid, request.unit, pdu)]

    with evil_server(elsewhere) as server:
        units = {1: UnitSettings(timeout_s=TIMEOUT_S, writable=True)}
        link = ModbusLink("127.0.0.1", server.port, units, clock)
        with pytest.raises(LinkError, match="confirmed a write to 6"):
            link.write(1, 6, 5, [77])
        clock.advance(1)
        with pytest.raises(LinkError, match="confirmed a write to 6"):
            link.write(1, 16, 5, [1, 2])
        server.behaviour = honest
        clock.advance(2)
        link.write(1, 6, 5, [77])
        link.write(1, 16, 5, [1, 2])
        link.close()


def test_requests_that_make_no_sense_are_not_sent() -> None:
    clock = ManualClock(START)
    with evil_server() as server:
        units = {1: UnitSettings(writable=True)}
        link = ModbusLink("127.0.0.1", server.port, units, clock)
        for wrong in (
            lambda: link.read(1, 3, 0, 126),
            lambda: link.read(1, 3, 0, 0),
            lambda: link.read(1, 2, 0, 2001),
            lambda: link.read(1, 6, 0, 1),
            lambda: link.read(2, 3, 0, 1),
            lambda: link.write(1, 6, 0, [1, 2]),
            lambda: link.write(1, 16, 0, []),
            lambda: link.write(1, 5, 0, [1]),
            lambda: link.write(2, 6, 0, [1]),
        ):
            with pytest.raises(DeviceError):
                wrong()
        assert not server.requests


@pytest.mark.parametrize("code", [4, 5, 6, 10, 11])
def test_a_busy_device_is_degraded_and_left_alone_for_a_while(code: int) -> None:
    clock = ManualClock(START)

    def busy(request: Request) -> list[bytes]:
        return [frame(request.tid, request.unit, bytes([request.function | 0x80, code]))]

    with evil_server(busy) as server:
        group = group_of(server, clock)
        group.poll_once()
        (link,) = group.links()
        assert link.state == "degraded"
        assert f"exception {code}" in (link.reason or "")
        assert len(server.requests) == 1, "no splitting, no repetition"
        group.poll_once()
        assert len(server.requests) == 1
        server.behaviour = honest
        clock.advance(1)
        group.poll_once()
        assert group.links()[0].state == "online"
        assert server.connections == 1, "an exception is an answer, the connection stays"
        group.stop()


def test_device_exceptions_carry_their_code() -> None:
    clock = ManualClock(START)

    def illegal(request: Request) -> list[bytes]:
        return [frame(request.tid, request.unit, bytes([request.function | 0x80, 2]))]

    with evil_server(illegal) as server:
        link = ModbusLink("127.0.0.1", server.port, {1: UnitSettings()}, clock)
        with pytest.raises(DeviceAnswerError, match="illegal address") as caught:
            link.read(1, 3, 0, 1)
        assert caught.value.exception_code == 2
        assert caught.value.is_illegal_request
        link.close()


def test_one_silent_unit_does_not_take_its_neighbours_down() -> None:
    clock = ManualClock(START)

    def unit_1_silent(request: Request) -> list[bytes]:
        return [] if request.unit == 1 else honest(request)

    with evil_server(unit_1_silent) as server:
        registers = {"registers": {"pv_energy_kwh": {"address": 5, "function": 4}}}
        specs = [
            DeviceSpec(
                "silent", two_block_profile(), "127.0.0.1", server.port, 1, timeout_s=TIMEOUT_S
            ),
            DeviceSpec(
                "fine", two_block_profile(**registers), "127.0.0.1", server.port, 2, timeout_s=5.0
            ),
        ]
        group = DeviceGroup(specs, clock)
        for _ in range(10):
            group.poll_once()
            assert group.samples()["pv_energy_kwh"].value == 1005.0
            assert group.samples()["soc_percent"].value is None
            clock.advance(2)
        assert [link.state for link in group.links()] == ["offline", "online"]
        asked_in_vain = sum(request.unit == 1 for request in server.requests)
        assert 2 <= asked_in_vain <= 6, "the silent one is probed ever more rarely"
        group.stop()


def test_a_frozen_endpoint_is_probed_with_a_single_request() -> None:
    clock = ManualClock(START)
    with evil_server(silent) as server:
        specs = [
            DeviceSpec(
                f"device{unit}",
                two_block_profile(registers={signal: {"address": 5, "function": 4}}),
                "127.0.0.1",
                server.port,
                unit,
                timeout_s=0.1,
            )
            for unit, signal in enumerate(("pv_energy_kwh", "soc_percent", "voltage_v"), start=1)
        ]
        group = DeviceGroup(specs, clock)
        asked = []
        for _ in range(8):
            before = sum(link.requests for link in group.links())
            group.poll_once()
            asked.append(sum(link.requests for link in group.links()) - before)
            clock.advance(2)
        assert asked[0] == 3, "every unit had its turn"
        assert max(asked[1:]) == 1, "then one probe at a time"
        assert sum(asked[1:]) >= 3
        assert {link.state for link in group.links()} == {"offline"}
        group.stop()


def test_stop_is_bounded_while_a_device_keeps_silent() -> None:
    command = {
        "steps": [{"address": 0, "function": 6, "type": "int16", "positive_means": "discharge"}],
        "readback": "battery_setpoint_kw",
        "clamp_charge": 10,
        "clamp_discharge": 10,
    }
    profile = two_block_profile(
        registers={
            "battery_setpoint_kw": {
                "address": 0,
                "function": 3,
                "type": "int16",
                "positive_means": "discharge",
            }
        },
        kinds=["pcs"],
        commands={"set_power_kw": command},
    )

    def only_writes(request: Request) -> list[bytes]:
        return honest(request) if request.function == 6 else []

    class RealClock(ManualClock):
        """Stands still for the plan but really waits, so that the thread does not spin."""

        def wait(self, event: threading.Event, seconds: float) -> bool:
            return event.wait(seconds)

    with evil_server(only_writes) as server:
        spec = DeviceSpec(
            "mute", profile, "127.0.0.1", server.port, 1, timeout_s=60.0, writable=True
        )
        group = DeviceGroup([spec], RealClock(START))
        group.start()
        assert server.asked.wait(20)
        group.stop(safe_power_kw=0.0, timeout_s=2.0)
        # The read under way had 60 s left; it was cut off and the safe setpoint still written.
        assert server.requests[-1].function == 6
        assert server.requests[-1].count == 0
        assert group.command_state().written_kw == 0.0
        assert group.command_state().state in (CommandPhase.PENDING, CommandPhase.REFUSED)

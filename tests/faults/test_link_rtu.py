"""RTU frames, over TCP and on a serial line: no transaction number protects the answers."""

import os
import select
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from devices_rtu_gateway import (
    CLOSE,
    RtuBehaviour,
    RtuGateway,
    RtuRequest,
    request_bytes,
    rtu_frame,
    rtu_gateway,
    rtu_honest,
    rtu_pdu,
)

from engine.devices.group import DeviceGroup
from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.profile import parse_profile
from engine.devices.spec import DeviceSpec
from engine.devices.transport import SerialLine, Transport
from engine.domain.clock import ManualClock
from engine.domain.errors import DeviceError, LinkError
from engine.domain.sample import Quality

START = datetime(2026, 11, 3, 12, tzinfo=UTC)
TIMEOUT_S = 0.4
PROFILE = parse_profile(
    {
        "key": "victim",
        "label": "Victim",
        "manufacturer": "M",
        "kinds": ["battery_bms"],
        "source": "test",
        "registers": {
            "soc_percent": {"address": 12, "function": 3, "scale": 0.01},
            "temperature_c": {"address": 50, "function": 3, "scale": 0.1},
        },
    }
)
TRUE_VALUES = {"soc_percent": 10.12, "temperature_c": 105.0}


def group_of(gateway: RtuGateway, clock: ManualClock) -> DeviceGroup:
    spec = DeviceSpec(
        "victim",
        PROFILE,
        "127.0.0.1",
        gateway.port,
        1,
        timeout_s=TIMEOUT_S,
        transport=Transport.RTU_OVER_TCP,
    )
    return DeviceGroup([spec], clock)


def link_of(gateway: RtuGateway, clock: ManualClock, timeout_s: float = TIMEOUT_S) -> ModbusLink:
    return ModbusLink(
        "127.0.0.1",
        gateway.port,
        {1: UnitSettings(timeout_s=timeout_s, writable=True)},
        clock,
        transport=Transport.RTU_OVER_TCP,
    )


def short_answer(request: RtuRequest) -> list[bytes]:
    return [rtu_frame(request.unit, bytes([request.function, 0]))]


def long_answer(request: RtuRequest) -> list[bytes]:
    return [rtu_frame(request.unit, struct.pack(">BB3H", request.function, 6, 1, 2, 3))]


def other_function(request: RtuRequest) -> list[bytes]:
    return [rtu_frame(request.unit, b"\x04" + rtu_pdu(request)[1:])]


def other_exception(request: RtuRequest) -> list[bytes]:
    return [rtu_frame(request.unit, b"\x84\x02")]


def other_unit(request: RtuRequest) -> list[bytes]:
    return [rtu_frame(request.unit + 1, rtu_pdu(request))]


def wrong_checksum(request: RtuRequest) -> list[bytes]:
    good = rtu_honest(request)[0]
    return [good[:-1] + bytes([good[-1] ^ 1])]


def flipped_value_bit(request: RtuRequest) -> list[bytes]:
    good = bytearray(rtu_honest(request)[0])
    good[4] ^= 0x10
    return [bytes(good)]


def leading_junk(request: RtuRequest) -> list[bytes]:
    return [b"\x00\xff" + rtu_honest(request)[0]]


def trailing_junk(request: RtuRequest) -> list[bytes]:
    return [rtu_honest(request)[0] + b"\x00\x01\x02"]


def truncated(request: RtuRequest) -> list[bytes]:
    return [rtu_honest(request)[0][:-1]]


def trickle(request: RtuRequest) -> list[bytes]:
    return [bytes([byte]) for byte in rtu_honest(request)[0][:-2]]


def http(_: RtuRequest) -> list[bytes]:
    return [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"]


def zeros(_: RtuRequest) -> list[bytes]:
    return [bytes(300)]


def hang_up(_: RtuRequest) -> list[bytes]:
    return [CLOSE]


def silent(_: RtuRequest) -> list[bytes]:
    return []


EVIL = [
    short_answer,
    long_answer,
    other_function,
    other_exception,
    other_unit,
    wrong_checksum,
    flipped_value_bit,
    leading_junk,
    trailing_junk,
    truncated,
    trickle,
    http,
    zeros,
    hang_up,
    silent,
]


@pytest.mark.parametrize("build", EVIL, ids=lambda build: build.__name__)
def test_no_wrong_value_ever_and_right_values_once_the_device_behaves(build: RtuBehaviour) -> None:
    clock = ManualClock(START)

    def first_evil(request: RtuRequest) -> list[bytes]:
        return build(request) if request.number == 1 else rtu_honest(request)

    with rtu_gateway(first_evil) as gateway:
        group = group_of(gateway, clock)
        group.poll_once()
        for signal, sample in group.samples().items():
            assert sample.value is None, signal
            assert sample.quality is Quality.BAD
        assert group.links()[0].state == "offline"
        clock.advance(1)
        group.poll_once()
        values = {name: sample.value for name, sample in group.samples().items()}
        assert values == pytest.approx(TRUE_VALUES)
        assert gateway.connections == 2, "after any doubt the connection is a new one"
        assert sum(group.statistics()["victim"].errors_by_kind.values()) == 1
        group.stop()


def test_an_answer_that_comes_late_over_a_gateway_is_thrown_away() -> None:
    clock = ManualClock(START)

    def first_silent(request: RtuRequest) -> list[bytes]:
        return [] if request.number == 1 else rtu_honest(request)

    with rtu_gateway(first_silent) as gateway:
        link = link_of(gateway, clock, timeout_s=1.0)
        with pytest.raises(LinkError, match="no answer within 1 s"):
            link.read(1, 3, 10, 1)
        # Same unit, function and length: nothing in it tells that it answers another question.
        late = rtu_honest(gateway.requests[0])[0]
        gateway.on_connect = lambda: gateway.push(late)
        clock.advance(1)
        assert link.read(1, 3, 20, 1) == (1020,)
        assert gateway.connections == 2
        link.close()


def test_a_line_that_never_falls_silent_gives_no_values() -> None:
    clock = ManualClock(START)
    stop = threading.Event()
    chatter: list[threading.Thread] = []

    with rtu_gateway(silent) as gateway:
        link = link_of(gateway, clock, timeout_s=0.3)
        with pytest.raises(LinkError, match="no answer"):
            link.read(1, 3, 10, 1)

        def talk() -> None:
            while not stop.wait(0.02):
                try:
                    gateway.push(b"\x55")
                except OSError:
                    return

        def start() -> None:
            chatter.append(threading.Thread(target=talk, daemon=True))
            chatter[-1].start()

        gateway.on_connect = start
        clock.advance(1)
        with pytest.raises(LinkError, match="does not fall silent"):
            link.read(1, 3, 10, 1)
        assert len(gateway.requests) == 1, "nothing is asked on a disturbed line"
        stop.set()
        for thread in chatter:
            thread.join(10)
        gateway.on_connect = lambda: None
        gateway.behaviour = rtu_honest
        clock.advance(2)
        assert link.read(1, 3, 10, 1) == (1010,)
        link.close()


def test_writes_over_rtu_are_confirmed_by_their_echo() -> None:
    clock = ManualClock(START)
    with rtu_gateway() as gateway:
        link = link_of(gateway, clock)
        link.write(1, 6, 5, [77])
        link.write(1, 16, 5, [1, 2])
        assert [(r.function, r.address) for r in gateway.requests] == [(6, 5), (16, 5)]
        gateway.behaviour = lambda request: [
            rtu_frame(1, struct.pack(">BHH", request.function, request.address + 1, request.count))
        ]
        with pytest.raises(LinkError, match="confirmed a write to 6"):
            link.write(1, 6, 5, [77])
        link.close()


def test_a_serial_line_that_does_not_exist_is_offline_with_a_reason() -> None:
    line = SerialLine("/dev/ttyEmsDashDoesNotExist", baudrate=19200)
    spec = DeviceSpec(
        "victim", PROFILE, "", 0, 1, timeout_s=0.2, transport=Transport.RTU, serial=line
    )
    group = DeviceGroup([spec], ManualClock(START))
    group.poll_once()
    (link,) = group.links()
    assert link.state == "offline"
    assert link.endpoint == "/dev/ttyEmsDashDoesNotExist unit 1"
    assert group.statistics()["victim"].errors_by_kind == {"no_connection": 1}
    group.stop()


def test_without_pyserial_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "serial")
    spec = DeviceSpec(
        "victim", PROFILE, "", 0, 1, transport=Transport.RTU, serial=SerialLine("/dev/ttyX")
    )
    group = DeviceGroup([spec], ManualClock(START))
    group.poll_once()
    assert "Install the package pyserial" in (group.links()[0].reason or "")
    group.stop()


def test_devices_on_one_line_must_agree_about_it() -> None:
    slow, fast = SerialLine("/dev/ttyX", 9600), SerialLine("/dev/ttyX", 19200)
    other = PROFILE.model_copy(update={"registers": {}})

    def spec(name: str, unit: int, line: SerialLine | None) -> DeviceSpec:
        profile = PROFILE if unit == 1 else other
        return DeviceSpec(name, profile, "", 0, unit, transport=Transport.RTU, serial=line)

    with pytest.raises(DeviceError, match="in different ways"):
        DeviceGroup([spec("a", 1, slow), spec("b", 2, fast)], ManualClock(START))
    with pytest.raises(DeviceError, match="serial of a"):
        DeviceGroup([spec("a", 1, None)], ManualClock(START))
    DeviceGroup([spec("a", 1, slow), spec("b", 2, slow)], ManualClock(START))


@contextmanager
def serial_device(answers: bool = True) -> Iterator[tuple[str, list[bytes]]]:
    """A device on a pseudo terminal that answers writes, and reads only if `answers`."""
    device, line = os.openpty()
    path = os.ttyname(line)
    seen: list[bytes] = []
    ending = threading.Event()

    def serve() -> None:
        buffer = b""
        while not ending.is_set():
            if not select.select([device], [], [], 0.05)[0]:
                continue
            buffer += os.read(device, 256)
            while (length := request_bytes(buffer)) and len(buffer) >= length:
                frame, buffer = buffer[:length], buffer[length:]
                seen.append(frame)
                unit, function, address, count = struct.unpack(">BBHH", frame[:6])
                if answers or function in (6, 16):
                    request = RtuRequest(len(seen), unit, function, address, count)
                    os.write(device, rtu_honest(request)[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield path, seen
    finally:
        ending.set()
        thread.join(10)
        os.close(device)
        os.close(line)


def test_values_come_over_a_serial_line() -> None:
    with serial_device() as (path, _):
        spec = DeviceSpec(
            "victim",
            PROFILE,
            "",
            0,
            1,
            timeout_s=5.0,
            transport=Transport.RTU,
            serial=SerialLine(path, baudrate=115200),
        )
        group = DeviceGroup([spec], ManualClock(START))
        group.poll_once()
        values = {name: sample.value for name, sample in group.samples().items()}
        assert values == pytest.approx(TRUE_VALUES)
        assert group.links()[0].endpoint == f"{path} unit 1"
        group.stop()


class RealClock(ManualClock):
    """Stands still for the plan but really waits, so that the thread does not spin."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


COMMANDED = parse_profile(
    {
        "key": "mute",
        "label": "Mute",
        "manufacturer": "M",
        "kinds": ["pcs"],
        "source": "test",
        "registers": {
            "battery_setpoint_kw": {
                "address": 0,
                "function": 3,
                "type": "int16",
                "positive_means": "discharge",
            }
        },
        "commands": {
            "set_power_kw": {
                "steps": [
                    {
                        "address": 0,
                        "function": 6,
                        "type": "int16",
                        "positive_means": "discharge",
                    }
                ],
                "readback": "battery_setpoint_kw",
                "clamp_charge": 10,
                "clamp_discharge": 10,
            }
        },
    }
)


def wait_for(seen: list[bytes]) -> None:
    pause = threading.Event()
    for _ in range(4000):
        if seen:
            return
        pause.wait(0.005)
    raise AssertionError("nothing was asked in time")


def test_stop_writes_the_safe_setpoint_on_a_serial_line_that_keeps_silent() -> None:
    with serial_device(answers=False) as (path, seen):
        spec = DeviceSpec(
            "mute",
            COMMANDED,
            "",
            0,
            1,
            timeout_s=60.0,
            writable=True,
            transport=Transport.RTU,
            serial=SerialLine(path, baudrate=115200),
        )
        group = DeviceGroup([spec], RealClock(START))
        group.start()
        wait_for(seen)
        group.stop(safe_power_kw=0.0, timeout_s=5.0)
        # The read under way had 60 s left; it was cut off and the safe setpoint still written.
        assert seen[-1][1] == 6
        assert group.command_state().written_kw == 0.0


def test_stop_writes_the_safe_setpoint_through_a_gateway_that_keeps_silent() -> None:
    def only_writes(request: RtuRequest) -> list[bytes]:
        return rtu_honest(request) if request.function == 6 else []

    with rtu_gateway(only_writes) as gateway:
        spec = DeviceSpec(
            "mute",
            COMMANDED,
            "127.0.0.1",
            gateway.port,
            1,
            timeout_s=60.0,
            writable=True,
            transport=Transport.RTU_OVER_TCP,
        )
        group = DeviceGroup([spec], RealClock(START))
        group.start()
        pause = threading.Event()
        for _ in range(4000):
            if gateway.requests:
                break
            pause.wait(0.005)
        group.stop(safe_power_kw=0.0, timeout_s=5.0)
        assert gateway.requests[-1].function == 6
        assert group.command_state().written_kw == 0.0

"""The clock of a BMS is set to UTC on each new connection, or left alone with a reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from devices_evil_server import CLOSE, EvilServer, Memory, Request, evil_server

from engine.devices.group import DeviceGroup
from engine.devices.profile import MODBUS_PROFILES, with_overrides
from engine.devices.rtc import RETRY_S, RtcPhase, RtcState, decode_clock
from engine.devices.spec import DeviceSpec
from engine.domain.clock import ManualClock

# A leap day just before midnight in Vienna: UTC is an hour behind the wall clock there.
START = datetime(2028, 2, 29, 22, 59, 58, tzinfo=UTC)
HITHIUM = MODBUS_PROFILES["hithium_ess_5016"]
ONE_VALUE = {name: None for name in (*HITHIUM.registers, "alarm_bits") if name != "soc_percent"}
BASE_0 = with_overrides(HITHIUM, ONE_VALUE, address_base=0)
RTC = range(524, 530)


def bms() -> Memory:
    return Memory({4: 60} | dict.fromkeys(RTC, 0))


def spec_of(server: EvilServer) -> DeviceSpec:
    return DeviceSpec("bms", BASE_0, "127.0.0.1", server.port, 1, timeout_s=0.5, writable=True)


def group_of(spec: DeviceSpec, clock: ManualClock, synchronised: bool = True) -> DeviceGroup:
    return DeviceGroup([spec], clock, clock_synchronised=lambda: synchronised)


def writes(server: EvilServer) -> list[Request]:
    return [request for request in server.requests if request.function not in (1, 2, 3, 4)]


def clock_state(group: DeviceGroup) -> RtcState:
    return group.device_clocks()["bms"]


def test_one_write_of_six_registers_in_utc_and_read_back() -> None:
    clock = ManualClock(START)
    memory = bms()
    with evil_server(memory) as server:
        group = group_of(spec_of(server), clock)
        assert clock_state(group).state is RtcPhase.WAITING
        for _ in range(5):
            group.poll_once()
            clock.advance(2)
        (write,) = writes(server)
        assert (write.function, write.address, write.count) == (16, 524, 6)
        assert write.written == (28, 2, 29, 22, 59, 58)
        state = clock_state(group)
        assert (state.state, state.reason, state.drift_s) == (RtcPhase.SYNCHRONISED, None, 0.0)
        assert group.samples()["soc_percent"].value == 60.0
        group.stop()


def test_a_new_connection_sets_it_again() -> None:
    clock = ManualClock(START)
    memory = bms()
    with evil_server(memory) as server:
        group = group_of(spec_of(server), clock)
        group.poll_once()
        server.behaviour = lambda _: [CLOSE]
        clock.advance(2)
        group.poll_once()
        server.behaviour = memory
        clock.advance(2)
        group.poll_once()
        assert [w.written[-3:] for w in writes(server)] == [(22, 59, 58), (23, 0, 2)]
        group.stop()


def test_off_by_one_the_address_base_shifts_the_whole_clock() -> None:
    clock = ManualClock(START)
    with evil_server(Memory({3: 60} | dict.fromkeys(range(523, 529), 0))) as server:
        profile = with_overrides(HITHIUM, ONE_VALUE, address_base=1)
        group = group_of(replace(spec_of(server), profile=profile), clock)
        group.poll_once()
        assert [w.address for w in writes(server)] == [523]
        assert clock_state(group).state is RtcPhase.SYNCHRONISED
        group.stop()


UNSTATED = with_overrides(HITHIUM, ONE_VALUE)


@pytest.mark.parametrize(
    ("changes", "start", "synchronised", "reason"),
    [
        ({"writable": False}, START, True, "not enabled"),
        ({"profile": UNSTATED}, START, True, "address base is not confirmed"),
        ({}, datetime(2023, 12, 31, tzinfo=UTC), True, "shows the year 2023"),
        ({}, datetime(1970, 1, 1, tzinfo=UTC), True, "shows the year 1970"),
        ({}, START, False, "not synchronised"),
    ],
)
def test_in_doubt_nothing_is_written(
    changes: dict[str, object], start: datetime, synchronised: bool, reason: str
) -> None:
    clock = ManualClock(start)
    with evil_server(bms()) as server:
        spec = replace(spec_of(server), **changes)
        group = group_of(spec, clock, synchronised)
        for _ in range(3):
            group.poll_once()
            clock.advance(2)
        assert not writes(server)
        state = clock_state(group)
        assert state.state is RtcPhase.SKIPPED
        assert reason in (state.reason or "")
        assert group.links()[0].state == "online", "a clock left alone is no fault"
        group.stop()


def test_a_connection_test_confirms_the_address_base() -> None:
    clock = ManualClock(START)
    with evil_server(bms()) as server:
        spec = replace(spec_of(server), profile=UNSTATED, address_base_confirmed=True)
        group = group_of(spec, clock)
        group.poll_once()
        assert len(writes(server)) == 1
        group.stop()


def test_it_is_set_as_soon_as_our_own_clock_is_right() -> None:
    clock = ManualClock(START)
    right = False
    with evil_server(bms()) as server:
        group = DeviceGroup([spec_of(server)], clock, clock_synchronised=lambda: right)
        group.poll_once()
        assert not writes(server)
        right = True
        clock.advance(2)
        group.poll_once()
        assert len(writes(server)) == 1
        assert server.connections == 1
        group.stop()


def test_a_clock_that_does_not_take_the_time_is_told() -> None:
    clock = ManualClock(START)
    memory = bms()
    memory.registers.update(zip(RTC, (28, 2, 29, 22, 59, 30), strict=True))
    memory.deaf = True
    with evil_server(memory) as server:
        group = group_of(spec_of(server), clock)
        group.poll_once()
        state = clock_state(group)
        assert state.state is RtcPhase.FAILED
        assert state.drift_s == -28.0
        assert "-28.0 s off" in (state.reason or "")
        group.stop()


@pytest.mark.parametrize("drift_s", [-2, 2])
def test_two_seconds_are_allowed(drift_s: int) -> None:
    clock = ManualClock(START)
    memory = bms()
    shown = START + timedelta(seconds=drift_s)
    memory.registers.update(
        zip(RTC, (28, *shown.timetuple()[1:6]), strict=True),
    )
    memory.deaf = True
    with evil_server(memory) as server:
        group = group_of(spec_of(server), clock)
        group.poll_once()
        assert clock_state(group).state is RtcPhase.SYNCHRONISED
        assert clock_state(group).drift_s == drift_s
        group.stop()


def test_a_device_without_these_registers_is_read_all_the_same() -> None:
    clock = ManualClock(START)
    with evil_server(Memory({4: 60})) as server:
        group = group_of(spec_of(server), clock)
        for _ in range(3):
            group.poll_once()
            assert group.samples()["soc_percent"].value == 60.0
            clock.advance(2)
        assert clock_state(group).state is RtcPhase.FAILED
        assert "illegal address" in (clock_state(group).reason or "")
        assert len(writes(server)) == 1
        group.stop()


def test_a_device_that_hangs_up_on_it_is_not_asked_at_every_connection() -> None:
    clock = ManualClock(START)
    memory = bms()

    def touchy(request: Request) -> list[bytes]:
        return [CLOSE] if request.function == 16 else memory(request)

    with evil_server(touchy) as server:
        group = group_of(spec_of(server), clock)
        good = 0
        for _ in range(20):
            group.poll_once()
            good += group.samples()["soc_percent"].usable
            clock.advance(2)
        assert len(writes(server)) == 1
        assert good >= 19
        server.behaviour = lambda _: [CLOSE]
        clock.advance(RETRY_S)
        group.poll_once()
        server.behaviour = memory
        clock.advance(60)
        group.poll_once()
        assert clock_state(group).state is RtcPhase.SYNCHRONISED
        group.stop()


def test_six_registers_that_are_no_time_are_no_time() -> None:
    assert decode_clock((28, 13, 1, 0, 0, 0), 2000) is None
    assert decode_clock((0xFFFF, 1, 1, 0, 0, 0), 2000) is None
    assert decode_clock((28, 2, 29, 22, 59, 58), 2000) == START

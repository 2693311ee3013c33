"""Block planning, and learning what a device refuses."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.planner import BlockReader, Point, Reading, plan_blocks
from engine.domain.errors import DeviceError

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


class FakeDevice:
    """Registers 0..999 of function 4 that hold their own address, with illegal ones."""

    def __init__(self, illegal: set[int], max_count: int = 125) -> None:
        self.illegal = illegal
        self.max_count = max_count
        self.requests: list[tuple[int, int]] = []
        self.exception_code = 2

    def read(self, function: int, address: int, count: int) -> tuple[list[int], datetime]:
        self.requests.append((address, count))
        span = range(address, address + count)
        if count > self.max_count:
            raise DeviceAnswerError("too many", 3)
        if any(at in self.illegal for at in span):
            raise DeviceAnswerError("illegal", self.exception_code)
        return list(span), NOW


def read(reader: BlockReader, device: FakeDevice) -> dict[Point, Reading]:
    device.requests.clear()
    return reader.read_all(device.read, lambda: NOW)


def points(*addresses: int) -> list[Point]:
    return [Point(4, address, 1) for address in addresses]


def test_small_gaps_are_bridged_and_large_ones_are_not() -> None:
    blocks = plan_blocks(points(0, 17, 35), 120)
    assert [(b.address, b.count) for b in blocks] == [(0, 18), (35, 1)]


def test_blocks_stay_within_one_request_and_one_function() -> None:
    mixed = [*(Point(4, address, 2) for address in range(0, 200, 2)), Point(3, 4, 1)]
    blocks = plan_blocks(mixed, 50)
    assert all(block.count <= 50 for block in blocks)
    assert all(len({p.function for p in block.points}) == 1 for block in blocks)
    assert sorted(p for block in blocks for p in block.points) == sorted(mixed)


def test_no_value_is_split_between_two_requests() -> None:
    blocks = plan_blocks([Point(4, 0, 2), Point(4, 2, 4)], 5)
    assert [(b.address, b.count) for b in blocks] == [(0, 2), (2, 4)]


def test_too_wide_a_value_is_an_error() -> None:
    with pytest.raises(DeviceError, match="does not fit"):
        plan_blocks([Point(4, 0, 4)], 3)


def test_one_illegal_register_costs_only_itself() -> None:
    device = FakeDevice({30})
    reader = BlockReader(points(*range(60)), 120)
    first = read(reader, device)
    learning = len(device.requests)
    assert first[Point(4, 30, 1)].words is None
    assert "illegal address" in (first[Point(4, 30, 1)].reason or "")
    for address in range(60):
        if address != 30:
            assert first[Point(4, address, 1)].words == (address,)
    again = read(reader, device)
    assert learning > len(device.requests) == 2
    assert again[Point(4, 30, 1)].words is None
    assert again[Point(4, 31, 1)].words == (31,)


def test_an_illegal_gap_is_learned_without_losing_a_value() -> None:
    device = FakeDevice({5, 6})
    reader = BlockReader(points(0, 1, 2, 10, 11), 120)
    for _ in range(4):
        readings = read(reader, device)
        assert all(readings[p].words == (p.address,) for p in points(0, 1, 2, 10, 11))
    assert device.requests == [(0, 3), (10, 2)]
    assert not reader.refused


def test_a_device_that_takes_fewer_registers_than_its_profile_says() -> None:
    device = FakeDevice(set(), max_count=20)
    reader = BlockReader(points(*range(64)), 120)
    for _ in range(4):
        readings = read(reader, device)
        assert all(readings[p].words == (p.address,) for p in points(*range(64)))
    assert all(count <= 20 for _, count in device.requests)


def test_what_was_learned_can_be_forgotten() -> None:
    device = FakeDevice({3})
    reader = BlockReader(points(1, 2, 3, 4), 120)
    read(reader, device)
    device.illegal.clear()
    reader.forget()
    assert read(reader, device)[Point(4, 3, 1)].words == (3,)
    assert device.requests == [(1, 4)]


def test_a_device_that_refuses_everything_is_an_error_and_nothing_is_learned() -> None:
    device = FakeDevice(set(range(100)))
    reader = BlockReader(points(1, 2, 3), 120)
    with pytest.raises(DeviceError, match="refuses every register") as caught:
        read(reader, device)
    assert "address base" in (caught.value.hint or "")
    device.illegal.clear()
    assert read(reader, device)[Point(4, 2, 1)].words == (2,)


@pytest.mark.parametrize("code", [4, 5, 6, 10, 11])
def test_other_exceptions_end_the_scan_and_teach_nothing(code: int) -> None:
    device = FakeDevice({2})
    device.exception_code = code
    reader = BlockReader(points(1, 2, 3), 120)
    with pytest.raises(DeviceAnswerError):
        read(reader, device)
    assert len(device.requests) == 1
    assert not reader.refused


def test_a_reconnect_in_the_middle_of_a_scan_leaves_no_value_out() -> None:
    device = FakeDevice({30})
    reader = BlockReader(points(*range(25, 60)), 120)
    read(reader, device)

    def forgetting(inner: Callable[..., tuple[list[int], datetime]]) -> Callable[..., object]:
        def request(function: int, address: int, count: int) -> tuple[list[int], datetime]:
            answer = inner(function, address, count)
            reader.forget()
            return answer

        return request

    readings = reader.read_all(forgetting(device.read), lambda: NOW)  # type: ignore[arg-type]
    assert set(readings) == set(points(*range(25, 60)))

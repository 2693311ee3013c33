"""Whatever a device refuses, every other value arrives, and soon nothing is asked in vain."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.planner import MAX_GAP, BlockReader, Point
from engine.domain.errors import DeviceError

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
MAX_REGISTERS = 20


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[Point], frozenset[int]]:
    """Points that do not overlap, and addresses the device does not have."""
    points: list[Point] = []
    address = 0
    for _ in range(draw(st.integers(1, 25))):
        address += draw(st.integers(0, MAX_GAP + 4))
        width = draw(st.sampled_from((1, 2, 4)))
        points.append(Point(3, address, width))
        address += width
    illegal = draw(st.frozensets(st.integers(0, address), max_size=12))
    return points, illegal


class Device:
    def __init__(self, illegal: frozenset[int]) -> None:
        self.illegal = illegal
        self.requests = 0
        self.refusals = 0

    def request(self, function: int, address: int, count: int) -> tuple[Sequence[int], datetime]:
        assert function == 3
        assert 1 <= count <= MAX_REGISTERS
        self.requests += 1
        if not self.illegal.isdisjoint(range(address, address + count)):
            self.refusals += 1
            raise DeviceAnswerError("illegal address", 2)
        return tuple(7000 + at for at in range(address, address + count)), NOW


@settings(max_examples=300, deadline=None)
@given(layouts())
def test_every_supported_value_arrives_and_nothing_is_asked_in_vain_for_ever(
    layout: tuple[list[Point], frozenset[int]],
) -> None:
    points, illegal = layout
    device = Device(illegal)
    reader = BlockReader(points, MAX_REGISTERS)
    supported = {p for p in points if illegal.isdisjoint(range(p.address, p.end))}
    if not supported:
        with pytest.raises(DeviceError, match="refuses every register"):
            reader.read_all(device.request, lambda: NOW)
        return
    # What one refusal hides can only be learned once the reader knows about the first.
    for _ in range(2 + len(illegal)):
        asked = device.requests
        device.refusals = 0
        readings = reader.read_all(device.request, lambda: NOW)
        assert readings.keys() == set(points)
        for point, reading in readings.items():
            if point in supported:
                assert reading.words == tuple(7000 + at for at in range(point.address, point.end))
            else:
                assert reading.words is None
                assert "not supported" in (reading.reason or "")
    assert device.refusals == 0
    assert device.requests - asked <= len(supported)

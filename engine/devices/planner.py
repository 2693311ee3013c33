"""Block reads: few requests for many registers, and what a device refuses, learned.

One illegal address inside a block makes a device refuse the whole block
(Modbus exceptions 1 to 3). The reader then halves the block until it knows
whether a single value is not supported or two neighbours must not be read
together, and remembers that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.register_def import READ_BITS
from engine.domain.errors import DeviceError

MAX_GAP: Final = 16
"""Unused addresses that a block may bridge; measured best at 5 to 50 ms latency."""

MAX_BITS: Final = 2000
"""Most bits one request may ask for, by the Modbus application protocol."""


@dataclass(frozen=True, order=True, slots=True)
class Point:
    """Addresses of one value: wire address and width, read with `function`."""

    function: int
    address: int
    width: int

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.width


@dataclass(frozen=True, slots=True)
class Block:
    """One request and the points it answers, in address order."""

    points: tuple[Point, ...]

    @property
    def function(self) -> int:
        """Read function code."""
        return self.points[0].function

    @property
    def address(self) -> int:
        """First wire address."""
        return self.points[0].address

    @property
    def count(self) -> int:
        """Number of registers or bits."""
        return self.points[-1].end - self.points[0].address


@dataclass(frozen=True, slots=True)
class Reading:
    """Answer for one point.

    Attributes:
        words: Its registers (or one 0/1 for a bit); None when the device does not support it.
        ts: Time of the answer, UTC.
        reason: Why there are no words, else None.
    """

    words: tuple[int, ...] | None
    ts: datetime
    reason: str | None = None


Request = Callable[[int, int, int], tuple[Sequence[int], datetime]]
"""Reads (function, address, count); returns the words and the time of the answer."""


def plan_blocks(
    points: Iterable[Point],
    max_registers: int,
    max_gap: int = MAX_GAP,
    holes: frozenset[Point] = frozenset(),
    cuts: frozenset[tuple[int, int]] = frozenset(),
) -> tuple[Block, ...]:
    """Return the fewest blocks in address order that read `points` without `holes`.

    Args:
        points: What to read; duplicates are read once.
        max_registers: Most registers per request (bits: `MAX_BITS`).
        max_gap: Most unused addresses between two points of a block.
        holes: Points the device refuses; no block covers any of their addresses.
        cuts: (function, address): no block goes on across this start address.

    Raises:
        DeviceError: A point is wider than one request may be.
    """
    blocks: list[Block] = []
    current: list[Point] = []
    for point in sorted(set(points) - holes):
        limit = MAX_BITS if point.function in READ_BITS else max_registers
        if point.width > limit:
            raise DeviceError(
                f"a value of {point.width} registers does not fit into one request.",
                field="max_registers",
                value=max_registers,
                hint="Raise max_registers of the profile.",
            )
        if current and not (
            point.function == current[-1].function
            and point.address - current[-1].end <= max_gap
            and point.end - current[0].address <= limit
            and (point.function, point.address) not in cuts
            and not any(
                hole.function == point.function
                and hole.address < point.address
                and hole.end > current[-1].end
                for hole in holes
            )
        ):
            blocks.append(Block(tuple(current)))
            current = []
        current.append(point)
    if current:
        blocks.append(Block(tuple(current)))
    return tuple(blocks)


class BlockReader:
    """Reads all points of one device in blocks and learns what it refuses.

    Args:
        points: What to read.
        max_registers: Most registers per request.
        max_gap: Most unused addresses between two points of a block.
    """

    def __init__(self, points: Iterable[Point], max_registers: int, max_gap: int = MAX_GAP) -> None:
        self._points = tuple(sorted(set(points)))
        self._max_registers = max_registers
        self._max_gap = max_gap
        self._refused: dict[Point, str] = {}
        self._cuts: set[tuple[int, int]] = set()
        self._blocks = self._plan()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Requests of the next scan."""
        return self._blocks

    @property
    def refused(self) -> frozenset[Point]:
        """Points the device does not support."""
        return frozenset(self._refused)

    def forget(self) -> None:
        """Forget what was learned: the device may be another one after a reconnect."""
        if self._refused or self._cuts:
            self._refused.clear()
            self._cuts.clear()
            self._blocks = self._plan()

    def read_all(self, request: Request, now: Callable[[], datetime]) -> dict[Point, Reading]:
        """Return a reading for every point.

        Args:
            request: Sends one request.
            now: Current time, for points that are not supported.

        Raises:
            DeviceError: The device refuses every point, or `request` raised: then nothing of
                this scan is valid.
        """
        readings: dict[Point, Reading] = {}
        known = len(self._refused) + len(self._cuts)
        for block in self._blocks:
            self._read(block.points, request, readings)
        # A reconnect during the scan makes the reader forget; what it left out is read now.
        left_out = [p for p in self._points if p not in readings and p not in self._refused]
        for block in plan_blocks(left_out, self._max_registers, self._max_gap):
            self._read(block.points, request, readings)
        if len(self._refused) == len(self._points):
            reason = next(iter(self._refused.values()))
            self.forget()
            raise DeviceError(
                f"the device refuses every register of its profile ({reason}).",
                field="profile",
                hint="Check unit id, profile and address base.",
            )
        if len(self._refused) + len(self._cuts) != known:
            self._blocks = self._plan()
        for point, reason in self._refused.items():
            readings[point] = Reading(None, now(), reason)
        return readings

    def _plan(self) -> tuple[Block, ...]:
        return plan_blocks(
            self._points,
            self._max_registers,
            self._max_gap,
            frozenset(self._refused),
            frozenset(self._cuts),
        )

    def _read(
        self, points: tuple[Point, ...], request: Request, readings: dict[Point, Reading]
    ) -> None:
        block = Block(points)
        try:
            words, ts = request(block.function, block.address, block.count)
        except DeviceAnswerError as exc:
            if not exc.is_illegal_request:
                raise
            if len(points) == 1:
                self._refused[points[0]] = f"not supported by the device: {exc.meaning}"
                return
            known = len(self._refused) + len(self._cuts)
            middle = len(points) // 2
            self._read(points[:middle], request, readings)
            self._read(points[middle:], request, readings)
            if len(self._refused) + len(self._cuts) == known:
                # Both halves answer, so what is illegal lies between them (or in their length).
                self._cuts.add((points[middle].function, points[middle].address))
            return
        for point in points:
            start = point.address - block.address
            readings[point] = Reading(tuple(words[start : start + point.width]), ts)

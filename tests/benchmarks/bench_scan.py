"""How long one scan of a device takes: block reads beside single reads.

Run from the repository root: ``python tests/benchmarks/bench_scan.py``.
Both ways read the same 60 scattered registers through the same kind of link from
the same simulated device, which waits before every answer as a real one does.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simdevice import SimAction

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.planner import Block, BlockReader, Point, plan_blocks
from engine.domain.clock import SystemClock

LATENCIES_MS = (0.0, 5.0, 20.0, 50.0)
REGISTERS = 60
MAX_REGISTERS = 120
_UNIT = 1
_INPUT = 4
_READY_S = 10.0


@dataclass(frozen=True)
class ScanTime:
    """Scan time at one latency.

    Attributes:
        latency_ms: Wait of the device before every answer.
        blocks_ms: Mean time of a scan in planned blocks.
        singles_ms: Mean time of a scan register by register.
        block_requests: Requests of a scan in blocks.
        single_requests: Requests of a scan register by register.
    """

    latency_ms: float
    blocks_ms: float
    singles_ms: float
    block_requests: int
    single_requests: int

    @property
    def ratio(self) -> float:
        """How many times faster blocks are."""
        return self.singles_ms / self.blocks_ms


def scattered_points() -> tuple[Point, ...]:
    """Return 60 single registers in eight groups, as real register lists are laid out."""
    addresses: list[int] = []
    address = 0
    for number in range(REGISTERS):
        addresses.append(address)
        # Mostly small gaps inside a group; every eighth register starts a new, distant group.
        address += 60 if number % 8 == 7 else 1 + (number * 7) % 5
    return tuple(Point(_INPUT, at, 1) for at in addresses)


def run(scale: float = 1.0) -> list[ScanTime]:
    """Measure every latency.

    Args:
        scale: Multiplies the number of scans; 1 takes about 10 s.

    Returns:
        One entry per latency, in ascending order.
    """
    points = scattered_points()
    results = []
    for latency_ms in LATENCIES_MS:
        scans = max(1, round(scale * (40 if latency_ms == 0 else 3)))
        with _device(points, latency_ms) as port:
            results.append(_compare(port, points, latency_ms, scans))
    return results


def _compare(port: int, points: Sequence[Point], latency_ms: float, scans: int) -> ScanTime:
    link = ModbusLink("127.0.0.1", port, {_UNIT: UnitSettings(timeout_s=10.0)}, SystemClock())
    blocks = plan_blocks(points, MAX_REGISTERS)
    singles = [Block((point,)) for point in points]
    reader = BlockReader(points, MAX_REGISTERS)

    def request(function: int, address: int, count: int) -> tuple[Sequence[int], datetime]:
        return link.read(_UNIT, function, address, count), datetime.now(UTC)

    def in_blocks() -> None:
        readings = reader.read_all(request, lambda: datetime.now(UTC))
        _check({point.address: reading.words for point, reading in readings.items()}, points)

    def one_by_one() -> None:
        words = {b.address: request(b.function, b.address, b.count)[0] for b in singles}
        _check(words, points)

    try:
        # The first scan connects; it is not measured.
        in_blocks()
        one_by_one()
        return ScanTime(
            latency_ms,
            _mean_ms(in_blocks, scans),
            _mean_ms(one_by_one, scans),
            len(blocks),
            len(singles),
        )
    finally:
        link.close()


def _mean_ms(scan: Any, scans: int) -> float:
    started = time.perf_counter()
    for _ in range(scans):
        scan()
    return (time.perf_counter() - started) / scans * 1000


def _check(words: dict[int, Any], points: Sequence[Point]) -> None:
    """A fast scan of wrong values would be worth nothing."""
    wrong = [p.address for p in points if tuple(words[p.address] or ()) != (p.address + 1000,)]
    if wrong:
        raise RuntimeError(f"wrong values at {wrong}")


@contextmanager
def _device(points: Sequence[Point], latency_ms: float) -> Iterator[int]:
    """Serve registers that hold their address + 1000, each answer `latency_ms` late."""
    ready = threading.Event()
    ports: list[int] = []
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def on_access(*_: object) -> ExcCodes | None:
        if latency_ms:
            await asyncio.sleep(latency_ms / 1000)
        return None

    async def serve() -> None:
        values = [at + 1000 for at in range(points[-1].end)]
        table = [SimData(0, values=values, datatype=DataType.REGISTERS)]
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        simdata: Any = (bits, bits, table, table)
        device = SimDevice(_UNIT, simdata=simdata, action=cast(SimAction, on_access))
        server = ModbusTcpServer(device, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        end = asyncio.Event()
        ends.append((asyncio.get_running_loop(), end))
        ports.append(int(cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]))
        ready.set()
        await end.wait()
        await server.shutdown()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    if not ready.wait(_READY_S):
        raise RuntimeError("the simulated device did not start")
    try:
        yield ports[0]
    finally:
        loop, end = ends[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(_READY_S)


def table(results: Sequence[ScanTime]) -> str:
    """Return `results` as an aligned table."""
    first = results[0]
    lines = [
        f"scan of {REGISTERS} scattered registers"
        f" ({first.block_requests} blocks, {first.single_requests} single reads)",
        f"{'device latency':>14}  {'blocks':>10}  {'single':>10}  {'ratio':>6}",
    ]
    lines += [
        f"{r.latency_ms:>11.0f} ms  {r.blocks_ms:>7.1f} ms  {r.singles_ms:>7.1f} ms"
        f"  {r.ratio:>5.1f}x"
        for r in results
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    print(table(run()))


if __name__ == "__main__":
    main()

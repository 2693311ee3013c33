"""One Modbus unit that serves an image of raw registers and takes writes.

Addresses that are not in the image are refused (exception 2), as real devices
do. Exact words go in and out: nothing here knows what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simdevice import SimAction

from engine.devices.register_def import READ_BITS
from engine.devices.simulator.loopback import LoopbackServer, missing_device
from engine.devices.simulator.registers import WRITE_FUNCTIONS

Image = Mapping[int, Mapping[int, int]]
"""Read function code to wire address to register (0..65535) or bit (0 or 1)."""

TakeWrite = Callable[[int, Sequence[int]], bool]
"""Takes a write (wire address, words); False refuses it (exception 3)."""


class ImageServer(LoopbackServer):
    """Serves an image as one unit; other units answer like a gateway without a device behind it.

    Args:
        image: Gives the image at every request; its addresses must not change.
        unit_id: Modbus unit id.
        take_write: Takes writes to holding registers of the image; None refuses all of them.
        host: Loopback address to listen on.
        port: TCP port; 0 lets the system choose a free one.

    Raises:
        DeviceError: `host` is not a loopback address.
    """

    def __init__(
        self,
        image: Callable[[], Image],
        unit_id: int = 1,
        take_write: TakeWrite | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._image = image
        self._unit_id = unit_id
        self._take_write = take_write
        super().__init__(self._devices, host, port, "simulator")

    def _devices(self) -> list[SimDevice]:
        image = self._image()
        simdata: Any = tuple(_blocks(function, image.get(function, {})) for function in range(1, 5))
        device = SimDevice(
            self._unit_id, simdata=simdata, action=cast(SimAction, self._access_handler())
        )
        # Unit 0 is pymodbus's own catch-all, so a device there stands for every unit.
        return [device] if self._unit_id == 0 else [device, missing_device()]

    def _access_handler(self) -> Callable[..., Any]:
        async def on_access(  # noqa: PLR0917 - pymodbus prescribes the arguments
            function: int,
            start: int,
            address: int,
            count: int,
            current: list[int],
            written: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            if written is not None:
                return self._write(function, address, [int(word) for word in written])
            table = self._image().get(3 if function in WRITE_FUNCTIONS else function, {})
            if function in READ_BITS:
                # Here pymodbus counts in words of 16 bits and stores bits in words, low bit first.
                first = address // 16 * 16
                for bit in range(first, first + 16 * count):
                    word, mask = bit // 16 - start, 1 << bit % 16
                    if word < len(current):
                        state = table.get(bit, 0)
                        current[word] = current[word] | mask if state else current[word] & ~mask
                return None
            for at in range(address, address + count):
                current[at - start] = table[at]
            return None

        return on_access

    def _write(self, function: int, address: int, words: Sequence[int]) -> ExcCodes | None:
        table = self._image().get(3, {})
        if function not in WRITE_FUNCTIONS:
            return ExcCodes.ILLEGAL_FUNCTION
        if any(at not in table for at in range(address, address + len(words))):
            return ExcCodes.ILLEGAL_ADDRESS
        if self._take_write is None or not self._take_write(address, words):
            return ExcCodes.ILLEGAL_VALUE
        return None


def _blocks(function: int, table: Mapping[int, int]) -> list[SimData]:
    if function in READ_BITS:
        # pymodbus wants every table filled; addresses that mean nothing read as 0.
        end = max(table, default=0) + 1
        return [SimData(0, values=[False] * end, datatype=DataType.BITS)]
    if not table:
        return [SimData(0, datatype=DataType.INVALID)]
    return [
        SimData(first, values=[0] * length, datatype=DataType.REGISTERS)
        for first, length in _runs(table)
    ]


def _runs(addresses: Iterable[int]) -> list[tuple[int, int]]:
    """Return (first address, length) of every gapless run."""
    runs: list[tuple[int, int]] = []
    for address in sorted(addresses):
        if runs and sum(runs[-1]) == address:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((address, 1))
    return runs

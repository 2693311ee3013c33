"""Modbus TCP devices for connection tests: a register image on a raw socket, which counts writes.

An address that is not in the image is refused (exception 2), another unit id is not answered.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine.devices.codec import encode, register_width
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import READ_BITS
from tests.support.socket_server import SocketServer

Image = dict[tuple[int, int], int]
"""(function code, wire address) to register or bit."""

CHARGING = {
    "voltage_v": 1331.2,
    "current_a": -40.0,
    "soc_percent": 57.0,
    "soh_percent": 99.0,
    "max_discharge_power_kw": 1000.0,
    "max_charge_power_kw": 800.0,
    "max_discharge_current_a": 750.0,
    "max_charge_current_a": 600.0,
    "temperature_c": 24.0,
    "status_code": 1.0,
    "insulation_resistance_kohm": 4000.0,
}
"""What a storage container shows while it charges."""

METERED = {"grid_kw": 43.2, "grid_import_kwh": 123456.789, "grid_export_kwh": 2345.678}
"""What a meter at the grid connection shows."""


def image_of(
    profile: DeviceProfile,
    values: Mapping[str, float],
    *,
    shift: int = 0,
    swapped: bool = False,
    room: bool = True,
) -> Image:
    """Return the registers a device with `profile` shows.

    Args:
        profile: Register map.
        values: Value per signal and alarm; others are 0.
        shift: Added to every address, as a device that counts from another base does.
        swapped: True turns the order of the registers of a number round.
        room: True serves zeros on the addresses around the map too.
    """
    image: Image = {}
    functions = {r.function for r in profile.registers.values()}
    functions |= {a.function for a in profile.alarms.values()}
    if room:
        addresses = [r.address for r in profile.registers.values()]
        addresses += [a.address for a in profile.alarms.values()]
        for function in functions:
            for address in range(max(0, min(addresses) - 4), max(addresses) + 12):
                image[function, address] = 0
    for signal, register in profile.registers.items():
        first = profile.wire_address(register.address) + shift
        if register.function in READ_BITS:
            image[register.function, first] = int(values.get(signal, 0.0))
            continue
        words = (
            encode(register, values[signal], profile.word_order, signal)
            if signal in values
            else (0,) * register_width(register)
        )
        for offset, word in enumerate(reversed(words) if swapped else words):
            image[register.function, first + offset] = word
    for name, alarm in profile.alarms.items():
        image[alarm.function, profile.wire_address(alarm.address) + shift] = int(
            values.get(name, 0.0)
        )
    return image


@dataclass
class ImageDevice(SocketServer):
    """Serves `image` as one unit; everything else about it can be changed while it runs."""

    image: Image
    unit_id: int = 1
    single_client: bool = False
    gateway: bool = False
    on_read: Callable[[], None] = field(default=lambda: None)
    writes: list[tuple[int, int]] = field(default_factory=list)
    functions: set[int] = field(default_factory=set)
    refused_clients: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def served_clients(self) -> int:
        """Connections that were admitted so far."""
        return self.connections

    def admit(self, connection: socket.socket) -> bool:
        if self.single_client and self.clients:
            self.refused_clients += 1
            return False
        return True

    def serve(self, connection: socket.socket) -> None:
        buffer = b""
        while data := connection.recv(4096):
            buffer += data
            while len(buffer) >= 7:
                tid, protocol, length, unit = struct.unpack(">HHHB", buffer[:7])
                if protocol != 0 or length < 6:
                    # Not Modbus TCP: a real device hangs up or stays silent.
                    buffer = b""
                    break
                if len(buffer) < 6 + length:
                    break
                pdu, buffer = buffer[7 : 6 + length], buffer[6 + length :]
                answer = self._answer(unit, pdu)
                if answer is not None:
                    head = struct.pack(">HHHB", tid, 0, len(answer) + 1, unit)
                    connection.sendall(head + answer)

    def _answer(self, unit: int, pdu: bytes) -> bytes | None:
        function, address, count = struct.unpack(">BHH", pdu[:5])
        self.functions.add(function)
        if function not in (1, 2, 3, 4):
            self.writes.append((function, address))
            return bytes([function | 0x80, 1])
        if unit != self.unit_id:
            return bytes([function | 0x80, 11]) if self.gateway else None
        self.on_read()
        wanted = [(function, address + i) for i in range(count)]
        if any(key not in self.image for key in wanted):
            return bytes([function | 0x80, 2])
        words = [self.image[key] for key in wanted]
        if function in READ_BITS:
            packed = sum(bit << i for i, bit in enumerate(words))
            size = (count + 7) // 8
            return bytes([function, size]) + packed.to_bytes(size, "little")
        return struct.pack(f">BB{count}H", function, 2 * count, *words)


@contextmanager
def image_device(image: Image, **options: object) -> Iterator[ImageDevice]:
    """Serve `image` while the block runs."""
    device = ImageDevice(image, **options)  # type: ignore[arg-type]
    try:
        yield device
    finally:
        device.close()

"""A raw Modbus TCP server that can lie, stay silent, answer late or send garbage.

pymodbus's own server cannot misbehave in these ways, so this one is written on
a bare socket. Register `a` of an honest answer holds ``1000 + a``.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.socket_server import SocketServer

HONEST_OFFSET = 1000


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    number: int
    tid: int
    unit: int
    function: int
    address: int
    count: int
    pdu: bytes = b""

    @property
    def written(self) -> tuple[int, ...]:
        """Words of a write."""
        words = self.pdu[3:] if self.function == 6 else self.pdu[6:]
        return struct.unpack(f">{len(words) // 2}H", words)


Behaviour = Callable[[Request], list[bytes]]
"""Returns the packets to send; an empty list is silence, `CLOSE` ends the connection."""

CLOSE = b"<close>"


def frame(tid: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu


def honest_pdu(request: Request) -> bytes:
    if request.function in (6, 16):
        return struct.pack(">BHH", request.function, request.address, request.count)
    if request.function in (1, 2):
        return bytes([request.function, (request.count + 7) // 8]) + bytes((request.count + 7) // 8)
    words = [HONEST_OFFSET + request.address + i for i in range(request.count)]
    return struct.pack(f">BB{len(words)}H", request.function, 2 * len(words), *words)


def honest(request: Request) -> list[bytes]:
    return [frame(request.tid, request.unit, honest_pdu(request))]


class Memory:
    """A device that keeps what is written to its registers; others are refused."""

    def __init__(self, registers: dict[int, int]) -> None:
        self.registers = registers
        self.deaf = False

    def __call__(self, request: Request) -> list[bytes]:
        function, address = request.function, request.address
        wanted = range(address, address + (1 if function == 6 else request.count))
        if not all(at in self.registers for at in wanted):
            return [frame(request.tid, request.unit, bytes([function | 0x80, 2]))]
        if function in (6, 16):
            if not self.deaf:
                self.registers.update(zip(wanted, request.written, strict=True))
            return honest(request)
        words = [self.registers[at] for at in wanted]
        pdu = struct.pack(f">BB{len(words)}H", function, 2 * len(words), *words)
        return [frame(request.tid, request.unit, pdu)]


def silent(_: Request) -> list[bytes]:
    return []


class EvilServer(SocketServer):
    """Answers every request on 127.0.0.1 the way `behaviour` says; it can be changed any time."""

    def __init__(self, behaviour: Behaviour = honest) -> None:
        self.behaviour = behaviour
        self.requests: list[Request] = []
        self.asked = threading.Event()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        for request in self._read(connection):
            for packet in self.behaviour(request):
                if packet == CLOSE:
                    return
                connection.sendall(packet)

    def _read(self, connection: socket.socket) -> Iterator[Request]:
        buffer = b""
        while data := connection.recv(4096):
            buffer += data
            while len(buffer) >= 7:
                tid, _, length, unit = struct.unpack(">HHHB", buffer[:7])
                if len(buffer) < 6 + length:
                    break
                pdu, buffer = buffer[7 : 6 + length], buffer[6 + length :]
                function, address, count = struct.unpack(">BHH", pdu[:5])
                request = Request(len(self.requests) + 1, tid, unit, function, address, count, pdu)
                self.requests.append(request)
                self.asked.set()
                yield request


@contextmanager
def evil_server(behaviour: Behaviour = honest) -> Iterator[EvilServer]:
    server = EvilServer(behaviour)
    try:
        yield server
    finally:
        server.close()

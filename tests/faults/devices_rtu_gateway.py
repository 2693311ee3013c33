"""A transparent serial gateway: RTU frames over TCP, with a device behind it that can misbehave.

Like the real thing it knows nothing of requests: what comes from the line goes to
whoever is connected now, also when somebody else asked for it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.socket_server import SocketServer

HONEST_OFFSET = 1000


@dataclass(frozen=True)
class RtuRequest:
    """One request as it came in."""

    number: int
    unit: int
    function: int
    address: int
    count: int


RtuBehaviour = Callable[[RtuRequest], list[bytes]]
"""Returns the packets to send; an empty list is silence, `CLOSE` ends the connection."""

CLOSE = b"<close>"


def crc(data: bytes) -> bytes:
    """Checksum of an RTU frame, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    body = bytes([unit]) + pdu
    return body + crc(body)


def rtu_pdu(request: RtuRequest) -> bytes:
    if request.function in (6, 16):
        return struct.pack(">BHH", request.function, request.address, request.count)
    words = [HONEST_OFFSET + request.address + i for i in range(request.count)]
    return struct.pack(f">BB{len(words)}H", request.function, 2 * len(words), *words)


def rtu_honest(request: RtuRequest) -> list[bytes]:
    return [rtu_frame(request.unit, rtu_pdu(request))]


class RtuGateway(SocketServer):
    """Listens on 127.0.0.1; `behaviour` and `on_connect` can be changed any time."""

    def __init__(self, behaviour: RtuBehaviour = rtu_honest) -> None:
        self.behaviour = behaviour
        self.requests: list[RtuRequest] = []
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        buffer = b""
        while data := connection.recv(4096):
            buffer += data
            while (length := request_bytes(buffer)) and len(buffer) >= length:
                frame, buffer = buffer[:length], buffer[length:]
                for packet in self.behaviour(self._request(frame)):
                    if packet == CLOSE:
                        return
                    connection.sendall(packet)

    def _request(self, frame: bytes) -> RtuRequest:
        assert crc(frame[:-2]) == frame[-2:]
        unit, function, address, count = struct.unpack(">BBHH", frame[:6])
        request = RtuRequest(len(self.requests) + 1, unit, function, address, count)
        self.requests.append(request)
        return request


def request_bytes(buffer: bytes) -> int:
    """Length of the request at the start of `buffer`, 0 while that is not known."""
    if len(buffer) < 8:
        return 0
    return 9 + buffer[6] if buffer[1] == 16 else 8


@contextmanager
def rtu_gateway(behaviour: RtuBehaviour = rtu_honest) -> Iterator[RtuGateway]:
    gateway = RtuGateway(behaviour)
    try:
        yield gateway
    finally:
        gateway.close()

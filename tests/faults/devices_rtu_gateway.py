"""A transparent serial gateway: RTU frames over TCP, with a device behind it that can misbehave.

Like the real thing it knows nothing of requests: what comes from the line goes to
whoever is connected now, also when somebody else asked for it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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


class RtuGateway:
    """Listens on 127.0.0.1; `behaviour` and `on_connect` can be changed any time."""

    def __init__(self, behaviour: RtuBehaviour = rtu_honest) -> None:
        self.behaviour = behaviour
        self.on_connect: Callable[[], None] = lambda: None
        self.requests: list[RtuRequest] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def push(self, data: bytes) -> None:
        """Hand bytes from the line to whoever connected last."""
        self._open[-1].sendall(data)

    def close(self) -> None:
        """Stop and wait until every thread has ended."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(10)
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self.on_connect()
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                buffer = b""
                while data := connection.recv(4096):
                    buffer += data
                    while (length := request_bytes(buffer)) and len(buffer) >= length:
                        frame, buffer = buffer[:length], buffer[length:]
                        for packet in self.behaviour(self._request(frame)):
                            if packet == CLOSE:
                                return
                            connection.sendall(packet)
            except OSError:
                return

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

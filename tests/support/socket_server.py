"""A raw socket server on loopback, for devices that answer as no real one should."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable


class SocketServer(ABC):
    """Accepts connections on 127.0.0.1, each served by a thread of its own.

    Args:
        port: Where to listen; 0 for any free port.

    Attributes:
        on_connect: Called after a connection was admitted, before anything is read from it.
        connections: Connections admitted so far.
        port: Where it listens.
    """

    def __init__(self, port: int = 0) -> None:
        self.on_connect: Callable[[], None] = lambda: None
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def push(self, data: bytes) -> None:
        """Send data on the newest connection without being asked."""
        self._open[-1].sendall(data)

    def close(self) -> None:
        """Stop and wait until every thread has ended."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(10)
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def admit(self, connection: socket.socket) -> bool:
        """Return False to turn a new connection away; it is closed then."""
        return True

    @property
    def clients(self) -> int:
        """Number of open connections."""
        with self._lock:
            return len(self._open)

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Answer on one connection until it ends."""

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if not self.admit(connection):
                connection.close()
                continue
            with self._lock:
                self.connections += 1
                self._open.append(connection)
            self.on_connect()
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            self.serve(connection)
        except OSError:
            # Either side may hang up at any time; that is what these servers are for.
            return
        finally:
            with self._lock:
                self._open.remove(connection)
            connection.close()

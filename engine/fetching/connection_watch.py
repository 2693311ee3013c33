"""A deadline over everything a request does, from connecting to the last byte.

Timeouts of sockets count silence. A server that sends one byte now and then never is silent, in
the TLS handshake and the headers as little as in the body. So the connection itself is shut
down when the time is over.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from requests.adapters import HTTPAdapter


class ConnectionWatch:
    """Shuts the connections of one request down at its deadline, or when aborted.

    Attributes:
        expired: True when the deadline passed before the request ended.
        aborted: True when `abort` was called before the request ended.
    """

    def __init__(self, total_s: float) -> None:
        self.expired = False
        self.aborted = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(total_s, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> ConnectionWatch:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for copy in self._sockets:
                copy.close()
            self._sockets.clear()

    def add(self, connection: socket.socket) -> None:
        """Watch a connected socket, before any handshake."""
        # The TLS layer takes the socket object over; a second descriptor stays ours.
        with self._lock:
            self._sockets.append(connection.dup())
            over = self.expired or self.aborted
        if over:
            self._shut_down()

    def abort(self) -> None:
        """End the request now."""
        self.aborted = True
        self._shut_down()

    def _expire(self) -> None:
        self.expired = True
        self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            for copy in self._sockets:
                try:
                    copy.shutdown(socket.SHUT_RDWR)
                except OSError:
                    # The other side was faster; the connection is down either way.
                    continue


class WatchedAdapter(HTTPAdapter):  # type: ignore[misc]
    """Transport of requests whose connections report to a `ConnectionWatch`."""

    def __init__(self, watch: ConnectionWatch) -> None:
        self._watch = watch
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool for a request, its connections watched."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        if not getattr(pool, "ems_watched", False):
            pool.ems_watched = True
            pool.ConnectionCls = self._watched(pool.ConnectionCls)
        return pool

    def _watched(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def build(*args: Any, **kwargs: Any) -> Any:
            connection = make(*args, **kwargs)
            connect = connection._new_conn

            def connect_watched() -> Any:
                raw = connect()
                self._watch.add(raw)
                return raw

            connection._new_conn = connect_watched
            return connection

        return build

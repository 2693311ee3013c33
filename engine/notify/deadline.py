"""One deadline over everything a delivery does, and its end from another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.fetching.connection_watch import ConnectionWatch
from engine.notify.errors import NotifyError


class Deadlines:
    """Watches the connections of one channel. Thread-safe.

    Args:
        total_s: Longest time for one delivery, so that a trickling server holds no thread.
    """

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        self._running: set[ConnectionWatch] = set()
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def watch(self) -> Iterator[ConnectionWatch]:
        """Watch one delivery.

        Raises:
            NotifyError: The channel was closed.
        """
        watch = ConnectionWatch(self._total_s)
        with self._lock:
            if self._closed:
                raise NotifyError("The program stops.", kind="stopped")
            self._running.add(watch)
        try:
            with watch:
                yield watch
        finally:
            with self._lock:
                self._running.discard(watch)

    def close(self) -> None:
        """End every delivery under way and refuse further ones."""
        with self._lock:
            self._closed = True
            running = tuple(self._running)
        for watch in running:
            watch.abort()

"""The newest events, in memory, for pages; every one also goes to the history."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from engine.domain.records import EventRow

CAPACITY = 2000


class EventLog:
    """Remembers the newest events and hands each on. Thread-safe.

    The page shows what happened this second, also while the history cannot take rows.

    Args:
        store: Hands a row to the history; never blocks.
        capacity: Most events remembered.
    """

    def __init__(self, store: Callable[[EventRow], None], capacity: int = CAPACITY) -> None:
        self._store = store
        self._rows: deque[EventRow] = deque(maxlen=capacity)
        self._lock = threading.Lock()

    def preload(self, rows: Iterable[EventRow]) -> None:
        """Fill an empty log with stored events, oldest first, so a restart keeps the list."""
        with self._lock:
            self._rows.extend(rows)

    def add(self, row: EventRow) -> None:
        """Remember `row` and hand it to the history."""
        with self._lock:
            self._rows.append(row)
        self._store(row)

    def since(self, ts: datetime) -> list[EventRow]:
        """Return the remembered events from `ts` (UTC) on, in the order they happened."""
        with self._lock:
            rows = list(self._rows)
        return [row for row in rows if row.ts >= ts]

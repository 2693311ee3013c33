"""One-minute means of the newest 36 hours, in memory, for live pages."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from datetime import datetime

from engine.domain.sample import ProcessImage
from engine.domain.series import MeasuredPoint
from engine.domain.signals import SIGNALS, Kind

CAPACITY_MINUTES = 36 * 60

_AVERAGED = tuple(name for name, s in SIGNALS.items() if s.kind is Kind.GAUGE)


class MinuteRing:
    """Accumulates process images into closed one-minute means. Thread-safe."""

    def __init__(self, capacity: int = CAPACITY_MINUTES) -> None:
        self._points: deque[MeasuredPoint] = deque(maxlen=capacity)
        self._minute: datetime | None = None
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def preload(self, points: Iterable[MeasuredPoint]) -> None:
        """Fill an empty ring with stored minutes, ascending, so a restart keeps the picture."""
        with self._lock:
            self._points.extend(points)

    def add(self, image: ProcessImage) -> None:
        """Add one cycle; the minute before is closed when a new one begins."""
        minute = image.ts.replace(second=0, microsecond=0)
        with self._lock:
            if self._minute is not None and minute != self._minute:
                self._close()
            while self._points and self._points[-1].ts > minute:
                # The clock was set back: what lies ahead of it was measured at a wrong time.
                self._points.pop()
            self._minute = minute
            for name in _AVERAGED:
                value = image.value(name)
                if value is not None:
                    self._sums[name] = self._sums.get(name, 0.0) + value
                    self._counts[name] = self._counts.get(name, 0) + 1

    def between(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        """Return the closed minutes with ``since < ts`` and ``ts < until``, ascending."""
        with self._lock:
            points = list(self._points)
        return [p for p in points if p.ts > since and (until is None or p.ts < until)]

    def _close(self) -> None:
        last = self._points[-1].ts if self._points else None
        if self._counts and self._minute is not None and (last is None or self._minute > last):
            means = {n: self._sums[n] / self._counts[n] for n in self._counts}
            self._points.append(MeasuredPoint(ts=self._minute, seconds=60, values=means))
        self._sums, self._counts = {}, {}

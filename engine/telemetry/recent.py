"""Every control cycle of the last 60 minutes, in memory, for charts and the API."""

from __future__ import annotations

import math
import threading
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.domain.sample import ProcessImage, Quality

WINDOW = timedelta(minutes=60)

CAPACITY = 7200
"""60 min at the shortest control step of 0.5 s."""

_QUALITIES = tuple(Quality)


@dataclass(frozen=True, slots=True)
class RecentCycle:
    """Values and qualities of one control cycle, packed: about 20 bytes per signal.

    Attributes:
        ts: Start of the cycle, UTC.
        simulated: True when the devices are simulated.
        names: Signals of the cycle.
    """

    ts: datetime
    simulated: bool
    names: tuple[str, ...]
    _values: array[float]
    _qualities: bytes

    def value(self, signal: str) -> float | None:
        """Return the value of `signal` if control could act on it, else None."""
        usable = self.quality(signal) in (Quality.GOOD, Quality.UNCERTAIN)
        return self.shown(signal) if usable else None

    def shown(self, signal: str) -> float | None:
        """Return the value of `signal` for display, stale ones included, or None."""
        if signal not in self.names:
            return None
        value = self._values[self.names.index(signal)]
        return None if math.isnan(value) else value

    def quality(self, signal: str) -> Quality | None:
        """Return the quality of `signal`, or None when no device supplies it."""
        if signal not in self.names:
            return None
        return _QUALITIES[self._qualities[self.names.index(signal)]]

    def items(self) -> Iterator[tuple[str, float | None, Quality]]:
        """Iterate over signal, value for display and quality."""
        for name, value, quality in zip(self.names, self._values, self._qualities, strict=True):
            yield name, None if math.isnan(value) else value, _QUALITIES[quality]


class RecentRing:
    """Control cycles of the last 60 minutes of the engine's time. Thread-safe.

    Args:
        window: How far it reaches back.
        capacity: Most cycles it holds.
    """

    def __init__(self, window: timedelta = WINDOW, capacity: int = CAPACITY) -> None:
        self._window = window
        self._cycles: deque[RecentCycle] = deque(maxlen=capacity)
        self._names: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def add(self, image: ProcessImage) -> None:
        """Add one cycle; a clock that was set back replaces what lies ahead of it."""
        names = tuple(image.samples)
        samples = image.samples.values()
        values = array("d", [math.nan if s.value is None else s.value for s in samples])
        qualities = bytes(_QUALITIES.index(s.quality) for s in samples)
        with self._lock:
            while self._cycles and image.ts < self._cycles[-1].ts:
                self._cycles.pop()
            if self._cycles and image.ts == self._cycles[-1].ts:
                return
            if names != self._names:
                self._names = names
            cycle = RecentCycle(image.ts, image.simulated, self._names, values, qualities)
            self._cycles.append(cycle)
            oldest = image.ts - self._window
            while self._cycles[0].ts < oldest:
                self._cycles.popleft()

    def since(self, ts: datetime, limit: int | None = None) -> list[RecentCycle]:
        """Return the cycles later than `ts`, ascending; the newest `limit` of them when given.

        Raises:
            ValueError: `limit` is negative.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"limit must not be negative (got {limit})")
        with self._lock:
            found = [cycle for cycle in self._cycles if cycle.ts > ts]
        return found if limit is None else found[len(found) - min(limit, len(found)) :]

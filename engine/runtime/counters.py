"""What the running engine counts about itself, cheaply, for whoever watches it."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

CYCLE_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
PLAN_BOUNDS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """How values were spread, as Prometheus wants it.

    Attributes:
        bounds: Upper bounds of the classes; one more class above the last.
        counts: Values in each class, not cumulated.
        total: Sum of the values.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        """Values in all."""
        return sum(self.counts)


class Distribution:
    """Counts values by class; thread-safe.

    Args:
        bounds: Upper bounds of the classes, ascending.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Count one value."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._total += value

    def spread(self) -> Spread:
        """Return the counts of this moment."""
        with self._lock:
            return Spread(self._bounds, tuple(self._counts), self._total)


class EngineCounters:
    """Counts of one engine since its start.

    Attributes:
        cycle_s: Real durations of control cycles, in s.
        lag_s: How much later than planned they began, in s of the engine's clock.
        plan_s: Real durations of making a plan, in s.
        skipped: Control cycles left out because an earlier one took too long.
        plans_ok: Plans published.
        plans_failed: Attempts at a plan that failed.
    """

    def __init__(self) -> None:
        self.cycle_s = Distribution(CYCLE_BOUNDS_S)
        self.lag_s = Distribution(CYCLE_BOUNDS_S)
        self.plan_s = Distribution(PLAN_BOUNDS_S)
        self.skipped = 0
        self.plans_ok = 0
        self.plans_failed = 0

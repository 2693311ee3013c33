"""One step of bookkeeping: late bookings, baselines, days that are over; never before the meter."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.domain.clock import Clock
from engine.domain.errors import EmsError
from engine.runtime.analytics_service import AnalyticsService
from engine.runtime.cycle import CycleResult

METER_PATIENCE_S = 120.0
"""The bookkeeping waits so long for the first reading of the meter."""


class BookkeepingStep:
    """Does one piece of bookkeeping at a time. `run` is called by one thread only.

    Args:
        analytics: Does the work.
        clock: Time; the wait for the meter counts from the making of this step.
        stop: Set when the engine stops.
        newest: Returns the newest control cycle; None before the first.
    """

    def __init__(
        self,
        analytics: AnalyticsService,
        clock: Clock,
        stop: threading.Event,
        newest: Callable[[], CycleResult | None],
    ) -> None:
        self._analytics = analytics
        self._clock = clock
        self._stop = stop
        self._newest = newest
        self._began = clock.monotonic()

    def run(self) -> bool:
        """Do one piece of bookkeeping; False when there is none.

        Raises:
            EmsError: It failed, and not for the reason that the engine stops.
        """
        if self._stop.is_set() or not self._metered():
            return False
        try:
            return self._analytics.step()
        except EmsError:
            # The history closes at a stop, whatever this thread is doing.
            if self._stop.is_set():
                return False
            raise

    def _metered(self) -> bool:
        """Return True once the meter was read, or has not been for long.

        What it counted while the program was down is booked with its first reading; days are
        closed only after that.
        """
        result = self._newest()
        read = result is not None and result.image.value("grid_kw") is not None
        return read or self._clock.monotonic() - self._began > METER_PATIENCE_S

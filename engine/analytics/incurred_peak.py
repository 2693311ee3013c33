"""The highest import already metered in a billing period, which the next peak must exceed to cost.

A demand charge bills the highest 15-min mean of the period; imports up to the one already
incurred cost nothing more (notes/optimisation section 1, `P_run`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP_S, quarter_start
from engine.domain.records import LedgerRow

WATCHED_S = STEP_S - 10.0
"""A quarter-hour counts when so much of it was metered: less would understate its mean."""

_UNSTORED = 96
"""So many of the newest quarter-hours are remembered: the store takes rows with a delay."""


class BilledTimes(Protocol):
    """Which quarter-hours a demand charge bills."""

    def billed_mask(self, start: datetime, n: int) -> NDArray[np.bool_]:
        """Return True for each of `n` steps from `start` that counts, shape (n,)."""
        ...


class IncurredPeaks:
    """Highest billed import per billing period; thread-safe.

    Args:
        booked: Returns booked quarter-hours that start in a period, for what was metered
            before this program started.
        billed: Which quarter-hours count.
    """

    def __init__(
        self,
        booked: Callable[[datetime, datetime], Iterable[LedgerRow]],
        billed: BilledTimes,
    ) -> None:
        self._booked = booked
        self._billed = billed
        self._lock = threading.Lock()
        self._peaks: dict[tuple[datetime, datetime], float] = {}
        self._newest: deque[LedgerRow] = deque(maxlen=_UNSTORED)

    def add(self, row: LedgerRow) -> None:
        """Take a quarter-hour that has just been booked."""
        with self._lock:
            self._newest.append(row)
            for (start, end), peak_kw in self._peaks.items():
                if start <= row.ts < end:
                    self._peaks[start, end] = max(peak_kw, self._highest_kw([row]))

    def kw(self, start: datetime, end: datetime, now: datetime) -> float:
        """Return the highest billed 15-min mean import of ``[start, end)`` so far, 0 without any.

        Args:
            start: Start of the billing period, UTC.
            end: Its end, UTC.
            now: Nothing later has been metered; a period that has not begun has no peak.

        Raises:
            HistoryError: What was metered before could not be read.
        """
        if start >= now:
            return 0.0
        with self._lock:
            known = self._peaks.get((start, end))
        if known is not None:
            return known
        earlier = self._highest_kw(self._booked(start, min(end, quarter_start(now))))
        with self._lock:
            newest = self._highest_kw(row for row in self._newest if start <= row.ts < end)
            self._peaks = {key: kw for key, kw in self._peaks.items() if key[1] > now}
            self._peaks[start, end] = max(earlier, newest)
            return self._peaks[start, end]

    def _highest_kw(self, rows: Iterable[LedgerRow]) -> float:
        watched = (row for row in rows if row.seconds >= WATCHED_S)
        # The highest first: a year of rows then asks the calendar for few of them.
        for row in sorted(watched, key=lambda row: row.import_kwh, reverse=True):
            if self._billed.billed_mask(row.ts, 1)[0]:
                return row.import_kwh / (STEP_S / 3600.0)
        return 0.0

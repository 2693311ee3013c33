"""Where forecasters find the past: the store, the recording, or one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from engine.domain.clock import Clock
from engine.domain.errors import ForecastError
from engine.domain.quarter_hour import STEP
from engine.domain.series import MeasuredPoint
from engine.forecasting.base import QuarterHourHistory
from engine.recorded.recording import Recording

QuarterHourQuery = Callable[[str, datetime, datetime], list[MeasuredPoint]]


class MeasuredHistory:
    """15-min means of what was measured and stored."""

    label = "measured"

    def __init__(self, query: QuarterHourQuery) -> None:
        self._query = query

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        """Return the means of ``[start, end)``; NaN for gaps; shape (n,)."""
        out = np.full(max(0, (end - start) // STEP), np.nan)
        for point in self._query(signal, start, end):
            value = point.values.get(signal)
            index = (point.ts - start) // STEP
            if value is not None and 0 <= index < out.size:
                out[index] = value
        return out


class RecordedHistory:
    """The demo site's recorded past; refuses to look ahead."""

    label = "recorded"

    def __init__(
        self, recording: Recording, columns: Mapping[str, tuple[str, float]], clock: Clock
    ) -> None:
        """Map signals to a column of the recording and the factor it is replayed with."""
        self._recording = recording
        self._columns = dict(columns)
        self._clock = clock

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        """Return the recorded means of ``[start, end)``; shape (n,).

        Raises:
            ForecastError: When `end` lies in the future or the signal is not recorded.
        """
        if end > self._clock.now():
            raise ForecastError("A forecast must not look into the recording's future.")
        if signal not in self._columns:
            raise ForecastError(f"The recording has no '{signal}'.", field=signal)
        column, factor = self._columns[signal]
        n = max(0, (end - start) // STEP)
        return factor * self._recording.quarter_hours(column, start, n)


class FirstKnown:
    """Values of the first history that knows them."""

    def __init__(self, *histories: QuarterHourHistory) -> None:
        self._histories = histories
        self.label = " + ".join(h.label for h in histories)

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        """Return the means of ``[start, end)``; NaN where no history knows; shape (n,)."""
        out = self._histories[0].means(signal, start, end)
        for history in self._histories[1:]:
            missing = np.isnan(out)
            if not missing.any():
                break
            out[missing] = history.means(signal, start, end)[missing]
        return out

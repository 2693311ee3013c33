"""Measured time series as the pages ask for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """Means of one interval of measured values.

    Attributes:
        ts: Start of the interval, UTC.
        seconds: Length of the interval.
        values: Signal name to mean over its usable samples; a signal without any is None.
    """

    ts: datetime
    seconds: int
    values: Mapping[str, float | None] = field(default_factory=dict)


def quarter_hour_values(
    minutes: Iterable[MeasuredPoint],
    signal: str,
    start: datetime,
    n: int,
    *,
    fewest_minutes: int,
) -> NDArray[np.float64]:
    """Return means of `n` quarter-hours of `signal` from one-minute means, shape (n,).

    Args:
        minutes: One-minute means; those outside the quarter-hours are ignored.
        signal: Name of the signal; it gives the unit.
        start: Start of the first quarter-hour, UTC.
        n: Number of quarter-hours, >= 0.
        fewest_minutes: A quarter-hour with fewer minutes is not known: NaN.
    """
    sums, counts = np.zeros(n), np.zeros(n)
    for point in minutes:
        value = point.values.get(signal)
        index = (point.ts - start) // STEP
        if value is not None and 0 <= index < n:
            sums[index] += value
            counts[index] += 1
    known = counts >= max(1, fewest_minutes)
    return np.where(known, sums / np.maximum(counts, 1.0), np.nan)

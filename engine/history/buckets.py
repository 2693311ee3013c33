"""Hours and local days made of quarter-hours.

A local day has 23, 24 or 25 hours; days begin at the site's midnight.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.domain.local_days import days_touched, local_midnight
from engine.history.rows import naive_utc

_HOUR_US = 3_600_000_000


def hour_edges(ts: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return the start of the hour of each of `ts` (``datetime64[us]``, UTC)."""
    return (ts.astype(np.int64) // _HOUR_US * _HOUR_US).astype("datetime64[us]")


def day_edges(ts: NDArray[np.datetime64], zone: ZoneInfo) -> NDArray[np.datetime64]:
    """Return the start of the local day of each of `ts` (``datetime64[us]``, UTC, ascending)."""
    if ts.size == 0:
        return ts
    first = ts[0].astype(datetime).replace(tzinfo=UTC)
    last = ts[-1].astype(datetime).replace(tzinfo=UTC) + timedelta(microseconds=1)
    edges = np.array(
        [naive_utc(local_midnight(day, zone)) for day in days_touched(first, last, zone)],
        dtype="datetime64[us]",
    )
    return edges[np.searchsorted(edges, ts, side="right") - 1]


class Grouping:
    """Neighbouring intervals that belong to the same longer one.

    Args:
        edges: Start of the longer interval of each entry, ascending; shape (n,).
    """

    def __init__(self, edges: NDArray[np.datetime64]) -> None:
        self._n = edges.size
        changed = np.ones(edges.size, dtype=np.bool_)
        changed[1:] = edges[1:] != edges[:-1]
        self._first = np.flatnonzero(changed)
        self.starts = edges[self._first]

    def _reduce(self, how: np.ufunc, values: FloatArray) -> FloatArray:
        if self._n == 0:
            return np.zeros(0)
        reduced: FloatArray = how.reduceat(values, self._first)
        return reduced

    def mean(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Return means of `values` weighted by `weights` (>= 0); NaN where nothing counts."""
        counts = np.where(np.isfinite(values), np.nan_to_num(weights), 0.0)
        total = self._reduce(np.add, np.nan_to_num(values) * counts)
        weight = self._reduce(np.add, counts)
        means: FloatArray = np.full(total.shape, np.nan)
        np.divide(total, weight, out=means, where=weight > 0.0)
        return means

    def low(self, values: FloatArray) -> FloatArray:
        """Return the lowest usable value; NaN where there is none."""
        return self._reduce(np.fmin, values)

    def high(self, values: FloatArray) -> FloatArray:
        """Return the highest usable value; NaN where there is none."""
        return self._reduce(np.fmax, values)

    def total(self, values: FloatArray) -> FloatArray:
        """Return sums of the usable values; NaN where there is none."""
        usable = np.isfinite(values)
        total = self._reduce(np.add, np.where(usable, values, 0.0))
        n = self._reduce(np.add, usable.astype(np.float64))
        sums: FloatArray = np.where(n > 0.0, total, np.nan)
        return sums

    def last(self, values: FloatArray) -> FloatArray:
        """Return the last usable value; NaN where there is none."""
        if self._n == 0:
            return np.zeros(0)
        at = np.where(np.isfinite(values), np.arange(self._n), -1)
        newest = np.maximum.reduceat(at, self._first)
        picked: FloatArray = np.where(newest >= 0, values[np.maximum(newest, 0)], np.nan)
        return picked

    def any(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return whether any entry is marked."""
        return self._reduce(np.maximum, flags.astype(np.float64)) > 0.0

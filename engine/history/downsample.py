"""Fewer points for a chart, without losing what the eye looks for: extremes and gaps.

Segments between gaps are thinned on their own by MinMaxLTTB (Van der Donckt et al., 2023,
"MinMaxLTTB: Leveraging MinMax-Preselection to Scale LTTB", IEEE VIS); the highest and the
lowest value of the whole series are always kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tsdownsample
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray

LEAST_POINTS = 10
"""Fewest points a series is thinned to."""

_LEAST_FOR_LTTB = 3


@dataclass(frozen=True, slots=True, eq=False)
class Thinned:
    """Points of one line; every array has shape (n,), n <= the points asked for.

    Attributes:
        ts: Time of each point, UTC, as ``datetime64[us]``, ascending.
        values: Its value; NaN marks a gap: the line is interrupted there.
        low: Lowest value from this point to before the next; None without a band.
        high: Highest value from this point to before the next; None without a band.
    """

    ts: NDArray[np.datetime64]
    values: FloatArray
    low: FloatArray | None
    high: FloatArray | None


def thin(
    ts: NDArray[np.datetime64],
    values: FloatArray,
    max_points: int,
    gap_us: int,
    *,
    low: FloatArray | None = None,
    high: FloatArray | None = None,
) -> Thinned:
    """Return at most `max_points` points of a series, gaps marked by a NaN between segments.

    A gap is a distance between usable points of more than `gap_us`; when there are more gaps
    than a chart can show, those that are narrower than two points of it are closed.

    Args:
        ts: Times, UTC, as ``datetime64[us]``, ascending.
        values: Value at each time; NaN where there is none.
        max_points: Most points of the answer, gap marks included; at least `LEAST_POINTS`.
        gap_us: Longest distance of neighbours that is no gap, in microseconds.
        low: Lowest value of each interval, to become the band.
        high: Highest value of each interval.
    """
    max_points = max(max_points, LEAST_POINTS)
    usable = np.isfinite(values)
    ts, values = ts[usable], values[usable]
    low = None if low is None else low[usable]
    high = None if high is None else high[usable]
    if ts.size == 0:
        empty = np.zeros(0)
        return Thinned(ts, empty, None if low is None else empty, None if high is None else empty)
    starts = _segment_starts(ts, max_points, gap_us)
    if values.size + starts.size - 1 <= max_points:
        kept = np.arange(values.size)
    else:
        kept = _kept(ts, values, starts, max_points - (starts.size - 1))
    # a mark lies right behind the last point before its gap
    marks = np.searchsorted(kept, starts[1:])
    marked_ts = np.insert(ts[kept], marks, ts[kept[marks - 1]] + np.timedelta64(1, "us"))
    return Thinned(
        ts=marked_ts,
        values=_with_marks(values[kept], marks),
        low=None if low is None else _with_marks(np.fmin.reduceat(low, kept), marks),
        high=None if high is None else _with_marks(np.fmax.reduceat(high, kept), marks),
    )


def _segment_starts(ts: NDArray[np.datetime64], max_points: int, gap_us: int) -> NDArray[np.int64]:
    """Return the index each segment starts at."""
    distance = np.diff(ts.astype(np.int64))
    breaks = np.flatnonzero(distance > gap_us)
    if 4 * breaks.size > max_points:
        span = int(distance.sum())
        wide = max(gap_us, 4 * span // max_points)
        breaks = np.flatnonzero(distance > wide)
    return np.concatenate(([0], breaks + 1))


def _kept(
    ts: NDArray[np.datetime64], values: FloatArray, starts: NDArray[np.int64], budget: int
) -> NDArray[np.int64]:
    """Return the indices that stay, ascending, at most `budget`."""
    ends = np.append(starts[1:], values.size)
    lengths = ends - starts
    highest, lowest = int(np.argmax(values)), int(np.argmin(values))
    # two points of the budget are kept for the extremes, which LTTB may pass over
    shares = _shares(lengths, budget - 2)
    picked = [
        first + _thin_segment(ts[first:end], values[first:end], int(share))
        for first, end, share in zip(starts, ends, shares, strict=True)
    ]
    return np.unique(np.concatenate([*picked, [highest, lowest]]))


def _shares(lengths: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Return points per segment: one each, the rest by length; sums to at most `budget`."""
    spare = max(0, budget - lengths.size)
    extra = np.floor(spare * (lengths - 1) / max(1, int((lengths - 1).sum()))).astype(np.int64)
    return np.minimum(lengths, 1 + extra)


def _thin_segment(ts: NDArray[np.datetime64], values: FloatArray, share: int) -> NDArray[np.int64]:
    if share >= values.size:
        return np.arange(values.size)
    if share < _LEAST_FOR_LTTB:
        return np.linspace(0, values.size - 1, share).astype(np.int64)
    picked = tsdownsample.MinMaxLTTBDownsampler().downsample(
        ts.astype(np.int64), values, n_out=share
    )
    return np.asarray(picked, dtype=np.int64)


def _with_marks(line: FloatArray, marks: NDArray[np.int64]) -> FloatArray:
    return np.asarray(np.insert(line, marks, np.nan), dtype=np.float64)

"""Stretches of whole minutes: which ones changed, merged and cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]
"""From, and to before; naive UTC as the database keeps times."""

BEGINNING = datetime(1, 1, 1)  # noqa: DTZ001
"""Before everything."""

END = datetime(9999, 1, 1)  # noqa: DTZ001
"""After everything."""

_MINUTE = timedelta(minutes=1)
_SLACK = timedelta(hours=1)


def floor_to(ts: datetime, step: timedelta) -> datetime:
    """Return the last multiple of `step` (a divisor of a day) at or before the naive `ts`."""
    day = ts.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + (ts - day) // step * step


def ceil_to(ts: datetime, step: timedelta) -> datetime:
    """Return the first multiple of `step` (a divisor of a day) at or after the naive `ts`."""
    below = floor_to(ts, step)
    return below if below == ts else below + step


def touched(stamps: Iterable[datetime], gap_seconds: float) -> list[Span]:
    """Return the minutes whose roll-up depends on samples at `stamps`.

    These are their own minutes, and those of the samples before, which now know how long they
    lasted. What lies less than an hour apart is one span: few spans are quicker than few minutes.
    """
    gap = timedelta(seconds=gap_seconds)
    ordered = sorted(stamps)
    ends = [k for k in range(1, len(ordered)) if ordered[k] - ordered[k - 1] > _SLACK]
    runs = zip([0, *ends], [*ends, len(ordered)], strict=True) if ordered else ()
    minutes = (
        (floor_to(ordered[a] - gap, _MINUTE), floor_to(ordered[b - 1], _MINUTE) + _MINUTE)
        for a, b in runs
    )
    return merged(minutes, slack=_SLACK)


def merged(spans: Iterable[Span], slack: timedelta = timedelta(0)) -> list[Span]:
    """Return `spans` ascending, those that overlap or are at most `slack` apart made one."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start - out[-1][1] <= slack:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        elif start < end:
            out.append((start, end))
    return out


def widened(spans: Iterable[Span], step: timedelta) -> list[Span]:
    """Return `spans` grown to whole multiples of `step`."""
    return merged((floor_to(start, step), ceil_to(end, step)) for start, end in spans)


def clipped(spans: Iterable[Span], low: datetime, high: datetime) -> list[Span]:
    """Return the parts of `spans` from `low` to before `high`."""
    cut = ((max(start, low), min(end, high)) for start, end in spans)
    return [(start, end) for start, end in cut if start < end]


def first_of(spans: Sequence[Span], length: timedelta) -> tuple[list[Span], list[Span]]:
    """Split `spans` after `length` in total; return both parts."""
    taken: list[Span] = []
    rest: list[Span] = []
    for start, end in spans:
        cut = min(end, start + length)
        if start < cut:
            taken.append((start, cut))
            length -= cut - start
        if cut < end:
            rest.append((max(start, cut), end))
    return taken, rest

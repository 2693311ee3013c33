"""Piecewise linear functions that need not be convex: lists of lines, and the lower of two.

A function is a list of lines in ascending order: columns FROM, TO (kWh), VALUE at FROM, SLOPE.
It may jump; at a jump the lower value counts, so two lines may meet at different values and a
line may be a single point. The inf-convolution with a convex stage piece takes the convex runs
of a function one by one (inf-convolution distributes over the minimum) and keeps the lower
envelope of the results, which is exact.
"""

# numba compiles these functions: they take arrays one by one and keep their loops inside.
# ruff: noqa: PLR0912, PLR0915, PLR0917

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import compiled
from engine.optimization.kernel.convex import (
    CEILING,
    CEILING_PRICE,
    FLOOR,
    FLOOR_PRICE,
    RESERVE,
    RESERVE_PRICE,
)

FROM, TO, VALUE, SLOPE = range(4)
LINE = 4

JUMP_EUR = 1e-11
"""Difference of two values at one energy that is rounding."""

BEND = 1e-11
"""Difference of two slopes (EUR/kWh) that is rounding."""

_SAME_KWH = 1e-11


@compiled
def put_line(
    lines: FloatArray, n: int, start: float, stop: float, value: float, slope: float
) -> int:
    """Append a line, joined to the one before where it only continues it.

    A line shorter than rounding counts as a point, and only where it is lower than both
    neighbours; slivers between two corners that should coincide would breed more of them.
    """
    tiny = stop - start <= _SAME_KWH
    if n > 0 and lines[n - 1, TO] - lines[n - 1, FROM] <= _SAME_KWH:
        meets = abs(lines[n - 1, TO] - start) <= 2.0 * _SAME_KWH
        if meets and lines[n - 1, VALUE] >= value - JUMP_EUR:
            n -= 1
    if n > 0 and abs(lines[n - 1, TO] - start) <= 2.0 * _SAME_KWH:
        last = lines[n - 1]
        end = last[VALUE] + last[SLOPE] * (last[TO] - last[FROM])
        if tiny and end <= value + JUMP_EUR:
            return n
        if abs(end - value) <= JUMP_EUR and last[SLOPE] == slope and last[TO] > last[FROM]:
            last[TO] = stop
            return n
    if tiny:
        stop = start
    lines[n, FROM], lines[n, TO], lines[n, VALUE], lines[n, SLOPE] = start, stop, value, slope
    return n + 1


@compiled
def lower(a: FloatArray, n: int, b: FloatArray, m: int, out: FloatArray) -> int:
    """Write the lower envelope of two functions; return its number of lines."""
    i, j, count = 0, 0, 0
    at = -np.inf
    while i < n or j < m:
        if i < n and a[i, TO] <= at and a[i, FROM] < a[i, TO]:
            i += 1
            continue
        if j < m and b[j, TO] <= at and b[j, FROM] < b[j, TO]:
            j += 1
            continue
        on_a = i < n and a[i, FROM] <= at
        on_b = j < m and b[j, FROM] <= at
        # Single points count where the other function is higher there.
        if on_a and a[i, FROM] == a[i, TO]:
            if a[i, VALUE] < least_at(b, m, a[i, FROM]) - JUMP_EUR:
                count = put_line(out, count, a[i, FROM], a[i, TO], a[i, VALUE], 0.0)
            i += 1
            continue
        if on_b and b[j, FROM] == b[j, TO]:
            # Of two equal points the second stays.
            if b[j, VALUE] <= least_at(a, n, b[j, FROM]) + JUMP_EUR:
                count = put_line(out, count, b[j, FROM], b[j, TO], b[j, VALUE], 0.0)
            j += 1
            continue
        following = np.inf
        if i < n:
            following = min(following, a[i, TO] if on_a else a[i, FROM])
        if j < m:
            following = min(following, b[j, TO] if on_b else b[j, FROM])
        if not on_a and not on_b:
            at = following
            continue
        if on_a and on_b:
            a_left = a[i, VALUE] + a[i, SLOPE] * (at - a[i, FROM])
            b_left = b[j, VALUE] + b[j, SLOPE] * (at - b[j, FROM])
            a_right = a[i, VALUE] + a[i, SLOPE] * (following - a[i, FROM])
            b_right = b[j, VALUE] + b[j, SLOPE] * (following - b[j, FROM])
            if a_left <= b_left + JUMP_EUR and a_right <= b_right + JUMP_EUR:
                count = put_line(out, count, at, following, a_left, a[i, SLOPE])
            elif b_left <= a_left + JUMP_EUR and b_right <= a_right + JUMP_EUR:
                count = put_line(out, count, at, following, b_left, b[j, SLOPE])
            else:
                middle = at + (b_left - a_left) / (a[i, SLOPE] - b[j, SLOPE])
                middle = min(max(middle, at), following)
                if a_left < b_left:
                    value = b[j, VALUE] + b[j, SLOPE] * (middle - b[j, FROM])
                    count = put_line(out, count, at, middle, a_left, a[i, SLOPE])
                    count = put_line(out, count, middle, following, value, b[j, SLOPE])
                else:
                    value = a[i, VALUE] + a[i, SLOPE] * (middle - a[i, FROM])
                    count = put_line(out, count, at, middle, b_left, b[j, SLOPE])
                    count = put_line(out, count, middle, following, value, a[i, SLOPE])
        elif on_a:
            value = a[i, VALUE] + a[i, SLOPE] * (at - a[i, FROM])
            count = put_line(out, count, at, following, value, a[i, SLOPE])
        else:
            value = b[j, VALUE] + b[j, SLOPE] * (at - b[j, FROM])
            count = put_line(out, count, at, following, value, b[j, SLOPE])
        at = following
    return count


@compiled
def least_at(lines: FloatArray, n: int, energy: float) -> float:
    """Return the function's value at `energy`, the lower one at a jump; inf outside."""
    least = np.inf
    for k in range(n):
        if lines[k, FROM] > energy + _SAME_KWH:
            break
        if lines[k, TO] >= energy - _SAME_KWH:
            inside = min(max(energy, lines[k, FROM]), lines[k, TO])
            least = min(least, lines[k, VALUE] + lines[k, SLOPE] * (inside - lines[k, FROM]))
    return least


@compiled
def run_end(lines: FloatArray, n: int, first: int) -> int:
    """Return the line after the convex run that begins with line `first`."""
    k = first + 1
    while k < n:
        before = lines[k - 1]
        end = before[VALUE] + before[SLOPE] * (before[TO] - before[FROM])
        if abs(lines[k, FROM] - before[TO]) > _SAME_KWH or abs(lines[k, VALUE] - end) > JUMP_EUR:
            break
        if lines[k, SLOPE] < before[SLOPE] - BEND or before[TO] <= before[FROM]:
            break
        if lines[k, TO] <= lines[k, FROM]:
            break
        k += 1
    return k


@compiled
def with_state(state: FloatArray, lines: FloatArray, n: int, out: FloatArray) -> int:
    """Write the function with what ending a step at an energy costs added."""
    corners = (state[RESERVE], state[FLOOR], state[CEILING])
    count = 0
    for k in range(n):
        start = lines[k, FROM]
        while True:
            stop = lines[k, TO]
            for corner in corners:
                if start < corner < stop:
                    stop = corner
            value = lines[k, VALUE] + lines[k, SLOPE] * (start - lines[k, FROM])
            value += state[RESERVE_PRICE] * max(state[RESERVE] - start, 0.0)
            value += state[FLOOR_PRICE] * max(state[FLOOR] - start, 0.0)
            value += state[CEILING_PRICE] * max(start - state[CEILING], 0.0)
            middle, slope = 0.5 * (start + stop), lines[k, SLOPE]
            if middle < state[RESERVE]:
                slope -= state[RESERVE_PRICE]
            if middle < state[FLOOR]:
                slope -= state[FLOOR_PRICE]
            if middle > state[CEILING]:
                slope += state[CEILING_PRICE]
            count = put_line(out, count, start, stop, value, slope)
            start = stop
            if stop >= lines[k, TO]:
                break
    return count

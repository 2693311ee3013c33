"""Backward pass where every stage is convex: merge two sorted slope lists, trim both ends.

The cost-to-go at the end of step t, U_t(E), has domain [left, left + sum of widths] and is
kept as ascending slopes and widths in one flat buffer for all steps. The value of a stored kWh
is the negative slope. With f and g convex, (f inf-convolved g) has the merged slopes, and its
subdifferential at E is the intersection of those at the two shares (Rockafellar, theorem 16.4
and its corollaries): that is why one price lambda serves the store and the step.
"""

# numba compiles these functions: they take arrays one by one and keep their loops inside.
# ruff: noqa: PLR0912, PLR0917

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import IntArray, compiled
from engine.optimization.kernel.stage import CHARGE, DIRECTION, DISCHARGE, LONGEST, stage_list

# Columns of what ending a step at an energy costs; energies in kWh, prices in EUR/kWh.
LOW, HIGH, RESERVE, RESERVE_PRICE, FLOOR, FLOOR_PRICE, CEILING, CEILING_PRICE = range(8)
"""Hard window; price below the reserve, below the window's floor, above its ceiling."""
STATE_COLUMNS = 8

_EDGE_KWH = 1e-9
"""Rounding of a stored energy."""

_SLIVER_KWH = 1e-12
"""Width that corners which should coincide leave between them; it joins its neighbour."""


@compiled
def build_stages(
    rows: FloatArray,
    numbers: FloatArray,
    counts: IntArray,
    points: FloatArray,
    slopes: FloatArray,
    widths: FloatArray,
) -> bool:
    """Write the list of every step; return False where one is not convex or impossible.

    Args:
        rows: Steps, shape (n, COLUMNS).
        numbers: Common numbers.
        counts: Receives the number of segments, shape (n,).
        points: Receives least z, its cost and `rest_kw`, shape (n, 3).
        slopes: Receives slopes, shape (n, LONGEST).
        widths: Receives widths, shape (n, LONGEST).
    """
    for t in range(rows.shape[0]):
        row = rows[t]
        count, left, value, rest, convex = stage_list(
            row,
            numbers,
            row[CHARGE],
            row[DISCHARGE],
            int(row[DIRECTION]),
            slopes[t],
            widths[t],
        )
        if not convex or count < 0:
            return False
        counts[t] = count
        points[t, 0], points[t, 1], points[t, 2] = left, value, rest
    return True


@compiled
def add_below(
    slopes: FloatArray, widths: FloatArray, o: int, n: int, left: float, at: float, price: float
) -> tuple[int, float]:
    """Add `price * max(at - E, 0)` to a list; return its length and the rise at its left end."""
    if price <= 0.0 or at <= left:
        return n, 0.0
    position = left
    for k in range(n):
        end = position + widths[o + k]
        if end <= at + _EDGE_KWH:
            slopes[o + k] -= price
            position = end
            continue
        if at > position + _EDGE_KWH:
            for j in range(n, k, -1):
                slopes[o + j], widths[o + j] = slopes[o + j - 1], widths[o + j - 1]
            widths[o + k] = at - position
            widths[o + k + 1] = end - at
            slopes[o + k] -= price
            return n + 1, price * (at - left)
        break
    return n, price * (at - left)


@compiled
def add_above(
    slopes: FloatArray, widths: FloatArray, o: int, n: int, left: float, at: float, price: float
) -> tuple[int, float]:
    """Add `price * max(E - at, 0)` to a list; return its length and the rise at its left end."""
    if price <= 0.0:
        return n, 0.0
    position = left
    k = 0
    while k < n:
        end = position + widths[o + k]
        if end > at + _EDGE_KWH:
            if at > position + _EDGE_KWH:
                for j in range(n, k, -1):
                    slopes[o + j], widths[o + j] = slopes[o + j - 1], widths[o + j - 1]
                widths[o + k] = at - position
                widths[o + k + 1] = end - at
                n += 1
                k += 1
            for j in range(k, n):
                slopes[o + j] += price
            break
        position = end
        k += 1
    return n, price * max(left - at, 0.0)


@compiled
def add_state(
    state: FloatArray, slopes: FloatArray, widths: FloatArray, o: int, n: int, left: float
) -> tuple[int, float]:
    """Add what ending at an energy costs; return the list's length and the rise at its left."""
    n, first = add_below(slopes, widths, o, n, left, state[RESERVE], state[RESERVE_PRICE])
    n, second = add_below(slopes, widths, o, n, left, state[FLOOR], state[FLOOR_PRICE])
    n, third = add_above(slopes, widths, o, n, left, state[CEILING], state[CEILING_PRICE])
    return n, first + second + third


@compiled
def state_cost(state: FloatArray, energy: float) -> float:
    """Return what ending a step at `energy` kWh costs, in EUR."""
    cost: float = state[RESERVE_PRICE] * max(state[RESERVE] - energy, 0.0)
    cost += state[FLOOR_PRICE] * max(state[FLOOR] - energy, 0.0)
    cost += state[CEILING_PRICE] * max(energy - state[CEILING], 0.0)
    return cost


@compiled
def merge(
    u_slopes: FloatArray,
    u_widths: FloatArray,
    o: int,
    n: int,
    left: float,
    value: float,
    p_slopes: FloatArray,
    p_widths: FloatArray,
    m: int,
    p_left: float,
    p_value: float,
    standby: float,
    low: float,
    high: float,
    out_slopes: FloatArray,
    out_widths: FloatArray,
    to: int,
) -> tuple[int, float, float]:
    """Write the inf-convolution of a cost-to-go and a stage, trimmed to [low, high].

    The cost-to-go has `n` segments from `o`, its left end and the value there; the stage `m`.

    Returns:
        Number of segments written from `to` (-1: nothing within the window), left end, value.
    """
    at = left + p_left + standby
    total = value + p_value
    if at > high:
        if at > high + _EDGE_KWH:
            return -1, 0.0, 0.0
        at = high
    i, k, count = 0, 0, 0
    begin, begin_value = max(at, low), total
    while i < n or k < m:
        if k >= m or (i < n and u_slopes[o + i] <= p_slopes[k]):
            slope, width = u_slopes[o + i], u_widths[o + i]
            i += 1
        else:
            slope, width = p_slopes[k], p_widths[k]
            k += 1
        end = at + width
        if end <= low:
            total += slope * width
            at = end
            begin_value = total
            continue
        if at < low:
            total += slope * (low - at)
            begin_value = total
            at = low
        if end >= high:
            width = high - at
            end = high
        else:
            width = end - at
        if width > 0.0:
            if count > 0 and (out_slopes[to + count - 1] == slope or width <= _SLIVER_KWH):
                out_widths[to + count - 1] += width
            else:
                out_slopes[to + count], out_widths[to + count] = slope, width
                count += 1
        if end >= high:
            return count, begin, begin_value
        at = end
    if at < low:
        if at < low - _EDGE_KWH:
            return -1, 0.0, 0.0
        begin = low
    return count, begin, begin_value


@compiled
def backward(
    counts: IntArray,
    points: FloatArray,
    slopes: FloatArray,
    widths: FloatArray,
    first: int,
    stop: int,
    standby: float,
    states: FloatArray,
    end_slopes: FloatArray,
    end_widths: FloatArray,
    end_left: float,
    end_value: float,
    u_slopes: FloatArray,
    u_widths: FloatArray,
    where: IntArray,
    ends: FloatArray,
) -> tuple[FloatArray, FloatArray, bool]:
    """Write the cost-to-go at the end of the steps `first` .. `stop - 1`.

    Args:
        counts: Segments per stage; `points`, `slopes`, `widths` as of `build_stages`.
        points: See there.
        slopes: See there.
        widths: See there.
        first: First step.
        stop: Step after the last.
        standby: Standby consumption in kWh per step.
        states: What ending a step costs, shape (stop, STATE_COLUMNS) or more rows.
        end_slopes: Slopes of the cost at the end of the horizon (negative end values).
        end_widths: Their widths; the list reaches beyond the window of the last step.
        end_left: Its left end.
        end_value: Its value there.
        u_slopes: Buffer; grown when too short.
        u_widths: Buffer.
        where: Receives offset and count per step, shape (stop - first, 2).
        ends: Receives left end and value there per step, shape (stop - first, 2).

    Returns:
        The buffers, and False when no plan keeps the window.
    """
    needed = end_slopes.size + 8
    if u_slopes.size < needed:
        u_slopes, u_widths = np.empty(2 * needed), np.empty(2 * needed)
    o = 0
    nothing = np.empty(0)
    n, left, value = merge(
        end_slopes,
        end_widths,
        0,
        end_slopes.size,
        end_left,
        end_value,
        nothing,
        nothing,
        0,
        0.0,
        0.0,
        0.0,
        states[stop - 1, LOW],
        states[stop - 1, HIGH],
        u_slopes,
        u_widths,
        0,
    )
    if n < 0:
        return u_slopes, u_widths, False
    n, rise = add_state(states[stop - 1], u_slopes, u_widths, o, n, left)
    value += rise
    last = stop - first - 1
    where[last, 0], where[last, 1] = o, n
    ends[last, 0], ends[last, 1] = left, value
    for t in range(stop - 1, first, -1):
        state = states[t - 1]
        to = o + n
        if to + n + LONGEST + 8 > u_slopes.size:
            more_slopes, more_widths = np.empty(2 * u_slopes.size), np.empty(2 * u_slopes.size)
            # Loops and not slices: those bring in the compilation of numpy's error messages.
            for k in range(to):
                more_slopes[k], more_widths[k] = u_slopes[k], u_widths[k]
            u_slopes, u_widths = more_slopes, more_widths
            if to + n + LONGEST + 8 > u_slopes.size:
                return u_slopes, u_widths, False
        count, left, value = merge(
            u_slopes,
            u_widths,
            o,
            n,
            left,
            value,
            slopes[t],
            widths[t],
            counts[t],
            points[t, 0],
            points[t, 1],
            standby,
            state[LOW],
            state[HIGH],
            u_slopes,
            u_widths,
            to,
        )
        if count < 0:
            return u_slopes, u_widths, False
        count, rise = add_state(state, u_slopes, u_widths, to, count, left)
        value += rise
        o, n = to, count
        where[t - 1 - first, 0], where[t - 1 - first, 1] = o, n
        ends[t - 1 - first, 0], ends[t - 1 - first, 1] = left, value
    return u_slopes, u_widths, True

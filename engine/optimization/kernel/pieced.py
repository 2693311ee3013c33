"""Backward and forward pass where steps are not convex: exact, by convex pieces and envelopes."""

# numba compiles these functions: they take arrays one by one and keep their loops inside.
# ruff: noqa: PLR0912, PLR0917

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import IntArray, compiled
from engine.optimization.kernel.convex import HIGH, LOW, merge
from engine.optimization.kernel.envelope import (
    FROM,
    LINE,
    SLOPE,
    TO,
    VALUE,
    least_at,
    lower,
    put_line,
    run_end,
    with_state,
)
from engine.optimization.kernel.pieces import PIECES, build_pieces
from engine.optimization.kernel.stage import (
    LONGEST,
    NET,
    STANDBY,
    battery_power,
    given_away,
)

MOST_LINES = 4000
"""Most lines of one cost-to-go; beyond, the pass gives up (OVERFULL)."""

DONE, NO_WAY, OVERFULL = 0, 1, 2


@compiled
def _step_back(
    lines: FloatArray,
    n: int,
    pieces: int,
    counts: IntArray,
    points: FloatArray,
    slopes: FloatArray,
    widths: FloatArray,
    standby: float,
    low: float,
    high: float,
    first: FloatArray,
    second: FloatArray,
    flat: FloatArray,
) -> tuple[int, bool]:
    """Write the cost before a step into `first`; return its lines and whether all had room."""
    count = 0
    run_slopes, run_widths, merged_slopes, merged_widths = flat[0], flat[1], flat[2], flat[3]
    candidate = np.empty((n + LONGEST + 8, LINE))
    begin = 0
    while begin < n:
        stop = run_end(lines, n, begin)
        length = 0
        for k in range(begin, stop):
            width = lines[k, TO] - lines[k, FROM]
            if width > 0.0:
                run_slopes[length], run_widths[length] = lines[k, SLOPE], width
                length += 1
        for piece in range(pieces):
            found, left, value = merge(
                run_slopes,
                run_widths,
                0,
                length,
                lines[begin, FROM],
                lines[begin, VALUE],
                slopes[piece],
                widths[piece],
                counts[piece],
                points[piece, 0],
                points[piece, 1],
                standby,
                low,
                high,
                merged_slopes,
                merged_widths,
                0,
            )
            if found < 0:
                continue
            if found == 0:
                candidate[0, FROM], candidate[0, TO] = left, left
                candidate[0, VALUE], candidate[0, SLOPE] = value, 0.0
                found = 1
            else:
                at = left
                for k in range(found):
                    end = at + merged_widths[k]
                    candidate[k, FROM], candidate[k, TO] = at, end
                    candidate[k, VALUE], candidate[k, SLOPE] = value, merged_slopes[k]
                    value += merged_slopes[k] * merged_widths[k]
                    at = end
            if 2 * (count + found) + 8 > first.shape[0]:
                return count, False
            count = lower(first, count, candidate, found, second)
            for k in range(count):
                for column in range(LINE):
                    first[k, column] = second[k, column]
        begin = stop
    return count, True


@compiled
def pieced_plan(
    rows: FloatArray,
    numbers: FloatArray,
    states: FloatArray,
    end_slopes: FloatArray,
    end_widths: FloatArray,
    end_left: float,
    end_value: float,
    energy: float,
) -> tuple[int, float, FloatArray, FloatArray, IntArray]:
    """Solve a problem whose steps may be non-convex, without a search on peaks.

    Returns:
        Code, least cost in EUR, the piece chosen per step (most charge, most discharge,
        direction; shape (n, 3)), battery and grid power (n, 2), and the number of pieces of
        each step.
    """
    n = rows.shape[0]
    standby = numbers[STANDBY]
    pieces = np.empty(n, dtype=np.int64)
    counts, points = np.empty((n, PIECES), dtype=np.int64), np.empty((n, PIECES, 3))
    choices = np.empty((n, PIECES, 3))
    slopes, widths = np.empty((n, PIECES, LONGEST)), np.empty((n, PIECES, LONGEST))
    chosen, powers = np.zeros((n, 3)), np.zeros((n, 2))
    several = build_pieces(rows, numbers, pieces, counts, points, choices, slopes, widths)
    if several < 0:
        return NO_WAY, np.inf, chosen, powers, pieces
    kept = np.empty((256 + 32 * n, LINE))
    where = np.empty((n, 2), dtype=np.int64)
    first, second = np.empty((MOST_LINES, LINE)), np.empty((MOST_LINES, LINE))
    flat = np.empty((4, MOST_LINES + LONGEST))
    count, at, value = 0, end_left, end_value
    low, high = states[n - 1, LOW], states[n - 1, HIGH]
    for k in range(end_slopes.size):
        end = at + end_widths[k]
        start, stop = max(at, low), min(end, high)
        if stop > start or (stop == start and count == 0):
            count = put_line(
                first, count, start, stop, value + end_slopes[k] * (start - at), end_slopes[k]
            )
        value += end_slopes[k] * end_widths[k]
        at = end
    filled = 0
    for t in range(n - 1, -1, -1):
        count = with_state(states[t], first, count, second)
        if filled + count > kept.shape[0]:
            more = np.empty((2 * (filled + count), LINE))
            for k in range(filled):
                for column in range(LINE):
                    more[k, column] = kept[k, column]
            kept = more
        where[t, 0], where[t, 1] = filled, count
        for k in range(count):
            for column in range(LINE):
                kept[filled + k, column] = second[k, column]
        filled += count
        if t == 0:
            break
        count, room = _step_back(
            kept[filled - count : filled],
            count,
            pieces[t],
            counts[t],
            points[t],
            slopes[t],
            widths[t],
            standby,
            states[t - 1, LOW],
            states[t - 1, HIGH],
            first,
            second,
            flat,
        )
        if not room:
            return OVERFULL, np.inf, chosen, powers, pieces
        if count == 0:
            return NO_WAY, np.inf, chosen, powers, pieces
    least = 0.0
    for t in range(n):
        o, m = where[t, 0], where[t, 1]
        rest, piece, z, _ = _best_move(
            kept[o : o + m],
            m,
            pieces[t],
            counts[t],
            points[t],
            slopes[t],
            widths[t],
            energy - standby,
        )
        if rest == np.inf:
            return NO_WAY, np.inf, chosen, powers, pieces
        if t == 0:
            least = rest
        energy = energy - standby - z
        battery = battery_power(numbers, z)
        given = given_away(rows[t], battery, points[t, piece, 2])
        powers[t, 0], powers[t, 1] = battery, rows[t, NET] + given - battery
        for column in range(3):
            chosen[t, column] = choices[t, piece, column]
    return DONE, least, chosen, powers, pieces


@compiled
def _best_move(
    lines: FloatArray,
    n: int,
    pieces: int,
    counts: IntArray,
    points: FloatArray,
    slopes: FloatArray,
    widths: FloatArray,
    reach: float,
) -> tuple[float, int, float, float]:
    """Return the least cost from a step on, its piece, the energy drawn and the step's cost.

    Both functions are piecewise linear: the least sum is at a corner of one of them.
    """
    best, best_piece, best_z, best_cost = np.inf, 0, 0.0, 0.0
    for piece in range(pieces):
        z, cost = points[piece, 0], points[piece, 1]
        last = z
        for k in range(counts[piece]):
            last += widths[piece, k]
        for k in range(counts[piece] + 1):
            rest = least_at(lines, n, reach - z)
            if cost + rest < best - 1e-13:
                best, best_piece, best_z, best_cost = cost + rest, piece, z, cost
            if k < counts[piece]:
                z += widths[piece, k]
                cost += slopes[piece, k] * widths[piece, k]
        # Corners of the cost-to-go, in descending energy: ascending z.
        z, cost, k = points[piece, 0], points[piece, 1], 0
        for line in range(n - 1, -1, -1):
            for side in (TO, FROM):
                corner = reach - lines[line, side]
                if corner < points[piece, 0] - 1e-12 or corner > last + 1e-12:
                    continue
                while k < counts[piece] and z + widths[piece, k] < corner:
                    cost += slopes[piece, k] * widths[piece, k]
                    z += widths[piece, k]
                    k += 1
                here = cost
                if k < counts[piece]:
                    here += slopes[piece, k] * (corner - z)
                rest = lines[line, VALUE]
                if side == TO:
                    rest += lines[line, SLOPE] * (lines[line, TO] - lines[line, FROM])
                if here + rest < best - 1e-13:
                    best, best_piece, best_z, best_cost = here + rest, piece, corner, here
    return best, best_piece, best_z, best_cost

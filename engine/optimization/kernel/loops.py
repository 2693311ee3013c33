"""Compiled loops over many problems (see `rolling` for what they mean)."""

# numba compiles these functions: they take arrays one by one and keep their loops inside.
# ruff: noqa: PLR0917

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import IntArray, compiled
from engine.optimization.kernel.convex import HIGH, LOW, backward, build_stages
from engine.optimization.kernel.forward import (
    BATTERY,
    ENERGY,
    GIVEN,
    GRID,
    STORED_VALUE,
    split,
)
from engine.optimization.kernel.peaks import (
    IMPOSSIBLE,
    NOT_CONVEX,
    SOLVED,
    one_peak_plan,
)
from engine.optimization.kernel.stage import (
    CHARGE,
    DIRECTION,
    DISCHARGE,
    KINK,
    LONGEST,
    NET,
    STANDBY,
    battery_power,
    given_away,
    stage_list,
)


@compiled
def one_move(
    row: FloatArray,
    numbers: FloatArray,
    u_slopes: FloatArray,
    u_widths: FloatArray,
    o: int,
    n: int,
    left: float,
    energy: float,
) -> tuple[int, float, float]:
    """Return code, best battery power and value of stored energy against one cost-to-go."""
    slopes, widths = np.empty(LONGEST), np.empty(LONGEST)
    count, p_left, _, _, convex = stage_list(
        row, numbers, row[CHARGE], row[DISCHARGE], int(row[DIRECTION]), slopes, widths
    )
    if not convex:
        return NOT_CONVEX, 0.0, 0.0
    if count < 0:
        return IMPOSSIBLE, 0.0, 0.0
    z, before, after = split(
        u_slopes, u_widths, o, n, left, slopes, widths, count, p_left, numbers[STANDBY], energy
    )
    price = after if after < np.inf else before
    return SOLVED, battery_power(numbers, z), -price if abs(price) < np.inf else 0.0


@compiled
def follow(
    rows: FloatArray,
    numbers: FloatArray,
    states: FloatArray,
    end_slopes: FloatArray,
    end_widths: FloatArray,
    end_left: float,
    end_value: float,
    horizon: int,
    every: int,
    energy: float,
) -> tuple[int, FloatArray, int]:
    """Plan, carry out, plan again; stages are built once for all steps."""
    n = rows.shape[0]
    done = np.zeros((n, 5))
    counts, points = np.empty(n, dtype=np.int64), np.empty((n, 3))
    slopes, widths = np.empty((n, LONGEST)), np.empty((n, LONGEST))
    if not build_stages(rows, numbers, counts, points, slopes, widths):
        return NOT_CONVEX, done, 0
    u_slopes, u_widths = np.empty(64 + 24 * horizon), np.empty(64 + 24 * horizon)
    where, ends = np.empty((horizon, 2), dtype=np.int64), np.empty((horizon, 2))
    solves = 0
    for first in range(0, n, every):
        stop = min(first + horizon, n)
        u_slopes, u_widths, possible = backward(
            counts,
            points,
            slopes,
            widths,
            first,
            stop,
            numbers[STANDBY],
            states,
            end_slopes,
            end_widths,
            end_left,
            end_value,
            u_slopes,
            u_widths,
            where,
            ends,
        )
        solves += 1
        if not possible:
            return IMPOSSIBLE, done, solves
        for t in range(first, min(first + every, n)):
            k = t - first
            z, before, after = split(
                u_slopes,
                u_widths,
                where[k, 0],
                where[k, 1],
                ends[k, 0],
                slopes[t],
                widths[t],
                counts[t],
                points[t, 0],
                numbers[STANDBY],
                energy,
            )
            battery = battery_power(numbers, z)
            given = given_away(rows[t], battery, points[t, 2])
            energy = min(max(energy - z - numbers[STANDBY], states[t, LOW]), states[t, HIGH])
            price = after if after < np.inf else before
            done[t, 0], done[t, 1] = battery, rows[t, NET] + given - battery
            done[t, 2], done[t, 3], done[t, 4] = given, energy, -price
    return SOLVED, done, solves


@compiled
def follow_with_peak(
    rows: FloatArray,
    numbers: FloatArray,
    states: FloatArray,
    end_slopes: FloatArray,
    end_widths: FloatArray,
    end_left: float,
    end_value: float,
    horizon: int,
    every: int,
    energy: float,
    period: IntArray,
    charge: float,
    target: float,
    price: float,
) -> tuple[int, FloatArray, int]:
    """Plan with the best peak of the running period, carry out, plan again."""
    n = rows.shape[0]
    done = np.zeros((n, 5))
    billed = np.zeros(n)
    incurred, running, solves = target, period[0], 0
    for first in range(0, n, every):
        stop = min(first + horizon, n)
        if period[first] != running:
            running, incurred = period[first], target
        for t in range(first, stop):
            now = period[t] == running
            billed[t] = 1.0 if now else 0.0
            rows[t, KINK + 1] = 0.0
            rows[t, KINK + 4], rows[t, KINK + 5] = target, 0.0 if now else price
        code, _, _, _, trials, plan, _, _, _ = one_peak_plan(
            rows[first:stop],
            numbers,
            states[first:stop],
            end_slopes,
            end_widths,
            end_left,
            end_value,
            energy,
            billed[first:stop],
            charge,
            incurred,
            price,
        )
        solves += trials
        if code != SOLVED:
            return code, done, solves
        for t in range(first, min(first + every, n)):
            k = t - first
            done[t, 0], done[t, 1], done[t, 2] = plan[k, BATTERY], plan[k, GRID], plan[k, GIVEN]
            done[t, 3], done[t, 4] = plan[k, ENERGY], plan[k, STORED_VALUE]
            energy = plan[k, ENERGY]
            if period[t] != running:
                running, incurred = period[t], target
            incurred = max(incurred, plan[k, GRID])
    return SOLVED, done, solves

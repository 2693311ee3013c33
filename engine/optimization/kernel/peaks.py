"""Demand charges around the convex programme: an exact search on the peaks.

With the peaks P held, a kW above P_m costs `PEAK_EXCESS` demand charges. That price is an exact
penalty (raising the peak by the excess costs one charge and saves more), so

    J(P) = sum k_m (P_m - floor_m) + cost of the programme with kinks at P

is convex, finite for every P >= floor, and its least value is the optimum. The prices of the
forward pass give a subgradient: k_m minus what a kW above P_m costs, summed over the steps.
One peak: tangents from both sides of the minimum, their meeting point is a lower bound and the
next trial. J is piecewise linear, so this ends on the optimum itself.
"""

# numba compiles these functions: they take arrays one by one and keep their loops inside.
# ruff: noqa: PLR0912, PLR0917

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import IntArray, compiled
from engine.optimization.kernel.convex import backward, build_stages
from engine.optimization.kernel.forward import COST, ENERGY, GRID, PEAK_PRICE, PLAN_COLUMNS, forward
from engine.optimization.kernel.stage import CHARGE, IMPORT_MOST, KINK, LONGEST, NET, SMAX, STANDBY

SOLVED, NOT_CONVEX, IMPOSSIBLE = 0, 1, 2
"""What became of a solve."""

TOLERANCE = 1e-11
"""Relative distance of the bounds at which the search ends."""

_MOST_TRIALS = 100


@compiled
def end_cost(
    slopes: FloatArray, widths: FloatArray, left: float, value: float, energy: float
) -> float:
    """Return the cost of ending at `energy` kWh."""
    at = left
    for k in range(slopes.size):
        value += slopes[k] * min(max(energy - at, 0.0), widths[k])
        at += widths[k]
    return value


@compiled
def convex_plan(
    rows: FloatArray,
    numbers: FloatArray,
    states: FloatArray,
    end_slopes: FloatArray,
    end_widths: FloatArray,
    end_left: float,
    end_value: float,
    energy: float,
) -> tuple[int, float, FloatArray, FloatArray, FloatArray, IntArray, FloatArray]:
    """Solve one convex problem.

    Returns:
        Code, cost in EUR, plan (n, PLAN_COLUMNS), and the cost-to-go at the end of every step:
        slopes, widths, offset and count (n, 2), left end and value (n, 2).
    """
    n = rows.shape[0]
    counts = np.empty(n, dtype=np.int64)
    points = np.empty((n, 3))
    slopes, widths = np.empty((n, LONGEST)), np.empty((n, LONGEST))
    plan = np.zeros((n, PLAN_COLUMNS))
    u_slopes, u_widths = np.empty(64 + 24 * n), np.empty(64 + 24 * n)
    where, ends = np.empty((n, 2), dtype=np.int64), np.empty((n, 2))
    if not build_stages(rows, numbers, counts, points, slopes, widths):
        return NOT_CONVEX, np.inf, plan, u_slopes, u_widths, where, ends
    u_slopes, u_widths, possible = backward(
        counts,
        points,
        slopes,
        widths,
        0,
        n,
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
    if possible:
        possible = forward(
            rows,
            numbers,
            counts,
            points,
            slopes,
            widths,
            states,
            end_slopes,
            end_widths,
            end_left,
            u_slopes,
            u_widths,
            where,
            ends,
            energy,
            plan,
        )
    if not possible:
        return IMPOSSIBLE, np.inf, plan, u_slopes, u_widths, where, ends
    cost = end_cost(end_slopes, end_widths, end_left, end_value, plan[n - 1, ENERGY])
    for t in range(n):
        cost += plan[t, COST]
    return SOLVED, cost, plan, u_slopes, u_widths, where, ends


@compiled
def hold_peak(rows: FloatArray, billed: FloatArray, slot: int, peak: float, price: float) -> None:
    """Put a kink at `peak` kW of import, `price` EUR/kWh above it, into the billed steps."""
    for t in range(rows.shape[0]):
        if billed[t] > 0.0:
            rows[t, KINK + 4 * slot] = peak
            rows[t, KINK + 4 * slot + 1] = price


@compiled
def one_peak_plan(
    rows: FloatArray,
    numbers: FloatArray,
    states: FloatArray,
    end_slopes: FloatArray,
    end_widths: FloatArray,
    end_left: float,
    end_value: float,
    energy: float,
    billed: FloatArray,
    charge: float,
    floor: float,
    price: float,
) -> tuple[int, float, float, float, int, FloatArray, FloatArray, FloatArray, float]:
    """Solve a convex problem with one demand charge on the steps where `billed` is 1.

    Writes its kink into pair 0 of `rows`.

    Returns:
        Code, cost, a lower bound of every plan's cost, peak, number of trials, the plan, the
        plans of the trials left and right of the peak and the weight of the left one: the
        weighted mean of their prices is a dual solution for the plan.
    """
    n = rows.shape[0]
    low, high = floor, floor
    for t in range(n):
        if billed[t] > 0.0:
            most = min(rows[t, IMPORT_MOST], rows[t, NET] + rows[t, CHARGE] + rows[t, SMAX])
            # A kW beyond what any plan takes: there the peak has no share in any price.
            high = max(high, most + 1.0)
    at, trials = low, 0
    best, bound, best_at = np.inf, -np.inf, low
    low_cost, low_grad, high_cost, high_grad = 0.0, -1.0, np.inf, 1.0
    plan = np.zeros((n, PLAN_COLUMNS))
    left, right = plan, plan
    width = np.inf
    while trials < _MOST_TRIALS:
        hold_peak(rows, billed, 0, at, price)
        code, cost, tried, _, _, _, _ = convex_plan(
            rows, numbers, states, end_slopes, end_widths, end_left, end_value, energy
        )
        trials += 1
        if code != SOLVED:
            return code, np.inf, -np.inf, at, trials, plan, plan, plan, 1.0
        cost += charge * (at - floor)
        grad = charge
        most = floor
        for t in range(n):
            if billed[t] > 0.0:
                grad -= tried[t, PEAK_PRICE]
                most = max(most, tried[t, GRID])
        if cost < best:
            best, best_at, plan = cost, at, tried
        if abs(grad) <= 1e-12 * charge or (at <= floor and grad > 0.0):
            return SOLVED, best, cost, best_at, trials, tried, tried, tried, 1.0
        if grad < 0.0:
            low, low_cost, low_grad, left = at, cost, grad, tried
        else:
            high, high_cost, high_grad, right = at, cost, grad, tried
        if high_cost == np.inf:
            # No tangent from above yet: what the plan at the low peak would have taken, then
            # the most any plan takes, where another kW is worth nothing.
            at = most if trials == 1 and low < most < high else high
            continue
        meet = (low_cost - high_cost + high_grad * high - low_grad * low) / (high_grad - low_grad)
        bound = max(bound, low_cost + low_grad * (meet - low))
        if best - bound <= TOLERANCE * max(1.0, abs(best)) or not low < meet < high:
            break
        at = meet
        if high - low > 0.5 * width and trials % 3 == 0:
            at = 0.5 * (low + high)
        width = high - low
    weight = high_grad / (high_grad - low_grad)
    return SOLVED, best, bound, best_at, trials, plan, left, right, weight

"""What one step costs as a function of the stored energy it moves.

Given the battery's AC power b (+ discharge), the site settles the rest: with m = load - pv - b
the grid takes g = m + s, s being the PV power given away. The cost of the grid G(g) is
piecewise linear with slope

    buy (importing) or sell - premium (exporting), + limit price beyond a grid limit,
    + peak prices above their kinks, +- smoothing price around the reference,

and s costs the premium. As long as G is convex, the best s follows from one number, the least
grid power `rest_kw` down to which the slope stays at or above -premium: power is given away
only where m lies below it. Walking b upwards meets falling site prices pi; charging a stored
kWh costs (pi + w_c) / eta_c, drawing one saves (pi - w_d) eta_d.

Stage lists are kept in z, the stored energy DRAWN (kWh, + discharging): ascending slopes in
EUR per stored kWh, so that merging two lists is the inf-convolution of their functions.
"""

# numba compiles these functions: they take arrays one by one and keep their loops inside.
# ruff: noqa: PLR0912, PLR0915, PLR0917

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import compiled

# Columns of a step's row. Powers in kW, prices in EUR/kWh.
NET, SMAX, CHARGE, DISCHARGE, BUY, SELL = 0, 1, 2, 3, 4, 5
IMPORT, IMPORT_MOST, EXPORT, EXPORT_MOST, REFERENCE = 6, 7, 8, 9, 10
DIRECTION, RULES = 11, 12
"""DIRECTION: 0 free, 1 the site may only import, -1 only export. RULES: 1 no charging while
importing, 2 no discharging while exporting, 3 both, where these need the site's direction."""
KINK = 13
KINKS = 4
COLUMNS = KINK + 2 * KINKS
"""From KINK on: pairs of grid power and price of import above it, price 0 where unused."""

# Numbers common to all steps.
HOURS, ETA_CHARGE, ETA_DISCHARGE, WEAR_CHARGE, WEAR_DISCHARGE = 0, 1, 2, 3, 4
PREMIUM, LIMIT, SMOOTHING, STANDBY = 5, 6, 7, 8
NUMBERS = 9
"""STANDBY in kWh per step; LIMIT is the price beyond a grid limit."""

LONGEST = 16
"""Most segments of a stage list."""

_SLACK = 1e-12
"""Rounding of a slope (EUR/kWh) or of a power (kW)."""


@compiled
def grid_slope(row: FloatArray, numbers: FloatArray, grid_kw: float) -> float:
    """Return the price of grid power at `grid_kw`, between kinks, in EUR/kWh."""
    slope: float = row[BUY] if grid_kw > 0.0 else row[SELL]
    if grid_kw > row[IMPORT]:
        slope += numbers[LIMIT]
    if grid_kw < -row[EXPORT]:
        slope -= numbers[LIMIT]
    if numbers[SMOOTHING] > 0.0:
        slope += numbers[SMOOTHING] if grid_kw > row[REFERENCE] else -numbers[SMOOTHING]
    for j in range(KINKS):
        if row[KINK + 2 * j + 1] > 0.0 and grid_kw > row[KINK + 2 * j]:
            slope += row[KINK + 2 * j + 1]
    return slope


@compiled
def grid_cost(row: FloatArray, numbers: FloatArray, grid_kw: float) -> float:
    """Return what grid power of `grid_kw` costs over the step, in EUR."""
    cost: float = row[BUY] * grid_kw if grid_kw > 0.0 else row[SELL] * grid_kw
    cost += numbers[LIMIT] * max(grid_kw - row[IMPORT], 0.0)
    cost += numbers[LIMIT] * max(-grid_kw - row[EXPORT], 0.0)
    if numbers[SMOOTHING] > 0.0:
        cost += numbers[SMOOTHING] * abs(grid_kw - row[REFERENCE])
    for j in range(KINKS):
        if row[KINK + 2 * j + 1] > 0.0:
            cost += row[KINK + 2 * j + 1] * max(grid_kw - row[KINK + 2 * j], 0.0)
    cost *= numbers[HOURS]
    return cost


@compiled
def _kinks_within(
    row: FloatArray, numbers: FloatArray, bottom: float, top: float, found: FloatArray
) -> int:
    """Write the kinks of G strictly between two grid powers, descending; return their number."""
    count = 0
    for j in range(KINKS + 4):
        if j < KINKS:
            if row[KINK + 2 * j + 1] <= 0.0:
                continue
            at = row[KINK + 2 * j]
        elif j == KINKS:
            at = 0.0
        elif j == KINKS + 1:
            at = row[IMPORT]
        elif j == KINKS + 2:
            at = -row[EXPORT]
        else:
            if numbers[SMOOTHING] <= 0.0:
                continue
            at = row[REFERENCE]
        if bottom < at < top:
            k = count
            while k > 0 and found[k - 1] < at:
                found[k] = found[k - 1]
                k -= 1
            found[k] = at
            count += 1
    return count


@compiled
def stage_list(
    row: FloatArray,
    numbers: FloatArray,
    charge: float,
    discharge: float,
    direction: int,
    slopes: FloatArray,
    widths: FloatArray,
) -> tuple[int, float, float, float, bool]:
    """Write the stage as a list of slopes (EUR per stored kWh) and widths (kWh).

    Args:
        row: The step, shape (COLUMNS,).
        numbers: Common numbers, shape (NUMBERS,).
        charge: Most AC power charged.
        discharge: Most AC power discharged.
        direction: 0 both ways, 1 importing only, -1 exporting only.
        slopes: Receives ascending slopes, shape (LONGEST,).
        widths: Receives widths, shape (LONGEST,).

    Returns:
        Number of segments (-1: no power is possible), least z, its cost, the grid power down
        to which nothing is given away, and whether the list is convex. Where it is not, its
        numbers mean nothing.
    """
    hours, eta_c, eta_d = numbers[HOURS], numbers[ETA_CHARGE], numbers[ETA_DISCHARGE]
    net, smax, premium = row[NET], row[SMAX], numbers[PREMIUM]
    top, bottom = row[IMPORT_MOST], -row[EXPORT_MOST]
    if direction > 0:
        bottom = max(bottom, 0.0)
    elif direction < 0:
        top = min(top, 0.0)
    # Grid powers that no battery power in reach leads to.
    top = min(top, net + charge + smax)
    bottom = max(bottom, net - discharge)
    if bottom > top:
        if bottom > top + 1e-9:
            return -1, 0.0, 0.0, 0.0, True
        bottom = top

    kinks = np.empty(KINKS + 4)
    found = _kinks_within(row, numbers, bottom, top, kinks)
    price, extent = np.empty(KINKS + 6), np.empty(KINKS + 6)
    count, at, rest, given, convex = 0, top, bottom, False, True
    for k in range(found + 1):
        lower = kinks[k] if k < found else bottom
        if at - lower <= 0.0:
            continue
        slope = grid_slope(row, numbers, 0.5 * (at + lower))
        if not given and slope < -premium - _SLACK:
            rest, given = at, True
            if smax > 0.0:
                price[count], extent[count] = -premium, smax
                count += 1
        if count > 0 and slope > price[count - 1] + _SLACK:
            convex = False
        price[count], extent[count] = slope, at - lower
        count += 1
        at = lower
    if not given and smax > 0.0:
        price[count], extent[count] = -premium, smax
        count += 1

    at = net - top
    low, high = max(-charge, at), min(discharge, net - bottom + smax)
    if high < low:
        if high < low - 1e-9:
            return -1, 0.0, 0.0, 0.0, convex
        high = low
    value = grid_cost(row, numbers, top)
    placed, n = False, 0
    left_value = 0.0
    for k in range(count):
        end = at + extent[k]
        if end > low:
            start = max(at, low)
            if not placed:
                left_value = value - price[k] * hours * (low - at)
                placed = True
            stop = min(end, high)
            if start < 0.0 and stop > start:
                width = (min(stop, 0.0) - start) * hours * eta_c
                n = _put(slopes, widths, n, -(price[k] + numbers[WEAR_CHARGE]) / eta_c, width)
            if stop > 0.0 and stop > start:
                width = (stop - max(start, 0.0)) * hours / eta_d
                n = _put(slopes, widths, n, -(price[k] - numbers[WEAR_DISCHARGE]) * eta_d, width)
            if stop >= high:
                break
        value -= price[k] * hours * extent[k]
        at = end
    if not placed:
        left_value = value
    for k in range(1, n):
        if slopes[k] < slopes[k - 1] - _SLACK:
            convex = False
    if low < 0.0:
        left_value += numbers[WEAR_CHARGE] * hours * -low
        return n, low * hours * eta_c, left_value, rest, convex
    left_value += numbers[WEAR_DISCHARGE] * hours * low
    return n, low * hours / eta_d, left_value, rest, convex


@compiled
def _put(slopes: FloatArray, widths: FloatArray, n: int, slope: float, width: float) -> int:
    if width <= 0.0:
        return n
    if n > 0 and slopes[n - 1] == slope:
        widths[n - 1] += width
        return n
    slopes[n], widths[n] = slope, width
    return n + 1


@compiled
def battery_power(numbers: FloatArray, drawn_kwh: float) -> float:
    """Return the AC power (+ discharge) that draws `drawn_kwh` from the store in a step."""
    if drawn_kwh < 0.0:
        charged: float = drawn_kwh / (numbers[HOURS] * numbers[ETA_CHARGE])
        return charged
    discharged: float = drawn_kwh * numbers[ETA_DISCHARGE] / numbers[HOURS]
    return discharged


@compiled
def given_away(row: FloatArray, battery_kw: float, rest_kw: float) -> float:
    """Return the PV power given away at a battery power, in kW."""
    given: float = min(max(rest_kw - (row[NET] - battery_kw), 0.0), row[SMAX])
    return given

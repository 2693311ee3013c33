"""Forward pass: the plan, and one consistent set of prices behind it.

At each step the merged list of cost-to-go and stage is walked up to the stored energy: that
splits it into what stays and what is drawn, and its slopes left and right of that point are all
prices a stored kWh may have there. The price of the step before is kept as long as it is among
them; it only moves where the window, the reserve or the end of the horizon pushes it. So the
prices returned are one dual solution of the whole problem and not one per step.

Ties: where several powers cost the same, the one nearest to standing still is taken, step by
step. The cost is the optimum; the plan may differ from the one of the model of record, which
is the calmest of all optimal plans.
"""

# numba compiles these functions: they take arrays one by one and keep their loops inside.
# ruff: noqa: PLR0912, PLR0917

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import IntArray, compiled
from engine.optimization.kernel.convex import (
    CEILING,
    CEILING_PRICE,
    FLOOR,
    FLOOR_PRICE,
    HIGH,
    LOW,
    RESERVE,
    RESERVE_PRICE,
    state_cost,
)
from engine.optimization.kernel.stage import (
    CHARGE,
    DIRECTION,
    DISCHARGE,
    ETA_CHARGE,
    ETA_DISCHARGE,
    EXPORT_MOST,
    HOURS,
    IMPORT_MOST,
    KINK,
    KINKS,
    NET,
    PREMIUM,
    SMAX,
    STANDBY,
    WEAR_CHARGE,
    WEAR_DISCHARGE,
    battery_power,
    given_away,
    grid_cost,
    grid_slope,
)

# Columns of the plan.
BATTERY, GRID, GIVEN, ENERGY, STORED_VALUE, SITE_PRICE, COST, PRICE = range(8)
"""Powers in kW, ENERGY at the end of the step, prices in EUR/kWh; COST of the step in EUR with
every price of a wish; PRICE: slope that the step's merged list has (-EUR/kWh)."""
PEAK_PRICE = 8
"""From here on: EUR per kW of import above each kink."""
PLAN_COLUMNS = PEAK_PRICE + KINKS

_AT_KWH = 1e-9
_AT_KW = 1e-8


@compiled
def split(
    u_slopes: FloatArray,
    u_widths: FloatArray,
    o: int,
    n: int,
    left: float,
    p_slopes: FloatArray,
    p_widths: FloatArray,
    m: int,
    p_left: float,
    standby: float,
    energy: float,
) -> tuple[float, float, float]:
    """Return z, the stored energy to draw, and the slopes left and right of `energy`.

    Slopes count from a hair left to a hair right of the energy: corners that should coincide
    may differ by rounding.
    """
    rest = energy - (left + p_left + standby)
    i, k, drawn, end = 0, 0, p_left, 0.0
    low, z = -np.inf, p_left
    placed, low_found = False, rest <= _AT_KWH
    while i < n or k < m:
        if k >= m or (i < n and u_slopes[o + i] <= p_slopes[k]):
            slope = u_slopes[o + i]
        else:
            slope = p_slopes[k]
        stays, moves = 0.0, 0.0
        while i < n and u_slopes[o + i] == slope:
            stays += u_widths[o + i]
            i += 1
        while k < m and p_slopes[k] == slope:
            moves += p_widths[k]
            k += 1
        if not placed and rest <= end + stays + moves:
            inside = max(rest - end, 0.0)
            first, last = drawn + max(inside - stays, 0.0), drawn + min(inside, moves)
            z = min(max(0.0, first), last)
            placed = True
        end += stays + moves
        drawn += moves
        if not low_found and end > rest - _AT_KWH:
            low, low_found = slope, True
        if end > rest + _AT_KWH:
            return z if placed else drawn, low, slope
    return z if placed else drawn, low, np.inf


@compiled
def kept_price(price: float, state: FloatArray, energy: float, low: float, high: float) -> float:
    """Return the slope of the later steps nearest to `price` less that of the state's cost.

    Args:
        price: Slope of the cost-to-go with what ending here costs.
        state: What ending the step costs.
        energy: Where it ends.
        low: Least slope of the later steps there.
        high: Largest.
    """
    below, above = 0.0, 0.0
    for at, cost, rising in (
        (state[RESERVE], state[RESERVE_PRICE], False),
        (state[FLOOR], state[FLOOR_PRICE], False),
        (state[CEILING], state[CEILING_PRICE], True),
    ):
        if rising:
            if energy >= at - _AT_KWH:
                above += cost
            if energy > at + _AT_KWH:
                below += cost
        else:
            if energy <= at + _AT_KWH:
                below -= cost
            if energy < at - _AT_KWH:
                above -= cost
    if energy <= state[LOW] + _AT_KWH:
        below = -np.inf
    if energy >= state[HIGH] - _AT_KWH:
        above = np.inf
    return min(max(price - min(max(0.0, below), above), low), high)


@compiled
def site_price(
    row: FloatArray, numbers: FloatArray, battery: float, given: float, stored_value: float
) -> float:
    """Return the price of a kWh at the grid connection that fits plan and stored value."""
    low, high = -np.inf, np.inf
    to_charge = stored_value * numbers[ETA_CHARGE] - numbers[WEAR_CHARGE]
    to_discharge = stored_value / numbers[ETA_DISCHARGE] + numbers[WEAR_DISCHARGE]
    if battery > _AT_KW:
        low = to_discharge
        if battery < row[DISCHARGE] - _AT_KW:
            high = to_discharge
    elif battery < -_AT_KW:
        high = to_charge
        if battery > -row[CHARGE] + _AT_KW:
            low = to_charge
    else:
        if row[CHARGE] > _AT_KW:
            low = to_charge
        if row[DISCHARGE] > _AT_KW:
            high = to_discharge
    grid = row[NET] + given - battery
    below = grid_slope(row, numbers, grid - _AT_KW)
    above = grid_slope(row, numbers, grid + _AT_KW)
    bottom, top = -row[EXPORT_MOST], row[IMPORT_MOST]
    if row[DIRECTION] > 0.0:
        bottom = max(bottom, 0.0)
    elif row[DIRECTION] < 0.0:
        top = min(top, 0.0)
    if grid <= bottom + _AT_KW:
        below = -np.inf
    if grid >= top - _AT_KW:
        above = np.inf
    if row[SMAX] > 0.0:
        if given > _AT_KW:
            above = min(above, -numbers[PREMIUM])
        if given < row[SMAX] - _AT_KW:
            below = max(below, -numbers[PREMIUM])
    # The middle of the grid's own prices, moved into the battery's, then back into the grid's.
    middle = 0.0
    if below > -np.inf and above < np.inf:
        middle = 0.5 * (below + above)
    elif below > -np.inf:
        middle = below
    elif above < np.inf:
        middle = above
    price = max(min(middle, high), low)
    return min(max(price, below), above)


@compiled
def peak_prices(
    row: FloatArray, numbers: FloatArray, grid: float, price: float, out: FloatArray
) -> None:
    """Write what a kW of import above each kink costs (EUR/kW): the least share of `price`."""
    without = grid_slope(row, numbers, grid + _AT_KW)
    for j in range(KINKS):
        if row[KINK + 2 * j + 1] > 0.0 and abs(grid - row[KINK + 2 * j]) <= _AT_KW:
            without -= row[KINK + 2 * j + 1]
    rest = 0.0 if grid >= row[IMPORT_MOST] - _AT_KW else price - without
    for j in range(KINKS):
        at, most = row[KINK + 2 * j], row[KINK + 2 * j + 1]
        share = 0.0
        if most > 0.0:
            if grid > at + _AT_KW:
                share = most
            elif abs(grid - at) <= _AT_KW:
                share = min(max(rest, 0.0), most)
                rest -= share
        out[j] = share * numbers[HOURS]


@compiled
def forward(
    rows: FloatArray,
    numbers: FloatArray,
    counts: IntArray,
    points: FloatArray,
    slopes: FloatArray,
    widths: FloatArray,
    states: FloatArray,
    end_slopes: FloatArray,
    end_widths: FloatArray,
    end_left: float,
    u_slopes: FloatArray,
    u_widths: FloatArray,
    where: IntArray,
    ends: FloatArray,
    energy: float,
    plan: FloatArray,
) -> bool:
    """Write the plan of all steps from `energy` kWh on; False when it is outside the domain.

    The buffers are those of `backward` for all steps. `plan` has shape (n, PLAN_COLUMNS).
    """
    n = rows.shape[0]
    standby = numbers[STANDBY]
    price = 0.0
    for t in range(n):
        row, state = rows[t], states[t]
        o, m, left = where[t, 0], where[t, 1], ends[t, 0]
        z, low, high = split(
            u_slopes,
            u_widths,
            o,
            m,
            left,
            slopes[t],
            widths[t],
            counts[t],
            points[t, 0],
            standby,
            energy,
        )
        if t == 0:
            reach = left + points[t, 0] + standby
            if energy < reach - _AT_KWH:
                return False
            for k in range(m):
                reach += u_widths[o + k]
            for k in range(counts[t]):
                reach += widths[t, k]
            if energy > reach + _AT_KWH:
                return False
            price = high if high < np.inf else low
            if price == -np.inf:
                price = 0.0
        else:
            price = kept_price(price, states[t - 1], energy, low, high)
            plan[t - 1, STORED_VALUE] = -price
        battery = battery_power(numbers, z)
        given = given_away(row, battery, points[t, 2])
        grid = row[NET] + given - battery
        energy = energy - z - standby
        if abs(energy - state[LOW]) < _AT_KWH:
            energy = state[LOW]
        elif abs(energy - state[HIGH]) < _AT_KWH:
            energy = state[HIGH]
        plan[t, BATTERY], plan[t, GRID], plan[t, GIVEN] = battery, grid, given
        plan[t, ENERGY], plan[t, PRICE] = energy, price
        wear = numbers[WEAR_DISCHARGE] * battery if battery > 0.0 else 0.0
        if battery < 0.0:
            wear = -numbers[WEAR_CHARGE] * battery
        plan[t, COST] = (
            grid_cost(row, numbers, grid)
            + numbers[HOURS] * (wear + numbers[PREMIUM] * given)
            + state_cost(state, energy)
        )
        plan[t, SITE_PRICE] = site_price(row, numbers, battery, given, -price)
        peak_prices(row, numbers, grid, plan[t, SITE_PRICE], plan[t, PEAK_PRICE:])
    below, above, at = -np.inf, np.inf, end_left
    for k in range(end_slopes.size):
        end = at + end_widths[k]
        if end <= energy + _AT_KWH:
            below = end_slopes[k]
        if end >= energy - _AT_KWH and at <= energy + _AT_KWH:
            if at < energy - _AT_KWH:
                below = end_slopes[k]
            if end > energy + _AT_KWH and above == np.inf:
                above = end_slopes[k]
        at = end
    price = kept_price(price, states[n - 1], energy, below, above)
    if abs(price) == np.inf:
        price = 0.0
    plan[n - 1, STORED_VALUE] = -price
    return True

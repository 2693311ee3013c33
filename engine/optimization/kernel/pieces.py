"""A step that is not convex, as a handful of convex pieces.

What breaks convexity (see `exactness`): feeding in earns more than buying costs, so the grid's
cost has a concave corner at zero; a site price so low that burning stored energy would pay, so
the battery's has one; and rules that forbid a direction of the battery in one direction of the
site. All of them are decided by two signs. Each pair of signs leaves a convex step, and the
step is the least of them: exactly what the binary variables of the model of record state.
"""

# numba compiles these functions: they take arrays one by one and keep their loops inside.
# ruff: noqa: PLR0917

from __future__ import annotations

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import IntArray, compiled
from engine.optimization.kernel.stage import CHARGE, DIRECTION, DISCHARGE, RULES, stage_list

PIECES = 4


@compiled
def _try(
    row: FloatArray,
    numbers: FloatArray,
    charge: float,
    discharge: float,
    direction: int,
    n: int,
    counts: IntArray,
    points: FloatArray,
    choices: FloatArray,
    slopes: FloatArray,
    widths: FloatArray,
) -> tuple[int, bool]:
    """Write piece `n` if it is convex; return the number of pieces and whether it is."""
    count, left, value, rest, convex = stage_list(
        row, numbers, charge, discharge, direction, slopes[n], widths[n]
    )
    if count < 0:
        return n, True
    if not convex:
        return n, False
    counts[n] = count
    points[n, 0], points[n, 1], points[n, 2] = left, value, rest
    choices[n, 0], choices[n, 1], choices[n, 2] = charge, discharge, direction
    return n + 1, True


@compiled
def build_pieces(
    rows: FloatArray,
    numbers: FloatArray,
    pieces: IntArray,
    counts: IntArray,
    points: FloatArray,
    choices: FloatArray,
    slopes: FloatArray,
    widths: FloatArray,
) -> int:
    """Write the pieces of every step; return the number of steps with several, -1 if impossible.

    Args:
        rows: Steps, shape (n, COLUMNS).
        numbers: Common numbers.
        pieces: Receives the number of pieces per step, shape (n,).
        counts: Receives segments per piece, shape (n, PIECES).
        points: Receives least z, cost there, `rest_kw`, shape (n, PIECES, 3).
        choices: Receives most charge, most discharge, direction, shape (n, PIECES, 3).
        slopes: Receives slopes, shape (n, PIECES, LONGEST).
        widths: Receives widths, shape (n, PIECES, LONGEST).
    """
    several = 0
    for t in range(rows.shape[0]):
        row = rows[t]
        charge, discharge, rules = row[CHARGE], row[DISCHARGE], int(row[RULES])
        free = int(row[DIRECTION])
        n, convex = 0, False
        if rules == 0:
            n, convex = _try(
                row, numbers, charge, discharge, free, n,
                counts[t], points[t], choices[t], slopes[t], widths[t],
            )  # fmt: skip
        if not convex:
            for direction in (1, -1):
                if free == -direction:
                    continue
                c = 0.0 if direction == 1 and rules in (1, 3) else charge
                d = 0.0 if direction == -1 and rules in (2, 3) else discharge
                n, convex = _try(
                    row, numbers, c, d, direction, n,
                    counts[t], points[t], choices[t], slopes[t], widths[t],
                )  # fmt: skip
                if not convex:
                    for c_part, d_part in ((c, 0.0), (0.0, d)):
                        n, convex = _try(
                            row, numbers, c_part, d_part, direction, n,
                            counts[t], points[t], choices[t], slopes[t], widths[t],
                        )  # fmt: skip
                        if not convex:
                            return -1
        if n == 0:
            return -1
        pieces[t] = n
        if n > 1:
            several += 1
    return several

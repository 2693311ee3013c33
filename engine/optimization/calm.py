"""Among all plans of the same cost, the one that moves the battery least.

Equal prices (four quarter-hours of one hour, a flat tariff) leave many optimal
plans; a simplex answer jumps between extremes. The second, lexicographic solve stays
on the optimal face: by complementary slackness every column with a reduced cost and
every row with a dual keeps its value in all optimal plans, so fixing those and
minimising movement over the rest cannot change the cost. That leaves a small problem
which takes about as long as the money solve and needs no cost tolerance.
"""

from __future__ import annotations

import logging
from typing import Any

import highspy
import numpy as np

from engine.domain.plan import FloatArray

_log = logging.getLogger(__name__)

FACE_TOLERANCE_EUR = 1e-9
"""Smallest dual (EUR per kW or kWh) that pins a column or row to its value."""

COST_TOLERANCE = 1e-9
"""Largest relative change of the cost accepted (relative to at least 1 EUR)."""

THROUGHPUT_WEIGHT = 0.05
"""Weight of one kW of throughput against one kW of change between two steps."""


def calmest(
    solved: Any, solution: Any, charge_column: int, discharge_column: int, n: int
) -> FloatArray | None:
    """Return the columns of the calmest plan of equal cost.

    Args:
        solved: The `highspy.Highs` object that holds the solved money problem.
        solution: Its solution with duals (`highspy.HighsSolution`).
        charge_column: First of the `n` columns of charge power.
        discharge_column: First of the `n` columns of discharge power.
        n: Number of steps.

    Returns:
        One value per column of the money problem, or None when no calmer plan was found
        at the same cost (the money solution then stands; it is optimal too).
    """
    if n < 2:
        return None
    lp = solved.getLp()
    columns, changes = lp.num_col_, n - 1
    value = np.array(solution.col_value)
    pinned = np.abs(np.array(solution.col_dual)) > FACE_TOLERANCE_EUR
    low = np.where(pinned, value, np.array(lp.col_lower_))
    high = np.where(pinned, value, np.array(lp.col_upper_))
    row_low, row_high = np.array(lp.row_lower_), np.array(lp.row_upper_)
    # Rows are equalities or "at most"; a row with a dual sits at its upper side.
    tight = np.abs(np.array(solution.row_dual)) > FACE_TOLERANCE_EUR
    row_low = np.where(tight, row_high, row_low)

    movement = np.zeros(columns)
    movement[charge_column : charge_column + n] = THROUGHPUT_WEIGHT
    movement[discharge_column : discharge_column + n] = THROUGHPUT_WEIGHT
    face = solved.getLp()
    face.col_cost_, face.col_lower_, face.col_upper_ = movement, low, high
    face.row_lower_, face.row_upper_ = row_low, row_high

    solver = highspy.Highs()
    for option, setting in (("output_flag", False), ("threads", 1), ("random_seed", 0)):
        solver.setOptionValue(option, setting)
    solver.passModel(face)
    none = np.zeros(0)
    solver.addCols(
        2 * changes,
        np.ones(2 * changes),
        np.zeros(2 * changes),
        np.full(2 * changes, highspy.kHighsInf),
        0,
        np.zeros(2 * changes, dtype=np.int32),
        none.astype(np.int32),
        none,
    )
    # Per change: battery power after minus before = rise minus fall, both >= 0.
    step = np.arange(changes)
    entries = np.stack(
        [
            discharge_column + step + 1,
            discharge_column + step,
            charge_column + step + 1,
            charge_column + step,
            columns + step,
            columns + changes + step,
        ],
        axis=1,
    )
    signs = np.tile([1.0, -1.0, -1.0, 1.0, -1.0, 1.0], changes)
    solver.addRows(
        changes,
        np.zeros(changes),
        np.zeros(changes),
        entries.size,
        np.arange(0, entries.size, entries.shape[1], dtype=np.int32),
        entries.ravel().astype(np.int32),
        signs,
    )
    solver.run()

    status = solver.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        _log.warning("calming the plan ended with %s; the money solution stands", status.name)
        return None
    calmed = np.array(solver.getSolution().col_value)[:columns]
    cost = np.array(lp.col_cost_)
    before = float(cost @ value)
    change = float(cost @ calmed) - before
    if change > COST_TOLERANCE * max(1.0, abs(before)):
        _log.warning("calming would cost %.3g EUR; the money solution stands", change)
        return None
    return calmed

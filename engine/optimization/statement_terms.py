"""Optional terms of the model: demand charges, terminal curve, preferences, a held first step.

Each adds its variables, constraints, parameters and cost to a statement. An absolute value
is stated as the sum of a rise and a fall; as both cost, at most one of them is above 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cvxpy as cp
import numpy as np

from engine.domain.plan import FloatArray

if TYPE_CHECKING:
    from engine.optimization.statement import Statement


def change(series: Any) -> Any:
    """Return each step's entry minus the one before, and the first as it is."""
    if series.size == 1:
        return series
    return cp.hstack([series[0], cp.diff(series)])


class ChargedPeaks:
    """Demand charges: `k Q`, `Q >= import - floor` on the billed steps, `Q >= 0`.

    Where import or export is decided by a binary y, `Q >= import - floor y` holds as well
    and is much tighter: without it the relaxation imports the whole floor for a sliver of y.

    Args:
        statement: Takes the terms.
        imported: Import per step, beyond the limit included.
        importing: Binary per step, None where nothing is decided.
    """

    def __init__(self, statement: Statement, imported: Any, importing: Any | None) -> None:
        self._rows: list[tuple[Any, Any]] = []
        for index in range(statement.shape.peaks):
            billed, floor = statement.series(f"billed_{index}"), statement.series(f"floor_{index}")
            if importing is not None:
                floor += cp.multiply(statement.series(f"floor_tied_{index}"), importing)
            above = cp.Variable(name=f"above_floor_{index}", nonneg=True)
            row = above >= cp.multiply(billed, imported) - floor
            statement.constraints.append(row)
            statement.cost += statement.number(f"peak_price_{index}", price=True) * above
            self._rows.append((row, billed))

    def duals_eur_per_kw(self) -> FloatArray:
        """Return what a kW of import costs per step, summed over the peaks, shape (n,)."""
        total: FloatArray = sum(
            np.asarray(row.dual_value, dtype=np.float64).reshape(-1) * billed.value
            for row, billed in self._rows
        )
        return total


class TerminalWorth:
    """Concave value of the final energy: the least of the lines of the terminal curve.

    Args:
        statement: Takes the terms.
        final_energy: Stored energy at the end.
    """

    def __init__(self, statement: Statement, final_energy: Any) -> None:
        pieces = statement.shape.curve_pieces
        worth = cp.Variable(name="worth")
        self._marginals = statement.parameter("curve_marginals", pieces, signed=True)
        intercepts = statement.parameter("curve_intercepts", pieces, signed=True)
        self._rows = worth <= intercepts + self._marginals * final_energy
        statement.constraints.append(self._rows)
        statement.cost -= statement.number("curve_price", price=True) * worth

    def marginal_eur_per_kwh(self) -> float:
        """Return the curve's slope at the planned final energy."""
        return float(np.asarray(self._rows.dual_value) @ self._marginals.value)


def smoothing(statement: Statement, grid: Any) -> None:
    """Price the distance of grid power from a reference."""
    above, below = statement.flow("above_reference"), statement.flow("below_reference")
    price = statement.number("smoothing_price", price=True)
    statement.constraints.append(
        grid - above + below == statement.series("smoothing_reference", signed=True)
    )
    statement.cost += price * cp.sum(above) + price * cp.sum(below)


def ramps(statement: Statement, grid: Any) -> None:
    """Price the change of grid power from step to step."""
    steps = [cp.diff(grid)] if statement.shape.n > 1 else []
    if statement.shape.ramp_before:
        steps.insert(
            0, cp.reshape(grid[0], (1,), order="C") - statement.number("grid_before", signed=True)
        )
    price = statement.number("ramp_price", price=True)
    for index, step in enumerate(steps):
        rise = cp.Variable(step.size, name=f"rise_{index}", nonneg=True)
        fall = cp.Variable(step.size, name=f"fall_{index}", nonneg=True)
        statement.constraints.append(step == rise - fall)
        statement.cost += price * cp.sum(rise) + price * cp.sum(fall)


def reserve(statement: Statement) -> None:
    """Price what is missing in the wished reserve."""
    missing = statement.flow("missing_reserve")
    statement.constraints.append(statement.energy + missing >= statement.series("reserve"))
    statement.cost += statement.number("reserve_price", price=True) * cp.sum(missing)


def held_first_step(statement: Statement) -> None:
    """Hold the first step's battery power; it gives way only where limits force it to."""
    more, less = (
        cp.Variable(name="held_more", nonneg=True),
        cp.Variable(name="held_less", nonneg=True),
    )
    price = statement.number("held_price", price=True)
    statement.constraints.append(
        statement.discharge[0] - statement.charge[0] - more + less
        == statement.number("held_kw", signed=True)
    )
    statement.cost += price * more + price * less

"""Several demand charges at once: cutting planes, exact up to the bound stated.

The horizon is cut into blocks; the cost F_j of a block is jointly convex in the stored energy
at its two ends and in the peaks that bill some of its steps. One pass of the dynamic programme
at trial peaks gives, for every block, its cost and a subgradient (the prices of a stored kWh at
both ends, and of a kW above each peak), so one cut per block. The master problem

    min  sum k_m (P_m - floor_m) + sum theta_j,   theta_j >= all cuts of block j

is a lower bound on every plan and names the next trial (Kelley 1960; one cut per block:
Birge and Louveaux 1988). Its duals weigh the passes whose prices together are a dual solution.
"""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.kernel.convex import HIGH, LOW
from engine.optimization.kernel.forward import COST, ENERGY, PEAK_PRICE, STORED_VALUE
from engine.optimization.kernel.found import Found, with_prices
from engine.optimization.kernel.peaks import SOLVED, TOLERANCE, convex_plan, hold_peak
from engine.optimization.kernel.problem import (
    PEAK_EXCESS,
    KernelProblem,
    highest_peaks_kw,
)
from engine.optimization.kernel.stage import HOURS
from engine.optimization.quiet import silence_highs

MOST_BLOCKS = 48
MOST_PASSES = 400
STALLED = 40
"""Passes without a smaller distance of the bounds after which the search ends."""


class _Master:
    """The master problem, kept and extended."""

    def __init__(self, problem: KernelProblem, highest_kw: FloatArray, edges: list[int]) -> None:
        silence_highs()
        peaks, states = problem.peaks, problem.states
        solver: Any = highspy.Highs()
        for option, setting in (("output_flag", False), ("threads", 1), ("random_seed", 0)):
            solver.setOptionValue(option, setting)
        self.energies, self.thetas = len(peaks), len(peaks) + len(edges) - 1
        for peak, high in zip(peaks, highest_kw, strict=True):
            solver.addCol(peak.charge_eur_per_kw, peak.floor_kw, high, 0, [], [])
        for edge in edges[:-1]:
            solver.addCol(0.0, states[edge - 1, LOW], states[edge - 1, HIGH], 0, [], [])
        for _ in edges:
            solver.addCol(1.0, -highspy.kHighsInf, highspy.kHighsInf, 0, [], [])
        self.solver = solver
        self.rows: list[tuple[int, int]] = []
        self.constant = -sum(peak.charge_eur_per_kw * peak.floor_kw for peak in peaks)

    def add(
        self, block: int, trial: int, low: float, columns: list[int], values: FloatArray
    ) -> None:
        self.solver.addRow(low, highspy.kHighsInf, len(columns), columns, values)
        self.rows.append((block, trial))

    def solve(self) -> tuple[float, FloatArray]:
        """Return the bound and the values of the columns."""
        self.solver.run()
        if self.solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise OptimizationError(
                "the search for the peaks lost its bound.",
                field="optimization",
                value=self.solver.getModelStatus().name,
                hint="Please report this case.",
            )
        values = np.array(self.solver.getSolution().col_value)
        return float(self.solver.getInfo().objective_function_value) + self.constant, values

    def weights(self) -> FloatArray:
        return np.array(self.solver.getSolution().row_dual)


def _edges(problem: KernelProblem) -> list[int]:
    """Return the step after each block: where other peaks bill, at most MOST_BLOCKS blocks."""
    n = problem.rows.shape[0]
    billed = np.stack([peak.billed for peak in problem.peaks])
    changes = (np.flatnonzero((billed[:, 1:] != billed[:, :-1]).any(axis=0)) + 1).tolist()
    if len(changes) >= MOST_BLOCKS:
        changes = changes[:: -(-len(changes) // (MOST_BLOCKS - 1))]
    return [*changes, n]


def many_peaks_plan(problem: KernelProblem, rows: FloatArray) -> tuple[int, Found | None]:
    """Solve a convex problem with several demand charges.

    Args:
        problem: The problem.
        rows: Its steps, directions decided where needed; overwritten with the peaks' kinks.

    Returns:
        Code (SOLVED, NOT_CONVEX or IMPOSSIBLE) and what was found.
    """
    peaks, edges = problem.peaks, _edges(problem)
    master = _Master(problem, highest_peaks_kw(problem), edges)
    trial_kw = np.array([peak.floor_kw for peak in peaks])
    plans: list[FloatArray] = []
    best_eur, bound_eur, best, best_kw = np.inf, -np.inf, 0, trial_kw
    gap_eur, since = np.inf, 0
    while len(plans) < MOST_PASSES and since < STALLED:
        for peak, slot, at in zip(peaks, problem.slots, trial_kw, strict=True):
            price = PEAK_EXCESS * peak.charge_eur_per_kw / problem.numbers[HOURS]
            hold_peak(rows, peak.billed.astype(np.float64), slot, float(at), price)
        end = problem.end
        code, cost_eur, plan, *_ = convex_plan(
            rows,
            problem.numbers,
            problem.states,
            end.slopes,
            end.widths,
            end.left_kwh,
            end.value_eur,
            problem.energy_kwh,
        )
        if code != SOLVED:
            return code, None
        cost_eur += sum(
            peak.charge_eur_per_kw * (at - peak.floor_kw)
            for peak, at in zip(peaks, trial_kw, strict=True)
        )
        plans.append(plan)
        if cost_eur < best_eur:
            best_eur, best, best_kw = cost_eur, len(plans) - 1, trial_kw
        _add_cuts(problem, master, edges, plan, trial_kw=trial_kw, trial=len(plans) - 1)
        found_eur, values = master.solve()
        bound_eur = max(bound_eur, found_eur)
        trial_kw = values[: len(peaks)]
        since += 1
        if best_eur - bound_eur < 0.99 * gap_eur:
            gap_eur, since = best_eur - bound_eur, 0
        if gap_eur <= TOLERANCE * max(1.0, abs(best_eur)):
            break
    plan = plans[best].copy()
    _combine(plan, plans, master, edges)
    return SOLVED, Found(
        best_eur, min(bound_eur, best_eur), plan, tuple(best_kw.tolist()), len(plans)
    )


def _add_cuts(
    problem: KernelProblem,
    master: _Master,
    edges: list[int],
    plan: FloatArray,
    *,
    trial_kw: FloatArray,
    trial: int,
) -> None:
    for block, (first, stop) in enumerate(zip([0, *edges[:-1]], edges, strict=True)):
        cost = float(plan[first:stop, COST].sum())
        columns, slopes, at = [], [], []
        if block:
            columns.append(master.energies + block - 1)
            slopes.append(-float(plan[first - 1, STORED_VALUE]))
            at.append(float(plan[first - 1, ENERGY]))
        if stop < plan.shape[0]:
            columns.append(master.energies + block)
            slopes.append(float(plan[stop - 1, STORED_VALUE]))
            at.append(float(plan[stop - 1, ENERGY]))
        else:
            cost += problem.end.cost_eur(float(plan[-1, ENERGY]))
        for index, (peak, slot) in enumerate(zip(problem.peaks, problem.slots, strict=True)):
            share = plan[first:stop, PEAK_PRICE + 2 * slot][peak.billed[first:stop]].sum()
            if share > 0.0:
                columns.append(index)
                slopes.append(-float(share))
                at.append(float(trial_kw[index]))
        low = cost - float(np.dot(slopes, at))
        columns.append(master.thetas + block)
        master.add(block, trial, low, columns, np.array([*(-value for value in slopes), 1.0]))


def _combine(plan: FloatArray, plans: list[FloatArray], master: _Master, edges: list[int]) -> None:
    """Give the plan the prices of the passes that the master weighs, block by block."""
    weights = np.maximum(master.weights(), 0.0)
    for block, (first, stop) in enumerate(zip([0, *edges[:-1]], edges, strict=True)):
        rows = [
            (weight, plans[trial])
            for weight, (of, trial) in zip(weights, master.rows, strict=True)
            if of == block and weight > 0.0
        ]
        total = sum(weight for weight, _ in rows)
        if total > 0.0:
            mean = [(weight / total, other) for weight, other in rows]
            if first:
                # What a kWh is worth at the end of a block belongs to the steps after it.
                stored = sum(weight * other[first - 1, STORED_VALUE] for weight, other in mean)
            with_prices(plan, slice(first, stop), mean)
            if first:
                plan[first - 1, STORED_VALUE] = stored

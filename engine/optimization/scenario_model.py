"""Several statements of one shape in one problem, with the first battery power in common.

Two-stage stochastic programme: the first step's battery power is decided before it is
known which scenario comes true, everything later after. Each scenario pays for its own
billed peaks. The objective is the weighted mean of the scenarios' objectives.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cvxpy as cp
import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.candidates import Candidates
from engine.optimization.coefficients import Coefficients
from engine.optimization.instance import Instance
from engine.optimization.model import HighsProblem
from engine.optimization.outcome import Decisions, Duals, Flows
from engine.optimization.parameters import parameter_values
from engine.optimization.shape import Form, Shape
from engine.optimization.statement import Statement


class ScenarioModel:
    """A kept problem of several scenarios, re-solved under a lock.

    Args:
        key: Shape of every scenario, and their number.
    """

    def __init__(self, key: tuple[Shape, int]) -> None:
        shape, count = key
        self.statements = [Statement(shape) for _ in range(count)]
        first, *others = self.statements
        constraints = [row for statement in self.statements for row in statement.constraints]
        for other in others:
            constraints += [
                other.charge[0] == first.charge[0],
                other.discharge[0] == first.discharge[0],
            ]
        cost = sum(statement.cost for statement in self.statements)
        self.problem = cp.Problem(cp.Minimize(cost), constraints)
        self._decided = shape.form is Form.DECIDED
        self._highs = HighsProblem(self.problem, decided=self._decided)
        self._lock = threading.Lock()

    def solve(
        self,
        instances: Sequence[Instance],
        numbers: Sequence[Coefficients],
        weights: FloatArray,
        decisions: Sequence[Decisions | None],
    ) -> list[tuple[Flows, Duals]] | None:
        """Return flows and duals of each scenario; None when the directions allow no plan.

        Args:
            instances: One per scenario.
            numbers: Their bounds.
            weights: Their probabilities, above 0, sum 1.
            decisions: Directions to hold, None where the linear model is exact.

        Raises:
            OptimizationError: The solver failed.
        """
        with self._lock:
            for statement, instance, number, weight, held in zip(
                self.statements, instances, numbers, weights, decisions, strict=True
            ):
                values = parameter_values(instance, number, decisions=held)
                statement.set_values(values, float(weight))
            impossible = any(held is not None for held in decisions)
            if not self._highs.run(may_be_impossible=impossible):
                return None
            duals = [
                _unweighted(statement.duals(instance.step_hours), float(weight))
                for statement, instance, weight in zip(
                    self.statements, instances, weights, strict=True
                )
            ]
            # Of equal first decisions the one that leaves the first path calmest.
            self._highs.calm(self.statements[0].charge, self.statements[0].discharge)
            return [
                (statement.flows(), dual)
                for statement, dual in zip(self.statements, duals, strict=True)
            ]

    def decide_first_step(
        self,
        instances: Sequence[Instance],
        numbers: Sequence[Coefficients],
        weights: FloatArray,
        decisions: Sequence[Decisions | None],
        *,
        undecided: Sequence[Candidates],
        time_limit_s: float,
    ) -> list[Decisions] | None:
        """Return the first step's directions of each scenario (DECIDED only).

        Args:
            instances: One per scenario.
            numbers: Their bounds.
            weights: Their probabilities, above 0, sum 1.
            decisions: Directions to hold in later steps.
            undecided: Per scenario, what of the first step must be decided.
            time_limit_s: Longest search.

        Returns:
            One decision of the first step per scenario; None when none was found.

        Raises:
            OptimizationError: The solver failed.
        """
        with self._lock:
            for statement, instance, number, weight, held, free in zip(
                self.statements, instances, numbers, weights, decisions, undecided, strict=True
            ):
                values = parameter_values(instance, number, candidates=free, decisions=held)
                statement.set_values(values, float(weight))
            if not self._highs.run(time_limit_s, may_be_impossible=True):
                return None
            return [
                statement.decisions(free)
                for statement, free in zip(self.statements, undecided, strict=True)
            ]


def _unweighted(duals: Duals, weight: float) -> Duals:
    return Duals(
        stored_value_eur_per_kwh=np.divide(duals.stored_value_eur_per_kwh, weight),
        site_price_eur_per_kwh=np.divide(duals.site_price_eur_per_kwh, weight),
        peak_eur_per_kw=np.divide(duals.peak_eur_per_kw, weight),
    )

"""Problems compiled once per shape and re-solved with new numbers.

MONEY returns the cheapest plan with its duals and, among equal plans, the calmest; DECIDED
returns directions for the steps that need a binary. What they state is in `statement`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import cvxpy as cp

from engine.domain.errors import OptimizationError
from engine.optimization.calm import calmest
from engine.optimization.candidates import Candidates
from engine.optimization.coefficients import Coefficients
from engine.optimization.instance import Instance
from engine.optimization.outcome import IMPOSSIBLE, Decisions, Flows, Outcome
from engine.optimization.parameters import parameter_values
from engine.optimization.quiet import silence_highs
from engine.optimization.shape import Form, Shape
from engine.optimization.statement import Statement

KeyT = TypeVar("KeyT", bound=Hashable)
ModelT = TypeVar("ModelT")

_FEASIBLE = 2
"""`kSolutionStatusFeasible` of HiGHS."""

_OPTIONS = {"threads": 1, "random_seed": 0}

_EXACT_SEARCH = {
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 0.0,
    # Restarts and these two heuristics find nothing here; without them the hard cases
    # (fixed feed-in above negative prices) take less than half the time.
    "mip_allow_restart": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
}


class HighsProblem:
    """A DPP problem solved by HiGHS, compiled at first use. Callers hold a lock around it.

    Args:
        problem: The problem; its parameters have values before each solve.
        decided: It has binary variables.
    """

    def __init__(self, problem: Any, *, decided: bool) -> None:
        silence_highs()
        self.problem = problem
        self._decided = decided
        self._raw: dict[str, Any] = {}
        self._solver: Any = None
        self._columns: dict[int, int] = {}

    def run(self, time_limit_s: float | None = None, *, may_be_impossible: bool = False) -> bool:
        """Solve; return True when the variables have values.

        Args:
            time_limit_s: Longest search of a problem with binary variables.
            may_be_impossible: No solution is an answer and not an error.

        Raises:
            OptimizationError: The solver failed; nothing usable came back.
        """
        options: dict[str, Any] = dict(_OPTIONS)
        if self._decided:
            options |= _EXACT_SEARCH
            if time_limit_s is not None:
                options["time_limit"] = time_limit_s
        data, chain, inverse = self.problem.get_problem_data(cp.HIGHS)
        keep: dict[str, Any] = {}
        # No warm start: the previous instance must not choose among equal plans.
        self._raw = chain.solver.solve_via_data(data, False, False, options, keep)
        status = self._raw["model_status"]
        if status == "kInfeasible" and may_be_impossible:
            return False
        if status not in ("kOptimal", "kTimeLimit"):
            raise OptimizationError(
                f"the solver stopped with {status}.",
                field="optimization",
                value=status,
                hint="Please report this case: every valid instance has a plan.",
            )
        if self._raw["info"].primal_solution_status != _FEASIBLE:
            return False
        self.problem.unpack(chain.invert(self._raw, inverse))
        self._solver = keep[cp.HIGHS][0]
        self._columns = data[cp.settings.PARAM_PROB].var_id_to_col
        return True

    @property
    def complete(self) -> bool:
        """True when the last solve proved its answer."""
        return bool(self._raw["model_status"] == "kOptimal")

    @property
    def bound(self) -> float:
        """Bound on the objective that the last search with binary variables proved."""
        return float(self._raw["info"].mip_dual_bound)

    def calm(self, charge: Any, discharge: Any) -> bool:
        """Give all variables the values of the calmest plan of equal cost.

        Args:
            charge: Variable of charge power, one entry per step.
            discharge: Variable of discharge power.

        Returns:
            False when no calmer plan was found; the values stay.
        """
        first_charge, first_discharge = self._columns[charge.id], self._columns[discharge.id]
        calmed = calmest(
            self._solver, self._raw["solution"], first_charge, first_discharge, charge.size
        )
        if calmed is None:
            return False
        for variable in self.problem.variables():
            first = self._columns[variable.id]
            values = calmed[first : first + variable.size]
            variable.value = values.reshape(variable.shape, order="F")
        return True


class CompiledModel:
    """One problem of one shape, re-solved under a lock.

    Args:
        shape: Structure of the problem.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.statement = Statement(shape)
        self.problem = cp.Problem(cp.Minimize(self.statement.cost), self.statement.constraints)
        self._highs = HighsProblem(self.problem, decided=shape.form is Form.DECIDED)
        self._lock = threading.Lock()

    def solve(
        self,
        instance: Instance,
        numbers: Coefficients,
        *,
        candidates: Candidates | None = None,
        decisions: Decisions | None = None,
        held_kw: float | None = None,
        time_limit_s: float | None = None,
        calm: bool = True,
    ) -> Outcome:
        """Solve the problem for `instance`; thread-safe.

        Args:
            instance: The planning problem; its shape must be this model's.
            numbers: Its bounds.
            candidates: Steps with a binary variable (DECIDED only).
            decisions: Directions to hold (MONEY only).
            held_kw: Battery power of the first step (only where the shape holds it).
            time_limit_s: Stop the search after this time (DECIDED only).
            calm: Look for the calmest of equal plans (MONEY only).

        Raises:
            OptimizationError: The solver failed; nothing usable came back.
        """
        with self._lock:
            self.statement.set_values(
                parameter_values(
                    instance, numbers, candidates=candidates, decisions=decisions, held_kw=held_kw
                )
            )
            if candidates is not None:
                return self._decided(candidates, time_limit_s)
            if not self._highs.run(may_be_impossible=decisions is not None):
                return IMPOSSIBLE
            objective_eur = float(self.problem.objective.value)
            flows = [self.statement.flows()]
            duals = self.statement.duals(instance.step_hours)
            if calm and self._highs.calm(self.statement.charge, self.statement.discharge):
                flows.insert(0, self.statement.flows())
            return Outcome(True, objective_eur, objective_eur, tuple(flows), duals)

    def _decided(self, candidates: Candidates, time_limit_s: float | None) -> Outcome:
        found = self._highs.run(time_limit_s)
        flows: tuple[Flows, ...] = (self.statement.flows(),) if found else ()
        return Outcome(
            complete=found and self._highs.complete,
            objective_eur=float(self.problem.objective.value) if found else float("inf"),
            bound_eur=self._highs.bound,
            flows=flows,
            decisions=self.statement.decisions(candidates) if found else None,
        )


class KeptModels(Generic[KeyT, ModelT]):
    """Compiled models by key; the one unused for longest is dropped beyond `size`.

    Args:
        build: States the model of a key.
        size: Most models kept.
    """

    def __init__(self, build: Callable[[KeyT], ModelT], size: int = 24) -> None:
        self._build = build
        self._size = size
        self._lock = threading.Lock()
        self._models: dict[KeyT, ModelT] = {}

    def get(self, key: KeyT) -> ModelT:
        """Return the model of `key`, stating it at first use; thread-safe."""
        with self._lock:
            model = self._models.pop(key) if key in self._models else self._build(key)
            self._models[key] = model
            while len(self._models) > self._size:
                self._models.pop(next(iter(self._models)))
            return model

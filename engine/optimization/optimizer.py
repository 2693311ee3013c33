"""Solve an instance exactly: linear where that is exact, binaries where it is not."""

from __future__ import annotations

import logging

from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import OptimizationError
from engine.optimization.candidates import Candidates
from engine.optimization.coefficients import Coefficients, coefficients
from engine.optimization.directions import first_clean, idle_directions, widened
from engine.optimization.exactness import find_candidates
from engine.optimization.instance import Instance
from engine.optimization.model import CompiledModel, KeptModels
from engine.optimization.outcome import Outcome
from engine.optimization.result import solution_from
from engine.optimization.scenario_model import ScenarioModel
from engine.optimization.shape import Shape, shape_of
from engine.optimization.solution import Solution

_log = logging.getLogger(__name__)

_ROUNDS = 4
"""The a-priori candidates, once more with what was missed, then every step."""


class Optimizer:
    """Solves instances; keeps its compiled models for the next solve. Thread-safe.

    Args:
        clock: Times the solves.
        time_limit_s: Longest search of one solve with binary variables. When it is
            reached the best plan found is returned with the gap that remains.
    """

    def __init__(self, clock: Clock | None = None, time_limit_s: float = 10.0) -> None:
        self._clock = clock or SystemClock()
        self._time_limit_s = time_limit_s
        self._models = KeptModels(CompiledModel)
        self._scenario_models = KeptModels(ScenarioModel, size=4)

    def solve(
        self,
        instance: Instance,
        *,
        held_kw: float | None = None,
        time_limit_s: float | None = None,
    ) -> Solution:
        """Return the cheapest plan, and among equal ones the calmest.

        Source of the method: optimisation notes, sections 1 and 2e. The result never
        charges and discharges, nor imports and exports, in the same step.

        Args:
            instance: The planning problem.
            held_kw: Battery power of the first step if it is decided already (+ discharge);
                it gives way only where a limit leaves no other choice.
            time_limit_s: Longest search with binary variables; the optimiser's own when None.

        Raises:
            OptimizationError: The solver failed.
        """
        began = self._clock.monotonic()
        limit_s = self._time_limit_s if time_limit_s is None else time_limit_s
        candidates = find_candidates(instance)
        for tried in range(_ROUNDS):
            numbers = coefficients(instance, candidates)
            outcome, bound_eur, complete = self._solve_with(
                instance, numbers, candidates, held_kw=held_kw, time_limit_s=limit_s
            )
            flows, remaining = first_clean(instance, outcome.flows)
            if remaining.count == 0:
                count = candidates.count
                return solution_from(
                    instance,
                    flows,
                    outcome,
                    bound_eur=bound_eur,
                    complete=complete,
                    solver=f"HIGHS (MILP, {count} binaries)" if count else "HIGHS (LP)",
                    solve_ms=(self._clock.monotonic() - began) * 1000.0,
                )
            _log.info("%d steps flow both ways; deciding them", remaining.count)
            candidates = widened(candidates, remaining, everywhere=tried > 0)
        # Every step is decided now, so nothing can flow both ways any more.
        raise OptimizationError(
            "flows in both directions remained in a step.",
            field="optimization",
            value=remaining.count,
            hint="Please report this case.",
        )

    def scenario_model(self, shape: Shape, count: int) -> ScenarioModel:
        """Return the kept model of `count` scenarios of one shape."""
        return self._scenario_models.get((shape, count))

    @property
    def clock(self) -> Clock:
        """The clock that times the solves."""
        return self._clock

    @property
    def time_limit_s(self) -> float:
        """Longest search of one solve with binary variables."""
        return self._time_limit_s

    def _solve_with(
        self,
        instance: Instance,
        numbers: Coefficients,
        candidates: Candidates,
        *,
        held_kw: float | None,
        time_limit_s: float,
    ) -> tuple[Outcome, float, bool]:
        """Return the outcome, a bound on every plan's objective, and whether it is proven."""
        held = held_kw is not None
        money = self._models.get(shape_of(instance, numbers, held=held))
        if candidates.count == 0:
            outcome = money.solve(instance, numbers, held_kw=held_kw)
            return outcome, outcome.bound_eur, True
        decided = self._models.get(shape_of(instance, numbers, candidates, held=held)).solve(
            instance,
            numbers,
            candidates=candidates,
            held_kw=held_kw,
            time_limit_s=time_limit_s,
        )
        if decided.decisions is not None:
            outcome = money.solve(instance, numbers, decisions=decided.decisions, held_kw=held_kw)
            if outcome.flows:
                return outcome, decided.bound_eur, decided.complete
        # No plan in time. The linear relaxation is a bound for every plan, and its net
        # directions are good directions; those of an idle battery always allow a plan.
        relaxed = money.solve(instance, numbers.relaxed(), held_kw=held_kw, calm=False)
        bound_eur = max(decided.bound_eur, relaxed.bound_eur)
        for directions in (
            relaxed.flows[0].directions(candidates),
            idle_directions(instance, candidates),
        ):
            outcome = money.solve(instance, numbers, decisions=directions, held_kw=held_kw)
            if outcome.flows:
                return outcome, bound_eur, False
        raise OptimizationError(
            "not even an idle battery was accepted as a plan.",
            field="optimization",
            value=candidates.count,
            hint="Please report this case.",
        )


_shared = Optimizer()


def solve(instance: Instance) -> Solution:
    """Return the cheapest plan from the process-wide `Optimizer` (see `Optimizer.solve`)."""
    return _shared.solve(instance)

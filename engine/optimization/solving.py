"""What plans need of whatever solves their problems: the model of record, or the router."""

from __future__ import annotations

from typing import Protocol

from engine.domain.clock import Clock
from engine.optimization.instance import Instance
from engine.optimization.scenario_model import ScenarioModel
from engine.optimization.shape import Shape
from engine.optimization.solution import Solution


class Solves(Protocol):
    """Solves planning problems."""

    def solve(self, instance: Instance) -> Solution:
        """Return the cheapest plan.

        Raises:
            OptimizationError: The solver failed.
        """
        ...


class SolvesScenarios(Protocol):
    """Solves planning problems, also several that share their first decision."""

    def solve(
        self,
        instance: Instance,
        *,
        held_kw: float | None = None,
        time_limit_s: float | None = None,
    ) -> Solution:
        """Return the cheapest plan; see `Optimizer.solve`."""
        ...

    def scenario_model(self, shape: Shape, count: int) -> ScenarioModel:
        """Return the kept model of `count` scenarios of one shape."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock that times the solves."""
        ...

    @property
    def time_limit_s(self) -> float:
        """Longest search of one solve with binary variables."""
        ...

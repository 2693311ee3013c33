"""One door for every instance: the kernel where it is proven, the model of record elsewhere."""

from __future__ import annotations

import dataclasses
import logging
import threading
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.domain.clock import Clock, SystemClock
from engine.optimization.check import check_solution
from engine.optimization.exactness import find_candidates
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.scenario_model import ScenarioModel
from engine.optimization.shape import Shape
from engine.optimization.solution import Solution

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.optimization.kernel.solver import KernelSolver, Watch

_log = logging.getLogger(__name__)


class Route(StrEnum):
    """Who is asked first.

    KERNEL: the kernel, always; for baselines, backtests and studies.
    RECORD: the model of record, except where it would need binary variables, which the kernel
    solves many times faster; for live planning, whose plans should be the calmest.
    """

    KERNEL = "kernel"
    RECORD = "record"


class RoutedOptimizer:
    """Solves instances by the kernel or the model of record; thread-safe.

    Both find the same optimum; `Solution.solver` says who did, and why the kernel did not where
    it was asked first. `gap` and `status` are the certificate of either. A kernel plan that
    fails the independent check is dropped, logged, and solved by the model of record.

    Args:
        route: Who is asked first.
        clock: Times the solves.
        time_limit_s: Longest search of one solve.
        optimizer: The model of record; a new one when None.
        ready: Whether the kernel may be used now; until it says so the model of record solves.
            None: always, and the first solve compiles it where that was never done.
        keeps_window: Only plans that keep the energy window count for the kernel, which then
            also takes problems that are not convex of a store with standby consumption; for
            foresight over long periods, where the model of record would take minutes.
    """

    def __init__(
        self,
        route: Route = Route.KERNEL,
        *,
        clock: Clock | None = None,
        time_limit_s: float = 10.0,
        optimizer: Optimizer | None = None,
        ready: Callable[[], bool] | None = None,
        keeps_window: bool = False,
    ) -> None:
        self._ready = ready
        self._keeps_window = keeps_window
        self._route = route
        self._clock = clock or SystemClock()
        self._time_limit_s = time_limit_s
        self.model_of_record = optimizer or Optimizer(self._clock, time_limit_s)
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._kernel: KernelSolver | None = None

    def solve(
        self,
        instance: Instance,
        *,
        held_kw: float | None = None,
        time_limit_s: float | None = None,
        watch: Watch | None = None,
    ) -> Solution:
        """Return the cheapest plan.

        Args:
            instance: The planning problem.
            held_kw: Battery power of the first step if it is decided already (+ discharge);
                only the model of record takes one.
            time_limit_s: Longest search; the optimiser's own when None.
            watch: Told now and then which share of that time a search has used; it may raise.

        Raises:
            OptimizationError: The solver failed.
        """
        reason = self._kept_from_kernel(instance, held_kw)
        if reason is None:
            answer = self._by_kernel(instance, time_limit_s, watch)
            if isinstance(answer, Solution):
                return answer
            reason = answer
        self._say(reason)
        solution = self.model_of_record.solve(
            instance, held_kw=held_kw, time_limit_s=time_limit_s or self._time_limit_s
        )
        if self._route is Route.RECORD and find_candidates(instance).count == 0:
            return solution
        return dataclasses.replace(solution, solver=f"{solution.solver}, kernel: {reason}")

    def scenario_model(self, shape: Shape, count: int) -> ScenarioModel:
        """Return the model of record's kept model of `count` scenarios of one shape."""
        return self.model_of_record.scenario_model(shape, count)

    @property
    def clock(self) -> Clock:
        """The clock that times the solves."""
        return self._clock

    @property
    def time_limit_s(self) -> float:
        """Longest search of one solve."""
        return self._time_limit_s

    def _kept_from_kernel(self, instance: Instance, held_kw: float | None) -> str | None:
        if held_kw is not None:
            return "the first step is held"
        if self._route is Route.RECORD and find_candidates(instance).count == 0:
            return "linear"
        if self._ready is not None and not self._ready():
            return "not compiled yet"
        return None

    def _say(self, reason: str) -> None:
        """Log why the kernel did not solve, each reason once."""
        if self._route is Route.KERNEL and reason not in self._said:
            self._said.add(reason)
            _log.info("the model of record solves instead of the kernel: %s", reason)

    def _by_kernel(
        self, instance: Instance, time_limit_s: float | None, watch: Watch | None
    ) -> Solution | str:
        answer = self._solver().attempt(
            instance,
            time_limit_s=self._time_limit_s if time_limit_s is None else time_limit_s,
            watch=watch,
        )
        if not isinstance(answer, Solution):
            return answer.reason
        check = check_solution(instance, answer)
        if not check.passed:
            _log.error("a kernel plan failed its check: %s", " ".join(check.messages))
            return "its plan failed the check"
        return answer

    def _solver(self) -> KernelSolver:
        """Return the kernel, imported at first use: numba takes a second."""
        with self._lock:
            if self._kernel is None:
                from engine.optimization.kernel.solver import KernelSolver
                from engine.optimization.kernel.warm import warm

                warm()
                self._kernel = KernelSolver(
                    self._clock, self._time_limit_s, keeps_window=self._keeps_window
                )
            return self._kernel

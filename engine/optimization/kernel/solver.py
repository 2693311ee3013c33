"""The kernel behind the interface of the optimiser: `solve(instance)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.instance import Instance
from engine.optimization.kernel.blocks import many_peaks_plan
from engine.optimization.kernel.branch import TOO_MANY_LINES, branched_plan
from engine.optimization.kernel.convex import FLOOR, LOW
from engine.optimization.kernel.forward import PRICE, STORED_VALUE
from engine.optimization.kernel.found import Found, with_prices
from engine.optimization.kernel.peaks import (
    NOT_CONVEX,
    SOLVED,
    convex_plan,
    one_peak_plan,
)
from engine.optimization.kernel.problem import (
    PEAK_EXCESS,
    KernelProblem,
    problem_of,
    unsupported,
)
from engine.optimization.kernel.stage import HOURS, RULES
from engine.optimization.outcome import Outcome
from engine.optimization.result import solution_from
from engine.optimization.solution import Solution

Watch = Callable[[float], None]
"""Told how far a search is, 0..1; may raise to end it."""


def convex_search(problem: KernelProblem, rows: FloatArray) -> tuple[int, Found | None]:
    """Solve a problem whose steps are all convex, its peaks included.

    Args:
        problem: The problem.
        rows: Its steps, directions decided where needed; a peak's kinks are written into them.

    Returns:
        Code (SOLVED, NOT_CONVEX or IMPOSSIBLE) and what was found.
    """
    end, peaks = problem.end, problem.peaks
    if len(peaks) > 1:
        return many_peaks_plan(problem, rows)
    common = (
        rows,
        problem.numbers,
        problem.states,
        end.slopes,
        end.widths,
        end.left_kwh,
        end.value_eur,
        problem.energy_kwh,
    )
    if not peaks:
        code, cost, plan, *_ = convex_plan(*common)
        return code, Found(cost, cost, plan, (), 1) if code == SOLVED else None
    (peak,) = peaks
    charge = peak.charge_eur_per_kw
    code, cost, bound, at, trials, plan, left, right, weight = one_peak_plan(
        *common,
        peak.billed.astype(np.float64),
        charge,
        peak.floor_kw,
        PEAK_EXCESS * charge / problem.numbers[HOURS],
    )
    if code != SOLVED:
        return code, None
    with_prices(plan, slice(None), [(weight, left.copy()), (1.0 - weight, right.copy())])
    return code, Found(cost, min(bound, cost), plan, (at,), trials)


@dataclass(frozen=True, slots=True)
class NotCovered:
    """The kernel has no proven answer for an instance.

    Attributes:
        reason: Why, in a few words.
    """

    reason: str


class KernelSolver:
    """Solves instances by the dynamic programme; thread-safe, keeps nothing between solves.

    It returns the optimum the model of record has, proven by the same bounds; of several plans
    with that cost it takes one of its own (see `forward`), not always the calmest.

    Args:
        clock: Times the solves.
        time_limit_s: Longest search on peaks of a problem that is not convex; afterwards the
            best plan is returned with the gap that remains.
        keeps_window: The answer is the optimum of all plans that keep the energy window. The
            model of record may leave it at a price; False covers only what is proven to be the
            same, which with standby consumption is the case of convex problems.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        time_limit_s: float = 10.0,
        *,
        keeps_window: bool = False,
    ) -> None:
        self._clock = clock or SystemClock()
        self._time_limit_s = time_limit_s
        self._keeps_window = keeps_window

    def solve(self, instance: Instance) -> Solution:
        """Return the cheapest plan.

        Raises:
            OptimizationError: The kernel does not cover the instance; the router would send it
                to the model of record.
        """
        answer = self.attempt(instance)
        if isinstance(answer, NotCovered):
            raise OptimizationError(
                f"the kernel does not cover this problem: {answer.reason}.",
                field="optimization",
                value=answer.reason,
                hint="Use the routed optimiser, which solves it with the model of record.",
            )
        return answer

    def attempt(
        self,
        instance: Instance,
        *,
        time_limit_s: float | None = None,
        watch: Watch | None = None,
    ) -> Solution | NotCovered:
        """Return the cheapest plan, or why the kernel has none it can prove.

        Args:
            instance: The planning problem.
            time_limit_s: Longest search; the solver's own when None.
            watch: Told now and then which share of that time is used up; it may raise.
        """
        began = self._clock.monotonic()
        limit_s = self._time_limit_s if time_limit_s is None else time_limit_s
        reason = unsupported(instance)
        if reason is not None:
            return NotCovered(reason)
        problem = problem_of(instance)
        label = "kernel (DP)"
        code, found = NOT_CONVEX, None
        if not problem.rows[:, RULES].any():
            code, found = convex_search(problem, problem.rows.copy())
        if code == NOT_CONVEX:
            if problem.standby_drains and not self._keeps_window:
                return NotCovered("not convex, and standby drains the store below its window")
            label = "kernel (non-convex DP)"

            def out_of_time() -> bool:
                used_s = self._clock.monotonic() - began
                if watch is not None:
                    watch(min(1.0, used_s / limit_s) if limit_s > 0.0 else 1.0)
                return used_s > limit_s

            code, found = branched_plan(problem, convex_search, out_of_time)
        if found is None:
            return NotCovered(
                "a cost-to-go with too many corners"
                if code == TOO_MANY_LINES
                else "no plan keeps the energy window"
            )
        doubt = _unproven(problem, found, keeps_window=self._keeps_window)
        if doubt is not None:
            return NotCovered(doubt)
        return solution_from(
            instance,
            found.flows(),
            Outcome(found.complete, found.cost_eur, found.bound_eur, (), found.duals()),
            bound_eur=found.bound_eur,
            complete=found.complete,
            solver=label if not problem.peaks else f"{label[:-1]}, {found.solves} solves)",
            solve_ms=(self._clock.monotonic() - began) * 1000.0,
        )


def _unproven(problem: KernelProblem, found: Found, *, keeps_window: bool) -> str | None:
    """Return what was assumed of an unusual window and does not hold; None when all does."""
    if problem.starts_below:
        floor_kwh = float(problem.states[0, FLOOR])
        below = np.maximum(floor_kwh - found.energy_kwh, 0.0)
        before = np.concatenate(([max(floor_kwh - problem.energy_kwh, 0.0)], below[:-1]))
        return "going deeper below the window" if np.any(below > before + 1e-9) else None
    if not problem.standby_drains or keeps_window:
        return None
    # The window was held hard; in the model of record leaving it is priced. Leaving does not
    # pay if the window's multipliers nu can be paid from those prices: with y_t the dual of
    # "going deeper", y_t >= y_{t+1} + nu_t - price of being outside, 0 <= y_t <= price of going
    # deeper, and at the end the price of still being outside.
    stored = found.plan[:, STORED_VALUE]
    earlier = np.concatenate(([-float(found.plan[0, PRICE])], stored[:-1]))
    held = found.energy_kwh <= problem.states[:, LOW] + 1e-8
    pressure = np.where(held, np.maximum(earlier - stored, 0.0), 0.0)
    prices = problem.prices
    outside = float(problem.numbers[HOURS]) * prices.outside_window_eur_per_kwh_h
    owed = -prices.final_eur_per_kwh
    for nu in pressure[::-1]:
        owed = max(0.0, owed + float(nu) - outside)
        if owed > prices.deeper_eur_per_kwh:
            return "leaving the window may pay"
    if float(max(stored.max(), earlier.max())) > prices.standby_eur_per_kwh:
        return "leaving standby uncovered may pay"
    return None

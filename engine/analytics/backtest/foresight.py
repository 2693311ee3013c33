"""The whole period known at once: the optimum, and each strategy's own best."""

from __future__ import annotations

from collections.abc import Callable

from engine.analytics.backtest.accounts import traces_of, whole_period
from engine.analytics.backtest.policy import AUTO, Policy
from engine.analytics.backtest.prepared import Prepared
from engine.analytics.backtest.result import Traces
from engine.domain.errors import OptimizationError
from engine.domain.strategy import StrategyKey
from engine.optimization.check import check_solution
from engine.optimization.routed import RoutedOptimizer
from engine.optimization.solution import Solution
from engine.optimization.terms import BilledPeak
from engine.strategies.configured import configure
from engine.strategies.parameters import StrategyContext, StrategyParameters

TIME_LIMIT_S = 10.0
"""Longest proof over a year with steps that are not convex. The optimum itself is found at the
start of the search; what remains unproven is stated, some hundredths of a percent of a saving."""


def perfect_traces(
    prepared: Prepared,
    policy: Policy,
    optimizer: RoutedOptimizer | None = None,
    *,
    watch: Callable[[float], None] | None = None,
) -> tuple[Traces, Solution]:
    """Return what the strategy of `policy` does when it knows the whole period.

    The automatic choice takes the best of its candidates once, which is the co-optimised one.
    Plans that keep the energy window count, as the closed loop cannot leave it either.

    Args:
        prepared: The case.
        policy: Its strategy.
        optimizer: Solves it; one of its own when None.
        watch: Told which share of the longest search is used up; it may raise.

    Raises:
        OptimizationError: No optimum was found, or it failed its independent check.
    """
    key = StrategyKey.CO_OPTIMISED if policy.strategy == AUTO else StrategyKey(policy.strategy)
    true = whole_period(prepared, billed_peaks=whole_peaks(prepared))
    problem = configure(key, true, strategy_parameters(prepared), StrategyContext())
    solver = optimizer or RoutedOptimizer(time_limit_s=TIME_LIMIT_S, keeps_window=True)
    solution = solver.solve(problem, watch=watch)
    check = check_solution(problem, solution)
    if not check.passed:
        raise OptimizationError(
            "the optimum of the period failed its independent check: " + " ".join(check.messages),
            field="backtest.perfect",
            value=prepared.case.start,
            hint="Please report this case.",
        )
    curtailed = None if not problem.curtailment_allowed else solution.curtailed_kw
    traces = traces_of(prepared, solution.battery_kw, solution.soc_kwh, curtailed)
    return traces, solution


def whole_peaks(prepared: Prepared) -> tuple[BilledPeak, ...]:
    """Return the demand charges of the period, one per billing period."""
    span = prepared.span
    billed, period = prepared.billed[span], prepared.period[span]
    out = []
    for number, terms in enumerate(prepared.periods):
        here = billed & (period == number)
        if here.any():
            out.append(BilledPeak(here, terms.eur_per_kw))
    return tuple(out)


def strategy_parameters(prepared: Prepared) -> StrategyParameters:
    """Return the settings of the pure strategies, as the live planner has them."""
    strategies = prepared.case.strategies
    return StrategyParameters(
        peak_target_kw=strategies.peak_target_kw,
        balancing_window_hours=strategies.balancing_window_hours,
    )

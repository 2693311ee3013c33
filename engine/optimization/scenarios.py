"""Planning against several possible futures: one first decision, recourse in each of them.

Source: optimisation notes, section 3b. Where load, PV power and a billed peak matter, ten
paths of past forecast errors beat the plan against the middle forecast on every site; a
risk measure (CVaR) added nothing over the mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.candidates import Candidates
from engine.optimization.coefficients import coefficients
from engine.optimization.directions import both_ways, idle_directions
from engine.optimization.exactness import find_candidates
from engine.optimization.instance import Instance
from engine.optimization.outcome import Decisions, Duals, Flows, Outcome
from engine.optimization.result import solution_from
from engine.optimization.shape import Form, Shape, common_shape, shape_of
from engine.optimization.solution import Solution
from engine.optimization.solving import SolvesScenarios

THREE_PATH_WEIGHTS = (0.3, 0.4, 0.3)
"""Weights of the P10, P50 and P90 path (Swanson's rule: their weighted mean is close to the
mean of a moderately skewed distribution)."""

_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioSolution:
    """A plan made against several scenarios.

    Attributes:
        plan: Complete plan for the expected instance with the common first decision held. It
            passes `check_solution` there; its `stored_value_eur_per_kwh` is the scenarios'
            mean, which is what a kWh is worth while it is not known which one comes true.
        first_battery_kw: Battery power of the first step, common to all, + discharge.
        expected_cost_eur: Weighted mean of the scenarios' costs (money only).
        stored_value_eur_per_kwh: Weighted mean of the scenarios' values of a stored kWh at the
            END of each step, shape (n,).
        paths: Each scenario's own plan after the common first step.
        weights: Probabilities, shape (k,), sum 1.
        exact: False where directions were decided one scenario at a time; the common first
            decision is then good, but not proven the best.
        solver: Solver, number of scenarios, and how directions were decided.
        solve_ms: Wall time of everything.
    """

    plan: Solution
    first_battery_kw: float
    expected_cost_eur: float
    stored_value_eur_per_kwh: FloatArray
    paths: tuple[Solution, ...]
    weights: FloatArray
    exact: bool
    solver: str
    solve_ms: float


def quantile_scenarios(p10: ArrayLike, p50: ArrayLike, p90: ArrayLike) -> FloatArray:
    """Return three paths, shape (3, n), for the weights `THREE_PATH_WEIGHTS`; none below 0.

    Args:
        p10: Lower forecast, shape (n,).
        p50: Middle forecast, shape (n,).
        p90: Upper forecast, shape (n,).
    """
    return np.maximum(np.array([p10, p50, p90], dtype=np.float64), 0.0)


def residual_scenarios(
    p50: ArrayLike, past_residuals: ArrayLike, rng: np.random.Generator, k: int = 10
) -> FloatArray:
    """Return `k` paths: the forecast plus errors that forecasts like it made before.

    The residuals are whole paths (metered minus forecast) of forecasts issued at the same
    clock time on past days, 2 to 11 days back in the notes: errors keep their growth with
    the lead time and their correlation. Give several series at once, for example load and
    PV, to draw the same days for all of them. Without repetition as long as days last.

    Args:
        p50: Forecast, shape (n,) or (series, n), >= 0.
        past_residuals: Shape (days, n) or (days, series, n), days >= 1.
        rng: Draws the days.
        k: Number of paths, >= 1.

    Returns:
        Paths of shape (k, n) or (k, series, n), none below 0.

    Raises:
        OptimizationError: The shapes do not fit, a value is missing, or `k` is below 1.
    """
    middle = np.array(p50, dtype=np.float64)
    residuals = np.array(past_residuals, dtype=np.float64)
    if residuals.shape[1:] != middle.shape or residuals.shape[0] == 0:
        raise OptimizationError(
            f"residuals of shape {residuals.shape} do not fit a forecast of {middle.shape}.",
            field="past_residuals",
            value=residuals.shape,
            hint="Give one path of the forecast's shape per past day.",
        )
    if not (np.isfinite(residuals).all() and np.isfinite(middle).all()):
        raise OptimizationError(
            "a forecast or residual is missing.",
            field="past_residuals",
            value=int((~np.isfinite(residuals)).sum()),
            hint="Leave out days whose metering has gaps.",
        )
    if k < 1:
        raise OptimizationError(
            f"{k} is no number of paths.", field="k", value=k, hint="Give 1 or more."
        )
    days = residuals.shape[0]
    rounds = [rng.permutation(days) for _ in range(-(-k // days))]
    return np.maximum(middle + residuals[np.concatenate(rounds)[:k]], 0.0)


def solve_scenarios(
    instances: Sequence[Instance],
    weights: ArrayLike | None = None,
    *,
    optimizer: SolvesScenarios,
    expected: Instance | None = None,
) -> ScenarioSolution:
    """Return the plan whose first decision is best on average over the scenarios.

    Linear where that is exact in every scenario. Where directions must be decided, those
    of later steps come from each scenario's own solve (within a shared time limit), those of
    the first step from a search over the scenarios together; `solver` and `exact` say so.

    Args:
        instances: One per scenario: the same plant, start and terms, other load, PV or prices.
        weights: Their probabilities (scaled to sum 1); equal when None.
        optimizer: Keeps the compiled problems.
        expected: What the published plan is made for, usually the P50 instance; the first
            scenario when None.

    Raises:
        OptimizationError: The scenarios do not belong together, or the solver failed.
    """
    began = optimizer.clock.monotonic()
    share = _shares(instances, weights)
    _belong_together(instances)
    paths, decided, idle = _paths(list(instances), share, optimizer)
    first_kw = float(paths[0].battery_kw[0])
    value = np.average([path.stored_value_eur_per_kwh for path in paths], axis=0, weights=share)
    solver = f"HIGHS (LP, {len(paths)} scenarios"
    if decided:
        by = "as an idle battery" if idle else "one scenario at a time"
        solver += f", {decided} directions decided {by}"
    solver += ")"
    plan = optimizer.solve(instances[0] if expected is None else expected, held_kw=first_kw)
    solve_ms = (optimizer.clock.monotonic() - began) * 1000.0
    return ScenarioSolution(
        plan=dataclasses.replace(
            plan, stored_value_eur_per_kwh=value, solver=solver, solve_ms=solve_ms
        ),
        first_battery_kw=first_kw,
        expected_cost_eur=float(np.average([path.cost_eur for path in paths], weights=share)),
        stored_value_eur_per_kwh=value,
        paths=tuple(paths),
        weights=share,
        exact=decided == 0,
        solver=solver,
        solve_ms=solve_ms,
    )


def _shares(instances: Sequence[Instance], weights: ArrayLike | None) -> FloatArray:
    count = len(instances)
    given = np.ones(count) if weights is None else np.array(weights, dtype=np.float64)
    if count == 0 or given.shape != (count,) or not np.isfinite(given).all() or given.min() <= 0.0:
        raise OptimizationError(
            f"weights {given.tolist()} do not fit {count} scenarios.",
            field="weights",
            value=given.tolist(),
            hint="Give one number above 0 per scenario, at least one scenario.",
        )
    share: FloatArray = given / given.sum()
    return share


def _belong_together(instances: Sequence[Instance]) -> None:
    first = instances[0]
    for index, other in enumerate(instances):
        for name in ("start", "step_minutes", "n_steps", "energy_start_kwh"):
            if getattr(other, name) != getattr(first, name):
                raise OptimizationError(
                    f"scenario {index} differs from the first one.",
                    field=name,
                    value=getattr(other, name),
                    hint="Scenarios share the plant and the horizon; load, PV and prices differ.",
                )


def _paths(
    instances: list[Instance], weights: FloatArray, optimizer: SolvesScenarios
) -> tuple[list[Solution], int, bool]:
    """Return each scenario's plan, how many directions were decided, and whether as idle."""
    candidates = [find_candidates(instance) for instance in instances]
    own: dict[int, Decisions] = {}
    for _ in range(_ROUNDS):
        for index, found in enumerate(candidates):
            if found.count and index not in own:
                # Only directions are taken from it, so the searches share one time limit.
                limit_s = optimizer.time_limit_s / len(instances)
                alone = optimizer.solve(instances[index], time_limit_s=limit_s)
                own[index] = Decisions(found, alone.battery_kw <= 0.0, alone.grid_kw >= 0.0)
        answer = _solve_with(instances, weights, candidates, own, optimizer)
        idle = answer is None
        if answer is None:
            idle_ones = {
                index: idle_directions(instances[index], candidates[index]) for index in own
            }
            answer = _solve_with(instances, weights, candidates, idle_ones, optimizer)
        if answer is None:
            break
        remaining = [
            both_ways(instance, flows)
            for instance, (flows, _) in zip(instances, answer, strict=True)
        ]
        if not any(found.count for found in remaining):
            paths = [
                _path(instance, flows, duals)
                for instance, (flows, duals) in zip(instances, answer, strict=True)
            ]
            return paths, sum(found.count for found in candidates), idle
        every_step = np.ones(instances[0].n_steps, dtype=np.bool_)
        for index, found in enumerate(remaining):
            if found.count:
                candidates[index] = Candidates(every_step, every_step)
                own.pop(index, None)
    raise OptimizationError(
        "the scenarios have no common first decision.",
        field="optimization",
        value=len(instances),
        hint="Please report this case: an idle battery is one.",
    )


def _solve_with(
    instances: list[Instance],
    weights: FloatArray,
    candidates: list[Candidates],
    own: dict[int, Decisions],
    optimizer: SolvesScenarios,
) -> list[tuple[Flows, Duals]] | None:
    numbers = [
        coefficients(instance, found) for instance, found in zip(instances, candidates, strict=True)
    ]
    shape = _shape([shape_of(one, its) for one, its in zip(instances, numbers, strict=True)])
    later = [
        own[index].without_first() if index in own else None for index in range(len(instances))
    ]
    held: list[Decisions | None] = [own.get(index) for index in range(len(instances))]
    undecided = [_first_only(found) for found in candidates]
    if any(found.count for found in undecided):
        deciding = dataclasses.replace(
            shape,
            form=Form.DECIDED,
            grid_decided=any(bool(found.grid[0]) for found in undecided),
        )
        firsts = optimizer.scenario_model(deciding, len(instances)).decide_first_step(
            instances,
            numbers,
            weights,
            later,
            undecided=undecided,
            time_limit_s=optimizer.time_limit_s,
        )
        if firsts is None:
            return None
        held = [
            None if own.get(index) is None else _with_first(own[index], first)
            for index, first in enumerate(firsts)
        ]
    model = optimizer.scenario_model(shape, len(instances))
    return model.solve(instances, numbers, weights, held)


def _shape(shapes: list[Shape]) -> Shape:
    shape = common_shape(shapes)
    if shape is None:
        raise OptimizationError(
            "the scenarios do not have the same terms.",
            field="instances",
            value=len(shapes),
            hint="Give every scenario the same peaks, preferences, rules and wishes.",
        )
    return shape


def _first_only(candidates: Candidates) -> Candidates:
    battery, grid = np.zeros_like(candidates.battery), np.zeros_like(candidates.grid)
    battery[0], grid[0] = candidates.battery[0], candidates.grid[0]
    return Candidates(battery, grid)


def _with_first(decisions: Decisions, first: Decisions) -> Decisions:
    charging, importing = decisions.charging.copy(), decisions.importing.copy()
    charging[0], importing[0] = first.charging[0], first.importing[0]
    return Decisions(decisions.candidates, charging, importing)


def _path(instance: Instance, flows: Flows, duals: Duals) -> Solution:
    # One scenario's share of a joint solve has no objective of its own; no gap is claimed.
    outcome = Outcome(True, 0.0, 0.0, (flows,), duals)
    return solution_from(
        instance,
        flows,
        outcome,
        bound_eur=0.0,
        complete=True,
        solver="HIGHS (LP, one of several scenarios)",
        solve_ms=0.0,
    )

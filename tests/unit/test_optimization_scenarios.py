"""Several futures, one first decision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.optimization.check import check_solution
from engine.optimization.coefficients import coefficients
from engine.optimization.exactness import find_candidates
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.scenario_model import ScenarioModel
from engine.optimization.scenarios import (
    quantile_scenarios,
    residual_scenarios,
    solve_scenarios,
)
from engine.optimization.shape import Form, shape_of
from engine.optimization.terms import BilledPeak
from tests.unit.optimization_cases import small

OPTIMIZER = Optimizer()


def peak_hours(load_kw: list[float], **given: object) -> Instance:
    """Return hours of a lossless 8 kWh store at a flat price with a demand charge of 1 EUR/kW."""
    n = len(load_kw)
    return small(
        n,
        load_kw=load_kw,
        eta_charge=1.0,
        eta_discharge=1.0,
        energy_start_kwh=10.0,
        energy_final_min_kwh=2.0,
        buy_eur_per_kwh=[0.0] * n,
        sell_eur_per_kwh=[-1.0] * n,
        billed_peaks=(BilledPeak(np.ones(n, dtype=np.bool_), 1.0, 0.0),),
        **given,
    )


def test_one_scenario_is_the_deterministic_plan() -> None:
    instance = peak_hours([12.0, 6.0, 9.0])
    alone = OPTIMIZER.solve(instance)
    together = solve_scenarios([instance], optimizer=OPTIMIZER)
    assert together.expected_cost_eur == pytest.approx(alone.cost_eur)
    assert together.plan.battery_kw == pytest.approx(alone.battery_kw, abs=1e-6)
    assert together.exact


def test_the_first_decision_hedges_between_the_scenarios() -> None:
    # Hour 1 has 10 kW of load, hour 2 either 10 or 16 kW; 8 kWh are stored; no recharging
    # pays. Scenario "10": peak is max(10 - x, 10 - (8 - x)): least at x = 4.
    # Scenario "16": max(10 - x, 16 - (8 - x)) = max(10 - x, 8 + x): least at x = 1.
    # Equal weights: (max(10 - x, 2 + x) + max(10 - x, 8 + x)) / 2: slope (-1 + 1) / 2 = 0
    # between x = 1 and 4, so any x in there is best at (10 - x + 8 + x) / 2 = 9 EUR.
    # Weight 3 on "16": slope (-1 + 3) / 4 > 0 beyond x = 1: x = 1, 9 + 3 x 9 = 36 / 4 = 9 EUR.
    low, high = peak_hours([10.0, 10.0]), peak_hours([10.0, 16.0])
    even = solve_scenarios([low, high], optimizer=OPTIMIZER)
    assert 1.0 - 1e-6 <= even.first_battery_kw <= 4.0 + 1e-6
    assert even.expected_cost_eur == pytest.approx(9.0)
    careful = solve_scenarios([low, high], [1, 3], optimizer=OPTIMIZER)
    assert careful.first_battery_kw == pytest.approx(1.0)
    assert careful.expected_cost_eur == pytest.approx(9.0)
    assert [path.peaks_kw[0] for path in careful.paths] == pytest.approx([9.0, 9.0])


def test_every_path_and_the_published_plan_are_real_plans() -> None:
    paths = [peak_hours([12.0, load, 9.0]) for load in (4.0, 9.0, 15.0)]
    expected = peak_hours([12.0, 8.0, 9.0])
    found = solve_scenarios(paths, optimizer=OPTIMIZER, expected=expected)
    for instance, path in zip(paths, found.paths, strict=True):
        assert check_solution(instance, path).passed
        assert path.battery_kw[0] == pytest.approx(found.first_battery_kw, abs=1e-6)
    assert check_solution(expected, found.plan).passed
    assert found.plan.battery_kw[0] == pytest.approx(found.first_battery_kw, abs=1e-6)
    values = np.mean([path.stored_value_eur_per_kwh for path in found.paths], axis=0)
    assert found.plan.stored_value_eur_per_kwh == pytest.approx(values)


def test_no_better_common_first_decision_exists() -> None:
    paths = [peak_hours([12.0, load, 9.0]) for load in (4.0, 9.0, 15.0)]
    found = solve_scenarios(paths, optimizer=OPTIMIZER)
    for first_kw in np.linspace(-8.0, 10.0, 37):
        costs = [OPTIMIZER.solve(path, held_kw=float(first_kw)).cost_eur for path in paths]
        assert found.expected_cost_eur <= np.mean(costs) + 1e-6


def test_a_held_decision_gives_way_only_to_limits() -> None:
    # 30 kW are asked for, the battery can do 10.
    plan = OPTIMIZER.solve(peak_hours([12.0, 6.0]), held_kw=30.0)
    assert plan.battery_kw[0] == pytest.approx(8.0)
    plan = OPTIMIZER.solve(peak_hours([12.0, 6.0]), held_kw=-3.0)
    assert plan.battery_kw[0] == pytest.approx(-3.0)


def test_fixed_feed_in_above_negative_prices_in_every_scenario() -> None:
    paths = [
        small(
            4,
            buy_eur_per_kwh=[-0.2, -0.1, -0.3, 0.3],
            sell_eur_per_kwh=[0.08] * 4,
            load_kw=[load] * 4,
            pv_kw=[6.0, 9.0, 3.0, 0.0],
        )
        for load in (2.0, 5.0, 8.0)
    ]
    found = solve_scenarios(paths, optimizer=OPTIMIZER)
    assert not found.exact
    assert "directions decided one scenario at a time" in found.solver
    for instance, path in zip(paths, found.paths, strict=True):
        assert check_solution(instance, path).passed
    alone = [OPTIMIZER.solve(path).cost_eur for path in paths]
    assert found.expected_cost_eur >= np.mean(alone) - 1e-6
    assert check_solution(paths[0], found.plan).passed


def test_burning_found_only_after_the_solve_is_decided_then() -> None:
    # The full store must take 30 kW in hour 2 of which 10 may be exported; hour 1 cannot
    # tell from its price that burning energy would make room.
    paths = [
        small(
            2,
            energy_start_kwh=18.0,
            pv_kw=[pv, 30.0],
            export_limit_kw=[10.0, 10.0],
            curtailment_allowed=False,
        )
        for pv in (0.0, 2.0)
    ]
    found = solve_scenarios(paths, optimizer=OPTIMIZER)
    for instance, path in zip(paths, found.paths, strict=True):
        assert check_solution(instance, path).passed


def test_the_scenario_problem_is_dpp() -> None:
    instance = peak_hours([12.0, 6.0])
    numbers = coefficients(instance, find_candidates(instance))
    assert ScenarioModel((shape_of(instance, numbers), 3)).problem.is_dpp()
    decided = shape_of(instance, numbers, find_candidates(instance))
    assert decided.form is Form.DECIDED
    assert ScenarioModel((decided, 2)).problem.is_dpp()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"energy_start_kwh": 9.0}, "energy_start_kwh"),
        ({"ramp_eur_per_kw": 1.0}, "instances"),
    ],
)
def test_scenarios_must_belong_together(change: dict[str, float], field: str) -> None:
    first = peak_hours([12.0, 6.0])
    with pytest.raises(OptimizationError) as caught:
        solve_scenarios([first, dataclasses.replace(first, **change)], optimizer=OPTIMIZER)
    assert caught.value.field == field


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, np.nan]])
def test_weights_must_fit(weights: list[float]) -> None:
    first = peak_hours([12.0, 6.0])
    with pytest.raises(OptimizationError, match="do not fit 2 scenarios"):
        solve_scenarios([first, first], weights, optimizer=OPTIMIZER)


def test_residual_paths_are_past_errors_on_top_of_the_forecast() -> None:
    p50 = np.array([10.0, 10.0, 1.0])
    errors = np.array([[1.0, 2.0, 0.0], [-1.0, -3.0, -4.0]])
    paths = residual_scenarios(p50, errors, np.random.default_rng(3), k=2)
    assert sorted(map(tuple, paths)) == [(9.0, 7.0, 0.0), (11.0, 12.0, 1.0)]
    many = residual_scenarios(p50, errors, np.random.default_rng(3), k=5)
    assert many.shape == (5, 3)
    again = residual_scenarios(p50, errors, np.random.default_rng(3), k=5)
    assert many.tolist() == again.tolist()


def test_load_and_pv_are_drawn_from_the_same_days() -> None:
    p50 = np.full((2, 3), 50.0)
    errors = np.arange(4.0)[:, None, None] * np.array([1.0, -10.0])[None, :, None]
    paths = residual_scenarios(p50, np.broadcast_to(errors, (4, 2, 3)), np.random.default_rng(1))
    assert paths.shape == (10, 2, 3)
    assert (paths[:, 1] - 50.0) == pytest.approx(-10.0 * (paths[:, 0] - 50.0))


@pytest.mark.parametrize(
    ("residuals", "k", "field"),
    [
        (np.zeros((2, 4)), 3, "past_residuals"),
        (np.zeros((0, 3)), 3, "past_residuals"),
        (np.full((2, 3), np.nan), 3, "past_residuals"),
        (np.zeros((2, 3)), 0, "k"),
    ],
)
def test_residuals_must_fit(residuals: np.ndarray, k: int, field: str) -> None:
    with pytest.raises(OptimizationError) as caught:
        residual_scenarios(np.zeros(3), residuals, np.random.default_rng(0), k)
    assert caught.value.field == field


def test_three_paths_never_go_below_zero() -> None:
    assert quantile_scenarios([-1.0], [2.0], [5.0]).tolist() == [[0.0], [2.0], [5.0]]

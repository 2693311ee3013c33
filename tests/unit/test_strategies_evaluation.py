"""A schedule's worth and its key figures, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.domain.strategy import StrategyKey
from engine.optimization.instance import Instance
from engine.optimization.optimizer import solve
from engine.strategies.evaluation import evaluate
from tests.unit.optimization_cases import site_day, small


def lossless(n: int, **given: Any) -> Instance:
    """Return `n` hours of a lossless battery, 10 kWh in it, window 0..100 kWh, 50 kW."""
    return small(
        n,
        **{
            "eta_charge": 1.0,
            "eta_discharge": 1.0,
            "energy_min_kwh": 0.0,
            "energy_max_kwh": 100.0,
            "energy_start_kwh": 0.0,
            "charge_limit_kw": [50.0] * n,
            "discharge_limit_kw": [50.0] * n,
        }
        | given,
    )


# -- money -----------------------------------------------------------------------------


def test_it_agrees_with_the_optimiser_on_its_own_plan() -> None:
    instance = site_day(
        demand_charge_eur_per_kw=8.0, incurred_peak_kw=20.0, terminal_value_eur_per_kwh=0.12
    )
    solution = solve(instance)
    worth = evaluate(instance, solution.battery_kw, solution.curtailed_kw)
    assert worth.paid_eur == pytest.approx(solution.cost_eur, abs=1e-9)
    assert worth.cost_eur == pytest.approx(solution.objective_eur, abs=1e-9)
    assert worth.energy_eur == pytest.approx(solution.energy_cost_eur, abs=1e-9)
    assert worth.wear_eur == pytest.approx(solution.wear_cost_eur, abs=1e-9)
    assert worth.demand_eur == pytest.approx(solution.demand_cost_eur, abs=1e-9)
    np.testing.assert_allclose(worth.run.soc_kwh, solution.soc_kwh, atol=1e-9)


def test_by_hand() -> None:
    # 10 kWh stored; hour 0 charges 5 kWh AC, hour 2 delivers 9 of the 8 + 1 kW needed.
    instance = small(
        load_kw=[0.0, 2.0, 12.0],
        wear_charge_eur_per_kwh=0.01,
        wear_discharge_eur_per_kwh=0.02,
        demand_charge_eur_per_kw=3.0,
        incurred_peak_kw=4.0,
        terminal_value_eur_per_kwh=0.10,
    )
    worth = evaluate(instance, [-5.0, 0.0, 9.0])
    assert worth.energy_eur == pytest.approx((5.0 + 2.0 + 3.0) * 0.20)
    assert worth.wear_eur == pytest.approx(5.0 * 0.01 + 9.0 * 0.02)
    assert worth.demand_eur == pytest.approx((5.0 - 4.0) * 3.0)
    assert worth.terminal_eur == pytest.approx((10.0 + 4.5 - 10.0) * 0.10)
    assert worth.peak_kw == 5.0
    assert worth.full_cycles == pytest.approx(10.0 / 16.0)
    assert worth.ramp_kw == pytest.approx(3.0 + 1.0)
    # Without a battery: 14 kWh and a peak of 12 kW; the 10 kWh stored are there anyway.
    assert worth.without_battery_eur == pytest.approx(14.0 * 0.20 + 8.0 * 3.0 - 10.0 * 0.10)
    assert worth.saving_eur == pytest.approx(worth.without_battery_eur - worth.cost_eur)


def test_an_idle_battery_saves_nothing() -> None:
    instance = site_day(terminal_value_eur_per_kwh=0.12, demand_charge_eur_per_kw=8.0)
    worth = evaluate(instance, np.zeros(96))
    assert worth.saving_eur == pytest.approx(0.0, abs=1e-9)
    assert worth.full_cycles == 0.0


def test_emptying_the_store_is_no_saving_beyond_what_it_was_worth() -> None:
    instance = lossless(1, load_kw=[10.0], energy_start_kwh=10.0, terminal_value_eur_per_kwh=0.15)
    worth = evaluate(instance, [10.0])
    assert worth.saving_eur == pytest.approx(10.0 * (0.20 - 0.15))


def test_surplus_that_would_cost_money_is_given_away_where_allowed() -> None:
    fields = {"pv_kw": [10.0], "sell_eur_per_kwh": [-0.10]}
    assert evaluate(lossless(1, **fields), [-4.0]).energy_eur == 0.0
    fed_in = evaluate(lossless(1, **fields, curtailment_allowed=False), [-4.0])
    assert fed_in.energy_eur == pytest.approx(6.0 * 0.10)


def test_the_candidate_carries_the_figures() -> None:
    instance = site_day()
    worth = evaluate(instance, np.zeros(96))
    value = worth.candidate(StrategyKey.ARBITRAGE)
    assert value.strategy is StrategyKey.ARBITRAGE
    assert (value.cost_eur, value.saving_eur) == (worth.cost_eur, worth.saving_eur)
    assert (value.peak_kw, value.reason) == (worth.peak_kw, None)


def test_a_schedule_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(OptimizationError, match="each of 3 steps"):
        evaluate(small(), [1.0, 2.0])
    with pytest.raises(OptimizationError, match="each of 3 steps"):
        evaluate(small(), [1.0, np.nan, 2.0])


# -- self-consumption ------------------------------------------------------------------


def test_without_pv_there_is_no_self_consumption() -> None:
    assert evaluate(small(), [0.0] * 3).pv.self_consumption is None


def test_pv_serves_load_then_battery_then_grid() -> None:
    instance = lossless(1, pv_kw=[30.0], load_kw=[10.0])
    used = evaluate(instance, [-8.0]).pv
    assert used.exported_kwh == pytest.approx(12.0)
    assert used.grid_charged_kwh == 0.0
    assert used.self_consumption == pytest.approx(18.0 / 30.0)


def test_exporting_what_came_from_the_grid_is_no_pv_export() -> None:
    # Night: 20 kWh from the grid; noon: PV 10 kW all used by the load; evening: 20 kWh sold.
    instance = lossless(3, pv_kw=[0.0, 10.0, 0.0], load_kw=[0.0, 10.0, 0.0])
    used = evaluate(instance, [-20.0, 0.0, 20.0]).pv
    assert used.battery_exported_kwh == pytest.approx(20.0)
    assert used.grid_charged_kwh == pytest.approx(20.0)
    assert used.exported_kwh == 0.0
    assert used.self_consumption == 1.0


def test_exporting_stored_pv_is_pv_export() -> None:
    instance = lossless(2, pv_kw=[20.0, 0.0])
    used = evaluate(instance, [-20.0, 20.0]).pv
    assert used.exported_kwh == pytest.approx(20.0)
    assert used.self_consumption == pytest.approx(0.0)


def test_a_mixed_pool_is_drawn_in_proportion() -> None:
    # 30 kWh from the grid, 10 kWh of 10 kW PV: a quarter of the pool is PV; 20 kWh sold.
    instance = lossless(3, pv_kw=[0.0, 10.0, 0.0])
    used = evaluate(instance, [-30.0, -10.0, 20.0]).pv
    assert used.battery_exported_pv_kwh == pytest.approx(5.0)
    assert used.self_consumption == pytest.approx(0.5)


def test_one_step_may_charge_from_both() -> None:
    # 20 kW charged with 8 kW of surplus: 12 kW came from the grid; 2/5 of the pool is PV.
    instance = lossless(2, pv_kw=[10.0, 0.0], load_kw=[2.0, 5.0])
    used = evaluate(instance, [-20.0, 20.0]).pv
    assert used.grid_charged_kwh == pytest.approx(12.0)
    # 5 of the 20 kW serve the load, 15 are sold, 2/5 of them PV.
    assert used.exported_kwh == pytest.approx(15.0 * 8.0 / 20.0)
    assert used.self_consumption == pytest.approx(1.0 - 6.0 / 10.0)


def test_energy_stored_at_the_start_does_not_count_as_pv() -> None:
    instance = lossless(2, pv_kw=[10.0, 0.0], energy_start_kwh=30.0)
    used = evaluate(instance, [-10.0, 20.0]).pv
    assert used.battery_exported_pv_kwh == pytest.approx(20.0 * 10.0 / 40.0)


def test_curtailed_energy_is_not_used_on_site() -> None:
    instance = lossless(1, pv_kw=[10.0])
    used = evaluate(instance, [0.0], [4.0]).pv
    assert (used.curtailed_kwh, used.exported_kwh) == (4.0, 6.0)
    assert used.self_consumption == pytest.approx(0.0)

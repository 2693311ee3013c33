"""The optimiser: exact where it is hard, never without a plan, the same every time."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.optimization.candidates import Candidates
from engine.optimization.check import check_solution
from engine.optimization.coefficients import coefficients
from engine.optimization.exactness import burning_price_eur_per_kwh, find_candidates
from engine.optimization.instance import Instance
from engine.optimization.model import CompiledModel
from engine.optimization.optimizer import Optimizer, solve
from engine.optimization.shape import shape_of
from engine.optimization.solution import Solution
from engine.optimization.terms import BilledPeak, TerminalCurve
from tests.unit.optimization_cases import BATTERY, site_day, small

WORN_OUT_FREE = dataclasses.replace(BATTERY, wear_cost_eur_per_kwh=0.0)


def checked(instance: Instance, optimizer: Optimizer | None = None) -> Solution:
    solution = optimizer.solve(instance) if optimizer else solve(instance)
    check = check_solution(instance, solution)
    assert check.passed, check.messages
    return solution


# -- statement of the model ------------------------------------------------------------


def everything_on(decided: bool) -> tuple[Instance, Candidates | None]:
    instance = small(
        load_kw=[150.0, 5.0, 5.0],
        pv_kw=[0.0, 40.0, 0.0],
        energy_start_kwh=1.0,
        energy_final_min_kwh=12.0,
        demand_charge_eur_per_kw=5.0,
        standby_loss_kw=0.5,
        grid_charge_allowed=False,
        battery_export_allowed=False,
        billed_peaks=(BilledPeak.between(3, 1, 3, 4.0, 2.0),),
        export_premium_eur_per_kwh=0.02,
        smoothing_eur_per_kwh=0.01,
        smoothing_reference_kw=[1.0, 2.0, -3.0],
        ramp_eur_per_kw=0.01,
        grid_before_kw=4.0,
        energy_reserve_kwh=[5.0, 5.0, 5.0],
        reserve_eur_per_kwh_h=0.02,
        terminal_curve=TerminalCurve(np.array([8.0]), np.array([0.2, 0.1])),
    )
    everywhere = np.ones(3, dtype=np.bool_)
    return instance, Candidates(everywhere, everywhere) if decided else None


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_every_problem_is_dpp(decided: bool, plain: bool) -> None:
    instance, candidates = everything_on(decided)
    if plain:
        instance = small()
    numbers = coefficients(instance, candidates or find_candidates(instance))
    model = CompiledModel(shape_of(instance, numbers, candidates, held=not plain))
    assert model.problem.is_dpp()


def test_changed_numbers_do_not_compile_anew() -> None:
    first, _ = everything_on(decided=False)
    second = dataclasses.replace(
        first,
        eta_charge=0.8,
        load_kw=np.array([150.0, 2.0, 3.0]),
        smoothing_reference_kw=np.array([5.0, 4.0, 3.0]),
        billed_peaks=(BilledPeak.between(3, 0, 2, 7.0, 1.0),),
    )
    numbers = coefficients(first, find_candidates(first))
    model = CompiledModel(shape_of(first, numbers))
    model.solve(first, numbers)
    compiled = model.problem._cache.param_prog
    assert compiled is not None
    model.solve(second, coefficients(second, find_candidates(second)))
    assert model.problem._cache.param_prog is compiled


def test_nothing_is_written_to_standard_output() -> None:
    code = (
        "from tests.unit.optimization_cases import small\n"
        "from engine.optimization.optimizer import solve\n"
        "solve(small())\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=root
    )
    assert done.stdout == ""


# -- exactness -------------------------------------------------------------------------


def test_burning_price_is_the_one_of_the_notes() -> None:
    # Optimisation notes, section 1: 2.6 ct per DC kWh each way, eta 0.95: -507 EUR/MWh.
    worn = dataclasses.replace(BATTERY, wear_cost_eur_per_kwh=0.026)
    assert burning_price_eur_per_kwh(site_day(battery=worn)) == pytest.approx(-0.507, abs=5e-4)
    assert burning_price_eur_per_kwh(site_day(battery=WORN_OUT_FREE)) == 0.0
    assert burning_price_eur_per_kwh(small(eta_charge=1.0, eta_discharge=1.0)) == -np.inf


def test_ordinary_prices_need_no_binaries() -> None:
    solution = checked(site_day())
    assert solution.solver == "HIGHS (LP)"
    assert solution.gap == 0.0


def test_fixed_feed_in_with_negative_prices_is_planned_one_way_at_a_time() -> None:
    instance = site_day(192, cheapest=-0.18, sell_eur_per_kwh=np.full(192, 0.08))
    solution = checked(instance)
    pumping = np.flatnonzero(instance.sell_eur_per_kwh > instance.buy_eur_per_kwh)
    assert pumping.size > 10
    assert solution.status == "optimal"
    assert solution.gap == 0.0
    assert solution.solver == f"HIGHS (MILP, {pumping.size} binaries)"
    # The linear model claims more than any plant can earn; the plan must not.
    numbers = coefficients(instance, find_candidates(instance))
    linear = CompiledModel(shape_of(instance, numbers)).solve(instance, numbers)
    assert linear.objective_eur < solution.objective_eur - 1.0


def test_negative_prices_without_wear_are_planned_exactly() -> None:
    spot = site_day(96, cheapest=-0.20).sell_eur_per_kwh
    instance = site_day(
        96,
        battery=WORN_OUT_FREE,
        buy_eur_per_kwh=spot,
        sell_eur_per_kwh=spot,
        load_kw=np.zeros(96),
        pv_kw=np.zeros(96),
    )
    solution = checked(instance)
    assert "MILP" in solution.solver
    assert solution.gap == 0.0
    assert solution.cost_eur < 0.0


def test_export_barred_and_surplus_forced_burns_nothing() -> None:
    # 30 kW must be taken, 10 may be exported, the store is full in an hour: the rest
    # exceeds the export limit, and is said to. Charging and discharging at once would hide it.
    instance = small(
        pv_kw=[30.0, 30.0, 30.0], export_limit_kw=[10.0] * 3, curtailment_allowed=False
    )
    solution = checked(instance)
    # 8 kWh of room take 8 / 0.9 = 8.89 kWh of the 60 kWh too many; evenly spread the worst
    # step cannot be better than 20 kW less its share, and no energy is destroyed.
    over_kwh = np.maximum(-solution.grid_kw - 10.0, 0.0).sum()
    assert over_kwh == pytest.approx(60.0 - 8.0 / 0.9)
    assert solution.gave_way["export_limit_kw"] <= 20.0


def test_running_out_of_time_still_gives_a_plan_and_an_honest_gap() -> None:
    instance = site_day(192, cheapest=-0.18, sell_eur_per_kwh=np.full(192, 0.08))
    hurried = checked(instance, Optimizer(time_limit_s=0.0))
    exact = checked(instance)
    assert hurried.status == "time_limit"
    assert hurried.gap > 0.0
    bound_eur = hurried.objective_eur - hurried.gap * max(1.0, abs(hurried.objective_eur))
    assert bound_eur <= exact.objective_eur + 1e-6
    assert exact.objective_eur <= hurried.objective_eur + 1e-6


# -- wishes give way, physics does not -------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"energy_start_kwh": 0.0},
        {"energy_start_kwh": 25.0},
        {"energy_start_kwh": 0.0, "standby_loss_kw": 1.0, "charge_limit_kw": [0.0] * 3},
        {"energy_start_kwh": 0.6, "standby_loss_kw": 1.0},
        {"load_kw": [150.0] * 3},
        {"load_kw": [150.0] * 3, "energy_start_kwh": 0.0, "energy_final_min_kwh": 18.0},
        {"pv_kw": [150.0] * 3, "curtailment_allowed": False, "energy_start_kwh": 18.0},
        {"import_limit_kw": [0.0] * 3, "export_limit_kw": [0.0] * 3, "load_kw": [5.0] * 3},
        {"charge_limit_kw": [0.0] * 3, "discharge_limit_kw": [0.0] * 3},
        {"energy_min_kwh": 18.0, "energy_start_kwh": 3.0, "grid_charge_allowed": False},
        {"energy_min_kwh": 0.0, "energy_max_kwh": 0.0, "energy_start_kwh": 0.0},
        {"buy_eur_per_kwh": [-9.0] * 3, "sell_eur_per_kwh": [9.0] * 3, "load_kw": [150.0] * 3},
        {"terminal_value_eur_per_kwh": -1.0},
    ],
)
def test_there_is_always_a_plan(given: dict[str, Any]) -> None:
    solution = checked(small(**given))
    assert solution.status == "optimal"


def test_a_start_below_the_window_is_reported_and_mended() -> None:
    solution = checked(small(energy_start_kwh=0.0, charge_limit_kw=[1.0, 10.0, 10.0]))
    # 1 kW for an hour stores 0.9 kWh: 1.1 kWh short of the window at the end of hour 1.
    assert solution.soc_kwh[0] == pytest.approx(0.9)
    assert solution.soc_kwh[1] >= 2.0 - 1e-6
    assert solution.gave_way == pytest.approx({"energy_min_kwh": 1.1})


def test_a_start_above_the_window_is_left_without_burning() -> None:
    solution = checked(small(energy_start_kwh=20.0, discharge_limit_kw=[1.0, 10.0, 10.0]))
    # 1 kW for an hour draws 1.111 kWh: still 0.889 kWh above the window.
    assert solution.gave_way == pytest.approx({"energy_max_kwh": 2.0 - 1.0 / 0.9})
    assert np.all(np.minimum(solution.charge_kw, solution.discharge_kw) == 0.0)


def test_an_empty_store_cannot_feed_its_standby() -> None:
    solution = checked(small(energy_start_kwh=1.0, standby_loss_kw=1.0, charge_limit_kw=[0.0] * 3))
    assert solution.soc_kwh == pytest.approx([0.0, 0.0, 0.0])
    assert solution.gave_way == pytest.approx({"energy_min_kwh": 2.0, "standby_kwh": 2.0})


def test_a_price_spike_never_buys_energy_from_below_the_window() -> None:
    solution = checked(small(sell_eur_per_kwh=[0.05, 9.0, 0.05], energy_start_kwh=2.0))
    assert solution.soc_kwh.min() >= 2.0 - 1e-6
    assert solution.gave_way == {}


def test_a_price_spike_never_buys_more_than_the_connection() -> None:
    solution = checked(
        small(sell_eur_per_kwh=[9.0] * 3, export_limit_kw=[3.0] * 3, energy_start_kwh=18.0)
    )
    assert solution.grid_kw.min() >= -3.0 - 1e-6
    assert solution.gave_way == {}


# -- rules and features ----------------------------------------------------------------


def test_without_grid_charging_the_battery_never_charges_while_importing() -> None:
    little_pv_kw = 0.6 * site_day().pv_kw
    free = checked(site_day(pv_kw=little_pv_kw))
    ruled = checked(site_day(pv_kw=little_pv_kw, grid_charge_allowed=False))
    assert np.any(np.minimum(free.charge_kw, np.maximum(free.grid_kw, 0.0)) > 1.0)
    assert np.all(np.minimum(ruled.charge_kw, np.maximum(ruled.grid_kw, 0.0)) < 1e-6)
    assert ruled.charge_kw.max() > 1.0


def test_without_battery_export_the_battery_never_discharges_while_exporting() -> None:
    dear = site_day().buy_eur_per_kwh + 0.3
    free = checked(site_day(sell_eur_per_kwh=dear - 0.01, buy_eur_per_kwh=dear))
    ruled = checked(
        site_day(sell_eur_per_kwh=dear - 0.01, buy_eur_per_kwh=dear, battery_export_allowed=False)
    )
    assert np.any(np.minimum(free.discharge_kw, np.maximum(-free.grid_kw, 0.0)) > 1.0)
    assert np.all(np.minimum(ruled.discharge_kw, np.maximum(-ruled.grid_kw, 0.0)) < 1e-6)
    assert ruled.discharge_kw.max() > 1.0


def test_wear_makes_a_small_spread_not_worth_it() -> None:
    spread = {"buy_eur_per_kwh": [0.10, 0.20, 0.20], "load_kw": [0.0, 8.0, 8.0]}
    assert checked(small(**spread)).charge_kw.max() > 1.0
    worn = checked(small(**spread, wear_discharge_eur_per_kwh=0.30))
    assert worn.charge_kw.max() == 0.0
    assert worn.discharge_kw.max() == 0.0


def test_equal_prices_give_a_calm_plan() -> None:
    # 8 kWh of room at one price: spread evenly instead of at full power in some step.
    solution = checked(small(4, energy_final_min_kwh=18.0))
    assert solution.battery_kw == pytest.approx([-8.0 / 0.9 / 4] * 4)


def test_calming_costs_nothing() -> None:
    instance = site_day(192)
    numbers = coefficients(instance, find_candidates(instance))
    money = CompiledModel(shape_of(instance, numbers)).solve(instance, numbers)
    assert len(money.flows) == 2
    calm, first = (flows.discharge_kw - flows.charge_kw for flows in money.flows)
    assert np.abs(np.diff(calm)).sum() <= np.abs(np.diff(first)).sum() + 1e-6
    assert checked(instance).objective_eur == pytest.approx(money.objective_eur, rel=1e-9)


# -- values of stored energy -----------------------------------------------------------


@pytest.mark.parametrize("step", [0, 20, 47, 80])
def test_stored_value_of_a_step_is_the_slope_of_the_remaining_cost(step: int) -> None:
    whole = site_day()
    solution = checked(whole)
    series = {
        name: getattr(whole, name)[step + 1 :]
        for name in (
            "buy_eur_per_kwh",
            "sell_eur_per_kwh",
            "load_kw",
            "pv_kw",
            "charge_limit_kw",
            "discharge_limit_kw",
            "import_limit_kw",
            "export_limit_kw",
        )
    }

    def rest_eur(energy_kwh: float) -> float:
        return checked(
            dataclasses.replace(whole, **series, energy_start_kwh=energy_kwh)
        ).objective_eur

    energy_kwh = float(solution.soc_kwh[step])
    epsilon = 1e-3
    value = float(solution.stored_value_eur_per_kwh[step])
    if energy_kwh + epsilon <= whole.energy_max_kwh:
        more = (rest_eur(energy_kwh) - rest_eur(energy_kwh + epsilon)) / epsilon
        assert value >= more - 1e-5
    if energy_kwh - epsilon >= whole.energy_min_kwh:
        less = (rest_eur(energy_kwh - epsilon) - rest_eur(energy_kwh)) / epsilon
        assert value <= less + 1e-5


# -- repeatability ---------------------------------------------------------------------


def test_a_plan_does_not_depend_on_what_was_solved_before() -> None:
    optimizer = Optimizer()
    alone = Optimizer().solve(site_day(seed=1))
    optimizer.solve(site_day(seed=2))
    after = optimizer.solve(site_day(seed=1))
    assert after.battery_kw.tolist() == alone.battery_kw.tolist()
    assert after.stored_value_eur_per_kwh.tolist() == alone.stored_value_eur_per_kwh.tolist()


def test_threads_share_one_optimiser() -> None:
    optimizer = Optimizer()
    seeds = range(6)
    expected = {seed: Optimizer().solve(site_day(seed=seed)).cost_eur for seed in seeds}
    found: dict[int, float] = {}
    start = threading.Barrier(len(seeds))

    def work(seed: int) -> None:
        start.wait(30)
        found[seed] = optimizer.solve(site_day(seed=seed)).cost_eur

    threads = [threading.Thread(target=work, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == expected


def test_a_failing_solver_is_an_error_and_no_plan() -> None:
    optimizer = Optimizer()
    optimizer.solve(small())
    model = next(iter(optimizer._models._models.values()))
    numbers = dataclasses.replace(
        coefficients(small(), find_candidates(small())),
        energy_low_kwh=np.full(3, 30.0),
    )
    with pytest.raises(OptimizationError, match="kInfeasible"):
        model.solve(small(), numbers)

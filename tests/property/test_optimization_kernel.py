"""The kernel finds the optimum of independent models, with plans and prices that hold."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.domain.site import Battery
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.kernel import rolling
from engine.optimization.kernel.compiled import sources_hash
from engine.optimization.kernel.forward import BATTERY, ENERGY, STORED_VALUE
from engine.optimization.kernel.solver import KernelSolver, NotCovered
from engine.optimization.kernel.warm import warm
from engine.optimization.optimizer import Optimizer
from engine.optimization.routed import Route, RoutedOptimizer
from engine.optimization.solution import Solution
from engine.optimization.terms import BilledPeak
from tests.golden.test_golden_planning import CASES, GIVING_WAY, references
from tests.property.kernel_cases import random_instance
from tests.property.optimization_reference import reference_objective_eur
from tests.property.test_optimization_invariants import SERIES

pytestmark = pytest.mark.timeout(600)
"""The first test may compile the kernel, which takes long on a busy machine."""

KERNEL = KernelSolver(time_limit_s=30.0)
OPTIMIZER = Optimizer(time_limit_s=60.0)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    warm()


def test_all_that_is_called_is_compiled_beforehand() -> None:
    def variants() -> dict[str, int]:
        return {
            f"{name}.{function}": len(made.overloads)
            for name, module in list(sys.modules.items())
            if name.startswith("engine.optimization.kernel.")
            for function, made in vars(module).items()
            if hasattr(made, "overloads")
        }

    before = variants()
    for seed in range(60):
        KERNEL.attempt(random_instance(seed))
    assert variants() == before


def solved(instance: Instance) -> Solution:
    solution = KERNEL.solve(instance)
    check = check_solution(instance, solution)
    assert check.passed, check.messages
    assert solution.status == "optimal"
    assert solution.gap == 0.0
    return solution


def same_as_record(instance: Instance) -> Solution:
    solution, record = solved(instance), OPTIMIZER.solve(instance)
    assert solution.objective_eur == pytest.approx(record.objective_eur, rel=1e-6, abs=1e-6)
    return solution


def shifted(instance: Instance, field: str, step: int, by: float) -> Instance:
    series = getattr(instance, field).copy()
    series[step] += by
    return dataclasses.replace(instance, **{field: series})


def test_random_problems_have_the_optimum_of_an_independent_model() -> None:
    compared, not_covered = 0, 0
    for seed in range(240):
        instance = random_instance(seed, lengths=(1, 2, 4, 6, 12))
        answer = KERNEL.attempt(instance)
        if isinstance(answer, NotCovered):
            not_covered += 1
            continue
        solution = solved(instance)
        outside = not (
            instance.energy_min_kwh <= instance.energy_start_kwh <= instance.energy_max_kwh
        )
        missed = set(solution.gave_way) - {"energy_reserve_kwh"}
        if outside or missed:
            continue
        expected = reference_objective_eur(instance)
        assert solution.objective_eur == pytest.approx(expected, rel=1e-6, abs=1e-6), seed
        compared += 1
    assert compared >= 120
    assert not_covered <= 40


@pytest.mark.parametrize("seed", range(300, 324))
def test_where_wishes_give_way_the_model_of_record_agrees(seed: int) -> None:
    capacity = 40.0
    instance = random_instance(
        seed,
        lengths=(4,),
        energy_min_kwh=0.2 * capacity,
        energy_max_kwh=0.8 * capacity,
        energy_start_kwh=capacity * (0.1 + 0.8 * (seed % 2)),
        energy_final_min_kwh=0.8 * capacity,
        import_limit_kw=np.full(4, 15.0),
        standby_loss_kw=0.0,
        terminal_curve=None,
    )
    if isinstance(KERNEL.attempt(instance), Solution):
        same_as_record(instance)


NOTHING: dict[str, dict[str, Any]] = {
    "no capacity": {"energy_min_kwh": 0.0, "energy_max_kwh": 0.0, "energy_start_kwh": 0.0},
    "no power": {"charge_limit_kw": np.zeros(6), "discharge_limit_kw": np.zeros(6)},
    "no charging": {"charge_limit_kw": np.zeros(6)},
    "equal prices": {
        "buy_eur_per_kwh": np.full(6, 0.3),
        "sell_eur_per_kwh": np.full(6, 0.3),
    },
    "no losses": {"eta_charge": 1.0, "eta_discharge": 1.0},
    "no load, no pv": {"load_kw": np.zeros(6), "pv_kw": np.zeros(6)},
}


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("seed", [1, 7])
def test_degenerate_stores_and_prices(name: str, seed: int) -> None:
    fields: dict[str, Any] = {
        "energy_min_kwh": 4.0,
        "energy_max_kwh": 36.0,
        "energy_start_kwh": 20.0,
        "energy_final_min_kwh": None,
        "energy_reserve_kwh": None,
        "reserve_eur_per_kwh_h": 0.0,
        "terminal_curve": None,
        "standby_loss_kw": 0.0,
    }
    same_as_record(random_instance(seed, lengths=(6,), **(fields | NOTHING[name])))


def test_one_step_is_enough() -> None:
    for seed in range(8):
        instance = random_instance(seed, lengths=(1,), standby_loss_kw=0.0)
        if isinstance(KERNEL.attempt(instance), Solution):
            same_as_record(instance)


def tariff(n: int, **given: Any) -> Instance:
    """Return a convex site with a demand charge and numbers without ties."""
    fields: dict[str, Any] = {
        "energy_min_kwh": 10.0,
        "energy_max_kwh": 90.0,
        "energy_start_kwh": 41.0,
        "energy_final_min_kwh": None,
        "standby_loss_kw": 0.3,
        "import_limit_kw": np.full(n, 120.0),
        "export_limit_kw": np.full(n, 120.0),
        "billed_peaks": (BilledPeak.between(n, 0, n, 4.0, 5.0),),
        "demand_charge_eur_per_kw": 0.0,
        "energy_reserve_kwh": None,
        "reserve_eur_per_kwh_h": 0.0,
        "grid_charge_allowed": True,
        "battery_export_allowed": True,
        "wear_charge_eur_per_kwh": 0.02,
        "eta_charge": 0.95,
        "eta_discharge": 0.9,
    }
    random = np.random.default_rng(n)
    buy = random.uniform(0.05, 0.5, n)
    fields |= {"buy_eur_per_kwh": buy, "sell_eur_per_kwh": buy - 0.07}
    return random_instance(11, lengths=(n,), **(fields | given))


def test_prices_are_the_slopes_of_the_cost() -> None:
    instance = tariff(24)
    instance = dataclasses.replace(instance, load_kw=instance.load_kw + 1.0)
    solution = solved(instance)
    epsilon = 1e-4
    for step in range(0, 24, 3):
        up, down = (
            solved(shifted(instance, "load_kw", step, sign * epsilon)).objective_eur
            for sign in (1.0, -1.0)
        )
        energy_kwh = epsilon * instance.step_hours
        price = solution.site_price_eur_per_kwh[step]
        assert (solution.objective_eur - down) / energy_kwh <= price + 1e-5
        assert price <= (up - solution.objective_eur) / energy_kwh + 1e-5
    peak_kw = solution.peaks_kw[0]
    assert peak_kw > 5.0
    assert solution.peak_dual_eur_per_kw.sum() == pytest.approx(4.0)
    setting = solution.peak_dual_eur_per_kw > 1e-9
    assert solution.grid_kw[setting] == pytest.approx(peak_kw)


def test_a_stored_kwh_is_worth_what_the_later_steps_save() -> None:
    instance = tariff(24)
    solution = solved(instance)
    for step in range(0, 20, 4):
        later = dataclasses.replace(
            instance,
            **{name: getattr(instance, name)[step + 1 :] for name in SERIES},
            smoothing_reference_kw=None,
            smoothing_eur_per_kwh=0.0,
            billed_peaks=(
                BilledPeak(np.ones(23 - step, dtype=bool), 4.0, max(solution.peaks_kw[0], 5.0)),
            ),
            energy_start_kwh=float(solution.soc_kwh[step]),
        )
        if instance.smoothing_reference_kw is not None:
            later = dataclasses.replace(
                later,
                smoothing_eur_per_kwh=instance.smoothing_eur_per_kwh,
                smoothing_reference_kw=instance.smoothing_reference_kw[step + 1 :],
            )
        epsilon, energy_kwh = 1e-4, float(solution.soc_kwh[step])
        value = float(solution.stored_value_eur_per_kwh[step])

        def cost(start_kwh: float, later: Instance = later) -> float:
            return solved(dataclasses.replace(later, energy_start_kwh=start_kwh)).objective_eur

        middle = cost(energy_kwh)
        # The peak may still move: it costs no more than the charge, so slopes are bounds.
        if energy_kwh - epsilon >= instance.energy_min_kwh + 1.0:
            assert value <= (cost(energy_kwh - epsilon) - middle) / epsilon + 1e-4
        if energy_kwh + epsilon <= instance.energy_max_kwh:
            assert value >= (middle - cost(energy_kwh + epsilon)) / epsilon - 1e-4


def test_twelve_billing_periods_are_searched_together() -> None:
    n = 48
    peaks = tuple(BilledPeak.between(n, 4 * k, 4 * k + 4, 2.0 + k % 3, 3.0) for k in range(12))
    solution = same_as_record(tariff(n, billed_peaks=peaks))
    for peak, peak_kw in zip(peaks, solution.peaks_kw, strict=True):
        charged = solution.peak_dual_eur_per_kw[peak.billed].sum()
        expected = peak.charge_eur_per_kw if peak_kw > 3.0 + 1e-6 else charged
        assert charged == pytest.approx(expected)


def test_feed_in_above_negative_prices_with_two_months_of_demand_charge() -> None:
    n = 32
    spot = 0.15 - 0.4 * np.exp(-(((np.arange(n) - 16.0) / 5.0) ** 2)) + 0.01 * np.cos(np.arange(n))
    solution = same_as_record(
        tariff(
            n,
            buy_eur_per_kwh=spot,
            sell_eur_per_kwh=np.full(n, 0.08),
            billed_peaks=(
                BilledPeak.between(n, 0, n // 2, 0.5, 20.0),
                BilledPeak.between(n, n // 2, n, 0.5),
            ),
            standby_loss_kw=0.0,
        )
    )
    assert "non-convex" in solution.solver
    together = np.minimum(solution.charge_kw, solution.discharge_kw)
    assert np.all(together == 0.0)


def test_equal_prices_leave_the_battery_alone() -> None:
    flat = np.full(12, 0.3)
    instance = tariff(
        12,
        buy_eur_per_kwh=flat,
        sell_eur_per_kwh=flat,
        billed_peaks=(),
        pv_kw=np.zeros(12),
        standby_loss_kw=0.0,
        smoothing_eur_per_kwh=0.0,
        smoothing_reference_kw=None,
        terminal_value_eur_per_kwh=0.3,
        terminal_curve=None,
    )
    assert np.all(solved(instance).battery_kw == 0.0)


@pytest.mark.parametrize("name", CASES)
def test_recorded_days_cost_what_the_stored_reference_says(name: str) -> None:
    instance = CASES[name]()
    answer = KERNEL.attempt(instance)
    if isinstance(answer, NotCovered):
        assert answer.reason == "ramp"
        return
    assert check_solution(instance, answer).passed
    expected = references()[name]["objective_eur"]
    assert answer.objective_eur == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", GIVING_WAY)
def test_contradicting_limits_give_way_as_in_the_model_of_record(name: str) -> None:
    make, wishes = GIVING_WAY[name]
    assert set(same_as_record(make()).gave_way) == wishes


# -- the router --------------------------------------------------------------------


def test_the_router_says_who_solved_and_why() -> None:
    routed = RoutedOptimizer(optimizer=OPTIMIZER)
    instance = tariff(6)
    assert routed.solve(instance).solver.startswith("kernel (DP")
    ramped = dataclasses.replace(instance, ramp_eur_per_kw=0.01)
    assert routed.solve(ramped).solver == "HIGHS (LP), kernel: ramp"
    assert routed.solve(instance, held_kw=1.0).solver.endswith("kernel: the first step is held")
    with pytest.raises(OptimizationError, match="ramp"):
        KERNEL.solve(ramped)


def test_live_planning_keeps_the_model_of_record_for_linear_problems() -> None:
    routed = RoutedOptimizer(Route.RECORD, optimizer=OPTIMIZER)
    assert routed.solve(tariff(6)).solver == "HIGHS (LP)"
    pumping = tariff(6, sell_eur_per_kwh=np.full(6, 0.6), standby_loss_kw=0.0)
    assert "kernel (non-convex DP" in routed.solve(pumping).solver


def test_a_kernel_plan_that_fails_its_check_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: KernelSolver, instance: Instance, **_: Any) -> Solution:
        good = OPTIMIZER.solve(instance)
        return dataclasses.replace(good, battery_kw=good.battery_kw + 1.0)

    monkeypatch.setattr(KernelSolver, "attempt", broken)
    solution = RoutedOptimizer(optimizer=OPTIMIZER).solve(tariff(6))
    assert solution.solver == "HIGHS (LP), kernel: its plan failed the check"
    assert "failed its check" in caplog.text


# -- arrays ------------------------------------------------------------------------

BATTERY_KEPT = Battery(100.0, 40.0, 40.0, 0.95, 0.9, 10.0, 90.0, 0.0, 0.02)


def arrays(n: int) -> tuple[Instance, rolling.Store, np.ndarray]:
    random = np.random.default_rng(5)
    buy = random.uniform(0.05, 0.5, n)
    series = {
        "buy_eur_per_kwh": buy,
        "sell_eur_per_kwh": buy - 0.07,
        "load_kw": random.uniform(0.0, 60.0, n),
        "pv_kw": random.uniform(0.0, 60.0, n),
    }
    instance = Instance.for_battery(
        BATTERY_KEPT,
        start=tariff(1).start,
        step_minutes=15,
        **series,
        import_limit_kw=150.0,
        export_limit_kw=150.0,
        energy_start_kwh=41.0,
        terminal_value_eur_per_kwh=0.2,
    )
    store = rolling.Store.of(BATTERY_KEPT, step_minutes=15, end_value_eur_per_kwh=0.2)
    rows = rolling.step_rows(
        **series,
        charge_limit_kw=40.0,
        discharge_limit_kw=40.0,
        import_limit_kw=150.0,
        export_limit_kw=150.0,
    )
    return instance, store, rows


def test_rolling_to_the_end_of_known_data_costs_what_one_plan_costs() -> None:
    instance, store, rows = arrays(96)
    whole = solved(instance)
    carried = rolling.rolling(store, rows, horizon=96, every=4, energy_kwh=41.0)
    grid = carried.grid_kw
    money = instance.step_hours * (
        instance.buy_eur_per_kwh @ np.maximum(grid, 0.0)
        + instance.sell_eur_per_kwh @ np.minimum(grid, 0.0)
        + instance.wear_charge_eur_per_kwh * np.maximum(-carried.battery_kw, 0.0).sum()
        + instance.wear_discharge_eur_per_kwh * np.maximum(carried.battery_kw, 0.0).sum()
    )
    objective = money - 0.2 * carried.energy_kwh[-1]
    assert objective == pytest.approx(whole.objective_eur, abs=1e-9)
    assert carried.solves == 24


def test_many_problems_at_once_are_the_single_ones() -> None:
    instance, store, rows = arrays(24)
    starts = np.array([20.0, 41.0, 80.0])
    plans, costs = rolling.solve_many(store, np.stack([rows] * 3), starts)
    for plan, cost, start in zip(plans, costs, starts, strict=True):
        alone = solved(dataclasses.replace(instance, energy_start_kwh=float(start)))
        assert cost == pytest.approx(alone.objective_eur, abs=1e-9)
        assert plan[:, ENERGY] == pytest.approx(alone.soc_kwh, abs=1e-9)


def test_the_value_curve_answers_what_the_plan_would_do() -> None:
    _, store, rows = arrays(24)
    curves = rolling.value_curves(store, rows)
    plans, _ = rolling.solve_many(store, rows[None], [41.0])
    energy = 41.0
    for step in range(24):
        battery, _ = rolling.respond(store, curves, step, rows[step], energy)
        assert battery == pytest.approx(plans[0, step, BATTERY], abs=1e-6)
        corners, values = curves.curve(step)
        energy = float(plans[0, step, ENERGY])
        assert np.all(np.diff(values) <= 1e-12)
        # Between the corners around the energy lies the plan's own value of a kWh.
        inside = np.clip(energy, corners[0] + 1e-6, corners[-1] - 1e-6)
        above = values[np.searchsorted(corners, inside - 1e-6) - 1]
        below = values[min(np.searchsorted(corners, inside + 1e-6) - 1, values.size - 1)]
        if 11.0 < energy < 89.0 and step < 23:
            assert below - 1e-9 <= plans[0, step, STORED_VALUE] <= above + 1e-9


def test_a_running_peak_is_kept_down_and_what_is_not_convex_is_refused() -> None:
    _, store, rows = arrays(96)
    options = {"horizon": 48, "every": 2, "energy_kwh": 41.0}
    free = rolling.rolling(store, rows, **options)
    billed = rolling.rolling_with_peak(
        store,
        rows,
        **options,
        period=np.arange(96) // 48,
        charge_eur_per_kw=8.0,
        target_kw=20.0,
    )
    assert billed.grid_kw[:48].max() < free.grid_kw[:48].max()
    assert billed.grid_kw[48:].max() < free.grid_kw[48:].max()
    pumping = rows.copy()
    pumping[:, 5] = pumping[:, 4] + 0.1
    with pytest.raises(OptimizationError, match="not convex"):
        rolling.rolling(store, pumping, **options)


def test_any_edit_of_compiled_code_has_a_cache_of_its_own(tmp_path: Any) -> None:
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("import b\n\n@compiled\ndef f(): return b.g()\n", encoding="utf-8")
    second.write_text("x = 1\n\n@compiled\ndef g(): return 1\n", encoding="utf-8")
    before = sources_hash(tmp_path)
    assert sources_hash(tmp_path) == before
    second.write_text("x = 1\n\n@compiled\ndef g(): return 2\n", encoding="utf-8")
    assert sources_hash(tmp_path) != before


@pytest.mark.parametrize("seed", range(6))
def test_keeping_the_window_is_the_optimum_where_leaving_it_does_not_pay(seed: int) -> None:
    """Negative prices without wear, feeding in above buying, and a store that drains by itself."""
    n = 24
    random = np.random.default_rng(seed)
    buy = random.uniform(-0.3, 0.3, n)
    instance = tariff(
        n,
        buy_eur_per_kwh=buy,
        sell_eur_per_kwh=np.where(buy < 0.0, 0.08, buy - 0.02),
        wear_charge_eur_per_kwh=0.0,
        wear_discharge_eur_per_kwh=0.0,
        energy_start_kwh=12.0,
    )
    answer = KERNEL.attempt(instance)
    assert isinstance(answer, NotCovered)
    assert "standby drains" in answer.reason
    told: list[float] = []
    keeping = KernelSolver(time_limit_s=30.0, keeps_window=True).attempt(
        instance, watch=told.append
    )
    assert isinstance(keeping, Solution)
    assert check_solution(instance, keeping).passed
    assert keeping.soc_kwh.min() >= instance.energy_min_kwh - 1e-6
    record = OPTIMIZER.solve(instance)
    assert record.soc_kwh.min() >= instance.energy_min_kwh - 1e-6
    assert keeping.objective_eur == pytest.approx(record.objective_eur, abs=1e-5)
    assert told
    assert all(0.0 <= share <= 1.0 for share in told)


def test_who_watches_a_search_may_end_it() -> None:
    buy = np.random.default_rng(3).uniform(-0.3, 0.3, 24)
    instance = tariff(
        24,
        buy_eur_per_kwh=buy,
        sell_eur_per_kwh=np.full(24, 0.08),
        wear_charge_eur_per_kwh=0.0,
        wear_discharge_eur_per_kwh=0.0,
    )

    def stop(_share: float) -> None:
        raise OptimizationError("stopped", field="test")

    with pytest.raises(OptimizationError, match="stopped"):
        RoutedOptimizer(keeps_window=True).solve(instance, watch=stop)

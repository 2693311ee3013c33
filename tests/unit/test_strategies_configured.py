"""Each strategy does on recorded days what its name says, and keeps the plant as it is."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.domain.strategy import StrategyKey
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.solution import Solution
from engine.optimization.terms import BilledPeak
from engine.recorded.recording import Recording
from engine.strategies.balancing import moving_average_kw, reference_kw
from engine.strategies.candidates import CandidatePlan, plan_candidates
from engine.strategies.configured import configure
from engine.strategies.evaluation import evaluate
from engine.strategies.parameters import StrategyContext, StrategyParameters
from tests.unit.optimization_cases import BATTERY, site_day, small

CO, ARB, PEAK, SELF, BAL = StrategyKey
OPTIMIZER = Optimizer()
DAYS = ["2026-01-14", "2026-04-26", "2026-07-08"]


@cache
def recording() -> Recording:
    return Recording()


def recorded_day(day: str, **given: Any) -> Instance:
    """Return 36 recorded hours from local midnight (UTC+1 or +2), 8 EUR/kW demand charge."""
    start = datetime.fromisoformat(day + "T00:00+01:00").astimezone(UTC)
    spot = recording().quarter_hours("price_at_eur_mwh", start, 144) / 1000.0
    fields: dict[str, Any] = {
        "buy_eur_per_kwh": spot + 0.10,
        "sell_eur_per_kwh": spot - 0.005,
        "load_kw": recording().quarter_hours("load_kw", start, 144),
        "pv_kw": recording().quarter_hours("pv_kw", start, 144),
        "import_limit_kw": 250.0,
        "export_limit_kw": 250.0,
        "energy_start_kwh": 100.0,
        "terminal_value_eur_per_kwh": 0.10,
        "curtailment_allowed": False,
        "billed_peaks": (BilledPeak(np.ones(144, dtype=bool), 8.0),),
    } | given
    return Instance.for_battery(BATTERY, start=start, step_minutes=15, **fields)


def planned(
    key: StrategyKey,
    instance: Instance,
    parameters: StrategyParameters | None = None,
    context: StrategyContext | None = None,
) -> CandidatePlan:
    plan = plan_candidates(
        instance,
        context or StrategyContext(),
        parameters or StrategyParameters(),
        OPTIMIZER,
        (key,),
    )[key]
    assert plan.usable, plan.value.reason
    return plan


def solution(plan: CandidatePlan) -> Solution:
    assert plan.solution is not None
    return plan.solution


# -- every strategy keeps the plant ----------------------------------------------------


@pytest.mark.parametrize("key", list(StrategyKey))
def test_only_prices_peaks_preferences_and_rules_differ(key: StrategyKey) -> None:
    instance = recorded_day(
        DAYS[0],
        energy_reserve_kwh=np.full(144, 60.0),
        reserve_eur_per_kwh_h=0.1,
        ramp_eur_per_kw=0.01,
        grid_charge_allowed=False,
    )
    configured = configure(key, instance, StrategyParameters(), StrategyContext())
    may_differ = {
        "buy_eur_per_kwh",
        "sell_eur_per_kwh",
        "terminal_value_eur_per_kwh",
        "terminal_curve",
        "battery_export_allowed",
        "demand_charge_eur_per_kw",
        "billed_peaks",
        "export_premium_eur_per_kwh",
        "smoothing_eur_per_kwh",
        "smoothing_reference_kw",
        "ramp_eur_per_kw",
        "energy_reserve_kwh",
        "reserve_eur_per_kwh_h",
    }
    for field in dataclasses.fields(Instance):
        if field.name not in may_differ:
            one, two = getattr(instance, field.name), getattr(configured, field.name)
            assert np.array_equal(one, two), field.name
    if key is CO:
        assert configured is instance
    else:
        assert configured.ramp_eur_per_kw == 0.0


# -- arbitrage -------------------------------------------------------------------------


@pytest.mark.parametrize("day", DAYS)
def test_arbitrage_ignores_the_demand_charge(day: str) -> None:
    dear, free = recorded_day(day), recorded_day(day, billed_peaks=())
    one, two = planned(ARB, dear), planned(ARB, free)
    np.testing.assert_array_equal(solution(one).battery_kw, solution(two).battery_kw)
    assert planned(CO, free).value.cost_eur == pytest.approx(two.value.cost_eur, abs=1e-6)


def test_arbitrage_charges_from_and_sells_into_the_grid_when_that_pays() -> None:
    day = recorded_day(DAYS[2], load_kw=np.zeros(144), pv_kw=np.zeros(144))
    grid = solution(
        planned(ARB, dataclasses.replace(day, buy_eur_per_kwh=day.sell_eur_per_kwh + 0.01))
    )
    assert grid.grid_kw.max() > 50.0
    assert grid.grid_kw.min() < -50.0


# -- peak shaving ----------------------------------------------------------------------


@pytest.mark.parametrize("day", DAYS)
def test_peak_shaving_reaches_the_lowest_peak_there_is(day: str) -> None:
    instance = recorded_day(day)
    plan = planned(PEAK, instance)
    # The lowest peak: the demand charge alone, energy free of charge and wear.
    free = {"buy_eur_per_kwh": np.zeros(144), "sell_eur_per_kwh": np.zeros(144)}
    alone = dataclasses.replace(
        instance,
        **free,
        wear_charge_eur_per_kwh=0.0,
        wear_discharge_eur_per_kwh=0.0,
        terminal_value_eur_per_kwh=0.0,
    )
    lowest = max(0.0, float(OPTIMIZER.solve(alone).grid_kw.max()))
    without = float((instance.load_kw - instance.pv_kw).max())
    assert plan.value.peak_kw is not None
    assert plan.value.peak_kw <= without
    # Within what a kW costs in losses, wear and early recharging.
    assert plan.value.peak_kw <= lowest + 0.05 * (without - lowest) + 0.1


def test_peak_shaving_does_not_care_for_the_price_of_energy() -> None:
    instance = recorded_day(DAYS[0])
    other = dataclasses.replace(instance, buy_eur_per_kwh=instance.buy_eur_per_kwh[::-1].copy())
    np.testing.assert_allclose(
        solution(planned(PEAK, instance)).battery_kw,
        solution(planned(PEAK, other)).battery_kw,
        atol=1e-6,
    )


def test_peak_shaving_refills_at_once_and_then_rests_full() -> None:
    flat = small(
        12,
        load_kw=[30.0] + [2.0] * 11,
        energy_start_kwh=18.0,
        billed_peaks=(BilledPeak(np.ones(12, dtype=bool), 8.0, 20.0),),
    )
    run = solution(planned(PEAK, flat))
    assert run.battery_kw[0] == pytest.approx(10.0)
    assert run.soc_kwh[2] == pytest.approx(18.0)
    np.testing.assert_allclose(run.soc_kwh[2:], 18.0, atol=1e-6)


def test_peak_shaving_defends_the_stated_target_else_the_trailing_optimum() -> None:
    load = [10.0, 10.0, 10.0, 30.0]
    instance = small(
        4, load_kw=load, energy_start_kwh=18.0, charge_limit_kw=[20.0] * 4,
        discharge_limit_kw=[20.0] * 4,
    )  # fmt: skip

    def peak(target: float | None, trailing: float | None, incurred: float = 0.0) -> float:
        plan = planned(
            PEAK,
            dataclasses.replace(instance, incurred_peak_kw=incurred),
            StrategyParameters(peak_target_kw=target),
            StrategyContext(peak_target_kw=trailing),
        )
        assert plan.value.peak_kw is not None
        return plan.value.peak_kw

    # 16 kWh usable at 90 % are 14.4 kWh for the 30 kW hour; there is no tariff for peaks.
    assert peak(25.0, None) == pytest.approx(25.0)
    assert peak(None, 22.0) == pytest.approx(22.0)
    assert peak(None, 17.0, incurred=24.0) == pytest.approx(24.0)
    assert peak(20.0, 25.0, incurred=24.0) == pytest.approx(20.0)
    assert peak(None, None) == pytest.approx(30.0 - 14.4)


# -- self-consumption ------------------------------------------------------------------


@pytest.mark.parametrize("day", DAYS)
def test_self_consumption_never_charges_from_nor_sells_into_the_grid(day: str) -> None:
    instance = recorded_day(day)
    plan = planned(SELF, instance)
    worth = evaluate(instance, solution(plan).battery_kw, solution(plan).curtailed_kw)
    assert worth.pv.grid_charged_kwh == pytest.approx(0.0, abs=1e-6)
    assert worth.pv.battery_exported_kwh == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("day", DAYS)
def test_no_other_strategy_uses_more_pv_on_site(day: str) -> None:
    # From an empty store: nobody can make room for PV by selling what was there before.
    instance = recorded_day(day, energy_start_kwh=20.0)

    def used_kwh(key: StrategyKey) -> float:
        """PV energy used on site, without what is merely left in the store."""
        run = solution(planned(key, instance))
        use = evaluate(instance, run.battery_kw, run.curtailed_kw).pv
        left = max(0.0, float(run.soc_kwh[-1]) - instance.energy_start_kwh)
        return use.available_kwh - use.exported_kwh - use.curtailed_kwh - left / 0.95

    own = used_kwh(SELF)
    for key in StrategyKey:
        assert used_kwh(key) <= own * 1.05 + 1.0, key  # losses of cycling count as use
    assert (planned(SELF, instance).value.saving_eur or 0.0) > 0.0


def test_self_consumption_sells_rather_than_gives_away() -> None:
    instance = recorded_day(DAYS[2], sell_eur_per_kwh=np.full(144, 0.05), curtailment_allowed=True)
    plan = solution(planned(SELF, instance))
    assert plan.curtailed_kw.sum() == pytest.approx(0.0, abs=1e-6)
    assert plan.grid_kw.min() < -10.0


def test_self_consumption_keeps_its_rules_between_plans() -> None:
    view = planned(SELF, recorded_day(DAYS[2])).steering
    assert view is not None
    assert not view.grid_charge_allowed
    assert not view.battery_export_allowed


# -- load balancing --------------------------------------------------------------------


@pytest.mark.parametrize("day", DAYS)
def test_load_balancing_calms_the_grid(day: str) -> None:
    instance = recorded_day(day)
    worth = evaluate(instance, solution(planned(BAL, instance)).battery_kw)
    idle = evaluate(instance, np.zeros(144))
    assert worth.ramp_kw < 0.6 * idle.ramp_kw


@pytest.mark.parametrize("start", [30.0, 100.0, 170.0])
def test_load_balancing_brings_the_store_to_its_middle(start: float) -> None:
    instance = recorded_day(DAYS[0], energy_start_kwh=start)
    run = solution(planned(BAL, instance))
    assert run.soc_kwh[95] == pytest.approx(100.0, abs=25.0)


def test_the_reference_is_worth_tracking_exactly() -> None:
    # Tracking it with a store without limits ends in the middle: losses are paid for.
    instance = recorded_day(DAYS[1], energy_start_kwh=60.0)
    aimed = reference_kw(instance, np.zeros(0), window_hours=4.0, centred=True, return_hours=24.0)
    battery = np.clip(instance.load_kw - instance.pv_kw - aimed, -100.0, 100.0)
    run = evaluate(instance, battery).run
    assert run.soc_kwh[95] == pytest.approx(100.0, abs=0.01)
    assert run.soc_kwh[-1] == pytest.approx(100.0, abs=0.01)


def test_moving_averages_by_hand() -> None:
    net, past = np.array([4.0, 8.0, 0.0, 4.0]), np.array([100.0, 2.0])
    trailing = moving_average_kw(net, past, 2, centred=False)
    assert trailing.tolist() == [3.0, 6.0, 4.0, 2.0]
    centred = moving_average_kw(net, past, 3, centred=True)
    assert centred.tolist() == pytest.approx([14.0 / 3.0, 4.0, 4.0, 2.0])
    alone = moving_average_kw(net, np.zeros(0), 3, centred=False)
    assert alone.tolist() == pytest.approx([4.0, 6.0, 4.0, 4.0])


def test_balancing_stays_a_linear_problem() -> None:
    assert "MILP" not in solution(planned(BAL, recorded_day(DAYS[0]))).solver


# -- candidates ------------------------------------------------------------------------


def test_all_five_are_checked_and_valued_under_the_true_tariff() -> None:
    instance = recorded_day(DAYS[0])
    plans = plan_candidates(instance, StrategyContext(), StrategyParameters(), OPTIMIZER)
    assert list(plans) == list(StrategyKey)
    for key, plan in plans.items():
        assert plan.usable, plan.value.reason
        assert plan.check is not None
        assert plan.check.passed
        worth = evaluate(instance, solution(plan).battery_kw, solution(plan).curtailed_kw)
        assert plan.value == worth.candidate(key)
        assert plan.instance is not None
        assert plan.steering is not None
        np.testing.assert_array_equal(plan.steering.buy_eur_per_kwh, plan.instance.buy_eur_per_kwh)


def test_a_failing_strategy_stops_no_other() -> None:
    class Moody:
        def solve(self, instance: Instance) -> Solution:
            if not instance.billed_peaks:
                return OPTIMIZER.solve(instance)
            if instance.energy_reserve_kwh is None:
                raise OptimizationError("out of sorts.", field="optimization")
            raise ZeroDivisionError("what now")

    plans = plan_candidates(recorded_day(DAYS[0]), StrategyContext(), StrategyParameters(), Moody())
    assert not plans[CO].usable
    assert not plans[PEAK].usable
    assert "out of sorts" in (plans[CO].value.reason or "")
    assert "ZeroDivisionError" in (plans[PEAK].value.reason or "")
    assert plans[ARB].usable
    assert plans[SELF].usable
    assert plans[BAL].usable


def test_a_plan_that_fails_its_check_is_no_candidate() -> None:
    class Boastful:
        def solve(self, instance: Instance) -> Solution:
            good = OPTIMIZER.solve(instance)
            return dataclasses.replace(good, soc_kwh=good.soc_kwh + 5.0)

    plan = plan_candidates(site_day(), StrategyContext(), StrategyParameters(), Boastful(), (CO,))[
        CO
    ]
    assert not plan.usable
    assert "independent check" in (plan.value.reason or "")


def test_a_missing_reserve_is_weighed_but_no_money() -> None:
    instance = recorded_day(
        DAYS[0], energy_reserve_kwh=np.full(144, 150.0), reserve_eur_per_kwh_h=0.05
    )
    co, arbitrage = planned(CO, instance), planned(ARB, instance)
    assert arbitrage.preference_eur > co.preference_eur
    worth = evaluate(instance, solution(co).battery_kw)
    assert solution(co).cost_eur == pytest.approx(worth.paid_eur, abs=1e-6)


def test_steering_of_the_pure_strategies_is_what_they_saw() -> None:
    instance = recorded_day(DAYS[0])
    plans = plan_candidates(instance, StrategyContext(), StrategyParameters(), OPTIMIZER)
    caps = {key: plan.steering for key, plan in plans.items()}
    assert caps[PEAK] is not None
    assert np.isfinite(caps[PEAK].peak_cap_kw).all()
    assert caps[ARB] is not None
    assert np.isinf(caps[ARB].peak_cap_kw).all()
    assert caps[BAL] is not None
    assert caps[BAL].smoothing_reference_kw is not None
    assert caps[CO] is not None
    assert caps[CO].grid_charge_allowed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("peak_target_kw", -1.0),
        ("peak_price_eur_per_kw", 0.0),
        ("balancing_window_hours", 0.1),
        ("balancing_eur_per_kwh", -0.5),
        ("early_recharge_eur_per_kwh_h", 0.0),
    ],
)
def test_impossible_parameters_are_named(name: str, value: float) -> None:
    with pytest.raises(OptimizationError, match=f"strategies.{name}"):
        StrategyParameters(**{name: value})


def test_replay_of_every_plan_is_possible_physics() -> None:
    instance = recorded_day(DAYS[1])
    for key in StrategyKey:
        plan = planned(key, instance)
        assert plan.instance is not None
        assert check_solution(plan.instance, solution(plan)).passed

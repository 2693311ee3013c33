"""Billed peaks, preferences, reserve and end values: worked by hand, with their prices."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.optimization.check import check_solution
from engine.optimization.exactness import find_candidates
from engine.optimization.instance import Instance
from engine.optimization.optimizer import solve
from engine.optimization.planning import make_plan
from engine.optimization.settlement import settled
from engine.optimization.solution import Solution
from engine.optimization.steering import current_peak_kw, steering_of
from engine.optimization.terms import BilledPeak, TerminalCurve
from tests.unit.optimization_cases import START, site_day, small


def checked(instance: Instance) -> Solution:
    solution = solve(instance)
    check = check_solution(instance, solution)
    assert check.passed, check.messages
    return solution


def lossless(n: int, **given: Any) -> Instance:
    """Return `n` hours of a lossless store of 2..18 kWh, 10 kWh in it, that must end so."""
    fields: dict[str, Any] = {
        "eta_charge": 1.0,
        "eta_discharge": 1.0,
        "energy_final_min_kwh": 10.0,
    }
    return small(n, **(fields | given))


# -- billed peaks ------------------------------------------------------------------------


def test_each_peak_bills_its_own_steps_above_its_own_floor() -> None:
    # Month 1 (hours 1-2): 12 and 4 kW level to 8; its floor of 9 makes 9 free, so 3 kWh move.
    # Month 2 (hours 3-4): 8 and 2 kW level to 5. Energy: 26 kWh at 0.20. Peak: 5 x 2 EUR.
    peaks = (BilledPeak.between(4, 0, 2, 2.0, 9.0), BilledPeak.between(4, 2, 4, 2.0))
    solution = checked(lossless(4, load_kw=[12.0, 4.0, 8.0, 2.0], billed_peaks=peaks))
    assert solution.peaks_kw[0] <= 9.0 + 1e-6
    assert solution.demand_cost_eur <= 2.0 * 5.0 + 1e-6
    # Energy may move between the months too: charging in hour 2 up to the free 9 kW.
    assert solution.cost_eur == pytest.approx(26.0 * 0.20 + 2.0 * solution.peaks_kw[1])


def test_the_shorthand_is_one_peak_over_all_steps() -> None:
    short = lossless(2, load_kw=[12.0, 4.0], demand_charge_eur_per_kw=3.0, incurred_peak_kw=1.0)
    long = lossless(2, load_kw=[12.0, 4.0], billed_peaks=(BilledPeak.between(2, 0, 2, 3.0, 1.0),))
    assert checked(short).objective_eur == pytest.approx(checked(long).objective_eur)
    assert checked(short).peaks_kw == pytest.approx(checked(long).peaks_kw)


def test_steps_that_set_the_peak_share_its_charge() -> None:
    # Both hours end at 8 kW: a kW more in either raises the peak by half a kW, as the store
    # moves the other half. The shares add up to the charge of 3 EUR/kW.
    solution = checked(lossless(2, load_kw=[12.0, 4.0], demand_charge_eur_per_kw=3.0))
    assert solution.grid_kw == pytest.approx([8.0, 8.0])
    assert solution.peak_dual_eur_per_kw.sum() == pytest.approx(3.0)
    assert solution.site_price_eur_per_kwh == pytest.approx([0.20 + 1.5, 0.20 + 1.5])


def test_a_step_that_is_not_billed_has_no_share() -> None:
    peak = BilledPeak(np.array([True, False]), 3.0, 0.0)
    solution = checked(lossless(2, load_kw=[12.0, 4.0], billed_peaks=(peak,)))
    assert solution.peak_dual_eur_per_kw[1] == 0.0
    assert solution.peaks_kw == pytest.approx((4.0,))  # 8 kWh above the floor of the window


# -- preferences -------------------------------------------------------------------------


def test_premium_is_a_preference_and_no_cost() -> None:
    # 8 kWh of surplus, 4 of them wanted an hour later. The other 4 sell for 0.05 each; a
    # premium of 3 ct does not change that and costs 0.12 beside the money.
    given: dict[str, Any] = {"pv_kw": [8.0, 0.0], "load_kw": [0.0, 4.0]}
    solution = checked(lossless(2, **given, export_premium_eur_per_kwh=0.03))
    assert solution.cost_eur == pytest.approx(-0.20)
    assert solution.preference_cost_eur == pytest.approx(0.12)
    assert solution.objective_eur == pytest.approx(-0.08)
    # At 10 ct the 4 kWh stay in the store although nobody needs them: no money, no premium.
    kept = checked(lossless(2, **given, export_premium_eur_per_kwh=0.10))
    assert kept.cost_eur == pytest.approx(0.0, abs=1e-9)
    assert kept.preference_cost_eur == pytest.approx(0.0, abs=1e-9)


def test_premium_prefers_storing_at_a_loss_but_never_giving_away() -> None:
    # Selling now brings 0.25, storing saves 0.81 x 0.30 = 0.243 later: 0.7 ct less. A premium
    # of 2 ct decides for storing. The rest is sold: giving it away would not be used either.
    given: dict[str, Any] = {
        "pv_kw": [20.0, 0.0],
        "load_kw": [0.0, 7.0],
        "buy_eur_per_kwh": [0.3, 0.3],
        "sell_eur_per_kwh": [0.25, 0.0],
        "energy_start_kwh": 2.0,
    }
    assert checked(small(2, **given)).charge_kw[0] == 0.0
    stored = checked(small(2, **given, export_premium_eur_per_kwh=0.02))
    assert stored.charge_kw[0] == pytest.approx(7.0 / 0.81)
    dear = checked(small(2, **given, export_premium_eur_per_kwh=0.90))
    assert dear.curtailed_kw.max() == 0.0


def test_smoothing_draws_the_grid_to_the_reference_while_it_is_worth_it() -> None:
    # Hours of 12 and 4 kW around a reference of 8: moving 4 kWh saves 8 kWh of distance at
    # 0.05 = 0.40 and costs 0.30 of wear at 0.075 per kWh discharged.
    given: dict[str, Any] = {
        "load_kw": [12.0, 4.0],
        "smoothing_eur_per_kwh": 0.05,
        "smoothing_reference_kw": [8.0, 8.0],
    }
    near = checked(lossless(2, **given, wear_discharge_eur_per_kwh=0.075))
    assert near.grid_kw == pytest.approx([8.0, 8.0])
    assert near.preference_cost_eur == pytest.approx(0.0, abs=1e-9)
    far = checked(lossless(2, **given, wear_discharge_eur_per_kwh=0.12))
    assert far.grid_kw == pytest.approx([12.0, 4.0])
    assert far.preference_cost_eur == pytest.approx(0.05 * 8.0)


def test_ramps_count_from_the_power_before() -> None:
    # From 6 kW to a load of 10 kW for an hour: 4 kW up, 4 kW back would be charged at 1 EUR
    # each; 4 kWh from the store keep 6 kW, and lifting the 2 kWh too few costs less.
    given: dict[str, Any] = {"load_kw": [10.0, 2.0], "ramp_eur_per_kw": 1.0}
    solution = checked(lossless(2, **given, grid_before_kw=6.0))
    assert solution.grid_kw == pytest.approx([6.0, 6.0])
    assert solution.preference_cost_eur == pytest.approx(0.0, abs=1e-9)
    # Without a power before, any even level is as good.
    free = checked(lossless(2, **given))
    assert free.grid_kw[0] == pytest.approx(free.grid_kw[1])


def test_reserve_is_kept_at_its_price_and_said_to_be_missing_otherwise() -> None:
    # Serving the 8 kW hour from the store saves 8 x 0.20 = 1.60; the reserve of 10 kWh then
    # lacks 8 kWh for one hour.
    given: dict[str, Any] = {
        "load_kw": [8.0],
        "energy_final_min_kwh": None,
        "energy_reserve_kwh": [10.0],
    }
    kept = checked(lossless(1, **given, reserve_eur_per_kwh_h=0.21))
    assert kept.soc_kwh == pytest.approx([10.0])
    assert kept.gave_way == {}
    used = checked(lossless(1, **given, reserve_eur_per_kwh_h=0.19))
    assert used.soc_kwh == pytest.approx([2.0])
    assert used.gave_way == pytest.approx({"energy_reserve_kwh": 8.0})
    assert used.preference_cost_eur == pytest.approx(8.0 * 0.19)


def test_a_reserve_above_the_window_gives_way() -> None:
    solution = checked(lossless(3, energy_reserve_kwh=[50.0] * 3, reserve_eur_per_kwh_h=9.0))
    assert solution.soc_kwh[-1] == pytest.approx(18.0)
    assert solution.gave_way == pytest.approx({"energy_reserve_kwh": 32.0})


def test_a_terminal_curve_fills_the_store_as_far_as_it_pays() -> None:
    # A kWh costs 0.20 now; the first 6 kWh kept are worth 0.30, the next 6 0.25, then 0.10.
    curve = TerminalCurve(np.array([6.0, 12.0]), np.array([0.30, 0.25, 0.10]))
    solution = checked(
        lossless(2, energy_final_min_kwh=None, energy_start_kwh=2.0, terminal_curve=curve)
    )
    assert solution.soc_kwh[-1] == pytest.approx(12.0)
    assert solution.objective_eur == pytest.approx(10 * 0.20 - (6 * 0.30 + 6 * 0.25))
    assert 0.10 <= solution.stored_value_eur_per_kwh[-1] <= 0.25 + 1e-9


def test_curve_and_number_add_up() -> None:
    curve = TerminalCurve(np.array([6.0]), np.array([0.15, 0.0]))
    both = checked(
        lossless(
            1, energy_final_min_kwh=None, terminal_curve=curve, terminal_value_eur_per_kwh=0.10
        )
    )
    # 0.25 up to 6 kWh, 0.10 above: exporting at 0.05 pays nothing, buying at 0.20 neither.
    assert both.soc_kwh == pytest.approx([10.0])
    assert both.objective_eur == pytest.approx(-(0.10 * 10.0 + 0.15 * 6.0))


# -- prices behind a plan ----------------------------------------------------------------


def full_day() -> Instance:
    return site_day(
        demand_charge_eur_per_kw=2.0,
        incurred_peak_kw=5.0,
        export_premium_eur_per_kwh=0.02,
        smoothing_eur_per_kwh=0.015,
        smoothing_reference_kw=np.zeros(96),
        ramp_eur_per_kw=0.001,
        grid_before_kw=12.0,
        energy_reserve_kwh=np.full(96, 60.0),
        reserve_eur_per_kwh_h=0.01,
        terminal_curve=TerminalCurve(np.array([60.0, 120.0]), np.array([0.2, 0.1, 0.0])),
    )


@pytest.mark.parametrize("step", [0, 30, 52, 78, 95])
def test_site_price_is_the_slope_of_the_cost_in_the_load(step: int) -> None:
    instance, epsilon = full_day(), 1e-3
    solution = checked(instance)
    assert solution.solver == "HIGHS (LP)"

    def objective(more_kw: float) -> float:
        load = instance.load_kw.copy()
        load[step] += more_kw
        return checked(dataclasses.replace(instance, load_kw=load)).objective_eur

    price = float(solution.site_price_eur_per_kwh[step])
    kwh = epsilon * instance.step_hours
    assert price >= (solution.objective_eur - objective(-epsilon)) / kwh - 1e-4
    assert price <= (objective(epsilon) - solution.objective_eur) / kwh + 1e-4


def test_smoothing_and_ramps_stay_within_what_the_exactness_rule_assumes() -> None:
    instance = full_day()
    solution = checked(instance)
    importing = solution.grid_kw > 1e-6
    without_peak = (
        solution.site_price_eur_per_kwh - solution.peak_dual_eur_per_kw / instance.step_hours
    )
    distance = np.abs(without_peak - instance.buy_eur_per_kwh)[importing]
    assert distance.max() <= instance.grid_slope_eur_per_kwh + 1e-6


def test_preferences_can_make_burning_pay_and_then_it_is_decided() -> None:
    # Without wear, smoothing at 0.5 to a far reference pays 0.3 per kWh of charging: the full
    # store would be burnt in place to go on charging.
    instance = small(
        3,
        energy_start_kwh=18.0,
        smoothing_eur_per_kwh=0.5,
        smoothing_reference_kw=[50.0] * 3,
    )
    assert find_candidates(dataclasses.replace(instance, smoothing_eur_per_kwh=0.1)).count == 0
    assert find_candidates(instance).battery.all()
    solution = checked(instance)
    assert "MILP" in solution.solver
    assert solution.gap == 0.0


# -- at another tariff -------------------------------------------------------------------


def test_a_strategys_plan_is_settled_at_the_sites_own_tariff() -> None:
    own = small(2, load_kw=[4.0, 4.0], buy_eur_per_kwh=[0.1, 0.5])
    flat = dataclasses.replace(own, buy_eur_per_kwh=np.full(2, 0.3))
    paid = settled(checked(flat), own)
    assert check_solution(own, paid).passed
    assert paid.cost_eur == pytest.approx(float(own.buy_eur_per_kwh @ paid.grid_kw))
    plan = make_plan(
        flat,
        solve(flat),
        check_solution(flat, solve(flat)),
        plan_id="p",
        site_id="s",
        created_at=START,
        spot=[0.0, 0.0],
        price_is_forecast=[False, False],
        strategy="peak_shaving",
        trigger="schedule",
        forecast_sources={},
        tariff=own,
    )
    assert plan.buy_eur_per_kwh == pytest.approx([0.1, 0.5])
    assert plan.cost_eur == pytest.approx(paid.cost_eur)
    assert plan.baseline_cost_eur == pytest.approx(4.0 * 0.6)
    assert plan.steering is not None
    assert plan.steering.buy_eur_per_kwh == pytest.approx([0.3, 0.3])


def test_steering_carries_the_view_of_the_strategy() -> None:
    instance = lossless(
        2,
        load_kw=[12.0, 4.0],
        export_premium_eur_per_kwh=0.02,
        smoothing_eur_per_kwh=0.01,
        smoothing_reference_kw=[8.0, 8.0],
        billed_peaks=(BilledPeak.between(2, 1, 2, 3.0, 6.0),),
        grid_charge_allowed=False,
    )
    solution = checked(instance)
    steering = steering_of(instance, solution.grid_kw)
    assert steering.sell_eur_per_kwh == pytest.approx([0.03, 0.03])
    assert steering.peak_cap_kw[0] == np.inf
    assert steering.peak_cap_kw[1] == pytest.approx(max(6.0, float(solution.grid_kw[1])))
    assert steering.peak_price_eur_per_kwh == pytest.approx(3.0)
    assert steering.smoothing_reference_kw == pytest.approx([8.0, 8.0])
    assert not steering.grid_charge_allowed
    assert current_peak_kw(instance, solution) == pytest.approx(steering.peak_cap_kw[1])


def test_without_a_demand_charge_there_is_no_peak_to_hold() -> None:
    solution = checked(small())
    assert current_peak_kw(small(), solution) is None
    assert np.all(np.isinf(steering_of(small(), solution.grid_kw).peak_cap_kw))


# -- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"smoothing_eur_per_kwh": 0.1}, "smoothing_reference_kw"),
        ({"smoothing_reference_kw": [0.0] * 3}, "smoothing_eur_per_kwh"),
        ({"energy_reserve_kwh": [5.0] * 3}, "reserve_eur_per_kwh_h"),
        ({"reserve_eur_per_kwh_h": 0.1}, "energy_reserve_kwh"),
        ({"energy_reserve_kwh": [5.0] * 2, "reserve_eur_per_kwh_h": 0.1}, "energy_reserve_kwh"),
        ({"energy_reserve_kwh": [-5.0] * 3, "reserve_eur_per_kwh_h": 0.1}, "energy_reserve_kwh"),
        ({"ramp_eur_per_kw": -1.0}, "ramp_eur_per_kw"),
        ({"export_premium_eur_per_kwh": float("nan")}, "export_premium_eur_per_kwh"),
        ({"grid_before_kw": float("inf")}, "grid_before_kw"),
        ({"billed_peaks": (BilledPeak.between(4, 0, 4, 1.0),)}, "billed_peaks[0].billed"),
    ],
)
def test_terms_that_make_no_sense_are_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(OptimizationError) as caught:
        small(**given)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: BilledPeak(np.zeros(3, dtype=np.bool_), 1.0),
        lambda: BilledPeak(np.ones(3), 1.0),  # type: ignore[arg-type]
        lambda: BilledPeak(np.ones(3, dtype=np.bool_), -1.0),
        lambda: BilledPeak(np.ones(3, dtype=np.bool_), 1.0, float("nan")),
        lambda: TerminalCurve(np.array([5.0]), np.array([0.1])),
        lambda: TerminalCurve(np.array([5.0, 4.0]), np.array([0.3, 0.2, 0.1])),
        lambda: TerminalCurve(np.array([0.0]), np.array([0.3, 0.2])),
        lambda: TerminalCurve(np.array([5.0]), np.array([0.1, 0.2])),
        lambda: TerminalCurve(np.array([5.0]), np.array([0.1, np.nan])),
    ],
)
def test_broken_peaks_and_curves_are_refused(wrong: Any) -> None:
    with pytest.raises(OptimizationError):
        wrong()


def test_a_curve_is_worth_the_area_under_its_marginals() -> None:
    curve = TerminalCurve(np.array([10.0, 20.0]), np.array([0.3, 0.2, -0.1]))
    assert curve.value_eur([0.0, 5.0, 10.0, 15.0, 30.0]) == pytest.approx([0.0, 1.5, 3.0, 4.0, 4.0])
    flat = TerminalCurve(np.zeros(0), np.array([0.2]))
    assert flat.value_eur(7.0) == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"preference_cost_eur": 9.0}, "preference cost"),
        ({"demand_cost_eur": 9.0}, "demand cost"),
        ({"energy_cost_eur": 99.0}, "energy cost"),
        ({"wear_cost_eur": 9.0}, "wear cost"),
        ({"objective_eur": 99.0}, "objective"),
        ({"peaks_kw": (1.0,)}, "billed peak"),
        ({"peaks_kw": ()}, "peaks_kw names 0 peaks"),
        ({"gave_way": {}}, "energy_reserve_kwh gives way"),
        ({"site_price_eur_per_kwh": np.zeros(0)}, "site_price_eur_per_kwh"),
    ],
)
def test_the_replay_finds_every_false_statement_about_the_terms(
    change: dict[str, Any], says: str
) -> None:
    instance = lossless(
        2,
        load_kw=[12.0, 4.0],
        demand_charge_eur_per_kw=1.0,
        ramp_eur_per_kw=0.01,
        grid_before_kw=0.0,
        energy_reserve_kwh=[18.0, 18.0],
        reserve_eur_per_kwh_h=0.01,
        terminal_value_eur_per_kwh=0.1,
    )
    told = dataclasses.replace(checked(instance), **change)
    check = check_solution(instance, told)
    assert not check.passed
    assert any(says in message for message in check.messages), check.messages

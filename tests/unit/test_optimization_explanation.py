"""What comes next, in blocks, and why."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from engine.domain.plan import Plan, PlanCheck, PlanSteering
from engine.optimization.check import check_solution
from engine.optimization.explanation import (
    ActionKind,
    Driver,
    ReasonCode,
    explain,
    next_actions,
    peak_setting_steps,
)
from engine.optimization.instance import Instance
from engine.optimization.optimizer import solve
from engine.optimization.planning import make_plan
from engine.optimization.terms import BilledPeak
from tests.unit.optimization_cases import BATTERY, START, site_day, small

HOUR = timedelta(hours=1)


def plan(battery_kw: list[float], **given: Any) -> Plan:
    """Return a plan of hours that does what it is told; soc falls and rises without losses."""
    n = len(battery_kw)
    battery = np.array(battery_kw)
    series = {
        "load_kw": np.full(n, 5.0),
        "pv_kw": np.zeros(n),
        "curtailed_kw": np.zeros(n),
        "buy_eur_per_kwh": np.full(n, 0.30),
        "sell_eur_per_kwh": np.full(n, 0.08),
        "stored_value_eur_per_kwh": np.full(n, 0.20),
    } | {name: np.array(values, dtype=float) for name, values in given.items()}
    return Plan(
        plan_id="p",
        site_id="s",
        created_at=START,
        start=START,
        step_minutes=60,
        battery_kw=battery,
        grid_kw=series["load_kw"] - series["pv_kw"] + series["curtailed_kw"] - battery,
        soc_kwh=50.0 - np.cumsum(battery),
        soc_start_kwh=50.0,
        spot_eur_per_kwh=np.full(n, 0.1),
        price_is_forecast=np.zeros(n, dtype=np.bool_),
        strategy="co_optimised",
        cost_eur=0.0,
        baseline_cost_eur=0.0,
        profit_24h_eur=0.0,
        status="optimal",
        solver="HIGHS (LP)",
        gap=0.0,
        solve_ms=1.0,
        check=PlanCheck(True, 0.0, 0.0, 0.0),
        **series,
    )


def test_equal_steps_are_one_block() -> None:
    actions = next_actions(
        plan([-10.0, -6.0, 0.0, 4.0, 4.0], buy_eur_per_kwh=[0.10, 0.18, 0.3, 0.4, 0.4]), START
    )
    assert [action.kind for action in actions] == [
        ActionKind.CHARGE_GRID,
        ActionKind.HOLD,
        ActionKind.DISCHARGE_LOAD,
    ]
    charge, hold, discharge = actions
    assert (charge.start, charge.end) == (START, START + 2 * HOUR)
    assert charge.mean_kw == pytest.approx(-8.0)
    assert charge.energy_kwh == pytest.approx(16.0)
    assert charge.price_eur_per_kwh == pytest.approx((10 * 0.10 + 6 * 0.18) / 16)
    assert charge.soc_end_kwh == pytest.approx(66.0)
    assert hold.price_eur_per_kwh is None
    assert hold.energy_kwh == 0.0
    assert discharge.mean_kw == pytest.approx(4.0)
    assert discharge.price_eur_per_kwh == pytest.approx(0.4)
    assert discharge.soc_end_kwh == pytest.approx(58.0)


@pytest.mark.parametrize(
    ("battery_kw", "given", "kind", "price"),
    [
        (-10.0, {"pv_kw": [20.0]}, ActionKind.CHARGE_PV, 0.08),
        (-10.0, {"pv_kw": [0.0]}, ActionKind.CHARGE_GRID, 0.30),
        (-10.0, {"pv_kw": [11.0]}, ActionKind.CHARGE_MIXED, (6 * 0.08 + 4 * 0.30) / 10),
        (-10.0, {"pv_kw": [20.0], "curtailed_kw": [15.0]}, ActionKind.CHARGE_GRID, 0.30),
        (4.0, {}, ActionKind.DISCHARGE_LOAD, 0.30),
        (8.0, {}, ActionKind.DISCHARGE_LOAD, (5 * 0.30 + 3 * 0.08) / 8),
        (20.0, {}, ActionKind.DISCHARGE_GRID, (5 * 0.30 + 15 * 0.08) / 20),
        (4.0, {"pv_kw": [9.0]}, ActionKind.DISCHARGE_GRID, 0.08),
        (0.4, {}, ActionKind.HOLD, None),
        (-0.4, {}, ActionKind.HOLD, None),
    ],
)
def test_kind_and_price_follow_where_the_energy_comes_from_and_goes(
    battery_kw: float, given: dict[str, Any], kind: ActionKind, price: float | None
) -> None:
    (action,) = next_actions(plan([battery_kw], **given), START)
    assert action.kind is kind
    assert action.price_eur_per_kwh == (None if price is None else pytest.approx(price))


def test_the_running_block_counts_from_now_and_says_why() -> None:
    actions = next_actions(plan([4.0, 4.0, -10.0]), START + 1.5 * HOUR)
    running, later = actions
    assert running.start == START + 1.5 * HOUR
    assert running.energy_kwh == pytest.approx(2.0)
    assert running.mean_kw == pytest.approx(4.0)
    assert running.reason is not None
    assert later.start == START + 2 * HOUR
    assert later.reason is None


@pytest.mark.parametrize(
    ("battery_kw", "value", "code"),
    [
        (4.0, 0.20, ReasonCode.PRICE_ABOVE_STORED_VALUE),
        (4.0, 0.35, ReasonCode.CONSTRAINT),
        (-4.0, 0.35, ReasonCode.STORED_VALUE_ABOVE_PRICE),
        (-4.0, 0.20, ReasonCode.CONSTRAINT),
        (0.0, 0.28, ReasonCode.NO_GAIN),
    ],
)
def test_reason_compares_price_and_stored_value(
    battery_kw: float, value: float, code: ReasonCode
) -> None:
    (action,) = next_actions(plan([battery_kw], stored_value_eur_per_kwh=[value]), START)
    assert action.reason is not None
    assert action.reason.code is code
    assert action.reason.stored_value_eur_per_kwh == value
    assert action.reason.price_eur_per_kwh == pytest.approx(0.30)


def test_no_more_blocks_than_asked_for() -> None:
    flapping = plan([5.0, -5.0] * 6)
    assert len(next_actions(flapping, START)) == 6
    assert len(next_actions(flapping, START, limit=2)) == 2


def test_outside_the_plan() -> None:
    ahead = next_actions(plan([5.0]), START - HOUR)
    assert ahead[0].start == START
    assert ahead[0].reason is None
    assert next_actions(plan([5.0]), START + HOUR) == []


# -- why every step does what it does ----------------------------------------------------


def made(instance: Instance) -> Plan:
    """Return the optimal plan of `instance`."""
    solution = solve(instance)
    return make_plan(
        instance,
        solution,
        check_solution(instance, solution),
        plan_id="p",
        site_id="s",
        created_at=START,
        spot=np.zeros(instance.n_steps),
        price_is_forecast=np.zeros(instance.n_steps, dtype=bool),
        strategy="co_optimised",
        trigger="schedule",
        forecast_sources={},
    )


def test_holding_names_the_dearest_step_it_waits_for() -> None:
    told = plan(
        [0.0, 3.0, 5.0, 2.0, -5.0, 5.0],
        buy_eur_per_kwh=[0.396, 0.41, 0.437, 0.42, 0.2, 0.9],
    )
    hold = explain(told)[0]
    assert hold.code is ReasonCode.NO_GAIN
    assert hold.best_later_ts == START + 2 * HOUR
    assert hold.best_later_kind is ActionKind.DISCHARGE_LOAD
    assert hold.best_later_eur_per_kwh == pytest.approx(0.437)
    assert hold.margin_eur_per_kwh == pytest.approx(0.041)


def test_holding_with_room_names_the_cheapest_step_it_waits_for() -> None:
    told = plan([0.0, -3.0, -5.0, 5.0], buy_eur_per_kwh=[0.30, 0.22, 0.20, 0.9])
    hold = explain(told)[0]
    assert hold.best_later_ts == START + 2 * HOUR
    assert hold.best_later_kind is ActionKind.CHARGE_GRID
    assert hold.margin_eur_per_kwh == pytest.approx(0.10)


def test_charging_names_the_next_use_and_discharging_waits_for_nothing() -> None:
    told = plan([-3.0, -5.0, 5.0, 4.0], buy_eur_per_kwh=[0.1, 0.1, 0.3, 0.4])
    charge, _, discharge, _ = explain(told)
    assert charge.best_later_ts == START + 3 * HOUR
    assert charge.margin_eur_per_kwh == pytest.approx(0.3)
    assert discharge.best_later_ts is None
    assert discharge.margin_eur_per_kwh is None


def test_every_moving_step_of_an_optimal_plan_is_explained_by_prices() -> None:
    plan_of_day = made(site_day(energy_start_kwh=100.0))
    why = explain(plan_of_day, BATTERY)
    moving = np.abs(plan_of_day.battery_kw) >= 0.5
    assert moving.sum() > 20
    codes = {why[step].code for step in np.flatnonzero(moving)}
    assert codes == {ReasonCode.STORED_VALUE_ABOVE_PRICE, ReasonCode.PRICE_ABOVE_STORED_VALUE}
    assert not any(reason.drivers for reason in why)


def test_a_peak_explains_what_the_energy_price_cannot() -> None:
    # Flat price: charging before the 20 kW hour only pays because of the billed peak.
    told = made(
        small(
            3,
            load_kw=[5.0, 20.0, 5.0],
            energy_start_kwh=2.0,
            energy_final_min_kwh=2.0,
            billed_peaks=(BilledPeak(np.ones(3, dtype=np.bool_), 8.0, 0.0),),
        )
    )
    charge, discharge, _ = explain(told)
    assert told.battery_kw[0] < -0.5
    assert told.battery_kw[1] > 0.5
    assert charge.drivers == (Driver.PEAK,)
    assert charge.best_later_ts == START + HOUR
    assert discharge.code is ReasonCode.PRICE_ABOVE_STORED_VALUE
    assert discharge.sets_peak
    assert START + HOUR in peak_setting_steps(told)
    assert told.billed_peak_kw == pytest.approx(float(told.grid_kw.max()))


def test_without_a_demand_charge_no_step_sets_a_peak() -> None:
    assert peak_setting_steps(made(small())) == ()
    assert peak_setting_steps(plan([1.0])) == ()


def test_a_reserve_explains_holding_at_a_good_price() -> None:
    told = made(
        small(
            2,
            load_kw=[9.0, 0.0],
            buy_eur_per_kwh=[0.5, 0.1],
            sell_eur_per_kwh=[0.0, 0.0],
            energy_reserve_kwh=[10.0, 2.0],
            reserve_eur_per_kwh_h=5.0,
        )
    )
    hold = explain(told)[0]
    assert abs(told.battery_kw[0]) < 0.5
    assert hold.drivers == (Driver.RESERVE,)


def test_a_premium_explains_storing_what_would_sell_better() -> None:
    # Selling brings 0.25 now; stored it saves 0.9 x 0.9 x 0.30 = 0.243 later: only the premium
    # of 0.10 on exports makes storing it right.
    told = made(
        small(
            2,
            pv_kw=[8.0, 0.0],
            load_kw=[0.0, 9.0],
            buy_eur_per_kwh=[0.3, 0.3],
            sell_eur_per_kwh=[0.25, 0.0],
            energy_start_kwh=2.0,
            export_premium_eur_per_kwh=0.10,
        )
    )
    battery = dataclasses.replace(
        BATTERY, efficiency_charge=0.9, efficiency_discharge=0.9, wear_cost_eur_per_kwh=0.0
    )
    charge = explain(told, battery)[0]
    assert told.battery_kw[0] < -0.5
    assert charge.drivers == (Driver.SELF_CONSUMPTION,)


def test_smoothing_explains_moving_at_a_flat_price() -> None:
    told = made(
        small(
            2,
            load_kw=[10.0, 2.0],
            energy_final_min_kwh=10.0,
            smoothing_eur_per_kwh=0.2,
            smoothing_reference_kw=[6.0, 6.0],
        )
    )
    discharge, charge = explain(told)
    assert told.battery_kw[0] > 0.5
    assert told.battery_kw[1] < -0.5
    assert Driver.SMOOTHING in discharge.drivers + charge.drivers


def test_a_strategys_own_flat_price_is_its_view_and_no_constraint() -> None:
    flat = PlanSteering(np.full(1, 0.1), np.full(1, 0.1), 0.0, None, np.full(1, np.inf), 0.0)
    told = plan([-4.0], buy_eur_per_kwh=[0.5], stored_value_eur_per_kwh=[0.2])
    assert explain(told)[0].code is ReasonCode.CONSTRAINT
    seen = dataclasses.replace(told, steering=flat)
    assert explain(seen)[0].code is ReasonCode.STORED_VALUE_ABOVE_PRICE


def test_reasons_are_ready_for_json() -> None:
    for reason in explain(plan([0.0, 5.0, -5.0])):
        assert json.loads(json.dumps(reason.as_dict()))["code"] == reason.code.value


def test_every_block_has_its_reason_when_asked_for() -> None:
    actions = next_actions(plan([4.0, -10.0, 0.0]), START, every_reason=True)
    assert all(action.reason is not None for action in actions)

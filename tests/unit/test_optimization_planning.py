"""Only a checked solution becomes a plan, and its profit is what the ledger would book."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.domain.plan import Plan, PlanCheck
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.optimizer import solve
from engine.optimization.planning import make_plan
from tests.unit.optimization_cases import START, small


def publish(instance: Instance, check: PlanCheck | None = None, **given: Any) -> Plan:
    solution = solve(instance)
    fields: dict[str, Any] = {
        "plan_id": "p1",
        "site_id": "s1",
        "created_at": datetime(2026, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        "spot": np.full(instance.n_steps, 0.1),
        "price_is_forecast": np.zeros(instance.n_steps, dtype=bool),
        "strategy": "co_optimised",
        "trigger": "schedule",
        "forecast_sources": {"load": "recorded"},
    } | given
    return make_plan(instance, solution, check or check_solution(instance, solution), **fields)


def test_a_plan_carries_what_was_solved_and_checked() -> None:
    instance = small(buy_eur_per_kwh=[0.1, 0.2, 0.5], load_kw=[3.0] * 3)
    plan = publish(instance)
    assert plan.created_at == START.astimezone(UTC)
    assert plan.check.passed
    assert plan.soc_start_kwh == 10.0
    assert plan.n_steps == 3
    assert plan.end == START + timedelta(hours=3)
    assert plan.grid_kw == pytest.approx(plan.load_kw - plan.pv_kw - plan.battery_kw)
    assert plan.forecast_sources == {"load": "recorded"}


def test_a_plan_that_failed_its_check_is_never_built() -> None:
    instance = small()
    solution = solve(instance)
    broken = dataclasses.replace(solution, grid_kw=solution.grid_kw + 1.0)
    with pytest.raises(OptimizationError, match="power balance"):
        publish(instance, check_solution(instance, broken))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spot", np.zeros(2)),
        ("price_is_forecast", np.zeros(5, dtype=bool)),
        ("created_at", datetime(2026, 5, 1)),  # noqa: DTZ001
    ],
)
def test_wrong_companions_are_refused(field: str, value: Any) -> None:
    with pytest.raises(OptimizationError) as caught:
        publish(small(), **{field: value})
    assert caught.value.field == field


def test_profit_of_a_day_values_what_is_left_in_the_store() -> None:
    # Two days in 6-hour steps, lossless. Day 1 is all at 0.10, day 2 all at 0.40; the load
    # is 1 kW. On day 1 the store fills from 10 to 18 kWh: 8 kWh more bought at 0.10.
    # Profit of day 1: costs rise by 0.80, 8 kWh more are stored, each worth what day 2
    # saves, 0.40: 8 x 0.40 - 0.80 = 2.40. No terminal value.
    instance = small(
        8,
        step_minutes=360,
        buy_eur_per_kwh=[0.10] * 4 + [0.40] * 4,
        sell_eur_per_kwh=[0.0] * 8,
        load_kw=[1.0] * 8,
        eta_charge=1.0,
        eta_discharge=1.0,
    )
    plan = publish(instance)
    assert plan.soc_kwh[3] == pytest.approx(18.0)
    assert plan.stored_value_eur_per_kwh[3] == pytest.approx(0.40)
    assert plan.profit_24h_eur == pytest.approx(2.40)


def test_profit_counts_wear_and_the_peak_avoided_in_the_first_day() -> None:
    # One hour, 20 kW load at 0.20; 8 kWh x 0.9 = 7.2 kW of help at 0.01 wear per kWh.
    # Saved: 7.2 x (0.20 - 0.01) + 7.2 x 3 of demand charge, less 8 kWh at the 0.25 each
    # would be worth after the hour.
    instance = small(
        1,
        load_kw=[20.0],
        wear_discharge_eur_per_kwh=0.01,
        demand_charge_eur_per_kw=3.0,
        terminal_value_eur_per_kwh=0.25,
    )
    plan = publish(instance)
    assert plan.baseline_cost_eur - plan.cost_eur == pytest.approx(7.2 * 0.19 + 7.2 * 3.0)
    assert plan.profit_24h_eur == pytest.approx(7.2 * 3.19 - 8.0 * 0.25)


def test_profit_is_money_even_while_the_store_recovers() -> None:
    # From 0 kWh at 0.5 kW the window (from 2 kWh on) is out of reach for hours: a kWh is
    # priced far above money then, but the profit must stay what kWh can cost.
    instance = small(30, energy_start_kwh=0.0, charge_limit_kw=[0.05] * 30)
    plan = publish(instance)
    assert plan.stored_value_eur_per_kwh[23] > 0.20
    stored_kwh = float(plan.soc_kwh[23])
    assert abs(plan.profit_24h_eur) <= 2.0 * 0.20 * stored_kwh

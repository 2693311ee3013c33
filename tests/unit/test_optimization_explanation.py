"""What comes next, in blocks, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from engine.domain.plan import Plan, PlanCheck
from engine.optimization.explanation import ActionKind, ReasonCode, next_actions
from tests.unit.optimization_cases import START

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

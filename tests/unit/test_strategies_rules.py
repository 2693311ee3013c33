"""The classical rules do what a fitter would expect of them."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.optimization.instance import Instance
from engine.strategies.replay import simulate
from engine.strategies.rules import (
    ArbitrageRule,
    LoadBalancingRule,
    PeakShavingRule,
    RuleState,
    SelfConsumptionRule,
    TimerRule,
)
from tests.unit.optimization_cases import small

VIENNA = ZoneInfo("Europe/Vienna")
MIDNIGHT = datetime(2026, 4, 30, 22, tzinfo=UTC)


def day(**given: Any) -> Instance:
    """Return a local day in hours: 16 kWh usable, 10 kW, no losses, 0.20/0.05 EUR/kWh."""
    return small(
        24,
        **{"start": MIDNIGHT, "eta_charge": 1.0, "eta_discharge": 1.0, "energy_start_kwh": 2.0}
        | given,
    )


def hourly(value: float, **at: float) -> list[float]:
    """Return 24 values, `value` except at the hours given as ``h7=...``."""
    return [at.get(f"h{hour}", value) for hour in range(24)]


def state(net_load_kw: float, *, past: list[float] | None = None, at: int = 12) -> RuleState:
    return RuleState(
        time(at), net_load_kw, np.array(past or []), 10.0, np.ones(24), np.ones(24), at
    )


def test_self_consumption_stores_the_surplus_and_serves_the_need() -> None:
    plant = day(pv_kw=hourly(0.0, h12=8.0), load_kw=hourly(0.0, h12=3.0, h20=4.0))
    run = simulate(plant, SelfConsumptionRule(), VIENNA)
    assert (run.battery_kw[12], run.battery_kw[20]) == (-5.0, 4.0)
    assert run.grid_kw[12] == run.grid_kw[20] == 0.0


def test_peak_shaving_holds_the_target_and_refills_below_the_lower_threshold() -> None:
    rule = PeakShavingRule(50.0, 40.0)
    assert [rule(state(net)) for net in (70.0, 50.0, 45.0, 40.0, 10.0)] == [
        20.0,
        0.0,
        0.0,
        0.0,
        -30.0,
    ]
    assert PeakShavingRule(50.0)(state(39.0)) == pytest.approx(-1.0)
    with pytest.raises(OptimizationError, match="0 and the target"):
        PeakShavingRule(50.0, 60.0)


def test_arbitrage_takes_the_cheapest_and_dearest_hours() -> None:
    prices = hourly(0.20, h3=0.05, h4=0.06, h18=0.40, h19=0.45)
    plant = day(buy_eur_per_kwh=prices, load_kw=hourly(4.0))
    run = simulate(plant, ArbitrageRule(plant), VIENNA)
    # 16 kWh at 10 kW are two hours each way; selling at 0.05 does not pay, serving does.
    assert np.flatnonzero(run.battery_kw < 0).tolist() == [3, 4]
    assert np.flatnonzero(run.battery_kw > 0).tolist() == [18, 19]
    assert run.battery_kw[18] == run.battery_kw[19] == 4.0


def test_arbitrage_sells_into_the_grid_only_where_that_pays() -> None:
    buy, sell = hourly(0.20, h3=0.05, h19=0.45), hourly(0.05, h19=0.35)
    plant = day(buy_eur_per_kwh=buy, sell_eur_per_kwh=sell)
    run = simulate(plant, ArbitrageRule(plant), VIENNA)
    assert run.battery_kw[19] == 10.0


def test_arbitrage_checks_losses_and_wear_of_the_round_trip() -> None:
    prices = hourly(0.20, h3=0.17, h19=0.24)
    plant = day(buy_eur_per_kwh=prices, load_kw=hourly(4.0), eta_charge=0.9, eta_discharge=0.9)
    # 0.17 / 0.81 = 0.21 EUR: worth it without wear, not with 2 ct each way.
    assert simulate(plant, ArbitrageRule(plant), VIENNA).battery_kw[3] < 0.0
    worn = day(
        buy_eur_per_kwh=prices,
        load_kw=hourly(4.0),
        eta_charge=0.9,
        eta_discharge=0.9,
        wear_charge_eur_per_kwh=0.02,
        wear_discharge_eur_per_kwh=0.02,
    )
    assert not simulate(worn, ArbitrageRule(worn), VIENNA).battery_kw.any()


def test_load_balancing_holds_the_average_and_returns_to_the_middle() -> None:
    plant = day()
    rule = LoadBalancingRule(plant, window_hours=4.0, return_hours=8.0)
    # The average of 10, 10, 10 and 30 kW is 15 kW; the store is in the middle of 2..18 kWh.
    assert rule(state(30.0, past=[99.0, 10.0, 10.0, 10.0])) == pytest.approx(15.0)
    low = simulate(day(energy_start_kwh=2.0), rule, VIENNA)
    assert low.battery_kw[0] == pytest.approx(-1.0)
    assert low.soc_kwh[-1] == pytest.approx(10.0, abs=1.0)


def test_the_timer_goes_by_the_local_clock() -> None:
    plant = day(load_kw=hourly(3.0))
    run = simulate(plant, TimerRule(4.0, 10.0), VIENNA)
    assert np.flatnonzero(run.battery_kw < 0).tolist() == [1, 2, 3, 4]
    assert np.flatnonzero(run.battery_kw > 0).tolist() == [17, 18, 19, 20, 21]
    assert run.battery_kw[17] == 3.0
    over_midnight = TimerRule(4.0, 10.0, charge_from=time(22), charge_until=time(2))
    run = simulate(plant, over_midnight, VIENNA)
    assert np.flatnonzero(run.battery_kw < 0).tolist() == [0, 1, 22, 23]


def test_prices_a_rule_sees_are_those_of_the_running_local_day() -> None:
    seen: list[tuple[int, int]] = []

    class Watching:
        def __call__(self, state: RuleState) -> float:
            seen.append((state.day_buy_eur_per_kwh.size, state.step_of_day))
            return 0.0

    n = 2 + 23 + 3
    # 28 March 2026, 22:00 to the 30th, 03:00 in Vienna: the 29th has 23 hours.
    plant = small(n, start=datetime(2026, 3, 28, 21, tzinfo=UTC))
    simulate(plant, Watching(), VIENNA)
    assert seen[:2] == [(2, 0), (2, 1)]
    assert seen[2:25] == [(23, hour) for hour in range(23)]
    assert seen[25:] == [(3, 0), (3, 1), (3, 2)]

"""Plans small enough to work out by hand; the working is in the comments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.optimizer import solve
from engine.optimization.solution import Solution

START = datetime(2026, 3, 1, tzinfo=UTC)


def plan(buy: list[float], sell: list[float], **given: Any) -> tuple[Instance, Solution]:
    n = len(buy)
    fields: dict[str, Any] = {
        "load_kw": [0.0] * n,
        "pv_kw": [0.0] * n,
        "charge_limit_kw": [10.0] * n,
        "discharge_limit_kw": [10.0] * n,
        "import_limit_kw": [1000.0] * n,
        "export_limit_kw": [1000.0] * n,
        "eta_charge": 1.0,
        "eta_discharge": 1.0,
        "energy_min_kwh": 0.0,
        "energy_max_kwh": 20.0,
        "energy_start_kwh": 0.0,
    } | given
    instance = Instance(
        start=START, step_minutes=60, buy_eur_per_kwh=buy, sell_eur_per_kwh=sell, **fields
    )
    solution = solve(instance)
    check = check_solution(instance, solution)
    assert check.passed, check.messages
    return instance, solution


def test_arbitrage_for_the_load() -> None:
    # Charge 10 kW in hour 1 stores 9 kWh; drawing 9 kWh gives 8.1 kW in hour 2.
    # Cost: (10 + 10) x 0.10 + (10 - 8.1) x 0.40 = 2.00 + 0.76 = 2.76.
    # Without a battery: 10 x 0.10 + 10 x 0.40 = 5.00.
    # A kWh stored after hour 1 replaces 0.9 kWh at 0.40: 0.36; after hour 2 nothing.
    _, solution = plan(
        [0.10, 0.40], [0.05, 0.05], load_kw=[10, 10], eta_charge=0.9, eta_discharge=0.9
    )
    assert solution.battery_kw == pytest.approx([-10.0, 8.1])
    assert solution.grid_kw == pytest.approx([20.0, 1.9])
    assert solution.soc_kwh == pytest.approx([9.0, 0.0])
    assert solution.cost_eur == pytest.approx(2.76)
    assert solution.baseline_cost_eur == pytest.approx(5.0)
    assert solution.stored_value_eur_per_kwh == pytest.approx([0.36, 0.0])
    assert solution.status == "optimal"
    assert solution.solver == "HIGHS (LP)"
    assert solution.gap == 0.0
    assert solution.gave_way == {}


def test_surplus_pv_is_stored_for_the_evening_and_no_more() -> None:
    # Evening load 10 kW needs 10 / 0.95 = 10.5263 kWh stored, so 10.5263 / 0.95 = 11.0803 kW
    # of surplus. More would be exported at 0.08 after losses: not worth it.
    # Ageing 0.02 per DC kWh each way: 2 x 10.5263 x 0.02 = 0.421053.
    # Cost: -(20 - 11.0803) x 0.08 + 0.421053 = -0.713573 + 0.421053 = -0.292521.
    # Without a battery: -20 x 0.08 + 10 x 0.30 = 1.40.
    _, solution = plan(
        [0.30, 0.30],
        [0.08, 0.08],
        load_kw=[10, 10],
        pv_kw=[30, 0],
        charge_limit_kw=[50, 50],
        discharge_limit_kw=[50, 50],
        eta_charge=0.95,
        eta_discharge=0.95,
        wear_charge_eur_per_kwh=0.02 * 0.95,
        wear_discharge_eur_per_kwh=0.02 / 0.95,
    )
    assert solution.battery_kw == pytest.approx([-11.0803324, 10.0])
    assert solution.wear_cost_eur == pytest.approx(0.4210526)
    assert solution.cost_eur == pytest.approx(-0.2925208)
    assert solution.baseline_cost_eur == pytest.approx(1.40)


def test_demand_charge_levels_the_load() -> None:
    # Discharging x in hour 1 and charging it back in hour 2: peak max(50 - x, 10 + x),
    # least at x = 20: 30 kW. Cost: 60 x 0.20 + 30 x 10 = 312. Without: 12 + 500 = 512.
    _, solution = plan(
        [0.20, 0.20],
        [0.05, 0.05],
        load_kw=[50, 10],
        charge_limit_kw=[50, 50],
        discharge_limit_kw=[50, 50],
        energy_max_kwh=40.0,
        energy_start_kwh=20.0,
        energy_final_min_kwh=20.0,
        demand_charge_eur_per_kw=10.0,
    )
    assert solution.battery_kw == pytest.approx([20.0, -20.0])
    assert solution.demand_cost_eur == pytest.approx(300.0)
    assert solution.cost_eur == pytest.approx(312.0)
    assert solution.baseline_cost_eur == pytest.approx(512.0)


def test_a_peak_already_incurred_costs_nothing_again() -> None:
    # 40 kW are billed anyway: x = 10 keeps hour 1 at 40 kW, more would only move energy
    # about. Of all plans at 60 x 0.20 = 12 EUR the calmest discharges 10 and charges 10.
    _, solution = plan(
        [0.20, 0.20],
        [0.05, 0.05],
        load_kw=[50, 10],
        charge_limit_kw=[50, 50],
        discharge_limit_kw=[50, 50],
        energy_max_kwh=40.0,
        energy_start_kwh=20.0,
        energy_final_min_kwh=20.0,
        demand_charge_eur_per_kw=10.0,
        incurred_peak_kw=40.0,
    )
    assert solution.battery_kw == pytest.approx([10.0, -10.0])
    assert solution.demand_cost_eur == pytest.approx(0.0)
    assert solution.cost_eur == pytest.approx(12.0)


def test_negative_prices_without_wear_burn_no_energy() -> None:
    # Paid 0.10 per kWh taken in each of three hours; store of 5 kWh, efficiencies 0.5.
    # One direction per hour: charge 10 (full, +1.00), discharge 2.5 (-0.25), charge 10
    # (+1.00): 1.75 EUR. Charging and discharging at once would claim 1.00 + 2 x 0.75.
    _, solution = plan(
        [-0.10] * 3, [-0.10] * 3, eta_charge=0.5, eta_discharge=0.5, energy_max_kwh=5.0
    )
    assert solution.cost_eur == pytest.approx(-1.75)
    assert solution.battery_kw == pytest.approx([-10.0, 2.5, -10.0])
    assert solution.solver == "HIGHS (MILP, 3 binaries)"
    assert solution.gap == 0.0


def test_fixed_feed_in_above_a_negative_price_is_no_money_pump() -> None:
    # Without battery power all there is to do is to serve 5 kW at -0.10: -0.50 EUR.
    # Importing and exporting at once would earn 0.18 per kWh up to the connection limit.
    _, solution = plan([-0.10], [0.08], load_kw=[5], charge_limit_kw=[0], discharge_limit_kw=[0])
    assert solution.grid_kw == pytest.approx([5.0])
    assert solution.cost_eur == pytest.approx(-0.50)


def test_fixed_feed_in_and_negative_prices_take_turns() -> None:
    # Hour by hour either import and charge at -0.10 or discharge and export at 0.08.
    # Three hours, lossless, 10 kW, 10 kWh: charge (+1.00), discharge (+0.80), charge (+1.00).
    _, solution = plan([-0.10] * 3, [0.08] * 3, energy_max_kwh=10.0)
    assert solution.cost_eur == pytest.approx(-2.80)
    assert solution.battery_kw == pytest.approx([-10.0, 10.0, -10.0])
    assert solution.grid_kw == pytest.approx([10.0, -10.0, 10.0])
    assert solution.gap == 0.0


def test_what_the_connection_cannot_carry_is_said() -> None:
    # Load 50, connection 20, 10 kWh stored: 10 kW of help leave 40 kW of import, 20 too many.
    _, solution = plan(
        [0.30],
        [0.05],
        load_kw=[50],
        import_limit_kw=[20],
        discharge_limit_kw=[100],
        energy_start_kwh=10.0,
        terminal_value_eur_per_kwh=5.0,
    )
    assert solution.grid_kw == pytest.approx([40.0])
    assert solution.gave_way == pytest.approx({"import_limit_kw": 20.0})


def test_final_energy_gives_way_by_what_cannot_be_charged() -> None:
    # 10 kW for one hour reach 10 kWh; 15 are wished for, 5 are missing.
    _, solution = plan([0.30], [0.05], energy_final_min_kwh=15.0)
    assert solution.soc_kwh == pytest.approx([10.0])
    assert solution.gave_way == pytest.approx({"energy_final_min_kwh": 5.0})


def test_surplus_is_given_away_only_where_that_is_allowed() -> None:
    # Feeding in 10 kW at -0.05 costs 0.50; giving it away costs nothing.
    no_battery: dict[str, Any] = {"charge_limit_kw": [0], "discharge_limit_kw": [0]}
    _, allowed = plan([0.30], [-0.05], pv_kw=[10], **no_battery)
    assert allowed.curtailed_kw == pytest.approx([10.0])
    assert allowed.cost_eur == pytest.approx(0.0)
    assert allowed.baseline_cost_eur == pytest.approx(0.0)
    _, forbidden = plan([0.30], [-0.05], pv_kw=[10], curtailment_allowed=False, **no_battery)
    assert forbidden.curtailed_kw == pytest.approx([0.0])
    assert forbidden.cost_eur == pytest.approx(0.50)
    assert forbidden.baseline_cost_eur == pytest.approx(0.50)


def test_terminal_value_is_no_income() -> None:
    # A stored kWh is worth 0.25 at the end and costs 0.10 now: 10 kWh for 1.00 EUR.
    # The objective counts 1.00 - 2.50 = -1.50, the cost stays 1.00.
    _, solution = plan([0.10], [0.05], terminal_value_eur_per_kwh=0.25)
    assert solution.cost_eur == pytest.approx(1.00)
    assert solution.objective_eur == pytest.approx(-1.50)
    assert solution.stored_value_eur_per_kwh == pytest.approx([0.25])

"""Between plans the battery weighs the value of stored energy against the price now."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.setpoint_law import (
    Prices,
    Situation,
    rate_eur_per_h,
    situation_of,
    value_dispatch_kw,
)
from engine.domain.control import PowerLimits
from engine.domain.plan import PlanSteering
from engine.domain.site import Battery
from tests.support.build import plan

FREE = PowerLimits(100.0, 100.0, "nameplate", "nameplate")
PRICES = Prices(buy=0.25, sell=0.10)


def chosen(battery: Battery, value: float, **changes: Any) -> float:
    planned, view = changes.pop("planned_kw", 0.0), changes.pop("steering", None)
    net_load_kw = changes.pop("grid_kw", 20.0) + changes.pop("battery_kw", 0.0)
    published = plan(stored_value_eur_per_kwh=value, battery_kw=planned, steering=view)
    situation = situation_of(published, 0, net_load_kw, PRICES, battery)
    return value_dispatch_kw(situation, FREE)


def test_the_load_is_served_when_the_grid_costs_more_than_the_store(battery: Battery) -> None:
    # Worth of a stored kWh 0.15; saved at the meter 0.25 * 0.95 - wear: discharge the net load,
    # but no more: feeding in earns only 0.10.
    assert chosen(battery, 0.15) == pytest.approx(20.0)


def test_a_precious_store_is_kept(battery: Battery) -> None:
    assert chosen(battery, 0.24) == 0.0


def test_surplus_pv_is_stored_when_worth_more_than_feed_in(battery: Battery) -> None:
    assert chosen(battery, 0.18, grid_kw=-40.0) == pytest.approx(-40.0)


def test_a_very_precious_store_is_filled_from_the_grid(battery: Battery) -> None:
    assert chosen(battery, 0.40) == pytest.approx(-100.0)


def test_a_worthless_store_is_sold(battery: Battery) -> None:
    assert chosen(battery, 0.02) == pytest.approx(100.0)


def test_the_running_battery_does_not_disturb_the_net_load(battery: Battery) -> None:
    # The same site with the battery already serving the 20 kW: the meter shows 0.
    assert chosen(battery, 0.15, grid_kw=0.0, battery_kw=20.0) == pytest.approx(20.0)


def test_indifferent_means_as_planned(battery: Battery) -> None:
    # At this value charging from the grid is worth exactly what it costs.
    value = PRICES.buy / battery.efficiency_charge + battery.wear_cost_eur_per_kwh
    assert chosen(battery, value, planned_kw=-37.0) == pytest.approx(-37.0)


def seen(**changes: Any) -> PlanSteering:
    """Return what a plan saw: the live prices, unless changed; scalars fill whole arrays."""
    fields: dict[str, Any] = {
        "buy_eur_per_kwh": PRICES.buy,
        "sell_eur_per_kwh": PRICES.sell,
        "smoothing_reference_kw": None,
        "peak_cap_kw": np.inf,
    } | changes
    arrays = {
        name: None if fields[name] is None else np.full(144, fields[name], dtype=float)
        for name in (
            *("buy_eur_per_kwh", "sell_eur_per_kwh"),
            *("smoothing_reference_kw", "peak_cap_kw"),
        )
    }
    numbers = {"smoothing_eur_per_kwh": 0.0, "peak_price_eur_per_kwh": 0.0}
    return PlanSteering(**(numbers | fields | arrays))


def test_a_strategy_keeps_its_own_prices_between_plans(battery: Battery) -> None:
    # At the live price of 0.25 serving the load pays; the strategy saw a flat 0.12.
    assert chosen(battery, 0.12) == pytest.approx(20.0)
    assert chosen(battery, 0.12, steering=seen(buy_eur_per_kwh=0.12)) == 0.0


def test_import_above_the_billed_peak_is_met_from_the_store(battery: Battery) -> None:
    view = seen(peak_cap_kw=60.0, peak_price_eur_per_kwh=32.0)
    # A precious store is kept below the cap, and gives just what lies above it.
    assert chosen(battery, 0.24, grid_kw=55.0, steering=view) == 0.0
    assert chosen(battery, 0.24, grid_kw=85.0, steering=view) == pytest.approx(25.0)
    # A very precious store is filled up to the cap, not to the battery's power.
    assert chosen(battery, 0.40, grid_kw=20.0, steering=view) == pytest.approx(-40.0)


def test_smoothing_holds_the_grid_power_aimed_at(battery: Battery) -> None:
    view = seen(smoothing_reference_kw=30.0, smoothing_eur_per_kwh=1.0)
    assert chosen(battery, 0.20, grid_kw=45.0, steering=view) == pytest.approx(15.0)
    assert chosen(battery, 0.20, grid_kw=10.0, steering=view) == pytest.approx(-20.0)


def test_without_grid_charging_only_surplus_is_stored(battery: Battery) -> None:
    view = seen(grid_charge_allowed=False, battery_export_allowed=False)
    assert chosen(battery, 0.40, steering=view) == 0.0
    assert chosen(battery, 0.40, grid_kw=-35.0, steering=view) == pytest.approx(-35.0)
    assert chosen(battery, 0.01, grid_kw=20.0, steering=view) == pytest.approx(20.0)
    assert chosen(battery, 0.01, grid_kw=-35.0, steering=view) == 0.0


@given(
    net_load=st.floats(-150, 150),
    planned=st.floats(-100, 100),
    buy=st.floats(-0.5, 0.6),
    spread=st.floats(0, 0.2),
    value=st.floats(-0.2, 0.6),
    charge=st.floats(0, 100),
    discharge=st.floats(0, 100),
)
def test_no_allowed_power_is_clearly_better(
    net_load: float,
    planned: float,
    buy: float,
    spread: float,
    value: float,
    charge: float,
    discharge: float,
) -> None:
    battery = Battery(200, 100, 100, 0.95, 0.95, 10, 90, wear_cost_eur_per_kwh=0.015)
    now = Situation(net_load, planned, Prices(buy, buy - spread), value, battery)
    limits = PowerLimits(charge, discharge, "a", "b")
    got = value_dispatch_kw(now, limits)
    assert -charge <= got <= discharge
    for i in range(41):
        other = -charge + (charge + discharge) * i / 40
        # The pull towards the plan may cost at most 0.3 ct per kWh of deviation.
        assert (
            rate_eur_per_h(got, now)
            <= rate_eur_per_h(other, now) + 0.003 * abs(other - planned) + 1e-9
        )

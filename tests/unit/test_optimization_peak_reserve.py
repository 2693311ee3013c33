"""How much must stay stored so that a peak can be held, and which peak is worth holding."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.peak_reserve import (
    load_envelope_kw,
    lowest_peak_kw,
    peak_reserve_kwh,
    peak_target_kw,
    pv_by_time_kw,
    upper_net_load_kw,
)
from tests.unit.optimization_cases import BATTERY, START

HOURLY: dict[str, Any] = {
    "target_kw": 50.0,
    "eta_charge": 0.9,
    "eta_discharge": 0.8,
    "energy_min_kwh": 10.0,
    "energy_max_kwh": 100.0,
    "charge_limit_kw": 20.0,
    "discharge_limit_kw": 30.0,
    "step_hours": 1.0,
}


def reserve(net_kw: list[float], **given: Any) -> list[float]:
    return peak_reserve_kwh(np.array(net_kw), **(HOURLY | given)).tolist()


def test_what_exceeds_the_target_must_be_stored_before() -> None:
    # 16 kW above the target need 16 / 0.8 = 20 kWh; before and while waiting they stay.
    assert reserve([50.0, 50.0, 66.0]) == pytest.approx([30.0, 30.0, 10.0])


def test_what_can_be_recharged_under_the_target_need_not_be_stored() -> None:
    # Hour 2 leaves 15 kW of room: 13.5 kWh; hour 3 needs 20: 6.5 must be there before hour 2.
    assert reserve([50.0, 35.0, 66.0]) == pytest.approx([16.5, 30.0, 10.0])


def test_recharging_is_limited_by_the_battery_and_never_counts_ahead_of_need() -> None:
    # 50 kW of room, 20 kW of battery: 18 kWh a step. More than the need counts for nothing.
    assert reserve([50.0, 0.0, 0.0, 66.0]) == pytest.approx([10.0, 12.0, 30.0, 10.0])


def test_reserve_is_capped_at_the_window_and_at_the_battery_power() -> None:
    # 30 kW is all it can give: 37.5 kWh an hour, four hours ask for 150, the window holds 90.
    assert reserve([50.0] + [500.0] * 4) == pytest.approx([100.0, 100.0, 85.0, 47.5, 10.0])


def test_only_the_next_hours_count() -> None:
    calm = [50.0] * 6 + [66.0]
    assert reserve(calm, horizon_hours=3.0) == pytest.approx([10, 10, 10, 30, 30, 30, 10])


def test_keeping_the_reserve_holds_the_peak_if_the_upper_load_comes_true() -> None:
    random = np.random.default_rng(5)
    for _ in range(20):
        net = 40.0 + 20.0 * random.random(48)
        wanted = peak_reserve_kwh(net, **(HOURLY | {"horizon_hours": 48.0}))
        if wanted.max() >= 100.0:
            continue
        stored = wanted[0]
        for step in range(1, 48):
            room = 50.0 - net[step]
            stored += min(room, 20.0) * 0.9 if room > 0 else room / 0.8
            assert stored >= 10.0 - 1e-9
            stored = min(stored, 100.0)


def test_upper_net_load_counts_on_some_of_the_pv_only() -> None:
    net = upper_net_load_kw(np.array([30.0, 30.0]), np.array([0.0, 50.0]))
    assert net.tolist() == [30.0, 10.0]


def test_envelope_is_the_highest_of_the_same_time_of_the_week() -> None:
    week = np.zeros(168)
    older, newer = week.copy(), week.copy()
    older[5], newer[5], newer[100] = 40.0, 30.0, 20.0
    ignored = np.full(168, 99.0)
    past = np.concatenate([ignored, week, older, week, newer])
    envelope = load_envelope_kw(past, 200, 1.0)
    assert envelope[5] == 40.0
    assert envelope[100] == 20.0
    assert envelope[173] == 40.0
    assert envelope.max() == 40.0


def test_an_envelope_needs_a_week() -> None:
    with pytest.raises(OptimizationError, match="less than a week"):
        load_envelope_kw(np.ones(167), 10, 1.0)


def test_lowest_peak_equals_the_linear_programme() -> None:
    random = np.random.default_rng(2)
    for trial in range(4):
        load = 60.0 + 60.0 * random.random(96) + 80.0 * (random.random(96) > 0.95)
        pv = 50.0 * random.random(96) * (trial % 2)
        battery = dataclasses.replace(BATTERY, standby_loss_kw=0.4 * (trial // 2))
        start_kwh = (battery.energy_min_kwh + battery.energy_max_kwh) / 2.0
        instance = Instance.for_battery(
            battery,
            start=START,
            step_minutes=15,
            buy_eur_per_kwh=np.zeros(96),
            sell_eur_per_kwh=np.zeros(96),
            load_kw=load,
            pv_kw=pv,
            import_limit_kw=1000.0,
            export_limit_kw=1000.0,
            energy_start_kwh=start_kwh,
            energy_final_min_kwh=start_kwh,
            demand_charge_eur_per_kw=1000.0,
        )
        found = lowest_peak_kw(load, pv, battery, step_hours=0.25)
        assert found == pytest.approx(Optimizer().solve(instance).peaks_kw[0], abs=2e-3)


def test_target_is_a_share_of_it_but_never_below_what_is_incurred() -> None:
    load, pv = np.array([50.0] * 8 + [150.0] + [50.0] * 8), np.zeros(17)
    lowest = lowest_peak_kw(load, pv, BATTERY, step_hours=0.25)
    target = peak_target_kw(load, pv, BATTERY, step_hours=0.25, kappa=1.1)
    assert target == pytest.approx(1.1 * lowest)
    assert peak_target_kw(load, pv, BATTERY, step_hours=0.25, floor_kw=500.0) == 500.0


def test_without_any_import_there_is_no_peak() -> None:
    assert lowest_peak_kw(np.zeros(4), np.ones(4), BATTERY, step_hours=0.25) == 0.0


def test_the_reserve_counts_on_the_lowest_pv_of_three_weeks_or_on_more() -> None:
    days = np.repeat(np.arange(1.0, 26.0)[:, None], 96, axis=1)  # the last 21 days: 5 to 25 kW
    past = days.ravel()
    assert (pv_by_time_kw(past, 100, quantile=0.0) == 5.0).all()
    assert (pv_by_time_kw(past, 100, quantile=0.2) == 9.0).all()
    assert pv_by_time_kw(past, 100, quantile=0.5).shape == (100,)

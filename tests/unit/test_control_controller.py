"""Which layer decides the setpoint, and that the page can say so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from engine.config.control import ControlConfig
from engine.control.controller import Controller
from engine.control.layers import DECIDING_REASONS
from engine.control.setpoint_law import Prices
from engine.domain.control import PowerLimits, Setpoint
from engine.domain.plan import Plan, PlanSteering
from engine.domain.site import Site
from tests.support.build import NOW, image, plan

FREE = PowerLimits(100.0, 100.0, "nameplate", "nameplate")
PRICES = Prices(buy=0.25, sell=0.10)
N = 144


def steering(cap_kw: float = np.inf, **changes: Any) -> PlanSteering:
    fields: dict[str, Any] = {
        "buy_eur_per_kwh": np.full(N, PRICES.buy),
        "sell_eur_per_kwh": np.full(N, PRICES.sell),
        "smoothing_eur_per_kwh": 0.0,
        "smoothing_reference_kw": None,
        "peak_cap_kw": np.full(N, cap_kw),
        "peak_price_eur_per_kwh": 32.0,
    }
    return PlanSteering(**(fields | changes))


class Loop:
    """A controller and the seconds that pass."""

    def __init__(self, site: Site, **config: Any) -> None:
        self.controller = Controller(site, ControlConfig.model_validate(config))
        self.seconds = 0.0

    def step(
        self,
        published: Plan | None,
        *,
        limits: PowerLimits = FREE,
        prices: Prices | None = PRICES,
        reserve_kwh: float | None = None,
        seconds: float = 2.0,
        bad: tuple[str, ...] = (),
        **values: float,
    ) -> Setpoint:
        now = NOW + timedelta(seconds=self.seconds)
        found = self.controller.decide(
            image(now, bad=bad, **values),
            limits,
            published,
            prices,
            now=now,
            monotonic_s=self.seconds,
            reserve_kwh=None if reserve_kwh is None else np.full(N, reserve_kwh),
        )
        self.seconds += seconds
        return found


def test_value_dispatch_is_the_wish_of_a_plan(site: Site) -> None:
    found = Loop(site).step(plan(stored_value_eur_per_kwh=0.15))
    assert (found.power_kw, found.reason, found.binding) == (20.0, "value_dispatch", None)


def test_hold_and_track_follow_the_plan_for_comparison(site: Site) -> None:
    planned = plan(battery_kw=-30.0, grid_kw=15.0)
    held = Loop(site, mode="hold").step(planned, grid_kw=50.0)
    assert (held.power_kw, held.reason) == (-30.0, "hold")
    tracked = Loop(site, mode="track").step(planned, grid_kw=50.0)
    assert (tracked.power_kw, tracked.reason) == (35.0, "track")


def test_the_guard_discharges_what_the_cap_does_not_allow(site: Site) -> None:
    # A precious store, kept below the cap; the plan holds its power.
    loop = Loop(site, mode="hold", guard_margin_percent=0.0)
    found = loop.step(plan(steering=steering(40.0)), grid_kw=75.0)
    assert (found.power_kw, found.reason) == (35.0, "peak_guard")
    quiet = Loop(site, mode="hold", peak_guard=False)
    assert quiet.step(plan(steering=steering(40.0)), grid_kw=75.0).power_kw == 0.0


def test_the_guard_charges_less_but_never_more(site: Site) -> None:
    loop = Loop(site, mode="hold", guard_margin_percent=0.0)
    charging = plan(battery_kw=-50.0, steering=steering(40.0))
    assert loop.step(charging, grid_kw=10.0).power_kw == pytest.approx(-30.0)
    assert Loop(site, mode="hold").step(
        plan(battery_kw=50.0, steering=steering(40.0)), grid_kw=10.0
    ).power_kw == pytest.approx(50.0)


def test_below_the_reserve_the_battery_refills_up_to_the_cap(site: Site) -> None:
    loop = Loop(site, guard_margin_percent=0.0)
    worthless = plan(stored_value_eur_per_kwh=0.02, steering=steering(60.0))
    found = loop.step(worthless, reserve_kwh=120.0, grid_kw=25.0)
    assert (found.power_kw, found.reason) == (pytest.approx(-35.0), "reserve")


def test_the_plans_own_reserve_counts(site: Site) -> None:
    view = steering(60.0)
    worthless = plan(stored_value_eur_per_kwh=0.02, steering=view, reserve_kwh=np.full(N, 120.0))
    assert Loop(site).step(worthless).reason == "reserve"
    assert Loop(site, peak_reserve=False).step(worthless).reason == "value_dispatch"


def test_just_above_the_reserve_it_rests(site: Site) -> None:
    worthless = plan(stored_value_eur_per_kwh=0.02, steering=steering(60.0))
    resting = Loop(site).step(worthless, reserve_kwh=99.0)
    assert (resting.power_kw, resting.reason) == (0.0, "reserve")
    assert Loop(site).step(worthless, reserve_kwh=97.0).power_kw == 100.0


def test_the_guard_may_use_the_reserve(site: Site) -> None:
    loop = Loop(site, guard_margin_percent=0.0)
    found = loop.step(plan(steering=steering(40.0)), reserve_kwh=150.0, grid_kw=75.0)
    assert (found.power_kw, found.reason) == (pytest.approx(35.0), "peak_guard")


def test_a_strategy_without_grid_charging_refills_from_surplus_only(site: Site) -> None:
    view = steering(60.0, grid_charge_allowed=False)
    precious = plan(steering=view)
    assert Loop(site).step(precious, reserve_kwh=150.0, grid_kw=20.0).power_kw == 0.0
    sunny = Loop(site).step(precious, reserve_kwh=150.0, grid_kw=-20.0)
    assert sunny.power_kw == pytest.approx(-20.0)


def test_a_grid_limit_outranks_guard_reserve_and_price(site: Site) -> None:
    demanding = PowerLimits(0.0, 100.0, "grid_import", "nameplate", 55.0, "external_dso")
    worthy = plan(stored_value_eur_per_kwh=0.9, steering=steering(40.0))
    found = Loop(site).step(worthy, limits=demanding, reserve_kwh=150.0, grid_kw=75.0)
    assert (found.power_kw, found.reason, found.binding) == (55.0, "grid_limit", "external_dso")


def test_the_batterys_own_limits_rule_over_everything(site: Site) -> None:
    tight = PowerLimits(0.0, 12.0, "status", "bms_power", 12.0, "grid_import")
    found = Loop(site).step(plan(steering=steering(10.0)), limits=tight, grid_kw=300.0)
    assert (found.power_kw, found.binding) == (12.0, "bms_power")
    assert found.wanted_kw > 200.0


def test_the_binding_limit_is_named(site: Site) -> None:
    tight = PowerLimits(30.0, 5.0, "bms_power", "grid_export")
    charging = Loop(site).step(plan(stored_value_eur_per_kwh=0.4), limits=tight)
    assert (charging.power_kw, charging.wanted_kw) == (-30.0, -100.0)
    assert charging.binding == "bms_power"
    serving = Loop(site).step(plan(stored_value_eur_per_kwh=0.15), limits=tight)
    assert (serving.power_kw, serving.binding) == (5.0, "grid_export")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (("soc_percent",), "bms_missing"),
        (("grid_kw",), "meter_missing"),
        (("battery_kw",), "meter_missing"),
    ],
)
def test_missing_data_stops_at_once_and_says_why(
    site: Site, bad: tuple[str, ...], reason: str
) -> None:
    loop = Loop(site)
    assert loop.step(plan(stored_value_eur_per_kwh=0.02)).power_kw == 100.0
    found = loop.step(plan(stored_value_eur_per_kwh=0.02), bad=bad)
    assert (found.power_kw, found.reason) == (0.0, reason)
    assert reason not in DECIDING_REASONS


def test_without_a_plan_the_guard_holds_the_last_cap(site: Site) -> None:
    loop = Loop(site, guard_margin_percent=0.0)
    loop.step(plan(steering=steering(40.0)), grid_kw=20.0)
    idle = loop.step(None, grid_kw=20.0)
    assert (idle.power_kw, idle.reason, idle.missing) == (0.0, "no_plan", None)
    for _ in range(20):
        found = loop.step(None, grid_kw=90.0)
    assert found.power_kw == pytest.approx(50.0, abs=3.0)
    assert (found.reason, found.missing) == ("peak_guard", "no_plan")
    priceless = Loop(site).step(plan(steering=steering(40.0)), prices=None)
    assert (priceless.power_kw, priceless.reason) == (0.0, "no_price")
    ended = Loop(site).step(plan(n=4, start=NOW.replace(hour=2)))
    assert (ended.power_kw, ended.reason) == (0.0, "no_plan")


def test_without_a_plan_self_consumption_may_be_chosen(site: Site) -> None:
    loop = Loop(site, without_plan="self_consumption")
    found = loop.step(None, grid_kw=30.0)
    assert (found.power_kw, found.reason, found.missing) == (30.0, "self_consumption", "no_plan")


def test_small_changes_and_small_powers_are_left_alone(site: Site) -> None:
    loop = Loop(site, net_load_gain=1.0)
    serving = plan(stored_value_eur_per_kwh=0.15)
    powers = [
        loop.step(serving, grid_kw=grid_kw).power_kw for grid_kw in (20.0, 20.6, 19.4, 21.5, 0.4)
    ]
    assert powers == [20.0, 20.0, 20.0, 21.5, 0.0]


def test_the_battery_rests_between_directions(site: Site) -> None:
    loop = Loop(site, min_hold_s=60.0, calm_filter_s=0.0)
    loop.step(plan(stored_value_eur_per_kwh=0.02))
    wanted = [loop.step(plan(stored_value_eur_per_kwh=0.9), seconds=10.0) for _ in range(8)]
    assert [s.power_kw < 0.0 for s in wanted] == [False] * 6 + [True] * 2
    assert wanted[0].binding in ("hold_time", "ramp")
    assert wanted[3].binding == "hold_time"


def test_the_ramp_is_held_but_a_limit_acts_at_once(site: Site) -> None:
    loop = Loop(site, ramp_percent_per_s=5.0)
    loop.step(plan(), grid_kw=20.0)
    rising = loop.step(plan(stored_value_eur_per_kwh=0.02))
    assert (rising.power_kw, rising.binding) == (30.0, "ramp")
    loop.step(plan(stored_value_eur_per_kwh=0.02))
    stopped = loop.step(
        plan(stored_value_eur_per_kwh=0.02), limits=PowerLimits(0.0, 0.0, "alarm", "alarm")
    )
    assert (stopped.power_kw, stopped.binding) == (0.0, "alarm")


@pytest.mark.parametrize("ramp_percent_per_s", [0.3, 2.3, 9.99, 24.9])
def test_the_ramp_ends_at_what_is_wanted_whatever_its_pace(
    site: Site, ramp_percent_per_s: float
) -> None:
    # A ramp may be slower than the deadband per cycle, or end within the deadband of the wish.
    loop = Loop(site, ramp_percent_per_s=ramp_percent_per_s, mode="hold")
    powers = [loop.step(plan()).power_kw]
    while powers[-1] != -50.0 and len(powers) < 100:
        powers.append(loop.step(plan(battery_kw=-50.0)).power_kw)
    steps = np.diff(powers)
    assert powers[-1] == -50.0
    assert np.all(steps < 0.0)
    assert np.all(steps >= -2.0 * ramp_percent_per_s - 1e-9)
    back = [loop.step(plan()).power_kw for _ in range(100)]
    assert back[-1] == 0.0


def test_a_persons_order_is_carried_out_exactly(site: Site) -> None:
    loop = Loop(site)
    orders = (47.3, 47.4, 0.4, -0.4, -2.0)
    found = []
    for order_kw in orders:
        for _ in range(60):
            now = NOW + timedelta(seconds=loop.seconds)
            last = loop.controller.decide(
                image(now), FREE, plan(), PRICES, now=now, monotonic_s=loop.seconds,
                manual_kw=order_kw,
            )  # fmt: skip
            loop.seconds += 2.0
        found.append((last.power_kw, last.binding))
    assert found == [(order_kw, None) for order_kw in orders]


def test_a_short_load_spike_does_not_turn_a_charging_battery_round(site: Site) -> None:
    loop = Loop(site)
    surplus = plan(stored_value_eur_per_kwh=0.18)
    battery_kw, powers = 0.0, []
    for i in range(60):
        net_load_kw = 15.0 if 30 <= i < 33 else -30.0
        found = loop.step(surplus, grid_kw=net_load_kw - battery_kw, battery_kw=battery_kw)
        battery_kw = found.power_kw
        powers.append(battery_kw)
    assert min(powers) < -25.0
    assert max(powers) == 0.0

"""The law against a noisy site and a battery that follows a cycle or two late."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.control import ControlConfig, LimitsConfig
from engine.control.controller import Controller
from engine.control.limits import LimitTracker
from engine.control.setpoint_law import Prices
from engine.domain.plan import Plan, PlanSteering
from engine.domain.site import Battery, GridConnection, Site
from tests.support.build import NOW, image, plan

CYCLE_S = 2.0
QUARTER_CYCLES = 450
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, wear_cost_eur_per_kwh=0.015)
SITE = Site("site-1", "S", "UTC", BATTERY, GridConnection(300.0, 300.0))


def published(n: int, *, cap_kw: float = math.inf, value: float = 0.18) -> Plan:
    view = PlanSteering(np.full(n, 0.25), np.full(n, 0.10), 0.0, None, np.full(n, cap_kw), 32.0)
    return plan(n=n, stored_value_eur_per_kwh=value, steering=view)


@dataclass
class Plant:
    """A site whose battery reaches a setpoint `delay` cycles after it was given."""

    delay: int
    soc_percent: float = 60.0
    battery_kw: float = 0.0
    means_kw: list[float] = field(default_factory=list)
    powers_kw: list[float] = field(default_factory=list)

    def run(
        self,
        net_load_kw: Callable[[int], float],
        cycles: int,
        published: Plan,
        config: ControlConfig | None = None,
        start_cycle: int = 0,
        clock_error_s: Callable[[int], float] = lambda _: 0.0,
    ) -> None:
        """Run from `start_cycle`; `means_kw` gets the mean import of each whole quarter-hour."""
        controller = Controller(SITE, config)
        tracker = LimitTracker(SITE, LimitsConfig())
        waiting = deque([0.0] * self.delay)
        imported_kw = 0.0
        prices = Prices(0.25, 0.10)
        for i in range(start_cycle, cycles):
            grid_kw = net_load_kw(i) - self.battery_kw
            imported_kw += max(0.0, grid_kw)
            monotonic_s = CYCLE_S * i
            now = NOW + timedelta(seconds=monotonic_s + clock_error_s(i))
            seen = image(
                now, grid_kw=grid_kw, battery_kw=self.battery_kw, soc_percent=self.soc_percent
            )
            limits = tracker.update(seen, monotonic_s)
            found = controller.decide(
                seen, limits, published, prices, now=now, monotonic_s=monotonic_s
            )
            waiting.append(found.power_kw)
            self.battery_kw = waiting.popleft()
            stored_kw = -self.battery_kw / 0.95 if self.battery_kw > 0 else -self.battery_kw * 0.95
            self.soc_percent += stored_kw * CYCLE_S / 3600.0 / 200.0 * 100.0
            self.powers_kw.append(self.battery_kw)
            if (i + 1) % QUARTER_CYCLES == 0:
                self.means_kw.append(imported_kw / QUARTER_CYCLES)
                imported_kw = 0.0


def noisy(seed: int, base_kw: float, noise_kw: float, spike_kw: float) -> Callable[[int], float]:
    """Return a load with slow waves, white noise and a spike of a few minutes per half hour."""
    random = np.random.default_rng(seed)
    white = random.normal(0.0, noise_kw, 20_000).tolist()
    phase = random.uniform(0.0, 6.28)
    at, long = int(random.integers(0, 800)), int(random.integers(5, 150))

    def load(i: int) -> float:
        wave = 0.2 * base_kw * math.sin(i / 70.0 + phase)
        spike = spike_kw if at <= i % 900 < at + long else 0.0
        return max(0.0, base_kw + wave + white[i] + spike)

    return load


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    delay=st.integers(0, 2),
    base_kw=st.floats(20.0, 110.0),
    noise_kw=st.floats(0.0, 8.0),
    spike_kw=st.floats(0.0, 90.0),
    cap_kw=st.floats(50.0, 90.0),
    value=st.sampled_from([0.05, 0.18, 0.24, 0.60]),
)
def test_the_guard_keeps_the_mean_under_the_cap_where_the_battery_can(
    seed: int,
    delay: int,
    base_kw: float,
    noise_kw: float,
    spike_kw: float,
    cap_kw: float,
    value: float,
) -> None:
    load = noisy(seed, base_kw, noise_kw, spike_kw)
    plant = Plant(delay)
    cycles = 2 * QUARTER_CYCLES
    plant.run(load, cycles, published(8, cap_kw=cap_kw, value=value))
    # Mean net load above what the cap plus the battery's power can cover: impossible. The
    # first minutes are lost to the slow rise of the limits after the start.
    for quarter, mean_kw in enumerate(plant.means_kw):
        own = [load(i) for i in range(quarter * QUARTER_CYCLES, (quarter + 1) * QUARTER_CYCLES)]
        if max(own) <= cap_kw + 95.0 and plant.soc_percent > 11.0:
            assert mean_kw <= cap_kw


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), start=st.integers(10, 440), base_kw=st.floats(20.0, 100.0))
def test_a_restart_inside_a_quarter_hour_lets_no_peak_through(
    seed: int, start: int, base_kw: float
) -> None:
    # Before the restart another program held the cap, so the quarter-hour's mean so far was
    # at most the cap; that part is not in the sum, so it is added here.
    load = noisy(seed, base_kw, 2.0, 0.0)
    plant = Plant(delay=1)
    plant.run(load, QUARTER_CYCLES, published(8, cap_kw=60.0, value=0.6), start_cycle=start)
    before = 60.0 * start / QUARTER_CYCLES
    assert plant.means_kw[0] + before <= 60.0 + 1.0


def reversals(powers_kw: list[float]) -> int:
    signs = [1 if p > 0 else -1 for p in powers_kw if p != 0.0]
    return sum(1 for a, b in pairwise(signs) if a != b)


def reversals_in_noise(seed: int, delay: int, noise_kw: float) -> int:
    """Return how often the battery turns round in 45 minutes of white noise around zero.

    Surplus is worth storing and load worth serving: every change of sign of the net load invites
    the battery to turn round.
    """
    random = np.random.default_rng(seed)
    white = random.normal(0.0, noise_kw, 3 * QUARTER_CYCLES).tolist()
    plant = Plant(delay)
    plant.run(lambda i: white[i], len(white), published(12, value=0.16))
    return reversals(plant.powers_kw)


# The same draws each time: chance itself may turn the battery twice, in 1 of 150 draws it does.
# How often it may on average is the next test's.
@settings(max_examples=5, derandomize=True)
@given(seed=st.integers(0, 10_000), delay=st.integers(0, 2), noise_kw=st.floats(0.5, 10.0))
def test_noise_around_zero_does_not_make_the_battery_hunt(
    seed: int, delay: int, noise_kw: float
) -> None:
    # 45 minutes; twice in them would be 64 a day.
    assert reversals_in_noise(seed, delay, noise_kw) <= 1


def test_a_day_and_a_half_of_noise_turns_the_battery_a_few_times_a_day() -> None:
    draw = np.random.default_rng(17)
    runs = 48
    turns = sum(
        reversals_in_noise(seed, seed % 3, float(draw.uniform(0.5, 10.0))) for seed in range(runs)
    )
    # Following the grid power turns it hundreds of times a day (notes/optimisation, section 4).
    assert turns / (runs * 0.75 / 24.0) <= 10.0


@settings(max_examples=5)
@given(delay=st.integers(0, 2), step_kw=st.floats(-80.0, 80.0))
def test_a_step_of_the_load_is_met_without_swinging(delay: int, step_kw: float) -> None:
    plant = Plant(delay)
    plant.run(lambda i: 0.0 if i < 60 else step_kw, 300, published(8, value=0.16))
    after = plant.powers_kw[60:]
    assert abs(after[-1] - step_kw) <= 1.0
    # Monotone up to the deadband: it never overshoots what the load asks for.
    assert max(abs(p) for p in after) <= abs(step_kw) + 1.0


@settings(max_examples=12)
@given(
    jump_s=st.sampled_from([3600.0, -3600.0, 86_400.0, 300.0, -300.0, 7.0]),
    at=st.integers(20, 400),
    load_kw=st.floats(61.0, 120.0),
)
def test_a_wall_clock_that_jumps_moves_nothing(jump_s: float, at: int, load_kw: float) -> None:
    # Discharging for the cap of 60 kW, in a plan that covers both times.
    view = replace(published(240, cap_kw=60.0, value=0.6), start=NOW - timedelta(days=1))
    plant = Plant(delay=1, soc_percent=85.0)
    plant.run(
        lambda _: load_kw,
        QUARTER_CYCLES,
        view,
        clock_error_s=lambda i: jump_s if i >= at else 0.0,
    )
    before, after = plant.powers_kw[at - 1], plant.powers_kw[at : at + 40]
    assert max(abs(p - before) for p in after) <= 3.0 + abs(before - (load_kw - 60.0))

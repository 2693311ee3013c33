"""What must hold for every plan, whatever the prices, limits and rules."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.optimization.baseline import baseline_grid_kw
from engine.optimization.case import answer
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.solution import Solution
from engine.optimization.terms import BilledPeak, TerminalCurve
from tests.property.optimization_reference import reference_objective_eur

OPTIMIZER = Optimizer()
SERIES = (
    "buy_eur_per_kwh",
    "sell_eur_per_kwh",
    "load_kw",
    "pv_kw",
    "charge_limit_kw",
    "discharge_limit_kw",
    "import_limit_kw",
    "export_limit_kw",
)
CALM_PROFILE = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    derandomize=True,
)


def steps(draw: st.DrawFn, n: int, low: int, high: int, scale: float) -> np.ndarray:
    values = draw(st.lists(st.integers(low, high), min_size=n, max_size=n))
    return scale * np.array(values, dtype=float)


@st.composite
def terms(draw: st.DrawFn, n: int, capacity: float) -> dict[str, Any]:
    """Any combination of the optional terms for `n` steps and a store of `capacity` kWh."""
    given: dict[str, Any] = {}
    if draw(st.booleans()):
        masks = st.lists(st.booleans(), min_size=n, max_size=n).filter(any)
        given["billed_peaks"] = tuple(
            BilledPeak(np.array(mask), charge, floor)
            for mask in draw(st.lists(masks, min_size=1, max_size=2))
            for charge, floor in [
                (draw(st.sampled_from([0.0, 2.0])), draw(st.sampled_from([0, 15])))
            ]
        )
    given["export_premium_eur_per_kwh"] = draw(st.sampled_from([0.0, 0.1]))
    if draw(st.booleans()):
        given["smoothing_eur_per_kwh"] = draw(st.sampled_from([0.02, 0.2]))
        given["smoothing_reference_kw"] = steps(draw, n, -6, 6, 5.0)
    given["ramp_eur_per_kw"] = draw(st.sampled_from([0.0, 0.01, 0.1]))
    given["grid_before_kw"] = draw(st.sampled_from([None, 10.0]))
    if draw(st.booleans()):
        given["reserve_eur_per_kwh_h"] = draw(st.sampled_from([0.05, 1.0]))
        given["energy_reserve_kwh"] = steps(draw, n, 0, 10, 0.1 * capacity)
    if draw(st.booleans()):
        given["terminal_curve"] = TerminalCurve(
            np.array([0.3, 0.6]) * capacity,
            draw(st.sampled_from([[0.3, 0.2, 0.0], [0.2, 0.1, -0.3]])),
        )
    return given


@st.composite
def instances(
    draw: st.DrawFn,
    *,
    sane: bool = False,
    below: bool = False,
    inside: bool = False,
    preferences: bool = False,
) -> Instance:
    """Any instance.

    `sane`: an idle battery meets all wishes; `below`, `inside`: where the store starts
    relative to its window.
    """
    n = draw(st.sampled_from([1, 2, 4, 6]))
    load, pv = steps(draw, n, 0, 12, 5.0), steps(draw, n, 0, 12, 5.0)
    limit = 120.0 if sane else draw(st.sampled_from([0.0, 20.0, 120.0]))
    curtailment = draw(st.booleans())
    capacity = draw(st.sampled_from([10.0, 40.0]))
    window = st.integers(2, 9)
    wear = draw(st.sampled_from([0.0, 0.01, 0.05]))
    start = draw(st.integers(0, 1) if below else window if sane or inside else st.integers(0, 10))
    final = None if sane or below else draw(st.none() | st.integers(0, 9))
    optional = draw(terms(n, capacity)) if preferences or inside else {}
    return Instance(
        start=datetime(2026, 5, 1, tzinfo=UTC),
        step_minutes=draw(st.sampled_from([15, 60])),
        buy_eur_per_kwh=steps(draw, n, -30, 60, 0.01),
        sell_eur_per_kwh=steps(draw, n, -30, 60, 0.01),
        load_kw=load,
        pv_kw=pv,
        charge_limit_kw=steps(draw, n, 0, 4, 10.0),
        discharge_limit_kw=steps(draw, n, 0, 4, 10.0),
        import_limit_kw=np.full(n, limit),
        export_limit_kw=np.full(n, limit),
        eta_charge=draw(st.sampled_from([1.0, 0.95, 0.8])),
        eta_discharge=draw(st.sampled_from([1.0, 0.95, 0.8])),
        energy_min_kwh=0.2 * capacity,
        energy_max_kwh=0.9 * capacity,
        energy_start_kwh=0.1 * start * capacity,
        energy_final_min_kwh=None if final is None else 0.1 * final * capacity,
        terminal_value_eur_per_kwh=draw(st.sampled_from([0.0, 0.1, 0.3])),
        standby_loss_kw=0.0 if sane else draw(st.sampled_from([0.0, 2.0])),
        wear_charge_eur_per_kwh=wear,
        wear_discharge_eur_per_kwh=draw(st.sampled_from([0.0, wear])),
        grid_charge_allowed=draw(st.booleans()),
        battery_export_allowed=draw(st.booleans()),
        curtailment_allowed=curtailment,
        demand_charge_eur_per_kw=draw(st.sampled_from([0.0, 3.0])),
        incurred_peak_kw=draw(st.sampled_from([0.0, 25.0])),
        **optional,
    )


def solved(instance: Instance) -> Solution:
    solution = OPTIMIZER.solve(instance)
    check = check_solution(instance, solution)
    assert check.passed, check.messages
    return solution


@CALM_PROFILE
@given(instances(preferences=True))
def test_every_instance_has_a_plan_that_passes_its_check(instance: Instance) -> None:
    solution = solved(instance)
    assert solution.status == "optimal"
    assert solution.gap == 0.0
    assert np.all(np.minimum(solution.charge_kw, solution.discharge_kw) == 0.0)
    balance = instance.load_kw - instance.pv_kw + solution.curtailed_kw - solution.battery_kw
    assert solution.grid_kw == pytest.approx(balance, abs=1e-6)
    assert all(amount > 0.0 for amount in solution.gave_way.values())
    assert answer(instance, solution, check_solution(instance, solution))["check"]["passed"]


@CALM_PROFILE
@given(instances(inside=True))
def test_the_optimum_is_the_one_of_an_independent_fully_decided_model(instance: Instance) -> None:
    # Starting outside the window would not compare: recovery is priced, not forced.
    reference = reference_objective_eur(instance)
    solution = solved(instance)
    missed = set(solution.gave_way) - {"energy_reserve_kwh"}
    if reference is None:
        assert missed
        return
    assert not missed
    assert solution.objective_eur == pytest.approx(reference, abs=1e-6)


@CALM_PROFILE
@given(instances(sane=True))
def test_the_plan_is_never_worse_than_no_battery(instance: Instance) -> None:
    solution = solved(instance)
    assert solution.gave_way == {}
    kept_eur = instance.terminal_value_eur_per_kwh * instance.energy_start_kwh
    assert solution.objective_eur <= solution.baseline_cost_eur - kept_eur + 1e-6
    assert baseline_grid_kw(instance).shape == (instance.n_steps,)


@CALM_PROFILE
@given(instances(below=True))
def test_a_start_outside_the_window_is_mended_by_the_end_wherever_possible(
    instance: Instance,
) -> None:
    start_kwh, low_kwh = instance.energy_start_kwh, instance.energy_min_kwh
    assume(instance.grid_charge_allowed)
    # The connection outranks the window: no excess that the battery would have to serve.
    assume(np.all(instance.load_kw - instance.pv_kw <= instance.import_limit_kw))
    room_kw = np.minimum(
        instance.charge_limit_kw,
        np.maximum(instance.import_limit_kw - instance.load_kw + instance.pv_kw, 0.0),
    )
    reachable_kwh = start_kwh + instance.step_hours * float(
        (instance.eta_charge * room_kw - instance.standby_loss_kw).sum()
    )
    assume(reachable_kwh >= low_kwh + 0.1)
    solution = solved(instance)
    assert solution.soc_kwh[-1] >= low_kwh - 1e-4
    assert (
        solution.gave_way.get("energy_min_kwh", 0.0)
        <= low_kwh - min(start_kwh, float(solution.soc_kwh.min())) + 1e-4
    )


@CALM_PROFILE
@given(instances(sane=True), st.sampled_from(["energy", "charge", "discharge", "rules"]))
def test_a_better_battery_never_costs_more(instance: Instance, what: str) -> None:
    better = {
        "energy": {"energy_max_kwh": instance.energy_max_kwh + 10.0},
        "charge": {"charge_limit_kw": instance.charge_limit_kw + 10.0},
        "discharge": {"discharge_limit_kw": instance.discharge_limit_kw + 10.0},
        "rules": {"grid_charge_allowed": True, "battery_export_allowed": True},
    }[what]
    more = dataclasses.replace(instance, **better)
    assert solved(more).objective_eur <= solved(instance).objective_eur + 1e-6


@CALM_PROFILE
@given(instances(sane=True))
def test_stored_value_is_the_slope_of_what_the_later_steps_cost(instance: Instance) -> None:
    # With binaries the dual is the slope at the directions decided only.
    solution = solved(instance)
    assume(solution.solver == "HIGHS (LP)" and instance.n_steps > 1)
    later = dataclasses.replace(
        instance,
        **{name: getattr(instance, name)[1:] for name in SERIES},
        incurred_peak_kw=max(instance.incurred_peak_kw, float(solution.grid_kw[0])),
    )
    epsilon, energy_kwh = 1e-3, float(solution.soc_kwh[0])

    def objective(start_kwh: float) -> float:
        return solved(dataclasses.replace(later, energy_start_kwh=start_kwh)).objective_eur

    value = float(solution.stored_value_eur_per_kwh[0])
    middle = objective(np.clip(energy_kwh, instance.energy_min_kwh, instance.energy_max_kwh))
    if energy_kwh - epsilon >= instance.energy_min_kwh:
        assert value <= (objective(energy_kwh - epsilon) - middle) / epsilon + 1e-4
    if energy_kwh + epsilon <= instance.energy_max_kwh:
        assert value >= (middle - objective(energy_kwh + epsilon)) / epsilon - 1e-4

"""What theory says about the optimum when prices shift, a site grows, or steps are split."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.optimization.instance import Instance
from engine.optimization.terms import BilledPeak, TerminalCurve
from tests.property.test_optimization_invariants import (
    CALM_PROFILE,
    SERIES,
    instances,
    solved,
)

POWERS = (*SERIES[2:],)
ENERGIES = ("energy_min_kwh", "energy_max_kwh", "energy_start_kwh")


def changed(instance: Instance, **values: Any) -> Instance:
    return dataclasses.replace(instance, **values)


@CALM_PROFILE
@given(instances(sane=True, preferences=True), st.sampled_from([-0.07, 0.04, 0.3]))
def test_shifting_all_prices_shifts_the_cost_by_the_net_import(
    instance: Instance, shift: float
) -> None:
    # Without losses, standby and curtailment the energy imported net over the horizon is
    # load - pv + what is stored more. With the value of stored energy shifted too, the final
    # energy drops out: objective' - objective = shift x (sum of h (load - pv) - E_0).
    lossless = changed(
        instance, eta_charge=1.0, eta_discharge=1.0, standby_loss_kw=0.0, curtailment_allowed=False
    )
    shifted = changed(
        lossless,
        buy_eur_per_kwh=lossless.buy_eur_per_kwh + shift,
        sell_eur_per_kwh=lossless.sell_eur_per_kwh + shift,
        terminal_value_eur_per_kwh=lossless.terminal_value_eur_per_kwh + shift,
    )
    net_kwh = lossless.step_hours * float((lossless.load_kw - lossless.pv_kw).sum())
    expected_eur = shift * (net_kwh - lossless.energy_start_kwh)
    difference_eur = solved(shifted).objective_eur - solved(lossless).objective_eur
    assert difference_eur == pytest.approx(expected_eur, abs=1e-6)


@CALM_PROFILE
@given(instances(sane=True, preferences=True), st.sampled_from([0.25, 3.0]))
def test_a_site_twice_the_size_costs_twice_as_much(instance: Instance, size: float) -> None:
    scaled: dict[str, Any] = {name: size * getattr(instance, name) for name in POWERS + ENERGIES}
    scaled["incurred_peak_kw"] = size * instance.incurred_peak_kw
    scaled["billed_peaks"] = tuple(
        BilledPeak(peak.billed, peak.charge_eur_per_kw, size * peak.floor_kw)
        for peak in instance.billed_peaks
    )
    for name in ("smoothing_reference_kw", "grid_before_kw", "energy_reserve_kwh"):
        value = getattr(instance, name)
        scaled[name] = None if value is None else size * value
    if instance.terminal_curve is not None:
        curve = instance.terminal_curve
        scaled["terminal_curve"] = TerminalCurve(
            size * curve.breakpoints_kwh, curve.marginals_eur_per_kwh
        )
    small, large = solved(instance), solved(changed(instance, **scaled))
    assert large.objective_eur == pytest.approx(size * small.objective_eur, abs=1e-5)


@CALM_PROFILE
@given(instances(sane=True, preferences=True))
def test_splitting_every_step_in_two_changes_nothing(instance: Instance) -> None:
    # Two halves may be averaged into one step where the problem is convex; with binaries the
    # halves could take turns. The reserve counts at each end of a step, so it is left out.
    whole = changed(instance, step_minutes=30, energy_reserve_kwh=None, reserve_eur_per_kwh_h=0.0)
    solution = solved(whole)
    assume(solution.solver == "HIGHS (LP)")
    halves: dict[str, Any] = {name: np.repeat(getattr(whole, name), 2) for name in SERIES}
    if whole.smoothing_reference_kw is not None:
        halves["smoothing_reference_kw"] = np.repeat(whole.smoothing_reference_kw, 2)
    halves["billed_peaks"] = tuple(
        BilledPeak(np.repeat(peak.billed, 2), peak.charge_eur_per_kw, peak.floor_kw)
        for peak in whole.billed_peaks
    )
    split = solved(changed(whole, step_minutes=15, **halves))
    assert split.objective_eur == pytest.approx(solution.objective_eur, abs=1e-6)


@CALM_PROFILE
@given(instances(sane=True), st.sampled_from(["power", "energy", "efficiency"]))
def test_a_worthless_battery_changes_no_cost(instance: Instance, missing: str) -> None:
    nothing = np.zeros(instance.n_steps)
    fields: dict[str, Any] = {
        "power": {"charge_limit_kw": nothing, "discharge_limit_kw": nothing},
        "energy": {
            "energy_max_kwh": instance.energy_start_kwh,
            "energy_min_kwh": instance.energy_start_kwh,
        },
        # One that loses nearly everything could still be paid for burning energy.
        "efficiency": {
            "eta_charge": 1e-3,
            "eta_discharge": 1e-3,
            "energy_start_kwh": instance.energy_min_kwh,
            "buy_eur_per_kwh": np.abs(instance.buy_eur_per_kwh),
            "sell_eur_per_kwh": np.abs(instance.sell_eur_per_kwh),
        },
    }[missing]
    # Giving PV power away in order to import it paid for is no merit of the battery.
    worthless = changed(instance, curtailment_allowed=False, **fields)
    solution = solved(worthless)
    assert solution.cost_eur == pytest.approx(solution.baseline_cost_eur, abs=1e-5)


@CALM_PROFILE
@given(
    instances(sane=True, preferences=True),
    st.sampled_from(["buy", "load", "charge", "floor", "premium", "ramp"]),
)
def test_what_makes_things_dearer_never_lowers_the_objective(instance: Instance, what: str) -> None:
    peak = BilledPeak(np.ones(instance.n_steps, dtype=np.bool_), 2.0, 10.0)
    base = changed(instance, billed_peaks=(peak,), buy_eur_per_kwh=instance.buy_eur_per_kwh + 0.3)
    dearer: dict[str, Any] = {
        "buy": {"buy_eur_per_kwh": base.buy_eur_per_kwh + 0.1},
        "load": {"load_kw": base.load_kw + 3.0, "smoothing_reference_kw": None},
        "charge": {"billed_peaks": (dataclasses.replace(peak, charge_eur_per_kw=5.0),)},
        "floor": {"billed_peaks": (dataclasses.replace(peak, floor_kw=0.0),)},
        "premium": {"export_premium_eur_per_kwh": base.export_premium_eur_per_kwh + 0.1},
        "ramp": {"ramp_eur_per_kw": base.ramp_eur_per_kw + 0.1},
    }[what]
    if what == "load":
        # More load is only surely worse where all energy has a price and nothing is smoothed.
        base = changed(
            base,
            sell_eur_per_kwh=np.abs(base.sell_eur_per_kwh),
            smoothing_eur_per_kwh=0.0,
            smoothing_reference_kw=None,
            ramp_eur_per_kw=0.0,
            export_premium_eur_per_kwh=0.0,
            battery_export_allowed=True,
            grid_charge_allowed=True,
        )
    assert solved(changed(base, **dearer)).objective_eur >= solved(base).objective_eur - 1e-6

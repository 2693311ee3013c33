"""No rule, however it asks, drives the plant beyond its physics; none sees the future."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.optimization.instance import Instance
from engine.strategies.replay import simulate
from engine.strategies.rules import (
    ArbitrageRule,
    LoadBalancingRule,
    PeakShavingRule,
    Rule,
    RuleState,
    SelfConsumptionRule,
    TimerRule,
)

VIENNA = ZoneInfo("Europe/Vienna")
HOURS = 30
POWER_KW = st.floats(0.0, 80.0)


class Erratic:
    """Asks for anything at all."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, state: RuleState) -> float:
        return float(self._random.normal(0.0, 1e3))


@st.composite
def plants(draw: st.DrawFn) -> Instance:
    """Return 30 hours of any plant at any prices."""
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    low = draw(st.floats(0.0, 20.0))
    high = low + draw(st.floats(1.0, 60.0))
    spot = random.normal(0.08, draw(st.floats(0.0, 0.2)), HOURS)
    return Instance(
        start=datetime(2026, 3, 28, 12, tzinfo=UTC),
        step_minutes=60,
        buy_eur_per_kwh=spot + 0.1,
        sell_eur_per_kwh=spot - 0.005,
        load_kw=random.uniform(0.0, draw(POWER_KW), HOURS),
        pv_kw=random.uniform(0.0, draw(POWER_KW), HOURS),
        charge_limit_kw=random.uniform(0.0, draw(POWER_KW), HOURS),
        discharge_limit_kw=random.uniform(0.0, draw(POWER_KW), HOURS),
        import_limit_kw=np.full(HOURS, draw(POWER_KW)),
        export_limit_kw=np.full(HOURS, draw(POWER_KW)),
        eta_charge=draw(st.floats(0.7, 1.0)),
        eta_discharge=draw(st.floats(0.7, 1.0)),
        energy_min_kwh=low,
        energy_max_kwh=high,
        energy_start_kwh=draw(st.floats(0.0, 90.0)),
        standby_loss_kw=draw(st.sampled_from([0.0, 0.3])),
        wear_charge_eur_per_kwh=0.02,
        wear_discharge_eur_per_kwh=0.02,
        grid_charge_allowed=draw(st.booleans()),
        battery_export_allowed=draw(st.booleans()),
        curtailment_allowed=draw(st.booleans()),
    )


def rules(plant: Instance, seed: int) -> list[Rule]:
    return [
        SelfConsumptionRule(),
        PeakShavingRule(20.0),
        ArbitrageRule(plant),
        LoadBalancingRule(plant),
        TimerRule(30.0, 30.0),
        Erratic(seed),
    ]


@settings(max_examples=60, deadline=None)
@given(plant=plants(), seed=st.integers(0, 1000))
def test_physics_holds_whatever_is_asked(plant: Instance, seed: int) -> None:
    for rule in rules(plant, seed):
        run = simulate(plant, rule, VIENNA)
        charge, discharge = np.maximum(-run.battery_kw, 0.0), np.maximum(run.battery_kw, 0.0)
        tolerance = 1e-9
        assert (charge <= plant.charge_limit_kw + tolerance).all()
        assert (discharge <= plant.discharge_limit_kw + tolerance).all()

        # The store, replayed by hand.
        energy = idle = plant.energy_start_kwh
        for step in range(plant.n_steps):
            drawn = discharge[step] / plant.eta_discharge
            energy += charge[step] * plant.eta_charge - drawn
            assert energy >= -tolerance
            energy = max(0.0, energy - plant.standby_loss_kw)
            idle = max(0.0, idle - plant.standby_loss_kw)
            assert run.soc_kwh[step] == pytest.approx(energy, abs=1e-9)
            assert energy <= max(plant.energy_max_kwh, idle) + tolerance
            if discharge[step] > 0.0:
                assert energy >= min(plant.energy_min_kwh, idle) - tolerance

        # The connection, as far as the battery can help it.
        net = plant.load_kw - plant.pv_kw
        balance = net + run.curtailed_kw - run.battery_kw
        np.testing.assert_allclose(run.grid_kw, balance, atol=1e-9)
        assert (run.grid_kw <= np.maximum(plant.import_limit_kw, net) + tolerance).all()
        if plant.curtailment_allowed:
            assert (-run.grid_kw <= plant.export_limit_kw + tolerance).all()
        else:
            assert (run.curtailed_kw == 0.0).all()
            assert (-run.grid_kw <= np.maximum(plant.export_limit_kw, -net) + tolerance).all()
        assert ((run.curtailed_kw >= 0.0) & (run.curtailed_kw <= plant.pv_kw)).all()
        if not plant.grid_charge_allowed:
            assert (np.minimum(charge, np.maximum(net, 0.0)) <= tolerance).all()
            assert (charge <= np.maximum(-net, 0.0) + tolerance).all()
        if not plant.battery_export_allowed:
            assert (discharge <= np.maximum(net, 0.0) + tolerance).all()


@settings(max_examples=20, deadline=None)
@given(plant=plants(), changed=st.integers(1, HOURS - 1), seed=st.integers(0, 1000))
def test_no_rule_sees_load_or_pv_ahead(plant: Instance, changed: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    load = plant.load_kw.copy()
    load[changed:] = random.uniform(0.0, 80.0, HOURS - changed)
    other = dataclasses.replace(plant, load_kw=load)
    for one, two in zip(rules(plant, seed), rules(other, seed), strict=True):
        before = simulate(plant, one, VIENNA).battery_kw[:changed]
        np.testing.assert_array_equal(before, simulate(other, two, VIENNA).battery_kw[:changed])

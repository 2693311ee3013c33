"""Under the true tariff no pure strategy beats the co-optimised one on the same forecasts."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.strategy import StrategyKey
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.terms import BilledPeak
from engine.strategies.candidates import plan_candidates
from engine.strategies.evaluation import evaluate
from engine.strategies.parameters import StrategyContext, StrategyParameters

N = 24
OPTIMIZER = Optimizer()


@st.composite
def sites(draw: st.DrawFn) -> Instance:
    """Return a day of hours at any site: prices below zero, two billed peaks, a reserve."""
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    spot = random.normal(0.08, draw(st.sampled_from([0.02, 0.10])), N)
    energy_max = draw(st.floats(20.0, 150.0))
    split = draw(st.integers(1, N - 1))
    peaks = (
        BilledPeak.between(N, 0, split, 8.0, draw(st.floats(0.0, 60.0))),
        BilledPeak.between(N, split, N, 5.0),
    )
    reserve = draw(st.booleans())
    return Instance(
        start=datetime(2026, 5, 31, 6, tzinfo=UTC),
        step_minutes=60,
        buy_eur_per_kwh=spot + 0.1,
        sell_eur_per_kwh=spot - 0.005,
        load_kw=random.uniform(0.0, 80.0, N),
        pv_kw=random.uniform(0.0, draw(st.sampled_from([1.0, 120.0])), N),
        charge_limit_kw=np.full(N, 40.0),
        discharge_limit_kw=np.full(N, 50.0),
        import_limit_kw=np.full(N, 250.0),
        export_limit_kw=np.full(N, 250.0),
        eta_charge=0.95,
        eta_discharge=draw(st.sampled_from([0.9, 0.95])),
        energy_min_kwh=10.0,
        energy_max_kwh=energy_max,
        energy_start_kwh=draw(st.floats(10.0, energy_max)),
        terminal_value_eur_per_kwh=draw(st.floats(0.0, 0.3)),
        wear_charge_eur_per_kwh=0.02,
        wear_discharge_eur_per_kwh=0.02,
        curtailment_allowed=draw(st.booleans()),
        billed_peaks=peaks if draw(st.booleans()) else (),
        energy_reserve_kwh=random.uniform(0.0, energy_max, N) if reserve else None,
        reserve_eur_per_kwh_h=0.02 if reserve else 0.0,
    )


@settings(max_examples=40, deadline=None)
@given(instance=sites(), past=st.lists(st.floats(-50.0, 80.0), max_size=5))
def test_co_optimised_is_never_beaten(instance: Instance, past: list[float]) -> None:
    context = StrategyContext(recent_net_load_kw=np.array(past))
    plans = plan_candidates(instance, context, StrategyParameters(), OPTIMIZER)
    weighed = {}
    for key, plan in plans.items():
        assert plan.usable, plan.value.reason
        assert plan.value.cost_eur is not None
        weighed[key] = plan.value.cost_eur + plan.preference_eur
    idle = evaluate(instance, np.zeros(N))
    best = weighed[StrategyKey.CO_OPTIMISED]
    slack = 1e-6 * max(1.0, abs(best))
    assert all(best <= cost + slack for cost in weighed.values())
    assert best <= idle.cost_eur + idle.preference_eur + slack

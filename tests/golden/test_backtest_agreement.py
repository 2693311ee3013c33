"""Live control in simulation and the backtest of the same days earn the same, within 1 %."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from engine.analytics.backtest.agreement import WITHIN, agreement
from engine.analytics.backtest.evaluate import evaluate
from engine.analytics.backtest.policy import RESERVE_SHARE, Forecaster, Policy
from engine.domain.errors import BacktestError
from tests.support.build import SIMPLE_MODELS
from tests.support.live_simulation import Simulated, simulate_live

DEMAND = (
    SIMPLE_MODELS
    + "tariff: {demand_charge: {eur_per_kw: 8}}\n"
    + "planning: {uncertainty: median, peak_reserve: 'on'}\n"
)
RECORDED = Policy("co_optimised", Forecaster.RECORDED, plan_minutes=120)


@pytest.fixture(scope="module")
def sunny(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """A day in June at the demo site, without a demand charge."""
    folder: Path = tmp_path_factory.mktemp("sunny")
    return simulate_live(
        folder, datetime(2026, 6, 15, tzinfo=UTC), 1, yaml=SIMPLE_MODELS, plan_every=8
    )


def test_a_sunny_day_agrees_and_what_differs_has_a_cause(sunny: Simulated) -> None:
    found = agreement(sunny.case, sunny.traces, dataclasses.replace(RECORDED, sub_steps=1))
    assert found.live_saving_eur > 5.0
    assert abs(found.share) <= WITHIN
    assert found.agrees
    assert sum(found.causes_eur.values()) == pytest.approx(found.difference_eur, abs=1e-6)
    parts = found.parts_eur
    assert -sum(parts.values()) == pytest.approx(found.difference_eur, abs=1e-6)
    assert "Live control saved" in found.lines()[0]


def test_other_forecasts_are_named_as_the_cause(sunny: Simulated) -> None:
    other = Policy("co_optimised", Forecaster.DAY_TYPE, plan_minutes=120)
    found = agreement(sunny.case, sunny.traces, other)
    assert "forecasts" in found.causes_eur
    assert sum(found.causes_eur.values()) == pytest.approx(found.difference_eur, abs=1e-6)


def test_without_movement_within_the_quarter_hour_the_loops_are_the_same(tmp_path: Path) -> None:
    """Peak guard, reserve and all: the closed loop is that of live control itself."""
    start = datetime(2026, 1, 13, tzinfo=UTC)
    run = simulate_live(tmp_path, start, 1, yaml=DEMAND, ripple=0.0, cycle_s=300.0, plan_every=8)
    policy = dataclasses.replace(RECORDED, reserve=RESERVE_SHARE, sub_steps=3)
    ours = evaluate(run.case, policy)
    assert ours.traces is not None
    # Plans of the kernel and of the model of record may differ among equally good ones.
    assert np.median(np.abs(ours.traces.battery_kw - run.traces.battery_kw)) < 0.01
    assert abs(agreement(run.case, run.traces, policy).share) <= WITHIN


def test_recorded_forecasts_are_asked_for_only_where_there_are_some(sunny: Simulated) -> None:
    bare = dataclasses.replace(sunny.case, vintages=())
    with pytest.raises(BacktestError, match="recorded"):
        evaluate(bare, RECORDED)
    half = sunny.case.vintages or ()
    late = dataclasses.replace(sunny.case, vintages=tuple(v for v in half if v.issued_at.hour < 8))
    result = evaluate(late, RECORDED)
    assert any("stood in" in note for note in result.notes)

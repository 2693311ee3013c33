from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.policy import Forecaster, Policy
from engine.analytics.backtest.proposal import Proposal
from engine.analytics.backtest.tournament import (
    Tournament,
    candidates,
    policy_in_force,
    tournament,
)
from engine.config.desk import ConfigDesk
from engine.config.file_states import ConfigChangedError
from engine.config.load import ConfigProblems, load_config
from engine.config.planning import PlanningConfig
from engine.domain.errors import BacktestError
from engine.runtime.policy_desk import PROPOSAL_NAME, PolicyDesk
from tests.support.backtest_cases import case

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SEEN = {"plan_minutes": 360, "sub_steps": 1}
TRIED = (
    Policy("co_optimised", Forecaster.NAIVE, **SEEN),
    Policy("co_optimised", Forecaster.NAIVE, reserve=1.0, target_share=0.33, **SEEN),
    Policy("co_optimised", Forecaster.NAIVE, reserve=1.0, target_share=0.66, **SEEN),
)


@pytest.fixture(scope="module")
def month() -> BacktestCase:
    return case(days=28, past_days=7)


@pytest.fixture(scope="module")
def found(month: BacktestCase) -> Tournament:
    return tournament(month, TRIED, TRIED[0])


def test_the_winner_is_chosen_on_the_past_and_told_of_what_came_after(
    month: BacktestCase, found: Tournament
) -> None:
    savings = [r.saving_eur for r in found.standings]
    assert savings == sorted(savings, reverse=True)
    assert {r.policy for r in found.standings} == set(TRIED)
    assert found.winner.policy == found.standings[0].policy
    # Training and test window share no quarter-hour, and the figures are those of the second.
    assert month.start + timedelta(days=14) <= found.split <= month.end - timedelta(days=14)
    assert found.winner.saving_eur != found.standings[0].saving_eur
    assert found.winner.capture == pytest.approx(found.winner.saving_eur / found.perfect_test_eur)
    assert found.current.policy == TRIED[0]


def test_the_future_has_no_say_in_the_choice(month: BacktestCase, found: Tournament) -> None:
    at = (found.split - month.series.start) // timedelta(minutes=15)
    load = month.series.load_kw.copy()
    load[at:] = load[at:] * 2.0
    other = dataclasses.replace(month, series=dataclasses.replace(month.series, load_kw=load))
    again = tournament(other, TRIED, TRIED[0])
    assert [r.policy for r in again.standings] == [r.policy for r in found.standings]
    assert [r.saving_eur for r in again.standings] == pytest.approx(
        [r.saving_eur for r in found.standings], rel=0.02
    )
    assert again.winner.saving_eur != pytest.approx(found.winner.saving_eur)


def test_a_short_period_and_nothing_to_try_are_refused(month: BacktestCase) -> None:
    short = month.between(month.start, month.start + timedelta(days=20))
    with pytest.raises(BacktestError, match="too short"):
        tournament(short, TRIED, TRIED[0])
    with pytest.raises(BacktestError, match="no policy"):
        tournament(month, (), TRIED[0])


def test_candidates_differ_and_the_settings_in_force_are_one_of_their_kind() -> None:
    tried = candidates()
    assert len(set(tried)) == len(tried) >= 12
    automatic = policy_in_force(PlanningConfig(), has_demand_charge=True)
    assert automatic.scenarios == 10
    assert automatic.reserve == PlanningConfig().reserve_share
    plain = policy_in_force(PlanningConfig(), has_demand_charge=False)
    assert (plain.scenarios, plain.reserve) == (0, 0.0)
    off = PlanningConfig(uncertainty="median", peak_reserve="off")
    assert policy_in_force(off, has_demand_charge=True).scenarios == 0


def proposal(month: BacktestCase, found: Tournament) -> Proposal:
    return found.proposal(month, NOW)


def test_accepting_writes_the_planner_s_settings_and_nothing_else(
    month: BacktestCase, found: Tournament, tmp_path: Path
) -> None:
    (tmp_path / "ems.yaml").write_text(
        "site: {name: Werk}  # ours\nplanning: {uncertainty: auto}\n"
    )
    desk = ConfigDesk(tmp_path, now=lambda: NOW)
    policies = PolicyDesk(desk, tmp_path)
    assert policies.state() is None
    with pytest.raises(BacktestError, match="no proposal"):
        policies.accept("anna")
    made = proposal(month, found)
    policies.propose(made)
    # A proposal changes nothing, and outlives a restart.
    state = PolicyDesk(desk, tmp_path).state()
    assert state is not None
    assert state.proposal == made
    assert not state.in_force
    assert load_config(tmp_path).planning == PlanningConfig()
    saved = policies.accept("anna")
    assert saved.backup
    config = load_config(tmp_path)
    winner = found.winner.policy
    assert config.planning.uncertainty == ("scenarios" if winner.scenarios else "median")
    assert config.planning.peak_reserve == ("on" if winner.reserve else "off")
    assert config.planning.peak_target_share == winner.target_share
    assert (
        policy_in_force(
            config.planning, has_demand_charge=True, forecaster=Forecaster.NAIVE, plan_minutes=360
        ).target_share
        == winner.target_share
    )
    assert config.site.name == "Werk"
    assert "# ours" in (tmp_path / "ems.yaml").read_text()
    after = policies.state()
    assert after is not None
    assert after.in_force
    policies.dismiss()
    assert policies.state() is None
    assert load_config(tmp_path).planning.uncertainty == config.planning.uncertainty


def test_what_cannot_be_written_changes_nothing(
    month: BacktestCase, found: Tournament, tmp_path: Path
) -> None:
    path = tmp_path / "ems.yaml"
    path.write_text("bess: {soc_min_percent: 95}\n")
    policies = PolicyDesk(ConfigDesk(tmp_path, now=lambda: NOW), tmp_path)
    policies.propose(proposal(month, found))
    before = path.read_text()
    with pytest.raises(ConfigProblems):
        policies.accept("anna")
    assert path.read_text() == before
    (tmp_path / PROPOSAL_NAME).write_text("{}")
    with pytest.raises(BacktestError, match="cannot be read"):
        policies.state()
    assert ConfigChangedError.code == "config_changed"

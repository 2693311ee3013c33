"""Who chooses the strategy now: the best one with calm, or somebody by hand until a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.config.planning import StrategiesConfig
from engine.domain.clock import ManualClock
from engine.domain.errors import ConfigError, OptimizationError
from engine.domain.strategy import CandidateValue, ChoiceReason, Selection, StrategyKey
from engine.runtime.strategy_desk import OVERRIDE_NAME, StrategyDesk
from engine.strategies.candidates import CandidatePlan
from engine.strategies.override import OverrideStore
from tests.support.build import selection

CO, ARB, PEAK, SELF, BAL = StrategyKey
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def costing(**costs_eur: float | None) -> dict[StrategyKey, CandidatePlan]:
    """Candidates by short name; None: it has no plan. Without a battery it costs 100 EUR."""
    names = {"co": CO, "arb": ARB, "peak": PEAK, "self_": SELF, "bal": BAL}
    out = {}
    for name, cost in costs_eur.items():
        saving = None if cost is None else 100.0 - cost
        reason = "the solver went home" if cost is None else None
        value = CandidateValue(names[name], cost, saving, reason=reason)
        out[names[name]] = CandidatePlan(None, None, None, value)
    return out


class Office:
    """A desk that plans every quarter-hour."""

    def __init__(self, folder: Path, **config: object) -> None:
        self.clock = ManualClock(NOW)
        self.folder = folder
        self.config = StrategiesConfig.model_validate(config)
        self.desk = StrategyDesk(self.config, folder, self.clock)

    def restart(self) -> None:
        self.desk = StrategyDesk(self.config, self.folder, self.clock)

    def plan(self, **costs_eur: float | None) -> Selection:
        made = self.desk.choose(costing(**costs_eur), "site-1", "p1")
        self.desk.confirm(made)
        return made

    def later(self, time: timedelta) -> None:
        self.clock.advance(time.total_seconds())


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_switch_needs_the_threshold_and_the_dwell(office: Office) -> None:
    assert office.plan(co=80.0, arb=85.0).active is CO
    office.later(2 * HOUR)
    small = office.plan(co=80.0, arb=78.0)
    assert (small.active, small.reason) == (CO, ChoiceReason.WITHIN_THRESHOLD)
    assert (small.gain_eur, small.needed_eur) == (pytest.approx(2.0), pytest.approx(3.0))
    large = office.plan(co=80.0, arb=70.0)
    assert (large.active, large.reason) == (ARB, ChoiceReason.SWITCHED)
    office.later(HOUR / 2)
    assert office.plan(co=60.0, arb=80.0).reason is ChoiceReason.DWELL
    office.later(HOUR / 2)
    assert office.plan(co=60.0, arb=80.0).active is CO


def test_threshold_and_dwell_come_from_the_configuration(tmp_path: Path) -> None:
    office = Office(tmp_path, switch_threshold=0.0, min_dwell_minutes=0)
    office.plan(co=80.0, arb=85.0)
    assert office.plan(co=80.0, arb=79.0).active is ARB
    assert (office.desk.state().switch_threshold, office.desk.state().min_dwell_minutes) == (0, 0)


def test_a_choice_by_hand_asks_for_a_plan_at_once_and_at_its_end(office: Office) -> None:
    assert not office.desk.overridden_since_plan(), "before the first plan nothing was overridden"
    office.plan(co=80.0, arb=90.0)
    assert not office.desk.overridden_since_plan()
    office.desk.set_manual(ARB, NOW + 4 * HOUR, "eva")
    assert office.desk.overridden_since_plan()
    state = office.desk.state()
    assert (state.mode, state.manual, state.manual_until) == ("manual", ARB, NOW + 4 * HOUR)
    made = office.plan(co=80.0, arb=90.0)
    assert (made.active, made.mode, made.manual_until) == (ARB, "manual", NOW + 4 * HOUR)
    assert not office.desk.overridden_since_plan()
    office.later(4 * HOUR)
    assert office.desk.overridden_since_plan()
    assert (office.desk.state().mode, office.desk.state().manual) == ("auto", None)
    back = office.plan(co=80.0, arb=90.0)
    assert (back.active, back.mode, back.manual_until) == (CO, "auto", None)
    assert not office.desk.overridden_since_plan()


def test_another_strategy_with_the_same_end_is_another_choice(office: Office) -> None:
    office.desk.set_manual(ARB, NOW + 4 * HOUR)
    office.plan(co=80.0, arb=90.0, peak=95.0)
    office.later(HOUR)
    office.desk.set_manual(PEAK, NOW + 4 * HOUR)
    assert office.desk.overridden_since_plan()
    assert office.plan(co=80.0, arb=90.0, peak=95.0).active is PEAK


def test_a_chosen_strategy_without_a_plan_is_no_reason_to_plan_all_the_time(
    office: Office,
) -> None:
    office.desk.set_manual(ARB, NOW + 4 * HOUR)
    made = office.plan(co=80.0, arb=None)
    assert (made.active, made.reason) == (CO, ChoiceReason.MANUAL_FAILED)
    assert not office.desk.overridden_since_plan()


def test_given_back_by_hand_the_automatic_choice_returns(office: Office) -> None:
    office.desk.set_manual(ARB, NOW + 4 * HOUR)
    office.plan(co=80.0, arb=90.0)
    office.desk.set_auto()
    assert office.desk.overridden_since_plan()
    assert office.plan(co=80.0, arb=90.0).active is CO
    office.restart()
    assert office.desk.state().mode == "auto"


def test_a_choice_by_hand_survives_a_restart_with_its_end(office: Office) -> None:
    office.desk.set_manual(ARB, NOW + 4 * HOUR)
    office.later(3 * HOUR)
    office.restart()
    assert office.desk.state().manual is ARB
    assert office.plan(co=80.0, arb=90.0).manual_until == NOW + 4 * HOUR
    office.later(2 * HOUR)
    office.restart()
    assert office.desk.state().mode == "auto"


def test_a_lasting_choice_stands_in_the_configuration(tmp_path: Path) -> None:
    office = Office(tmp_path, selection_mode="manual", manual_strategy="peak_shaving")
    assert office.plan(co=80.0, peak=95.0, arb=90.0).active is PEAK
    assert office.desk.state().manual_until is None
    office.desk.set_manual(ARB, NOW + HOUR)
    assert office.plan(co=80.0, peak=95.0, arb=90.0).active is ARB
    office.later(HOUR)
    assert office.desk.overridden_since_plan()
    assert office.plan(co=80.0, peak=95.0, arb=90.0).active is PEAK


def test_a_damaged_file_means_automatic_and_says_so(office: Office, tmp_path: Path) -> None:
    (tmp_path / OVERRIDE_NAME).write_text("{", encoding="utf-8")
    office.restart()
    assert office.desk.problem is not None
    assert OVERRIDE_NAME in office.desk.problem
    assert office.plan(co=80.0, arb=90.0).mode == "auto"
    office.desk.set_manual(ARB, NOW + HOUR)
    assert office.desk.problem is None


def test_a_restart_is_no_free_switch(office: Office) -> None:
    office.desk.resume(selection(active=ARB, ts=NOW - timedelta(minutes=20)))
    stays = office.plan(co=60.0, arb=80.0)
    assert (stays.active, stays.reason, stays.previous) == (ARB, ChoiceReason.DWELL, ARB)
    office.later(HOUR)
    assert office.plan(co=60.0, arb=80.0).reason is ChoiceReason.SWITCHED


def test_a_choice_by_hand_that_ended_while_it_was_off_does_not_bind(office: Office) -> None:
    office.desk.resume(selection(active=ARB, mode="manual", ts=NOW - timedelta(minutes=20)))
    assert office.plan(co=79.0, arb=80.0).active is CO


def test_a_failed_strategy_gives_way_and_all_failed_is_an_error(office: Office) -> None:
    office.plan(co=80.0, arb=90.0)
    made = office.plan(co=None, arb=90.0)
    assert (made.active, made.reason) == (ARB, ChoiceReason.ACTIVE_FAILED)
    with pytest.raises(OptimizationError, match="the solver went home"):
        office.desk.choose(costing(co=None, arb=None), "site-1", "p3")
    assert office.desk.state().selection is made, "what stood before stands"


@pytest.mark.parametrize("end", [NOW, NOW - HOUR])
def test_an_end_that_has_passed_is_refused_and_changes_nothing(
    office: Office, end: datetime
) -> None:
    with pytest.raises(ConfigError, match="has passed"):
        office.desk.set_manual(ARB, end)
    assert office.desk.state().mode == "auto"


def test_a_choice_that_cannot_be_stored_is_refused_and_changes_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: OverrideStore, *arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(OverrideStore, "save", full)
        with pytest.raises(ConfigError, match="No space left on device"):
            office.desk.set_manual(ARB, NOW + HOUR)
    assert office.desk.state().mode == "auto"
    office.desk.set_manual(ARB, NOW + HOUR)
    monkeypatch.setattr(OverrideStore, "clear", full)
    with pytest.raises(ConfigError, match="could not be removed"):
        office.desk.set_auto()
    assert office.desk.state().manual is ARB


def test_a_look_at_another_time_leaves_the_choice_as_it_is(office: Office, tmp_path: Path) -> None:
    office.desk.set_manual(ARB, NOW + HOUR)
    kept = (tmp_path / OVERRIDE_NAME).read_bytes()

    def mode_at(ts: datetime) -> str:
        look = StrategyDesk(office.config, tmp_path, ManualClock(ts), read_only=True)
        return look.state().mode

    assert mode_at(NOW + timedelta(days=1)) == "auto", "it will have ended"
    assert mode_at(NOW - timedelta(days=1)) == "auto", "it was not made yet"
    assert mode_at(NOW + HOUR / 2) == "manual"
    assert (tmp_path / OVERRIDE_NAME).read_bytes() == kept

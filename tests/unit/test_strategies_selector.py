"""Choosing a strategy: best first, calm afterwards, and always the owner's word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.domain.errors import OptimizationError
from engine.domain.strategy import CandidateValue, ChoiceReason, Selection, StrategyKey
from engine.strategies.override import ManualChoice
from engine.strategies.selector import Selector, Standing

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CO, ARB, PEAK, SELF, BAL = StrategyKey
NONE_EUR = 100.0
HOUR = timedelta(hours=1)


def costing(**costs_eur: float | None) -> list[CandidateValue]:
    """Return candidates by short name; None: it failed. Without a battery it costs 100 EUR."""
    names = {"co": CO, "arb": ARB, "peak": PEAK, "self_": SELF, "bal": BAL}
    return [
        CandidateValue(
            strategy=names[name],
            cost_eur=cost,
            saving_eur=None if cost is None else NONE_EUR - cost,
            reason="no plan" if cost is None else None,
        )
        for name, cost in costs_eur.items()
    ]


def choose(
    candidates: list[CandidateValue],
    standing: Standing | None = None,
    *,
    now: datetime = NOW,
    manual: ManualChoice | None = None,
    **given: float,
) -> Selection:
    selector = Selector(**given) if given else Selector()  # type: ignore[arg-type]
    return selector.choose(
        candidates, now=now, site_id="site", plan_id="p1", standing=standing, manual=manual
    )


def active(key: StrategyKey, hours: float = 2.0, mode: str = "auto") -> Standing:
    return Standing(key, NOW - timedelta(hours=hours), mode)


def test_the_first_choice_is_the_best() -> None:
    chosen = choose(costing(co=80.0, arb=79.0, peak=90.0))
    assert (chosen.active, chosen.reason, chosen.previous) == (ARB, ChoiceReason.FIRST, None)


def test_every_candidate_is_recorded_with_the_failed_ones() -> None:
    candidates = costing(co=80.0, arb=None, peak=90.0, self_=85.0, bal=120.0)
    assert choose(candidates).candidates == tuple(candidates)


def test_a_small_gain_does_not_switch() -> None:
    # The active one saves 20 EUR, so a switch must bring more than 15 % of it: 3 EUR.
    chosen = choose(costing(co=77.0, arb=80.0), active(ARB))
    assert (chosen.active, chosen.best) == (ARB, CO)
    assert chosen.reason is ChoiceReason.WITHIN_THRESHOLD
    assert (chosen.gain_eur, chosen.needed_eur) == (pytest.approx(3.0), pytest.approx(3.0))


def test_a_large_gain_switches() -> None:
    chosen = choose(costing(co=76.9, arb=80.0), active(ARB))
    assert (chosen.active, chosen.previous, chosen.reason) == (CO, ARB, ChoiceReason.SWITCHED)


def test_the_threshold_is_of_what_the_active_one_loses_too() -> None:
    # It costs 10 EUR more than no battery: 15 % of 10 EUR.
    assert choose(costing(co=108.6, arb=110.0), active(ARB)).active is ARB
    assert choose(costing(co=108.4, arb=110.0), active(ARB)).active is CO


def test_cents_never_switch() -> None:
    # Where next to nothing is at stake the threshold is that of 1 EUR.
    chosen = choose(costing(co=99.9, arb=100.0), active(ARB))
    assert (chosen.active, chosen.needed_eur) == (ARB, pytest.approx(0.15))


def test_within_the_dwell_time_nothing_switches() -> None:
    young = active(ARB, hours=0.99)
    assert choose(costing(co=10.0, arb=80.0), young).reason is ChoiceReason.DWELL
    assert choose(costing(co=10.0, arb=80.0), active(ARB, hours=1.0)).active is CO


def test_a_failed_active_strategy_is_replaced_at_once() -> None:
    chosen = choose(costing(co=80.0, arb=None, peak=70.0), active(ARB, hours=0.1))
    assert (chosen.active, chosen.reason) == (PEAK, ChoiceReason.ACTIVE_FAILED)
    assert (chosen.gain_eur, chosen.needed_eur) == (0.0, 0.0)


def test_ties_go_to_the_active_then_to_the_co_optimised() -> None:
    equal = costing(bal=80.0, peak=80.0 + 1e-8, co=80.0)
    assert choose(equal, active(PEAK)).best is PEAK
    assert choose(equal, active(PEAK)).reason is ChoiceReason.BEST
    assert choose(equal).active is CO
    assert choose(equal, active(ARB)).active is CO
    assert choose(costing(bal=80.0, peak=80.0)).active is PEAK


def test_preferences_of_the_owner_are_weighed_with_the_money() -> None:
    # Arbitrage looks 1 EUR better and leaves the reserve against a peak empty.
    chosen = Selector().choose(
        costing(co=80.0, arb=79.0),
        now=NOW,
        site_id="site",
        plan_id="p1",
        preferences_eur={ARB: 5.0},
    )
    assert chosen.active is CO


def test_without_any_plan_it_says_why() -> None:
    with pytest.raises(OptimizationError, match="arbitrage: no plan"):
        choose(costing(co=None, arb=None))


# -- by hand ---------------------------------------------------------------------------


def test_a_tie_is_no_reason_to_stay_with_what_was_chosen_by_hand() -> None:
    equal = costing(co=80.0, arb=80.0)
    by_hand = choose(equal, active(CO), manual=ManualChoice(ARB, NOW + HOUR))
    assert by_hand.active is ARB
    still = choose(equal, Standing.after(by_hand, None), manual=ManualChoice(ARB, NOW + HOUR))
    assert (still.active, still.best) == (ARB, ARB)
    after = choose(equal, Standing.after(by_hand, None))
    assert (after.active, after.reason) == (CO, ChoiceReason.SWITCHED)


def test_a_manual_choice_takes_effect_at_once_and_shows_its_price() -> None:
    until = NOW + HOUR
    chosen = choose(costing(co=70.0, bal=95.0), active(CO), manual=ManualChoice(BAL, until))
    assert (chosen.active, chosen.mode, chosen.reason) == (BAL, "manual", ChoiceReason.MANUAL)
    assert (chosen.best, chosen.manual_until) == (CO, until)
    later = Standing.after(chosen, active(CO))
    again = choose(costing(co=70.0, bal=95.0), later, manual=ManualChoice(BAL, until))
    assert again.gain_eur == pytest.approx(25.0)


def test_after_its_end_the_automatic_choice_returns_without_waiting() -> None:
    manual = ManualChoice(BAL, NOW)
    chosen = choose(costing(co=79.9, bal=80.0), active(BAL, 0.2, "manual"), manual=manual)
    assert (chosen.active, chosen.mode, chosen.reason) == (CO, "auto", ChoiceReason.SWITCHED)
    assert chosen.manual_until is None


def test_a_manual_strategy_without_a_plan_gives_way_and_comes_back() -> None:
    manual = ManualChoice(BAL, NOW + HOUR)
    failed = choose(costing(co=70.0, bal=None), active(BAL, mode="manual"), manual=manual)
    assert (failed.active, failed.reason) == (CO, ChoiceReason.MANUAL_FAILED)
    assert failed.mode == "manual"
    back = choose(costing(co=70.0, bal=90.0), Standing.after(failed, None), manual=manual)
    assert (back.active, back.reason) == (BAL, ChoiceReason.MANUAL)


def test_a_choice_from_the_configuration_has_no_end() -> None:
    chosen = choose(costing(co=70.0, bal=95.0), manual=ManualChoice(BAL))
    assert (chosen.active, chosen.mode, chosen.manual_until) == (BAL, "manual", None)


# -- over time -------------------------------------------------------------------------


def test_the_standing_remembers_since_when() -> None:
    first = choose(costing(co=80.0, arb=70.0))
    standing = Standing.after(first, None)
    assert standing == Standing(ARB, NOW)
    second = choose(costing(co=80.0, arb=70.0), standing, now=NOW + HOUR)
    assert Standing.after(second, standing) == Standing(ARB, NOW)
    third = choose(costing(co=10.0, arb=70.0), standing, now=NOW + HOUR)
    assert Standing.after(third, standing) == Standing(CO, NOW + HOUR)


def test_a_flickering_advantage_does_not_flicker_the_strategy() -> None:
    standing: Standing | None = None
    switches = 0
    for step in range(96):
        now = NOW + step * timedelta(minutes=15)
        costs = costing(co=80.0, arb=60.0) if step % 2 else costing(co=60.0, arb=80.0)
        chosen = choose(costs, standing, now=now)
        switches += standing is not None and chosen.active is not standing.active
        standing = Standing.after(chosen, standing)
    # 24 h with a dwell time of one hour, instead of 95 switches.
    assert switches <= 24
    calm = choose(costing(co=80.0, arb=79.0), Standing(CO, NOW - HOUR))
    assert calm.active is CO

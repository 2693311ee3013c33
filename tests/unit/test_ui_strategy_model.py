"""The choice of strategy in words: who chose, why, what the others are worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from ems_dash.ui import strategy_model as model
from engine.domain.forecast import LOAD_SIGNAL
from engine.domain.strategy import ChoiceReason, StrategyKey
from tests.support.build import NOW, forecast, plan, selection, strategy_state

TZ = ZoneInfo("Europe/Vienna")


def test_candidates_are_ordered_by_what_they_save_and_those_without_a_plan_come_last() -> None:
    rows = model.candidate_rows(selection(), "en")
    assert [row.key.value for row in rows] == [
        "co_optimised",
        "arbitrage",
        "self_consumption",
        "peak_shaving",
        "load_balancing",
    ]
    best, loss, none = rows[0], rows[3], rows[4]
    assert (best.active, best.best, best.saving, best.share_percent) == (
        True,
        True,
        "+€12.50",
        100.0,
    )
    assert best.facts == "peak 80.0\u00a0kW · self-consumption 75\u202f% · 1.20 cycles"
    assert (loss.loss, loss.saving) == (True, "\u2212€1.25")
    assert (none.saving, none.share_percent) == ("–", 0.0)
    assert "independent check" in none.reason


@pytest.mark.parametrize("lang", ["de", "en"])
@pytest.mark.parametrize("reason", list(ChoiceReason))
def test_every_reason_has_words_without_gaps(reason: ChoiceReason, lang: str) -> None:
    state = strategy_state(
        mode="manual",
        manual=StrategyKey.PEAK_SHAVING,
        selection=selection(
            reason=reason,
            previous=StrategyKey.ARBITRAGE,
            best=StrategyKey.ARBITRAGE,
            gain_eur=3.5,
            manual_until=NOW + timedelta(hours=4),
        ),
    )
    text = model.why_chosen(state, TZ, lang)
    assert text.endswith(".")
    assert "{" not in text
    assert "choice." not in text
    assert "  " not in text


def test_a_threshold_names_what_is_missing_for_a_switch() -> None:
    state = strategy_state(
        selection=selection(
            reason=ChoiceReason.WITHIN_THRESHOLD,
            best=StrategyKey.ARBITRAGE,
            gain_eur=1.2,
            needed_eur=1.88,
        )
    )
    text = model.why_chosen(state, TZ, "en")
    assert text == "Arbitrage would save €1.20 more; a switch needs €1.88."


def test_a_choice_by_hand_names_its_end_with_the_day_when_it_is_not_today() -> None:
    today = strategy_state(
        mode="manual", manual=StrategyKey.ARBITRAGE, manual_until=NOW + timedelta(hours=4)
    )
    assert model.mode_text(today, NOW, TZ, "en") == "by hand until 17:00"
    later = replace(today, manual_until=NOW + timedelta(hours=20))
    assert model.mode_text(later, NOW, TZ, "en") == "by hand until Tue, 24 Nov 09:00"
    lasting = replace(today, manual_until=None)
    assert model.mode_text(lasting, NOW, TZ, "en") == "fixed in the configuration"
    assert model.mode_text(strategy_state(), NOW, TZ, "en") == "chosen automatically"


def test_before_the_first_plan_there_is_nothing_to_compare() -> None:
    assert "first plan" in model.why_chosen(strategy_state(selection=None), TZ, "en")
    assert model.behind_plan(None, {}, "en") == []


def test_a_plan_names_its_series_its_solver_and_its_check() -> None:
    rows = dict(model.behind_plan(plan(), {LOAD_SIGNAL: forecast()}, "en"))
    assert rows["Load"] == "median of three models"
    assert rows["Optimisation"] == "HIGHS (LP), 5 ms, exact (gap 0)"
    assert rows["Independent check"].startswith("passed")
    cut = dict(model.behind_plan(plan(gap=0.002), {}, "en"))
    assert cut["Optimisation"].endswith("gap 2.0e-03")

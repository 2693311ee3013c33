"""Live updates are small, complete and never lose a minute."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ui_builders import NOW, image, minutes, moment, plan, samples

from ems_dash.ui import live_delta as live
from ems_dash.ui import overview_model as model
from ems_dash.ui.fields import ShownTexts
from ems_dash.ui.live import nothing_new
from ems_dash.ui.moment import Moment
from engine.domain.sample import ProcessImage


def next_cycle(**values: float) -> Moment:
    """Return the moment two seconds later with every reading changed."""
    changed: dict[str, Any] = {
        "soc_percent": 64.0,
        "battery_kw": 41.7,
        "pv_kw": 0.1,
        "load_kw": 33.3,
        "grid_kw": -8.4,
        "temperature_c": 28.1,
        **values,
    }
    later = NOW + timedelta(seconds=2)
    before = moment().snapshot
    snapshot = replace(
        before, seq=8, ts=later, image=ProcessImage("site-1", later, samples(later, **changed))
    )
    return Moment(snapshot, later, 0.5, "de")


def test_a_busy_update_is_below_one_kilobyte() -> None:
    shown = ShownTexts()
    state = live.first_state(moment(), minutes(60), shown)
    update = live.delta(state, next_cycle(), minutes(1), shown)
    assert len(json.dumps(update, ensure_ascii=False).encode()) < 1024
    assert update["set"]["soc-v"] == "64"
    assert update["set"]["grid-w"] == "Einspeisung"
    assert len(update["add"]) == 1


def test_an_update_with_the_most_points_is_below_one_kilobyte() -> None:
    shown = ShownTexts()
    state = live.first_state(moment(), minutes(60), shown)
    same = Moment(replace(moment().snapshot, seq=8), NOW, 0.5, "de")
    update = live.delta(state, same, minutes(live.MAX_POINTS_PER_DELTA), shown)
    assert len(json.dumps(update).encode()) < 1024
    assert "set" not in update


def test_nothing_is_sent_for_the_same_cycle() -> None:
    shown = ShownTexts()
    state = live.first_state(moment(), [], shown)
    assert nothing_new(state, moment())
    assert not nothing_new(state, moment(heartbeat_age_s=4.0))
    assert not nothing_new(state, next_cycle())
    assert not nothing_new(None, moment())


def test_stall_and_recovery_reach_a_browser_whatever_another_one_was_told() -> None:
    shown = ShownTexts()
    mine = live.first_state(moment(), [], shown)
    late = live.delta(mine, moment(heartbeat_age_s=14.0), [], shown)
    assert "veraltet" in late["set"]["hdr-conn"]
    mine = {**mine, "token": late["token"]}
    # Another browser still has the state from before the stall.
    live.delta(live.first_state(moment(), [], shown), moment(), [], shown)
    back = live.delta(mine, next_cycle(), [], shown)
    assert back["set"]["hdr-conn"] == "Live"


def test_forgotten_token_gets_all_texts() -> None:
    update = live.delta({"seq": 1, "token": "unknown"}, moment(), [], ShownTexts())
    assert update["set"] == model.fields(moment())


def test_new_plan_or_quarter_hour_asks_for_new_charts() -> None:
    shown = ShownTexts()
    state = live.first_state(moment(), [], shown)
    assert "charts" not in live.delta(state, moment(), [], shown)
    replanned = moment(plan=plan(plan_id="plan-2"))
    assert live.delta(state, replanned, [], shown)["charts"].startswith("plan-2|")
    later = Moment(moment().snapshot, NOW + timedelta(minutes=15), 0.5, "de")
    assert "charts" in live.delta(state, later, [], shown)


def test_many_missed_minutes_rebuild_the_charts_instead() -> None:
    shown = ShownTexts()
    state = live.first_state(moment(), [], shown)
    update = live.delta(state, moment(), minutes(40), shown)
    assert "add" not in update
    assert update["charts"].endswith("|late")


def test_standing_lists_are_redrawn_when_they_change() -> None:
    shown = ShownTexts()
    state = live.first_state(moment(), [], shown)
    assert "lists" not in live.delta(state, moment(image=image(soc_percent=70.0)), [], shown)
    assert "lists" in live.delta(state, moment(links=()), [], shown)


def test_points_carry_null_for_what_was_not_measured() -> None:
    (point,) = minutes(1)
    (sent,) = live.live_points([replace(point, values={"pv_kw": 1.239, "load_kw": None})])
    assert sent[1:] == [1.24, None, None, None, None]
    assert live.since({"minute": sent[0]}) == point.ts


def test_texts_are_kept_for_a_bounded_number_of_states() -> None:
    shown = ShownTexts(keep=2)
    tokens = [shown.put({"a": str(i)}) for i in range(3)]
    assert shown.get(tokens[0]) is None
    assert shown.get(tokens[2]) == {"a": "2"}

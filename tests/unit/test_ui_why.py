"""Every step of a plan says in a sentence why."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ems_dash.ui.why import why
from engine.domain.site import Battery
from engine.optimization.explanation import ActionKind, Driver, Reason, ReasonCode, explain
from tests.unit.ui_builders import NOW, plan

VIENNA = ZoneInfo("Europe/Vienna")


def reason(code: ReasonCode = ReasonCode.NO_GAIN, **changes: Any) -> Reason:
    return Reason(code, 0.12, 0.20, **changes)


def waiting(kind: ActionKind, hours: float, margin: float = 0.05) -> Reason:
    return reason(
        best_later_ts=NOW.replace(minute=0, second=0) + timedelta(hours=hours),
        best_later_kind=kind,
        best_later_eur_per_kwh=0.25,
        margin_eur_per_kwh=margin,
    )


@pytest.mark.parametrize(
    ("code", "driver", "sets_peak", "lang"),
    list(product(ReasonCode, [None, *Driver], [False, True], ["de", "en"])),
)
def test_every_reason_has_whole_sentences(
    code: ReasonCode, driver: Driver | None, sets_peak: bool, lang: str
) -> None:
    drivers = () if driver is None else (driver,)
    text = why(reason(code, drivers=drivers, sets_peak=sets_peak), NOW, VIENNA, lang)
    assert text
    assert "{" not in text
    assert not text.startswith("why.")
    assert " why." not in text
    assert text.endswith(".")
    short = why(reason(code, drivers=drivers, sets_peak=sets_peak), NOW, VIENNA, lang, short=True)
    assert text.startswith(short)
    assert len(text) > len(short) or (driver is None and not sets_peak)


def test_holding_energy_names_when_it_is_worth_more_and_by_how_much() -> None:
    text = why(waiting(ActionKind.DISCHARGE_LOAD, 4), NOW, VIENNA, "en")
    assert "17:00" in text, "local time"
    assert "25.0" in text
    assert "5.0" in text


def test_a_time_of_another_day_names_the_day() -> None:
    today = why(waiting(ActionKind.DISCHARGE_LOAD, 4), NOW, VIENNA, "en")
    tomorrow = why(waiting(ActionKind.DISCHARGE_LOAD, 28), NOW, VIENNA, "en")
    assert len(tomorrow) > len(today)
    assert "17:00" in tomorrow


def test_waiting_for_room_reads_otherwise_than_waiting_with_energy() -> None:
    room = why(waiting(ActionKind.CHARGE_GRID, 4), NOW, VIENNA, "en")
    energy = why(waiting(ActionKind.DISCHARGE_LOAD, 4), NOW, VIENNA, "en")
    assert room != energy


def test_where_later_is_no_better_nothing_is_waited_for() -> None:
    text = why(waiting(ActionKind.DISCHARGE_LOAD, 4, margin=-0.01), NOW, VIENNA, "en")
    assert "17:00" not in text


@pytest.mark.parametrize("lang", ["de", "en"])
def test_every_step_of_a_plan_has_its_sentence(lang: str) -> None:
    made = plan()
    battery = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0)
    texts = [why(found, NOW, VIENNA, lang) for found in explain(made, battery)]
    assert len(texts) == made.n_steps
    assert all("{" not in text and text.endswith(".") for text in texts)

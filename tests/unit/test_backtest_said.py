"""What a backtest says of itself, in German."""

from __future__ import annotations

import re

import pytest

from ems_dash.i18n.backtest_said import assumed, refused
from ems_dash.ui.backtest import words as w
from ems_dash.ui.backtest.form_view import field_name
from engine.analytics.studies.finance import Investment, assumptions

ENGLISH = re.compile(r"\b(the|is|are|not|of|and|its|with|that|from)\b")


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (
            "The battery starts at 100.5 kWh; energy left at the end beyond that counts 7.25 "
            "ct/kWh, what it saves when it replaces bought energy, less losses and wear.",
            "Die Batterie beginnt mit 100,5 kWh; was am Ende darüber hinaus gespeichert ist, zählt "
            "7,25 ct/kWh: was es spart, wenn es Bezug ersetzt, abzüglich Verlusten und Alterung.",
        ),
        (
            "Recorded prices 'at_2025': Bundesnetzagentur | SMARD.de (CC BY 4.0).",
            "Aufgezeichnete Preise „at_2025“: Bundesnetzagentur | SMARD.de (CC BY 4.0).",
        ),
        (
            "The past before 2026-03-01 04:15 UTC has gaps and is not used.",
            "Die Vergangenheit vor 01.03.2026 04:15 UTC hat Lücken und wird nicht verwendet.",
        ),
    ],
)
def test_assumptions_are_said_in_german(english: str, german: str) -> None:
    assert assumed(english, "de") == (german, "de")
    assert assumed(english, "en") == (english, "en")


def test_every_assumption_of_an_appraisal_is_known() -> None:
    for sentence in assumptions(Investment()):
        text, spoken = assumed(sentence, "de")
        assert spoken == "de"
        assert ENGLISH.search(text) is None


def test_what_nobody_translated_stays_and_is_marked() -> None:
    assert assumed("The moon is full.", "de") == ("The moon is full.", "en")


def test_a_refusal_has_its_remedy_in_german() -> None:
    text, spoken = refused("The period is longer than 400 days.", "de")
    assert (text, spoken) == ("Der Zeitraum ist länger als 400 Tage. Einen kürzeren wählen.", "de")
    assert field_name("data.end", "de") == "Bis (einschließlich)"
    assert field_name("bess.soc_min_percent", "de") == "Ladezustand min."
    assert field_name("nothing.known", "de") == "nothing.known"


def test_remarks_name_strategies_as_the_page_does() -> None:
    entry = {
        "strategy": "auto", "forecaster": "blend", "saving_eur": 1.0,
        "notes": ["Chosen: co_optimised 90 %, arbitrage 10 %."],
    }  # fmt: skip
    (text, spoken), *_ = w.assumptions({"strategies": [entry], "assumptions": []}, "de")
    assert text.endswith("Gewählt: Co-Optimierung 90 %, Arbitrage 10 %.")
    assert spoken == "de"

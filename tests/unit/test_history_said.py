"""What the history says about files and statements is German on a German page."""

from __future__ import annotations

import pytest

from ems_dash.i18n import history_said


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("no number is read", "keine Zahl"),
        (
            "Check the unit (kW) and the sign; a minus before the unit turns it around: "
            "PV=pv_kw:-UNIT.",
            "Einheit (kW) und Vorzeichen prüfen; ein Minus vor der Einheit dreht es um.",
        ),
        (
            "Only SELECT is possible, not DROP (line 1, column 3).",
            "Nur SELECT ist möglich, nicht DROP (Zeile 1, Spalte 3).",
        ),
        (
            "The unit of the column 'Last' is not stated.",
            "Die Einheit der Spalte „Last“ fehlt.",
        ),
        ("Binder Error: no such column", "Binder Error: no such column"),
    ],
)
def test_messages_are_said_in_the_language_of_the_page(english: str, german: str) -> None:
    assert history_said(english, "de") == german
    assert history_said(english, "en") == english

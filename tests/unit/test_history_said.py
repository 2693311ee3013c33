"""What the history and connection tests say is German on a German page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ems_dash.i18n import device_said, history_said


@pytest.mark.parametrize(
    ("say", "english", "german"),
    [
        (history_said, "no number is read", "keine Zahl"),
        (
            history_said,
            "Check the unit (kW) and the sign; a minus before the unit turns it around: "
            "PV=pv_kw:-UNIT.",
            "Einheit (kW) und Vorzeichen prüfen; ein Minus vor der Einheit dreht es um.",
        ),
        (
            history_said,
            "Only SELECT is possible, not DROP (line 1, column 3).",
            "Nur SELECT ist möglich, nicht DROP (Zeile 1, Spalte 3).",
        ),
        (
            history_said,
            "The unit of the column 'Last' is not stated.",
            "Die Einheit der Spalte „Last“ fehlt.",
        ),
        (history_said, "Binder Error: no such column", "Binder Error: no such column"),
        (device_said, "127.0.0.1 is 127.0.0.1.", "127.0.0.1 ist 127.0.0.1."),
        (
            device_said,
            "The values are plausible as configured (score 0.96 of 1).",
            "Die Werte sind so plausibel, wie es eingestellt ist (Bewertung 0,96 von 1).",
        ),
        (device_said, "no answer within 5 s", "keine Antwort innerhalb von 5 s"),
        (
            device_said,
            "14 of 16 values are usable; not: soc.",
            "14 von 16 Werten sind brauchbar; nicht: soc.",
        ),
    ],
)
def test_messages_are_said_in_the_language_of_the_page(
    say: Callable[[str, str], str], english: str, german: str
) -> None:
    assert say(english, "de") == german
    assert say(english, "en") == english

"""What the engine says in English is German on a German page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ems_dash.i18n import said
from ems_dash.ui.alarm_words import alarm_title
from engine.devices.link import describe_exception
from engine.forecasting import day_ahead
from tests.support.spoken import english_left, sentences_in

ENGLISH = re.compile(r"\b(the|is|not|no|of|days|answer|device|within|cannot|illegal|last|by)\b")


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (
            "unit 1 at 10.0.0.5:502: no answer within 2 s, next attempt in 1.2 s.",
            "Unit 1 an 10.0.0.5:502: keine Antwort innerhalb von 2 s, nächster Versuch in 1,2 s.",
        ),
        (
            "api.awattar.at cannot be reached: its name cannot be resolved. "
            "Check the internet connection of this machine.",
            "api.awattar.at ist nicht erreichbar: der Name ist nicht auflösbar. "
            "Internetverbindung dieses Rechners prüfen.",
        ),
        ("soc_percent: 120 is outside -inf to 100", "soc_percent: 120 liegt über 100"),
        (
            "battery_setpoint_kw: needs mode (mode: code 0 is not documented)",
            "battery_setpoint_kw: braucht mode (mode: Code 0 ist nicht dokumentiert)",
        ),
        (
            "pcs shows a setpoint of 5.5 kW although 10 kW was written",
            "pcs zeigt 5,5 kW, geschrieben wurden 10 kW",
        ),
        (
            "pcs took a setpoint of 10 kW but its power is 0.2 kW, 12 s were allowed",
            "pcs hat 10 kW angenommen, aber seine Leistung ist nach 12 s noch 0,2 kW",
        ),
        (
            "the daily budget of 40 writes to the flash memory of pv is used up (41 written); "
            "its limit may fall but not rise until 00:00 UTC",
            "die täglichen 40 Schreibvorgänge in den Flash-Speicher von pv sind aufgebraucht "
            "(41 geschrieben); seine Grenze darf bis 00:00 UTC sinken, aber nicht steigen",
        ),
        (
            "the device shows no SunSpec marker (40000: other content). "
            "Enable SunSpec over Modbus in the device, and check its unit id.",
            "das Gerät zeigt keine SunSpec-Kennung (40000: anderer Inhalt). "
            "SunSpec über Modbus am Gerät einschalten und die Unit-ID prüfen.",
        ),
        ("soc_percent: 120 is outside 0 to 100", "soc_percent: 120 liegt außerhalb von 0 bis 100"),
        (
            "median of the last 6 days, none of the same kind known yet (measured)",
            "Median der letzten 6 Tage, noch keiner von derselben Art bekannt (gemessen)",
        ),
    ],
)
def test_sentences_of_the_engine_are_translated_by_their_phrases(english: str, german: str) -> None:
    assert said(english, "de") == german
    assert said(english, "en") == english


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "Load: There is not enough history to forecast anything: 2 of 4 quarter-hours."),
        ("de", "Last: Für eine Prognose ist noch zu wenig gemessen: 2 von 4 Viertelstunden. Es"),
    ],
)
def test_the_first_hour_of_a_site_is_said_in_words_and_not_in_names_of_signals(
    lang: str, words: str
) -> None:
    english = (
        "load_kw: There is not enough history to forecast anything: 2 of 4 quarter-hours. "
        "Wait until an hour has been measured, or import past values."
    )
    assert said(english, lang).startswith(words)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 99])
def test_every_exception_of_modbus_has_german_words(code: int) -> None:
    german = said(describe_exception(code), "de")
    assert f"(Ausnahme {code})" in german
    assert not ENGLISH.search(german)


FORECASTING = {
    path
    for path in Path(day_ahead.__file__).parent.glob("*.py")
    # These speak to programmers.
    if path.stem not in {"accuracy", "base", "factory", "running_step", "series_rules"}
}
NOT_SHOWN = re.compile(
    "usable (?:days|steps)|quarter-hours measured|must not look|The recording has no|"
    "A price history|Ask for |learnt nothing|whole solar days|was fitted|"
    "A forecast cannot begin|Start at the running|the same number|and 7$|7 of 7, 7 h old"
)
"""What is said to programmers or the log, and values of errors."""

PARTS = {
    "last week",
    "7 weeks ago",
    "same day 7",
    "cloud cover",
    "no location: from measurements",
    "irradiance, in part cloud cover",
}
"""What a longer sentence below has inside."""

METHODS = (
    "same day last week (measured), holidays of FR, last hour decaying over 2 h",
    "same day 3 weeks ago (recorded + measured), no holiday calendar",
    "ridge regression on 28/90 days + 28-day profile within the hour (recorded prices), "
    "holidays of FR, P10/P90 from 60 past forecasts",
    "cloud cover of open_meteo, 2.5 h old; not calibrated, 3 days of pairs; last hour (measured); "
    "P10-P90: assumed widths, no errors of its own yet",
    "irradiance, in part cloud cover of open_meteo, 2.5 h old; one scale from 3 days",
    "clear-sky envelope (no location: from measurements) x clearness of the last 7 days, "
    "no weather",
    "mean of recent days (1) (measured), P10/P90 at default widths, too few past forecasts "
    "(because: no weather source or location is set; 2 known days of PV power are too few for a "
    "clear-sky envelope.)",
)


def test_how_every_forecast_was_made_and_why_there_is_none_is_said_in_german() -> None:
    english = {text: english_left(text, said(text, "de")) for text in METHODS}
    for path in FORECASTING:
        for _, parts in sentences_in(path):
            # A gap may hold a number, a name or a time.
            ways = [
                "".join(gap if part is None else part for part in parts)
                for gap in ("7", "x_1", "2026-11-26 12:00")
            ]
            if not NOT_SHOWN.search(ways[0]) and ways[0] not in PARTS:
                left = (english_left(way, said(way, "de")) for way in ways)
                english[ways[0]] = min(left, key=len)
    assert {text: left for text, left in english.items() if left} == {}


def test_what_is_not_known_stays_and_nothing_stays_nothing() -> None:
    assert said("Wallbox 3 sagt E17", "de") == "Wallbox 3 sagt E17"
    assert said(None, "de") == ""


def test_an_alarm_names_its_subject_as_the_rest_of_the_page_does() -> None:
    assert alarm_title("external_limit", "dso", "de").endswith(": Netzbetreiber")
    assert alarm_title("step_failing", "price_history", "de").endswith(": Preisverlauf")
    assert alarm_title("link_offline", "pcs", "de").endswith(": pcs")
    assert ":" not in alarm_title("no_plan", None, "de")

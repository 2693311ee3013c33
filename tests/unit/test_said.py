"""What the engine says in English is German on a German page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ems_dash.i18n import said
from ems_dash.ui.alarm_words import alarm_title
from engine.devices.answer_error import describe_exception
from engine.forecasting import day_ahead
from tests.support.spoken import english_left, sentences_in

NAMES = frozenset({"web", "dso", "noise", "admin", "awattar", "hand", "variable", "plan"})
"""Names of things, and words of both languages."""

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


@pytest.mark.parametrize(
    "english",
    [
        "250 kW is beyond the battery's -100 to 100 kW. "
        "Give a power within its nameplate; + discharges, - charges.",
        "5 % is outside the battery's window of 10 to 90 %. "
        "Give a state of charge inside the window, or none.",
        "The order would end at 2026-11-26T12:00:00+00:00. "
        "Let it end in the future, within 24 hours.",
        "An idle battery reaches no state of charge. Leave it out, or give a power.",
        "The limit is in force but could not be stored: Permission denied. "
        "Check the data folder and its free space; a restart would forget it.",
        "+20 kW until 2026-11-26 12:00 UTC or 50 % (web)",
        "The order by hand ended (time).",
        "dso: import_limit_kw 50 until 2026-11-26 12:00 UTC",
        "digital_input: not read, counts as closed (noise: no answer within 2 s)",
        "the manual choice would end at 2026-11-26T12:00:00, which has passed. "
        "Give an end in the future.",
        "The file was changed by somebody else in the meantime. "
        "Load it again; what you typed stays until you do.",
        "The file cannot be written: Permission denied. "
        "Check the permissions of its folder and the free space.",
        "This is no secret that can be stored. Type one line of at most 500 characters.",
        "Port 22 may not be tested. Use one of 502, 1502, or configure the device first.",
        "'noise.lan' has no address. Correct the host name, or give the device's IP address.",
        "'noise.lan' is not in a private network. "
        "Give an address of the site's own network, for example 192.168.1.20.",
        "A connection test is running. Wait until it has ended (at most 20 s).",
        "The last broker test was less than 2 s ago. Try again in a second.",
        "admin changed ems.yaml: site.name, bess.soc_min_percent.",
        "ems.yaml was read anew; in force: nothing new. Waiting for a restart: site.timezone.",
        "ems.yaml was not taken over: 2 mistakes (a, b). What ran before goes on.",
        "values.csv was imported: 1440 minutes and 96 prices.",
        "The day-ahead prices of tomorrow are late. awattar: nothing is published for this period",
        "No price source answers; prices are known until 2026-11-26 23:00.",
        "ENTSO-E needs a token, and the environment variable TOKEN is empty. "
        "Ask for a free token on transparency.entsoe.eu and set the variable.",
        "The weather forecast is 30 hours old, too old.",
        "energy window, lower end: step 3 is off by 0.25 kWh.; import limit: step 9 is off by "
        "2 kW.",
        "charging and discharging at once: step 0 is off by 5 kW.",
        "wear cost: the replay costs 1.500000 EUR, the plan says 1.400000 EUR.",
        "objective: the replay costs 1.5 EUR, the plan says 1.4 EUR.",
        "billed peak: it is 40 kW, the plan says 41 kW.",
    ],
)
def test_orders_settings_events_and_sources_are_said_in_german(english: str) -> None:
    assert english_left(english, said(english, "de")) <= NAMES


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

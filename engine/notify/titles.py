"""What an alarm is called, and what to do about it, in German and English."""

from __future__ import annotations

from typing import Literal

Language = Literal["de", "en"]

TITLES: dict[str, dict[Language, str]] = {
    "fault": {"de": "Störung der Anlage", "en": "Fault"},
    "safe_state": {
        "de": "Batterie im sicheren Zustand",
        "en": "Battery in its safe state",
    },
    "degraded_state": {"de": "Eingeschränkter Betrieb", "en": "Degraded operation"},
    "control_failing": {"de": "Die Regelung schlägt fehl", "en": "Control is failing"},
    "engine_hangs": {"de": "Die Regelung steht", "en": "Control has stopped"},
    "bms_stale": {"de": "Keine aktuellen Batteriewerte", "en": "Battery values are stale"},
    "meter_stale": {"de": "Keine aktuellen Zählerwerte", "en": "Meter values are stale"},
    "contact_missing": {
        "de": "Digitaler Eingang nicht lesbar, gilt als geschlossen",
        "en": "Digital input not read, counts as closed",
    },
    "link_offline": {"de": "Verbindung getrennt", "en": "Connection lost"},
    "link_degraded": {"de": "Verbindung gestört", "en": "Connection unreliable"},
    "command_refused": {"de": "Sollwert abgelehnt", "en": "Setpoint refused"},
    "command_no_effect": {"de": "Sollwert ohne Wirkung", "en": "Setpoint has no effect"},
    "write_budget_used": {
        "de": "Tagesbudget der Schreibvorgänge erreicht",
        "en": "Daily write budget used up",
    },
    "external_limit": {"de": "Leistung von außen begrenzt", "en": "Power limited from outside"},
    "no_plan": {"de": "Kein gültiger Plan", "en": "No valid plan"},
    "planning_failing": {"de": "Die Planung schlägt fehl", "en": "Planning is failing"},
    "no_price": {"de": "Kein Preis für jetzt bekannt", "en": "No price is known for now"},
    "prices_outage": {"de": "Preise fehlen", "en": "Prices are missing"},
    "prices_late": {"de": "Preise verspätet oder alt", "en": "Prices are late or old"},
    "weather_outage": {"de": "Wettervorhersage fehlt", "en": "Weather forecast is missing"},
    "history_failing": {
        "de": "Aufzeichnung schlägt fehl",
        "en": "Recording the history is failing",
    },
    "disk_full": {"de": "Speicherplatz erschöpft", "en": "Disk is full"},
    "clock_implausible": {"de": "Uhrzeit unglaubwürdig", "en": "Clock is not plausible"},
    "clock_jumped": {"de": "Uhr ist gesprungen", "en": "Clock has jumped"},
    "step_failing": {"de": "Teilaufgabe schlägt fehl", "en": "A task is failing"},
    "notice": {"de": "Hinweis", "en": "Notice"},
    "contactor_abnormal_open": {
        "de": "Schütz unerwartet offen",
        "en": "Contactor abnormally open",
    },
    "contactor_abnormal_closed": {
        "de": "Schütz unerwartet geschlossen",
        "en": "Contactor abnormally closed",
    },
    "charge_prohibited": {"de": "Laden gesperrt", "en": "Charging prohibited"},
    "discharge_prohibited": {"de": "Entladen gesperrt", "en": "Discharging prohibited"},
    "system_fault": {"de": "Störung des Batteriesystems", "en": "Battery system fault"},
}

_WORDS: dict[str, dict[Language, str]] = {
    "info": {"de": "Hinweis", "en": "Info"},
    "warning": {"de": "Warnung", "en": "Warning"},
    "alarm": {"de": "Alarm", "en": "Alarm"},
    "raised": {"de": "aufgetreten", "en": "raised"},
    "cleared": {"de": "vorbei", "en": "over"},
    "flapping": {"de": "kommt und geht", "en": "comes and goes"},
    "test": {"de": "Test", "en": "Test"},
    "test_text": {
        "de": "Dies ist eine Testnachricht von EMS Dash. Es liegt nichts vor.",
        "en": "This is a test message of EMS Dash. Nothing is wrong.",
    },
    "several": {"de": "{n} Meldungen", "en": "{n} messages"},
    "site": {"de": "Standort", "en": "Site"},
    "severity": {"de": "Stufe", "en": "Severity"},
    "what": {"de": "Meldung", "en": "Message"},
    "subject": {"de": "Betrifft", "en": "About"},
    "detail": {"de": "Einzelheiten", "en": "Detail"},
    "since": {"de": "Seit", "en": "Since"},
    "until": {"de": "Bis", "en": "Until"},
    "lasted": {"de": "Dauer", "en": "Lasted"},
    "times": {
        "de": "{n}-mal in {time} gekommen und gegangen",
        "en": "came and went {n} times in {time}",
    },
    "more": {"de": "und {n} weitere", "en": "and {n} more"},
    "suppressed": {
        "de": "{n} weitere Meldungen wurden nicht einzeln gesendet.",
        "en": "{n} further messages were left out.",
    },
    "code": {"de": "Kennung", "en": "Code"},
    "link": {"de": "Ansehen", "en": "Look at it"},
}


def title_of(code: str, language: Language) -> str:
    """Return what the alarm `code` is called; a code without a name is its own."""
    names = TITLES.get(code)
    return code if names is None else names[language]


def word(key: str, language: Language, **values: object) -> str:
    """Return one of the fixed words of a message."""
    return _WORDS[key][language].format(**values)


def duration(seconds: float, language: Language) -> str:
    """Return a length of time in its two greatest units, for example ``"2 h 5 min"``."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    day = ("Tag" if days == 1 else "Tage") if language == "de" else ("day" if days == 1 else "days")
    parts = [(days, day), (hours, "h"), (minutes, "min"), (secs, "s")]
    first = next((i for i, (n, _) in enumerate(parts) if n), 3)
    return " ".join(f"{n} {unit}" for n, unit in parts[first : first + 2] if n) or "0 s"

"""What the engine says in English about devices, sources and values, in German.

The engine and its log speak English. Its messages are put together from few phrases, so phrases
are translated rather than whole messages; what is not known stays as it was said.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ems_dash.i18n.desk_phrases import DESK_PHRASES
from ems_dash.i18n.forecast_phrases import FORECAST_PHRASES
from ems_dash.i18n.link_phrases import LINK_PHRASES
from ems_dash.i18n.phrases import Phrases

_PHRASES: tuple[tuple[str, str], ...] = (
    # Sources on the internet.
    (r"\bdid not finish its answer within ([\d.]+) s", r"hat nicht innerhalb von \1 s geantwortet"),
    (r"\bcould not be reached within ([\d.]+) s", r"war innerhalb von \1 s nicht erreichbar"),
    (r"\bwas silent for ([\d.]+) s", r"schwieg \1 s lang"),
    (r"\bcannot be reached\b", "ist nicht erreichbar"),
    (
        r"\bits certificate or encryption is not accepted\b",
        "Zertifikat oder Verschlüsselung wird nicht angenommen",
    ),
    (r"\bits name cannot be resolved\b", "der Name ist nicht auflösbar"),
    (r"\bit refuses the connection\b", "die Verbindung wird abgelehnt"),
    (r"\bit reset the connection\b", "die Verbindung wurde zurückgesetzt"),
    (r"\bthe connection broke off\b", "die Verbindung brach ab"),
    (r"\banswers with status (\d+)", r"antwortet mit Status \1"),
    (r"\bThe reply of (\S+) is empty\b", r"Die Antwort von \1 ist leer"),
    (r"\bis left alone for a while\b", "wird eine Weile nicht gefragt"),
    (
        r"\bToo many requests; the source is left alone for a while",
        "Zu viele Anfragen; die Quelle wird eine Weile nicht gefragt",
    ),
    (
        r"\bCheck the internet connection of this machine",
        "Internetverbindung dieses Rechners prüfen",
    ),
    (r"\bCheck the address of this source", "Adresse dieser Quelle prüfen"),
    (r"\bCheck the key or token of this source", "Schlüssel dieser Quelle prüfen"),
    (
        r"\bNo (price|weather) source gave a usable answer",
        r"Keine Quelle gab eine brauchbare "
        "Antwort",
    ),
    (
        r"\bThe (price|weather) sources answered, but with nothing",
        "Die Quellen antworteten, aber ohne Inhalt",
    ),
    (r"\bPrices for (\S+) are not available( yet)?", r"Preise für \1 liegen nicht vor"),
    (r"\bNo day-ahead prices are known yet\.", "Es sind noch keine Börsenpreise bekannt."),
    (r"\bNo day-ahead prices are known\.", "Es sind keine Börsenpreise bekannt."),
    (r"\bThe sources are asked again\.", "Die Quellen werden wieder gefragt."),
    (r"\bNothing published yet\b", "Noch nichts veröffentlicht"),
    (r"\bThe program stops\b", "Das Programm wird beendet"),
    # Why there is no plan.
    (
        r"\bThe state of charge is not known, so there is nothing to plan "
        r"from\.",
        "Der Ladezustand ist nicht bekannt, und mit ihm beginnt jeder Plan.",
    ),
    (r"\bCheck the connection to the battery\.", "Die Verbindung zur Batterie prüfen."),
    (r"\bThere is not enough history for [^.]+\.", "Es gibt noch zu wenig Historie."),
    (r"\bNo model could make a forecast\.", "Kein Modell konnte eine Prognose erstellen."),
    (
        r"\bThe weather forecast does not cover (\S+ \S+) UTC\.",
        r"Die Wetterprognose reicht nicht bis \1 UTC.",
    ),
    (r"\bNo PV forecast is possible: ", "Keine PV-Prognose möglich: "),
    (
        r"\bNo day-ahead prices are known for (\S+ \S+) UTC or before\.",
        r"Bis \1 UTC sind keine Börsenpreise bekannt.",
    ),
    (r"\bNo day-ahead prices are known yet\.", "Es sind noch keine Börsenpreise bekannt."),
    (
        r"\bNo published day-ahead price for (\S+ \S+) UTC\.",
        r"Für \1 UTC ist kein Börsenpreis veröffentlicht.",
    ),
    (r"\bno strategy has a plan\.", "keine Strategie hat einen Plan."),
    (
        r"\bthe chosen strategy (\S+) has no plan\.",
        r"die gewählte Strategie \1 hat keinen Plan.",
    ),
    (r"\bthe solver stopped with ([^.]+)\.", r"der Solver hielt an: \1."),
    (
        r"\bno plan keeps the energy window\.",
        "kein Plan hält die Grenzen des Ladezustands ein.",
    ),
    # What the check of a plan found.
    (r": step (\d+) is off by (\S+) (kWh?)\.", r": Schritt \1 weicht um \2 \3 ab."),
    (r"\bpower balance at the grid connection\b", "Leistungsbilanz am Netzanschluss"),
    (r"\bdischarging and charging at once\b", "Entladen und Laden zugleich"),
    (r"\bcharging and discharging at once\b", "Laden und Entladen zugleich"),
    (r"\bdischarge limit(?=: )", "Entladegrenze"),
    (r"\bcharge limit(?=: )", "Ladegrenze"),
    (r"\bnegative curtailment\b", "negative Abregelung"),
    (r"\bcurtailment of PV power\b", "Abregelung der PV"),
    (r"\bdischarging while exporting\b", "Entladen beim Einspeisen"),
    (r"\bcharging while importing\b", "Laden beim Netzbezug"),
    (r"\bimport limit(?=: )", "Grenze des Bezugs"),
    (r"\bexport limit(?=: )", "Grenze der Einspeisung"),
    (r"\bstored energy as planned\b", "gespeicherte Energie wie geplant"),
    (r"\bdrawing more than is stored\b", "mehr entnommen als gespeichert"),
    (r"\benergy window, lower end\b", "Energiefenster, unteres Ende"),
    (r"\benergy window, upper end\b", "Energiefenster, oberes Ende"),
    (
        r"\bcost: the replay costs (\S+) EUR, the plan says (\S+) EUR\.",
        r"cost: nachgerechnet \1 EUR, im Plan \2 EUR.",
    ),
    (
        r"\bobjective: the replay costs (\S+) EUR, the plan says (\S+) EUR\.",
        r"Zielwert: nachgerechnet \1 EUR, im Plan \2 EUR.",
    ),
    (r"\benergy cost(?=: )", "Energiekosten"),
    (r"\bwear cost(?=: )", "Alterungskosten"),
    (r"\bdemand cost(?=: )", "Leistungskosten"),
    (r"\bpreference cost(?=: )", "Vorlieben"),
    (r"\bcost(?=: nach)", "Kosten"),
    (
        r"\bpeaks_kw names (\d+) peaks, (\d+) are billed\.",
        r"peaks_kw nennt \1 Spitzen, abgerechnet werden \2.",
    ),
    (
        r"\bbilled peak: it is (\S+) kW, the plan says (\S+) kW\.",
        r"abgerechnete Spitze: \1 kW, im Plan \2 kW.",
    ),
    (
        r"\bgave_way names an unknown wish: (\w+)\.",
        r"gave_way nennt einen unbekannten Wunsch: \1.",
    ),
    (
        r"\b(\w+) gives way by (\S+) (kWh?), the plan says (\S+) kWh?\.",
        r"\1 gibt um \2 \3 nach, im Plan um \4 \3.",
    ),
    # Plans and orders.
    (
        r"\bthe plan failed its independent check and is not published\b",
        "der Plan bestand die unabhängige Prüfung nicht und gilt nicht",
    ),
    (
        r"\bThe previous plan stays valid(?:; please report this case)?\.",
        "Der Plan davor gilt weiter.",
    ),
    (
        r"\bAnother strategy plans meanwhile; please report this case\.",
        "Inzwischen plant eine andere Strategie.",
    ),
    (
        r"\bthe plan failed its independent check\b",
        "der Plan bestand die unabhängige Prüfung nicht",
    ),
    (r"\bis beyond the battery's\b", "übersteigt die Batterie mit"),
    (r"\bThe history is being reopened\b", "Die Historie wird neu geöffnet"),
)


_SERIES: dict[str, tuple[str, str]] = {
    "load_kw": ("Load", "Last"),
    "pv_kw": ("PV", "PV"),
    "spot_eur_per_kwh": ("Price", "Preis"),
    "prices": ("Prices", "Preise"),
}
"""What an error names in front of its colon, in English and German."""

_ABOUT = re.compile(rf"^({'|'.join(_SERIES)}): ")
_TOLD_TWICE = re.compile(r"^soc_percent: (?=The state of charge )")

# A number with its unit behind it; an address has none.
_DECIMAL = re.compile(r"(?<![\d.,])(\d+)\.(\d+)(?= (?:s|min|h|V|A|°C|%|kW|kWh|EUR)\b| %)")

_GERMAN = Phrases((*LINK_PHRASES, *DESK_PHRASES, *FORECAST_PHRASES, *_PHRASES))


def said(message: str | None, lang: str) -> str:
    """Return a message of the engine in `lang` as far as its phrases are known; empty for None.

    What it is about is named as on the pages, not by the name of the signal.
    """
    text = _TOLD_TWICE.sub("", message or "")
    text = _ABOUT.sub(lambda found: f"{_SERIES[found[1]][lang == 'de']}: ", text)
    return _in_german(text) if text and lang == "de" else text


# Pages say the same few messages of hundreds of signals and registers every second.
@lru_cache(maxsize=2048)
def _in_german(text: str) -> str:
    return _DECIMAL.sub(r"\1,\2", _GERMAN.of(text))

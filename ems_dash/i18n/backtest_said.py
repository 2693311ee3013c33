"""What a backtest says in English, in German: what its numbers rest on, and why it cannot start.

The engine says it in whole sentences, where they arise. Here each is recognised and said again;
``{0}`` is what stands in its first gap, with a German decimal mark. A sentence that is not listed
is shown as it is; the page marks it as English.
"""

from __future__ import annotations

import re
from functools import cache

_ASSUMED: tuple[tuple[str, str], ...] = (
    (
        r"Data: a recorded site and recorded prices that come with the program\.",
        "Daten: ein aufgezeichneter Standort und aufgezeichnete Preise aus dem Programm.",
    ),
    (
        r"Data: this site's own history, as measured and published\.",
        "Daten: die eigene Historie dieses Standorts, wie gemessen und veröffentlicht.",
    ),
    (r"Data: files that were uploaded\.", "Daten: hochgeladene Dateien."),
    (r"Recorded site '(.+?)': (.+)\.", "Aufgezeichneter Standort „{0}“: {1}."),
    (r"Recorded prices '(.+?)': (.+)\.", "Aufgezeichnete Preise „{0}“: {1}."),
    (
        r"Load and PV are those of the recorded day with the same weekday nearest in the season; "
        r"prices are those of the day itself\.",
        "Last und PV sind die des aufgezeichneten Tages mit demselben Wochentag, der in der "
        "Jahreszeit am nächsten liegt; die Preise sind die des Tages selbst.",
    ),
    (
        r"No PV was measured: the site is taken to have none\.",
        "PV wurde nicht gemessen: angenommen ist, dass der Standort keine hat.",
    ),
    (
        r"(\d+) quarter-hours without a measurement were interpolated\.",
        "Interpolierte Viertelstunden ohne Messung: {0}.",
    ),
    (
        r"The past before (.+?) UTC has gaps and is not used\.",
        "Die Vergangenheit vor {0} UTC hat Lücken und wird nicht verwendet.",
    ),
    (
        r"There is no past before the period: forecasts begin with nothing to go by\.",
        "Vor dem Zeitraum gibt es keine Vergangenheit: Prognosen beginnen ohne Anhalt.",
    ),
    (
        r"Times of (.+?) have no offset: taken as UTC\.",
        "Zeiten in {0} nennen keine Zone und gelten als UTC.",
    ),
    (
        r"(\d+) days have no past to forecast the load from; on them the last hour is taken to go "
        r"on\.",
        "Tage ohne Vergangenheit für die Lastprognose: {0}; dort gilt die letzte Stunde weiter.",
    ),
    (
        r"(\d+) of (\d+) plans had no recorded forecast of the load; a forecaster stood in\.",
        "Für {0} von {1} Plänen war keine Lastprognose aufgezeichnet; ein Prognosemodell sprang "
        "ein.",
    ),
    (r"Chosen: (.+)\.", "Gewählt: {0}."),
    (
        r"(\d+) plans could not be made; the one before stayed in force\.",
        "Pläne, die nicht entstehen konnten: {0}; der davor blieb in Kraft.",
    ),
    (
        r"The battery starts at (.+?) kWh; energy left at the end beyond that counts (.+?) ct/kWh, "
        r"what it saves when it replaces bought energy, less losses and wear\.",
        "Die Batterie beginnt mit {0} kWh; was am Ende darüber hinaus gespeichert ist, zählt "
        "{1} ct/kWh: was es spart, wenn es Bezug ersetzt, abzüglich Verlusten und Alterung.",
    ),
    (
        r"Ageing costs (.+?) ct per kWh through the cells, each way; it is part of every saving "
        r"and on no bill\.",
        "Alterung kostet {0} ct je kWh durch die Zellen und Richtung; sie ist Teil jeder Ersparnis "
        "und steht auf keiner Rechnung.",
    ),
    (
        r"Prices are known until the end of the day, from 13:00 local time until the end of the "
        r"next\.",
        "Preise sind bis zum Ende des Tages bekannt, ab 13:00 Ortszeit bis zum Ende des nächsten.",
    ),
    (
        r"Savings count against the same site without a battery, under the same tariff\.",
        "Ersparnisse zählen gegenüber demselben Standort ohne Batterie, unter demselben Tarif.",
    ),
    (
        r"No PV energy is given away"
        r"(?:: PV does not throttle itself| \(pv\.throttles_itself is false\))\.",
        "Es wird keine PV-Energie verschenkt: Die PV drosselt sich nicht von selbst.",
    ),
    (
        r"(\d+) billing periods of the demand charge lie only partly in the period; their charge "
        r"is counted in full on the peak within it\.",
        "Abrechnungszeiträume des Leistungspreises, die nur teilweise im Zeitraum liegen: {0}; ihr "
        "Entgelt zählt voll auf die Spitze darin.",
    ),
    (r"The tariff has no demand charge\.", "Der Tarif hat keinen Leistungspreis."),
    # Appraisal.
    (
        r"The battery costs (.+?) EUR/kWh \+ (.+?) EUR/kW \+ (.+?) EUR, and (.+?) % of that "
        r"\+ (.+?) EUR a year to run\.",
        "Die Batterie kostet {0} €/kWh + {1} €/kW + {2} €, und im Betrieb {3} % davon + {4} € im "
        "Jahr.",
    ),
    (
        r"It loses (.+?) % of its capacity in a straight line: a year takes 1/(.+?) of that, a "
        r"full cycle 1/(.+?); both are added\. It is given up then, after (.+?) years at the "
        r"latest\. The yearly saving falls with the capacity; its cost of ageing is not counted a "
        r"second time\.",
        "Sie verliert {0} % ihrer Kapazität, gleichmäßig: ein Jahr 1/{1} davon, ein Vollzyklus "
        "1/{2}; beides wird addiert. Dann wird sie aufgegeben, spätestens nach {3} Jahren. Die "
        "jährliche Ersparnis sinkt mit der Kapazität; die Kosten ihrer Alterung zählen nicht ein "
        "zweites Mal.",
    ),
    (
        r"Every year is like the replayed period, with savings growing by (.+?) % a year; payments "
        r"come at the end of each year and are discounted at (.+?) %\. Before taxes, without "
        r"financing or subsidies\.",
        "Jedes Jahr ist wie der nachgerechnete Zeitraum, die Ersparnis wächst um {0} % im Jahr; "
        "Zahlungen kommen am Jahresende und werden mit {1} % abgezinst. Vor Steuern, ohne "
        "Finanzierung und Förderung.",
    ),
    # Studies.
    (
        r"Each tariff is replayed with the same series; the site behaves the same under each\.",
        "Jeder Tarif wird mit denselben Reihen nachgerechnet; der Standort verhält sich unter "
        "jedem gleich.",
    ),
    (
        r"Total cost is energy, demand charge and ageing, less the growth of what is stored; fixed "
        r"monthly fees are left out\.",
        "Gesamtkosten sind Energie, Leistungspreis und Alterung, abzüglich des Zuwachses im "
        "Speicher; feste Monatsgebühren bleiben außen vor.",
    ),
    (
        r"Perfect foresight over the whole period each time: a difference is the value of the "
        r"limit alone\.",
        "Jedes Mal perfekte Voraussicht über den ganzen Zeitraum: Ein Unterschied ist der Wert der "
        "Grenze allein.",
    ),
    (
        r"The limits as they are: (.+?) kW import, (.+?) kW export; no bound on cycles\.",
        "Die Grenzen, wie sie sind: {0} kW Bezug, {1} kW Einspeisung; keine Grenze für Zyklen.",
    ),
    (
        r"A bound on full cycles per year is met by a price per cycle, found by bisection\.",
        "Eine Grenze für Vollzyklen im Jahr wird über einen Preis je Zyklus eingehalten, gefunden "
        "durch Intervallhalbierung.",
    ),
    (
        r"Feed-in caps are compared with a plant that may give PV power away, as a cap makes it "
        r"do; without that the cap could not be kept\.",
        "Einspeisegrenzen werden mit einer Anlage verglichen, die PV-Leistung verschenken darf, "
        "wie es eine Grenze erzwingt; sonst ließe sie sich nicht einhalten.",
    ),
    (
        r"The errors the forecasts of load, PV and unpublished prices really had, times a factor: "
        r"0 knows everything within the horizon of a plan, 1 is the forecaster as it is\.",
        "Die wirklichen Fehler der Prognosen von Last, PV und unveröffentlichten Preisen mal einen "
        "Faktor: 0 weiß alles im Horizont eines Plans, 1 ist das Modell, wie es ist.",
    ),
    (
        r"Perfect foresight over the whole period is the bound that every capture is a share of\.",
        "Perfekte Voraussicht über den ganzen Zeitraum ist die Grenze, von der jeder Anteil gilt.",
    ),
    (
        r"(\d+) years were put together from recorded weeks of the same season, drawn with "
        r"replacement; what was never recorded does not occur\.",
        "{0} Jahre wurden aus aufgezeichneten Wochen derselben Jahreszeit zusammengesetzt, mit "
        "Zurücklegen gezogen; was nie aufgezeichnet wurde, kommt nicht vor.",
    ),
    (
        r"Every year has the tariff and the site as they are; public holidays are not kept\.",
        "Jedes Jahr hat Tarif und Standort, wie sie sind; Feiertage bleiben nicht erhalten.",
    ),
    (
        r"Prices stay with the weeks they were recorded with\.",
        "Preise bleiben bei den Wochen, mit denen sie aufgezeichnet wurden.",
    ),
    (
        r"Prices are drawn from (\d+) recorded price years, apart from load and PV\.",
        "Preise werden aus {0} aufgezeichneten Preisjahren gezogen, getrennt von Last und PV.",
    ),
    (
        r"Weeks in each made-up year: (\d+), from (.+?) on; savings are per 365\.25 days\.",
        "Wochen in jedem gedachten Jahr: {0}, ab {1}; Ersparnisse je 365,25 Tage.",
    ),
)

_REFUSED: tuple[tuple[str, str], ...] = (
    # The message, with its remedy in the same text.
    (r"No file has been chosen\.", "Keine Datei gewählt. Eine CSV- oder Parquet-Datei wählen."),
    (
        r"The other tariff has no name\.",
        "Der andere Tarif hat keinen Namen. Einen angeben; ohne Namen wird ein Tarif ausgelassen.",
    ),
    (r"A number is missing\.", "Eine Zahl fehlt. Das Feld ausfüllen; 0, wo es nichts gibt."),
    (r"'(.*?)' is no number\.", "„{0}“ ist keine Zahl. Größen wie 50, 100, 200 angeben."),
    (
        r"The period ends before it begins\.",
        "Der Zeitraum endet, bevor er beginnt. Ein späteres Ende wählen.",
    ),
    (
        r"The period is longer than (\d+) days\.",
        "Der Zeitraum ist länger als {0} Tage. Einen kürzeren wählen.",
    ),
    (
        r"The period from (.+?) to (.+?) UTC is too short\.",
        "Der Zeitraum von {0} bis {1} UTC ist zu kurz. Er muss mindestens eine Stunde dauern.",
    ),
    (
        r"The data reach from (.+?) to (.+?) UTC, the period asked for from (.+?) to (.+?) UTC\.",
        "Die Daten reichen von {0} bis {1} UTC, gefragt ist {2} bis {3} UTC. Einen Zeitraum "
        "innerhalb der Daten wählen oder die fehlenden ergänzen.",
    ),
    (
        r"These recorded prices are known from (.+?) to (.+?), with the weeks before that "
        r"forecasts learn from\.",
        "Diese aufgezeichneten Preise sind von {0} bis {1} bekannt, mit den Wochen davor, aus "
        "denen Prognosen lernen. Einen Zeitraum darin oder ein anderes Preisjahr wählen.",
    ),
    (
        r"(\w+) is not known at (.+?) UTC \((\d+) quarter-hours of the period\)\.",
        "{0} ist am {1} UTC nicht bekannt (Viertelstunden ohne Wert im Zeitraum: {2}). Einen "
        "Zeitraum ohne lange Lücke wählen oder die fehlenden Daten importieren.",
    ),
    (
        r"(\w+) is not known at (.+?) UTC\.",
        "{0} ist am {1} UTC nicht bekannt. Die Lücke füllen oder einen Zeitraum ohne sie wählen.",
    ),
    (
        r"(\w+) is (\S+) at (.+?) UTC, below 0\.",
        "{0} ist am {2} UTC {1}, unter 0. Last und PV sind nie negativ; das Vorzeichen prüfen.",
    ),
    (
        r"No forecasts of the load were recorded for this period\.",
        "Für diesen Zeitraum wurden keine Lastprognosen aufgezeichnet. Ein Modell wählen oder "
        "einen Zeitraum, in dem das Programm lief.",
    ),
    (
        r"The files are larger than (\d+) MB\.",
        "Die Dateien sind größer als {0} MB. Viertelstunden statt Sekunden senden, oder Parquet "
        "statt CSV.",
    ),
    (
        r"(.+?) has a single row, so the length of its interval cannot be told\.",
        "{0} hat nur eine Zeile, die Länge des Intervalls ist daraus nicht zu sehen. Mindestens "
        "eine Stunde angeben.",
    ),
    (
        r"(.+?) has no column (\S+); it has (.+)\.",
        "{0} hat keine Spalte {1}, sondern {2}. Die Spalte mit dem Beginn jedes Intervalls so "
        "nennen (UTC oder mit Zeitzone).",
    ),
    (
        r"(.+?) has none of the columns (.+?); it has (.+)\.",
        "{0} hat keine der Spalten {1}, sondern {2}. Die Spalte umbenennen.",
    ),
    (
        r"(.+?) has the same series twice, as (.+?) and (.+)\.",
        "{0} hat dieselbe Reihe zweimal, als {1} und {2}. Eine der beiden Spalten entfernen.",
    ),
    (r"There are no prices\.", "Es gibt keine Preise. Eine Datei mit Preisen dazugeben."),
    (
        r"The files have no common time: .+",
        "Die Dateien haben keinen gemeinsamen Zeitraum. Dateien angeben, die sich überlappen.",
    ),
    (
        r"(.+?): the column (.+?) has no value at all\.",
        "{0}: Die Spalte {1} hat keinen Wert. Eine Datei mit Werten angeben.",
    ),
    (
        r"A name has 1 to 80 characters\.",
        "Ein Name hat 1 bis 80 Zeichen. Einen kürzeren wählen.",
    ),
    (
        r"There is no backtest of that id\.",
        "Diesen Backtest gibt es nicht. In der Liste stehen alle.",
    ),
    (
        r"This study needs a strategy that plans; only fixed rules were chosen\.(?: .*)?",
        "Diese Studie braucht eine Strategie, die plant; gewählt sind nur feste Regeln. Zum "
        "Beispiel „Co-Optimierung“ wählen.",
    ),
    (
        r"The period holds no whole week from Monday to Sunday\.(?: .*)?",
        "Der Zeitraum enthält keine ganze Woche von Montag bis Sonntag. Einen längeren wählen, am "
        "besten ein ganzes Jahr.",
    ),
    (
        r"The value \((.+?)\) must be smaller than soc_max_percent \((.+?)\)\.?",
        "SoC mindestens ({0} %) muss kleiner sein als SoC höchstens ({1} %).",
    ),
    (
        r"Input should be greater than or equal to (.+?)\.",
        "Der Wert ist zu klein; mindestens {0}.",
    ),
    (r"Input should be greater than (.+?)\.", "Der Wert ist zu klein; er muss über {0} liegen."),
    (
        r"Input should be less than or equal to (.+?)\.",
        "Der Wert ist zu groß; höchstens {0}.",
    ),
    (r"Input should be less than (.+?)\.", "Der Wert ist zu groß; er muss unter {0} liegen."),
    (
        r"List should have at least (\d+) items? after validation, not (\d+)\.",
        "Es muss mindestens {0} gewählt sein.",
    ),
    (
        r"List should have at most (\d+) items? after validation, not (\d+)\.",
        "Es dürfen höchstens {0} sein, nicht {1}.",
    ),
)


@cache
def _rules(which: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    found = _ASSUMED if which == "assumed" else _REFUSED
    return tuple((re.compile(pattern, re.DOTALL), text) for pattern, text in found)


def assumed(sentence: str, lang: str) -> tuple[str, str]:
    """Return what the numbers of a backtest rest on, and the language it is said in.

    Args:
        sentence: What the engine says, one entry of ``assumptions`` or ``notes``.
        lang: ``"de"`` or ``"en"``.
    """
    return _said(sentence, "assumed", lang)


def refused(message: str, lang: str) -> tuple[str, str]:
    """Return why a backtest cannot be, with the remedy in German, and its language."""
    return _said(message, "refused", lang)


def _said(sentence: str, which: str, lang: str) -> tuple[str, str]:
    if lang == "de":
        for pattern, german in _rules(which):
            found = pattern.fullmatch(sentence)
            if found is not None:
                return german.format(*map(_in_german, found.groups())), "de"
    return sentence, "en"


_SERIES = {
    "spot_eur_per_kwh": "Der Preis",
    "load_kw": "Die Last",
    "pv_kw": "Die PV-Leistung",
}
_DAY = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")


def _in_german(text: str | None) -> str:
    """Return a gap of a sentence as German writes it: series, numbers, days."""
    gap = text or ""
    if re.fullmatch(r"-?\d+\.\d+", gap):
        return gap.replace(".", ",")
    return _DAY.sub(r"\3.\2.\1", _SERIES.get(gap, gap))

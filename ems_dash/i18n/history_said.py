"""What the history says about files to import and statements of SQL, in German.

The engine says it in English, for the command line and the API too; there its remedies name
options, on a page they name what stands on the page. What the database itself says about a
statement is in `ems_dash.i18n.sql_said`.
"""

from __future__ import annotations

from ems_dash.i18n.phrases import Phrases
from ems_dash.i18n.said import said

_PHRASES: tuple[tuple[str, str], ...] = (
    # An option of the command line is no field of the page.
    (r"^--\w+: ", ""),
    # A file as a whole.
    (r"\bThe file (\S+) cannot be imported: ", r"Die Datei \1 kann nicht importiert werden: "),
    (r"(\S+) has (\d+) problems?; nothing was written\.", r"\1: \2 Fehler; nichts geschrieben."),
    (r"(\S+) has no rows\.", r"\1 hat keine Zeilen."),
    (r"\bChoose another\.", "Eine andere wählen."),
    (r"(\S+) has the columns none\.", r"\1 hat keine Spalten."),
    (r"(\S+) has the columns (.+?)\.$", r"\1 hat die Spalten \2."),
    (
        r"\bIt needs a header with at least two different columns; give --separator when they run "
        r"together\.",
        "Sie braucht eine Kopfzeile mit mindestens zwei verschiedenen Spalten.",
    ),
    (
        r"(\S+) cannot be read as CSV in line (\d+): .+$",
        r"\1 ist in Zeile \2 nicht als CSV lesbar.",
    ),
    (
        r"\bLook for a quote that is never closed\.",
        "Nach einem Anführungszeichen suchen, das nie geschlossen wird.",
    ),
    (r"\bThe file has more than (\d+) rows\.", r"Die Datei hat mehr als \1 Zeilen."),
    (r"\bSplit it, for example by month\.", "Sie teilen, zum Beispiel nach Monaten."),
    (r"\bThe file (\S+) has more than (\d+) MB\.", r"Die Datei \1 hat mehr als \2 MB."),
    (
        r"\bSplit it, or stop the program and use '(.+?)'\.",
        r"Sie teilen, oder das Programm anhalten und „\1“ verwenden.",
    ),
    (r"\bThe file is not here any more\.", "Die Datei ist nicht mehr da."),
    (r"\bChoose the file again\.", "Die Datei noch einmal wählen."),
    (r"\bThe file has no name\.", "Die Datei hat keinen Namen."),
    (r"\bA file is being imported already\.", "Es wird schon eine Datei importiert."),
    (r"\bWait for it to end\.", "Warten, bis das fertig ist."),
    (r"\bThere is no time zone '(.*?)'\.", r"Die Zeitzone „\1“ gibt es nicht."),
    (
        r"\bName one like Europe/Vienna,? or UTC\.",
        "Eine wie Europe/Vienna oder UTC angeben.",
    ),
    # What its columns are.
    (
        r"\bNo column with a time is recognised among (.+?)\.$",
        r"Keine Spalte mit einer Zeit erkannt; es gibt \1.",
    ),
    (
        r"\bNo column with a series is recognised among (.+?)\.$",
        r"Keine Spalte mit Werten erkannt; es gibt \1.",
    ),
    (
        r"\bThe unit of the column '(.*?)' is not stated\.",
        r"Die Einheit der Spalte „\1“ fehlt.",
    ),
    (
        r"\bThe unit '(.*?)' of the column '(.*?)' is not known\.",
        r"Die Einheit „\1“ der Spalte „\2“ ist nicht bekannt.",
    ),
    (r"\bState it: .+ with one of (.+?)\.$", r"Eine davon wählen: \1."),
    (
        r"\bThe columns (.+?) would all be (\w+)\.",
        r"Die Spalten \1 wären alle dasselbe (\2).",
    ),
    (r"\bState with --map which one is\.", "Unten wählen, welche es ist."),
    (r"\bState the columns, for example --map .+$", "Unten wählen, was die Spalten sind."),
    # Its rows.
    (r"\bno time is read\b", "keine Zeit"),
    (
        r"\bWrite it like (\S+), (\S+ \S+) or (\S+ \S+)\.",
        r"So schreiben: \1, \2 oder \3.",
    ),
    (
        r"\bthis time comes twice in (\S+): the clock is put back over it",
        r"diese Zeit gibt es in \1 zweimal: die Uhr wird zurückgestellt",
    ),
    (
        r"\bWrite times with their offset, or give --ambiguous first or second\.",
        "Zeiten mit ihrem Abstand zu UTC schreiben.",
    ),
    (
        r"\bthis time does not exist in (\S+): the clock is put forward over it",
        r"diese Zeit gibt es in \1 nicht: die Uhr wird vorgestellt",
    ),
    (
        r"\bCheck --timezone \(is it UTC or winter time all year\?\), or give --nonexistent "
        r"shift\.",
        "Die Zeitzone prüfen: Ist es UTC oder das ganze Jahr Winterzeit?",
    ),
    (
        r"\bThe rows of (\S+) are usually (.+?) apart\.",
        r"Die Zeilen von \1 liegen meist \2 auseinander.",
    ),
    (
        r"(\S+) has a single time, so the length of its interval cannot be told\.",
        r"\1 hat nur eine Zeit; die Länge des Intervalls ist nicht bekannt.",
    ),
    (r"\bGive values every (.+?) minutes\.", r"Werte alle \1 Minuten angeben."),
    (
        r"\bthe time is not on a full step of (\d+) min \(in UTC\)",
        r"die Zeit liegt auf keinem vollen Schritt von \1 min (in UTC)",
    ),
    (
        r"\bCorrect the time, or check --timezone\.",
        "Die Zeit berichtigen oder die Zeitzone prüfen.",
    ),
    (r"\bthe time lies in the future\b", "die Zeit liegt in der Zukunft"),
    (
        r"\bCheck --timezone and the order of day and month\.",
        "Zeitzone und Reihenfolge von Tag und Monat prüfen.",
    ),
    (r"\bno number is read\b", "keine Zahl"),
    (
        r"\bCorrect it, or leave the cell empty for a gap\.",
        "Berichtigen; eine leere Zelle ist eine Lücke.",
    ),
    (
        r"\bThe decimal mark is taken to be '(.)'; give --decimal '.'\.",
        r"Als Dezimalzeichen gilt „\1“; in der ganzen Datei dasselbe verwenden.",
    ),
    (
        r"\bthe time is that of row (\d+), with other values\b",
        r"dieselbe Zeit wie in Zeile \1, mit anderen Werten",
    ),
    (
        r"\bRemove one of the two; local times need --ambiguous when the clock changes\.",
        "Eine der beiden entfernen; Ortszeiten brauchen bei der Zeitumstellung den Abstand zu UTC.",
    ),
    (r"\bno price is beyond 4,000 EUR/MWh", "kein Preis liegt über 4.000 EUR/MWh"),
    (
        r"\ba state of charge lies between 0 and 100 %",
        "ein Ladezustand liegt zwischen 0 und 100 %",
    ),
    (r"(\w+) is never negative\b", r"\1 ist nie negativ"),
    (r"\bno site has more than a gigawatt\b", "kein Standort hat mehr als ein Gigawatt"),
    (
        r"\bCheck the unit \((\S*)\) and the sign; a minus before the unit turns it around: .+$",
        r"Einheit (\1) und Vorzeichen prüfen; ein Minus vor der Einheit dreht es um.",
    ),
    (r"\b(\d+) cells\b", r"\1 Zellen"),
    (r"\bthe header has (\d+) columns\b", r"die Kopfzeile hat \1 Spalten"),
    (r"\bCorrect the row, or give --separator\.", "Die Zeile berichtigen."),
    (r"\bPrices every (\S+) are not possible\.", r"Preise alle \1 sind nicht möglich."),
    (r"\bGive prices every 15 or 60 minutes\.", "Preise alle 15 oder 60 Minuten angeben."),
    # Statements.
    (
        r"\bSee (\S+) for what is possible\.",
        r"Was möglich ist, steht in \1.",
    ),
    (r"^Did you mean (.+?)\? ", r"Gemeint ist vielleicht \1. "),
    (r"\bOnly SELECT statements are possible\b", "Nur SELECT ist möglich"),
    (r"\bThe statement is nested too deeply\b", "Die Anweisung ist zu tief verschachtelt"),
    (r"\bThere is no statement\b", "Es gibt keine Anweisung"),
    (r"\bOnly one statement is possible\b", "Nur eine Anweisung ist möglich"),
    (r"\bOnly SELECT is possible, not (\w+)", r"Nur SELECT ist möglich, nicht \1"),
    (
        r"\bThe statement has (\d+) characters; (\d+) are possible\.",
        r"Die Anweisung hat \1 Zeichen; möglich sind \2.",
    ),
    (r"\bThe statement holds a NUL character\b", "Die Anweisung enthält ein NUL-Zeichen"),
    (r"(\w+) is not possible; only SELECT is\b", r"\1 ist nicht möglich, nur SELECT"),
    (r"\bParameter expressions are not possible\b", "Platzhalter ($1, ?) sind nicht möglich"),
    (r"\b(\w+) expressions are not possible\b", r"\1 ist als Ausdruck nicht möglich"),
    (r"\bThe type (.+?) is not possible here\b", r"Der Typ \1 ist hier nicht möglich"),
    (r"\bThe function (.+?) is not possible here\b", r"Die Funktion \1 ist hier nicht möglich"),
    (
        r"\bA constant is longer than (\d+) characters\b",
        r"Eine Konstante ist länger als \1 Zeichen",
    ),
    (
        r"\bMore than (\d+) values are put together \(\|\|, lists, structs\)",
        r"Mehr als \1 Werte werden zusammengesetzt (||, Listen, Strukturen)",
    ),
    (r"(\w+) is not possible in FROM\b", r"\1 ist nach FROM nicht möglich"),
    (
        r"\bLists of tables are not possible; there are ",
        "Listen von Tabellen sind nicht möglich; es gibt ",
    ),
    (
        r"\bThere is no table (.+?) here; there are ",
        r"Es gibt keine Tabelle \1; es gibt ",
    ),
    (r"^([A-Z_]+) is not possible\b", r"\1 ist nicht möglich"),
    (r"\(line (\d+), column (\d+)\)", r"(Zeile \1, Spalte \2)"),
    (r"\bAnother statement is running\.", "Es läuft schon eine Anweisung."),
    (r"\bAsk again in a few seconds\.", "In einigen Sekunden noch einmal versuchen."),
    (
        r"\bThe answer needs more memory than the history may use\.",
        "Die Antwort braucht mehr Speicher, als die Historie verwenden darf.",
    ),
    (
        r"\bThe answer needs more than (\d+) MB of memory\.",
        r"Die Antwort braucht mehr als \1 MB Speicher.",
    ),
    (r"\bThe answer took longer than (\S+) s\.", r"Die Antwort dauerte länger als \1 s."),
    (r"\bThe question was cancelled\.", "Die Abfrage wurde abgebrochen."),
    (
        r"\bToo many questions are asked of the history at once\.",
        "Zu viele Abfragen gleichzeitig.",
    ),
    (
        r"\bAsk for a shorter period, fewer signals or a coarser resolution\.",
        "Einen kürzeren Zeitraum, weniger Signale oder gröbere Werte wählen.",
    ),
    # Series over time.
    (
        r"\bThe period ends at (\S+), before or when it starts\.",
        r"Der Zeitraum endet um \1, nicht nach seinem Beginn.",
    ),
    (r"\bGive an end after the start\.", "Ein Ende nach dem Beginn angeben."),
    (r"\b(\d+) series are asked for\.", r"\1 Reihen sind zu viele."),
    (r"\b(\d+) points are not possible\.", r"\1 Punkte sind nicht möglich."),
    (r"\bAsk for (\d+) to (\d+)\.", r"Möglich sind \1 bis \2."),
    (
        r"\bA period of (\d+) days is too long for (\S+) values\.",
        r"Ein Zeitraum von \1 Tagen ist zu lang für Werte je \2.",
    ),
    (
        r"\bAsk for at most (\d+) days, for a coarser resolution, or for an export\.",
        r"Höchstens \1 Tage oder gröbere Werte wählen, oder exportieren.",
    ),
    (r"\bThere is no table '(.*?)'\.", r"Es gibt keine Tabelle „\1“."),
    (r"^Known: ", "Bekannt: "),
    (r"\bThere is no series '(.*?)'\.", r"Eine Reihe „\1“ gibt es nicht."),
    (r"\bName a signal such as ", "Ein Signal angeben, zum Beispiel "),
    (r"(\S+) is no measured power\.", r"\1 ist keine gemessene Leistung."),
    (
        r"(\S+) is no power that energies are kept of\.",
        r"Von \1 werden keine Energien gespeichert.",
    ),
    (
        r"\bEnergies come from battery_kw, grid_kw, pv_kw and load_kw\.",
        "Energien gibt es von battery_kw, grid_kw, pv_kw und load_kw.",
    ),
    (
        r"\bAsk for a shorter period, or aggregate more\.",
        "Einen kürzeren Zeitraum wählen oder mehr zusammenfassen.",
    ),
)

_GERMAN = Phrases(_PHRASES)


def history_said(message: str | None, lang: str) -> str:
    """Return a message about a file, a series or a statement in `lang`, as far as it is known."""
    text = message or ""
    return said(_GERMAN.of(text), lang) if lang == "de" else text

"""What the database says about a statement, in German.

DuckDB says it in English, in one sentence behind the kind of mistake. Each sentence an analyst
usually meets is recognised as a whole and said again; any other is given back as it was said, to
be shown as the database's own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from ems_dash.i18n.history_said import history_said

_CAST = "Den Typ mit CAST(… AS …) angeben"
_FROM_COLUMN = r"(?: when casting from source column (?P<column>\w+))?"
_EXPECTED = r"(?:, expected format is .+?)?"

_MISTAKES: Final[tuple[tuple[str, str], ...]] = (
    # How it is written.
    (r'syntax error at or near "(.+)"', "Die Schreibweise stimmt nicht bei „{0}“"),
    (r"syntax error at end of input", "Die Anweisung bricht am Ende ab"),
    (r"SELECT clause without selection list", "Nach SELECT fehlt, was gezeigt werden soll"),
    (r"unterminated string literal", "Ein Text beginnt mit ' und endet nicht"),
    (r"unterminated quoted identifier", 'Ein Name beginnt mit " und endet nicht'),
    (r"DISTINCT requires at least one argument", "Nach DISTINCT fehlt eine Spalte"),
    # Names.
    (
        r'Referenced column "?(.+?)"? not found in FROM clause(?: and can\'t find in alias map)?',
        "In den Tabellen nach FROM gibt es keine Spalte „{0}“",
    ),
    (
        r'Referenced column "(.+)" was not found because the FROM clause is missing',
        "Es gibt keine Spalte „{0}“, weil FROM mit einer Tabelle fehlt",
    ),
    (
        r'Table "(.+)" does not have a column named "(.+)"',
        "Die Tabelle „{0}“ hat keine Spalte „{1}“",
    ),
    (r'Referenced table "(.+)" not found', "Eine Tabelle „{0}“ steht nicht nach FROM"),
    (r"Table with name (\S+) does not exist", "Es gibt keine Tabelle „{0}“"),
    (
        r"(?:\w+ )*[Ff]unction with name (\S+) does not exist",
        "Es gibt keine Funktion „{0}“",
    ),
    (
        r'Ambiguous reference to column name "(.+)" \(use: \'(.+)\' or \'(.+)\'\)',
        "Mehrere Tabellen haben eine Spalte „{0}“; {1} oder {2} schreiben",
    ),
    (
        r'Ambiguous reference to table "(.+)" \(.+\)',
        "Der Name „{0}“ steht für zwei Tabellen; mit AS einen anderen geben",
    ),
    (
        r'Column "(.+)" does not exist on (left|right) side of join',
        "Die Spalte „{0}“ gibt es nicht auf beiden Seiten von JOIN",
    ),
    (
        r'Column "(.+)" in EXCLUDE list not found in FROM clause',
        "Die Spalte „{0}“ nach EXCLUDE gibt es nicht",
    ),
    (r'Could not find key "(.+)" in struct', "Es gibt kein Feld „{0}“"),
    (r"Unknown TimeZone '(.+)'", "Die Zeitzone „{0}“ gibt es nicht"),
    (
        r'extract specifier "(.+)" not recognized',
        "„{0}“ ist kein Teil einer Zeit; möglich sind zum Beispiel hour, day und month",
    ),
    # What is put together.
    (
        r'column "(.+)" must appear in the GROUP BY clause or (?:must be part of|be used in) an '
        r"aggregate function",
        "Die Spalte „{0}“ muss nach GROUP BY stehen oder zusammengefasst werden, zum Beispiel "
        "mit sum",
    ),
    (
        r"WHERE clause cannot contain aggregates",
        "Nach WHERE ist nichts Zusammengefasstes möglich; dafür gibt es HAVING",
    ),
    (
        r"WHERE clause cannot contain window functions",
        "Nach WHERE ist keine Fensterfunktion möglich; dafür gibt es QUALIFY",
    ),
    (
        r"GROUP BY clause cannot contain aggregates",
        "Nach GROUP BY ist nichts Zusammengefasstes möglich",
    ),
    (
        r"aggregate function calls cannot be nested",
        "In etwas Zusammengefasstem ist nichts Zusammengefasstes möglich",
    ),
    (
        r"Window functions are not supported here",
        "Eine Fensterfunktion ist hier nicht möglich, oder OVER fehlt",
    ),
    (
        r"(ORDER|GROUP)(?: BY)? term out of range - should be between 1 and (\d+)",
        "Die Nummer einer Spalte nach {0} BY liegt nicht zwischen 1 und {1}",
    ),
    (r"LIMIT/OFFSET cannot be negative", "LIMIT und OFFSET sind nie negativ"),
    (
        r"Set operations can only apply to expressions with the same number of result columns",
        "Beide Seiten von UNION, EXCEPT oder INTERSECT brauchen gleich viele Spalten",
    ),
    (
        r"More than one row returned by a subquery used as an expression - .+",
        "Eine Unterabfrage, die als Wert dient, gibt mehr als eine Zeile",
    ),
    (
        r"Subquery returns (\d+) columns - expected 1",
        "Eine Unterabfrage, die als Wert dient, gibt {0} Spalten statt einer",
    ),
    # Types.
    (
        r"No function matches the given name and argument types '(\W+)\((.*)\)'\. .+",
        "„{0}“ geht nicht mit diesen Typen ({1}). " + _CAST,
    ),
    (
        r"No function matches the given name and argument types '(\w+)\((.*)\)'\. .+",
        "Die Funktion {0} geht nicht mit diesen Typen ({1}). " + _CAST,
    ),
    (
        r'Could not choose a best candidate function for the function call "(.+?)\((.*)\)"\. .+',
        "Was „{0}“ mit diesen Typen bedeutet, ist nicht eindeutig ({1}). " + _CAST,
    ),
    (
        r"Cannot (?:mix values|combine types) of (?:type )?(.+?) and (.+?)(?: in .+?)? - "
        r"an explicit cast is required",
        "Die Typen {0} und {1} passen nicht zusammen. " + _CAST,
    ),
    (
        r"Unimplemented type for cast \((.+) -> (.+)\)" + _FROM_COLUMN,
        "Aus {0} wird kein {1}",
    ),
    (
        r"UNNEST\(\) can only be applied to lists, structs and NULL, not (.+)",
        "UNNEST geht nur mit Listen, nicht mit {0}",
    ),
    # Values.
    (
        r"Could not convert string '(.*)' to (\S+)" + _FROM_COLUMN,
        "Der Text „{0}“ ist kein Wert vom Typ {1}",
    ),
    (
        r'invalid (?:timestamp|time) field format: "(.*?)"' + _EXPECTED + _FROM_COLUMN,
        "„{0}“ ist keine Zeit; so schreiben: 2026-01-31 17:30",
    ),
    (
        r'invalid date field format: "(.*?)"' + _EXPECTED + _FROM_COLUMN,
        "„{0}“ ist kein Tag; so schreiben: 2026-01-31",
    ),
    (
        r'(?:timestamp|time|date) field value out of range: "(.*?)"' + _EXPECTED + _FROM_COLUMN,
        "Den Zeitpunkt „{0}“ gibt es nicht",
    ),
    (r"Date out of range: (.+)", "Den Zeitpunkt „{0}“ gibt es nicht"),
    (
        r"Division by zero in expression (\(.+?\))\. Use .+",
        "Teilung durch null in {0}. Mit NULLIF(…, 0) gibt sie NULL",
    ),
    (
        r"Overflow in \w+ of (\S+) \((.+)\)",
        "Das Ergebnis von {1} ist zu groß für den Typ {0}",
    ),
    (
        r"Type \S+ with value (\S+) can't be cast because the value is out of range for the "
        r"destination type (\S+)",
        "{0} ist zu groß für den Typ {1}",
    ),
    (r"Could not cast value (\S+) to (\S+)", "{0} ist zu groß für den Typ {1}"),
    (
        r"(?:PERCENTILEs|QUANTILE) can only take parameters in the range \[(\S+), (\S+)\]",
        "Ein Quantil liegt zwischen {0} und {1}",
    ),
    (
        r"Failed to parse format specifier (.+?): .+",
        "Das Format „{0}“ ist nicht bekannt",
    ),
    (r"Malformed JSON at byte (\d+) of input: .+", "Kein gültiges JSON (Stelle {0})"),
)
"""What DuckDB says behind the kind of mistake, and its German."""

_KIND = re.compile(r"[A-Z][A-Za-z ]* Error: ")
_PLACE = re.compile(r" \(line (\d+), column (\d+)\)\.$")


@dataclass(frozen=True, slots=True)
class SqlSaid:
    """What is wrong with a statement.

    Attributes:
        text: What is wrong, in the reader's language; None when only the database's words say it.
        original: The database's own words, in English; None when `text` says it all.
    """

    text: str | None
    original: str | None


@cache
def _rules() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), german) for pattern, german in _MISTAKES)


def sql_said(message: str, lang: str) -> SqlSaid:
    """Return a message about a statement in `lang`; the database's words stay beside it."""
    kind = _KIND.match(message)
    if lang != "de" or kind is None:
        return SqlSaid(history_said(message, lang), None)
    place = _PLACE.search(message)
    where = f" (Zeile {place[1]}, Spalte {place[2]})" if place else ""
    sentence = message[kind.end() : place.start() if place else len(message)].removesuffix(".")
    for pattern, german in _rules():
        found = pattern.fullmatch(sentence)
        if found is not None:
            column = found.groupdict().get("column")
            source = f"; Spalte: {column}" if column else ""
            return SqlSaid(f"{german.format(*found.groups())}{source}{where}.", message)
    return SqlSaid(None, message)

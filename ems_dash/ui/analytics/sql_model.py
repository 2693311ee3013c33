"""Answers to SQL as cells of a table, links to export them, and places of mistakes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as wall_time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pyarrow as pa
from babel.numbers import format_decimal

from ems_dash.i18n import t
from ems_dash.ui.format import MINUS
from engine.domain.errors import EmsError
from engine.history.export_text import interval_words
from engine.history.sql_sandbox import SqlResult

MOST_ROWS = 200
"""Most rows a page shows."""

MOST_CELLS = 1_500
"""Most cells a page shows; wide answers show fewer rows.

Dash asks every cell about every change: thousands make the page stand still.
"""

MOST_TEXT = 300
"""Characters of a cell that are shown; the rest stands in its title."""

MOST_ADDRESS = 3800
"""Characters of a link to an export; the web server takes 4094 in its first line."""

FORMATS = (("csv", "CSV"), ("parquet", "Parquet"), ("xlsx", "XLSX"))


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as it is shown.

    Attributes:
        text: What is written.
        kind: ``"null"``, ``"empty"`` (a text of no characters), ``"number"``, ``"time"`` or
            ``"text"``.
        title: The exact or the whole value where `text` is not.
    """

    text: str
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a statement a mistake is; line and column from 1, and the text of that line."""

    line: int
    column: int
    text: str


def rows_shown(result: SqlResult) -> int:
    """Return how many rows of an answer are shown."""
    most = max(1, MOST_CELLS // max(1, len(result.columns)))
    return min(int(result.table.num_rows), MOST_ROWS, most)


def rows_of_cells(result: SqlResult, timezone: str, lang: str) -> list[list[Cell]]:
    """Return the rows that are shown, as cells.

    Args:
        result: The answer.
        timezone: IANA name of the zone in which times with an offset are shown.
        lang: Language.
    """
    shown = result.table.slice(0, rows_shown(result))
    zone = ZoneInfo(timezone)
    columns = [
        [cell(value, zone, lang, single=pa.types.is_float32(column.type)) for value in values]
        for column, values in ((c, c.to_pylist()) for c in shown.columns)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def is_figure(kind: Any) -> bool:
    """Return True when an Arrow type holds figures."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def cell(value: Any, zone: ZoneInfo, lang: str, *, single: bool = False) -> Cell:
    """Return one value as it is shown.

    Args:
        value: As pyarrow gives it. Times without offset are shown as they are.
        zone: In which times with an offset are shown.
        lang: Language.
        single: The figure has the precision of 32 bits.
    """
    if value is None:
        return Cell("NULL", "null")
    if isinstance(value, bool):
        return Cell(t("sqlpage.true" if value else "sqlpage.false", lang), "text")
    if isinstance(value, int | float | Decimal):
        return _figure(value, lang, single)
    if isinstance(value, datetime | date | wall_time | timedelta):
        return Cell(_time(value, zone, lang), "time")
    if isinstance(value, pa.MonthDayNano):
        return Cell(interval_words(value), "time")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if not text:
        return Cell("", "empty")
    if len(text) > MOST_TEXT:
        return Cell(text[:MOST_TEXT] + "…", "text", text)
    return Cell(text, "text")


def _figure(value: float | Decimal, lang: str, single: bool) -> Cell:
    exact = str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return Cell("NaN" if math.isnan(value) else _signed("∞", value), "number")
        if single:
            # as many digits as 32 bits hold, not those of their neighbour with 64
            value = float(f"{value:.7g}")
            exact = f"{value:.7g}"
        size = math.fabs(value)
        if size and not 1e-6 <= size < 1e15:
            return Cell(_signed(f"{size:.6g}", value), "number", exact)
    # a year or a code reads badly in groups, and needs them less
    pattern = "#,##0" if math.fabs(value) >= 10_000 else "0"
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        places = -exponent if isinstance(exponent, int) else 0
        pattern += "." + "0" * places if places > 0 else ""
    elif isinstance(value, float):
        pattern += ".######"
    text = str(format_decimal(abs(value), pattern, locale=lang))
    rounded = isinstance(value, float) and round(value, 6) != value
    return Cell(_signed(text, value), "number", exact if rounded else "")


def _signed(text: str, value: float | Decimal) -> str:
    return MINUS + text if value < 0 else text


def _time(value: datetime | date | wall_time | timedelta, zone: ZoneInfo, lang: str) -> str:
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, wall_time):
        return value.isoformat()
    day = "%d.%m.%Y" if lang == "de" else "%Y-%m-%d"
    if not isinstance(value, datetime):
        return value.strftime(day)
    suffix = ""
    if value.tzinfo is not None:
        value = value.astimezone(zone)
        suffix = f" {value.tzname()}"
    clock = value.strftime("%H:%M:%S")
    if value.microsecond:
        clock += ("," if lang == "de" else ".") + f"{value.microsecond:06d}".rstrip("0")
    return f"{value.strftime(day)} {clock}{suffix}"


def summary(result: SqlResult, most: int, lang: str) -> str:
    """Return how many rows there are, how many are shown, and how long it took.

    Args:
        result: The answer.
        most: Row limit of the statement.
        lang: Language.
    """
    n, shown = int(result.table.num_rows), rows_shown(result)
    key = "one" if n == 1 and not result.truncated else "many"
    parts = [t(f"sqlpage.rows_{key}", lang, n=whole(n, lang))]
    if result.truncated:
        parts = [t("sqlpage.rows_truncated", lang, n=whole(most, lang))]
    if shown < n:
        parts.append(t("sqlpage.rows_shown", lang, n=whole(shown, lang)))
    if result.seconds < 1:
        took = f"{whole(max(1, round(result.seconds * 1000)), lang)}\u00a0ms"
    else:
        took = f"{format_decimal(result.seconds, '0.0', locale=lang)}\u00a0s"
    return " · ".join([*parts, took])


def whole(n: int, lang: str) -> str:
    """Return a whole number in the notation of `lang`."""
    return str(format_decimal(n, "#,##0", locale=lang))


def export_links(sql: str, lang: str) -> Sequence[tuple[str, str]]:
    """Return name and address of each export of a statement; none when it is too long for one."""
    links = []
    for ending, name in FORMATS:
        values = {"sql": sql}
        if ending == "csv" and lang == "de":
            values["profile"] = "excel_de"
        links.append((name, f"/api/export/sql.{ending}?{urlencode(values)}"))
    return links if max(len(address) for _, address in links) <= MOST_ADDRESS else []


def place_of(error: EmsError, sql: str) -> Place | None:
    """Return where in `sql` a mistake is; None when the error does not say."""
    if error.field != "sql" or not isinstance(error.value, str):
        return None
    line, _, column = error.value.partition(":")
    lines = sql.splitlines()
    if not (line.isdecimal() and column.isdecimal() and 1 <= int(line) <= len(lines)):
        return None
    return Place(int(line), int(column), lines[int(line) - 1])

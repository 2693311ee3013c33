"""XLSX for tables of moderate length: real numbers and times, texts never formulas."""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter

from engine.history.export_request import ExportRows, Progress, Tell
from engine.history.export_text import as_words, local_texts, utc_texts
from engine.history.query_errors import QueryError

MOST_ROWS = 200_000
"""Most rows of a sheet; Excel's own limit is 1,048,575, at which files take minutes to open."""

_MOST_TEXT = 32_767


def write_xlsx(rows: ExportRows, path: Path, *, tell: Tell) -> int:
    """Write an export as XLSX and return its number of rows; memory stays bounded.

    Times are the local wall clock as Excel times, with the offset and UTC as texts beside
    them; so are wall clocks in the answer to a statement, whose other times are UTC, as texts.
    A second sheet says what the columns mean.

    Raises:
        QueryError: There are more rows than `MOST_ROWS`.
    """
    book = xlsxwriter.Workbook(
        str(path), {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    try:
        return _write(book, rows, tell)
    finally:
        book.close()


def _write(book: Any, rows: ExportRows, tell: Tell) -> int:
    bold = book.add_format({"bold": True})
    time_format = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    day_format = book.add_format({"num_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet(rows.info.dataset[:31])
    sheet.freeze_panes(1, 0)
    for at, name in enumerate(_header(rows)):
        sheet.write_string(0, at, name, bold)
    n = 0
    for part, table in enumerate(rows.tables, start=1):
        if n + table.num_rows > MOST_ROWS:
            raise QueryError(
                f"The export has more than {MOST_ROWS} rows, too many for XLSX.",
                field="format",
                value="xlsx",
                hint="Use csv or parquet, a shorter period, or a coarser resolution.",
            )
        columns = _columns(table, rows)
        for row in zip(*columns, strict=True):
            n += 1
            for at, value in enumerate(row):
                if value is None or (isinstance(value, float) and not math.isfinite(value)):
                    continue
                if isinstance(value, bool):
                    sheet.write_boolean(n, at, value)
                elif isinstance(value, int | float):
                    sheet.write_number(n, at, value)
                elif isinstance(value, datetime):
                    sheet.write_datetime(n, at, value, time_format)
                elif isinstance(value, date):
                    sheet.write_datetime(n, at, value, day_format)
                else:
                    sheet.write_string(n, at, str(value)[:_MOST_TEXT])
        tell(Progress(n, part, rows.parts))
    _about(book.add_worksheet("about"), rows, n, bold)
    return n


def _header(rows: ExportRows) -> list[str]:
    names: list[str] = []
    for name in rows.schema.names:
        if name == rows.time_column:
            names += [f"{name}_local", f"{name}_offset", f"{name}_utc"]
        else:
            names.append(name)
    return names


def _columns(table: Any, rows: ExportRows) -> list[list[Any]]:
    out: list[list[Any]] = []
    for name, chunked in zip(table.column_names, table.columns, strict=True):
        column = chunked.combine_chunks()
        kind = column.type
        if name == rows.time_column:
            local, offset = local_texts(column, rows.info.timezone)
            out.append([_moment(text) for text in local.to_pylist()])
            out.append(offset.to_pylist())
            out.append(utc_texts(column).to_pylist())
        elif name in rows.wall_times:
            out.append(column.cast(pa.timestamp("us")).to_pylist())
        elif pa.types.is_timestamp(kind):
            plain = column if kind.tz is None else column.cast(pa.timestamp("us"))
            out.append(utc_texts(plain).to_pylist())
        elif pa.types.is_decimal(kind):
            out.append(pc.cast(column, pa.float64()).to_pylist())
        elif (
            pa.types.is_boolean(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_integer(kind)
            or pa.types.is_date(kind)
        ):
            out.append(column.to_pylist())
        else:
            out.append(as_words(column).to_pylist())
    return out


def _about(sheet: Any, rows: ExportRows, n: int, bold: Any) -> None:
    info = rows.info.as_dict()
    columns = info.pop("columns")
    lines = [(key, str(value)) for key, value in info.items() if value is not None]
    lines.append(("rows", str(n)))
    at = 0
    for key, value in lines:
        sheet.write_string(at, 0, key, bold)
        sheet.write_string(at, 1, value)
        at += 1
    at += 1
    for column in columns:
        for offset, key in enumerate(("name", "unit", "meaning")):
            sheet.write_string(at, offset, column[key])
        at += 1


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

"""CSV: two profiles, times as local time with its offset and as UTC, every text in quotes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.history.export_request import CsvProfile, ExportRows, Progress, Tell
from engine.history.export_text import as_words, local_texts, numbers, quoted, utc_texts, wall_texts

BOM = "\ufeff"

MONEY_UNITS = frozenset({"EUR", "EUR/kWh", "EUR/MWh"})
"""Money is a sum of decimal amounts; in binary 0.12 + 0.11 is 0.22999999999999998."""

MONEY_DECIMALS = 10
"""Far below every digit a price or an amount has, and far above that noise."""


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """How CSV is written.

    Attributes:
        separator: Between cells.
        decimal: Decimal mark.
        line_end: After each row.
        bom: Begin with a byte order mark, by which Excel recognises UTF-8.
        split_offset: Local time in the form spreadsheets take for a time, its offset in a
            column of its own; else both in one ISO text.
    """

    separator: str
    decimal: str
    line_end: str
    bom: bool
    split_offset: bool


STYLES: dict[CsvProfile, CsvStyle] = {
    CsvProfile.INTERNATIONAL: CsvStyle(",", ".", "\n", bom=False, split_offset=False),
    CsvProfile.EXCEL_DE: CsvStyle(";", ",", "\r\n", bom=True, split_offset=True),
}


def csv_bytes(
    rows: ExportRows, profile: CsvProfile, *, comments: bool, tell: Tell
) -> Iterator[bytes]:
    """Yield an export as CSV in UTF-8, one chunk per part.

    The time column becomes ``<name>_local`` (with its offset) and ``<name>_utc`` (``Z``);
    further times are UTC (``Z``), or have no zone when none is known of them. Numbers are the
    shortest text that reads back exactly; prices and amounts have at most ten decimals.
    With comments the file begins with ``#`` lines that say what it holds, and ends with
    ``# rows: N``; without that line it is not complete.
    """
    style = STYLES[profile]
    head = BOM if style.bom else ""
    if comments:
        head += "".join(f"# {line}{style.line_end}" for line in _remarks(rows))
    yield (head + style.separator.join(_header(rows, style)) + style.line_end).encode()
    n = 0
    for part, table in enumerate(rows.tables, start=1):
        n += table.num_rows
        if table.num_rows:
            yield _lines(table, rows, style)
        tell(Progress(n, part, rows.parts))
    if comments:
        yield f"# rows: {n}{style.line_end}".encode()


def _header(rows: ExportRows, style: CsvStyle) -> list[str]:
    names: list[str] = []
    for name in rows.schema.names:
        if name != rows.time_column:
            names.append(name)
        elif style.split_offset:
            names += [f"{name}_local", f"{name}_offset", f"{name}_utc"]
        else:
            names += [f"{name}_local", f"{name}_utc"]
    return quoted(pa.array(names, pa.string())).to_pylist()  # type: ignore[no-any-return]


def _remarks(rows: ExportRows) -> list[str]:
    info = rows.info.as_dict()
    columns = info.pop("columns")
    lines = [f"{key}: {value}" for key, value in info.items() if value not in (None, "")]
    lines += [f"{c['name']} [{c['unit'] or '-'}]: {c['meaning']}" for c in columns]
    return [line.replace("\n", " ").replace("\r", " ") for line in lines]


def _lines(table: Any, rows: ExportRows, style: CsvStyle) -> bytes:
    units = {column.name: column.unit for column in rows.info.columns}
    cells: list[Any] = []
    for name, chunked in zip(table.column_names, table.columns, strict=True):
        column = chunked.combine_chunks()
        if name == rows.time_column:
            cells += _local_and_utc(column, rows.info.timezone, style)
        elif name in rows.wall_times:
            cells.append(wall_texts(column, between=" " if style.split_offset else "T"))
        else:
            if units.get(name) in MONEY_UNITS and pa.types.is_float64(column.type):
                column = _without_noise(column)
            cells.append(_cell(column, style))
    joined = pc.binary_join_element_wise(
        *cells[:-1],
        pc.binary_join_element_wise(
            cells[-1], "", style.line_end, null_handling="replace", null_replacement=""
        ),
        style.separator,
        null_handling="replace",
        null_replacement="",
    )
    # the texts of an Arrow array lie one behind the other: that is the file
    whole = joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
    return b"".join(_text_bytes(chunk) for chunk in _chunks(whole))


def _chunks(array: Any) -> list[Any]:
    return list(array.chunks) if isinstance(array, pa.ChunkedArray) else [array]


def _text_bytes(array: Any) -> bytes:
    offsets = pa.Array.from_buffers(
        pa.int32(), len(array) + 1, [None, array.buffers()[1]], offset=array.offset
    )
    first, last = offsets[0].as_py(), offsets[len(array)].as_py()
    return bytes(memoryview(array.buffers()[2])[first:last])


def _local_and_utc(column: Any, timezone: str, style: CsvStyle) -> list[Any]:
    utc = utc_texts(column)
    if style.split_offset:
        # a German Excel takes no point in a time; the exact one stands in UTC beside it
        column = pc.floor_temporal(column, unit="second")
    local, offset = local_texts(column, timezone)
    if style.split_offset:
        shown = pc.replace_substring(local, "T", " ")
        return [shown, quoted(pc.binary_join_element_wise(pa.scalar("UTC"), offset, "")), utc]
    return [pc.binary_join_element_wise(local, offset, ""), utc]


def _without_noise(column: Any) -> Any:
    # Arrow's own rounding multiplies by 1e-10, which makes noise of its own.
    return pa.array(np.round(column.to_numpy(zero_copy_only=False), MONEY_DECIMALS))


def _cell(column: Any, style: CsvStyle) -> Any:
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        return numbers(column, style.decimal)
    if pa.types.is_timestamp(kind):
        return utc_texts(column) if kind.tz is None else utc_texts(column.cast(pa.timestamp("us")))
    if pa.types.is_date(kind):
        return column.cast(pa.string())
    return quoted(as_words(column))

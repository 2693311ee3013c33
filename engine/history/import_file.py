"""Reading the file of an import: CSV in many dialects, or Parquet, as columns with row numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.history.query_errors import QueryError

MOST_BYTES = 300_000_000
MOST_ROWS = 2_000_000

_SEPARATORS = (";", "\t", ",", "|")
_SHOWN_PROBLEMS = 20

HEAD_ROWS = 50
"""Rows that `read_head` reads."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        row: Line of the CSV file, or row of the Parquet file, from 1; None for the whole file.
        column: The column, None for the whole row.
        value: What stands there.
        message: What is wrong.
        hint: What to do about it.
    """

    row: int | None
    column: str | None
    value: str
    message: str
    hint: str

    def __str__(self) -> str:
        where = "" if self.row is None else f"row {self.row}"
        if self.column is not None:
            where += f"{', ' if where else ''}column {self.column}"
        shown = f" ({self.value[:60]!r})" if self.value else ""
        return f"{where}{': ' if where else ''}{self.message}{shown}. {self.hint}"


class Problems:
    """Everything that is wrong; the first ones are kept, all are counted."""

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.count = 0

    def add(self, row: int | None, column: str | None, value: object, *words: str) -> None:
        """Note one problem: its message and its remedy."""
        self.count += 1
        if len(self.first) < _SHOWN_PROBLEMS:
            message, hint = words
            self.first.append(Problem(row, column, str(value), message, hint))

    def lines(self) -> str:
        """Return the first ones, a line each, and how many more there are."""
        lines = [str(problem) for problem in self.first]
        more = self.count - len(self.first)
        if more:
            lines.append(f"And {more} more.")
        return "\n  ".join(lines)


class ImportRefusedError(QueryError):
    """The file cannot be imported as it is; nothing was written.

    Attributes:
        problems: The first of what is wrong.
        count: How much is wrong in all.
    """

    code = "import_refused"

    def __init__(self, name: str, problems: Problems) -> None:
        count = problems.count
        super().__init__(
            f"{name} has {count} problem{'' if count == 1 else 's'}; nothing was written.\n  "
            + problems.lines(),
            field="file",
            value=name,
        )
        self.problems = tuple(problems.first)
        self.count = count


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """A file as it stands.

    Attributes:
        name: Name of the file.
        columns: Names of its columns.
        rows: Line or row number, from 1, of each row.
        values: Column to its values: texts of CSV, Python values of Parquet, None where empty.
        decimal: Decimal mark of texts.
    """

    name: str
    columns: tuple[str, ...]
    rows: Sequence[int]
    values: dict[str, list[Any]]
    decimal: str


def read_table(
    path: Path, *, separator: str | None, decimal: str | None, encoding: str
) -> RawTable:
    """Return the table in `path`; ``.parquet`` is read as Parquet, anything else as CSV.

    Args:
        path: The file.
        separator: Between cells of CSV; None finds out from the header.
        decimal: Decimal mark; None takes the comma when cells are separated by something else
            and numbers have one, else the point.
        encoding: Of CSV.

    Raises:
        ImportRefusedError: Rows have too many or too few cells.
        QueryError: It cannot be read, has no rows, or is too large.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise _unreadable(
                path, f"It has {size // 1_000_000} MB", f"Split it below {MOST_BYTES // 1_000_000}."
            )
        if path.suffix.lower() == ".parquet":
            return _parquet(path)
        text = path.read_text(encoding=encoding)
    except OSError as error:
        raise _unreadable(path, f"{error.strerror or error}", "Check the path.") from error
    except (UnicodeDecodeError, LookupError) as error:
        raise _not_text(path, encoding) from error
    except pa.ArrowException as error:
        raise _not_parquet(path) from error
    return parse_csv(text, path.name, separator=separator, decimal=decimal)


def read_head(path: Path, *, separator: str | None, decimal: str | None, encoding: str) -> RawTable:
    """Return the first rows of the table in `path`, at most `HEAD_ROWS`; see `read_table`.

    Raises:
        QueryError: It cannot be read, or has no rows.
    """
    try:
        if path.suffix.lower() == ".parquet":
            file = pq.ParquetFile(path)
            return _of_parquet(path, next(file.iter_batches(HEAD_ROWS), None))
        with path.open(encoding=encoding, newline="") as source:
            text = "".join(islice(source, HEAD_ROWS + 1 + _comment_lines(path, encoding)))
    except OSError as error:
        raise _unreadable(path, f"{error.strerror or error}", "Check the path.") from error
    except (UnicodeDecodeError, LookupError) as error:
        raise _not_text(path, encoding) from error
    except pa.ArrowException as error:
        raise _not_parquet(path) from error
    return parse_csv(text, path.name, separator=separator, decimal=decimal)


def _comment_lines(path: Path, encoding: str) -> int:
    with path.open(encoding=encoding) as source:
        return sum(1 for _ in takewhile(lambda line: line.lstrip("\ufeff").startswith("#"), source))


def parse_csv(text: str, name: str, *, separator: str | None, decimal: str | None) -> RawTable:
    """Return the table in a CSV text; lines that begin with ``#`` before the header are skipped.

    Raises:
        ImportRefusedError: Rows have too many or too few cells.
        QueryError: It has no header or no rows.
    """
    lines = text.removeprefix("\ufeff")
    skipped = 0
    while lines.startswith("#"):
        lines = lines.partition("\n")[2]
        skipped += 1
    header_line = lines.partition("\n")[0]
    if separator is None:
        separator = max(_SEPARATORS, key=header_line.count)
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=separator)
    problems = Problems()
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        if len(header) < 2 or len(set(header)) != len(header):
            raise QueryError(
                f"{name} has the columns {', '.join(header) or 'none'}.",
                field="file",
                value=name,
                hint="It needs a header with at least two different columns; "
                "give --separator when they run together.",
            )
        rows, cells = _cells(reader, len(header), skipped, problems)
    except csv.Error as error:
        raise QueryError(
            f"{name} cannot be read as CSV in line {reader.line_num + skipped}: {error}.",
            field="file",
            value=name,
            hint="Look for a quote that is never closed.",
        ) from error
    if problems.count:
        raise ImportRefusedError(name, problems)
    if not rows:
        raise QueryError(f"{name} has no rows.", field="file", value=name, hint="Choose another.")
    values = dict(zip(header, (list(column) for column in zip(*cells, strict=True)), strict=True))
    return RawTable(name, header, rows, values, decimal or _decimal(cells, separator))


def _cells(
    reader: Any, width: int, skipped: int, problems: Problems
) -> tuple[list[int], list[list[str | None]]]:
    rows: list[int] = []
    cells: list[list[str | None]] = []
    for row in reader:
        number = reader.line_num + skipped
        stripped = [cell.strip() or None for cell in row]
        if not any(stripped) or (stripped[0] or "").startswith("# rows:"):
            continue
        if len(row) != width:
            problems.add(
                number,
                None,
                f"{len(row)} cells",
                f"the header has {width} columns",
                "Correct the row, or give --separator.",
            )
            continue
        rows.append(number)
        cells.append(stripped)
        if len(rows) > MOST_ROWS:
            raise QueryError(
                f"The file has more than {MOST_ROWS} rows.",
                field="file",
                hint="Split it, for example by month.",
            )
    return rows, cells


def _decimal(cells: list[list[str | None]], separator: str) -> str:
    if separator == ",":
        return "."
    sample = [cell for row in cells[:200] for cell in row[1:] if cell]
    commas = sum("," in cell for cell in sample)
    points = sum("." in cell and "," not in cell and ":" not in cell for cell in sample)
    return "," if commas > points else "."


def _parquet(path: Path) -> RawTable:
    file = pq.ParquetFile(path)
    if not 0 < file.metadata.num_rows <= MOST_ROWS:
        raise _unreadable(
            path,
            f"It has {file.metadata.num_rows} rows",
            f"It needs 1 to {MOST_ROWS}; split it, for example by month.",
        )
    return _of_parquet(path, file.read())


def _of_parquet(path: Path, rows: Any) -> RawTable:
    if rows is None:
        raise _unreadable(path, "It has no rows", "Choose another.")
    names = tuple(rows.schema.names)
    return RawTable(
        path.name,
        names,
        range(1, rows.num_rows + 1),
        {name: rows.column(name).to_pylist() for name in names},
        ".",
    )


def _not_text(path: Path, encoding: str) -> QueryError:
    return _unreadable(
        path, f"It is no {encoding} text", "Give --encoding, for example utf-8 or cp1252."
    )


def _not_parquet(path: Path) -> QueryError:
    return _unreadable(path, "It is no readable Parquet file", "Write it anew.")


def _unreadable(path: Path, what: str, hint: str) -> QueryError:
    return QueryError(
        f"The file {path.name} cannot be imported: {what}.",
        field="file",
        value=str(path),
        hint=hint,
    )

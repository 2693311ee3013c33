"""What is exported: data set, period, format; and what is said about it beside the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from engine.history.checks import check_time
from engine.history.dictionary import tables
from engine.history.query_errors import QueryError
from engine.history.schema import SCHEMA_VERSION
from engine.history.series_query import Aggregation, Step

SERIES, SQL = "series", "sql"


class ExportFormat(StrEnum):
    """Format of the file."""

    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"


class CsvProfile(StrEnum):
    """How numbers, times and lines are written in CSV."""

    INTERNATIONAL = "international"
    EXCEL_DE = "excel_de"


def datasets() -> tuple[str, ...]:
    """Return every data set that can be exported."""
    return (SERIES, *tables(), SQL)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """One export.

    Attributes:
        dataset: A table of the data dictionary, `SERIES` or `SQL`.
        site_id: The site.
        since: Start of the period; None for an SQL statement.
        until: End of the period; None for an SQL statement.
        format: Format of the file.
        signals: Series, or columns of the table; empty for all columns.
        step: Length of the intervals of series; AUTO as in a chart of that length.
        aggregation: What series say about each interval.
        profile: How CSV is written.
        comments: CSV begins with comment lines and ends with the number of rows.
        sql: The statement.
    """

    dataset: str
    site_id: str
    since: datetime | None = None
    until: datetime | None = None
    format: ExportFormat = ExportFormat.CSV
    signals: tuple[str, ...] = ()
    step: Step = Step.AUTO
    aggregation: Aggregation = Aggregation.MEAN
    profile: CsvProfile = CsvProfile.INTERNATIONAL
    comments: bool = False
    sql: str | None = None

    def __post_init__(self) -> None:
        if self.dataset not in datasets():
            raise QueryError(
                f"There is no data set '{self.dataset[:60]}'.",
                field="dataset",
                value=self.dataset,
                hint=f"Known: {', '.join(datasets())}.",
            )
        if self.dataset == SQL:
            if not self.sql:
                raise QueryError("The statement is missing.", field="sql", hint="Give one SELECT.")
            return
        for name, ts in (("from", self.since), ("to", self.until)):
            if ts is None:
                raise QueryError(
                    f"The period has no {name}.",
                    field=name,
                    hint="Give a time with its offset, like 2026-11-25T00:00:00+01:00.",
                )
            check_time(ts, name)
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise QueryError(
                f"The period ends at {self.until.isoformat()}, before or when it starts.",
                field="to",
                value=self.until.isoformat(),
                hint="Give an end after the start.",
            )
        if self.dataset == SERIES and not self.signals:
            raise QueryError(
                "No series are named.",
                field="signals",
                hint="Name some, for example load_kw,pv_kw,price:buy_eur_per_kwh.",
            )


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column of an export: its name, unit and meaning."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """What is said about an export beside its rows; see `as_dict`."""

    dataset: str
    site_id: str
    timezone: str
    since: datetime | None
    until: datetime | None
    resolution: str
    columns: tuple[ExportColumn, ...]
    program: str
    created_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: times as ISO 8601 in UTC, signs in words, versions."""
        return {
            "dataset": self.dataset,
            "site": self.site_id,
            "time_zone": self.timezone,
            "from": _utc_text(self.since),
            "to": _utc_text(self.until),
            "resolution": self.resolution,
            "signs": "battery + discharge, - charge; grid + import, - export; pv and load >= 0",
            "columns": [asdict(column) for column in self.columns],
            "program": self.program,
            "schema_version": SCHEMA_VERSION,
            "created_at": _utc_text(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export is: rows written, parts of the period done, parts in all."""

    rows: int
    parts: int
    parts_total: int


Tell = Callable[[Progress], None]
"""Told of progress."""


@dataclass(frozen=True, slots=True, eq=False)
class ExportRows:
    """Rows to write.

    Attributes:
        info: What is said about them.
        schema: Their `pyarrow.Schema`; times have no zone in it.
        time_column: The column whose local time is written as well; None without one.
        parts: Number of parts.
        tables: The parts as `pyarrow.Table`, read as they are asked for.
        wall_times: Columns with times of which only the digits are known, such as the wall
            clock of the site in the answer to a statement; all others are UTC.
    """

    info: ExportInfo
    schema: Any
    time_column: str | None
    parts: int
    tables: Iterator[Any]
    wall_times: frozenset[str] = frozenset()


def _utc_text(ts: datetime | None) -> str | None:
    return None if ts is None else ts.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""Rows of the tables of the data dictionary as Arrow tables: for exports and series."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import duckdb

from engine.domain.local_days import first_day_from
from engine.history.dictionary import TableInfo, select_list
from engine.history.queries import period
from engine.history.rows import utc
from engine.history.store import INSTALLATION_SITE_ID
from engine.history.views import SAMPLES, source_sql


class TableStore(Protocol):
    """Rows of one table of the data dictionary."""

    def table_rows(
        self,
        table: TableInfo,
        columns: Sequence[str],
        site_id: str,
        since: datetime,
        until: datetime,
        *,
        timezone: str = "UTC",
    ) -> Any:
        """Return rows of a period as a `pyarrow.Table`, in the order of the table.

        Args:
            table: The table.
            columns: Columns wanted, in this order.
            site_id: The site; events of the whole installation come as well.
            since: Start of the period, by the table's time column.
            until: End of the period.
            timezone: IANA name; of tables by local day, days that begin in the period are meant.

        Raises:
            HistoryError: A column is unknown, a time is naive, or the store cannot answer.
        """
        ...

    def extent(self, table: TableInfo, site_id: str) -> tuple[datetime, datetime] | None:
        """Return the first and the last time of the rows of a site, None without any.

        Of tables by local day these are the days' midnights in UTC, which is near enough to
        leave out years without rows.
        """
        ...


def extent(
    cursor: duckdb.DuckDBPyConnection, table: TableInfo, site_id: str
) -> tuple[datetime, datetime] | None:
    """Return the first and the last time of the rows; see `TableStore.extent`."""
    column = f'"{table.time_column}"'
    found = [
        f"SELECT min({column})::TIMESTAMP AS first, max({column})::TIMESTAMP AS last "
        f"FROM ({source_sql(table)}) WHERE site_id IN (?, ?)"
    ]
    arguments = [site_id, INSTALLATION_SITE_ID if table.name == "events" else site_id]
    if table.name == SAMPLES:
        found.append(
            "SELECT min(day)::TIMESTAMP, max(day)::TIMESTAMP + INTERVAL 1 DAY "
            "FROM h.archived_days WHERE site_id = ?"
        )
        arguments.append(site_id)
    rows = cursor.execute(
        f"SELECT min(first), max(last) FROM ({' UNION ALL '.join(found)})", arguments
    ).fetchall()
    first, last = rows[0]
    return None if first is None else (utc(first), utc(last))


def table_rows(
    cursor: duckdb.DuckDBPyConnection,
    table: TableInfo,
    columns: Sequence[str],
    *,
    site_id: str,
    since: datetime,
    until: datetime,
    timezone: str,
    samples: str,
) -> Any:
    """Return rows of a period, see `TableStore.table_rows`; `samples` holds those of samples."""
    for name in columns:
        table.column(name)
    start, end = period(since, until)
    bounds: list[Any] = [start, end]
    if table.is_daily:
        zone = ZoneInfo(timezone)
        # a day belongs to the period when its midnight does
        bounds = [
            first_day_from(since, zone),
            first_day_from(until, zone),
        ]
    return cursor.sql(
        f"SELECT {select_list(columns)} FROM ({source_sql(table, samples)}) "
        f'WHERE site_id IN (?, ?) AND "{table.time_column}" >= ? AND "{table.time_column}" < ? '
        f"ORDER BY {select_list(table.order)}",
        params=[
            site_id,
            INSTALLATION_SITE_ID if table.name == "events" else site_id,
            *bounds,
        ],
    ).to_arrow_table()

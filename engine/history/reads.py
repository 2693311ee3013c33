"""The reading half of the DuckDB store: each question gets a cursor of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import duckdb

from engine.domain.records import (
    SampleRow,
)
from engine.domain.series import MeasuredPoint
from engine.history import (
    forecast_queries,
    point_reads,
    queries,
    series_queries,
    table_reads,
)
from engine.history.columns import ColumnKey, Columns, Resolution
from engine.history.dictionary import TableInfo
from engine.history.point_reads import Points
from engine.history.row_reads import RowReads
from engine.history.rows import naive_utc
from engine.history.sample_source import SampleSource
from engine.history.series_names import SeriesName
from engine.history.spans import BEGINNING, END
from engine.history.sql_cursor import SqlCursor
from engine.history.store import ForecastPairs

_DAY = timedelta(days=1)


class DuckDbReads(RowReads):
    """Answers of `HistoryStore`, see there, from the cursors that `_cursor` lends."""

    _source: SampleSource

    @abstractmethod
    def _cursor(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Lend a cursor for one read; errors of DuckDB become HistoryError."""

    def _rows(self) -> AbstractContextManager[SqlCursor]:
        return self._cursor()

    def lend_cursor(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Lend a cursor of its own for one read, for SQL written elsewhere in this package."""
        return self._cursor()

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
        """Return rows of a period as an Arrow table; see `TableStore.table_rows`."""
        with self._cursor() as cursor:
            return table_reads.table_rows(
                cursor,
                table,
                columns,
                site_id=site_id,
                since=since,
                until=until,
                timezone=timezone,
                samples=self.samples_relation(cursor, site_id, since, until),
            )

    def imported_span(self, site_id: str) -> tuple[datetime, datetime] | None:
        """Return from when to when there are imported samples, UTC; None without any."""
        with self._cursor() as cursor:
            return point_reads.imported_span(cursor, site_id)

    def extent(self, table: TableInfo, site_id: str) -> tuple[datetime, datetime] | None:
        """Return the first and the last time of the rows of a site; see `TableStore.extent`."""
        with self._cursor() as cursor:
            return table_reads.extent(cursor, table, site_id)

    def samples_relation(
        self,
        cursor: duckdb.DuckDBPyConnection,
        site_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> str:
        """Return a relation of all samples of a site in a period, hot and archived, as SQL."""
        start = BEGINNING if since is None else naive_utc(since)
        end = END - _DAY if until is None else naive_utc(until)
        return self._source.relation(cursor, site_id, [(start, end)])

    def points(
        self, name: SeriesName, site_id: str, since: datetime, until: datetime, timezone: str
    ) -> Points:
        """Return values of a series that is not measured; see `PointStore.points`."""
        with self._cursor() as cursor:
            return point_reads.points(
                cursor, name, site_id=site_id, since=since, until=until, timezone=timezone
            )

    def latest_sample(self, site_id: str) -> SampleRow | None:
        """Return the newest sample of `site_id`; its `values` hold the usable signals only."""
        with self._cursor() as cursor:
            newest = self._source.newest(cursor, site_id)
            return queries.latest_sample(cursor, newest, site_id)

    def columns(
        self,
        site_id: str,
        keys: Sequence[ColumnKey],
        since: datetime,
        until: datetime,
        resolution: Resolution,
        *,
        texts: Sequence[str] = (),
    ) -> Columns:
        """Return a series as columns; see `SeriesStore.columns`."""
        with self._cursor() as cursor:
            return series_queries.columns(
                cursor,
                self._source,
                site_id,
                keys,
                resolution,
                since=since,
                until=until,
                texts=texts,
            )

    def minute_means(
        self, site_id: str, signals: Sequence[str], since: datetime, until: datetime
    ) -> list[MeasuredPoint]:
        """Return one point per full minute that has samples; see `HistoryStore.minute_means`."""
        with self._cursor() as cursor:
            return series_queries.interval_means(
                cursor,
                self._source,
                site_id,
                signals,
                Resolution.MINUTE,
                since=since,
                until=until,
            )

    def quarter_hour_means(
        self, site_id: str, signals: Sequence[str], since: datetime, until: datetime
    ) -> list[MeasuredPoint]:
        """Return one point per quarter-hour that has samples, as `minute_means` does."""
        with self._cursor() as cursor:
            return series_queries.interval_means(
                cursor,
                self._source,
                site_id,
                signals,
                Resolution.QUARTER_HOUR,
                since=since,
                until=until,
            )

    def forecast_pairs(
        self,
        site_id: str,
        signal: str,
        model: str,
        since: datetime,
        until: datetime,
        *,
        lead_steps: Collection[int] | None = None,
    ) -> ForecastPairs:
        """Return what `model` forecast beside what came; see `HistoryStore.forecast_pairs`."""
        with self._cursor() as cursor:
            return forecast_queries.forecast_pairs(
                cursor,
                self._source,
                site_id,
                signal,
                model,
                since=since,
                until=until,
                lead_steps=lead_steps,
            )

    def counts(self) -> dict[str, int]:
        """Return the number of rows per table."""
        with self._cursor() as cursor:
            found = queries.counts(cursor)
            found["samples"] += queries.archived_samples(cursor)
            return found

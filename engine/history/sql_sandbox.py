"""Read-only SQL for analysts over the documented tables of `engine.history.dictionary`.

A statement is checked (`engine.history.sql_guard`), then runs on a cursor of its own, in a
read-only transaction, on views that exist for that cursor only, with limits on time, memory
and rows. Files, extensions and settings are out of reach of the whole instance.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from engine.history.dictionary import table_info, tables
from engine.history.instance import is_fatal
from engine.history.query_errors import QueryError, QueryStoppedError
from engine.history.read_limit import ReadLimit, limited_reads
from engine.history.rows import utc
from engine.history.sql_guard import CheckedSelect, check_meaning, check_select, sql_error
from engine.history.sql_times import utc_positions
from engine.history.views import SAMPLES, view_sql

ROW_LIMIT = 10_000
"""Most rows of one answer; an export has no such bound."""

LIMIT_SECONDS = 10.0
EXPORT_SECONDS = 300.0
GROWTH_BYTES = 300_000_000
CONCURRENT = 1
BATCH_ROWS = 20_000


class SqlStore(Protocol):
    """What the sandbox needs of a DuckDB store."""

    def lend_cursor(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]: ...

    def samples_relation(
        self,
        cursor: duckdb.DuckDBPyConnection,
        site_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """One column of an answer: its name and DuckDB's name of its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, eq=False)
class SqlResult:
    """The answer to a statement.

    Attributes:
        columns: Its columns; names may repeat.
        table: Its rows, a `pyarrow.Table`.
        truncated: There are more rows than were asked for.
        seconds: How long it took.
    """

    columns: tuple[SqlColumn, ...]
    table: Any
    truncated: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class SqlStream:
    """A running statement.

    Attributes:
        columns: Its columns.
        schema: Their `pyarrow.Schema`.
        batches: Its rows as `pyarrow.RecordBatch`.
        utc: Positions of the columns known to be UTC; empty when that was not asked for.
    """

    columns: tuple[SqlColumn, ...]
    schema: Any
    batches: Iterator[Any]
    utc: frozenset[int] = frozenset()


class SqlSandbox:
    """Runs analysts' statements on a history store; may be used from any thread.

    Args:
        store: The store.
        site_id: The site whose archive is read.
        timezone: IANA name of the site's time zone, for local times.
        concurrent: Statements that may run at once; further ones wait.
        limit_seconds: Longest duration of a statement.
        growth_bytes: Most by which the program's memory may grow meanwhile.
        monotonic: Seconds that never run backwards.
    """

    def __init__(
        self,
        store: SqlStore,
        site_id: str,
        timezone: str,
        *,
        concurrent: int = CONCURRENT,
        limit_seconds: float = LIMIT_SECONDS,
        growth_bytes: int = GROWTH_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._site_id = site_id
        self._timezone = timezone
        self._limit_seconds = limit_seconds
        self._growth_bytes = growth_bytes
        self._monotonic = monotonic
        self._turns = threading.BoundedSemaphore(concurrent)

    def run(self, sql: str, rows: int = ROW_LIMIT, limit: ReadLimit | None = None) -> SqlResult:
        """Return the answer to one SELECT.

        Args:
            sql: The statement.
            rows: Most rows of the answer.
            limit: Time limit and means to cancel; None for the usual limits.

        Raises:
            SqlRefusedError: It is no SELECT that may run, or DuckDB does not understand it.
            QueryStoppedError: It took too long, too much memory, or was cancelled.
            HistoryError: The store cannot answer.
        """
        if not 1 <= rows <= ROW_LIMIT:
            raise QueryError(
                f"{rows} rows are not possible.",
                field="rows",
                value=rows,
                hint=f"Ask for 1 to {ROW_LIMIT}; an export has no such bound.",
            )
        start_s = self._monotonic()
        kept: list[Any] = []
        n = 0
        with self.stream(sql, limit, batch_rows=min(rows + 1, BATCH_ROWS)) as stream:
            for batch in stream.batches:
                kept.append(batch)
                n += batch.num_rows
                if n > rows:
                    break
            table = pa.Table.from_batches(kept, schema=stream.schema)
        return SqlResult(
            columns=stream.columns,
            table=table.slice(0, rows),
            truncated=n > rows,
            seconds=self._monotonic() - start_s,
        )

    @contextmanager
    def stream(
        self,
        sql: str,
        limit: ReadLimit | None = None,
        batch_rows: int = BATCH_ROWS,
        *,
        tell_utc: bool = False,
    ) -> Iterator[SqlStream]:
        """Run one SELECT and give its rows in batches, as long as the block runs.

        Args:
            sql: The statement.
            limit: Limits on time and memory; None for the usual ones.
            batch_rows: Most rows of a batch.
            tell_utc: Find out which columns are times in UTC.

        Raises:
            SqlRefusedError: It is no SELECT that may run, or DuckDB does not understand it.
            QueryStoppedError: It took too long, too much memory, or was cancelled.
            HistoryError: The store cannot answer.
        """
        limit = limit or ReadLimit(
            self._limit_seconds, self._growth_bytes, monotonic=self._monotonic
        )
        if not self._turns.acquire(timeout=self._limit_seconds):
            raise QueryStoppedError(
                "Another statement is running.", hint="Ask again in a few seconds."
            )
        try:
            with limited_reads(limit), self._store.lend_cursor() as cursor:
                checked = check_select(cursor, sql, tables().keys())
                utc = frozenset[int]()
                if tell_utc:
                    utc = utc_positions(cursor, checked, self._timezone)
                self._make_views(cursor, checked)
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                with _complaints(checked.sql, limit):
                    check_meaning(cursor, checked)
                    relation = cursor.sql(checked.sql)
                    names = zip(relation.columns, relation.types, strict=True)
                    columns = tuple(SqlColumn(name, str(kind)) for name, kind in names)
                    reader = relation.to_arrow_reader(batch_rows)
                    batches = _batches(reader, checked.sql, limit)
                    yield SqlStream(columns, reader.schema, batches, utc)
                    del reader, relation
        finally:
            self._turns.release()

    def _make_views(self, cursor: duckdb.DuckDBPyConnection, checked: CheckedSelect) -> None:
        # of this cursor only; made before the transaction, which is read-only
        for name in checked.tables:
            samples = {}
            if name == SAMPLES:
                since, until = (None if t is None else utc(t) for t in checked.samples_period)
                relation = self._store.samples_relation(cursor, self._site_id, since, until)
                samples = {"samples": relation}
            view = view_sql(table_info(name), self._timezone, **samples)
            cursor.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {view}')


def _batches(reader: Any, sql: str, limit: ReadLimit) -> Iterator[Any]:
    with _complaints(sql, limit):
        while True:
            limit.check()
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except pa.ArrowException as error:
                limit.check()
                raise duckdb.Error(str(error)) from error
            yield batch


@contextmanager
def _complaints(sql: str, limit: ReadLimit) -> Iterator[None]:
    """Turn what DuckDB says about the statement into our errors; leave what is about the store."""
    try:
        yield
    except duckdb.InterruptException:
        limit.check()
        raise
    except duckdb.OutOfMemoryException as error:
        raise QueryStoppedError(
            "The answer needs more memory than the history may use.",
            field="memory",
            hint="Ask for a shorter period, or aggregate more.",
        ) from error
    except duckdb.Error as error:
        if is_fatal(error):
            raise
        raise sql_error(error, sql) from error

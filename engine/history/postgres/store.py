"""History in PostgreSQL, where several processes or sites share a database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import psycopg

from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import AlreadyRunningError, HistoryError
from engine.domain.records import (
    SampleRow,
)
from engine.domain.series import MeasuredPoint
from engine.history import queries
from engine.history.backup import BackupReport
from engine.history.checks import check_batch, check_samples_table, check_time
from engine.history.columns import ColumnKey, Columns, Resolution
from engine.history.dictionary import TableInfo
from engine.history.point_reads import Points
from engine.history.postgres import queries as own_queries
from engine.history.postgres import series
from engine.history.postgres.inserts import insert_batch, insert_measured
from engine.history.postgres.schema import migrate
from engine.history.postgres.session import Session, failed, lock_key
from engine.history.postgres.target import PostgresTarget
from engine.history.read_limit import interruptible
from engine.history.retention import Retention
from engine.history.roll_up_columns import GAP_SECONDS
from engine.history.roll_ups import pending_sites
from engine.history.row_reads import RowReads
from engine.history.rows import naive_utc
from engine.history.series_names import SeriesName
from engine.history.series_queries import interval_question, points_of
from engine.history.spans import first_of, floor_to, widened
from engine.history.sql_cursor import SqlCursor
from engine.history.store import Batch, ForecastPairs

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_READ_SECONDS = 30.0
_WRITE_SECONDS = 120.0
_CALL_SECONDS = 2.0
_OUTAGE_SECONDS = 2.0
_SLOT_SECONDS = 35.0
_LOCK_SECONDS = 5.0
_LOCK_STEP_SECONDS = 0.25
_SNAPSHOT = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresHistory(RowReads):
    """A `HistoryStore` in one schema of a PostgreSQL database.

    A lost connection is made again by the next call; writing sends the batch once more, which
    changes nothing when it had been stored.

    Args:
        target: The database.
        site_id: Site that this program writes; no other program may have it meanwhile. None to
            read beside a program, or to write for several sites.
        clock: Times of migrations.
        retention: How long what is kept; samples for `Retention.archive_months`.
        gap_seconds: A sample that is followed later than this stands for no time.
        concurrent_queries: Reads that may run at once; further ones wait.
        sleep: Waits between tries to take the site over from a program that is just ending.
        on_close: Called once everything is closed.

    Raises:
        AlreadyRunningError: Another program writes the site.
        HistoryError: The database cannot be entered, or was made by a newer program.
    """

    def __init__(
        self,
        target: PostgresTarget,
        *,
        site_id: str | None = None,
        clock: Clock | None = None,
        retention: Retention | None = None,
        gap_seconds: float = GAP_SECONDS,
        concurrent_queries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._target = target
        self._site_id = site_id
        self._clock = clock or SystemClock()
        self._retention = retention or Retention()
        self._gap_seconds = gap_seconds
        self._sleep = sleep
        self._on_close = on_close
        self._write_lock = threading.RLock()
        self._slots = threading.BoundedSemaphore(concurrent_queries)
        self._pool_lock = threading.Lock()
        self._idle: list[Session] = []
        self._lent: set[Session] = set()
        self._outage: tuple[float, psycopg.Error] | None = None
        self._closed = False
        self._writer: Session | None = None
        try:
            self._writer = self._writing_session()
            migrate(self._writer, self._clock.now())
        except psycopg.Error as error:
            self._drop_writer()
            raise failed("opened", error, target) from error
        except BaseException:
            self._drop_writer()
            raise

    def __enter__(self) -> PostgresHistory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Writing

    def write(self, batch: Batch) -> None:
        """Store `batch` in one transaction; see `HistoryStore.write`.

        Raises:
            HistoryError: Nothing of the batch is certain to be stored; send it again.
        """
        check_batch(batch)
        self._changing(
            "written", lambda s: insert_batch(s, batch, self._gap_seconds, self._site_id)
        )

    def write_samples(self, site_id: str, samples: Any) -> None:
        """Store many samples of one site in one transaction; see `HistoryStore.write_samples`.

        Raises:
            HistoryError: Nothing is certain to be stored; send it again.
        """
        check_samples_table(samples)
        if samples.num_rows:
            self._changing(
                "written", lambda s: insert_measured(s, site_id, samples, self._gap_seconds)
            )

    def roll_up(self, now: datetime) -> int:
        """Make the roll-ups of minutes that are over; see `SeriesStore.roll_up`.

        Of a shared database those of the own site only.
        """
        check_time(now, "now")
        over = floor_to(naive_utc(now), timedelta(minutes=1))
        stop = time.perf_counter() + _CALL_SECONDS
        made, more = 0, True
        while more and time.perf_counter() < stop:
            more = False
            for site_id in self._own_sites(pending_sites):
                stretch = partial(
                    series.roll_up_stretch,
                    site_id=site_id,
                    over=over,
                    gap_seconds=self._gap_seconds,
                )
                count, waits = self._changing("rolled up", stretch)
                made += count
                more = more or waits
        return made

    def rebuild_roll_ups(self, site_id: str, since: datetime, until: datetime) -> int:
        """Make all roll-ups of a period again; see `SeriesStore.rebuild_roll_ups`."""
        spans = widened([queries.period(since, until)], timedelta(minutes=15))
        made = 0
        while spans:
            stretch, spans = first_of(spans, series.STRETCH)
            rebuild = partial(self._rebuild, site_id=site_id, spans=stretch)
            made += self._changing("rolled up", rebuild)
        return made

    def tidy(self, now: datetime) -> bool:
        """Delete what is kept no longer; see `HistoryStore.tidy`. Nothing is archived."""
        check_time(now, "now")
        stop = time.perf_counter() + _CALL_SECONDS
        for site_id in self._own_sites(_all_sites):
            done = False
            while not done:
                if time.perf_counter() >= stop:
                    return False
                expire = partial(
                    own_queries.drop_expired,
                    site_id=site_id,
                    retention=self._retention,
                    now=now.astimezone(UTC),
                )
                done = self._changing("shortened", expire)
        return True

    def checkpoint(self) -> bool:
        """Return True: the server looks after its checkpoints itself."""
        with self._write_lock:
            if self._closed:
                raise _closed()
        return True

    def backup(self, folder: Path) -> BackupReport:
        """Refuse: the tools of the database server do that.

        Raises:
            HistoryError: Always.
        """
        raise HistoryError(
            "EMS Dash writes no backup of a history in PostgreSQL.",
            field="history.backend",
            value=str(folder),
            hint=f"Use pg_dump --format=custom --schema={self._target.schema} on the database "
            f"({self._target.shown}), and pg_restore to bring it back.",
        )

    def lend_cursor(self) -> NoReturn:
        """Refuse: SQL for analysts is checked and sandboxed for DuckDB only.

        Raises:
            HistoryError: Always.
        """
        raise HistoryError(
            "SQL for analysts is answered by the DuckDB history only, this one is in PostgreSQL.",
            field="history.backend",
            value="postgres",
            hint="Ask the database itself with a user that may only read, for example with psql; "
            "series and exports of tables work as usual.",
        )

    def samples_relation(
        self,
        cursor: Any,
        site_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> NoReturn:
        """Refuse, as `lend_cursor` does.

        Raises:
            HistoryError: Always.
        """
        self.lend_cursor()

    def close(self) -> None:
        """Close every connection and give up the site; running reads are ended."""
        with self._write_lock:
            if self._closed:
                return
            with self._pool_lock:
                self._closed = True
                idle, self._idle = self._idle, []
                for session in self._lent:
                    session.interrupt()
            for session in idle:
                session.close()
            self._drop_writer()
            if self._on_close is not None:
                self._on_close()

    # Connections

    def _changing(self, verb: str, action: Callable[[Session], _T]) -> _T:
        """Run `action` with the writing connection; after a lost one once more with a new one."""
        with self._write_lock:
            if self._closed:
                raise _closed()
            fresh = self._writer is None
            try:
                session = self._writer or self._writing_session()
                self._writer = session
                try:
                    return action(session)
                except psycopg.OperationalError:
                    if fresh or session.usable:
                        raise
                    _log.warning("connection to PostgreSQL lost; connecting again")
                    session.close()
                    self._writer = None
                    self._writer = self._writing_session()
                    return action(self._writer)
            except AlreadyRunningError as error:
                raise HistoryError(error.message, field=error.field, hint=error.hint) from error
            except psycopg.Error as error:
                if self._writer is not None and not self._writer.usable:
                    self._drop_writer()
                raise failed(verb, error, self._target) from error

    def _writing_session(self) -> Session:
        session = Session(self._target, _WRITE_SECONDS)
        try:
            self._take_site(session)
        except BaseException:
            session.close()
            raise
        return session

    def _take_site(self, session: Session) -> None:
        """Make this program the only one that writes its site, until the connection ends."""
        if self._site_id is None:
            return
        key = lock_key(self._target.schema, f"site/{self._site_id}")
        waited = 0.0
        while not session.execute("SELECT pg_try_advisory_lock(?)", [key]).fetchall()[0][0]:
            if waited >= _LOCK_SECONDS:
                raise AlreadyRunningError(
                    f"Another EMS Dash writes the site {self._site_id} into PostgreSQL "
                    f"({self._target.shown}).",
                    field="site.id",
                    value=self._site_id,
                    hint="Stop it, or give this installation another site.id or another "
                    "history.postgres.db_schema.",
                )
            self._sleep(_LOCK_STEP_SECONDS)
            waited += _LOCK_STEP_SECONDS

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Lend a connection for one read that sees one moment."""
        if self._closed:
            raise _closed()
        if not self._slots.acquire(timeout=_SLOT_SECONDS):
            raise HistoryError(
                "Too many questions are asked of the history at once.",
                hint="Ask again in a few seconds.",
            )
        session: Session | None = None
        try:
            session = self._snapshot_session()
            with interruptible(session, psycopg.errors.QueryCanceled):
                yield session
        except psycopg.Error as error:
            if self._closed:
                raise _closed() from error
            raise failed("read", error, self._target) from error
        finally:
            if session is not None:
                self._give_back(session)
            self._slots.release()

    def _snapshot_session(self) -> Session:
        """Return a connection in a read-only transaction; one that was lost is replaced."""
        while True:
            with self._pool_lock:
                if self._closed:
                    raise _closed()
                session = self._idle.pop() if self._idle else None
            if session is None:
                break
            try:
                session.connection.execute(_SNAPSHOT)
            except psycopg.Error:
                session.close()
                continue
            return self._lend(session)
        outage = self._outage
        if outage is not None and time.monotonic() < outage[0]:
            # every page asks: they must not all wait for a server that does not answer
            raise outage[1]
        try:
            session = Session(self._target, _READ_SECONDS)
            session.connection.execute(_SNAPSHOT)
        except psycopg.Error as error:
            self._outage = (time.monotonic() + _OUTAGE_SECONDS, error)
            raise
        self._outage = None
        return self._lend(session)

    def _lend(self, session: Session) -> Session:
        with self._pool_lock:
            self._lent.add(session)
        return session

    def _give_back(self, session: Session) -> None:
        session.roll_back()
        with self._pool_lock:
            self._lent.discard(session)
            if session.usable and not self._closed:
                self._idle.append(session)
                return
        session.close()

    def _own_sites(self, every: Callable[[Session], list[str]]) -> list[str]:
        return [self._site_id] if self._site_id is not None else self._changing("read", every)

    def _rebuild(self, session: Session, site_id: str, spans: Sequence[Any]) -> int:
        with session.transaction("ISOLATION LEVEL REPEATABLE READ"):
            return series.make(session, site_id, spans, again=True, gap_seconds=self._gap_seconds)

    # Reading

    def _rows(self) -> AbstractContextManager[SqlCursor]:
        return self._reading()

    def latest_sample(self, site_id: str) -> SampleRow | None:
        """Return the newest sample of `site_id`; its `values` hold the usable signals only."""
        with self._reading() as session:
            newest = own_queries.newest_sample(session, site_id)
            return queries.latest_sample(session, newest, site_id)

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
        with self._reading() as session:
            return series.columns(
                session,
                site_id,
                keys,
                resolution,
                since=since,
                until=until,
                texts=texts,
                gap_seconds=self._gap_seconds,
            )

    def minute_means(
        self, site_id: str, signals: Sequence[str], since: datetime, until: datetime
    ) -> list[MeasuredPoint]:
        """Return one point per full minute that has samples; see `HistoryStore.minute_means`."""
        return self._interval_means(site_id, signals, since, until, Resolution.MINUTE)

    def quarter_hour_means(
        self, site_id: str, signals: Sequence[str], since: datetime, until: datetime
    ) -> list[MeasuredPoint]:
        """Return one point per quarter-hour that has samples, as `minute_means` does."""
        return self._interval_means(site_id, signals, since, until, Resolution.QUARTER_HOUR)

    def _interval_means(
        self,
        site_id: str,
        signals: Sequence[str],
        since: datetime,
        until: datetime,
        resolution: Resolution,
    ) -> list[MeasuredPoint]:
        keys, start = interval_question(signals, resolution, since)
        return points_of(self.columns(site_id, keys, start, until, resolution))

    def points(
        self, name: SeriesName, site_id: str, since: datetime, until: datetime, timezone: str
    ) -> Points:
        """Return values of a series that is not measured; see `PointStore.points`."""
        with self._reading() as session:
            return own_queries.points(
                session, name, site_id=site_id, since=since, until=until, timezone=timezone
            )

    def imported_span(self, site_id: str) -> tuple[datetime, datetime] | None:
        """Return from when to when there are imported samples, UTC; None without any."""
        with self._reading() as session:
            return own_queries.imported_span(session, site_id)

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
        with self._reading() as session:
            return own_queries.table_rows(
                session,
                table,
                columns,
                site_id=site_id,
                since=since,
                until=until,
                timezone=timezone,
            )

    def extent(self, table: TableInfo, site_id: str) -> tuple[datetime, datetime] | None:
        """Return the first and the last time of the rows of a site; see `TableStore.extent`."""
        with self._reading() as session:
            return own_queries.extent(session, table, site_id)

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
        with self._reading() as session:
            return own_queries.forecast_pairs(
                session,
                site_id,
                signal,
                model,
                since=since,
                until=until,
                lead_steps=lead_steps,
                gap_seconds=self._gap_seconds,
            )

    def counts(self) -> dict[str, int]:
        """Return the number of rows per table, all sites together."""
        with self._reading() as session:
            return queries.counts(session)


def _all_sites(session: Session) -> list[str]:
    rows = session.execute(
        "SELECT site_id FROM h.samples UNION SELECT site_id FROM h.r1m "
        "UNION SELECT site_id FROM h.forecasts ORDER BY site_id"
    ).fetchall()
    return [site for (site,) in rows]


def _closed() -> HistoryError:
    return HistoryError("The history is closed.", hint="Start EMS Dash again.")

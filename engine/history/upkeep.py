"""What the DuckDB store does with what it has: roll-ups, archive, retention, compaction."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb

from engine.domain.errors import HistoryError
from engine.history import queries
from engine.history.archive import adopt, archive_day, drop_expired, due_day
from engine.history.archive_files import remove_day
from engine.history.backup import BackupReport, write_backup
from engine.history.checks import check_time
from engine.history.queries import period
from engine.history.reads import DuckDbReads
from engine.history.retention import Retention
from engine.history.roll_ups import LONGEST_STRETCH, STRETCH, make, pending_sites, roll_up_stretch
from engine.history.rows import naive_utc
from engine.history.spans import Span, first_of, floor_to, widened

_T = TypeVar("_T")
_TURN_SECONDS = 1.0
"""About so long one transaction of roll-ups takes."""

_CALL_SECONDS = 2.0
"""After this time the rest is left for the next call, so that rows do not wait for long."""


class DuckDbUpkeep(DuckDbReads):
    """Keeps a DuckDB history quick and small; every call holds the write lock in short turns."""

    _retention: Retention

    def __init__(self) -> None:
        self._stretch = STRETCH
        self._unneeded_files: list[str] = []
        self._archive_in_use = threading.Lock()

    @abstractmethod
    def _changing(self, verb: str, action: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        """Run `action` with a writing cursor; an error undoes what it did not commit."""

    @abstractmethod
    def _checkpoint_when_due(self) -> None:
        """Checkpoint when the log is long or old."""

    @abstractmethod
    def _report(self, code: str, severity: str, message: str) -> None:
        """Store an event of the store itself and tell whoever listens."""

    @abstractmethod
    def _compact_when_loose(self) -> None:
        """Write the hot file anew when most of it is free."""

    def roll_up(self, now: datetime) -> int:
        """Make the roll-ups of minutes that are over; see `SeriesStore.roll_up`."""
        check_time(now, "now")
        over = floor_to(naive_utc(now), timedelta(minutes=1))
        stop = time.perf_counter() + _CALL_SECONDS
        made, more = 0, True
        while more and time.perf_counter() < stop:
            more = False
            for site_id in self._changing("rolled up", pending_sites):
                began = time.perf_counter()
                make_some = partial(
                    roll_up_stretch,
                    source=self._source,
                    site_id=site_id,
                    over=over,
                    stretch=self._stretch,
                )
                count, waits = self._changing("rolled up", make_some)
                self._adapt_stretch(time.perf_counter() - began)
                self._checkpoint_when_due()
                made += count
                more = more or waits
        return made

    def _adapt_stretch(self, took_s: float) -> None:
        """Take more at once of what is quick: imported days have few samples."""
        if took_s < _TURN_SECONDS / 2:
            self._stretch = min(2 * self._stretch, LONGEST_STRETCH)
        elif took_s > _TURN_SECONDS:
            self._stretch = max(self._stretch / 2, STRETCH)

    def rebuild_roll_ups(self, site_id: str, since: datetime, until: datetime) -> int:
        """Make all roll-ups of a period again; see `SeriesStore.rebuild_roll_ups`."""
        start, end = period(since, until)
        step = timedelta(minutes=15)
        spans = widened([(start, end)], step)
        made = 0
        while spans:
            stretch, spans = first_of(spans, STRETCH)
            rebuild = partial(self._rebuild, site_id=site_id, spans=stretch)
            made += self._changing("rolled up", rebuild)
        return made

    def tidy(self, now: datetime) -> bool:
        """Archive and delete what is due; see `HistoryStore.tidy`."""
        check_time(now, "now")
        utc_now = now.astimezone(UTC)
        self._remove_unneeded()
        hot_from = self._retention.hot_from(utc_now)
        stop = time.perf_counter() + _CALL_SECONDS
        while time.perf_counter() < stop:
            due = self._changing("archived", partial(due_day, hot_from=hot_from))
            if due is None:
                break
            site_id, day = due
            move = partial(archive_day, source=self._source, site_id=site_id, day=day)
            self._unneeded_files += self._changing("archived", move)
        else:
            return False
        expire = partial(drop_expired, source=self._source, retention=self._retention, now=utc_now)
        self._unneeded_files += self._changing("shortened", expire)
        self._compact_when_loose()
        return True

    def backup(self, folder: Path) -> BackupReport:
        """Write a backup to `folder` while everything goes on; see `write_backup`.

        The hot file is checkpointed and its copy linked under another name; only that holds
        the write lock. No archive file is removed meanwhile.

        Raises:
            HistoryError: The disk is too full for a checkpoint, or `folder` cannot be used.
        """
        with self._archive_in_use:
            now, link, cold_files, samples = self._changing("backed up", self._frozen)
            try:
                return write_backup(
                    folder, link, self._source.cold, cold_files, samples=samples, now=now
                )
            finally:
                link.unlink(missing_ok=True)

    def _frozen(self, cursor: duckdb.DuckDBPyConnection) -> tuple[datetime, Path, list[str], int]:
        """Return time, a copy of the hot file and the archive files it refers to, and samples."""
        now, link = self._linked_snapshot()
        files = cursor.execute("SELECT file FROM h.archived_days ORDER BY site_id, day").fetchall()
        samples = queries.counts(cursor)["samples"] + queries.archived_samples(cursor)
        return now, link, [file for (file,) in files], samples

    @abstractmethod
    def _linked_snapshot(self) -> tuple[datetime, Path]:
        """Checkpoint, and return the time and a second name of the snapshot, which stays as it is.

        Raises:
            HistoryError: The checkpoint was refused or failed.
        """

    def _remove_unneeded(self) -> None:
        if self._archive_in_use.acquire(blocking=False):
            try:
                for file in self._unneeded_files:
                    remove_day(self._source.cold, file)
                self._unneeded_files.clear()
            finally:
                self._archive_in_use.release()

    def _adopt_archive(self) -> None:
        """Take in archive files the hot file does not know; a failure is reported."""
        try:
            taken = self._changing("joined with its archive", partial(adopt, source=self._source))
        except HistoryError as error:
            self._report("history_archive_unreadable", "alarm", str(error))
            return
        if taken:
            self._report(
                "history_archive_adopted",
                "warning",
                f"{len(taken)} archived days that the history file did not know were taken in, "
                f"{taken[0]} to {taken[-1]}.",
            )

    def _rebuild(
        self, cursor: duckdb.DuckDBPyConnection, site_id: str, spans: Sequence[Span]
    ) -> int:
        cursor.execute("BEGIN")
        made = make(cursor, self._source, site_id, spans, again=True)
        cursor.execute("COMMIT")
        return made

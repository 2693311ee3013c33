"""History in one DuckDB file, owned by one process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import duckdb

from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import EmsError, HistoryError
from engine.domain.records import EventRow
from engine.history.checks import check_batch, check_samples_table
from engine.history.compaction import compact_copy, is_loose
from engine.history.file_lock import FileLock
from engine.history.files import free_disk_bytes, rename_synced, size_of
from engine.history.inserts import insert_batch, insert_measured
from engine.history.instance import InstanceSettings, cold_path, is_fatal, wal_path
from engine.history.read_limit import interruptible
from engine.history.recovery import RecoveryLadder, snapshot_path
from engine.history.restore import finish_restore
from engine.history.retention import Retention
from engine.history.roll_up_columns import GAP_SECONDS
from engine.history.sample_source import SampleSource
from engine.history.schema import CATALOG, migrate
from engine.history.snapshot import Snapshotter
from engine.history.store import INSTALLATION_SITE_ID, Batch
from engine.history.thinning import thin_forecasts
from engine.history.upkeep import DuckDbUpkeep

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_FREE_RESERVE_BYTES = 200_000_000
_COPIED_BYTES_PER_DAY = 2e9
_RETRY_SECONDS = 60.0
_READERS_GONE_SECONDS = 30.0
_THIN_SECONDS = 86_400.0
_LEVEL = {"info": logging.INFO, "warning": logging.WARNING, "alarm": logging.ERROR}


class DuckDbHistory(DuckDbUpkeep):
    """A `HistoryStore` in the DuckDB file `path`.

    Beside the file live its write-ahead log (``.wal``), the snapshot of the last
    checkpoint (``.bak``), the lock (``.lock``) and, after a repair, what was set aside.

    Args:
        path: The database file; it and its folder are created when missing.
        clock: Times of events and of the hourly checkpoint.
        memory_limit_mb: Memory DuckDB may use.
        threads: Threads DuckDB may use.
        concurrent_queries: Reads that may run at once; further ones wait. Writing never waits
            for them.
        checkpoint_wal_bytes: A WAL of this size triggers a checkpoint.
        checkpoint_seconds: A checkpoint is due at the latest after this time; later for a file
            of more than 80 MB, so that its copies do not wear out the disk.
        free_bytes: Free disk space of a folder.
        retention: How long what is kept.
        gap_seconds: A sample that is followed later than this stands for no time.
        on_event: Told at once of repairs and refused checkpoints; they are stored as well,
            under `INSTALLATION_SITE_ID`.

    Raises:
        AlreadyRunningError: Another process has the file open.
        HistoryError: The file cannot be opened, or was written by a newer program.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock | None = None,
        memory_limit_mb: int = 512,
        threads: int = 2,
        concurrent_queries: int = 4,
        checkpoint_wal_bytes: int = 8 << 20,
        checkpoint_seconds: float = 3600.0,
        free_bytes: Callable[[Path], int] = free_disk_bytes,
        retention: Retention | None = None,
        gap_seconds: float = GAP_SECONDS,
        on_event: Callable[[EventRow], None] | None = None,
    ) -> None:
        super().__init__()
        self._path = path
        self._clock = clock or SystemClock()
        self._checkpoint_wal_bytes = checkpoint_wal_bytes
        self._checkpoint_seconds = checkpoint_seconds
        self._free_bytes = free_bytes
        self._on_event = on_event
        self._settings = InstanceSettings(memory_limit_mb, threads)
        self._ladder = RecoveryLadder(path, self._settings, self._clock, self._tell)
        self._source = SampleSource(cold_path(path), gap_seconds)
        self._retention = retention or Retention()
        self._query_slots = threading.BoundedSemaphore(concurrent_queries)
        self._write_lock = threading.RLock()
        self._readers = threading.Condition()
        self._reading: set[duckdb.DuckDBPyConnection] = set()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._snapshotter: Snapshotter | None = None
        self._pending_events: list[EventRow] = []
        self._broken = False
        self._closed = False
        self._guard_said_no = False
        self._last_checkpoint = self._clock.monotonic()
        self._last_snapshot_try = self._last_checkpoint
        self._checkpoint_not_before = self._last_checkpoint
        self._thin_not_before = self._last_checkpoint
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryError(
                f"The data folder {path.parent} cannot be created: {error.strerror}.",
                field="data",
                value=str(path.parent),
                hint="Choose a folder that the user who runs EMS Dash may write to.",
            ) from error
        self._lock = FileLock(path)
        try:
            self._finish_restore()
            self._open()
        except BaseException:
            self._disconnect()
            self._lock.release()
            raise

    def __enter__(self) -> DuckDbHistory:
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

        After a failed checkpoint DuckDB answers nothing until the file is reopened; that
        happens here, and the batch is sent once more.

        Raises:
            HistoryError: Nothing of the batch is certain to be stored; send it again.
        """
        check_batch(batch)
        self._commit(lambda cursor: insert_batch(cursor, batch, self._source))

    def write_samples(self, site_id: str, samples: Any) -> None:
        """Store many samples of one site in one transaction; see `HistoryStore.write_samples`.

        Raises:
            HistoryError: Nothing is certain to be stored; send it again.
        """
        check_samples_table(samples)
        if samples.num_rows:
            self._commit(lambda cursor: insert_measured(cursor, site_id, samples, self._source))

    def _commit(self, insert: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
        with self._write_lock:
            self._ensure_usable()
            try:
                self._inserted(insert)
            except duckdb.Error as error:
                if not is_fatal(error):
                    raise _failed("written", error) from error
                self._reopen(error)
                try:
                    self._inserted(insert)
                except duckdb.Error as second:
                    self._broken = is_fatal(second)
                    raise _failed("written", second) from second
            self._after_commit()

    def _changing(self, verb: str, action: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        """Run `action` with a writing cursor; an error undoes what it did not commit."""
        with self._write_lock:
            self._ensure_usable()
            cursor = self._writing_cursor()
            try:
                return action(cursor)
            except duckdb.Error as error:
                self._broken = self._broken or is_fatal(error)
                raise _failed(verb, error) from error
            finally:
                cursor.close()

    def checkpoint(self) -> bool:
        """Checkpoint the file and copy it to the snapshot; see `HistoryStore.checkpoint`.

        Returns:
            False when the disk has less free space than twice the file and 200 MB.

        Raises:
            HistoryError: The checkpoint failed; what was written is safe in the WAL.
        """
        with self._write_lock:
            self._ensure_usable()
            try:
                return self._checkpoint()
            except duckdb.Error as error:
                if is_fatal(error):
                    self._reopen(error)
                raise _failed("checkpointed", error) from error

    def close(self) -> None:
        """Close the file and give up the lock, without a checkpoint; running reads are ended."""
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
            self._disconnect()
            self._lock.release()

    # Opening and closing

    def _finish_restore(self) -> None:
        try:
            restored = finish_restore(self._path)
        except (OSError, ValueError, KeyError) as error:
            raise HistoryError(
                f"A restore that was interrupted cannot be finished: {error}.",
                field="data",
                value=str(self._path.parent),
                hint="Check the permissions of the data folder and start again.",
            ) from error
        if restored:
            self._report("history_restored", "info", "The history was restored from a backup.")

    def _open(self) -> None:
        connection = self._ladder.open()
        try:
            changed = migrate(connection, self._clock.now())
        except duckdb.Error as error:
            connection.close()
            raise _failed("brought to the newest schema", error) from error
        except BaseException:
            connection.close()
            raise
        self._snapshotter = Snapshotter(self._path)
        with self._readers:
            self._connection = connection
        self._broken = False
        if changed:
            # data never shares a WAL with DDL, whose replay has had bugs
            self._try_checkpoint()
        self._refresh_snapshot()
        self._adopt_archive()
        self._store_pending_events()

    def _disconnect(self) -> None:
        with self._readers:
            connection, self._connection = self._connection, None
            for cursor in self._reading:
                cursor.interrupt()
            gone = self._readers.wait_for(lambda: not self._reading, _READERS_GONE_SECONDS)
        if not gone:
            _log.error("a history query did not end within %.0f s", _READERS_GONE_SECONDS)
        if connection is not None:
            connection.close()
        if self._snapshotter is not None:
            self._snapshotter.close()
            self._snapshotter = None

    def _ensure_usable(self) -> None:
        if self._closed:
            raise _closed()
        if self._broken or self._connection is None:
            self._reopen(None)

    def _reopen(self, reason: Exception | None) -> None:
        """Close the file and open it again through the recovery ladder; the lock stays held."""
        self._broken = True
        self._disconnect()
        self._open()
        # told only now: while the disk is broken, every retry comes through here
        why = f" Reason: {_first_line(reason)}" if reason is not None else ""
        self._report("history_reopened", "warning", f"The history file was reopened.{why}")

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a cursor for one read; errors of DuckDB become HistoryError."""
        with self._query_slots:
            with self._readers:
                if self._closed:
                    raise _closed()
                if self._connection is None:
                    raise HistoryError(
                        "The history is being reopened.", hint="Ask again in a few seconds."
                    )
                cursor = self._connection.cursor()
                self._reading.add(cursor)
            try:
                with interruptible(cursor):
                    yield cursor
            except duckdb.Error as error:
                # the next write reopens the file; a read must not wait for that
                self._broken = self._broken or is_fatal(error)
                raise _failed("read", error) from error
            finally:
                with self._readers:
                    cursor.close()
                    self._reading.discard(cursor)
                    self._readers.notify_all()

    # Committing and checkpoints

    def _writing_cursor(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise _closed()
        return self._connection.cursor()

    def _inserted(self, insert: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
        # a cursor of its own: closing it rolls back whatever an error left open
        cursor = self._writing_cursor()
        try:
            insert(cursor)
        finally:
            cursor.close()

    def _after_commit(self) -> None:
        """Do what is due beside the batch; nothing here may put its commit into doubt."""
        self._store_pending_events()
        self._thin_when_due()
        self._checkpoint_when_due()

    def _checkpoint_when_due(self) -> None:
        """Checkpoint when the log is long or old; a failure is reported, commits stand."""
        try:
            wal_bytes = size_of(wal_path(self._path))
            elapsed = self._clock.monotonic() - self._last_checkpoint
            due = wal_bytes >= self._checkpoint_wal_bytes or elapsed >= self._longest_wait_s()
            if due and self._clock.monotonic() >= self._checkpoint_not_before:
                self._try_checkpoint()
            elif self._clock.monotonic() - self._last_snapshot_try >= _RETRY_SECONDS:
                self._refresh_snapshot()
        except OSError as error:
            self._report("history_checkpoint_failed", "alarm", str(error))

    def _longest_wait_s(self) -> float:
        """Return the time between checkpoints: longer for a large file, which each copies."""
        of_size_s = size_of(self._path) / _COPIED_BYTES_PER_DAY * 86_400.0
        return max(self._checkpoint_seconds, of_size_s)

    def _thin_when_due(self) -> None:
        """Give up old forecasts once a day; a failure is reported, the commit itself stands."""
        if self._broken or self._clock.monotonic() < self._thin_not_before:
            return
        self._thin_not_before = self._clock.monotonic() + _THIN_SECONDS
        cursor = self._writing_cursor()
        try:
            thin_forecasts(cursor, self._clock.now())
        except duckdb.Error as error:
            self._report("history_thinning_failed", "warning", _first_line(error))
            self._broken = self._broken or is_fatal(error)
        finally:
            cursor.close()

    def _try_checkpoint(self) -> None:
        """Checkpoint after a commit: a failure is reported, the commit itself stands."""
        try:
            self._checkpoint()
        except duckdb.Error as error:
            self._checkpoint_not_before = self._clock.monotonic() + _RETRY_SECONDS
            self._report("history_checkpoint_failed", "alarm", _first_line(error))
            self._broken = self._broken or is_fatal(error)

    def _checkpoint(self) -> bool:
        if self._snapshotter is None:
            raise _closed()
        if size_of(wal_path(self._path)) == 0 and self._snapshotter.is_current():
            self._last_checkpoint = self._clock.monotonic()
            return True
        if not self._enough_disk():
            return False
        cursor = self._writing_cursor()
        try:
            cursor.execute(f"CHECKPOINT {CATALOG}")
        finally:
            cursor.close()
        self._last_checkpoint = self._clock.monotonic()
        self._refresh_snapshot()
        return True

    def _linked_snapshot(self) -> tuple[datetime, Path]:
        with self._write_lock:
            if not self.checkpoint() or not self._snapshotter or not self._snapshotter.is_current():
                raise HistoryError(
                    "The history cannot be backed up: its disk is too full for a checkpoint.",
                    field="data",
                    value=str(self._path.parent),
                    hint="Free some space on the disk of the data folder.",
                )
            link = self._path.with_name(self._path.name + ".backup")
            link.unlink(missing_ok=True)
            # the snapshot is replaced by renaming, never written to: a second name keeps it
            link.hardlink_to(snapshot_path(self._path))
            return self._clock.now(), link

    def _compact_when_loose(self) -> None:
        with self._write_lock:
            if not self._changing("measured", is_loose) or not self.checkpoint():
                return
            before = size_of(self._path)
            self._disconnect()
            try:
                rename_synced(compact_copy(self._path, self._settings), self._path)
            except (duckdb.Error, EmsError, OSError) as error:
                self._report("history_compaction_failed", "warning", _first_line(error))
            else:
                wal_path(self._path).unlink(missing_ok=True)
                self._report(
                    "history_compacted",
                    "info",
                    f"The history file was written anew: {before // 1_000_000} MB became "
                    f"{size_of(self._path) // 1_000_000} MB.",
                )
            finally:
                self._open()

    def _enough_disk(self) -> bool:
        needed = 2 * size_of(self._path) + _FREE_RESERVE_BYTES
        free = self._free_bytes(self._path.parent)
        if free > needed:
            self._guard_said_no = False
            return True
        if not self._guard_said_no:
            self._guard_said_no = True
            self._report(
                "history_disk_low",
                "alarm",
                f"The disk of the history has {free // 1_000_000} MB free and needs "
                f"{needed // 1_000_000} MB; its log is not folded in until space is freed.",
            )
        return False

    def _refresh_snapshot(self) -> None:
        """Copy the file unless that was done after its newest checkpoint."""
        self._last_snapshot_try = self._clock.monotonic()
        try:
            if (
                self._snapshotter is not None
                and not self._snapshotter.is_current()
                and self._enough_disk()
            ):
                self._snapshotter.take()
        except OSError as error:
            self._report(
                "history_snapshot_failed",
                "warning",
                f"The snapshot of the history could not be written: {error}",
            )

    # Events of the store itself

    def _report(self, code: str, severity: str, message: str) -> None:
        self._tell(EventRow(self._clock.now(), INSTALLATION_SITE_ID, severity, code, message))

    def _tell(self, event: EventRow) -> None:
        _log.log(_LEVEL[event.severity], "%s: %s", event.code, event.message)
        self._pending_events.append(event)
        if self._on_event is not None:
            self._on_event(event)

    def _store_pending_events(self) -> None:
        """Store what the store has to say; on failure it is kept for the next commit."""
        if not self._pending_events or self._broken:
            return
        waiting = tuple(self._pending_events)
        try:
            events = Batch(events=waiting)
            self._inserted(lambda cursor: insert_batch(cursor, events, self._source))
        except (duckdb.Error, EmsError) as error:
            _log.warning("%d history events wait: %s", len(waiting), _first_line(error))
            return
        del self._pending_events[: len(waiting)]


def _failed(verb: str, error: duckdb.Error) -> HistoryError:
    return HistoryError(
        f"The history could not be {verb}: {_first_line(error)}",
        hint="Check the free space and the health of the disk that holds the data folder.",
    )


def _closed() -> HistoryError:
    return HistoryError("The history is closed.", hint="Start EMS Dash again.")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

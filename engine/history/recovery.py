"""Opening the history file whatever a power cut left behind.

The rungs, first that holds wins: (1) the file and its write-ahead log (WAL), a torn
entry cut off; (2) the file alone, when its WAL is older than itself; (3) the snapshot
of the last checkpoint and the WAL; (4) the file alone; (5) the snapshot alone; (6) a
new empty file. Rungs 1 to 3 keep everything that was acknowledged before a power cut.
Damaged files are moved aside, never deleted, and every step is reported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from engine.domain.clock import Clock
from engine.domain.errors import HistoryError
from engine.domain.records import EventRow
from engine.history.file_lock import already_running
from engine.history.files import (
    aside_name,
    copy_synced,
    fsync_path,
    move_aside,
    rename_synced,
    size_of,
)
from engine.history.instance import (
    InstanceSettings,
    open_instance,
    verify,
    wal_path,
    wal_was_read,
)
from engine.history.schema import CATALOG, migrate
from engine.history.store import INSTALLATION_SITE_ID

_CUT_POSITION = re.compile(r"Corrupt WAL file: entry at byte position (\d+)")
_ITERATIONS = re.compile(r"File checkpoint iteration: (\d+), WAL checkpoint iteration: (\d+)")
_LOCKED = re.compile(r"Could not set lock on file.*?(?:\(PID (\d+)\)|$)", re.DOTALL)
_DAMAGE = (
    "Corrupt database file",
    "Corrupt WAL file",
    "not a valid DuckDB database",
    "Could not read enough bytes",
    "Failure while replaying",
    "does not match the database file",
)
_NOT_DAMAGE = ("No space left", "Could not write file", "Permission denied", "Too many open files")


class _DamagedError(Exception):
    """The file and WAL as they are cannot be opened."""

    @property
    def wal_is_older(self) -> bool:
        found = _ITERATIONS.search(str(self))
        return found is not None and int(found[2]) < int(found[1])


def snapshot_path(path: Path) -> Path:
    """Return the copy of `path` that is made after every checkpoint."""
    return path.with_name(path.name + ".bak")


class RecoveryLadder:
    """Opens one history file.

    Args:
        path: The history file; its folder exists and the caller holds the file's lock.
        settings: Resources for DuckDB.
        clock: Source of times in names and events.
        report: Called with an event for every step that was needed.
    """

    def __init__(
        self,
        path: Path,
        settings: InstanceSettings,
        clock: Clock,
        report: Callable[[EventRow], None],
    ) -> None:
        self._path = path
        self._wal = wal_path(path)
        self._snapshot = snapshot_path(path)
        self._settings = settings
        self._clock = clock
        self._report = report

    def open(self) -> duckdb.DuckDBPyConnection:
        """Return a connection with the file attached; the file is created when it is new.

        Raises:
            AlreadyRunningError: Another program has the file open.
            HistoryError: The file cannot be opened for a reason that no repair can mend.
        """
        try:
            return self._open()
        except OSError as error:
            raise HistoryError(
                f"The history file {self._path} cannot be opened: {error.strerror or error}.",
                field="data",
                value=str(self._path),
                hint="Check the free space and the permissions of the data folder.",
            ) from error

    def _open(self) -> duckdb.DuckDBPyConnection:
        if not self._path.exists():
            if not size_of(self._wal) and not self._snapshot.exists():
                self._create()
                return self._attach()
            return self._restore("The file is missing.")
        try:
            return self._attach()
        except _DamagedError as error:
            if not error.wal_is_older:
                return self._restore(str(error))
        kept = self._set_wal_aside()
        try:
            connection = self._attach()
        except _DamagedError as error:
            return self._restore(str(error))
        self._tell(
            "history_wal_outdated",
            "warning",
            f"The history's write-ahead log was older than the file and is kept as {kept}.",
        )
        return connection

    def _restore(self, reason: str) -> duckdb.DuckDBPyConnection:
        wal_bytes = size_of(self._wal)
        original = move_aside(self._path, self._clock.now()) if self._path.exists() else None
        kept = f" The damaged file is kept as {original.name}." if original else ""
        if self._snapshot.exists():
            connection = self._try_snapshot(original)
            if connection is not None:
                self._tell(
                    "history_restored_from_snapshot",
                    "warning",
                    f"The history was restored from its last snapshot and {wal_bytes} bytes "
                    f"of write-ahead log. Reason: {reason}{kept}",
                )
                return connection
        return self._restore_without_wal(reason, original)

    def _restore_without_wal(self, reason: str, original: Path | None) -> duckdb.DuckDBPyConnection:
        had_wal = size_of(self._wal) > 0
        log = self._set_wal_aside() if had_wal else "no log"
        if original is not None and had_wal:
            rename_synced(original, self._path)
            try:
                connection = self._attach()
            except _DamagedError:
                original = move_aside(self._path, self._clock.now())
            else:
                self._tell(
                    "history_log_lost",
                    "alarm",
                    "The history was opened without its write-ahead log; what was stored since "
                    f"the last checkpoint is only in {log}. Reason: {reason}",
                )
                return connection
        if self._snapshot.exists():
            age = self._snapshot.stat().st_mtime
            connection_or_none = self._try_snapshot(original)
            if connection_or_none is not None:
                self._tell(
                    "history_partly_lost",
                    "alarm",
                    f"The history was restored from the snapshot of {_time_text(age)}; what came "
                    f"after it is only in the files set aside ({log}). Reason: {reason}",
                )
                return connection_or_none
            move_aside(self._snapshot, self._clock.now())
        self._create()
        self._tell(
            "history_restarted_empty",
            "alarm",
            "The history could not be recovered and starts empty; the damaged files are kept "
            f"beside {self._path.name}. Reason: {reason}",
        )
        return self._attach()

    def _try_snapshot(self, original: Path | None) -> duckdb.DuckDBPyConnection | None:
        """Open a copy of the snapshot in place of the file; None when it is damaged too."""
        try:
            copy_synced(self._snapshot, self._path)
        except OSError:
            if original is not None:
                rename_synced(original, self._path)
            raise
        try:
            return self._attach()
        except _DamagedError:
            self._path.unlink()
            return None

    def _attach(self) -> duckdb.DuckDBPyConnection:
        """Attach the file and its WAL, cutting off a torn end of the WAL.

        Raises:
            _DamagedError: They cannot be opened together.
        """
        cut = False
        while True:
            wal_bytes = size_of(self._wal)
            try:
                return self._attach_once(wal_bytes, report_unread=not cut)
            except duckdb.Error as error:
                self._raise_unless_damaged(error)
                found = _CUT_POSITION.search(str(error))
                if found is None or int(found[1]) >= wal_bytes:
                    raise _DamagedError(str(error)) from error
                self._cut_wal(int(found[1]), wal_bytes)
                cut = True

    def _attach_once(self, wal_bytes: int, *, report_unread: bool) -> duckdb.DuckDBPyConnection:
        connection = open_instance(self._path, self._settings)
        try:
            verify(connection)
            # DuckDB removes a WAL that a checkpoint had folded in already: nothing to keep then
            unread = size_of(self._wal) > 0 and not wal_was_read(connection)
            if wal_bytes and report_unread and unread:
                self._keep_unread_wal(wal_bytes)
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep_unread_wal(self, wal_bytes: int) -> None:
        # DuckDB takes a WAL without a readable first entry for an empty one and overwrites it
        kept = aside_name(self._wal, self._clock.now(), "unread")
        copy_synced(self._wal, kept)
        self._tell(
            "history_wal_unreadable",
            "warning",
            f"The history's write-ahead log of {wal_bytes} bytes holds no complete entry; "
            f"it is kept as {kept.name}.",
        )

    def _cut_wal(self, position: int, wal_bytes: int) -> None:
        kept = aside_name(self._wal, self._clock.now(), "tail")
        with self._wal.open("r+b") as wal:
            wal.seek(position)
            kept.write_bytes(wal.read())
            fsync_path(kept)
            wal.truncate(position)
            os.fsync(wal.fileno())
        self._tell(
            "history_wal_truncated",
            "warning",
            f"The history's write-ahead log was damaged at byte {position}; the "
            f"{wal_bytes - position} bytes from there on were cut off and kept as {kept.name}.",
        )

    def _set_wal_aside(self) -> str:
        now = self._clock.now()
        kept = move_aside(self._wal, now).name
        for suffix in (".checkpoint", ".recovery"):
            part = self._wal.with_name(self._wal.name + suffix)
            if part.exists():
                move_aside(part, now)
        return kept

    def _create(self) -> None:
        """Create the file under a temporary name, so that a torn creation is never opened."""
        new = self._path.with_name(self._path.name + ".new")
        for leftover in (new, wal_path(new)):
            leftover.unlink(missing_ok=True)
        connection: duckdb.DuckDBPyConnection | None = None
        try:
            connection = open_instance(new, self._settings, create=True)
            migrate(connection, self._clock.now())
            connection.execute(f"CHECKPOINT {CATALOG}")
        except duckdb.Error as error:
            raise self._unopenable(error) from error
        finally:
            if connection is not None:
                connection.close()
        fsync_path(new)
        rename_synced(new, self._path)

    def _raise_unless_damaged(self, error: duckdb.Error) -> None:
        text = str(error)
        locked = _LOCKED.search(text)
        if locked is not None:
            owner = f"process {locked[1]}" if locked[1] else "another program"
            raise already_running(self._path, owner) from error
        damaged = isinstance(
            error, duckdb.SerializationException | duckdb.InternalException
        ) or any(words in text for words in _DAMAGE)
        if not damaged or any(words in text for words in _NOT_DAMAGE):
            raise self._unopenable(error) from error

    def _unopenable(self, error: duckdb.Error) -> HistoryError:
        return HistoryError(
            f"The history file {self._path} cannot be opened: {error}",
            field="data",
            value=str(self._path),
            hint="Check the free space and the permissions of the data folder; "
            "the file was not changed.",
        )

    def _tell(self, code: str, severity: str, message: str) -> None:
        self._report(EventRow(self._clock.now(), INSTALLATION_SITE_ID, severity, code, message))


def _time_text(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""Importing files of history while the program runs: one at a time, in a thread of its own.

The store takes what is imported between the program's own rows; control neither waits for an
import nor notices one. The file belongs to the desk and is removed when its import has ended.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from engine.audit.trail import NO_TRAIL, Trail, noting
from engine.config.schema import Config
from engine.domain.errors import EmsError, HistoryError
from engine.domain.site_context import SiteThread
from engine.history.import_file import ImportRefusedError, Problem, RawTable, read_head
from engine.history.import_mapping import ColumnMap, guess_map
from engine.history.import_write import ImportStore
from engine.history.query_errors import BusyError, QueryError
from engine.runtime.history_import import (
    ImportAsked,
    ImportProgress,
    ImportReport,
    read_import,
    write_import,
)
from engine.runtime.upload_name import harmless_name

_logger = logging.getLogger(__name__)

MOST_UPLOAD_BYTES = 64_000_000
"""Largest file that is taken while the program runs; a year of minutes has about 30 MB."""

REMEMBERED = 20
"""Imports whose outcome is still told."""

_WAITING_FILES = 10
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What the beginning of a file looks like.

    Attributes:
        table: Its first rows.
        mapping: What its columns seem to be; empty when that cannot be told.
        doubt: Why it cannot be told, or None.
    """

    table: RawTable
    mapping: tuple[ColumnMap, ...]
    doubt: str | None


@dataclass(frozen=True, slots=True)
class ImportState:
    """How an import is doing.

    Attributes:
        number: Which one, counted since the start of the program.
        file: Name of the file.
        started_at: When it began, UTC.
        dry_run: It only checks.
        state: ``"running"``, ``"done"``, ``"refused"`` (the file is wrong, nothing was written),
            ``"failed"`` or ``"cancelled"`` (what was written stays; importing again completes it).
        progress: How far it is.
        report: What it found and did, once done.
        error: Why it was refused or failed, with the remedy.
        problems: First problems of a refused file.
        problem_count: All of its problems.
    """

    number: int
    file: str
    started_at: datetime
    dry_run: bool
    state: str
    progress: ImportProgress
    report: ImportReport | None = None
    error: str | None = None
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0


class _EndedError(Exception):
    """The import was cancelled."""


class ImportDesk:
    """Takes files and imports them; may be used from any thread.

    Args:
        store: The history.
        config: Site and tariff.
        folder: Where files wait; made when needed, emptied at the start.
        now: The engine's time, UTC.
        tell: Told of every import that wrote something: severity, code, message.
        trail: Takes down imports that write: who began them, and what came of it.
    """

    def __init__(
        self,
        store: ImportStore,
        config: Config,
        folder: Path,
        now: Callable[[], datetime],
        tell: Callable[[str, str, str], None] = lambda severity, code, message: None,
        *,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._trail = trail
        self._store = store
        self._config = config
        self._folder = folder
        self._now = now
        self._tell = tell
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._states: dict[int, ImportState] = {}
        self._number = 0
        # what a program that was killed has left
        shutil.rmtree(folder, ignore_errors=True)

    def keep(self, name: str, chunks: Iterable[bytes]) -> Path:
        """Store an uploaded file until it is imported, and return where.

        The oldest that nobody imported is given up when there are too many.

        Args:
            name: Its name, of which only harmless characters of the last part are used.
            chunks: Its bytes.

        Raises:
            QueryError: It is too large or has no name.
            HistoryError: It cannot be stored.
        """
        safe = harmless_name(name)
        if not safe:
            raise QueryError("The file has no name.", field="file", value=name[:100])
        # a folder each: the name is that of the source of what is imported
        path = self._folder / secrets.token_hex(8) / safe
        size = 0
        try:
            path.parent.mkdir(parents=True)
            with path.open("wb") as out:
                for chunk in chunks:
                    size += len(chunk)
                    if size > MOST_UPLOAD_BYTES:
                        break
                    out.write(chunk)
        except OSError as error:
            self._remove(path)
            raise HistoryError(
                f"The file {safe} cannot be kept: {error.strerror or error}.",
                field="file",
                value=safe,
                hint="Free some space on the disk of the data folder.",
            ) from error
        if size > MOST_UPLOAD_BYTES:
            self._remove(path)
            raise QueryError(
                f"The file {safe} has more than {MOST_UPLOAD_BYTES // 1_000_000} MB.",
                field="file",
                value=safe,
                hint="Split it, or stop the program and use 'python -m ems_dash import'.",
            )
        self._give_up_oldest()
        return path

    def kept(self, token: str) -> Path:
        """Return the file that waits under `token`, the name of its folder.

        Raises:
            QueryError: There is none any more.
        """
        if re.fullmatch(r"[0-9a-f]{16}", token):
            for path in (self._folder / token).glob("*"):
                return path
        raise QueryError(
            "The file is not here any more.", field="file", hint="Choose the file again."
        )

    def preview(self, asked: ImportAsked) -> ImportPreview:
        """Return the first rows of a file and what its columns seem to be.

        Raises:
            QueryError: It cannot be read.
        """
        table = read_head(
            asked.path, separator=asked.separator, decimal=asked.decimal, encoding=asked.encoding
        )
        try:
            return ImportPreview(table, guess_map(table.columns), None)
        except QueryError as error:
            return ImportPreview(table, (), error.message)

    def start(self, asked: ImportAsked, *, dry_run: bool = False) -> ImportState:
        """Begin to import a file and return at once.

        After a dry run, a refusal or a failure the file stays, so that it can be tried again.

        Raises:
            BusyError: Another import runs.
        """
        if dry_run:
            return self._start(asked, dry_run=True)
        with noting(self._trail, "history.import", asked.path.name, after="started"):
            return self._start(asked, dry_run=False)

    def _start(self, asked: ImportAsked, *, dry_run: bool) -> ImportState:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise BusyError("A file is being imported already.", hint="Wait for it to end.")
            self._number += 1
            state = ImportState(
                self._number, asked.path.name, self._now(), dry_run, "running",
                ImportProgress("reading"),
            )  # fmt: skip
            self._states[state.number] = state
            for number in list(self._states)[:-REMEMBERED]:
                del self._states[number]
            self._end.clear()
            self._thread = SiteThread(
                target=self._run, args=(state.number, asked, dry_run), name="history-import"
            )
            self._thread.daemon = True
            self._thread.start()
        return state

    def states(self) -> tuple[ImportState, ...]:
        """Return the import that runs and the newest that have ended, oldest first."""
        with self._lock:
            return tuple(self._states.values())

    def state(self, number: int) -> ImportState | None:
        """Return how one import is doing, None when it is unknown or forgotten."""
        with self._lock:
            return self._states.get(number)

    def cancel(self) -> None:
        """End the import that runs, soon; what was written stays."""
        self._end.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the import that runs; True when none runs any more."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def stop(self, timeout_s: float) -> None:
        """End the import that runs and remove the files that wait."""
        self.cancel()
        self.wait(timeout_s)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, number: int, asked: ImportAsked, dry_run: bool) -> None:
        def tell(progress: ImportProgress) -> None:
            self._note(number, progress=progress)
            # a breath between turns, in which the program's own rows are stored
            if self._end.wait(_PAUSE_SECONDS):
                raise _EndedError

        try:
            tell(ImportProgress("reading"))
            series = read_import(asked)
            report = write_import(
                self._store,
                self._config,
                series,
                asked.path.name,
                self._now(),
                tell=tell,
                dry_run=dry_run,
            )
        except _EndedError:
            self._note(number, state="cancelled")
        except ImportRefusedError as error:
            self._note(
                number, state="refused", error=error.message, problems=error.problems,
                problem_count=error.count,
            )  # fmt: skip
        except QueryError as error:
            self._note(number, state="refused", error=str(error))
        except Exception as error:
            if not isinstance(error, EmsError):
                _logger.exception("the import of %s failed", asked.path.name)
            self._note(number, state="failed", error=str(error) or type(error).__name__)
        else:
            self._note(number, state="done", report=report)
            if not dry_run:
                self._remove(asked.path)
                self._tell("info", "history_imported", _sentence(report))
                self._trail.note("history.imported", report.file, after=_sentence(report))

    def _note(self, number: int, **changes: object) -> None:
        with self._lock:
            if number in self._states:
                self._states[number] = replace(self._states[number], **changes)  # type: ignore[arg-type]

    def _remove(self, path: Path) -> None:
        if path.parent.parent == self._folder:
            shutil.rmtree(path.parent, ignore_errors=True)

    def _give_up_oldest(self) -> None:
        waiting = sorted(self._folder.glob("*"), key=lambda folder: folder.stat().st_mtime)
        for folder in waiting[:-_WAITING_FILES]:
            shutil.rmtree(folder, ignore_errors=True)


def _sentence(report: ImportReport) -> str:
    samples, prices = report.samples.rows, report.prices.rows
    return f"{report.file} was imported: {samples} minutes and {prices} prices."

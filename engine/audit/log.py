"""Keeps the audit log: one synced line per change, in files that show when they were altered.

Several programs may write at once (the running one, and commands beside it): a lock file orders
them, and who finds that the file has grown reads its end first. When the disk cannot take an
entry, nothing is held up: it waits in memory, is written before the next one, and `status` says
so; what does not fit there is counted and its number becomes an entry.

Anchors, each a number and mac signed with the key, go once an hour to a file of their own and to
whoever listens (the program's log, the history). They show when the newest entries are missing.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from engine.audit import files
from engine.audit.anchor import Anchor, anchor_line
from engine.audit.entry import GENESIS, AuditEntry, content_of, entry_of, line_of, sealed
from engine.audit.errors import AuditError
from engine.audit.folder_lock import alone
from engine.audit.reading import AuditPage, AuditQuery, read_page
from engine.audit.trail import Origin, Outcome, current_origin
from engine.domain.clock import Clock

log = logging.getLogger(__name__)

FILE_BYTES: Final = 5_000_000
"""A file that has grown so far is followed by a new one."""

MAX_FILES: Final = 60
"""Older files are removed, which is an entry of its own: some 300 MB, a million changes."""

MAX_WAITING: Final = 2_000
"""Most entries that wait for the disk."""

ANCHOR_EVERY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """How the log is doing.

    Attributes:
        seq: Number of the newest entry on disk, as far as this program knows.
        mac: Its mac.
        waiting: Entries that could not be written yet.
        lost: Entries that did not even fit in memory; written down as a number.
        problem: Why the newest entry could not be written; None when all is well.
    """

    seq: int
    mac: str
    waiting: int
    lost: int
    problem: str | None


class AuditLog:
    """Writes entries; thread-safe, and safe beside other programs. Implements `Trail`.

    Args:
        folder: Folder of the files.
        key: Key of the chain.
        clock: Time of the entries.
        tell: Told of every new anchor.
        file_bytes: Size at which a new file is begun.
        max_files: Most files kept.

    Attributes:
        tell: As the argument.
        origin: Says who asks now.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        clock: Clock,
        *,
        tell: Callable[[Anchor], None] | None = None,
        file_bytes: int = FILE_BYTES,
        max_files: int = MAX_FILES,
    ) -> None:
        self.folder = folder
        self.key = key
        self.tell = tell
        self.origin: Callable[[], Origin] = current_origin
        self._clock = clock
        self._file_bytes = file_bytes
        self._max_files = max_files
        self._mutex = threading.Lock()
        self._waiting: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._problem: str | None = None
        self._path: Path | None = None
        self._size = -1
        self._seq, self._mac = 0, GENESIS
        self._anchored_at: datetime | None = None
        self._anchored_seq = -1

    def note(
        self,
        action: str,
        target: str,
        *,
        before: Any = None,
        after: Any = None,
        outcome: Outcome = "done",
    ) -> None:
        """Write an entry by whoever asks now; see `engine.audit.trail.Trail`."""
        origin = self.origin()
        self._add(
            content_of(
                self._clock.now(),
                actor=origin.actor,
                via=origin.via,
                address=origin.address,
                action=action,
                target=target,
                outcome=outcome,
                before=before,
                after=after,
            )
        )

    def record(
        self,
        actor: str,
        action: str,
        target: str,
        *,
        before: Any = None,
        after: Any = None,
        address: str | None = None,
        outcome: Outcome = "done",
    ) -> None:
        """Write an entry by a named actor, for what is not asked for through an origin.

        Args:
            actor: Name of the user, ``"cli"``, or what was typed as a name.
            action: What was done, for example ``"user.role"``.
            target: To whom or what.
            before: What it was.
            after: What it is now.
            address: Where the request came from; None for that of the origin.
            outcome: Whether it came to pass.
        """
        origin = self.origin()
        via = "cli" if actor == "cli" else origin.via
        where = address if address is not None else origin.address
        content = content_of(
            self._clock.now(),
            actor=actor,
            via=via,
            address=where,
            action=action,
            target=target,
            outcome=outcome,
            before=before,
            after=after,
        )
        self._add(content)

    def anchor(self) -> Anchor | None:
        """Write an anchor of the newest entry now; None when there is nothing new.

        Raises:
            AuditError: It could not be written.
        """
        try:
            with self._mutex, alone(self.folder):
                self._catch_up()
                return self._anchor()
        except OSError as exc:
            raise AuditError(
                f"The audit log cannot be written: {exc.strerror or exc}.",
                field="audit",
                value=str(self.folder),
                hint="Check the data folder and its free space.",
            ) from exc

    def page(self, query: AuditQuery) -> AuditPage:
        """Return the newest entries that `query` asks for.

        Raises:
            AuditError: The files cannot be read.
        """
        try:
            return read_page(self.folder, query)
        except OSError as exc:
            raise AuditError(
                f"The audit log cannot be read: {exc.strerror or exc}.",
                field="audit",
                value=str(self.folder),
                hint="Check the data folder.",
            ) from exc

    def status(self) -> AuditStatus:
        """Return how the log is doing."""
        with self._mutex:
            return AuditStatus(self._seq, self._mac, len(self._waiting), self._lost, self._problem)

    def _add(self, content: dict[str, Any]) -> None:
        with self._mutex:
            if len(self._waiting) >= MAX_WAITING:
                self._lost += 1
            else:
                self._waiting.append(content)
            try:
                self._write_waiting()
            except OSError as exc:
                problem = f"{exc.strerror or exc}"
                if self._problem != problem:
                    log.error("the audit log cannot be written: %s; entries wait", problem)
                self._problem = problem
                # What is on disk now is not known; it is read again before the next attempt.
                self._size = -1
                return
            if self._problem is not None:
                log.info("the audit log is written again")
                self._problem = None

    def _write_waiting(self) -> None:
        with alone(self.folder):
            self._catch_up()
            while self._waiting or self._lost:
                if not self._waiting:
                    lost, self._lost = self._lost, 0
                    self._waiting.append(self._own("audit.lost", after={"entries": lost}))
                self._append(self._waiting[0])
                self._waiting.popleft()
            self._roll()
            self._anchor_when_due()

    def _catch_up(self) -> None:
        """Learn the newest entry when another program, or a crash, changed the files."""
        found = files.log_files(self.folder)
        newest = found[-1] if found else None
        if newest == self._path and newest is not None and newest.stat().st_size == self._size:
            return
        if newest is None:
            self._path, self._size, self._seq, self._mac = None, -1, 0, GENESIS
            return
        for path in reversed(found):
            if self._read_end(path, is_newest=path == newest):
                break
        self._path, self._size = newest, newest.stat().st_size

    def _read_end(self, path: Path, *, is_newest: bool) -> bool:
        """Take over the last entry of a file; False when it has none."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            line, end = files.last_line(descriptor)
            torn = os.fstat(descriptor).st_size - end
            if is_newest and torn > 0 and (line is not None or end == 0):
                # Never acknowledged: a line counts once it is whole and synced.
                os.ftruncate(descriptor, end)
                os.fsync(descriptor)
                self._waiting.appendleft(
                    self._own("audit.repaired", target=path.name, after={"bytes_cut": torn})
                )
        finally:
            os.close(descriptor)
        if line is None:
            return False
        try:
            entry = entry_of(line)
        except ValueError:
            # Damaged by other hands: going on from it would hide that, so the chain breaks here.
            self._seq, self._mac = self._seq_before(path, line), GENESIS
            return True
        self._seq, self._mac = entry.seq, entry.mac
        return True

    def _seq_before(self, path: Path, line: bytes) -> int:
        log.error("the last line of %s is no entry (%d bytes)", path.name, len(line))
        lines = sum(1 for _ in files.lines_of(path))
        return files.first_seq_of(path) + lines - 1

    def _append(self, content: dict[str, Any]) -> None:
        entry = sealed(self.key, self._seq + 1, self._mac, content)
        path = self._path or self.folder / files.name_of(entry.seq)
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        line = line_of(entry)
        try:
            size = os.fstat(descriptor).st_size
            files.append_whole(descriptor, line)
        finally:
            os.close(descriptor)
        if is_new:
            files.sync_folder(self.folder)
        self._path, self._size = path, size + len(line)
        self._seq, self._mac = entry.seq, entry.mac

    def _roll(self) -> None:
        """Begin a new file when the newest is full, and let go of the oldest."""
        if self._size < self._file_bytes:
            return
        found = files.log_files(self.folder)
        old = found[: max(0, len(found) + 1 - self._max_files)]
        self._path, self._size = None, -1
        if not old:
            self._append(self._own("audit.file", after={"files": len(found) + 1}))
            return
        last = _last_entry(old[-1])
        removed = {
            "files": [path.name for path in old],
            "last_seq": None if last is None else last.seq,
            "last_mac": None if last is None else last.mac,
        }
        self._append(self._own("audit.pruned", after=removed))
        for path in old:
            path.unlink(missing_ok=True)

    def _anchor_when_due(self) -> None:
        now = self._clock.now()
        if self._anchored_at is None or now - self._anchored_at >= ANCHOR_EVERY:
            self._anchor()

    def _anchor(self) -> Anchor | None:
        if self._seq in (0, self._anchored_seq):
            return None
        anchor = Anchor.of(self.key, self._clock.now(), self._seq, self._mac)
        path = self.folder / files.ANCHORS
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # What a power cut left of an anchor would spoil the line of this one, too.
            line, end = files.last_line(descriptor)
            if line is not None or end == 0:
                os.ftruncate(descriptor, end)
            files.append_whole(descriptor, anchor_line(anchor))
        finally:
            os.close(descriptor)
        self._anchored_at, self._anchored_seq = self._clock.now(), self._seq
        log.info("audit log stands at %s", anchor.text)
        if self.tell is not None:
            self.tell(anchor)
        return anchor

    def _own(self, action: str, *, target: str = "audit", after: Any = None) -> dict[str, Any]:
        return content_of(
            self._clock.now(),
            actor="system",
            via="system",
            address=None,
            action=action,
            target=target,
            outcome="done",
            before=None,
            after=after,
        )


def _last_entry(path: Path) -> AuditEntry | None:
    last = None
    for line, _ in files.lines_of(path):
        last = line
    try:
        return None if last is None else entry_of(last)
    except ValueError:
        return None

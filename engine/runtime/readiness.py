"""Whether the program can do its work, part by part."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from engine.audit.log import AuditStatus
from engine.domain.errors import EmsError
from engine.history.files import free_disk_bytes, size_of
from engine.history.writer import WriterStatus

STALLED_AFTER_CYCLES: Final = 5
STALLED_AFTER_S: Final = 30.0
"""The control loop hangs when its heartbeat is older than both."""

LEAST_FREE_BYTES: Final = 200_000_000
"""Below this the history can soon not be written."""

FAILED_COMMITS: Final = 3
"""So many failed commits in a row are no hiccup."""

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the program.

    Attributes:
        name: ``"engine"``, ``"control"``, ``"storage"``, ``"disk"``, ``"config"``, ``"lock"`` or
            ``"audit"``.
        state: ``"failed"`` makes the program not ready; ``"warning"`` does not.
        detail: What there is to say, one sentence.
    """

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at.

    Attributes:
        heartbeat_age_s: Seconds since the control loop last completed a cycle.
        timestep_s: Control step.
        control: Why the last control cycle failed; None when it did not.
        storage: State of the history.
        data_dir: Data folder.
        database: Its history file.
        config: Raises, with an `EmsError`, when ``ems.yaml`` has mistakes now.
        audit: State of the audit log; None when none is kept.
    """

    heartbeat_age_s: Callable[[], float]
    timestep_s: float
    control: Callable[[], str | None]
    storage: Callable[[], WriterStatus]
    data_dir: Path
    database: str
    config: Callable[[], None]
    audit: Callable[[], AuditStatus | None]


class Readiness:
    """Looks at the parts when asked; cheap enough to be asked every second.

    Args:
        watched: What is looked at.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def parts(self) -> tuple[Part, ...]:
        """Return every part as it is now."""
        return (
            self._engine(),
            self._control(),
            self._storage(),
            self._disk(),
            self._config(),
            self._lock(),
            self._audit(),
        )

    def file_bytes(self) -> dict[str, int]:
        """Return ``"database"`` and ``"wal"`` to the size of the file, in bytes."""
        path = self._watched.data_dir / self._watched.database
        return {"database": size_of(path), "wal": size_of(path.with_name(path.name + ".wal"))}

    def free_bytes(self) -> int:
        """Return the bytes that may still be written to the disk of the data folder."""
        return free_disk_bytes(self._watched.data_dir)

    def _engine(self) -> Part:
        age_s = self._watched.heartbeat_age_s()
        longest_s = max(STALLED_AFTER_S, STALLED_AFTER_CYCLES * self._watched.timestep_s)
        text = f"The control loop completed a cycle {age_s:.1f} s ago."
        return Part("engine", "ok" if age_s <= longest_s else "failed", text)

    def _control(self) -> Part:
        error = self._watched.control()
        if error is None:
            return Part("control", "ok", "The last control cycle succeeded.")
        return Part("control", "failed", f"The last control cycle failed: {error}")

    def _storage(self) -> Part:
        status = self._watched.storage()
        if not status.running:
            return Part("storage", "failed", "The history is not written.")
        if status.failures >= FAILED_COMMITS:
            return Part(
                "storage",
                "failed",
                f"{status.failures} commits in a row failed: {status.last_error}",
            )
        if status.failures or status.upkeep_error:
            return Part("storage", "warning", str(status.last_error or status.upkeep_error))
        return Part("storage", "ok", f"{status.rows_waiting} rows wait for the next commit.")

    def _disk(self) -> Part:
        try:
            free = self.free_bytes()
        except OSError as exc:
            return Part("disk", "failed", f"The data folder cannot be used: {exc.strerror}.")
        state: State = "ok" if free >= LEAST_FREE_BYTES else "failed"
        return Part("disk", state, f"{free / 1e6:.0f} MB are free.")

    def _config(self) -> Part:
        try:
            self._watched.config()
        except EmsError as exc:
            first = exc.message.splitlines()[0]
            return Part("config", "warning", f"ems.yaml would not start the program: {first}")
        return Part("config", "ok", "ems.yaml has no mistakes.")

    def _lock(self) -> Part:
        path = self._watched.data_dir / f"{self._watched.database}.lock"
        try:
            owner = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            return Part("lock", "failed", f"The lock of the data folder is gone: {exc}")
        if owner != str(os.getpid()):
            return Part("lock", "failed", f"The data folder belongs to process {owner[:20]}.")
        return Part("lock", "ok", "This process owns the data folder.")

    def _audit(self) -> Part:
        status = self._watched.audit()
        if status is None:
            return Part("audit", "warning", "No audit log is kept.")
        if status.problem is not None:
            text = f"{status.waiting} entries could not be written: {status.problem}"
            return Part("audit", "warning", text)
        return Part("audit", "ok", f"The audit log has {status.seq} entries.")

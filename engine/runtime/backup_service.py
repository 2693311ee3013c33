"""Backups while the program runs, to folders the configuration names."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from engine.audit.trail import NO_TRAIL, Trail, noting
from engine.domain.errors import HistoryError
from engine.history.backup import BackupReport

DEFAULT_FOLDER = "backup"


class BackupService:
    """Writes backups on demand, one at a time.

    Args:
        backup: Writes a backup to a folder.
        data_dir: Data folder; ``backup`` in it is the default.
        folder: Folder the configuration names, None for the default.
        trail: Takes down backups.
    """

    def __init__(
        self,
        backup: Callable[[Path], BackupReport],
        data_dir: Path,
        folder: str | None,
        *,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._backup = backup
        self._trail = trail
        self._root = Path(folder).resolve() if folder else data_dir.resolve() / DEFAULT_FOLDER
        self._running = threading.Lock()

    @property
    def root(self) -> Path:
        """The folder that backups go to, in it or below."""
        return self._root

    def backup(self, folder: str | None = None) -> BackupReport:
        """Write a backup to `folder`, or to `root`.

        Raises:
            HistoryError: It lies elsewhere, another backup is being written, or it failed.
        """
        target = self._root if folder is None else _resolved(folder)
        with noting(self._trail, "history.backup", str(target)):
            return self._backup_to(target)

    def _backup_to(self, target: Path) -> BackupReport:
        if target != self._root and not target.is_relative_to(self._root):
            raise HistoryError(
                f"While EMS Dash runs, a backup goes to {self._root} or below, not to {target}.",
                field="folder",
                value=str(target),
                hint="Set history.backup_folder in ems.yaml, or stop EMS Dash and try again.",
            )
        if not self._running.acquire(blocking=False):
            raise HistoryError("A backup is being written already.", hint="Wait for it to end.")
        try:
            return self._backup(target)
        finally:
            self._running.release()


def _resolved(folder: str) -> Path:
    try:
        return Path(folder).resolve()
    except (OSError, ValueError) as exc:
        raise HistoryError(
            "This is no folder a backup can go to.", field="folder", value=folder[:80]
        ) from exc

"""The copy of the history file that the recovery ladder falls back to.

Between checkpoints DuckDB changes only the WAL, so a copy of the file stays valid
together with the WAL until the next checkpoint.
"""

from __future__ import annotations

import os
from pathlib import Path

from engine.history.files import copy_descriptor_synced
from engine.history.recovery import snapshot_path

_HEADERS_BYTES = 3 * 4096
"""Main header and both database headers; they change with every checkpoint."""


class Snapshotter:
    """Copies an open history file.

    It reads through one descriptor that stays open as long as DuckDB has the file:
    closing any descriptor of a file drops the lock DuckDB holds on it.

    Args:
        path: The history file, already open in DuckDB.
    """

    def __init__(self, path: Path) -> None:
        self._target = snapshot_path(path)
        self._descriptor: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def is_current(self) -> bool:
        """True when the snapshot was taken after the newest checkpoint."""
        if self._descriptor is None or not self._target.exists():
            return False
        with self._target.open("rb") as snapshot:
            return snapshot.read(_HEADERS_BYTES) == os.pread(self._descriptor, _HEADERS_BYTES, 0)

    def take(self) -> None:
        """Replace the snapshot by a copy of the file as it is now.

        The caller makes sure that no checkpoint runs meanwhile.

        Raises:
            OSError: The copy failed; the snapshot before it is still there.
        """
        if self._descriptor is None:
            raise ValueError("the history file is closed")
        copy_descriptor_synced(self._descriptor, self._target)

    def close(self) -> None:
        """Give up the descriptor; only after DuckDB has closed the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

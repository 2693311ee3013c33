"""One process per history file.

DuckDB locks its file itself, but with POSIX record locks, which the kernel drops
as soon as the process closes *any* descriptor of that file. So the owner is also
recorded here, with a lock that belongs to the open file and not to the process.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from engine.domain.errors import AlreadyRunningError, HistoryError


def already_running(path: Path, owner: str) -> AlreadyRunningError:
    """Return the error that tells the user who holds `path` and what to do."""
    return AlreadyRunningError(
        f"The history file {path} is in use by {owner}.",
        field="data",
        value=str(path),
        hint="Stop the other EMS Dash or the program that has the file open, "
        "or start this one with another data folder (--data).",
    )


class FileLock:
    """An exclusive lock held from construction to `release`.

    Args:
        path: The file to protect; the lock lives in ``<path>.lock`` beside it.

    Raises:
        AlreadyRunningError: Another process, or another store in this one, holds it.
        HistoryError: The lock file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        lock_path = path.with_name(path.name + ".lock")
        try:
            descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HistoryError(
                f"The lock file {lock_path} cannot be opened: {error.strerror}.",
                field="data",
                value=str(lock_path),
                hint="Make the data folder writable for the user that runs EMS Dash.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise already_running(
                path, f"process {owner}" if owner else "another process"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise HistoryError(
                f"The lock file {lock_path} cannot be locked: {error.strerror}.",
                field="data",
                value=str(lock_path),
                hint="Keep the data folder on a local disk; some network disks cannot lock files.",
            ) from error
        self._descriptor: int | None = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Give the lock back. The lock file stays: removing it would let two owners in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

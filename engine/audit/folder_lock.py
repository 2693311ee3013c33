"""Orders the programs that write one audit log."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOCK_PATIENCE_S: Final = 1.0


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a log's folder, which is made, against other programs.

    Raises:
        OSError: It cannot be had.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline_s = time.monotonic() + LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline_s:
                    raise OSError("another program holds its lock") from None
                time.sleep(0.005)
        yield
    finally:
        os.close(descriptor)

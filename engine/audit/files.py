"""Files of the audit log: ``audit-<number of the first entry>.jsonl``, never renamed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = "audit"
"""In the data folder."""

ANCHORS: Final = "anchors.jsonl"
KEY_NAME: Final = "audit-key"
"""File of the key of the chain, in the folder of secrets beside the configuration."""

KEY_ID: Final = "key-id"
"""File that tells which key the log was written with."""

TAIL_BYTES: Final = 64_000
"""More than the longest line."""

_NAME: Final = re.compile(r"audit-(\d{12})\.jsonl")


def name_of(first_seq: int) -> str:
    """Return the name of the file whose first entry has the number `first_seq`."""
    return f"audit-{first_seq:012d}.jsonl"


def log_files(folder: Path) -> list[Path]:
    """Return the files of the log, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def first_seq_of(path: Path) -> int:
    """Return the number of the first entry of a file by its name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name} is no file of the audit log")
    return int(match[1])


def lines_of(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield every line of a file, and whether its end was written."""
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n"), line.endswith(b"\n")


def last_line(descriptor: int) -> tuple[bytes | None, int]:
    """Return the last whole line of an open file, and where it ends.

    Bytes behind it are the beginning of a line that a power cut kept from being finished.
    """
    size = os.fstat(descriptor).st_size
    start = max(0, size - TAIL_BYTES)
    tail = os.pread(descriptor, size - start, start)
    end = tail.rfind(b"\n")
    if end < 0:
        return None, 0 if start == 0 else start
    begin = tail.rfind(b"\n", 0, end) + 1
    return tail[begin:end], start + end + 1


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data` to an open file."""
    while data:
        data = data[os.write(descriptor, data) :]


def append_whole(descriptor: int, data: bytes) -> None:
    """Write all of `data` at the end of an open file and let it survive a power cut, or nothing.

    Raises:
        OSError: It could not be written; the file is as long as before.
    """
    size = os.fstat(descriptor).st_size
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        # Half a line would look like tampering to who reads it before the next write.
        os.ftruncate(descriptor, size)
        raise


def sync_folder(folder: Path) -> None:
    """Let the name of a new file in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Small file operations that survive a power cut."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def fsync_path(path: Path) -> None:
    """Force `path` (a file or a directory) to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_synced(source: Path, target: Path) -> None:
    """Rename `source` to `target` in the same directory, durably and atomically."""
    source.replace(target)
    fsync_path(target.parent)


def copy_synced(source: Path, target: Path) -> None:
    """Copy `source` over `target` so that `target` is always either the old or the new file."""
    temporary = target.with_name(target.name + ".tmp")
    try:
        shutil.copyfile(source, temporary)
        fsync_path(temporary)
        rename_synced(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def copy_descriptor_synced(descriptor: int, target: Path) -> None:
    """Copy the whole open file `descriptor` over `target`; the descriptor stays open.

    Raises:
        OSError: The copy failed; `target` is unchanged.
    """
    temporary = target.with_name(target.name + ".tmp")
    try:
        with temporary.open("wb") as out:
            offset = 0
            while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
                out.write(chunk)
                offset += len(chunk)
            out.flush()
            os.fsync(out.fileno())
        rename_synced(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def aside_name(path: Path, now: datetime, word: str = "damaged") -> Path:
    """Return a free name beside `path` that says what happened to it and when."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    candidate = path.with_name(f"{path.name}.{word}-{stamp}")
    number = 2
    while candidate.exists():
        candidate = path.with_name(f"{path.name}.{word}-{stamp}-{number}")
        number += 1
    return candidate


def move_aside(path: Path, now: datetime, word: str = "damaged") -> Path:
    """Rename `path` to a free name beside it and return that name; nothing is deleted."""
    target = aside_name(path, now, word)
    rename_synced(path, target)
    return target


def size_of(path: Path) -> int:
    """Return the size of `path` in bytes, 0 when it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def free_disk_bytes(directory: Path) -> int:
    """Return the bytes an ordinary process may still write to the disk of `directory`."""
    return shutil.disk_usage(directory).free

"""Writing the hot file anew: DuckDB reuses freed blocks, but its file never shrinks by itself."""

from __future__ import annotations

from pathlib import Path

import duckdb

from engine.domain.errors import HistoryError
from engine.history.files import fsync_path
from engine.history.instance import InstanceSettings, copy_database, wal_path
from engine.history.schema import CATALOG

LOOSE_SHARE = 0.5
"""The file is written anew when more than this share of its blocks is free."""

SMALLEST_BYTES = 64 << 20
"""A smaller file is left as it is."""


def is_loose(connection: duckdb.DuckDBPyConnection, smallest_bytes: int = SMALLEST_BYTES) -> bool:
    """True when most of the attached file is free space and it is worth writing it anew."""
    rows = connection.execute(
        "SELECT block_size, total_blocks, free_blocks FROM pragma_database_size() "
        "WHERE database_name = ?",
        [CATALOG],
    ).fetchall()
    block_bytes, total, free = rows[0]
    return bool(block_bytes * total >= smallest_bytes and free > LOOSE_SHARE * total)


def compact_copy(path: Path, settings: InstanceSettings) -> Path:
    """Write a compact copy of the closed file `path` beside it, compared row by row.

    Returns:
        The copy, complete and on disk; renaming it over `path` is up to the caller.

    Raises:
        HistoryError: The file has a write-ahead log, or the copy is not the same.
        duckdb.Error: The copy could not be written.
    """
    if wal_path(path).exists() and wal_path(path).stat().st_size:
        raise HistoryError(f"{path.name} has a write-ahead log and cannot be copied alone.")
    new = path.with_name(path.name + ".compact")
    for leftover in (new, wal_path(new)):
        leftover.unlink(missing_ok=True)
    try:
        differing = copy_database(path, new, settings)
        if differing:
            raise HistoryError(
                f"The compact copy of the history differs in {', '.join(differing)}; "
                "the file stays as it is.",
                hint="Check the health of the disk that holds the data folder.",
            )
        fsync_path(new)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    finally:
        wal_path(new).unlink(missing_ok=True)
    return new

"""A DuckDB instance that has the history file attached, with our settings.

The file is attached to an in-memory database: so every setting is in force before
the WAL is replayed, and a failed checkpoint invalidates only what is attached.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from engine.history.schema import CATALOG

STORAGE_VERSION = "v1.5.0"
"""Format of new files; the long-supported 1.5 series can still read them."""

_NEVER = "1000TB"

_SPILL = "2GB"
"""Most a query may put on disk for want of memory; the default is 90 % of the free disk."""


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """Resources DuckDB may use."""

    memory_limit_mb: int = 512
    threads: int = 2


def wal_path(path: Path) -> Path:
    """Return the write-ahead log of the database file `path`."""
    return path.with_name(path.name + ".wal")


def cold_path(path: Path) -> Path:
    """Return the folder of the archive that belongs to the database file `path`."""
    return path.parent.resolve() / "cold"


def open_instance(
    path: Path, settings: InstanceSettings, *, create: bool = False
) -> duckdb.DuckDBPyConnection:
    """Attach `path` as `CATALOG` to a new in-memory instance and return its connection.

    The configuration is locked afterwards: queries cannot reach files outside the archive, load
    extensions or change settings. Checkpoints run only when asked for.

    Args:
        path: The database file; its folder exists.
        settings: Resources.
        create: Allow a file that does not exist yet.

    Raises:
        duckdb.Error: The file cannot be opened; nothing stays open.
        FileNotFoundError: There is no file and `create` is False.
    """
    if not create and not path.exists():
        raise FileNotFoundError(path)
    connection = duckdb.connect(":memory:")
    try:
        for statement in (
            "SET TimeZone = 'UTC'",
            f"SET memory_limit = '{settings.memory_limit_mb}MB'",
            f"SET threads = {settings.threads}",
            f"SET temp_directory = {_literal(path.parent / 'tmp')}",
            f"SET max_temp_directory_size = '{_SPILL}'",
            f"SET wal_autocheckpoint = '{_NEVER}'",
            "PRAGMA disable_checkpoint_on_shutdown",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET parquet_metadata_cache = true",
            f"SET allowed_directories = [{_literal(cold_path(path))}]",
            f"ATTACH {_literal(path)} AS {CATALOG}"
            + (f" (STORAGE_VERSION '{STORAGE_VERSION}')" if create else ""),
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def copy_database(path: Path, new: Path, settings: InstanceSettings) -> list[str]:
    """Write what the closed file `path` holds into `new`, without free space, and compare.

    Returns:
        Tables whose rows are not the same in both; none when all is well.

    Raises:
        duckdb.Error: One of them cannot be read or written.
    """
    connection = duckdb.connect(":memory:")
    try:
        for statement in (
            f"SET memory_limit = '{settings.memory_limit_mb}MB'",
            f"SET threads = {settings.threads}",
            f"SET temp_directory = {_literal(path.parent / 'tmp')}",
            f"SET wal_autocheckpoint = '{_NEVER}'",
            f"ATTACH {_literal(path)} AS {CATALOG} (READ_ONLY)",
            f"ATTACH {_literal(new)} AS n (STORAGE_VERSION '{STORAGE_VERSION}')",
            f"COPY FROM DATABASE {CATALOG} TO n",
            "CHECKPOINT n",
        ):
            connection.execute(statement)
        before, after = _table_sums(connection, CATALOG), _table_sums(connection, "n")
        return sorted(t for t in before.keys() | after if before.get(t) != after.get(t))
    finally:
        connection.close()


def _table_sums(
    connection: duckdb.DuckDBPyConnection, catalog: str
) -> dict[str, tuple[object, ...]]:
    """Return table to its number of rows and a checksum that does not depend on their order."""
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ?", [catalog]
    ).fetchall()
    return {
        table: connection.execute(
            f'SELECT count(*), bit_xor(hash(row_read)) FROM {catalog}."{table}" AS row_read'
        ).fetchall()[0]
        for (table,) in tables
    }


def is_fatal(error: duckdb.Error) -> bool:
    """True when the instance behind `error` answers nothing any more until it is reopened."""
    return isinstance(
        error, duckdb.FatalException | duckdb.InternalException
    ) or "has been invalidated" in str(error)


def wal_was_read(connection: duckdb.DuckDBPyConnection) -> bool:
    """True when DuckDB found at least one entry in the WAL of the attached file."""
    rows = connection.execute(
        "SELECT wal_size FROM pragma_database_size() WHERE database_name = ?", [CATALOG]
    ).fetchall()
    return bool(rows) and rows[0][0] != "0 bytes"


def verify(connection: duckdb.DuckDBPyConnection) -> None:
    """Read every block of every table, so that a damaged one shows now and not in a chart.

    Raises:
        duckdb.Error: A block does not match its checksum.
    """
    _table_sums(connection, CATALOG)


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

"""One connection to PostgreSQL that runs the SQL all backends share.

Shared SQL has ``?`` for values, its tables in the schema ``h``, and naive UTC times in and out.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format, TransactionStatus

from engine.domain.errors import HistoryError
from engine.history.postgres.target import PostgresTarget

EPOCH_US = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL counts from."""

CONNECT_SECONDS = 5
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001
_TABLE = re.compile(r"\bh\.(?=[a-z_0-9]+)")
_ARRAY_HEADER_BYTES = 20


class _NaiveUtcLoader(Loader):
    """timestamptz as the naive UTC time that shared code works with."""

    format = Format.BINARY

    def load(self, data: Buffer) -> datetime:
        return _EPOCH + timedelta(microseconds=struct.unpack("!q", data)[0])


class _FloatsLoader(Loader):
    """float8[] without nulls as an array."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        return _elements(data, ">f8").astype(np.float64)


class _TimesLoader(Loader):
    """timestamptz[] without nulls as naive UTC ``datetime64[us]``."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        return (_elements(data, ">i8").astype(np.int64) + EPOCH_US).astype("datetime64[us]")


class _FlagsLoader(Loader):
    """boolean[] without nulls as an array."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        return _elements(data, "?").astype(np.bool_)


def _elements(data: Buffer, kind: str) -> Any:
    """Return the elements of a one-dimensional array in the binary format, none of them null."""
    item = np.dtype([("length", ">i4"), ("value", kind)])
    raw = bytes(data)
    if len(raw) <= _ARRAY_HEADER_BYTES:
        return np.zeros(0, np.dtype(kind))
    return np.frombuffer(raw, item, offset=_ARRAY_HEADER_BYTES)["value"]


class Session:
    """A connection with everything set as the history needs it; used by one thread at a time.

    Args:
        target: The database.
        timeout_seconds: Longest duration of one statement.

    Raises:
        psycopg.Error: The database cannot be entered.
    """

    def __init__(self, target: PostgresTarget, timeout_seconds: float) -> None:
        self.connection = psycopg.connect(
            **_with_defaults(target.parameters), autocommit=True, client_encoding="utf8"
        )
        self.schema = target.schema
        adapters = self.connection.adapters
        adapters.register_loader("timestamptz", _NaiveUtcLoader)
        for name, loader in (
            ("float8", _FloatsLoader),
            ("timestamptz", _TimesLoader),
            ("bool", _FlagsLoader),
        ):
            adapters.register_loader(adapters.types[name].array_oid, loader)
        self._cursor = self.connection.cursor(binary=True)
        self.stages: dict[str, dict[str, str]] = {}
        try:
            for name, value in (
                ("TimeZone", "UTC"),
                ("statement_timeout", str(round(timeout_seconds * 1000))),
                ("lock_timeout", "10000"),
                ("idle_in_transaction_session_timeout", "120000"),
                # so that the server soon notices a program that vanished, and frees its site
                ("tcp_keepalives_idle", "10"),
                ("tcp_keepalives_interval", "5"),
                ("tcp_keepalives_count", "3"),
                # a number is returned to the last digit
                ("extra_float_digits", "3"),
            ):
                self._cursor.execute("SELECT set_config(%s, %s, false)", [name, value])
        except BaseException:
            self.connection.close()
            raise

    def execute(self, query: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        """Run shared SQL; the rows are those of the returned cursor until the next statement."""
        values = [
            value.replace(tzinfo=UTC)
            if isinstance(value, datetime) and value.tzinfo is None
            else value
            for value in parameters
        ]
        text = _translated(query, self.schema)
        return self._cursor.execute(text, values or None)

    @contextmanager
    def transaction(self, kind: str = "") -> Iterator[None]:
        """Commit what happens inside, or undo all of it."""
        self._cursor.execute(f"BEGIN {kind}".encode())
        try:
            yield
            self._cursor.execute("COMMIT")
        except BaseException:
            self.roll_back()
            raise

    def roll_back(self) -> None:
        """End a transaction without its changes; a lost connection has none any more."""
        try:
            if (
                not self.connection.closed
                and self.connection.info.transaction_status != TransactionStatus.IDLE
            ):
                self._cursor.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    def copy_rows(
        self, table: str, columns: Sequence[str], types: Sequence[str], rows: Any
    ) -> None:
        """Copy rows into a temporary table, quicker than any INSERT."""
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self._cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def interrupt(self) -> None:
        """Ask the server to end the running statement; harmless when there is none."""
        try:
            self.connection.cancel_safe(timeout=2.0)
        except psycopg.Error:
            # the connection is gone, and the statement with it
            self.connection.close()

    @property
    def usable(self) -> bool:
        """False once the connection is lost or closed."""
        return not self.connection.closed and not self.connection.broken

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def lock_key(schema: str, purpose: str) -> int:
    """Return the key of an advisory lock, the same in every program that shares the schema."""
    digest = hashlib.sha256(f"ems-dash/{schema}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def failed(verb: str, error: psycopg.Error, target: PostgresTarget) -> HistoryError:
    """Return what is told of an error of the driver; it never holds the password."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    password = target.parameters.get("password")
    if password:
        text = text.replace(str(password), "...")
    return HistoryError(
        f"The history in PostgreSQL ({target.shown}) could not be {verb}: {text}",
        field="history.postgres",
        hint=_remedy(error),
    )


def _remedy(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.DiskFull):
        return "Free some space on the disk of the database server."
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "Let the database user create and change tables in its schema."
    if isinstance(error, psycopg.errors.QueryCanceled):
        return "Ask for a shorter period, or look what keeps the server busy."
    if isinstance(error, psycopg.OperationalError):
        return (
            "Check that the server runs and can be reached, and host, port, dbname, user and "
            "password; what is measured waits in memory meanwhile."
        )
    return "See the log of the database server."


def _with_defaults(parameters: Any) -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "EMS Dash",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        **parameters,
    }


@lru_cache(maxsize=500)
def _translated(query: str, schema: str) -> bytes:
    quoted = '"' + schema.replace('"', '""') + '"'
    escaped = query.replace("%", "%%") if "?" in query else query
    return _TABLE.sub(lambda _: f"{quoted}.", escaped.replace("?", "%s")).encode()

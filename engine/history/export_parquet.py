"""Parquet: times in UTC with their zone, wall clocks without, units in columns' metadata."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.history.export_request import ExportRows, Progress, Tell

METADATA_KEY = b"ems_dash"
"""Key of the file's metadata that holds what is said about the rows, as JSON."""

_GROUP_ROWS = 50_000
_CHUNK_BYTES = 1 << 16


class _Drain(io.RawIOBase):
    """A file that only grows, whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._size = 0
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        taken = bytes(data)
        self._waiting.append(taken)
        self._size += len(taken)
        self._position += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._position

    def take(self, least: int = 0) -> bytes:
        """Return what was written since; nothing while it is less than `least`."""
        if self._size < least:
            return b""
        taken, self._waiting, self._size = b"".join(self._waiting), [], 0
        return taken


def parquet_bytes(rows: ExportRows, *, tell: Tell) -> Iterator[bytes]:
    """Yield an export as Parquet; a file that is cut off has no footer and does not open."""
    schema = _schema(rows)
    drain = _Drain()
    waiting: list[Any] = []
    n = n_waiting = 0
    with pq.ParquetWriter(drain, schema, compression="zstd") as writer:
        for part, table in enumerate(rows.tables, start=1):
            waiting.append(pa.Table.from_arrays(table.cast(_plain(schema)).columns, schema=schema))
            n += table.num_rows
            n_waiting += table.num_rows
            if n_waiting >= _GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting))
                waiting, n_waiting = [], 0
                if chunk := drain.take(_CHUNK_BYTES):
                    yield chunk
            tell(Progress(n, part, rows.parts))
        if n_waiting:
            writer.write_table(pa.concat_tables(waiting))
    yield drain.take()


def _schema(rows: ExportRows) -> Any:
    about = {column.name: column for column in rows.info.columns}
    fields = []
    for item in rows.schema:
        kind = item.type
        if pa.types.is_timestamp(kind) and item.name not in rows.wall_times:
            kind = pa.timestamp("us", tz="UTC")
        column = about.get(item.name)
        notes = {} if column is None else {"unit": column.unit, "meaning": column.meaning}
        fields.append(pa.field(item.name, kind, metadata=notes))
    return pa.schema(fields, metadata={METADATA_KEY: json.dumps(rows.info.as_dict()).encode()})


def _plain(schema: Any) -> Any:
    return pa.schema([pa.field(item.name, item.type) for item in schema])

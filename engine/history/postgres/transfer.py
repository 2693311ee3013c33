"""Arrow tables into PostgreSQL, and rows out of it as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from engine.history.postgres.schema import KEYS, column_types
from engine.history.postgres.session import EPOCH_US, Session
from engine.history.roll_up_sql import quoted


def store(session: Session, table: str, rows: Any, *, replace: bool) -> None:
    """Store an Arrow table by COPY; rows that are there stay, or are replaced.

    Args:
        session: A connection inside a transaction.
        table: Name of the table; its key is in `KEYS`.
        rows: The rows; no key twice.
        replace: What happens to a row whose key is there already.
    """
    if not rows.num_rows:
        return
    names = list(rows.column_names)
    listed = ", ".join(map(quoted, names))
    stage = f"stage_{table}"
    if stage not in session.stages:
        # lives as long as the connection; the catalogue is not written to for every batch
        session.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS AS "
            f"SELECT * FROM h.{table} LIMIT 0"
        )
        session.stages[stage] = column_types(session, table)
    kinds = [session.stages[stage][name] for name in names]
    values = [_encoded(rows.column(n), kind) for n, kind in zip(names, kinds, strict=True)]
    session.copy_rows(stage, names, [_WIRE[kind][0] for kind in kinds], zip(*values, strict=True))
    key = KEYS[table]
    action = "NOTHING"
    if replace:
        sets = ", ".join(f"{quoted(n)} = EXCLUDED.{quoted(n)}" for n in names if n not in key)
        action = f"UPDATE SET {sets}"
    session.execute(
        f"INSERT INTO h.{table} ({listed}) SELECT {listed} FROM {stage} "
        f"ON CONFLICT ({', '.join(key)}) DO {action}"
    )
    # a second use in the same transaction starts empty
    session.execute(f"DELETE FROM {stage}")


def fetch(
    session: Session, relation: str, parameters: Sequence[Any], kinds: Mapping[str, str]
) -> dict[str, Any]:
    """Return columns of a SELECT as arrays, in its order.

    Args:
        session: A connection.
        relation: The SELECT, ordered.
        parameters: Its values.
        kinds: Column to ``"time"`` (``datetime64[us]``), ``"number"`` (float64, NaN for null),
            ``"flag"`` (bool) or ``"text"`` (objects); of the first three only numbers may be null.
    """
    wanted = {
        "number": "array_agg(coalesce({}::float8, 'NaN'))",
        "time": "array_agg({})",
        "flag": "array_agg({})",
        "text": "array_agg({})",
    }
    shown = ", ".join(wanted[kind].format(quoted(name)) for name, kind in kinds.items())
    row = session.execute(f"SELECT {shown} FROM ({relation}) AS found", parameters).fetchall()[0]
    empty = {
        "time": np.zeros(0, "datetime64[us]"),
        "number": np.zeros(0),
        "flag": np.zeros(0, np.bool_),
        "text": np.zeros(0, object),
    }
    out = {}
    for (name, kind), values in zip(kinds.items(), row, strict=True):
        out[name] = empty[kind] if values is None else values
        if kind == "text" and values is not None:
            out[name] = np.array(values, dtype=object)
    return out


def as_arrow(columns: Mapping[str, Any], types: Mapping[str, Any]) -> Any:
    """Return columns of `fetch` as an Arrow table; NaN becomes null."""
    arrays = {}
    for name, values in columns.items():
        if values.dtype == object:
            arrays[name] = pa.array(values.tolist(), pa.string())
        else:
            arrays[name] = pa.array(values, from_pandas=True)
            if name in types:
                arrays[name] = arrays[name].cast(types[name])
    return pa.table(arrays)


def _encoded(column: Any, kind: str) -> list[Any]:
    """Return the values of an Arrow column as COPY takes them for a column of type `kind`."""
    if kind == _TIME:
        # the wire form of a time: microseconds since 2000, the same as an int8
        micros = column.cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
        return [None if us is None else us - EPOCH_US for us in micros]
    values: list[Any] = column.cast(_WIRE[kind][1]).to_pylist()
    if kind == "text":
        # PostgreSQL stores no NUL; a message that holds one must not block all others
        return [None if text is None else text.replace("\0", "\ufffd") for text in values]
    return values


_TIME = "timestamp with time zone"
_WIRE: dict[str, tuple[str, Any]] = {
    _TIME: ("int8", None),
    "text": ("text", pa.string()),
    "real": ("float4", pa.float32()),
    "double precision": ("float8", pa.float64()),
    "integer": ("int4", pa.int32()),
    "boolean": ("bool", pa.bool_()),
    "date": ("date", pa.date32()),
    "real[]": ("float4[]", pa.list_(pa.float32())),
    "boolean[]": ("bool[]", pa.list_(pa.bool_())),
}
"""Type of a column to its binary type in COPY and its Arrow type."""

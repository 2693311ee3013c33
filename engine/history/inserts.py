"""Idempotent inserts of a batch, each from one Arrow table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

import duckdb

from engine.history import rows as to_arrow
from engine.history.plan_rows import headers_table, steps_table
from engine.history.store import Batch

# the window as parameters: as subqueries, they would not prune what is read
_WINDOW = "ts BETWEEN ? AND ?"


def insert_batch(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    """Store `batch` in one transaction on `connection`; rows stored before stay single.

    Raises:
        duckdb.Error: Nothing is certain to be stored; discard the connection.
    """
    connection.execute("BEGIN")
    if batch.samples:
        first = {(r.site_id, r.ts): r for r in reversed(batch.samples)}
        rows = list(reversed(first.values()))
        samples = to_arrow.samples_table(rows)
        _insert_new(connection, "samples", samples, ("site_id", "ts"), _window(rows))
    if batch.prices:
        last_price = {(r.site_id, r.ts): r for r in batch.prices}
        prices = list(last_price.values())
        _replace(connection, "prices", to_arrow.prices_table(prices), _window(prices))
    if batch.ledger:
        last_booking = {(r.site_id, r.ts): r for r in batch.ledger}
        bookings = list(last_booking.values())
        _replace(connection, "ledger", to_arrow.ledger_table(bookings), _window(bookings))
    if batch.plans:
        _insert_plans(connection, batch)
    if batch.events:
        key = ("site_id", "ts", "code", "message")
        single = {(r.site_id, r.ts, r.code, r.message): r for r in reversed(batch.events)}
        events = list(reversed(single.values()))
        _insert_new(connection, "events", to_arrow.events_table(events), key, _window(events))
    connection.execute("COMMIT")


class _Timed(Protocol):
    @property
    def ts(self) -> datetime: ...


def _window(rows: Sequence[_Timed]) -> tuple[datetime, datetime]:
    stamps = [row.ts for row in rows]
    return to_arrow.naive_utc(min(stamps)), to_arrow.naive_utc(max(stamps))


def _insert_new(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    arrow: Any,
    key: tuple[str, ...],
    window: tuple[datetime, datetime],
) -> None:
    columns = ", ".join(key)
    with _batch(connection, arrow):
        connection.execute(
            f"INSERT INTO h.{table} BY NAME SELECT batch.* FROM batch "
            f"ANTI JOIN (SELECT {columns} FROM h.{table} WHERE {_WINDOW}) USING ({columns})",
            list(window),
        )


def _replace(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    arrow: Any,
    window: tuple[datetime, datetime],
) -> None:
    with _batch(connection, arrow):
        connection.execute(
            f"DELETE FROM h.{table} WHERE {_WINDOW} "
            "AND (site_id, ts) IN (SELECT (site_id, ts) FROM batch)",
            list(window),
        )
        connection.execute(f"INSERT INTO h.{table} BY NAME SELECT * FROM batch")


def _insert_plans(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    by_id = {p.plan_id: p for p in reversed(batch.plans)}
    marks = ", ".join("?" * len(by_id))
    stored = connection.execute(
        f"SELECT plan_id FROM h.plans WHERE plan_id IN ({marks})", list(by_id)
    ).fetchall()
    for (plan_id,) in stored:
        del by_id[plan_id]
    plans = list(reversed(by_id.values()))
    if plans:
        with _batch(connection, headers_table(plans)):
            connection.execute("INSERT INTO h.plans BY NAME SELECT * FROM batch")
        with _batch(connection, steps_table(plans)):
            connection.execute("INSERT INTO h.plan_steps BY NAME SELECT * FROM batch")


@contextmanager
def _batch(connection: duckdb.DuckDBPyConnection, arrow: Any) -> Iterator[None]:
    """Make `arrow` readable as the table ``batch``."""
    connection.register("batch", arrow)
    try:
        yield
    finally:
        connection.unregister("batch")

"""Idempotent inserts of a batch, each from one Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

import duckdb

from engine.domain.records import SampleRow, TariffRow
from engine.history import rows as to_arrow
from engine.history.forecast_rows import forecasts_table
from engine.history.plan_rows import headers_table, steps_table
from engine.history.roll_ups import mark_pending
from engine.history.sample_source import SampleSource
from engine.history.selection_rows import candidates_table, selections_table
from engine.history.store import Batch

_T = TypeVar("_T")


def insert_batch(connection: duckdb.DuckDBPyConnection, batch: Batch, source: SampleSource) -> None:
    """Store `batch` in one transaction on `connection`; rows stored before stay single.

    Args:
        connection: A writing cursor.
        batch: The rows.
        source: Where samples that were stored before are.

    Raises:
        duckdb.Error: Nothing is certain to be stored; discard the connection.
    """
    connection.execute("BEGIN")
    if batch.samples:
        _insert_samples(connection, batch.samples, source)
    if batch.prices:
        prices = last_of(batch.prices, lambda r: (r.site_id, r.ts))
        _replace(connection, "prices", to_arrow.prices_table(prices), _window(prices))
    if batch.ledger:
        bookings = last_of(batch.ledger, lambda r: (r.site_id, r.ts))
        _replace(connection, "ledger", to_arrow.ledger_table(bookings), _window(bookings))
    if batch.plans:
        _insert_plans(connection, batch)
    if batch.events:
        events = first_of(batch.events, lambda r: (r.site_id, r.ts, r.code, r.message))
        _insert_new(
            connection,
            "events",
            to_arrow.events_table(events),
            ("site_id", "ts", "code", "message"),
            _window(events),
        )
    if batch.forecasts:
        _insert_forecasts(connection, batch)
    if batch.selections:
        _insert_selections(connection, batch)
    _insert_accounts(connection, batch)
    connection.execute("COMMIT")


def _insert_samples(
    connection: duckdb.DuckDBPyConnection, rows: Sequence[SampleRow], source: SampleSource
) -> None:
    samples = first_of(rows, lambda r: (r.site_id, r.ts))
    stamps: dict[str, list[datetime]] = {}
    for row in samples:
        stamps.setdefault(row.site_id, []).append(to_arrow.naive_utc(row.ts))
    insert_samples_table(connection, to_arrow.samples_table(samples), stamps, source)


def insert_measured(
    connection: duckdb.DuckDBPyConnection, site_id: str, samples: Any, source: SampleSource
) -> None:
    """Store an Arrow table of samples of one site in one transaction.

    Raises:
        duckdb.Error: Nothing is certain to be stored; discard the connection.
    """
    connection.execute("BEGIN")
    stamps = samples.column("ts").to_pylist()
    insert_samples_table(connection, samples, {site_id: stamps}, source)
    connection.execute("COMMIT")


def insert_samples_table(
    connection: duckdb.DuckDBPyConnection,
    samples: Any,
    stamps: Mapping[str, Sequence[datetime]],
    source: SampleSource,
) -> None:
    """Store an Arrow table of samples, as `rows.samples_table` makes it; the caller commits.

    Args:
        connection: A writing cursor inside a transaction.
        samples: The table; no site and time twice, far fewer rows than a row group has.
        stamps: Site to the times of its samples, naive UTC.
        source: Where samples that were stored before are.
    """
    window = (min(map(min, stamps.values())), max(map(max, stamps.values())))
    stored = source.sites_between(connection, stamps.keys(), window)
    _insert_new(connection, "samples", samples, ("site_id", "ts"), window, stored=stored)
    mark_pending(connection, stamps, source.gap_seconds)


def _insert_accounts(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    """Insert what is written about the installation and its money, not measured."""
    if batch.runs:
        runs = first_of(batch.runs, lambda r: (r.site_id, r.ts))
        _insert_new(connection, "runs", to_arrow.runs_table(runs), ("site_id", "ts"), _window(runs))
    if batch.tariffs:
        _insert_tariffs(connection, batch.tariffs)
    if batch.devices:
        devices = first_of(batch.devices, lambda r: (r.site_id, r.ts, r.device))
        key = ("site_id", "ts", "device")
        _insert_new(connection, "devices", to_arrow.devices_table(devices), key, _window(devices))
    if batch.savings:
        savings = last_of(batch.savings, lambda r: (r.site_id, r.baseline, r.ts))
        key = ("site_id", "baseline", "ts")
        _replace(connection, "savings", to_arrow.savings_table(savings), _window(savings), key=key)
    if batch.metrics:
        metrics = last_of(batch.metrics, lambda r: (r.site_id, r.day, r.metric))
        days = [row.day for row in metrics]
        _replace(
            connection,
            "metrics",
            to_arrow.metrics_table(metrics),
            (min(days), max(days)),
            key=("site_id", "day", "metric"),
            time="day",
        )


def _insert_tariffs(connection: duckdb.DuckDBPyConnection, rows: Sequence[TariffRow]) -> None:
    first = first_of(rows, lambda r: (r.site_id, r.valid_from, r.document))
    with _batch(connection, to_arrow.tariffs_table(first)):
        connection.execute(
            "INSERT INTO h.tariffs BY NAME SELECT * FROM batch WHERE NOT EXISTS ("
            "SELECT 1 FROM h.tariffs t WHERE t.site_id = batch.site_id "
            "AND t.document = batch.document "
            "AND t.valid_from IS NOT DISTINCT FROM batch.valid_from)"
        )


def first_of(rows: Sequence[_T], key: Callable[[_T], Hashable]) -> list[_T]:
    """Return `rows` in their order, of those with the same key only the first."""
    return list({key(row): row for row in reversed(rows)}.values())[::-1]


def last_of(rows: Sequence[_T], key: Callable[[_T], Hashable]) -> list[_T]:
    """Return `rows`, of those with the same key only the last."""
    return list({key(row): row for row in rows}.values())


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
    *,
    time: str = "ts",
    stored: str | None = None,
) -> None:
    columns = ", ".join(key)
    before = stored or f"h.{table}"
    # the window as parameters: as subqueries, they would not prune what is read
    with _batch(connection, arrow):
        connection.execute(
            f"INSERT INTO h.{table} BY NAME SELECT batch.* FROM batch "
            f"ANTI JOIN (SELECT {columns} FROM {before} WHERE {time} BETWEEN ? AND ?) "
            f"USING ({columns})",
            list(window),
        )


def _replace(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    arrow: Any,
    window: tuple[date, date],
    *,
    key: tuple[str, ...] = ("site_id", "ts"),
    time: str = "ts",
) -> None:
    columns = ", ".join(key)
    with _batch(connection, arrow):
        connection.execute(
            f"DELETE FROM h.{table} WHERE {time} BETWEEN ? AND ? "
            f"AND ({columns}) IN (SELECT ({columns}) FROM batch)",
            list(window),
        )
        connection.execute(f"INSERT INTO h.{table} BY NAME SELECT * FROM batch")


def _insert_plans(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    by_id = {p.plan_id: p for p in first_of(batch.plans, lambda p: p.plan_id)}
    marks = ", ".join("?" * len(by_id))
    stored = connection.execute(
        f"SELECT plan_id FROM h.plans WHERE plan_id IN ({marks})", list(by_id)
    ).fetchall()
    for (plan_id,) in stored:
        del by_id[plan_id]
    plans = list(by_id.values())
    if plans:
        with _batch(connection, headers_table(plans)):
            connection.execute("INSERT INTO h.plans BY NAME SELECT * FROM batch")
        with _batch(connection, steps_table(plans)):
            connection.execute("INSERT INTO h.plan_steps BY NAME SELECT * FROM batch")


def _insert_forecasts(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    rows = first_of(
        batch.forecasts,
        lambda r: (r.site_id, r.forecast.signal, r.forecast.issued_at, r.forecast.model),
    )
    issued = [to_arrow.naive_utc(row.forecast.issued_at) for row in rows]
    _insert_new(
        connection,
        "forecasts",
        forecasts_table(rows),
        ("site_id", "signal", "issued_at", "model"),
        (min(issued), max(issued)),
        time="issued_at",
    )


def _insert_selections(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    key = ("site_id", "ts", "plan_id")
    rows = first_of(batch.selections, lambda r: (r.site_id, r.ts, r.plan_id))
    # candidates first: they are new exactly when their choice is not stored yet
    with _batch(connection, candidates_table(rows)):
        connection.execute(
            "INSERT INTO h.selection_candidates BY NAME SELECT batch.* FROM batch "
            f"ANTI JOIN (SELECT {', '.join(key)} FROM h.selections WHERE ts BETWEEN ? AND ?) "
            f"USING ({', '.join(key)})",
            list(_window(rows)),
        )
    _insert_new(connection, "selections", selections_table(rows), key, _window(rows))


@contextmanager
def _batch(connection: duckdb.DuckDBPyConnection, arrow: Any) -> Iterator[None]:
    """Make `arrow` readable as the table ``batch``."""
    connection.register("batch", arrow)
    try:
        yield
    finally:
        connection.unregister("batch")

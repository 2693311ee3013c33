"""Reads of a history: SQL in, value objects out. Each takes its own cursor.

The SQL is understood by DuckDB and, through `engine.history.postgres.session`, by PostgreSQL.
"""

from __future__ import annotations

from datetime import date, datetime

from engine.domain.plan import Plan
from engine.domain.quarter_hour import STEP_S
from engine.domain.records import (
    DeviceRow,
    EventRow,
    LedgerRow,
    MetricRow,
    PriceRow,
    RunRow,
    SampleRow,
    SavingsRow,
    TariffRow,
)
from engine.domain.signals import SIGNALS
from engine.domain.strategy import Selection
from engine.history.checks import check_time
from engine.history.plan_rows import (
    HEADER_COLUMNS,
    STEP_COLUMNS,
    header_from_row,
    plan_from_rows,
)
from engine.history.rows import RUN_COLUMNS, SAVINGS_COLUMNS, naive_utc, utc
from engine.history.schema import TABLES
from engine.history.selection_rows import (
    CANDIDATE_COLUMNS,
    SELECTION_COLUMNS,
    selection_from_rows,
)
from engine.history.sql_cursor import SqlCursor
from engine.history.store import COVERED_SECONDS, INSTALLATION_SITE_ID, PlanHeader

_PERIOD = "site_id = ? AND ts >= ? AND ts < ?"


def latest_sample(
    cursor: SqlCursor, newest: tuple[str, datetime] | None, site_id: str
) -> SampleRow | None:
    """Return the newest sample of `site_id`; `newest` is a relation that holds it, and its time."""
    if newest is None:
        return None
    samples, at = newest
    signals = list(SIGNALS)
    names = ", ".join(f'"{name}"' for name in signals)
    rows = cursor.execute(
        "SELECT ts, unusable, setpoint_kw, charge_limit_kw, discharge_limit_kw, binding, "
        f"decided_by, state, simulated, {names} FROM {samples} WHERE site_id = ? AND ts = ?",
        [site_id, at],
    ).fetchall()
    if not rows:
        return None
    ts, unusable, setpoint, charge, discharge, binding, layer, state, simulated, *values = rows[0]
    return SampleRow(
        ts=utc(ts),
        site_id=site_id,
        values={n: v for n, v in zip(signals, values, strict=True) if v is not None},
        unusable=unusable,
        setpoint_kw=setpoint,
        charge_limit_kw=charge,
        discharge_limit_kw=discharge,
        binding=binding,
        decided_by=layer,
        state=state,
        simulated=simulated,
    )


def ledger(cursor: SqlCursor, site_id: str, since: datetime, until: datetime) -> list[LedgerRow]:
    """Return booked quarter-hours of the period."""
    rows = cursor.execute(
        "SELECT ts, site_id, seconds, import_kwh, export_kwh, battery_charged_kwh, "
        "battery_discharged_kwh, pv_kwh, buy_eur_per_kwh, sell_eur_per_kwh, cost_eur, "
        f"price_source, method FROM h.ledger WHERE {_PERIOD} ORDER BY ts",
        [site_id, *period(since, until)],
    ).fetchall()
    return [LedgerRow(utc(ts), *rest) for ts, *rest in rows]


def highest_import(
    cursor: SqlCursor, site_id: str, since: datetime, until: datetime
) -> tuple[float, datetime] | None:
    """Return (kW, start) of the highest import of a covered quarter-hour of the period."""
    rows = cursor.execute(
        f"SELECT import_kwh, ts FROM h.ledger WHERE {_PERIOD} AND seconds >= ? "
        "ORDER BY import_kwh DESC, ts LIMIT 1",
        [site_id, *period(since, until), COVERED_SECONDS],
    ).fetchall()
    if not rows:
        return None
    import_kwh, ts = rows[0]
    return import_kwh / (STEP_S / 3600.0), utc(ts)


def selections(
    cursor: SqlCursor, site_id: str, since: datetime, until: datetime
) -> list[Selection]:
    """Return choices of strategy of the period with their candidates."""
    arguments = [site_id, *period(since, until)]
    rows = cursor.execute(
        f"SELECT {', '.join(SELECTION_COLUMNS)} FROM h.selections WHERE {_PERIOD} "
        "ORDER BY ts, plan_id",
        arguments,
    ).fetchall()
    candidates: dict[tuple[datetime, str], list[list[object]]] = {}
    for ts, plan_id, *candidate in cursor.execute(
        f"SELECT ts, plan_id, {', '.join(CANDIDATE_COLUMNS)} FROM h.selection_candidates "
        f"WHERE {_PERIOD} ORDER BY ts, plan_id, position",
        arguments,
    ).fetchall():
        candidates.setdefault((ts, plan_id), []).append(candidate)
    return [selection_from_rows(row, candidates.get((row[0], row[2]), [])) for row in rows]


def prices(cursor: SqlCursor, site_id: str, since: datetime, until: datetime) -> list[PriceRow]:
    """Return prices of the period."""
    rows = cursor.execute(
        "SELECT ts, site_id, minutes, spot_eur_per_kwh, buy_eur_per_kwh, sell_eur_per_kwh, "
        f"source, fetched_at FROM h.prices WHERE {_PERIOD} ORDER BY ts",
        [site_id, *period(since, until)],
    ).fetchall()
    return [
        PriceRow(
            ts=utc(ts),
            site_id=site,
            minutes=minutes,
            spot_eur_per_kwh=spot,
            buy_eur_per_kwh=buy,
            sell_eur_per_kwh=sell,
            source=source,
            fetched_at=utc(fetched_at),
        )
        for ts, site, minutes, spot, buy, sell, source, fetched_at in rows
    ]


def plans(cursor: SqlCursor, site_id: str, since: datetime, until: datetime) -> list[PlanHeader]:
    """Return headers of plans created in the period."""
    rows = cursor.execute(
        f"SELECT {', '.join(HEADER_COLUMNS)} FROM h.plans WHERE site_id = ? "
        "AND created_at >= ? AND created_at < ? ORDER BY created_at, plan_id",
        [site_id, *period(since, until)],
    ).fetchall()
    return [header_from_row(row) for row in rows]


def plan(cursor: SqlCursor, plan_id: str) -> Plan | None:
    """Return one whole plan."""
    headers = cursor.execute(
        f"SELECT {', '.join(HEADER_COLUMNS)} FROM h.plans WHERE plan_id = ?", [plan_id]
    ).fetchall()
    if not headers:
        return None
    steps = cursor.execute(
        f"SELECT {', '.join(STEP_COLUMNS)} FROM h.plan_steps WHERE plan_id = ? ORDER BY step",
        [plan_id],
    ).fetchall()
    return plan_from_rows(header_from_row(headers[0]), steps)


def events(cursor: SqlCursor, site_id: str, since: datetime, until: datetime) -> list[EventRow]:
    """Return events of the period, of the site and of the whole installation."""
    rows = cursor.execute(
        "SELECT ts, site_id, severity, code, message FROM h.events "
        "WHERE site_id IN (?, ?) AND ts >= ? AND ts < ? ORDER BY ts, rowid",
        [site_id, INSTALLATION_SITE_ID, *period(since, until)],
    ).fetchall()
    return [EventRow(utc(ts), *rest) for ts, *rest in rows]


def runs(cursor: SqlCursor, site_id: str, since: datetime, until: datetime) -> list[RunRow]:
    """Return optimiser runs that began in the period."""
    rows = cursor.execute(
        f"SELECT {', '.join(RUN_COLUMNS)} FROM h.runs WHERE {_PERIOD} ORDER BY ts",
        [site_id, *period(since, until)],
    ).fetchall()
    return [RunRow(utc(ts), *rest) for ts, *rest in rows]


def tariffs(cursor: SqlCursor, site_id: str) -> list[TariffRow]:
    """Return every tariff there ever was."""
    rows = cursor.execute(
        "SELECT recorded_at, site_id, valid_from, document FROM h.tariffs "
        "WHERE site_id = ? ORDER BY recorded_at, valid_from NULLS FIRST",
        [site_id],
    ).fetchall()
    return [
        TariffRow(utc(recorded), site, None if since is None else utc(since), document)
        for recorded, site, since, document in rows
    ]


def devices(cursor: SqlCursor, site_id: str, until: datetime) -> list[DeviceRow]:
    """Return the newest row of each device before `until`."""
    check_time(until, "until")
    rows = cursor.execute(
        "SELECT DISTINCT ON (device) ts, site_id, device, document FROM h.devices "
        "WHERE site_id = ? AND ts < ? ORDER BY device, ts DESC",
        [site_id, naive_utc(until)],
    ).fetchall()
    return [DeviceRow(utc(ts), *rest) for ts, *rest in rows]


def savings(
    cursor: SqlCursor,
    site_id: str,
    since: datetime,
    until: datetime,
    baseline: str | None,
) -> list[SavingsRow]:
    """Return simulated quarter-hours of the period."""
    rows = cursor.execute(
        f"SELECT {', '.join(SAVINGS_COLUMNS)} FROM h.savings WHERE {_PERIOD} "
        "AND baseline = coalesce(?, baseline) ORDER BY ts, baseline",
        [site_id, *period(since, until), baseline],
    ).fetchall()
    return [SavingsRow(utc(ts), *rest) for ts, *rest in rows]


def metrics(cursor: SqlCursor, site_id: str, since: date, until: date) -> list[MetricRow]:
    """Return key figures of the local days of the period."""
    rows = cursor.execute(
        "SELECT day, site_id, metric, value FROM h.metrics "
        "WHERE site_id = ? AND day >= ? AND day < ? ORDER BY day, metric",
        [site_id, since, until],
    ).fetchall()
    return [MetricRow(*row) for row in rows]


def counts(cursor: SqlCursor) -> dict[str, int]:
    """Return the number of rows per table, without the archive."""
    selects = ", ".join(f"(SELECT count(*) FROM h.{table})" for table in TABLES)
    return dict(zip(TABLES, cursor.execute(f"SELECT {selects}").fetchall()[0], strict=True))


def archived_samples(cursor: SqlCursor) -> int:
    """Return the number of samples in the archive."""
    rows = cursor.execute("SELECT coalesce(sum(sample_rows), 0)::BIGINT FROM h.archived_days")
    return int(rows.fetchall()[0][0])


def period(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Return the ends of a period as the database keeps times.

    Raises:
        HistoryError: One of them has no time zone.
    """
    check_time(since, "since")
    check_time(until, "until")
    return naive_utc(since), naive_utc(until)

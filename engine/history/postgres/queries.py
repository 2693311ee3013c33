"""Reads that PostgreSQL needs in its own words: forecasts, points, rows of tables, retention."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from engine.domain.forecast import MODEL_RUN, PRICE_SIGNAL, FloatArray
from engine.domain.local_days import first_day_from
from engine.history.checks import check_forecast_signal
from engine.history.columns import ColumnKey, Resolution
from engine.history.dictionary import TableInfo, select_list
from engine.history.forecast_queries import instant, pair_up, published_prices
from engine.history.point_reads import Points, metric_points
from engine.history.postgres import series
from engine.history.postgres.session import Session
from engine.history.postgres.transfer import fetch
from engine.history.queries import period
from engine.history.retention import Retention
from engine.history.roll_up_columns import IMPORTED_STATE, QUARTER_HOUR_S, roll_up_column
from engine.history.rows import utc
from engine.history.schema import MINUTES, QUARTER_HOURS
from engine.history.series_names import Family, SeriesName
from engine.history.series_queries import Wanted
from engine.history.store import (
    FULL_VINTAGE_DAYS,
    INSTALLATION_SITE_ID,
    MIN_GOOD_MINUTES,
    ForecastPairs,
)

_QUARTER_US = QUARTER_HOUR_S * 1_000_000
_SOURCES = {
    "minutes": f"SELECT * FROM h.{MINUTES}",
    "quarter_hours": f"SELECT * FROM h.{QUARTER_HOURS}",
    "plan_steps": (
        "SELECT s.*, p.site_id, p.created_at AS plan_created_at "
        "FROM h.plan_steps s JOIN h.plans p ON s.plan_id = p.plan_id"
    ),
    "forecast_steps": (
        "SELECT site_id, signal, model, issued_at, step, p10[step + 1] AS p10, "
        "p50[step + 1] AS p50, p90[step + 1] AS p90, known[step + 1] AS known, "
        "start_at + step * INTERVAL '15 minutes' AS ts "
        "FROM h.forecasts, generate_series(0, n_steps - 1) AS step"
    ),
}
_ARROW = {
    "TIMESTAMP": pa.timestamp("us"),
    "DATE": pa.date32(),
    "DOUBLE": pa.float64(),
    "FLOAT": pa.float32(),
    "INTEGER": pa.int32(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR": pa.string(),
}


def newest_sample(session: Session, site_id: str) -> tuple[str, datetime] | None:
    """Return the table of samples and the time of the newest one of a site, if any."""
    rows = session.execute("SELECT max(ts) FROM h.samples WHERE site_id = ?", [site_id]).fetchall()
    return None if rows[0][0] is None else ("h.samples", rows[0][0])


def forecast_pairs(
    session: Session,
    site_id: str,
    signal: str,
    model: str,
    *,
    since: datetime,
    until: datetime,
    lead_steps: Collection[int] | None,
    gap_seconds: float,
) -> ForecastPairs:
    """Return forecasts for the quarter-hours of the period beside what came."""
    check_forecast_signal(signal, "signal")
    start, end = period(since, until)
    steps = fetch(
        session,
        "SELECT issued_at, start_at, (step - 1)::float8 AS step, known[step] AS known, "
        "p10[step] AS p10, p50[step] AS p50, p90[step] AS p90 "
        "FROM h.forecasts, generate_series(1, n_steps) AS step "
        "WHERE site_id = ? AND signal = ? AND model = ? AND issued_at < ? "
        "AND start_at + n_steps * INTERVAL '15 minutes' > ? ORDER BY issued_at, step",
        [site_id, signal, model, end, start],
        {
            **{"issued_at": "time", "start_at": "time", "step": "number", "known": "flag"},
            **dict.fromkeys(("p10", "p50", "p90"), "number"),
        },
    )
    steps["step"] = steps["step"].astype(np.int64)

    def came(quarters: tuple[int, int]) -> FloatArray:
        if signal == PRICE_SIGNAL:
            return published_prices(session, site_id, quarters)
        first, last = quarters
        out = np.full(last - first, np.nan)
        mean = roll_up_column(ColumnKey(signal))
        minutes = series.roll_ups(
            session,
            Wanted(site_id, [mean]),
            (instant(first), instant(last)),
            Resolution.MINUTE,
            gap_seconds,
        )
        usable = np.isfinite(minutes[mean.name])
        index = minutes["ts"].astype(np.int64)[usable] // _QUARTER_US - first
        n = np.bincount(index, minlength=out.size)
        total = np.bincount(index, weights=minutes[mean.name][usable], minlength=out.size)
        good = n >= MIN_GOOD_MINUTES
        out[good] = total[good] / n[good]
        return out

    return pair_up(steps, came, signal, model, span=(start, end), lead_steps=lead_steps)


def points(
    session: Session,
    name: SeriesName,
    *,
    site_id: str,
    since: datetime,
    until: datetime,
    timezone: str,
) -> Points:
    """Return the values of a series; see `PointStore.points`."""
    start, end = period(since, until)
    column = f'"{name.column}"'
    arguments: list[Any] = [site_id, start, end]
    match name.family:
        case Family.PRICE:
            query = (
                f"SELECT DISTINCT ON (ts) ts, minutes * 60.0 AS seconds, {column} AS value "
                "FROM h.prices WHERE site_id = ? AND ts >= ? AND ts < ? ORDER BY ts, minutes"
            )
        case Family.LEDGER | Family.SAVINGS:
            table = "ledger" if name.family is Family.LEDGER else "savings"
            query = (
                f"SELECT ts, {QUARTER_HOUR_S} AS seconds, {column} AS value FROM h.{table} "
                "WHERE site_id = ? AND ts >= ? AND ts < ?"
            )
            if name.family is Family.SAVINGS:
                query += " AND baseline = ?"
                arguments.append(name.baseline)
            query += " ORDER BY ts"
        case Family.PLAN:
            # the step that was running when a plan was made was its own already
            query = (
                "SELECT DISTINCT ON (s.ts) s.ts, p.step_minutes * 60.0 AS seconds, "
                f"s.{column} AS value FROM h.plan_steps s JOIN h.plans p ON s.plan_id = p.plan_id "
                "WHERE p.site_id = ? AND s.ts >= ? AND s.ts < ? "
                "AND p.created_at < s.ts + p.step_minutes * INTERVAL '1 minute' "
                "ORDER BY s.ts, p.created_at DESC"
            )
        case Family.FORECAST:
            lead_s = name.lead_hours * 3600.0
            if lead_s == 0.0:
                # the quarter-hour that is running is forecast as well
                lead_s = 1e-6 - QUARTER_HOUR_S
            query = (
                f"SELECT DISTINCT ON (ts) ts, {QUARTER_HOUR_S} AS seconds, value FROM ("
                "SELECT issued_at, start_at + (step - 1) * INTERVAL '15 minutes' AS ts, "
                f"{column}[step]::float8 AS value FROM h.forecasts, "
                "generate_series(1, n_steps) AS step WHERE site_id = ? AND signal = ? "
                f"AND {'model <> ?' if name.model is None else 'model = ?'} "
                "AND issued_at < ? AND start_at + n_steps * INTERVAL '15 minutes' > ?) AS steps "
                "WHERE ts >= ? AND ts < ? AND issued_at <= ts - ? * INTERVAL '1 second' "
                "ORDER BY ts, issued_at DESC"
            )
            model = MODEL_RUN if name.model is None else name.model
            arguments = [site_id, name.signal, model, end, start, start, end, lead_s]
        case Family.METRIC:
            return metric_points(session, name, site_id, (since, until), ZoneInfo(timezone))
        case Family.MEASURED:
            raise ValueError("a measured series has columns, not points")
    kinds = {"ts": "time", "seconds": "number", "value": "number"}
    found = fetch(session, query, arguments, kinds)
    return Points(ts=found["ts"], seconds=found["seconds"], values=found["value"])


def table_rows(
    session: Session,
    table: TableInfo,
    columns: Sequence[str],
    *,
    site_id: str,
    since: datetime,
    until: datetime,
    timezone: str,
) -> Any:
    """Return rows of a period as an Arrow table; see `TableStore.table_rows`."""
    infos = [table.column(name) for name in columns]
    bounds: list[Any] = list(period(since, until))
    if table.is_daily:
        zone = ZoneInfo(timezone)
        # a day belongs to the period when its midnight does
        bounds = [first_day_from(moment, zone) for moment in (since, until)]
    rows = session.execute(
        f"SELECT {select_list(columns)} FROM ({_source(table)}) AS t "
        f'WHERE site_id IN (?, ?) AND "{table.time_column}" >= ? AND "{table.time_column}" < ? '
        f"ORDER BY {select_list(table.order)}",
        [site_id, _also(table, site_id), *bounds],
    ).fetchall()
    found = list(zip(*rows, strict=True)) if rows else [()] * len(infos)
    return pa.table(
        {
            info.name: pa.array(list(values), _arrow_type(info.sql_type))
            for info, values in zip(infos, found, strict=True)
        }
    )


def extent(session: Session, table: TableInfo, site_id: str) -> tuple[datetime, datetime] | None:
    """Return the first and the last time of the rows; see `TableStore.extent`."""
    column = f'"{table.time_column}"'
    rows = session.execute(
        f"SELECT min({column}), max({column}) FROM ({_source(table)}) AS t WHERE site_id IN (?, ?)",
        [site_id, _also(table, site_id)],
    ).fetchall()
    first, last = rows[0]
    if first is None:
        return None
    if table.is_daily:
        first, last = (datetime.combine(day, time(0), UTC) for day in (first, last))
    return utc(first), utc(last)


def imported_span(session: Session, site_id: str) -> tuple[datetime, datetime] | None:
    """Return from when to when there are imported samples; see `PointStore.imported_span`."""
    # the word stands in the text: so the partial indexes answer
    each = " UNION ALL ".join(
        f"SELECT min(ts) AS first, max(ts) + INTERVAL '15 minutes' AS last FROM h.{table} "
        f"WHERE site_id = ? AND state = '{IMPORTED_STATE}'"
        for table in ("samples", QUARTER_HOURS)
    )
    rows = session.execute(
        f"SELECT min(first), max(last) FROM ({each}) AS spans", 2 * [site_id]
    ).fetchall()
    first, last = rows[0]
    return None if first is None else (utc(first), utc(last))


def drop_expired(session: Session, site_id: str, retention: Retention, now: datetime) -> bool:
    """Delete samples, minutes and forecasts of a site that are kept no longer.

    Samples are kept for `Retention.archive_months`, as long as those in an archive elsewhere;
    a call deletes one day of them at most, and none that still lack a roll-up.

    Returns:
        True when nothing is left to delete.
    """
    minutes_from = datetime.combine(retention.minutes_from(now), time(0), UTC)
    vintages_from = (now - timedelta(days=FULL_VINTAGE_DAYS)).replace(
        minute=0, second=0, microsecond=0
    )
    done = True
    with session.transaction():
        cut = session.execute(
            f"DELETE FROM h.{MINUTES} WHERE site_id = ? AND ts < ?", [site_id, minutes_from]
        ).rowcount
        if cut:
            _keep_from(session, site_id, minutes_from)
        session.execute(
            "DELETE FROM h.forecasts f WHERE site_id = ? AND issued_at < ? AND EXISTS ("
            "SELECT 1 FROM h.forecasts e WHERE e.site_id = f.site_id AND e.signal = f.signal "
            "AND e.model = f.model AND e.issued_at < f.issued_at "
            "AND e.issued_at >= date_trunc('hour', f.issued_at))",
            [site_id, vintages_from],
        )
        samples_from = retention.archive_from(now)
        if samples_from is not None:
            limit = datetime.combine(samples_from, time(0), UTC)
            rows = session.execute(
                "SELECT min(ts) FROM h.samples WHERE site_id = ? AND ts < ? AND NOT EXISTS ("
                "SELECT 1 FROM h.roll_up_pending p WHERE p.site_id = samples.site_id "
                "AND p.start_at < ?)",
                [site_id, limit, limit],
            ).fetchall()
            first = rows[0][0]
            if first is not None:
                to = min(utc(first) + timedelta(days=1), limit)
                session.execute("DELETE FROM h.samples WHERE site_id = ? AND ts < ?", [site_id, to])
                _keep_from(session, site_id, to)
                done = to >= limit
    return done


def _keep_from(session: Session, site_id: str, ts: datetime) -> None:
    session.execute("INSERT INTO h.kept_from VALUES (?, ?)", [site_id, ts])
    session.execute(
        "DELETE FROM h.kept_from k WHERE site_id = ? "
        "AND ts < (SELECT max(ts) FROM h.kept_from m WHERE m.site_id = k.site_id)",
        [site_id],
    )


def _source(table: TableInfo) -> str:
    source = _SOURCES.get(table.name, f"SELECT * FROM h.{table.name}")
    return f"SELECT {select_list(c.name for c in table.columns)} FROM ({source}) AS s"


def _also(table: TableInfo, site_id: str) -> str:
    return INSTALLATION_SITE_ID if table.name == "events" else site_id


def _arrow_type(sql_type: str) -> Any:
    if sql_type.endswith("[]"):
        return pa.list_(_ARROW[sql_type[:-2]])
    return _ARROW[sql_type]

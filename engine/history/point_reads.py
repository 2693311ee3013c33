"""Series that are not measured: prices, bookings, baselines, plans, forecasts, key figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import MODEL_RUN, FloatArray
from engine.domain.local_days import local_midnight
from engine.history.queries import period
from engine.history.roll_up_columns import IMPORTED_STATE
from engine.history.rows import naive_utc, utc
from engine.history.schema import QUARTER_HOURS
from engine.history.series_names import Family, SeriesName
from engine.history.sql_cursor import SqlCursor

LONGEST_INTERVAL = timedelta(days=1)
"""No value of these series holds for longer."""

_STEP_SECONDS = 900.0


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Values that hold for an interval each; every array has shape (n,).

    Attributes:
        ts: Start of each interval, UTC, as ``datetime64[us]``, ascending.
        seconds: Its length.
        values: Its value; NaN where it is not known.
    """

    ts: NDArray[np.datetime64]
    seconds: FloatArray
    values: FloatArray


class PointStore(Protocol):
    """Series that are not measured."""

    def points(
        self, name: SeriesName, site_id: str, since: datetime, until: datetime, timezone: str
    ) -> Points:
        """Return the values whose intervals start in the period.

        Args:
            name: Any series but a measured one.
            site_id: The site.
            since: Start of the period.
            until: End of the period.
            timezone: IANA name of the site's time zone, for series by local day.

        Raises:
            HistoryError: A time is naive, or the store cannot answer.
        """
        ...

    def imported_span(self, site_id: str) -> tuple[datetime, datetime] | None:
        """Return the time from the first to the last imported sample, UTC; None without any.

        Samples that are archived before they are rolled up are not seen.
        """
        ...


def imported_span(
    cursor: duckdb.DuckDBPyConnection, site_id: str
) -> tuple[datetime, datetime] | None:
    """Return from when to when there are imported samples; see `PointStore.imported_span`."""
    each = " UNION ALL ".join(
        f"SELECT min(ts) AS first, max(ts) + INTERVAL 15 MINUTE AS last FROM h.{table} "
        "WHERE site_id = ? AND state = ?"
        for table in ("samples", QUARTER_HOURS)
    )
    rows = cursor.execute(
        f"SELECT min(first), max(last) FROM ({each})", 2 * [site_id, IMPORTED_STATE]
    ).fetchall()
    first, last = rows[0]
    return None if first is None else (utc(first), utc(last))


def points(
    cursor: duckdb.DuckDBPyConnection,
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
    match name.family:
        case Family.PRICE:
            # the shortest of several published for the same time says most about it
            sql = (
                f"SELECT ts, min(minutes) * 60.0 AS seconds, arg_min({column}, minutes) AS value "
                "FROM h.prices WHERE site_id = ? AND ts >= ? AND ts < ? GROUP BY ts ORDER BY ts"
            )
            arguments: list[Any] = [site_id, start, end]
        case Family.LEDGER:
            sql = (
                f"SELECT ts, {_STEP_SECONDS} AS seconds, {column} AS value FROM h.ledger "
                "WHERE site_id = ? AND ts >= ? AND ts < ? ORDER BY ts"
            )
            arguments = [site_id, start, end]
        case Family.SAVINGS:
            sql = (
                f"SELECT ts, {_STEP_SECONDS} AS seconds, {column} AS value FROM h.savings "
                "WHERE site_id = ? AND ts >= ? AND ts < ? AND baseline = ? ORDER BY ts"
            )
            arguments = [site_id, start, end, name.baseline]
        case Family.PLAN:
            # the step that was running when a plan was made was its own already
            sql = (
                f"SELECT s.ts, any_value(p.step_minutes) * 60.0 AS seconds, "
                f"arg_max(s.{column}, p.created_at) AS value "
                "FROM h.plan_steps s JOIN h.plans p ON s.plan_id = p.plan_id "
                "WHERE p.site_id = ? AND s.ts >= ? AND s.ts < ? "
                "AND p.created_at < s.ts + to_minutes(p.step_minutes) "
                "GROUP BY s.ts ORDER BY s.ts"
            )
            arguments = [site_id, start, end]
        case Family.FORECAST:
            sql = (
                f"SELECT ts, {_STEP_SECONDS} AS seconds, arg_max(value, issued_at) AS value FROM ("
                "SELECT issued_at, start_at + unnest(range(n_steps)) * INTERVAL 15 MINUTE AS ts, "
                f"unnest({column})::DOUBLE AS value FROM h.forecasts "
                "WHERE site_id = ? AND signal = ? AND (model = ? OR (? IS NULL AND model <> ?)) "
                "AND issued_at < ? AND start_at + n_steps * INTERVAL 15 MINUTE > ?) "
                "WHERE ts >= ? AND ts < ? AND issued_at <= ts - to_seconds(?) "
                "GROUP BY ts ORDER BY ts"
            )
            lead_s = name.lead_hours * 3600.0
            if lead_s == 0.0:
                # the quarter-hour that is running is forecast as well
                lead_s = 1e-6 - _STEP_SECONDS
            arguments = [
                site_id,
                name.signal,
                name.model,
                name.model,
                MODEL_RUN,
                end,
                start,
                start,
                end,
                lead_s,
            ]
        case Family.METRIC:
            return metric_points(cursor, name, site_id, (since, until), ZoneInfo(timezone))
        case Family.MEASURED:
            raise ValueError("a measured series has columns, not points")
    found = cursor.execute(sql, arguments).fetchnumpy()
    return Points(
        ts=found["ts"].astype("datetime64[us]"),
        seconds=_floats(found["seconds"]),
        values=_floats(found["value"]),
    )


def metric_points(
    cursor: SqlCursor,
    name: SeriesName,
    site_id: str,
    bounds: tuple[datetime, datetime],
    zone: ZoneInfo,
) -> Points:
    """Return one point per local day of a key figure; days that start outside are left out."""
    since, until = bounds
    rows = cursor.execute(
        "SELECT day, value FROM h.metrics WHERE site_id = ? AND metric = ? "
        "AND day >= ? AND day <= ? ORDER BY day",
        [site_id, name.column, since.astimezone(zone).date(), until.astimezone(zone).date()],
    ).fetchall()
    starts = [(local_midnight(day, zone), value) for day, value in rows]
    kept = [(start, value) for start, value in starts if since <= start < until]
    return Points(
        ts=np.array([naive_utc(start) for start, _ in kept], dtype="datetime64[us]"),
        seconds=np.full(len(kept), LONGEST_INTERVAL.total_seconds()),
        values=np.array([np.nan if v is None else v for _, v in kept], dtype=np.float64),
    )


def _floats(values: Any) -> FloatArray:
    filled = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    return np.asarray(filled, dtype=np.float64)

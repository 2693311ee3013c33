"""Reads of stored forecasts, and of what came instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import PRICE_SIGNAL, FloatArray, Forecast
from engine.domain.quarter_hour import STEP
from engine.history.checks import check_forecast_signal, check_time
from engine.history.columns import ColumnKey, Resolution
from engine.history.forecast_rows import (
    HEADER_COLUMNS,
    VALUE_COLUMNS,
    forecast_from_row,
    header_from_row,
)
from engine.history.queries import period
from engine.history.roll_up_columns import roll_up_column
from engine.history.rows import naive_utc, utc, utc_microseconds
from engine.history.sample_source import SampleSource
from engine.history.series_queries import Wanted, one_moment, roll_up_relation
from engine.history.spans import Span
from engine.history.sql_cursor import SqlCursor
from engine.history.store import MIN_GOOD_MINUTES, ForecastHeader, ForecastPairs

_STEP_US = STEP // timedelta(microseconds=1)
_WEEK_STEPS = timedelta(days=7) // STEP
_LONGEST_PRICE = timedelta(days=1)


def forecasts(
    cursor: SqlCursor,
    site_id: str,
    signal: str,
    since: datetime,
    until: datetime,
    *,
    model: str | None,
) -> list[ForecastHeader]:
    """Return headers of forecasts issued in the period."""
    check_forecast_signal(signal, "signal")
    rows = cursor.execute(
        f"SELECT {', '.join(HEADER_COLUMNS)} FROM h.forecasts "
        "WHERE site_id = ? AND signal = ? AND issued_at >= ? AND issued_at < ? "
        "AND (?::VARCHAR IS NULL OR model = ?) ORDER BY issued_at, model",
        [site_id, signal, *period(since, until), model, model],
    ).fetchall()
    return [header_from_row(row) for row in rows]


def forecast(
    cursor: SqlCursor, site_id: str, signal: str, issued_at: datetime, model: str
) -> Forecast | None:
    """Return one forecast."""
    check_forecast_signal(signal, "signal")
    check_time(issued_at, "issued_at")
    rows = cursor.execute(
        f"SELECT {', '.join((*HEADER_COLUMNS, *VALUE_COLUMNS))} FROM h.forecasts "
        "WHERE site_id = ? AND signal = ? AND issued_at = ? AND model = ?",
        [site_id, signal, naive_utc(issued_at), model],
    ).fetchall()
    return forecast_from_row(rows[0]) if rows else None


def forecast_pairs(
    cursor: duckdb.DuckDBPyConnection,
    source: SampleSource,
    site_id: str,
    signal: str,
    model: str,
    *,
    since: datetime,
    until: datetime,
    lead_steps: Collection[int] | None,
) -> ForecastPairs:
    """Return forecasts for the quarter-hours of the period beside what came."""
    check_forecast_signal(signal, "signal")
    start, end = period(since, until)
    steps = cursor.execute(
        "SELECT issued_at, start_at, unnest(range(n_steps)) AS step, unnest(known) AS known, "
        "unnest(p10) AS p10, unnest(p50) AS p50, unnest(p90) AS p90 FROM ("
        "SELECT * FROM h.forecasts WHERE site_id = ? AND signal = ? AND model = ? "
        f"AND issued_at < ? AND start_at + n_steps * INTERVAL {STEP.seconds} SECOND > ? "
        "ORDER BY issued_at)",
        [site_id, signal, model, end, start],
    ).fetchnumpy()
    return pair_up(
        steps,
        lambda quarters: _what_came(cursor, source, site_id, signal, quarters),
        signal,
        model,
        span=(start, end),
        lead_steps=lead_steps,
    )


def pair_up(
    steps: Mapping[str, Any],
    what_came: Callable[[tuple[int, int]], FloatArray],
    signal: str,
    model: str,
    *,
    span: Span,
    lead_steps: Collection[int] | None,
) -> ForecastPairs:
    """Return forecast steps beside what came.

    Args:
        steps: ``issued_at``, ``start_at``, ``step``, ``known`` and the quantiles, an array each.
        what_came: What came in the quarter-hours [first, last), counted since 1970; NaN for gaps.
        signal: The signal.
        model: The model.
        span: Period of the quarter-hours that are forecast.
        lead_steps: Leads wanted, in quarter-hours; all when None.
    """
    start, end = span
    target = _quarter_number(steps["start_at"]) + steps["step"]
    lead = target - _quarter_number(steps["issued_at"])
    # quarter-hours start in the period, as everything else that is asked for by period
    first, last = -(-_microseconds(start) // _STEP_US), -(-_microseconds(end) // _STEP_US)
    wanted = ~steps["known"] & (lead >= 0) & (target >= first) & (target < last)
    if lead_steps is not None:
        wanted &= np.isin(lead, list(lead_steps))
    came = what_came((first - _WEEK_STEPS, max(first, last)))
    index = np.where(wanted, target - first, 0)
    actual = came[index + _WEEK_STEPS] if last > first else np.full(index.shape, np.nan)
    wanted &= np.isfinite(actual)
    return ForecastPairs(
        signal=signal,
        model=model,
        ts=(target[wanted] * _STEP_US).astype("datetime64[us]"),
        issued_at=steps["issued_at"][wanted],
        lead_steps=lead[wanted],
        p10=steps["p10"][wanted].astype(np.float64),
        p50=steps["p50"][wanted].astype(np.float64),
        p90=steps["p90"][wanted].astype(np.float64),
        actual=actual[wanted],
        naive=came[index[wanted]],
    )


def _what_came(
    cursor: duckdb.DuckDBPyConnection,
    source: SampleSource,
    site_id: str,
    signal: str,
    quarters: tuple[int, int],
) -> FloatArray:
    """Return what came in the quarter-hours [first, last), counted since 1970; NaN for gaps."""
    first, last = quarters
    if signal == PRICE_SIGNAL:
        return published_prices(cursor, site_id, quarters)
    start, end = instant(first), instant(last)
    out = np.full(last - first, np.nan)
    mean = roll_up_column(ColumnKey(signal))
    with one_moment(cursor):
        wanted = Wanted(site_id, [mean])
        minutes = roll_up_relation(cursor, source, wanted, (start, end), Resolution.MINUTE)
        means = cursor.execute(
            f"""SELECT epoch_us(time_bucket(INTERVAL 15 MINUTE, ts)) AS quarter,
                       avg({mean.name}) AS mean
                FROM ({minutes}) WHERE {mean.name} IS NOT NULL
                GROUP BY quarter HAVING count(*) >= ?""",
            [MIN_GOOD_MINUTES],
        ).fetchnumpy()
    out[means["quarter"] // _STEP_US - first] = means["mean"]
    return out


def published_prices(cursor: SqlCursor, site_id: str, quarters: tuple[int, int]) -> FloatArray:
    """Return the prices of the quarter-hours [first, last), counted since 1970; NaN for gaps."""
    first, last = quarters
    out = np.full(last - first, np.nan)
    # the shortest interval last: it says most about its quarter-hours
    rows = cursor.execute(
        "SELECT ts, minutes, spot_eur_per_kwh FROM h.prices "
        "WHERE site_id = ? AND ts >= ? AND ts < ? ORDER BY minutes DESC",
        [site_id, instant(first) - _LONGEST_PRICE, instant(last)],
    ).fetchall()
    for ts, minutes, spot in rows:
        begin = _microseconds(ts) // _STEP_US - first
        stop = begin + minutes * 60_000_000 // _STEP_US
        out[max(0, begin) : max(0, stop)] = spot
    return out


def _quarter_number(ts: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Return which quarter-hour since 1970 holds each of `ts`."""
    return ts.astype("datetime64[us]").astype(np.int64) // _STEP_US


def _microseconds(naive: datetime) -> int:
    return utc_microseconds(utc(naive))


def instant(quarter: int) -> datetime:
    """Return the start of a quarter-hour counted since 1970, as the database keeps times."""
    return datetime(1970, 1, 1) + quarter * STEP  # noqa: DTZ001

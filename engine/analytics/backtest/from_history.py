"""A case from what the program itself recorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from engine.analytics.backtest.case import SiteSeries
from engine.domain.errors import BacktestError
from engine.domain.forecast import MODEL_RUN, Forecast
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP
from engine.domain.records import PriceRow
from engine.domain.series import MeasuredPoint
from engine.history.store import HistoryStore

LONGEST_GAP = 8
"""Quarter-hours without a measurement that are interpolated, and said; longer ones end the past."""

_LONGEST_PRICE = timedelta(days=1)
_PAST = timedelta(days=210)


def series_from_history(
    store: HistoryStore,
    site_id: str,
    start: datetime,
    end: datetime,
    *,
    past: timedelta = _PAST,
) -> SiteSeries:
    """Return what was measured and published in a period, with its unbroken past.

    Args:
        store: The history.
        site_id: The site.
        start: Start of the period, on a quarter-hour, aware.
        end: Its end.
        past: How far back forecasters may learn.

    Raises:
        BacktestError: Something is missing within the period.
        HistoryError: The history could not be read.
    """
    begin = start - past
    n, first = (end - begin) // STEP, past // STEP
    means = store.quarter_hour_means(site_id, ("load_kw", "pv_kw"), begin, end)
    rows = store.prices(site_id, begin - _LONGEST_PRICE, end)
    spot = published_steps(rows, begin, n)
    load, n_bridged = bridged(_column(means, "load_kw", begin, n))
    pv = _column(means, "pv_kw", begin, n)
    notes = []
    if np.isfinite(pv[first:]).any():
        pv, more = bridged(pv)
        n_bridged += more
    else:
        pv = np.zeros(n)
        notes.append("No PV was measured: the site is taken to have none.")
    for name, values in (("spot_eur_per_kwh", spot), ("load_kw", load), ("pv_kw", pv)):
        missing = np.flatnonzero(~np.isfinite(values[first:]))
        if missing.size:
            at = start + int(missing[0]) * STEP
            raise BacktestError(
                f"{name} is not known at {at:%Y-%m-%d %H:%M} UTC ({missing.size} quarter-hours "
                "of the period).",
                field=name,
                value=at.isoformat(),
                hint="Choose a period without a long gap, or import the missing data.",
            )
    known = np.isfinite(spot) & np.isfinite(load) & np.isfinite(pv)
    gaps = np.flatnonzero(~known[:first])
    cut = int(gaps[-1]) + 1 if gaps.size else 0
    if n_bridged:
        notes.append(f"{n_bridged} quarter-hours without a measurement were interpolated.")
    return SiteSeries(
        start=begin + cut * STEP,
        spot_eur_per_kwh=spot[cut:],
        load_kw=np.maximum(load[cut:], 0.0),
        pv_kw=np.maximum(pv[cut:], 0.0),
        notes=tuple(notes),
    )


def vintages_from_history(
    store: HistoryStore, site_id: str, signals: Sequence[str], start: datetime, end: datetime
) -> tuple[Forecast, ...]:
    """Return the recorded forecasts issued in a period, ascending per signal.

    One read per forecast: seconds for a week, a minute for a quarter of a year.

    Raises:
        HistoryError: The history could not be read.
    """
    out = []
    for signal in signals:
        for header in store.forecasts(site_id, signal, start, end):
            if header.model == MODEL_RUN:
                continue
            found = store.forecast(site_id, signal, header.issued_at, header.model)
            if found is not None:
                out.append(found)
    return tuple(out)


def published_steps(rows: Sequence[PriceRow], start: datetime, n: int) -> FloatArray:
    """Return the day-ahead price of `n` quarter-hours from `start`, NaN where none is known."""
    out = np.full(n, np.nan)
    # The shortest interval last: it says most about its quarter-hours.
    for row in sorted(rows, key=lambda row: -row.minutes):
        begin = (row.ts - start) // STEP
        stop = begin + row.minutes * 60 // int(STEP.total_seconds())
        out[max(0, begin) : max(0, stop)] = row.spot_eur_per_kwh
    return out


def _column(means: Sequence[MeasuredPoint], signal: str, start: datetime, n: int) -> FloatArray:
    out = np.full(n, np.nan)
    for point in means:
        value, index = point.values.get(signal), (point.ts - start) // STEP
        if value is not None and 0 <= index < n:
            out[index] = value
    return out


def bridged(values: FloatArray) -> tuple[FloatArray, int]:
    """Return values with gaps up to `LONGEST_GAP` interpolated, and how many steps that were."""
    known, out, count = np.isfinite(values), values.copy(), 0
    edges = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]]).astype(np.int8)))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if end - first <= LONGEST_GAP and first > 0 and end < values.size:
            around = values[first - 1], values[end]
            out[first:end] = np.interp(np.arange(first, end), [first - 1, end], around)
            count += int(end - first)
    return out, count

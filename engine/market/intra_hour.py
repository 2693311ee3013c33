"""Hourly prices refined to quarter-hours by the usual movement inside the hour.

Where only hourly prices can be had but the tariff settles quarter-hours, planning on the hourly
mean repeated earns 75.7 % of what quarter-hour prices would; adding the mean deviation of each
quarter from its hour over the last 28 days earns 88.4 % (notes/forecasting 4.2).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP
from engine.market.intervals import HOUR_MINUTES, QUARTER_MINUTES
from engine.market.prices import DayAheadPrices

PROFILE_DAYS = 28
MIN_DAYS = 7
"""Fewer days say nothing about an hour; it stays as published."""

_HOUR = timedelta(hours=1)

_MARK = " + intra-hour profile"


def intra_hour_profile(
    prices: DayAheadPrices, until: datetime, zone: ZoneInfo, days: int = PROFILE_DAYS
) -> NDArray[np.float64]:
    """Return the mean deviation of each quarter from its hour, from quarter-hour prices only.

    Args:
        prices: Prices with a quarter-hour past.
        until: End of the days learned from, aware.
        zone: Local time, which the movement inside an hour follows.
        days: Days before `until` to learn from.

    Returns:
        EUR/kWh, shape (24, 4), rows are local hours and sum to zero; NaN rows where fewer than
        `MIN_DAYS` hours are known.
    """
    sums, counts = np.zeros((24, 4)), np.zeros(24)
    is_quarter = prices.resolution_minutes == QUARTER_MINUTES
    found = _whole_hours(prices, is_quarter, until - timedelta(days=days), until)
    if found:
        hours = np.array([ts.astimezone(zone).hour for ts, _ in found])
        firsts = np.array([first for _, first in found])
        quarters = prices.spot_eur_per_kwh[firsts[:, None] + np.arange(4)]
        np.add.at(sums, hours, quarters - quarters.mean(axis=1, keepdims=True))
        np.add.at(counts, hours, 1.0)
    out = np.full((24, 4), np.nan)
    known = counts >= MIN_DAYS
    out[known] = sums[known] / counts[known, None]
    return out


def refine_hourly(
    prices: DayAheadPrices, now: datetime, zone: ZoneInfo, days: int = PROFILE_DAYS
) -> DayAheadPrices:
    """Return `prices` with hourly values refined; every hourly mean stays what it was.

    Only whole hours with an hourly price are touched, and only where the profile knows the
    hour. What is touched is marked as estimated.

    Args:
        prices: Mixed hourly and quarter-hour prices.
        now: The quarter-hour past before this instant is learned from.
        zone: Local time.
        days: Days to learn from.
    """
    is_hourly = prices.resolution_minutes == HOUR_MINUTES
    if not is_hourly.any():
        return prices
    profile = intra_hour_profile(prices, now, zone, days)
    spot, index = prices.spot_eur_per_kwh.copy(), prices.origin_index.copy()
    origins = list(prices.origins)
    refined: dict[int, int] = {}
    for ts, first in _whole_hours(prices, is_hourly, prices.start, prices.end):
        hour = ts.astimezone(zone).hour
        if np.isnan(profile[hour]).any():
            continue
        spot[first : first + 4] += profile[hour]
        for i in range(first, first + 4):
            old = int(index[i])
            if old not in refined:
                origin = origins[old]
                origins.append(replace(origin, source=origin.source + _MARK, estimated=True))
                refined[old] = len(origins) - 1
            index[i] = refined[old]
    if not refined:
        return prices
    return DayAheadPrices(
        start=prices.start,
        spot_eur_per_kwh=spot,
        source=prices.source + _MARK,
        fetched_at=prices.fetched_at,
        origins=tuple(origins),
        origin_index=index,
    )


def _whole_hours(
    prices: DayAheadPrices, wanted: NDArray[np.bool_], start: datetime, end: datetime
) -> list[tuple[datetime, int]]:
    """Return start (UTC) and index of the whole hours in ``[start, end)`` with `wanted` steps."""
    first = prices.start.astimezone(UTC)
    skip = -(first.minute // 15) % 4
    hours = (len(wanted) - skip) // 4
    if hours < 1:
        return []
    begin = first + skip * STEP
    known = np.asarray(wanted[skip : skip + 4 * hours].reshape(hours, 4).all(axis=1))
    low, high = -((begin - start) // _HOUR), -((begin - end) // _HOUR)
    number = np.arange(hours)
    known = known & (number >= low) & (number < high)
    return [(begin + int(h) * _HOUR, skip + 4 * int(h)) for h in np.flatnonzero(known)]

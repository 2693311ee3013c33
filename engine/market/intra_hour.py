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
    for ts, first in _whole_hours(prices):
        if not until - timedelta(days=days) <= ts < until:
            continue
        if is_quarter[first : first + 4].all():
            quarters = prices.spot_eur_per_kwh[first : first + 4]
            hour = ts.astimezone(zone).hour
            sums[hour] += quarters - quarters.mean()
            counts[hour] += 1
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
    for ts, first in _whole_hours(prices):
        part = slice(first, first + 4)
        hour = ts.astimezone(zone).hour
        if not is_hourly[part].all() or np.isnan(profile[hour]).any():
            continue
        spot[part] += profile[hour]
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


def _whole_hours(prices: DayAheadPrices) -> list[tuple[datetime, int]]:
    """Return start (UTC) and index of every whole hour of which all quarters are known."""
    first = prices.start.astimezone(UTC)
    skip = -(first.minute // 15) % 4
    spot = prices.spot_eur_per_kwh
    hours = (len(spot) - skip) // 4
    if hours < 1:
        return []
    known = np.isfinite(spot[skip : skip + 4 * hours].reshape(hours, 4)).all(axis=1)
    return [(first + (skip + 4 * int(h)) * STEP, skip + 4 * int(h)) for h in np.flatnonzero(known)]

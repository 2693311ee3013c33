"""Day-ahead prices beyond what is published."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import ForecastError
from engine.domain.quarter_hour import STEP

_MAX_WEEKS_BACK = 4


def similar_day_price(known: dict[datetime, float], ts: datetime, zone: ZoneInfo) -> float | None:
    """Return the price of the similar day at the same local time, or None when unknown.

    Similar-day naive (notes/forecasting 4.2): Monday, Saturday and Sunday look like their
    last week's, other days like the day before; an unknown price looks a week further back.

    Args:
        known: Start of step (UTC) to published price.
        ts: Start of the step asked for, UTC.
        zone: Local time.
    """
    local = ts.astimezone(zone)
    days = 7 if local.weekday() in (0, 5, 6) else 1
    for back in (days, *range(7, 7 * _MAX_WEEKS_BACK + 1, 7)):
        # Aware arithmetic in one zone keeps the wall time, which is what makes days similar.
        twin = (local - timedelta(days=back)).astimezone(ts.tzinfo)
        if twin in known:
            return known[twin]
    return None


def extend_prices(
    published: NDArray[np.float64],
    published_start: datetime,
    start: datetime,
    n: int,
    zone: ZoneInfo,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return prices for every step, published where possible, else from the similar day.

    Args:
        published: Published prices in 15-min steps, EUR/kWh, including some past weeks.
        published_start: Start of the first published step, UTC.
        start: Start of the first step asked for, UTC.
        n: Number of steps.
        zone: Local time.

    Returns:
        Prices in EUR/kWh and a mask that is True where the price is a forecast; both (n,).

    Raises:
        ForecastError: When a step has neither a published price nor a similar day.
    """
    known = {published_start + i * STEP: float(v) for i, v in enumerate(published)}
    prices = np.empty(n)
    is_forecast = np.zeros(n, dtype=np.bool_)
    for i in range(n):
        ts = start + i * STEP
        value = known.get(ts)
        if value is None:
            value = similar_day_price(known, ts, zone)
            is_forecast[i] = True
            if value is None:
                raise ForecastError(
                    f"No price is known or predictable for {ts:%Y-%m-%d %H:%M} UTC.",
                    field="prices",
                    hint="At least one past week of prices is needed.",
                )
            known[ts] = value
        prices[i] = value
    return prices, is_forecast

"""Prices: published where they are, forecast beyond."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.domain.errors import ForecastError
from engine.domain.forecast import PRICE_SIGNAL, FloatArray, Forecast, sorted_quantiles
from engine.domain.quarter_hour import STEP
from engine.forecasting.base import Forecaster
from engine.forecasting.day_table import locate, rows_from_steps
from engine.forecasting.intra_hour import hourly
from engine.market.intra_hour import PROFILE_DAYS, refine_hourly
from engine.market.prices import DayAheadPrices

log = logging.getLogger(__name__)


class PublishedPrices:
    """Published steps as they are, the rest from a model (`Forecaster`).

    Where prices were published by the hour but quarter-hours are settled, the usual movement
    inside the hour is added (`engine.market.intra_hour`) unless the source did so already.
    Such steps are estimates with their own P10/P90 and are not marked known; the mean of each
    hour stays the published one.

    Args:
        model: Forecaster of what is not published.
        published: Returns what is published at a time, with the last weeks.
        zone: Local time.
        settlement_minutes: 15 or 60: what the tariff bills by.
    """

    signal = PRICE_SIGNAL

    def __init__(
        self,
        model: Forecaster,
        published: Callable[[datetime], DayAheadPrices],
        zone: ZoneInfo,
        *,
        settlement_minutes: int = 15,
    ) -> None:
        self.key = model.key
        self._model = model
        self._published = published
        self._zone = zone
        self._settlement_minutes = settlement_minutes

    def fit(self, now: datetime) -> None:
        """Let the model learn; that it cannot is an error only once it is needed (`predict`)."""
        try:
            self._model.fit(now)
        except ForecastError as exc:
            log.info("the price model learnt nothing: %s", exc)

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` (see `Forecaster.predict`).

        Raises:
            ForecastError: When a step is not published and cannot be forecast either.
            MarketError: When no prices can be had at all.
        """
        prices = self._published(now)
        if self._settlement_minutes == 15 and not prices.is_estimated.any():
            prices = refine_hourly(prices, now, self._zone)
        p50 = prices.steps(start, n)
        known = np.isfinite(p50)
        low, high = p50.copy(), p50.copy()
        said = [f"published ({prices.source})"] if known.any() else []
        estimated = _window(prices.is_estimated.astype(np.float64), prices, start, n) > 0.5
        if estimated.any():
            below, above = _spread_within_hours(prices, now, self._zone)
            _, slots = locate(start, n, self._zone, start.date())
            low[estimated] += below[slots[estimated]]
            high[estimated] += above[slots[estimated]]
            known &= ~estimated
        missing = ~np.isfinite(p50)
        model = self.key
        if missing.any():
            rest = self._model.predict(start, n, now)
            for target, source in ((p50, rest.p50), (low, rest.p10), (high, rest.p90)):
                target[missing] = source[missing]
            said.append(f"then {rest.method}" if said else rest.method)
            model = rest.model
        low, p50, high = sorted_quantiles(low, p50, high)
        return Forecast(
            signal=PRICE_SIGNAL,
            start=start,
            p10=low,
            p50=p50,
            p90=high,
            issued_at=now,
            model=model,
            method=", ".join(said),
            known=known,
        )


def _window(values: FloatArray, prices: DayAheadPrices, start: datetime, n: int) -> FloatArray:
    """Return `n` steps from `start` of values given per published step, 0 elsewhere."""
    out = np.zeros(n)
    offset = (start - prices.start) // STEP
    first, last = max(0, -offset), min(n, len(values) - offset)
    if last > first:
        out[first:last] = values[offset + first : offset + last]
    return out


def _spread_within_hours(
    prices: DayAheadPrices, now: datetime, zone: ZoneInfo
) -> tuple[FloatArray, FloatArray]:
    """Return P10 and P90 of the movement inside the hour around its mean; shape (96,) each.

    From the days of the last four weeks that were published by quarter-hours; zeros without.
    """
    first = (now - timedelta(days=PROFILE_DAYS)).astimezone(zone).date()
    spot = np.where(prices.resolution_minutes == 15, prices.spot_eur_per_kwh, np.nan)
    days = rows_from_steps(prices.start, spot, zone, first, PROFILE_DAYS)
    days = days[np.isfinite(days).all(axis=1)]
    if len(days) == 0:
        return np.zeros(96), np.zeros(96)
    movement = days - np.repeat(hourly(days), 4, axis=1)
    low, high = np.quantile(movement - movement.mean(axis=0), [0.1, 0.9], axis=0)
    return np.minimum(low, 0.0), np.maximum(high, 0.0)

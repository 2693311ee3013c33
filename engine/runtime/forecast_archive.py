"""Past forecasts beside what came, and the weather behind PV, for people who look back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from engine.analytics.backtest.from_history import published_steps
from engine.domain.forecast import MODEL_RUN, PRICE_SIGNAL, FloatArray, Forecast
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.series import quarter_hour_values
from engine.history.store import MIN_GOOD_MINUTES, ForecastHeader, HistoryStore
from engine.runtime.market_service import MarketService
from engine.weather.sources_live import WeatherStatus
from engine.weather.weather import WeatherForecast

_LONGEST_PRICE = timedelta(days=1)


@dataclass(frozen=True, slots=True, eq=False)
class Came:
    """What was measured, or published, quarter-hour by quarter-hour.

    Attributes:
        start: Start of the first quarter-hour, UTC.
        values: In the unit of the signal, NaN where nothing is known; shape (n,).
    """

    start: datetime
    values: FloatArray

    def at(self, start: datetime, n: int) -> FloatArray:
        """Return `n` quarter-hours from `start` (on the quarter), NaN where nothing is known."""
        out = np.full(n, np.nan)
        shift = (self.start - start) // STEP
        begin, stop = max(0, shift), min(n, shift + self.values.size)
        if stop > begin:
            out[begin:stop] = self.values[begin - shift : stop - shift]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class WeatherInputs:
    """The weather that PV is forecast from.

    Attributes:
        forecast: The newest forecast that still holds; None when there is none.
        status: How its source is doing; None where it is not fetched.
    """

    forecast: WeatherForecast | None
    status: WeatherStatus | None


class ForecastArchive:
    """Past forecasts of one site. Thread-safe.

    Args:
        store: Holds forecasts, measurements and prices.
        site_id: The site.
        market: Holds the weather source, if there is one.
    """

    def __init__(self, store: HistoryStore, site_id: str, market: MarketService) -> None:
        self._store = store
        self._site_id = site_id
        self._market = market

    def vintages(self, signal: str, since: datetime, until: datetime) -> list[ForecastHeader]:
        """Return the forecasts that were planned with, issued in the period, oldest first.

        Raises:
            HistoryError: The history could not be read.
        """
        issued = self._store.forecasts(self._site_id, signal, since, until)
        return [header for header in issued if header.model != MODEL_RUN]

    def vintage(self, signal: str, issued_at: datetime, model: str) -> Forecast | None:
        """Return one forecast as it was issued, or None.

        Raises:
            HistoryError: The history could not be read.
        """
        return self._store.forecast(self._site_id, signal, issued_at, model)

    def came(self, signal: str, since: datetime, until: datetime) -> Came:
        """Return what came from the quarter-hour of `since` up to `until`.

        A price came as published; load and PV as the mean of a quarter-hour that was measured
        in at least `MIN_GOOD_MINUTES` of its minutes, as accuracy counts them.

        Raises:
            HistoryError: The history could not be read.
        """
        start = quarter_start(since)
        n = max(0, -((start - until) // STEP))
        if signal == PRICE_SIGNAL:
            return Came(start, self._published(start, n))
        minutes = self._store.minute_means(self._site_id, (signal,), start, start + n * STEP)
        return Came(
            start,
            quarter_hour_values(minutes, signal, start, n, fewest_minutes=MIN_GOOD_MINUTES),
        )

    def _published(self, start: datetime, n: int) -> FloatArray:
        rows = self._store.prices(self._site_id, start - _LONGEST_PRICE, start + n * STEP)
        return published_steps(rows, start, n)

    def weather(self, now: datetime) -> WeatherInputs | None:
        """Return the weather behind PV forecasts; None where no source is configured."""
        source, live = self._market.weather, self._market.live_weather
        if source is None:
            return None
        return WeatherInputs(source.forecast(now), None if live is None else live.status())

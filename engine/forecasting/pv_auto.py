"""The PV forecast to plan with: the best method that the data at hand allow, and why."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from engine.domain.errors import EmsError, ForecastError
from engine.domain.forecast import PV_SIGNAL, Forecast, sorted_quantiles
from engine.forecasting.base import Forecaster
from engine.forecasting.pv_clear_sky import ClearSkyPersistence, running_pv_mean
from engine.forecasting.pv_weather import WeatherPv
from engine.forecasting.running_step import RunningMean, blend_running_step, elapsed_share

_RECENT_DAYS_LOW = 0.3
_RECENT_DAYS_HIGH = 1.8


class BestPv:
    """Weather-based where there is fresh weather, else clear-sky persistence, else recent days.

    Where the weather forecast ends before the horizon, clear-sky persistence continues it.
    `method` always names what was used and why nothing better was.

    Args:
        weather: Weather-based forecaster; None when no weather source or location is set.
        clear_sky: Forecaster without weather.
        recent_days: Mean of recent days: `DayTypeMedian` with ``by_weekday=False, days=7,
            scaling=True, tau_hours=3``. Its P10 and P90 are assumed as 0.3 and 1.8 times its
            median where it gives none.
        limit_kw: Installed AC power, never exceeded; None when unknown.
        running_mean: Mean of the running quarter-hour so far; used with `recent_days`, the
            other forecasters take it themselves.
    """

    def __init__(
        self,
        weather: WeatherPv | None,
        clear_sky: ClearSkyPersistence,
        recent_days: Forecaster,
        *,
        limit_kw: float | None = None,
        running_mean: RunningMean | None = None,
    ) -> None:
        self.key = "pv_auto"
        self.signal = PV_SIGNAL
        self._weather = weather
        self._clear_sky = clear_sky
        self._recent_days = recent_days
        self._limit_kw = limit_kw
        self._running_mean = running_mean

    def fit(self, now: datetime) -> None:
        """Let every part learn that has something to learn from.

        Raises:
            ForecastError: When no part has.
        """
        reasons = []
        parts: list[Forecaster] = [self._clear_sky, self._recent_days]
        if self._weather is not None:
            parts.insert(0, self._weather)
        for part in parts:
            try:
                part.fit(now)
            except ForecastError as error:
                reasons.append(str(error))
        if len(reasons) == len(parts):
            raise _nothing_works(reasons)

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` (see `Forecaster.predict`).

        Raises:
            ForecastError: When no method works; the message holds the reason of each.
        """
        reasons: list[str] = []
        if self._weather is None:
            reasons.append("no weather source or location is set")
        else:
            try:
                return self._from_weather(self._weather, start, n, now)
            except EmsError as error:
                reasons.append(error.message)
        try:
            return self._renamed(self._clear_sky.predict(start, n, now), reasons)
        except EmsError as error:
            reasons.append(error.message)
        try:
            return self._from_recent_days(start, n, now, reasons)
        except EmsError as error:
            reasons.append(error.message)
        raise _nothing_works(reasons)

    def _from_weather(self, weather: WeatherPv, start: datetime, n: int, now: datetime) -> Forecast:
        covered = weather.covered_steps(start, n, now)
        if covered == n:
            return self._renamed(weather.predict(start, n, now), [])
        if covered == 0:
            raise ForecastError(
                f"The weather forecast does not cover {start:%Y-%m-%d %H:%M} UTC.", field=PV_SIGNAL
            )
        near = weather.predict(start, covered, now)
        far = self._clear_sky.predict(start, n, now)
        return Forecast(
            signal=PV_SIGNAL,
            start=start,
            p10=np.concatenate((near.p10, far.p10[covered:])),
            p50=np.concatenate((near.p50, far.p50[covered:])),
            p90=np.concatenate((near.p90, far.p90[covered:])),
            issued_at=now,
            model=self.key,
            method=(
                f"{near.method}; from {near.end:%Y-%m-%d %H:%M} UTC, where the weather forecast "
                f"ends: {far.method}"
            ),
        )

    def _from_recent_days(
        self, start: datetime, n: int, now: datetime, reasons: list[str]
    ) -> Forecast:
        forecast = self._recent_days.predict(start, n, now)
        p10, p50, p90 = forecast.p10, forecast.p50, forecast.p90
        method = forecast.method
        if (p10 == p90).all():
            p10, p90 = _RECENT_DAYS_LOW * p50, _RECENT_DAYS_HIGH * p50
            method = f"{method}; P10-P90: assumed widths"
        if self._limit_kw is not None:
            limit = self._limit_kw
            p10, p50, p90 = (np.minimum(values, limit) for values in (p10, p50, p90))
        p10, p50, p90 = sorted_quantiles(p10, p50, p90)
        p50, p10, p90 = blend_running_step(
            p50,
            p10,
            p90,
            running_pv_mean(self._running_mean, start, now),
            elapsed_share(start, now),
        )
        return self._renamed(
            Forecast(PV_SIGNAL, start, p10, p50, p90, now, self.key, method), reasons
        )

    def _renamed(self, forecast: Forecast, reasons: list[str]) -> Forecast:
        why = f" (because: {'; '.join(reasons)})" if reasons else ""
        return Forecast(
            signal=forecast.signal,
            start=forecast.start,
            p10=forecast.p10,
            p50=forecast.p50,
            p90=forecast.p90,
            issued_at=forecast.issued_at,
            model=self.key,
            method=forecast.method + why,
        )


def _nothing_works(reasons: list[str]) -> ForecastError:
    return ForecastError(
        f"No PV forecast is possible: {'; '.join(reasons)}",
        field=PV_SIGNAL,
        hint="A weather source or a few days of measured PV power are needed.",
    )

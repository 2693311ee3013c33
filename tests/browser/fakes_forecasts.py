"""Forecasts of the made-up plant: what comes, forecast 8 % too high, every hour for two days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.domain.forecast import PRICE_SIGNAL, Forecast
from engine.domain.quarter_hour import STEP, quarter_start
from engine.forecasting.accuracy import LeadScore, daily_errors
from engine.history.store import ForecastHeader
from engine.runtime.accuracy_service import ModelAccuracy
from engine.runtime.forecast_archive import Came, WeatherInputs

STEPS = 144
MODELS = {"spot_eur_per_kwh": "ridge", "load_kw": "ensemble", "pv_kw": "pv_auto"}
TOO_HIGH = 1.08
ISSUED_EVERY = timedelta(hours=1)
STORED_FOR = timedelta(hours=48)

Truth = Callable[[str, datetime], float]


def forecast_at(truth: Truth, signal: str, issued_at: datetime) -> Forecast:
    """Return the forecast of `signal` made at `issued_at`; prices are published for 12 hours."""
    start = quarter_start(issued_at)
    true = np.array([truth(signal, start + i * STEP) for i in range(STEPS)])
    known = np.arange(STEPS) < (48 if signal == PRICE_SIGNAL else 0)
    p50 = np.where(known, true, TOO_HIGH * true)
    width = np.where(known, 0.0, 0.12 * np.abs(true) + 0.004 * np.abs(true).max())
    return Forecast(
        signal, start, p50 - width, p50, p50 + width, issued_at, MODELS[signal], "made up", known
    )


class FakeArchive:
    """`ems_dash.services.ForecastArchiveServices` over a made-up truth."""

    def __init__(self, truth: Truth, now: Callable[[], datetime]) -> None:
        self._truth, self._now = truth, now
        self.weather_inputs: WeatherInputs | None = None

    def vintages(self, signal: str, since: datetime, until: datetime) -> list[ForecastHeader]:
        newest = self._now().replace(minute=0, second=0, microsecond=0)
        times = [newest - i * ISSUED_EVERY for i in range(STORED_FOR // ISSUED_EVERY)]
        return [
            ForecastHeader("site-1", signal, ts, ts, STEPS, MODELS[signal], "made up")
            for ts in reversed(times)
            if since <= ts < until
        ]

    def vintage(self, signal: str, issued_at: datetime, model: str) -> Forecast | None:
        return forecast_at(self._truth, signal, issued_at)

    def came(self, signal: str, since: datetime, until: datetime) -> Came:
        start = quarter_start(since)
        n = max(0, -((start - until) // STEP))
        return Came(start, np.array([self._truth(signal, start + i * STEP) for i in range(n)]))

    def weather(self, now: datetime) -> WeatherInputs | None:
        return self.weather_inputs


def made_up_accuracy(days: int, now: datetime) -> tuple[ModelAccuracy, ...]:
    """Return errors of every series; load was forecast by Prophet too, which erred more."""

    def lead(low: int, high: int | None, mae: float, rmae: float) -> LeadScore:
        return LeadScore(low, high, 900, mae, 1.3 * mae, 0.4 * mae, rmae, 0.1, 0.2, 0.1, 0.78)

    def one(signal: str, model: str, mae: float, mean: float) -> ModelAccuracy:
        leads = ((0, 4), (4, 8), (8, 16), (16, 32), (32, 96), (96, 192))
        by_lead = tuple(
            lead(low, high, mae * (0.6 + 0.12 * i), 0.5 + 0.06 * i)
            for i, (low, high) in enumerate(leads)
        )
        ts = np.array(
            [
                np.datetime64((now - timedelta(days=d)).replace(tzinfo=None), "us")
                for d in range(min(days, 10))
            ]
        )
        wave = mae * (1.0 + 0.3 * np.sin(np.arange(ts.size) * 1.7 + mae))
        by_day = daily_errors(ts, np.zeros(ts.size), wave, np.full(ts.size, 1.4 * mae), UTC)
        overall = lead(0, None, mae, 0.71)
        return ModelAccuracy(signal, model, days, overall, by_lead, mean, tuple(by_day))

    return (
        one("spot_eur_per_kwh", "ridge", 0.017, 0.09),
        one("load_kw", "ensemble", 3.2, 28.0),
        one("load_kw", "prophet", 4.4, 28.0),
        one("pv_kw", "pv_auto", 5.1, 21.0),
    )

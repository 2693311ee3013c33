"""PV forecast from weather: physical model, the site's calibration, own errors, last hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import ForecastError
from engine.domain.forecast import PV_SIGNAL, Forecast
from engine.domain.quarter_hour import STEP, quarter_start
from engine.forecasting.base import QuarterHourHistory
from engine.forecasting.intraday import STEPS_LOOKED_BACK
from engine.forecasting.pv_bands import PvBands, assumed_bands, learn_bands, replayed_by_lead
from engine.forecasting.pv_calibration import (
    CALIBRATION_DAYS,
    ModelledPast,
    ModelledRun,
    ModelledRuns,
    PvCalibration,
    fit_calibration,
)
from engine.forecasting.pv_clear_sky import running_pv_mean
from engine.forecasting.pv_curtailment import CurtailedPast, NeverCurtailed, without_curtailed
from engine.forecasting.pv_days import SLOTS, SolarDays
from engine.forecasting.pv_intraday import TAU_HOURS, decay, last_hour_ratios
from engine.forecasting.running_step import RunningMean, blend_running_step, elapsed_share
from engine.weather.pv_model import PvSystem, clear_sky_kw, pv_power_kw, weather_steps
from engine.weather.weather import WeatherForecast, WeatherSource

FloatArray = NDArray[np.float64]

MAX_AGE_HOURS = 24.0
_BAND_DAYS = 60
_NARROWER_THAN_PERSISTENCE = 0.75
"""Error of irradiance forecasts over persistence, 48 / 63 % (notes/forecasting 5.1)."""


class WeatherPv:
    """Physical PV model on a weather forecast, calibrated to the site.

    Median: `pv_power_kw` x calibration, the first hours scaled by measured over forecast of
    the last hour. P10 and P90: quantiles of its own past errors; before there are 20 days of
    them, three quarters of the widths of clear-sky persistence, said so in `method`. Never
    above the plant's AC limit, 0 at night.

    Args:
        system: The plant.
        weather: Where the weather forecast comes from.
        history: Past 15-min means with `pv_kw`.
        modelled_past: Archive of `modelled_run`; None before one exists: no calibration then.
        zone: Zone of the site.
        curtailed: Which past steps were curtailed and must not be learnt from.
        running_mean: Mean of the running quarter-hour so far.
        max_age_hours: Older weather is refused.
        tau_hours: Time constant of the intraday scaling.
    """

    def __init__(
        self,
        system: PvSystem,
        weather: WeatherSource,
        history: QuarterHourHistory,
        modelled_past: ModelledPast | None,
        zone: ZoneInfo,
        *,
        curtailed: CurtailedPast | None = None,
        running_mean: RunningMean | None = None,
        max_age_hours: float = MAX_AGE_HOURS,
        tau_hours: float = TAU_HOURS,
    ) -> None:
        self.key = "weather_pv"
        self.signal = PV_SIGNAL
        self._system = system
        self._weather = weather
        self._history = history
        self._modelled_past: ModelledPast = modelled_past or ModelledRuns()
        self._zone = zone
        self._curtailed = curtailed or NeverCurtailed()
        self._running_mean = running_mean
        self._max_age_hours = max_age_hours
        self._tau_hours = tau_hours
        self._fitted: tuple[datetime, PvCalibration, PvBands] | None = None

    def fit(self, now: datetime) -> None:
        """Learn calibration and errors from the archive; due once per solar day."""
        days = SolarDays.of(self._zone, now.year)
        today = days.start_of(now)
        if self._fitted is not None and self._fitted[0] == today:
            return
        start = today - timedelta(days=CALIBRATION_DAYS)
        measured = without_curtailed(self._history, self._curtailed, start, today)
        clear = clear_sky_kw(self._system, start, measured.size)
        modelled = self._modelled_past.means(start, today, 0.0)
        peak_kw = self._system.peak_kw
        calibration = fit_calibration(start, measured, modelled, clear, days=days, peak_kw=peak_kw)
        recent = slice(-_BAND_DAYS * SLOTS, None)
        since = today - timedelta(days=_BAND_DAYS)

        def calibrated(min_lead_hours: float) -> FloatArray:
            past = self._modelled_past.means(since, today, min_lead_hours)
            return calibration.apply(since, past, clear[recent])

        scale = self._system.limit_kw
        by_lead = replayed_by_lead(measured[recent], calibrated, scale, self._tau_hours)
        fallback = assumed_bands(scale, _NARROWER_THAN_PERSISTENCE)
        bands = learn_bands(measured[recent], by_lead, clear[recent], scale, fallback)
        self._fitted = (today, calibration, bands)

    def modelled_run(self, now: datetime) -> ModelledRun:
        """Return what the uncalibrated model makes of the newest weather, for the archive.

        Raises:
            ForecastError: When there is no weather.
        """
        weather = self._newest(now)
        return ModelledRun(weather.fetched_at, weather.start, pv_power_kw(self._system, weather))

    def covered_steps(self, start: datetime, n: int, now: datetime) -> int:
        """Return how many of the `n` steps from `start` the weather covers without a gap.

        Raises:
            ForecastError: When there is no weather, or only stale weather.
        """
        power = self._modelled(self._fresh(now), start, n)
        gaps = np.flatnonzero(np.isnan(power))
        return int(gaps[0]) if gaps.size else n

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` (see `Forecaster.predict`).

        Raises:
            ForecastError: When the weather is missing, stale or does not cover every step.
        """
        weather = self._fresh(now)
        modelled = self._modelled(weather, start, n)
        gaps = np.flatnonzero(np.isnan(modelled))
        if gaps.size:
            raise ForecastError(
                f"The weather of {weather.source} says nothing for "
                f"{start + int(gaps[0]) * STEP:%Y-%m-%d %H:%M} UTC ({gaps.size} of {n} steps).",
                field=PV_SIGNAL,
                hint="Ask for fewer steps or use a weather source that reaches further.",
            )
        self.fit(now)
        if self._fitted is None:
            raise ForecastError("No calibration was fitted.", field=PV_SIGNAL)
        _, calibration, bands = self._fitted
        clear = clear_sky_kw(self._system, start, n)
        base = calibration.apply(start, modelled, clear)
        lead_hours: FloatArray = 0.25 * ((start - now) / STEP + np.arange(0.5, n))
        scaled = base * decay(
            lead_hours, self._last_hour(weather, calibration, now), self._tau_hours
        )
        limit = self._system.limit_kw
        p10, p50, p90 = (
            np.minimum(values, limit) for values in bands.around(scaled, clear, lead_hours)
        )
        p50, p10, p90 = blend_running_step(
            p50,
            p10,
            p90,
            running_pv_mean(self._running_mean, start, now),
            elapsed_share(start, now),
        )
        kind = _kind(weather_steps(weather, start, n), clear)
        age_hours = (now - weather.fetched_at).total_seconds() / 3600
        return Forecast(
            signal=PV_SIGNAL,
            start=start,
            p10=p10,
            p50=p50,
            p90=p90,
            issued_at=now,
            model=self.key,
            method=(
                f"{kind} of {weather.source}, {age_hours:.1f} h old; {calibration.basis}; "
                f"last hour ({self._history.label}); P10-P90: {bands.basis}"
            ),
        )

    def _newest(self, now: datetime) -> WeatherForecast:
        weather = self._weather.forecast(now)
        if weather is None:
            raise ForecastError(
                "There is no weather forecast.",
                field="weather",
                hint="Check the weather source and the network.",
            )
        return weather

    def _fresh(self, now: datetime) -> WeatherForecast:
        weather = self._newest(now)
        age_hours = (now - weather.fetched_at).total_seconds() / 3600
        if age_hours > self._max_age_hours:
            raise ForecastError(
                f"The weather of {weather.source} is {age_hours:.0f} h old, "
                f"at most {self._max_age_hours:.0f} h are used.",
                field="weather",
                hint="Check the weather source and the network.",
            )
        return weather

    def _modelled(self, weather: WeatherForecast, start: datetime, n: int) -> FloatArray:
        return pv_power_kw(self._system, weather_steps(weather, start, n))

    def _last_hour(
        self, weather: WeatherForecast, calibration: PvCalibration, now: datetime
    ) -> float:
        """Return measured over forecast of the last hour; 1 where either is unknown."""
        current = quarter_start(now)
        since = current - STEPS_LOOKED_BACK * STEP
        measured = without_curtailed(self._history, self._curtailed, since, current)
        archived = self._modelled_past.means(since, current, 0.0)
        # The newest weather may begin now; then what an older vintage said of the hour counts.
        modelled = self._modelled(weather, since, STEPS_LOOKED_BACK)
        modelled = np.where(np.isnan(modelled), archived, modelled)
        clear = clear_sky_kw(self._system, since, STEPS_LOOKED_BACK)
        expected = calibration.apply(since, modelled, clear)
        return float(last_hour_ratios(measured, expected, self._system.limit_kw)[-1])


def _kind(weather: WeatherForecast, clear_kw: FloatArray) -> str:
    """Return in words what the weather gives where there is sun."""
    day = clear_kw > 0
    given = np.isfinite(weather.ghi_w_m2) | (
        np.isfinite(weather.dni_w_m2) & np.isfinite(weather.dhi_w_m2)
    )
    if given[day].all():
        return "irradiance"
    return "irradiance, in part cloud cover" if given[day].any() else "cloud cover"

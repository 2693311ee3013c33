"""PV forecast without weather: the cloudless envelope times how clear the last days were."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
from engine.forecasting.pv_curtailment import CurtailedPast, NeverCurtailed, without_curtailed
from engine.forecasting.pv_days import SLOTS, SolarDays
from engine.forecasting.pv_intraday import TAU_HOURS, decay, last_hour_ratios
from engine.forecasting.running_step import RunningMean, blend_running_step, elapsed_share
from engine.weather.pv_model import ClearSky

FloatArray = NDArray[np.float64]

_WEIGHT_OF_LAST_DAY = 0.4
_MEAN_DAYS = 14
_MIN_DAYS = 3
_REPLAYED_DAYS = 60
_ENVELOPE_DAYS = {True: 30, False: 15}
_ENVELOPE_QUANTILE = 0.9
_KNOWN_SHARE = 0.8
_TODAY_COUNTS_FROM = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """What was learnt at the start of a solar day.

    Attributes:
        day: Start of that day, UTC.
        slot_factor: Envelope over cloudless power per slot; in kW when no location is known.
        mean_clearness: Mean of the last 14 days.
        last_clearness: Of the newest known day.
        last_age: Days between that day and `day`, at least 1.
        scale_kw: Size of the plant.
        days: Days with a known clearness.
        bands: Distances of P10 and P90.
    """

    day: datetime
    slot_factor: FloatArray
    mean_clearness: float
    last_clearness: float
    last_age: int
    scale_kw: float
    days: int
    bands: PvBands


class ClearSkyPersistence:
    """Fitted clear-sky envelope x (0.4 clearness of yesterday + 0.6 mean of 14 days).

    Measured best of the methods without weather (notes/forecasting 5.2). For later days the
    weight of the newest day fades as 0.4, 0.4^2, ...; once half of today's envelope energy is
    over, today counts as the newest day for the days after it. The first hours are scaled by
    the last hour. Without `clear_sky` the envelope is the 90 % quantile per slot of the last
    15 days, with it a factor per slot on the cloudless power from the last 30.

    Args:
        history: Past 15-min means with `pv_kw`.
        zone: Zone of the site; days are those of its standard time.
        clear_sky: Cloudless power of the plant (`engine.weather.pv_model.clear_sky_of`), or
            None when its location is not known.
        limit_kw: Installed AC power, never exceeded; None when unknown.
        curtailed: Which past steps were curtailed and must not be learnt from.
        running_mean: Mean of the running quarter-hour so far.
        tau_hours: Time constant of the intraday scaling.
    """

    def __init__(
        self,
        history: QuarterHourHistory,
        zone: ZoneInfo,
        *,
        clear_sky: ClearSky | None = None,
        limit_kw: float | None = None,
        curtailed: CurtailedPast | None = None,
        running_mean: RunningMean | None = None,
        tau_hours: float = TAU_HOURS,
    ) -> None:
        self.key = "clear_sky_persistence"
        self.signal = PV_SIGNAL
        self._history = history
        self._zone = zone
        self._clear_sky = clear_sky
        self._limit_kw = limit_kw
        self._curtailed = curtailed or NeverCurtailed()
        self._running_mean = running_mean
        self._tau_hours = tau_hours
        self._fitted: _Fitted | None = None

    def fit(self, now: datetime) -> None:
        """Learn envelope, clearness and errors; due once per solar day.

        Raises:
            ForecastError: With fewer than three known days in the last 90.
        """
        days = SolarDays.of(self._zone, now.year)
        today = days.start_of(now)
        if self._fitted is not None and self._fitted.day == today:
            return
        n_days = _REPLAYED_DAYS + _ENVELOPE_DAYS[self._clear_sky is not None]
        start = today - timedelta(days=n_days)
        measured = self._known(start, today).reshape(n_days, SLOTS)
        clear = self._cloudless(start, n_days * SLOTS).reshape(n_days, SLOTS)
        known_days = int(np.isfinite(measured).any(axis=1).sum())
        factor = self._slot_factor(measured, clear)
        clearness = _clearness(measured, clear * factor)
        usable = np.flatnonzero(np.isfinite(clearness))
        if usable.size < _MIN_DAYS or not np.nanmax(measured) > 0:
            raise ForecastError(
                f"{usable.size} known days of PV power are too few for a clear-sky envelope.",
                field=PV_SIGNAL,
                value=known_days,
                hint=f"At least {_MIN_DAYS} of the last {n_days} days are needed.",
            )
        scale = self._limit_kw or float(np.nanmax(measured))
        self._fitted = _Fitted(
            day=today,
            slot_factor=factor,
            mean_clearness=float(clearness[usable[-_MEAN_DAYS:]].mean()),
            last_clearness=float(clearness[usable[-1]]),
            last_age=int(n_days - usable[-1]),
            scale_kw=scale,
            days=int(usable.size),
            bands=self._learn_bands(measured, clear, scale),
        )

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` (see `Forecaster.predict`)."""
        self.fit(now)
        fitted = self._fitted
        if fitted is None:
            raise ForecastError("No clear-sky envelope was fitted.", field=PV_SIGNAL)
        current = quarter_start(now)
        seen_from = min(fitted.day, current - STEPS_LOOKED_BACK * STEP)
        measured = self._known(seen_from, current)
        seen_base, _ = self._base(fitted, seen_from, measured.size, None)
        today = measured[(fitted.day - seen_from) // STEP :]
        base, envelope = self._base(fitted, start, n, today)
        ratio = last_hour_ratios(measured, seen_base, fitted.scale_kw)[-1]
        lead_hours: FloatArray = 0.25 * ((start - now) / STEP + np.arange(0.5, n))
        p10, p50, p90 = fitted.bands.around(
            base * decay(lead_hours, float(ratio), self._tau_hours), envelope, lead_hours
        )
        if self._limit_kw is not None:
            p10, p50, p90 = (np.minimum(values, self._limit_kw) for values in (p10, p50, p90))
        p50, p10, p90 = blend_running_step(
            p50,
            p10,
            p90,
            running_pv_mean(self._running_mean, start, now),
            elapsed_share(start, now),
        )
        where = "location" if self._clear_sky is not None else "no location: from measurements"
        return Forecast(
            signal=PV_SIGNAL,
            start=start,
            p10=p10,
            p50=p50,
            p90=p90,
            issued_at=now,
            model=self.key,
            method=(
                f"clear-sky envelope ({where}) x clearness of the last {fitted.days} days, "
                f"no weather, last hour ({self._history.label}); P10-P90: {fitted.bands.basis}"
            ),
        )

    def _known(self, start: datetime, end: datetime) -> FloatArray:
        return without_curtailed(self._history, self._curtailed, start, end)

    def _cloudless(self, start: datetime, n: int) -> FloatArray:
        return np.ones(n) if self._clear_sky is None else self._clear_sky(start, n)

    def _slot_factor(self, measured: FloatArray, clear: FloatArray) -> FloatArray:
        """Return the high quantile of measured over cloudless power per slot, smoothed; (96,)."""
        window = _ENVELOPE_DAYS[self._clear_sky is not None]
        past, cloudless = measured[-window:], clear[-window:]
        enough = np.isfinite(past) & (cloudless > 0.02 * max(float(clear.max()), 1e-9))
        filled = np.flatnonzero(enough.any(axis=0))
        if filled.size == 0:
            return np.ones(SLOTS)
        ratio = np.where(enough, past / np.where(enough, cloudless, 1.0), np.nan)[:, filled]
        quantile = _column_quantile(ratio, _ENVELOPE_QUANTILE)
        factor = np.interp(np.arange(SLOTS), filled, quantile)
        padded = np.pad(factor, 1, mode="edge")
        return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3.0)

    def _base(
        self, fitted: _Fitted, start: datetime, n: int, today: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return forecast before intraday scaling, and envelope, of `n` steps from `start`."""
        days = SolarDays.of(self._zone, fitted.day.year)
        envelope = self._cloudless(start, n) * fitted.slot_factor[days.slots(start, n)]
        after = days.days_after(fitted.day, start, n)
        last, age = fitted.last_clearness, fitted.last_age
        clearness = _faded(fitted.mean_clearness, last, after + age)
        newest = None if today is None else self._clearness_today(fitted, today)
        if newest is not None:
            later = _faded(fitted.mean_clearness, newest, np.maximum(after, 1))
            clearness = np.where(after >= 1, later, clearness)
        return envelope * np.maximum(clearness, 0.0), envelope

    def _clearness_today(self, fitted: _Fitted, today: FloatArray) -> float | None:
        envelope = self._cloudless(fitted.day, SLOTS) * fitted.slot_factor
        known = np.isfinite(today)
        passed = float(envelope[: today.size][known].sum())
        if passed < _TODAY_COUNTS_FROM * float(envelope.sum()) or passed <= 0:
            return None
        return float(today[known].sum()) / passed

    def _learn_bands(self, measured: FloatArray, clear: FloatArray, scale: float) -> PvBands:
        """Replay the last 60 days, each with the envelope and clearness known before it."""
        n_days = measured.shape[0]
        envelopes = np.full(measured.shape, np.nan)
        base = {1: np.full(measured.shape, np.nan), 2: np.full(measured.shape, np.nan)}
        for day in range(n_days - _REPLAYED_DAYS, n_days):
            factor = self._slot_factor(measured[:day], clear[:day])
            recent = slice(max(0, day - _MEAN_DAYS - 1), day)
            clearness = _clearness(measured[recent], clear[recent] * factor)
            envelopes[day] = clear[day] * factor
            for ahead, out in base.items():
                known = clearness[: clearness.size + 1 - ahead]
                usable = np.flatnonzero(np.isfinite(known))
                if usable.size >= _MIN_DAYS:
                    last, age = known[usable[-1]], clearness.size - usable[-1]
                    mean = float(known[usable[-_MEAN_DAYS:]].mean())
                    out[day] = envelopes[day] * max(0.0, float(_faded(mean, last, age)))
        replayed = slice(n_days - _REPLAYED_DAYS, n_days)
        truth = measured[replayed].ravel()
        by_lead = replayed_by_lead(
            truth,
            lambda hours: base[2 if hours >= 24 else 1][replayed].ravel(),
            scale,
            self._tau_hours,
        )
        envelope = np.nan_to_num(envelopes[replayed].ravel())
        return learn_bands(truth, by_lead, envelope, scale, assumed_bands(scale))


def running_pv_mean(
    running_mean: RunningMean | None, start: datetime, now: datetime
) -> float | None:
    """Return the mean PV power since `start` when that is the running step, or None."""
    if running_mean is None or elapsed_share(start, now) == 0.0:
        return None
    mean = running_mean(PV_SIGNAL, start, now)
    if mean is None or not math.isfinite(mean):
        return None
    return max(0.0, mean)


def _clearness(measured: FloatArray, envelope: FloatArray) -> FloatArray:
    """Return measured over envelope energy per day, NaN below 80 % known; (days,)."""
    known = np.isfinite(measured)
    total = envelope.sum(axis=1)
    seen = np.where(known, envelope, 0.0).sum(axis=1)
    energy = np.where(known, measured, 0.0).sum(axis=1)
    enough = (seen >= _KNOWN_SHARE * total) & (seen > 0)
    return np.where(enough, energy / np.where(enough, seen, 1.0), np.nan)


def _faded(mean: float, last: float, age: NDArray[np.intp] | int) -> FloatArray:
    weight = _WEIGHT_OF_LAST_DAY ** np.maximum(np.asarray(age, dtype=np.float64), 1.0)
    return np.asarray(mean + weight * (last - mean))


def _column_quantile(values: FloatArray, quantile: float) -> FloatArray:
    """Return the quantile of each column without its NaNs; shape (columns,).

    np.nanquantile gives the same and takes many times as long.
    """
    ordered = np.sort(values, axis=0)
    last = np.isfinite(values).sum(axis=0) - 1
    position = quantile * last
    below = position.astype(np.intp)
    column = np.arange(values.shape[1])
    lower, upper = ordered[below, column], ordered[np.minimum(below + 1, last), column]
    return np.asarray(lower + (position - below) * (upper - lower))

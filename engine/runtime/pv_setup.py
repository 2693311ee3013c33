"""The PV forecaster that a configuration asks for, and the archive it learns from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from engine.config.schema import Config
from engine.domain.errors import EmsError
from engine.domain.forecast import MODEL_RUN, PV_SIGNAL, FloatArray, Forecast
from engine.forecasting.base import Forecaster, QuarterHourHistory
from engine.forecasting.day_type import DayTypeMedian
from engine.forecasting.factory import build_forecaster
from engine.forecasting.pv_auto import BestPv
from engine.forecasting.pv_calibration import CALIBRATION_DAYS, ModelledRun, ModelledRuns
from engine.forecasting.pv_clear_sky import ClearSkyPersistence
from engine.forecasting.pv_curtailment import NeverCurtailed, SuspectedCurtailment
from engine.forecasting.pv_weather import WeatherPv
from engine.forecasting.running_step import RunningMean
from engine.recorded.recording import RECORDED_LATITUDE, RECORDED_LONGITUDE
from engine.runtime.forecast_service import StandIn
from engine.runtime.market_service import MarketService
from engine.weather.pv_model import ClearSky, PvPlane, PvSystem, clear_sky_of

log = logging.getLogger(__name__)


class RunStore(Protocol):
    """Where uncalibrated model output is kept, among the forecasts."""

    def runs(self, since: datetime, until: datetime) -> list[Forecast]:
        """Return the runs issued in the period, ascending."""
        ...

    def add(self, run: Forecast) -> None:
        """Keep one more run; returns at once."""
        ...


@dataclass(frozen=True, slots=True)
class PvPast:
    """What PV forecasters learn from.

    Attributes:
        measured: Past 15-min means.
        runs: Archive of model output; None keeps it in memory only.
    """

    measured: QuarterHourHistory
    runs: RunStore | None = None


class ModelArchive:
    """Uncalibrated model output of every weather forecast (`ModelledPast`)."""

    def __init__(self, store: RunStore | None) -> None:
        self._store = store
        self._runs: ModelledRuns | None = None
        self._newest: datetime | None = None

    def means(self, start: datetime, end: datetime, min_lead_hours: float) -> FloatArray:
        """Return the modelled power of ``[start, end)`` (see `ModelledPast`)."""
        return self._loaded(end).means(start, end, min_lead_hours)

    def take(self, run: ModelledRun) -> None:
        """Archive the output for a weather forecast, once."""
        if self._newest is not None and run.issued_at <= self._newest:
            return
        self._newest = run.issued_at
        self._loaded(run.issued_at).add(run)
        # The archive stores whole series only; where the weather says nothing it ends.
        gaps = np.flatnonzero(~np.isfinite(run.power_kw))
        power = run.power_kw[: gaps[0]] if gaps.size else run.power_kw
        if self._store is None or power.size == 0:
            return
        self._store.add(
            Forecast(
                signal=PV_SIGNAL,
                start=run.start,
                p10=power,
                p50=power,
                p90=power,
                issued_at=run.issued_at,
                model=MODEL_RUN,
                method="PV model on a weather forecast, before calibration",
            )
        )

    def _loaded(self, now: datetime) -> ModelledRuns:
        if self._runs is None:
            since = now - timedelta(days=CALIBRATION_DAYS)
            stored = self._store.runs(since, now) if self._store is not None else []
            self._runs = ModelledRuns([ModelledRun(f.issued_at, f.start, f.p50) for f in stored])
            if stored:
                self._newest = stored[-1].issued_at
        return self._runs


class ArchivingPv:
    """A PV forecaster that archives the weather model's output at every forecast.

    Args:
        chosen: The forecaster to ask.
        weather: Its weather model.
        archive: Where the output goes.
    """

    def __init__(self, chosen: Forecaster, weather: WeatherPv, archive: ModelArchive) -> None:
        self.key, self.signal = chosen.key, chosen.signal
        self._chosen, self._weather, self._archive = chosen, weather, archive

    def fit(self, now: datetime) -> None:
        """Archive the newest weather and learn."""
        try:
            self._archive.take(self._weather.modelled_run(now))
        except EmsError as exc:
            log.info("nothing to archive of the PV model: %s", exc)
        self._chosen.fit(now)

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` (see `Forecaster.predict`)."""
        return self._chosen.predict(start, n, now)


class NoPvYet:
    """Counts on no PV (`Forecaster`): what a site plans with before its PV can be forecast.

    The plan then buys what it needs; the control loop uses the PV that does come.
    """

    key = "no_pv_yet"
    signal = PV_SIGNAL

    def fit(self, now: datetime) -> None:
        """Nothing is learnt."""

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return zeros, which `method` says (see `Forecaster.predict`)."""
        none = np.zeros(n)
        words = "no PV counted on"
        return Forecast(PV_SIGNAL, start, none, none, none, now, self.key, words)


def build_pv(
    config: Config,
    market: MarketService,
    past: PvPast,
    zone: ZoneInfo,
    running: RunningMean,
) -> Forecaster:
    """Return the PV forecaster of one site.

    Args:
        config: Validated configuration.
        market: Holds the weather source, if there is one.
        past: What was measured, and the archive of model output.
        zone: Zone of the site.
        running: Mean of the running quarter-hour so far.
    """
    place, system = _place(config), _system(config)
    limit_kw = system.limit_kw if system is not None else None
    clear_sky = _clear_sky(place, system)
    curtailed = (
        SuspectedCurtailment(
            past.measured, export_limit_kw=config.grid.export_limit_kw, pv_limit_kw=limit_kw
        )
        if config.pv.throttles_itself
        else NeverCurtailed()
    )
    without_weather = ClearSkyPersistence(
        past.measured,
        zone,
        clear_sky=clear_sky,
        limit_kw=limit_kw,
        curtailed=curtailed,
        running_mean=running,
    )
    weather, archive = None, ModelArchive(past.runs)
    if market.weather is not None and system is not None:
        weather = WeatherPv(
            system,
            market.weather,
            past.measured,
            archive,
            zone,
            curtailed=curtailed,
            running_mean=running,
        )
    recent_days = DayTypeMedian(
        past.measured, PV_SIGNAL, zone, days=7, by_weekday=False, tau_hours=3.0, scaling=True
    )
    best = StandIn(
        BestPv(weather, without_weather, recent_days, limit_kw=limit_kw, running_mean=running),
        NoPvYet(),
    )
    chosen = _chosen(config.forecasts.pv, best, without_weather, weather)
    if chosen is None:
        prophet = build_forecaster(
            PV_SIGNAL,
            config.forecasts.pv,
            past.measured,
            zone,
            clear_sky=clear_sky,
            running_mean=running,
        )
        chosen = StandIn(prophet, best)
    return chosen if weather is None else ArchivingPv(chosen, weather, archive)


def _chosen(
    choice: str, best: Forecaster, clear_sky: ClearSkyPersistence, weather: WeatherPv | None
) -> Forecaster | None:
    if choice == "auto" or (choice == "weather_pv" and weather is None):
        return best
    if choice == "clear_sky_persistence":
        return StandIn(clear_sky, best)
    return StandIn(weather, best) if choice == "weather_pv" and weather is not None else None


def _place(config: Config) -> tuple[float, float] | None:
    if config.demo:
        # The sun of the recording, not of the name on the page.
        return RECORDED_LATITUDE, RECORDED_LONGITUDE
    if config.site.latitude is None or config.site.longitude is None:
        return None
    return config.site.latitude, config.site.longitude


def _system(config: Config) -> PvSystem | None:
    place = _place(config)
    if place is None or config.demo or not config.pv.planes:
        return None
    return PvSystem(
        latitude=place[0],
        longitude=place[1],
        planes=tuple(
            PvPlane(p.peak_kw, p.tilt_deg, p.azimuth_deg, p.inverter_limit_kw)
            for p in config.pv.planes
        ),
        losses_percent=config.pv.losses_percent,
    )


def _clear_sky(place: tuple[float, float] | None, system: PvSystem | None) -> ClearSky | None:
    if system is not None:
        return clear_sky_of(system)
    if place is None:
        return None
    # Without planes a moderate south roof gives the shape; its size is fitted to measurements.
    return clear_sky_of(PvSystem(place[0], place[1], (PvPlane(1.0, 25.0, 180.0),)))

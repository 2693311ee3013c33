"""Everything that makes plans, built from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from engine.analytics.incurred_peak import IncurredPeaks
from engine.config.schema import Config
from engine.domain.clock import Clock
from engine.domain.forecast import MODEL_RUN, PV_SIGNAL, Forecast
from engine.domain.plan import Plan
from engine.domain.site import Site
from engine.domain.strategy import Selection
from engine.forecasting.base import QuarterHourHistory
from engine.forecasting.histories import FirstKnown, MeasuredHistory, RecordedHistory
from engine.history.store import HistoryStore
from engine.history.writer import HistoryWriter
from engine.market.tariff import TariffBook
from engine.optimization.kernel.process import KernelCompiler
from engine.optimization.optimizer import Optimizer
from engine.optimization.routed import Route, RoutedOptimizer
from engine.recorded.recording import Recording
from engine.runtime.forecast_service import ForecastService
from engine.runtime.forecast_setup import MinuteMeans, build_forecasts
from engine.runtime.market_service import MarketService
from engine.runtime.planner import PlanInputs, Planner, plan_interval_s, strategy_parameters
from engine.runtime.problem import ProblemBuilder
from engine.runtime.pv_setup import PvPast, RunStore
from engine.runtime.strategy_desk import StrategyDesk
from engine.runtime.uncertainty import Uncertainty

RECORDED_PV_PEAK_KW = 160.0
"""Largest recorded 15-min mean of PV (159.6 kW), rounded up: stands for the installed power."""

_SEED = 20
"""Scenarios are drawn alike after every start, so that a plan can be made again."""

_RESUMED = timedelta(hours=6)
"""A choice of strategy older than this is no reason to stay with it."""


@dataclass(frozen=True, slots=True)
class Planning:
    """What makes the plans of one site.

    Attributes:
        planner: Decides when a plan is due and makes it.
        forecasts: Its forecasts.
        desk: Its choice of strategy.
        peaks: Peaks already incurred; told of every booked quarter-hour.
    """

    planner: Planner
    forecasts: ForecastService
    desk: StrategyDesk
    peaks: IncurredPeaks


@dataclass(frozen=True, slots=True)
class StoredRuns:
    """The archive of PV model output in the history (`RunStore`)."""

    store: HistoryStore
    writer: HistoryWriter
    site_id: str

    def runs(self, since: datetime, until: datetime) -> list[Forecast]:
        """Return the runs issued in the period, ascending."""
        headers = self.store.forecasts(self.site_id, PV_SIGNAL, since, until, MODEL_RUN)
        found = (
            self.store.forecast(self.site_id, PV_SIGNAL, h.issued_at, MODEL_RUN) for h in headers
        )
        return [run for run in found if run is not None]

    def add(self, run: Forecast) -> None:
        """Keep one more run; returns at once."""
        self.writer.add_forecast(run, self.site_id)


@dataclass(frozen=True, slots=True)
class StoredVintages:
    """Past forecasts by the time they were issued (`VintageAt`)."""

    store: HistoryStore
    site_id: str

    def __call__(self, signal: str, issued_at: datetime, within: timedelta) -> Forecast | None:
        """Return the forecast issued nearest to `issued_at`, at most `within` away."""
        near = self.store.forecasts(self.site_id, signal, issued_at - within, issued_at + within)
        usable = [header for header in near if header.model != MODEL_RUN]
        if not usable:
            return None
        best = min(usable, key=lambda header: abs(header.issued_at - issued_at))
        return self.store.forecast(self.site_id, signal, best.issued_at, best.model)


def build_planning(
    config: Config,
    site: Site,
    clock: Clock,
    *,
    store: HistoryStore | None,
    writer: HistoryWriter | None,
    market: MarketService,
    tariff: TariffBook,
    recording: Recording,
    minute_means: MinuteMeans,
    has_pv: bool,
    desk: StrategyDesk,
    kernel: KernelCompiler | None = None,
) -> Planning:
    """Return what makes the plans of one site.

    Args:
        config: Validated configuration.
        site: The site it describes.
        clock: Time.
        store: What was measured, booked and forecast before; None without a past.
        writer: Keeps what a later start learns from; None keeps nothing and changes nothing.
        market: Prices and weather.
        tariff: What a kWh and a kW of peak cost.
        recording: The demo site's past.
        minute_means: Means of the running quarter-hour.
        has_pv: True when PV is measured.
        desk: Chooses among the strategies.
        kernel: Has the kernel compiled, which decides steps with feed-in above the purchase
            price in less than a second; None leaves them to the model of record.
    """
    past = past_of(config, site, store, recording, clock)
    peaks = IncurredPeaks(
        lambda start, end: [] if store is None else store.ledger(site.site_id, start, end), tariff
    )
    runs: RunStore | None = None
    if store is not None and writer is not None:
        runs = StoredRuns(store, writer, site.site_id)
    forecasts = build_forecasts(
        config,
        market,
        tariff,
        PvPast(past, runs),
        minute_means=minute_means,
        clock=clock,
        has_pv=has_pv,
    )
    if store is not None:
        desk.resume(_newest_selection(store, site.site_id, clock.now()))
    optimizer: Optimizer | RoutedOptimizer = Optimizer()
    if kernel is not None:
        optimizer = RoutedOptimizer(Route.RECORD, ready=kernel.ready)
    uncertainty = Uncertainty(
        config.planning,
        site.battery,
        past,
        vintage_at=None if store is None else StoredVintages(store, site.site_id),
        optimizer=optimizer,
        rng=np.random.default_rng(_SEED),
    )
    planner = Planner(
        PlanInputs(
            prices=market.prices,
            problem=ProblemBuilder(site, tariff, peaks, config.pv.throttles_itself),
            forecasts=forecasts,
            desk=desk,
            parameters=strategy_parameters(config.strategies),
            past=past,
            uncertainty=uncertainty,
            minute_means=minute_means,
            horizon_steps=config.ems.horizon_hours * 4,
            interval_s=plan_interval_s(config.ems),
        ),
        clock,
        optimizer,
    )
    if store is not None:
        planner.resume(_newest_plan(store, site.site_id, clock.now()))
    return Planning(planner, forecasts, desk, peaks)


def past_of(
    config: Config, site: Site, store: HistoryStore | None, recording: Recording, clock: Clock
) -> QuarterHourHistory:
    """Return the past 15-min means of a site: measured, for the demo with the recording behind."""
    known: list[QuarterHourHistory] = []
    if store is not None:
        known.append(
            MeasuredHistory(
                lambda signal, start, end: store.quarter_hour_means(
                    site.site_id, (signal,), start, end
                )
            )
        )
    if config.demo:
        columns = {"load_kw": ("load_kw", 1.0), "pv_kw": ("pv_kw", pv_factor(config))}
        known.append(RecordedHistory(recording, columns, clock))
    if not known:
        # Nothing was measured yet; forecasters say so.
        known.append(MeasuredHistory(lambda _signal, _start, _end: []))
    return FirstKnown(*known)


def pv_factor(config: Config) -> float:
    """Return what the recorded PV power is multiplied with for the demo plant."""
    return config.demo_plant.pv_peak_kw / RECORDED_PV_PEAK_KW


def _newest_selection(store: HistoryStore, site_id: str, now: datetime) -> Selection | None:
    recent = store.selections(site_id, now - _RESUMED, now + timedelta(minutes=1))
    return recent[-1] if recent else None


def _newest_plan(store: HistoryStore, site_id: str, now: datetime) -> Plan | None:
    recent = store.plans(site_id, now - _RESUMED, now + timedelta(minutes=1))
    return store.plan(recent[-1].plan_id) if recent else None

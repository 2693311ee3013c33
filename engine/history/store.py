"""What the engine and the pages may ask of any history store.

A second backend joins by implementing `HistoryStore` and passing the contract
tests (``tests/unit/test_history_contract.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray, Forecast
from engine.domain.plan import Plan, PlanCheck
from engine.domain.records import (
    DeviceRow,
    EventRow,
    LedgerRow,
    MetricRow,
    PriceRow,
    RunRow,
    SampleRow,
    SavingsRow,
    TariffRow,
)
from engine.domain.series import MeasuredPoint
from engine.domain.strategy import Selection
from engine.history.columns import SeriesStore

INSTALLATION_SITE_ID = "*"
"""`site_id` of events that concern the whole installation, such as a repaired history file."""

FULL_VINTAGE_DAYS = 35
"""Age up to which every forecast is kept: 28 days to score and a week to spare."""

MIN_GOOD_MINUTES = 12
"""Minutes of a quarter-hour with a usable sample from which on its mean counts as measured."""

COVERED_SECONDS = 890.0
"""Measured part of a quarter-hour from which on its import counts for the billed peak."""


@dataclass(frozen=True, slots=True)
class SiteForecast:
    """A forecast and the site it was made for."""

    site_id: str
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are stored together or not at all.

    Attributes:
        samples: Control cycles; the first row stored for a site and time stays.
        prices: Prices; a later row for the same site and time replaces the earlier one.
        plans: Published plans; the first plan stored under an id stays.
        ledger: Booked quarter-hours; a later row for the same site and time replaces the earlier.
        events: Events; the same site, time, code and message are stored once.
        forecasts: Forecasts; the first one stored of a site, signal, issue time and model stays.
        selections: Choices of strategy; the first one stored of a site, time and plan stays.
        runs: Optimiser runs; the first one stored of a site and time stays.
        tariffs: Tariffs; the same site, start and document are stored once.
        devices: Devices; the first one stored of a site, time and device stays.
        savings: Baselines; a later row for the same site, baseline and time replaces the earlier.
        metrics: Key figures; a later row for the same site, day and metric replaces the earlier.
    """

    samples: tuple[SampleRow, ...] = ()
    prices: tuple[PriceRow, ...] = ()
    plans: tuple[Plan, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    forecasts: tuple[SiteForecast, ...] = ()
    selections: tuple[Selection, ...] = ()
    runs: tuple[RunRow, ...] = ()
    tariffs: tuple[TariffRow, ...] = ()
    devices: tuple[DeviceRow, ...] = ()
    savings: tuple[SavingsRow, ...] = ()
    metrics: tuple[MetricRow, ...] = ()

    def __len__(self) -> int:
        """Number of rows; a plan, a forecast and a selection counted as one each."""
        return sum(len(getattr(self, kind.name)) for kind in fields(self))


@dataclass(frozen=True, slots=True)
class SteeringHeader:
    """Steering of a stored plan without its arrays; see `PlanSteering`."""

    smoothing_eur_per_kwh: float
    peak_price_eur_per_kwh: float
    grid_charge_allowed: bool
    battery_export_allowed: bool


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """A stored plan without its steps; the fields mean what they mean in `Plan`."""

    plan_id: str
    site_id: str
    created_at: datetime
    start: datetime
    step_minutes: int
    n_steps: int
    soc_start_kwh: float
    strategy: str
    cost_eur: float
    baseline_cost_eur: float
    profit_24h_eur: float
    status: str
    solver: str
    gap: float
    solve_ms: float
    check: PlanCheck
    trigger: str
    gave_way: Mapping[str, float] = field(default_factory=dict)
    forecast_sources: Mapping[str, str] = field(default_factory=dict)
    billed_peak_kw: float | None = None
    steering: SteeringHeader | None = None


@dataclass(frozen=True, slots=True)
class ForecastHeader:
    """A stored forecast without its values; the fields mean what they mean in `Forecast`."""

    site_id: str
    signal: str
    issued_at: datetime
    start: datetime
    n_steps: int
    model: str
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class ForecastPairs:
    """What one model expected of one signal beside what came; every array has shape (n,).

    Attributes:
        signal: The signal; it gives the unit of the values.
        model: The model.
        ts: Start of the quarter-hour that was forecast, UTC, as ``datetime64[us]``.
        issued_at: When it was forecast, UTC, as ``datetime64[us]``.
        lead_steps: Quarter-hours from the one the forecast was issued in to the one that was
            forecast, >= 0; 0 is the quarter-hour that was running.
        p10: Lower quantile that was forecast.
        p50: Median that was forecast.
        p90: Upper quantile that was forecast.
        actual: What was measured, or published; always finite.
        naive: What was measured, or published, exactly one week before; NaN where unknown.
    """

    signal: str
    model: str
    ts: NDArray[np.datetime64]
    issued_at: NDArray[np.datetime64]
    lead_steps: NDArray[np.int64]
    p10: FloatArray
    p50: FloatArray
    p90: FloatArray
    actual: FloatArray
    naive: FloatArray

    def __len__(self) -> int:
        """Number of pairs."""
        return int(self.lead_steps.size)


class HistoryStore(SeriesStore, Protocol):
    """Durable history of one installation.

    All times are timezone-aware; those returned are UTC. Periods are half-open:
    `since` belongs to them, `until` does not. Every method may be called from any
    thread. Methods raise `HistoryError` when the store cannot answer.
    """

    def write(self, batch: Batch) -> None:
        """Store `batch` in one transaction; durable on return.

        Writing the same batch again changes nothing, so a batch whose fate is
        unknown after an error can be sent again.

        Raises:
            HistoryError: Nothing of the batch is certain to be stored.
        """
        ...

    def write_samples(self, site_id: str, samples: Any) -> None:
        """Store many samples of one site in one transaction, as `write` stores few.

        Args:
            site_id: The site of all of them.
            samples: Arrow table as `rows.measured_table` makes it, no time twice, at most
                `checks.MAX_BATCH_ROWS` rows.

        Raises:
            HistoryError: Nothing is certain to be stored; send it again.
        """
        ...

    def latest_sample(self, site_id: str) -> SampleRow | None:
        """Return the newest sample of `site_id`; its `values` hold the usable signals only."""
        ...

    def minute_means(
        self, site_id: str, signals: Sequence[str], since: datetime, until: datetime
    ) -> list[MeasuredPoint]:
        """Return one point per full minute that has samples, oldest first.

        `since` is moved down to the start of its minute. A GAUGE is averaged over its
        usable samples; a COUNTER and a CODE give their last usable value of the minute,
        because their mean has no meaning. `setpoint_kw`, `charge_limit_kw` and
        `discharge_limit_kw` may be asked for as well. Minutes without samples are absent.

        Raises:
            HistoryError: A signal is unknown, a time is naive, or the store cannot answer.
        """
        ...

    def quarter_hour_means(
        self, site_id: str, signals: Sequence[str], since: datetime, until: datetime
    ) -> list[MeasuredPoint]:
        """Return one point per quarter-hour that has samples, as `minute_means` does."""
        ...

    def ledger(self, site_id: str, since: datetime, until: datetime) -> list[LedgerRow]:
        """Return booked quarter-hours that start in the period, oldest first."""
        ...

    def prices(self, site_id: str, since: datetime, until: datetime) -> list[PriceRow]:
        """Return prices of intervals that start in the period, oldest first."""
        ...

    def plans(self, site_id: str, since: datetime, until: datetime) -> list[PlanHeader]:
        """Return plans created in the period, oldest first, without their steps."""
        ...

    def plan(self, plan_id: str) -> Plan | None:
        """Return a whole plan exactly as it was written, or None when there is none."""
        ...

    def events(self, site_id: str, since: datetime, until: datetime) -> list[EventRow]:
        """Return events of the site and of the whole installation, oldest first."""
        ...

    def forecasts(
        self,
        site_id: str,
        signal: str,
        since: datetime,
        until: datetime,
        model: str | None = None,
    ) -> list[ForecastHeader]:
        """Return forecasts issued in the period, oldest first, without their values.

        All vintages of the last `FULL_VINTAGE_DAYS` days are kept, of older ones the first
        that each model issued in each hour.
        """
        ...

    def forecast(
        self, site_id: str, signal: str, issued_at: datetime, model: str
    ) -> Forecast | None:
        """Return one forecast as it was issued, or None; its values keep seven digits."""
        ...

    def forecast_pairs(
        self,
        site_id: str,
        signal: str,
        model: str,
        since: datetime,
        until: datetime,
        *,
        lead_steps: Collection[int] | None = None,
    ) -> ForecastPairs:
        """Return what `model` forecast for the quarter-hours of the period beside what came.

        A price came as published; load and PV came as the mean of a quarter-hour that was
        measured in at least `MIN_GOOD_MINUTES` of its minutes. Quarter-hours for which
        nothing came, and steps that were known when the forecast was made, are left out.

        Args:
            site_id: The site.
            signal: One of `FORECAST_SIGNALS`.
            model: Key of the model.
            since: Start of the period; it is the time forecast for, not the time of issue.
            until: End of the period.
            lead_steps: Leads wanted, in quarter-hours; all when None.

        Raises:
            HistoryError: The signal is not forecast, a time is naive, or the store cannot answer.
        """
        ...

    def selections(self, site_id: str, since: datetime, until: datetime) -> list[Selection]:
        """Return choices of strategy made in the period, oldest first, with all candidates."""
        ...

    def highest_import(
        self, site_id: str, since: datetime, until: datetime
    ) -> tuple[float, datetime] | None:
        """Return the highest 15-min mean import booked in the period, in kW, and its start.

        Only quarter-hours measured for at least `COVERED_SECONDS` count; None without any.
        """
        ...

    def runs(self, site_id: str, since: datetime, until: datetime) -> list[RunRow]:
        """Return optimiser runs that began in the period, oldest first."""
        ...

    def tariffs(self, site_id: str) -> list[TariffRow]:
        """Return every tariff there ever was, oldest record first."""
        ...

    def devices(self, site_id: str, until: datetime) -> list[DeviceRow]:
        """Return the newest row of each device before `until`, by name."""
        ...

    def savings(
        self, site_id: str, since: datetime, until: datetime, baseline: str | None = None
    ) -> list[SavingsRow]:
        """Return simulated quarter-hours of one baseline, or of all, by time and baseline."""
        ...

    def metrics(self, site_id: str, since: date, until: date) -> list[MetricRow]:
        """Return key figures of the local days from `since` to before `until`, by day and name."""
        ...

    def counts(self) -> dict[str, int]:
        """Return the number of rows per table."""
        ...

    def checkpoint(self) -> bool:
        """Bring the store into its most compact durable form, with a snapshot beside it.

        Returns:
            False when it was refused to protect the store, for example for want of free
            disk space; the data written so far stays safe either way.
        """
        ...

    def tidy(self, now: datetime) -> bool:
        """Move to the archive, and delete, what is kept in quick storage no longer.

        A call takes a few seconds at most; what it moves stays readable all the time.

        Returns:
            False when more is due, so that the next call should follow soon; True when
            everything was done, then once a day is enough.
        """
        ...

    def close(self) -> None:
        """Release the store; closing twice is harmless."""
        ...

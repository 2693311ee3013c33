"""Answers of a history that the same SQL gives in DuckDB and in PostgreSQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from datetime import date, datetime

from engine.domain.forecast import Forecast
from engine.domain.plan import Plan
from engine.domain.records import (
    DeviceRow,
    EventRow,
    LedgerRow,
    MetricRow,
    PriceRow,
    RunRow,
    SavingsRow,
    TariffRow,
)
from engine.domain.strategy import Selection
from engine.history import forecast_queries, queries
from engine.history.sql_cursor import SqlCursor
from engine.history.store import ForecastHeader, PlanHeader


class RowReads(ABC):
    """Rows of `HistoryStore`, see there, from the cursors that `_rows` lends."""

    @abstractmethod
    def _rows(self) -> AbstractContextManager[SqlCursor]:
        """Lend a cursor for one read; errors of the database become HistoryError."""

    def ledger(self, site_id: str, since: datetime, until: datetime) -> list[LedgerRow]:
        """Return booked quarter-hours that start in the period, oldest first."""
        with self._rows() as cursor:
            return queries.ledger(cursor, site_id, since, until)

    def prices(self, site_id: str, since: datetime, until: datetime) -> list[PriceRow]:
        """Return prices of intervals that start in the period, oldest first."""
        with self._rows() as cursor:
            return queries.prices(cursor, site_id, since, until)

    def plans(self, site_id: str, since: datetime, until: datetime) -> list[PlanHeader]:
        """Return plans created in the period, oldest first, without their steps."""
        with self._rows() as cursor:
            return queries.plans(cursor, site_id, since, until)

    def plan(self, plan_id: str) -> Plan | None:
        """Return a whole plan exactly as it was written, or None when there is none."""
        with self._rows() as cursor:
            return queries.plan(cursor, plan_id)

    def events(self, site_id: str, since: datetime, until: datetime) -> list[EventRow]:
        """Return events of the site and of the whole installation, oldest first."""
        with self._rows() as cursor:
            return queries.events(cursor, site_id, since, until)

    def forecasts(
        self,
        site_id: str,
        signal: str,
        since: datetime,
        until: datetime,
        model: str | None = None,
    ) -> list[ForecastHeader]:
        """Return forecasts issued in the period, oldest first, without their values."""
        with self._rows() as cursor:
            return forecast_queries.forecasts(cursor, site_id, signal, since, until, model=model)

    def forecast(
        self, site_id: str, signal: str, issued_at: datetime, model: str
    ) -> Forecast | None:
        """Return one forecast as it was issued, or None; its values keep seven digits."""
        with self._rows() as cursor:
            return forecast_queries.forecast(cursor, site_id, signal, issued_at, model)

    def selections(self, site_id: str, since: datetime, until: datetime) -> list[Selection]:
        """Return choices of strategy made in the period, oldest first, with all candidates."""
        with self._rows() as cursor:
            return queries.selections(cursor, site_id, since, until)

    def highest_import(
        self, site_id: str, since: datetime, until: datetime
    ) -> tuple[float, datetime] | None:
        """Return the highest 15-min mean import booked in the period, in kW, and its start."""
        with self._rows() as cursor:
            return queries.highest_import(cursor, site_id, since, until)

    def runs(self, site_id: str, since: datetime, until: datetime) -> list[RunRow]:
        """Return optimiser runs that began in the period, oldest first."""
        with self._rows() as cursor:
            return queries.runs(cursor, site_id, since, until)

    def tariffs(self, site_id: str) -> list[TariffRow]:
        """Return every tariff there ever was, oldest record first."""
        with self._rows() as cursor:
            return queries.tariffs(cursor, site_id)

    def devices(self, site_id: str, until: datetime) -> list[DeviceRow]:
        """Return the newest row of each device before `until`, by name."""
        with self._rows() as cursor:
            return queries.devices(cursor, site_id, until)

    def savings(
        self, site_id: str, since: datetime, until: datetime, baseline: str | None = None
    ) -> list[SavingsRow]:
        """Return simulated quarter-hours of one baseline, or of all, by time and baseline."""
        with self._rows() as cursor:
            return queries.savings(cursor, site_id, since, until, baseline)

    def metrics(self, site_id: str, since: date, until: date) -> list[MetricRow]:
        """Return key figures of the local days from `since` to before `until`."""
        with self._rows() as cursor:
            return queries.metrics(cursor, site_id, since, until)

"""What the bookkeeping of savings works on, and what it asks of the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from engine.analytics.baselines import TimerWindows
from engine.analytics.facts import FACT_COLUMNS, MinuteFacts, Quarter, measured_quarters
from engine.domain.errors import HistoryError
from engine.domain.records import LedgerRow, MetricRow, SavingsRow
from engine.domain.site import Site
from engine.history.columns import Resolution, SeriesStore
from engine.history.store import HistoryStore
from engine.history.table_reads import TableStore
from engine.history.writer import WriterStatus
from engine.market.tariff import TariffBook
from engine.optimization.optimizer import Optimizer
from engine.optimization.solving import Solves


class AnalyticsStore(HistoryStore, SeriesStore, TableStore, Protocol):
    """A history that answers with columns and with rows of its tables, too."""


class SavingsSink(Protocol):
    """Where results go; `flush` makes them readable."""

    def add_ledger(self, row: LedgerRow) -> None: ...

    def add_savings(self, rows: Sequence[SavingsRow]) -> None: ...

    def add_metrics(self, rows: Sequence[MetricRow]) -> None: ...

    def flush(self, timeout_s: float = 30.0) -> bool: ...

    def status(self) -> WriterStatus: ...


@dataclass(frozen=True, slots=True)
class Books:
    """One site and its history.

    Attributes:
        site: The site.
        tariff: Its tariff in all versions.
        store: What was stored.
        sink: What is to be stored.
        windows: Windows of the timer baseline.
        co2_g_per_kwh: Emission factor, None without one.
        booked: Told of every quarter-hour that is booked afterwards.
        solver: Makes what finds optima; called anew for each use, because a month's model is
            large and of no use for the next.
    """

    site: Site
    tariff: TariffBook
    store: AnalyticsStore
    sink: SavingsSink
    windows: TimerWindows = field(default_factory=TimerWindows)
    co2_g_per_kwh: float | None = None
    booked: Callable[[LedgerRow], None] = lambda _row: None
    solver: Callable[[], Solves] = Optimizer

    @property
    def zone(self) -> ZoneInfo:
        """Local time zone."""
        return ZoneInfo(self.site.timezone)

    def settle(self) -> None:
        """Wait until everything handed over is stored: what is not there yet is no gap.

        Raises:
            HistoryError: It could not be stored in time.
        """
        # New rows come all the time; only a store that fails leaves older ones waiting.
        if not self.sink.flush() and self.sink.status().failures:
            raise HistoryError(
                "What was measured could not be stored yet, so the savings wait.",
                field="history",
                hint="See the state of the history; the bookkeeping is tried again.",
            )

    def ledger(self, since: datetime, until: datetime) -> list[LedgerRow]:
        """Return booked quarter-hours, ascending."""
        return self.store.ledger(self.site.site_id, since, until)

    def quarters(self, since: datetime, until: datetime) -> list[Quarter]:
        """Return the quarter-hours of a period that are known completely, ascending."""
        rows = self.ledger(since, until)
        if not rows:
            return []
        # A minute on each side tells what is stored at the edges.
        around = timedelta(minutes=1)
        minutes = self.store.columns(
            self.site.site_id, FACT_COLUMNS, since - around, until + around, Resolution.MINUTE
        )
        return measured_quarters(rows, MinuteFacts(minutes, self.site.battery))

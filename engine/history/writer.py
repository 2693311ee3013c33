"""The one thread that writes history, and the buffer in front of it.

Control hands rows over and goes on at once, whatever the disk does. What cannot be
stored waits in memory and is tried again; only when the buffer is full are the oldest
rows dropped, and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from engine.domain.clock import Clock
from engine.domain.errors import HistoryError
from engine.domain.forecast import Forecast
from engine.domain.plan import Plan
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
from engine.domain.site_context import SiteThread
from engine.domain.strategy import Selection
from engine.history.buffer import RowBuffer, WaitingRows
from engine.history.checks import (
    check_device,
    check_event,
    check_forecast,
    check_ledger,
    check_metric,
    check_plan,
    check_price,
    check_run,
    check_sample,
    check_saving,
    check_selection,
    check_tariff,
)
from engine.history.store import Batch, HistoryStore, SiteForecast
from engine.history.upkeep_schedule import Upkeep

_logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_LONGEST_RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """How the history is doing.

    Attributes:
        running: True while the storage thread runs.
        rows_written: Rows stored since start.
        rows_waiting: Rows not stored yet.
        rows_dropped: Oldest rows lost since start because the buffer was full.
        rows_rejected: Rows refused since start because they cannot be stored at all.
        last_commit_at: Time of the last successful commit, UTC; None before the first.
        commit_ms: Duration of the last successful commit.
        rolled_up_at: When roll-ups were last made, UTC; None before the first time.
        tidied_at: When archive and retention were last up to date, UTC; None before the first time.
        upkeep_error: Why roll-ups or archive could not be made the last time; None when they
            were. Storing goes on meanwhile.
        failures: Commits that failed in a row; 0 when all is well.
        last_error: Why the last commit failed or the last row was refused; None when the
            last commit succeeded and no row was refused since.
    """

    running: bool
    rows_written: int
    rows_waiting: int
    rows_dropped: int
    rows_rejected: int
    last_commit_at: datetime | None
    commit_ms: float | None
    failures: int
    last_error: str | None
    rolled_up_at: datetime | None = None
    tidied_at: datetime | None = None
    upkeep_error: str | None = None


class HistoryWriter:
    """Buffers rows and stores them from one thread of its own.

    The `add_*` methods never block on the store and never raise on account of it.

    Args:
        store: Where rows go; the writer owns it from `start` on and closes it in `stop`.
        clock: Schedule of commits and time of `last_commit_at`.
        batch_seconds: Time between commits; at most this much is lost in a power cut.
        site_clock: Time of the samples, where it is not `clock`: decides what is rolled up and
            archived.
        max_rows: Rows of each kind that may wait (at most 500 plans and selections and 3,000
            forecasts); one hour of 2-s samples is 1,800 rows per site.
    """

    def __init__(
        self,
        store: HistoryStore,
        clock: Clock,
        *,
        batch_seconds: float = 10.0,
        site_clock: Clock | None = None,
        max_rows: int = 20_000,
    ) -> None:
        if batch_seconds <= 0:
            raise ValueError("batch_seconds must be positive")
        if max_rows < 1:
            raise ValueError("max_rows must be at least 1")
        self._store = store
        self._clock = clock
        self._batch_seconds = batch_seconds
        self._rows = WaitingRows(max_rows)
        self._state = threading.Condition()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._in_flight = 0
        self._flush_requested = 0
        self._flush_served = 0
        self._rows_written = 0
        self._rows_dropped = 0
        self._rows_rejected = 0
        self._last_commit_at: datetime | None = None
        self._commit_ms: float | None = None
        self._failures = 0
        self._last_error: str | None = None
        self._upkeep = Upkeep(store, clock, site_clock or clock, self.add_event)

    # Handing rows over

    def add_sample(self, row: SampleRow) -> None:
        """Hand one control cycle over."""
        self._add(self._rows.samples, (row,), check_sample)

    def add_prices(self, rows: Iterable[PriceRow]) -> None:
        """Hand prices over."""
        self._add(self._rows.prices, tuple(rows), check_price)

    def add_plan(self, plan: Plan) -> None:
        """Hand a published plan over."""
        self._add(self._rows.plans, (plan,), check_plan)

    def add_ledger(self, row: LedgerRow) -> None:
        """Hand a booked quarter-hour over; a later booking of the same one replaces it."""
        self._add(self._rows.ledger, (row,), check_ledger)

    def add_event(self, row: EventRow) -> None:
        """Hand an event over."""
        self._add(self._rows.events, (row,), check_event)

    def add_forecast(self, forecast: Forecast, site_id: str) -> None:
        """Hand a forecast over as it was issued."""
        self._add(self._rows.forecasts, (SiteForecast(site_id, forecast),), check_forecast)

    def add_selection(self, selection: Selection) -> None:
        """Hand a choice of strategy over, with every candidate."""
        self._add(self._rows.selections, (selection,), check_selection)

    def add_run(self, row: RunRow) -> None:
        """Hand a run of the optimiser over, also one without a plan."""
        self._add(self._rows.runs, (row,), check_run)

    def add_tariffs(self, rows: Iterable[TariffRow]) -> None:
        """Hand tariffs over; those stored already stay single."""
        self._add(self._rows.tariffs, tuple(rows), check_tariff)

    def add_devices(self, rows: Iterable[DeviceRow]) -> None:
        """Hand devices over as they were found."""
        self._add(self._rows.devices, tuple(rows), check_device)

    def add_savings(self, rows: Iterable[SavingsRow]) -> None:
        """Hand simulated baselines over; later ones of the same quarter-hour replace them."""
        self._add(self._rows.savings, tuple(rows), check_saving)

    def add_metrics(self, rows: Iterable[MetricRow]) -> None:
        """Hand key figures over; later ones of the same day replace them."""
        self._add(self._rows.metrics, tuple(rows), check_metric)

    # Life cycle

    def start(self) -> None:
        """Start the storage thread.

        Raises:
            HistoryError: It was started or stopped before.
        """
        with self._state:
            if self._thread is not None or self._stopped:
                raise HistoryError("The history writer can be started once only.")
            self._thread = SiteThread(target=self._run, name="history-writer", daemon=True)
            self._thread.start()

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Store everything that waits now; for tests and a clean shutdown.

        Returns:
            True when nothing waits any more, False when the store failed or took longer
            than `timeout_s`.
        """
        with self._state:
            if self._thread is None:
                inline = True
            else:
                inline = False
                self._flush_requested += 1
                ticket = self._flush_requested
        if inline:
            return self._commit_all()
        self._wake.set()
        with self._state:
            served = self._state.wait_for(lambda: self._flush_served >= ticket, timeout_s)
            return served and self._waiting() == 0

    def status(self) -> WriterStatus:
        """Return how the history is doing now."""
        with self._state:
            return WriterStatus(
                running=self._thread is not None and self._thread.is_alive(),
                rows_written=self._rows_written,
                rows_waiting=self._waiting(),
                rows_dropped=self._rows_dropped,
                rows_rejected=self._rows_rejected,
                last_commit_at=self._last_commit_at,
                commit_ms=self._commit_ms,
                failures=self._failures,
                last_error=self._last_error,
                rolled_up_at=self._upkeep.rolled_up_at,
                tidied_at=self._upkeep.tidied_at,
                upkeep_error=self._upkeep.error,
            )

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Store what waits, checkpoint and close the store; a second call does nothing more.

        Returns:
            True when everything was stored and the store is closed. False when the store
            failed (rows were lost, see `status` and the log) or did not end in time.
        """
        with self._state:
            thread = self._thread
            first_call = not self._stopped
            self._stopped = True
        self._stopping.set()
        self._wake.set()
        if thread is None:
            if first_call:
                self._finish()
        else:
            thread.join(timeout_s)
            if thread.is_alive():
                _logger.error("the history writer did not end within %.1f s", timeout_s)
                return False
        with self._state:
            return self._waiting() == 0

    # The storage thread

    def _run(self) -> None:
        delay = self._batch_seconds
        while not self._stopping.is_set():
            self._clock.wait(self._wake, delay)
            self._wake.clear()
            with self._state:
                ticket = self._flush_requested
            stored = self._commit_all()
            if stored and not self._stopping.is_set():
                self._upkeep.do_what_is_due()
            delay = self._batch_seconds if stored else self._retry_delay()
            with self._state:
                self._flush_served = ticket
                self._state.notify_all()
        self._finish()
        with self._state:
            self._flush_served = self._flush_requested
            self._state.notify_all()

    def _retry_delay(self) -> float:
        with self._state:
            doubled = self._batch_seconds * 2.0 ** min(self._failures - 1, 10)
        return min(doubled, max(self._batch_seconds, _LONGEST_RETRY_SECONDS))

    def _finish(self) -> None:
        """Store the rest, with one second try, then checkpoint and close."""
        if not self._commit_all() and not self._commit_all():
            with self._state:
                lost = self._waiting()
            _logger.error("%d history rows could not be stored before the stop", lost)
        self._guarded("checkpoint", self._store.checkpoint)
        self._guarded("close", self._store.close)

    def _commit_all(self) -> bool:
        """Store batch after batch until nothing waits; False as soon as one fails."""
        while True:
            with self._state:
                batch = self._rows.take_batch()
                self._in_flight = len(batch)
            if not len(batch):
                return True
            if not self._commit(batch):
                return False

    def _commit(self, batch: Batch) -> bool:
        started = time.perf_counter()
        if not self._guarded("write", lambda: self._store.write(batch)):
            with self._state:
                self._in_flight = 0
                self._count_dropped(self._rows.give_back(batch))
            return False
        with self._state:
            self._in_flight = 0
            self._commit_ms = (time.perf_counter() - started) * 1000.0
            self._last_commit_at = self._clock.now()
            self._rows_written += len(batch)
            if self._failures:
                _logger.warning("history is stored again after %d failures", self._failures)
            self._failures = 0
            self._last_error = None
        return True

    def _guarded(self, what: str, action: Callable[[], object]) -> bool:
        """Run one action of the store; whatever it raises is recorded, the thread lives on."""
        try:
            action()
        except Exception as error:
            with self._state:
                self._failures += 1
                self._last_error = str(error) or type(error).__name__
                first = self._failures == 1
            # once per outage, not once per attempt
            if first or not isinstance(error, HistoryError):
                _logger.exception("history %s failed", what)
            return False
        return True

    # The buffer; all of these run under `_state`

    def _add(self, buffer: RowBuffer[_T], rows: Sequence[_T], check: Callable[[_T], None]) -> None:
        for row in rows:
            try:
                check(row)
            except HistoryError as error:
                with self._state:
                    self._rows_rejected += 1
                    self._last_error = str(error)
                _logger.error("a row for the history was refused: %s", error)
                continue
            with self._state:
                self._count_dropped(buffer.append(row))

    def _count_dropped(self, rows: int) -> None:
        if rows and not self._rows_dropped:
            _logger.error("the history buffer is full; the oldest rows are dropped from now on")
        self._rows_dropped += rows

    def _waiting(self) -> int:
        return self._in_flight + len(self._rows)

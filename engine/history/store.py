"""What the engine and the pages may ask of any history store.

A second backend joins by implementing `HistoryStore` and passing the contract
tests (``tests/unit/test_history_contract.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from engine.domain.plan import Plan, PlanCheck
from engine.domain.records import EventRow, LedgerRow, PriceRow, SampleRow
from engine.domain.series import MeasuredPoint

INSTALLATION_SITE_ID = "*"
"""`site_id` of events that concern the whole installation, such as a repaired history file."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are stored together or not at all.

    Attributes:
        samples: Control cycles; the first row stored for a site and time stays.
        prices: Prices; a later row for the same site and time replaces the earlier one.
        plans: Published plans; the first plan stored under an id stays.
        ledger: Booked quarter-hours; a later row for the same site and time replaces the earlier.
        events: Events; the same site, time, code and message are stored once.
    """

    samples: tuple[SampleRow, ...] = ()
    prices: tuple[PriceRow, ...] = ()
    plans: tuple[Plan, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    events: tuple[EventRow, ...] = ()

    def __len__(self) -> int:
        """Number of rows, a plan counted as one."""
        return sum(
            len(rows) for rows in (self.samples, self.prices, self.plans, self.ledger, self.events)
        )


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


class HistoryStore(Protocol):
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

    def close(self) -> None:
        """Release the store; closing twice is harmless."""
        ...

"""Rows that wait to be stored, bounded: when it is full, the oldest fall out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

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
from engine.domain.strategy import Selection
from engine.history.store import Batch, SiteForecast

_T = TypeVar("_T")
_MAX_PLANS = 500
_MAX_FORECASTS = 3_000
_MAX_SELECTIONS = 500
# together below checks.MAX_BATCH_ROWS even when the longest plan is among them
_BATCH_SAMPLES = 3_000
_BATCH_OTHERS = 1_000
_BATCH_PLAN_ROWS = 8_000
_BATCH_FORECAST_ROWS = 3_000
_BATCH_SELECTION_ROWS = 500
_BATCH_FEW = 200


class RowBuffer(Generic[_T]):
    """Rows of one kind in order of arrival.

    Args:
        limit: Rows that may wait; beyond it the oldest fall out.
        batch_rows: Database rows that `take` hands out at most, and at least one of ours.
        rows_of: Database rows that one of ours becomes.
    """

    def __init__(
        self, limit: int, batch_rows: int, rows_of: Callable[[_T], int] = lambda _: 1
    ) -> None:
        self._rows: deque[_T] = deque()
        self._limit = limit
        self._batch_rows = batch_rows
        self._rows_of = rows_of

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, row: _T) -> int:
        """Add `row` at the end; return how many old rows fell out."""
        self._rows.append(row)
        return self._trim()

    def take(self) -> tuple[_T, ...]:
        """Remove and return the oldest rows, as many as one batch takes."""
        taken: list[_T] = []
        left = self._batch_rows
        while self._rows:
            left -= self._rows_of(self._rows[0])
            if left < 0 and taken:
                break
            taken.append(self._rows.popleft())
        return tuple(taken)

    def give_back(self, rows: Sequence[_T]) -> int:
        """Put `rows` back before all others; return how many old rows fell out."""
        self._rows.extendleft(reversed(rows))
        return self._trim()

    def _trim(self) -> int:
        surplus = max(0, len(self._rows) - self._limit)
        for _ in range(surplus):
            self._rows.popleft()
        return surplus


class WaitingRows:
    """One buffer per kind of row; each is named as in `Batch`.

    Args:
        max_rows: Rows of each kind that may wait; fewer plans, forecasts and selections.
    """

    def __init__(self, max_rows: int) -> None:
        self.samples: RowBuffer[SampleRow] = RowBuffer(max_rows, _BATCH_SAMPLES)
        self.prices: RowBuffer[PriceRow] = RowBuffer(max_rows, _BATCH_OTHERS)
        self.plans: RowBuffer[Plan] = RowBuffer(
            min(max_rows, _MAX_PLANS), _BATCH_PLAN_ROWS, lambda plan: 1 + plan.n_steps
        )
        self.ledger: RowBuffer[LedgerRow] = RowBuffer(max_rows, _BATCH_OTHERS)
        self.events: RowBuffer[EventRow] = RowBuffer(max_rows, _BATCH_OTHERS)
        self.forecasts: RowBuffer[SiteForecast] = RowBuffer(
            min(max_rows, _MAX_FORECASTS),
            _BATCH_FORECAST_ROWS,
            lambda issued: 1 + issued.forecast.n_steps,
        )
        self.selections: RowBuffer[Selection] = RowBuffer(
            min(max_rows, _MAX_SELECTIONS),
            _BATCH_SELECTION_ROWS,
            lambda selection: 1 + len(selection.candidates),
        )
        self.runs: RowBuffer[RunRow] = RowBuffer(max_rows, _BATCH_OTHERS)
        self.tariffs: RowBuffer[TariffRow] = RowBuffer(max_rows, _BATCH_FEW)
        self.devices: RowBuffer[DeviceRow] = RowBuffer(max_rows, _BATCH_FEW)
        self.savings: RowBuffer[SavingsRow] = RowBuffer(max_rows, _BATCH_OTHERS)
        self.metrics: RowBuffer[MetricRow] = RowBuffer(max_rows, _BATCH_FEW)
        self._by_kind: dict[str, RowBuffer[Any]] = {
            "samples": self.samples,
            "prices": self.prices,
            "plans": self.plans,
            "ledger": self.ledger,
            "events": self.events,
            "forecasts": self.forecasts,
            "selections": self.selections,
            "runs": self.runs,
            "tariffs": self.tariffs,
            "devices": self.devices,
            "savings": self.savings,
            "metrics": self.metrics,
        }

    def __len__(self) -> int:
        return sum(len(buffer) for buffer in self._by_kind.values())

    def take_batch(self) -> Batch:
        """Remove and return the oldest rows of each kind, as many as one transaction takes."""
        return Batch(**{kind: buffer.take() for kind, buffer in self._by_kind.items()})

    def give_back(self, batch: Batch) -> int:
        """Put the rows of `batch` back before all others; return how many old rows fell out."""
        return sum(buffer.give_back(getattr(batch, kind)) for kind, buffer in self._by_kind.items())

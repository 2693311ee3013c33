"""Writing imported series as samples, apart from everything that was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from engine.domain.records import PriceRow, SampleRow
from engine.history.columns import ColumnKey, Columns, Resolution
from engine.history.import_mapping import PERCENT, POWERS
from engine.history.import_series import ImportedSeries
from engine.history.roll_up_columns import IMPORTED_STATE
from engine.history.rows import naive_utc
from engine.history.store import Batch

BATCH_ROWS = 5_000
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


class ImportStore(Protocol):
    """What an import needs of the history."""

    def write(self, batch: Batch) -> None: ...

    def columns(
        self,
        site_id: str,
        keys: tuple[ColumnKey, ...],
        since: datetime,
        until: datetime,
        resolution: Resolution,
        *,
        texts: tuple[str, ...] = (),
    ) -> Columns: ...

    def prices(self, site_id: str, since: datetime, until: datetime) -> list[PriceRow]: ...


@dataclass(frozen=True, slots=True)
class Written:
    """What came of an import: rows written, and those that were left out because a better
    value is there already (measured, or published)."""

    rows: int
    left_out: int


def sample_rows(series: ImportedSeries, site_id: str) -> Iterator[SampleRow]:
    """Yield imported samples: one per minute of each interval, `state` says "imported".

    Minutes, because a quarter-hour counts as measured by its minutes everywhere; each repeats
    the mean of its interval, so that energies are those of the file.
    """
    targets = {*POWERS, PERCENT}
    minutes = int(series.step / _MINUTE)
    for start, values in series.values.items():
        kept = {target: value for target, value in values.items() if target in targets}
        if kept:
            for k in range(minutes):
                yield SampleRow(start + k * _MINUTE, site_id, kept, state=IMPORTED_STATE)


def write_samples(
    store: ImportStore,
    series: ImportedSeries,
    site_id: str,
    tell: Callable[[int], None],
    *,
    dry_run: bool = False,
) -> Written:
    """Store the samples of an import; minutes that were measured are left as they are.

    Writing the same file again changes nothing.

    Args:
        store: The history.
        series: What is imported.
        site_id: The site.
        tell: Told how many rows are done.
        dry_run: Only count.

    Raises:
        HistoryError: The store cannot take them; what was written stays, and importing again
            completes it.
    """
    known = _MeasuredMinutes(store, site_id)
    waiting: list[SampleRow] = []
    written = left_out = 0
    for row in sample_rows(series, site_id):
        if known.has(row.ts):
            left_out += 1
            continue
        written += 1
        waiting.append(row)
        if len(waiting) == BATCH_ROWS:
            _flush(store, waiting, dry_run)
            waiting = []
            tell(written)
    _flush(store, waiting, dry_run)
    tell(written)
    return Written(written, left_out)


def write_prices(
    store: ImportStore, rows: list[PriceRow], site_id: str, *, dry_run: bool = False
) -> Written:
    """Store imported prices; those that were published to this program stay.

    Args:
        store: The history.
        rows: Prices, ascending; their `source` begins with ``import:``.
        site_id: The site.
        dry_run: Only count.

    Raises:
        HistoryError: The store cannot take them.
    """
    if not rows:
        return Written(0, 0)
    kept = store.prices(site_id, rows[0].ts, rows[-1].ts + _MINUTE)
    published = {row.ts for row in kept if not row.source.startswith("import:")}
    new = [row for row in rows if row.ts not in published]
    for at in range(0, len(new), BATCH_ROWS):
        if not dry_run:
            store.write(Batch(prices=tuple(new[at : at + BATCH_ROWS])))
    return Written(len(new), len(rows) - len(new))


def _flush(store: ImportStore, rows: list[SampleRow], dry_run: bool) -> None:
    if rows and not dry_run:
        store.write(Batch(samples=tuple(rows)))


class _MeasuredMinutes:
    """Which minutes hold measured samples; read day by day."""

    def __init__(self, store: ImportStore, site_id: str) -> None:
        self._store = store
        self._site_id = site_id
        self._day: datetime | None = None
        self._minutes: set[np.datetime64] = set()

    def has(self, ts: datetime) -> bool:
        """Return whether the minute that starts at `ts` was measured."""
        day = ts.replace(hour=0, minute=0, second=0, microsecond=0)
        if day != self._day:
            self._day = day
            self._minutes = self._of(day)
        return np.datetime64(naive_utc(ts), "us") in self._minutes

    def _of(self, day: datetime) -> set[np.datetime64]:
        found = self._store.columns(
            self._site_id,
            (ColumnKey("samples"),),
            day,
            day + _DAY,
            Resolution.MINUTE,
            texts=("state",),
        )
        measured = found.texts["state"] != IMPORTED_STATE
        return set(found.ts[measured])

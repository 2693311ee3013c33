"""Writing imported series as samples, apart from everything that was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.domain.records import PriceRow
from engine.history.columns import ColumnKey, Columns, Resolution
from engine.history.import_mapping import PERCENT, POWERS
from engine.history.import_series import ImportedSeries
from engine.history.roll_up_columns import IMPORTED_STATE
from engine.history.rows import measured_table, naive_utc, utc
from engine.history.store import Batch

BATCH_ROWS = 5_000
_MINUTE = timedelta(minutes=1)
_STRETCH_DAYS = np.timedelta64(6, "D")
"""Days that are written at once: 8,640 samples."""


class ImportStore(Protocol):
    """What an import needs of the history."""

    def write(self, batch: Batch) -> None: ...

    def write_samples(self, site_id: str, samples: Any) -> None: ...

    def roll_up(self, now: datetime) -> int: ...

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


def write_samples(
    store: ImportStore,
    series: ImportedSeries,
    site_id: str,
    tell: Callable[[int], None],
    *,
    dry_run: bool = False,
) -> Written:
    """Store the samples of an import; minutes that were measured are left as they are.

    Each interval becomes one sample per minute, `state` "imported", that repeats its mean:
    a quarter-hour counts as measured by its minutes everywhere, and energies are those of the
    file. Writing the same file again changes nothing.

    Args:
        store: The history.
        series: What is imported.
        site_id: The site.
        tell: Told how many minutes are done.
        dry_run: Only count.

    Raises:
        HistoryError: The store cannot take them; what was written stays, and importing again
            completes it.
    """
    starts, values = _arrays(series)
    minutes = int(series.step / _MINUTE)
    written = left_out = 0
    at = 0
    while at < len(starts):
        # whole stretches of days, so that what was measured is asked for once each
        first = starts[at].astype("datetime64[D]")
        end = int(np.searchsorted(starts, first + _STRETCH_DAYS))
        of_minutes = np.arange(minutes) * np.timedelta64(1, "m")
        ts = (starts[at:end, None] + of_minutes).ravel()
        known = _measured_minutes(store, site_id, first, starts[end - 1] + of_minutes[-1])
        new = ~np.isin(ts, known)
        table = measured_table(
            site_id,
            ts[new],
            {name: np.repeat(numbers[at:end], minutes)[new] for name, numbers in values.items()},
            IMPORTED_STATE,
        )
        if not dry_run:
            store.write_samples(site_id, table)
        written += table.num_rows
        left_out += len(ts) - table.num_rows
        at = end
        tell(written + left_out)
    return Written(written, left_out)


def minutes_of(series: ImportedSeries) -> int:
    """Return how many samples `write_samples` has to look at."""
    return len(_arrays(series)[0]) * int(series.step / _MINUTE)


def _arrays(series: ImportedSeries) -> tuple[NDArray[np.datetime64], dict[str, FloatArray]]:
    """Return the starts of intervals that have a sample, ascending, and their values."""
    targets = [target for target in (*POWERS, PERCENT) if target in series.targets]
    kept = {
        ts: row for ts, row in series.values.items() if any(target in row for target in targets)
    }
    starts = np.array([naive_utc(ts) for ts in kept], dtype="datetime64[us]")
    values = {
        target: np.array([row.get(target, np.nan) for row in kept.values()]) for target in targets
    }
    return starts, values


def _measured_minutes(
    store: ImportStore, site_id: str, since: np.datetime64, last: np.datetime64
) -> NDArray[np.datetime64]:
    """Return the minutes from `since` to `last` that hold measured samples."""
    found = store.columns(
        site_id,
        (ColumnKey("samples"),),
        _utc(since),
        _utc(last) + _MINUTE,
        Resolution.MINUTE,
        texts=("state",),
    )
    minutes: NDArray[np.datetime64] = found.ts[found.texts["state"] != IMPORTED_STATE]
    return minutes


def _utc(ts: np.datetime64) -> datetime:
    moment: datetime = ts.astype("datetime64[us]").item()
    return utc(moment)


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

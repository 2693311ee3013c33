"""Booking quarter-hours afterwards, from stored samples: the price came late, or nobody was there.

What waits for a price lives in the memory of the running ledger and is lost at a restart. The
samples are stored, so the same bookkeeping can be repeated over them at any later time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.analytics.ledger import FLOW_SIGNALS, Ledger, QuoteAt
from engine.domain.quarter_hour import STEP
from engine.domain.records import LedgerRow
from engine.domain.sample import ProcessImage, Sample
from engine.history.columns import ColumnKey, Columns

REBOOK_COLUMNS: tuple[ColumnKey, ...] = tuple(ColumnKey(name) for name in FLOW_SIGNALS)
"""Raw columns that `rebooked` reads."""

AROUND = timedelta(minutes=5)
"""So much before and after the quarter-hours is read, for the increments over their edges."""

_SOURCE = "history"


def rebooked(
    site_id: str,
    samples: Columns,
    wanted: Collection[datetime],
    quote_at: QuoteAt,
    max_power_kw: float,
) -> list[LedgerRow]:
    """Return the rows of the wanted quarter-hours that can be booked now, ascending.

    Args:
        site_id: The site.
        samples: `REBOOK_COLUMNS`, RAW, from `AROUND` before the first wanted quarter-hour to
            `AROUND` after the end of the last.
        wanted: Starts of quarter-hours.
        quote_at: Prices at an instant, None while unknown.
        max_power_kw: Largest power any register can see.
    """
    ledger = Ledger(site_id, quote_at, max_power_kw)
    rows: dict[datetime, LedgerRow] = {}
    for image in _images(site_id, samples):
        for row in ledger.add(image):
            rows[row.ts] = row
    last = ledger.running()
    if last is not None and _ends_in(last.ts, samples):
        rows[last.ts] = last
    return [rows[ts] for ts in sorted(wanted) if ts in rows]


def _images(site_id: str, samples: Columns) -> Iterator[ProcessImage]:
    names = [key.name for key in REBOOK_COLUMNS]
    table = np.column_stack([samples.values[key] for key in REBOOK_COLUMNS])
    for at, values in zip(samples.ts.tolist(), table, strict=True):
        ts = at.replace(tzinfo=UTC)
        yield ProcessImage(
            site_id,
            ts,
            {
                name: Sample(float(value), ts, _SOURCE)
                for name, value in zip(names, values, strict=True)
                if np.isfinite(value)
            },
        )


def _ends_in(ts: datetime, samples: Columns) -> bool:
    """True when no sample follows the quarter-hour, so that it is as whole as it will ever be."""
    newest = samples.ts[-1].astype("datetime64[us]").astype(datetime).replace(tzinfo=UTC)
    return bool(newest < ts + STEP)

"""Booking baselines quarter-hour by quarter-hour, in order, wherever the last run ended.

All that is needed to go on is stored: the newest row of each baseline has its stored energy, and
the newest row of the real battery says how far the books are kept. A quarter-hour is taken when
it is over and booked; one that waits for its price holds the later ones back for at most
`LONGEST_WAIT`, after which it stays a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from engine.analytics.baselines import (
    ACTUAL,
    CAUSAL_BASELINES,
    actual_rows,
    causal_rules,
    simulate_baseline,
)
from engine.analytics.books import Books
from engine.analytics.facts import Quarter
from engine.analytics.ledger import QuoteAt
from engine.analytics.rebook import AROUND, REBOOK_COLUMNS, rebooked
from engine.domain.local_days import day_after, local_day, local_midnight
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.records import SavingsRow
from engine.history.columns import ColumnKey, Resolution
from engine.history.roll_up_columns import IMPORTED_STATE

LONGEST_WAIT = timedelta(days=7)
"""So long a quarter-hour without a price holds the later ones back."""

SETTLING = timedelta(minutes=2)
"""A quarter-hour is looked at so long after its end, when its samples are stored."""

FEWEST_SAMPLES = 2
"""A quarter-hour with fewer samples cannot be booked, so nothing waits for it."""

_KEPT = (ACTUAL, *CAUSAL_BASELINES)
_LOOK_BACK_DAYS = (2, 35, 400)
_SAMPLES = ColumnKey("samples")


class SavingsBooks:
    """Keeps the rows of the causal baselines. Called by one thread.

    Args:
        books: Site and history.
        quote_at: Prices at an instant, for what is booked afterwards; None while unknown.
        max_power_kw: Largest power any register can see.
    """

    def __init__(self, books: Books, quote_at: QuoteAt, max_power_kw: float) -> None:
        self._books = books
        self._quote_at = quote_at
        self._max_power_kw = max_power_kw
        self._rules = causal_rules(books.site.battery, books.windows)
        self._cursor: datetime | None = None
        self._last: datetime | None = None
        self._stored_kwh: dict[str, float] = {}

    @property
    def kept_until(self) -> datetime | None:
        """End of the last quarter-hour the books are kept for; None before the first."""
        return self._cursor

    def step(self, now: datetime) -> bool:
        """Keep the books for at most the rest of one local day; False when nothing was to do.

        Args:
            now: Nothing later has been measured.

        Raises:
            EmsError: The history could not be read, or there is no tariff for the time.
        """
        if self._cursor is None and not self._resume(now):
            return False
        if self._cursor is None:
            return False
        begin = self._cursor
        midnight = local_midnight(day_after(local_day(begin, self._books.zone)), self._books.zone)
        end = min(quarter_start(now - SETTLING), midnight)
        if end <= begin:
            return False
        self._books.settle()
        end = min(end, self._book_late(begin, end, now) or end)
        if end <= begin:
            return False
        self._keep(self._books.quarters(begin, end))
        self._cursor = end
        return True

    def _resume(self, now: datetime) -> bool:
        """Find out where the books end; False while nothing is booked at all."""
        books, site_id = self._books, self._books.site.site_id
        for days in _LOOK_BACK_DAYS:
            since = now - timedelta(days=days)
            kept: dict[str, dict[datetime, SavingsRow]] = {side: {} for side in _KEPT}
            for row in books.store.savings(site_id, since, now):
                if row.baseline in kept:
                    kept[row.baseline][row.ts] = row
            if all(kept.values()):
                # What a crash cut short is made again: the rows are the same.
                last = min(max(rows) for rows in kept.values())
                self._last, self._cursor = last, last + STEP
                self._stored_kwh = {
                    baseline: kept[baseline][last].soc_kwh for baseline in CAUSAL_BASELINES
                }
                return True
        first = self._first_booked(now)
        self._cursor = first
        return first is not None

    def _first_booked(self, now: datetime) -> datetime | None:
        rows = self._books.ledger(now - timedelta(days=_LOOK_BACK_DAYS[-1]), now)
        return rows[0].ts if rows else None

    def _book_late(self, since: datetime, until: datetime, now: datetime) -> datetime | None:
        """Book what has samples but no row; return the first quarter-hour that still waits."""
        books = self._books
        seen = books.store.columns(
            books.site.site_id,
            (_SAMPLES,),
            since,
            until,
            Resolution.QUARTER_HOUR,
            texts=("state",),
        )
        booked = {row.ts for row in books.ledger(since, until)}
        # what was read from a file was not measured here, so no money is booked for it
        measured = seen.texts["state"] != IMPORTED_STATE
        has_samples = measured & (seen.values[_SAMPLES] >= FEWEST_SAMPLES)
        seconds = seen.ts.astype("datetime64[s]").astype("int64")
        missing = [
            ts
            for at, some in zip(seconds.tolist(), has_samples.tolist(), strict=True)
            if some and (ts := _instant(at)) not in booked
        ]
        priced = [ts for ts in missing if self._quote_at(ts) is not None]
        if priced:
            self._rebook(priced)
        waiting = [ts for ts in missing if ts not in set(priced) and now - ts < LONGEST_WAIT]
        return min(waiting, default=None)

    def _rebook(self, wanted: Sequence[datetime]) -> None:
        books = self._books
        samples = books.store.columns(
            books.site.site_id,
            REBOOK_COLUMNS,
            wanted[0] - AROUND,
            wanted[-1] + STEP + AROUND,
            Resolution.RAW,
        )
        rows = rebooked(books.site.site_id, samples, wanted, self._quote_at, self._max_power_kw)
        for row in rows:
            books.sink.add_ledger(row)
            books.booked(row)
        if rows:
            books.settle()

    def _keep(self, quarters: Sequence[Quarter]) -> None:
        if not quarters:
            return
        books = self._books
        first = quarters[0]
        # One mask from the first to the last: a chunk is never longer than a day.
        mask = books.tariff.export_mask(first.ts, (quarters[-1].ts - first.ts) // STEP + 1)
        may_export = [bool(mask[(quarter.ts - first.ts) // STEP]) for quarter in quarters]
        rows: list[SavingsRow] = actual_rows(quarters, self._last)
        for baseline in CAUSAL_BASELINES:
            made = simulate_baseline(
                baseline,
                self._rules[baseline],
                quarters,
                start_kwh=self._stored_kwh.get(baseline, first.stored_start_kwh),
                site=books.site,
                may_export=may_export,
            )
            self._stored_kwh[baseline] = made[-1].soc_kwh
            rows += made
        books.sink.add_savings(rows)
        # Readable before anybody is told that the books are kept so far.
        books.settle()
        self._last = quarters[-1].ts


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

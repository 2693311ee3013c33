"""Day-ahead prices from the exchange's publishers, held in memory and refreshed in the background.

Whoever needs prices gets them at once: `LivePrices.published` never waits for a host. What is
shown is only what was published; an unpublished step stays NaN.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from random import Random
from zoneinfo import ZoneInfo

from engine.domain.clock import Clock
from engine.domain.errors import FetchError, MarketError
from engine.domain.local_days import local_midnight
from engine.fetching.cache import DiskCache
from engine.fetching.refresher import Job
from engine.fetching.source_record import SourceRecord, nobody_answered
from engine.market.intervals import HOUR_MINUTES, FetchedPrices, PriceProvider
from engine.market.price_book import Merged, PriceBook
from engine.market.price_cache import PriceCache
from engine.market.price_status import PriceStatus, describe, said_once
from engine.market.prices import DayAheadPrices

log = logging.getLogger(__name__)

DISAGREEMENT_EUR_PER_KWH = 0.005
"""Hourly price against the mean of its quarters; equal to 0.00001 in 7,799 recorded hours."""


@dataclass(frozen=True, slots=True)
class PriceSchedule:
    """When prices are asked for.

    Attributes:
        refresh_s: Ordinary time between two requests.
        expected_from: Local time from which tomorrow's prices may appear.
        expected_s: Time between two requests while tomorrow is missing.
        fallback_from: Local time from which other sources are asked for a missing tomorrow.
        late_from: Local time from which a missing tomorrow is a warning.
        history_days: Past days kept, for forecasts that learn from them.
        chunk_days: Past days asked for at once.
        chunk_pause_s: Pause between two such requests.
    """

    refresh_s: float = 3600.0
    expected_from: time = time(12, 45)
    expected_s: float = 300.0
    fallback_from: time = time(13, 20)
    late_from: time = time(15, 0)
    history_days: int = 60
    chunk_days: int = 10
    chunk_pause_s: float = 5.0


class LivePrices:
    """Merged prices of several sources (`PriceSource`).

    Args:
        providers: Sources by priority; the next is asked when one fails or leaves gaps.
        clock: Time.
        zone: Local time of the market.
        random: For jitter.
        market: Key of the market, for example ``"at"``: cached prices of another are not used.
        cache: Where prices survive a restart; None keeps them in memory only.
        wanted_minutes: Resolution the tariff settles in. With 15, sources that publish
            quarter-hours are asked even when an hourly one answered.
        schedule: When to ask.
    """

    def __init__(
        self,
        providers: Sequence[PriceProvider],
        clock: Clock,
        zone: ZoneInfo,
        random: Random,
        *,
        market: str,
        cache: DiskCache | None = None,
        wanted_minutes: int = 15,
        schedule: PriceSchedule | None = None,
    ) -> None:
        if not providers:
            raise ValueError("at least one price source is needed")
        self._sources = tuple((p, SourceRecord(p.name, clock, random)) for p in providers)
        self._past = tuple(SourceRecord(p.name, clock, random) for p in providers)
        self._clock = clock
        self._zone = zone
        self._random = random
        self._cache = PriceCache(cache, market) if cache is not None else None
        self._wanted = wanted_minutes
        self._schedule = schedule or PriceSchedule()
        self._lock = threading.Lock()
        self._book = PriceBook()
        self._published: DayAheadPrices | None = None
        self._all_failed = False
        self._asked_days: set[date] = set()
        self._disagreement = 0.0
        if self._cache is not None:
            now = clock.now()
            self._cache.load(self._book, self._midnight(now, -self._schedule.history_days))
            self._published = self._book.prices(self._midnight(now, 0))

    # -- for those who need prices ---------------------------------------------------------

    def published(self, now: datetime) -> DayAheadPrices:
        """Return everything known, at once; see `PriceSource`.

        Raises:
            MarketError: When nothing is known at all.
        """
        prices = self._published
        if prices is None:
            reasons = said_once(r.last_error for _, r in self._sources if r.last_error)
            raise MarketError(
                f"No day-ahead prices are known yet. {reasons}".strip(),
                field="prices",
                hint="The sources are asked again.",
            )
        return prices

    def status(self) -> PriceStatus:
        """Return how the prices are doing, for notices and the connection list."""
        now = self._clock.now()
        local = now.astimezone(self._zone)
        with self._lock:
            today_missing = self._missing(now, 0)
            tomorrow_missing = self._missing(now, 1)
            failed = self._all_failed
        return describe(
            prices=self._published,
            now=now,
            zone=self._zone,
            today_missing=today_missing,
            tomorrow_missing=tomorrow_missing,
            expected=local.time() >= self._schedule.expected_from,
            late=local.time() >= self._schedule.late_from,
            all_failed=failed,
            sources=tuple(record.status() for _, record in self._sources),
            attribution=tuple(p.attribution for p, _ in self._sources),
            cache_problems=self._cache.problems if self._cache else (),
            disagreement_eur_per_kwh=self._disagreement,
        )

    def jobs(self) -> tuple[Job, ...]:
        """Return what a `BackgroundRefresher` must run."""
        return (
            Job("prices", self.refresh, self.next_refresh_s),
            Job("price_history", self.backfill, self.next_backfill_s),
        )

    # -- jobs ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Ask the sources for yesterday to tomorrow until what should be known is known.

        Raises:
            FetchError: When no source gave a usable answer.
        """
        now = self._clock.now()
        start, end = self._midnight(now, -1), self._midnight(now, 2)
        answered, errors = False, list[FetchError]()
        for provider, record in self._sources:
            if answered and not self._would_help(provider, now):
                continue
            try:
                fetched = record.ask(partial(provider.fetch, start, end))
            except FetchError as error:
                errors.append(error)
                continue
            if not fetched.intervals:
                record.had_nothing("; ".join(fetched.problems) or "its answer holds no price")
                continue
            record.succeeded("; ".join(fetched.problems) or None)
            answered = True
            self._take(fetched)
        self._all_failed = not answered
        if not answered:
            raise nobody_answered("price", errors)

    def next_refresh_s(self, now: datetime) -> float:
        """Return seconds until prices are asked for again."""
        schedule, local = self._schedule, now.astimezone(self._zone)
        jitter = self._random.uniform(0.8, 1.2)
        if local.time() >= schedule.expected_from:
            with self._lock:
                missing = self._missing(now, 1)
            return (schedule.expected_s if missing else schedule.refresh_s) * jitter
        expected = datetime.combine(local.date(), schedule.expected_from, self._zone)
        # Spread over some minutes, so that not every site calls at the same second.
        until = (expected - now).total_seconds() + schedule.expected_s * self._random.random()
        return min(schedule.refresh_s * jitter, until)

    def backfill(self) -> None:
        """Ask for one chunk of past days that are not known yet, the newest first.

        Raises:
            FetchError: When no source gave a usable answer.
        """
        now = self._clock.now()
        days = self._days_to_ask(now)
        if not days:
            return
        last = days[-1]
        first = max(days[0], last - timedelta(days=self._schedule.chunk_days - 1))
        start = local_midnight(first, self._zone)
        end = local_midnight(last + timedelta(days=1), self._zone)
        answered, errors = False, list[FetchError]()
        for (provider, record), past in zip(self._sources, self._past, strict=True):
            with self._lock:
                done = self._book.covered(start, end, self._wanted)
                hourly = self._book.covered(start, end, HOUR_MINUTES)
            if done or (hourly and answered and provider.minutes > self._wanted):
                continue
            # A source that has no such past must still be asked for tomorrow.
            used = record if record.wait_s > 0 else past
            try:
                fetched = used.ask(partial(provider.fetch, start, end))
            except FetchError as error:
                if error.kind == "status" and error.retry_after_s is not None:
                    record.failed(error)
                errors.append(error)
                continue
            past.succeeded()
            answered = True
            if fetched.intervals:
                self._take(fetched)
        if not answered:
            raise nobody_answered("price", errors)
        # Days that stay incomplete are asked for again tomorrow, not all the time.
        self._asked_days.update(d for d in days if first <= d <= last)

    def next_backfill_s(self, now: datetime) -> float:
        """Return seconds until past days are asked for again."""
        jitter = self._random.uniform(0.8, 1.2)
        if self._days_to_ask(now):
            return self._schedule.chunk_pause_s * jitter
        self._asked_days.clear()
        return 86_400.0 * jitter

    # -- inside ----------------------------------------------------------------------------

    def _would_help(self, provider: PriceProvider, now: datetime) -> bool:
        local = now.astimezone(self._zone).time()
        days = (0, 1) if local >= self._schedule.fallback_from else (0,)
        with self._lock:
            if any(self._missing(now, day, HOUR_MINUTES) for day in days):
                return True
            finer = any(self._missing(now, day, self._wanted) for day in days)
        return finer and provider.minutes <= self._wanted

    def _take(self, fetched: FetchedPrices) -> None:
        now = self._clock.now()
        oldest = self._midnight(now, -self._schedule.history_days)
        with self._lock:
            merged = self._book.merge(fetched)
            gone = self._book.drop_before(oldest)
            self._published = self._book.prices(self._midnight(now, 0))
            payloads = {day: self._book.day_payload(day) for day in sorted(merged.days)}
        self._judge(merged, fetched)
        if self._cache is not None:
            self._cache.save(fetched, payloads, gone)

    def _judge(self, merged: Merged, fetched: FetchedPrices) -> None:
        self._disagreement = merged.disagreement_eur_per_kwh
        if merged.disagreement_eur_per_kwh > DISAGREEMENT_EUR_PER_KWH:
            log.warning(
                "%s differs from known quarter-hour prices by up to %.4f EUR/kWh",
                fetched.source,
                merged.disagreement_eur_per_kwh,
            )

    def _days_to_ask(self, now: datetime) -> list[date]:
        today = now.astimezone(self._zone).date()
        days = [today - timedelta(days=d) for d in range(self._schedule.history_days, 0, -1)]
        with self._lock:
            return [
                d
                for d in days
                if d not in self._asked_days
                and not self._book.covered(
                    local_midnight(d, self._zone),
                    local_midnight(d + timedelta(days=1), self._zone),
                    self._wanted,
                )
            ]

    def _missing(self, now: datetime, day: int, minutes: int | None = None) -> int:
        """Quarter-hours of a local day (0 today, 1 tomorrow) without a price; lock held."""
        start, end = self._midnight(now, day), self._midnight(now, day + 1)
        return self._book.missing(start, end, minutes or HOUR_MINUTES)

    def _midnight(self, now: datetime, days: int) -> datetime:
        return local_midnight(now.astimezone(self._zone).date() + timedelta(days=days), self._zone)

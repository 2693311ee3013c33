"""Known prices on disk, one entry per UTC day, so that a restart in an outage still has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from engine.fetching.cache import CacheEntry, DiskCache
from engine.market.intervals import FetchedPrices
from engine.market.price_book import PriceBook, day_of


class PriceCache:
    """The prices of one market in a `DiskCache`.

    Args:
        cache: Where entries are kept.
        market: Key of the market; entries of another are neither read nor touched.
    """

    def __init__(self, cache: DiskCache, market: str) -> None:
        self._cache = cache
        self._prefix = f"prices_{market}_"

    @property
    def problems(self) -> tuple[str, ...]:
        """The latest problems in words."""
        return self._cache.problems

    def load(self, book: PriceBook, oldest: datetime) -> None:
        """Fill `book` with what is stored from `oldest` on and delete what is older."""
        first = day_of(oldest)
        for key in self._cache.stored_keys():
            day = self._day(key)
            if day is None:
                continue
            if day.toordinal() < first:
                self._cache.remove(key)
                continue
            entry = self._cache.get(key)
            if entry is None:
                continue
            try:
                book.load_day(entry.payload)
            except ValueError as error:
                self._cache.report(f"The cached prices of {day} are ignored: {error}.")

    def save(
        self, fetched: FetchedPrices, payloads: Mapping[int, list[list[Any]]], gone: Iterable[int]
    ) -> None:
        """Store the UTC days (ordinals) an answer touched and delete those that are gone."""
        for day, payload in payloads.items():
            entry = CacheEntry(fetched.fetched_at, fetched.source, fetched.request, payload)
            self._cache.put(self._key(day), entry)
        for day in gone:
            self._cache.remove(self._key(day))

    def _key(self, day: int) -> str:
        return f"{self._prefix}{date.fromordinal(day).isoformat()}"

    def _day(self, key: str) -> date | None:
        if not key.startswith(self._prefix):
            return None
        try:
            return date.fromisoformat(key.removeprefix(self._prefix))
        except ValueError:
            return None

"""The one place that answers "these signals, this period, this many points".

It chooses what to read (samples up to two days, roll-ups beyond), thins to what a chart can
show, keeps a small number of answers for a few seconds, and lets only a few questions run at
once. Every question ends: after a time limit, or when it is cancelled.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.history.downsample import thin
from engine.history.query_errors import QueryStoppedError
from engine.history.read_limit import ReadLimit, limited_reads
from engine.history.series_names import Family, SeriesName, series_name
from engine.history.series_query import (
    SECONDS,
    Earlier,
    Series,
    SeriesAnswer,
    SeriesQuery,
    Step,
)
from engine.history.series_reads import QueryStore, ReadSeries, read_measured, read_points

CONCURRENT = 3
LIMIT_SECONDS = 10.0
CACHED_ANSWERS = 64

FRESH_SECONDS = 2.0
"""An answer that reaches the present is kept for so long at most."""

PAST_SECONDS = 60.0
"""An answer about the past is kept for so long; an import may change it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: SeriesAnswer
    until_s: float


class HistoryQueries:
    """Answers questions for series of one installation; may be used from any thread.

    Args:
        store: Where series are read from.
        timezone: IANA name of the site's time zone.
        now: The engine's time, UTC.
        concurrent: Questions that may read at once; further ones wait.
        limit_seconds: Longest duration of one question, waiting included.
        monotonic: Seconds that never run backwards.
    """

    def __init__(
        self,
        store: QueryStore,
        timezone: str,
        now: Callable[[], datetime],
        *,
        concurrent: int = CONCURRENT,
        limit_seconds: float = LIMIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._zone = ZoneInfo(timezone)
        self._now = now
        self._limit_seconds = limit_seconds
        self._monotonic = monotonic
        self._turns = threading.BoundedSemaphore(concurrent)
        self._lock = threading.Lock()
        self._kept: OrderedDict[SeriesQuery, _Kept] = OrderedDict()
        self._asking: dict[SeriesQuery, threading.Lock] = {}
        self._imported: dict[str, tuple[float, tuple[datetime, datetime] | None]] = {}

    @property
    def timezone(self) -> str:
        """IANA name of the site's time zone."""
        return self._zone.key

    def series(self, query: SeriesQuery, limit: ReadLimit | None = None) -> SeriesAnswer:
        """Return the answer to `query`; its period is rounded to whole intervals.

        Args:
            query: The question.
            limit: Time limit and means to cancel; None for the usual time limit.

        Raises:
            QueryError: A series is unknown, or has no such aggregation at that step.
            QueryStoppedError: It took too long or was cancelled.
            HistoryError: The store cannot answer.
        """
        names = [series_name(text) for text in query.signals]
        query = rounded(query, self._zone)
        limit = limit or ReadLimit(self._limit_seconds, monotonic=self._monotonic)
        # one thread asks, others that want the same wait for its answer
        with self._only_asker(query):
            kept = self._from_cache(query)
            if kept is not None:
                return kept
            with self._turn(limit), limited_reads(limit):
                answer = self._answer(query, names)
            self._keep(query, answer)
            return answer

    def _answer(self, query: SeriesQuery, names: list[SeriesName]) -> SeriesAnswer:
        series = self._read(query, names)
        if query.compare is None:
            return SeriesAnswer(query, query.resolved_step, self._zone.key, series)
        before = earlier_query(query, query.compare, self._zone)
        moved = np.timedelta64((query.since - before.since) // timedelta(microseconds=1), "us")
        earlier = {
            name: replace(found, ts=found.ts + moved)
            for name, found in self._read(before, names).items()
        }
        return SeriesAnswer(
            query, query.resolved_step, self._zone.key, series, earlier, before.since
        )

    def _read(self, query: SeriesQuery, names: list[SeriesName]) -> Mapping[str, Series]:
        now = self._now()
        measured = read_measured(
            self._store,
            query,
            [name for name in names if name.family is Family.MEASURED],
            self._zone,
            now,
            states=self._may_be_imported(query),
        )
        out: dict[str, Series] = {}
        for name in names:
            found = measured.get(name.text)
            if found is None:
                found = read_points(self._store, query, name, self._zone)
            out[name.text] = _shown(found, query.max_points)
        return out

    def _may_be_imported(self, query: SeriesQuery) -> bool:
        """Return whether the period meets imported samples; looked up once a minute per site."""
        now_s = self._monotonic()
        with self._lock:
            known = self._imported.get(query.site_id)
        if known is None or now_s - known[0] > PAST_SECONDS:
            known = (now_s, self._store.imported_span(query.site_id))
            with self._lock:
                self._imported[query.site_id] = known
        span = known[1]
        return span is not None and span[0] < query.until and query.since < span[1]

    @contextmanager
    def _turn(self, limit: ReadLimit) -> Iterator[None]:
        limit.check()
        if not self._turns.acquire(timeout=self._limit_seconds):
            raise QueryStoppedError(
                "Too many questions are asked of the history at once.",
                hint="Ask again in a few seconds.",
            )
        try:
            yield
        finally:
            self._turns.release()

    @contextmanager
    def _only_asker(self, query: SeriesQuery) -> Iterator[None]:
        with self._lock:
            mine = self._asking.setdefault(query, threading.Lock())
        try:
            with mine:
                yield
        finally:
            with self._lock:
                if not mine.locked():
                    self._asking.pop(query, None)

    def _from_cache(self, query: SeriesQuery) -> SeriesAnswer | None:
        with self._lock:
            kept = self._kept.get(query)
            return kept.answer if kept is not None and self._monotonic() < kept.until_s else None

    def _keep(self, query: SeriesQuery, answer: SeriesAnswer) -> None:
        step_s = SECONDS[query.resolved_step]
        settled = query.until + timedelta(seconds=2 * step_s) < self._now()
        seconds = PAST_SECONDS if settled else FRESH_SECONDS
        with self._lock:
            self._kept[query] = _Kept(answer, self._monotonic() + seconds)
            self._kept.move_to_end(query)
            while len(self._kept) > CACHED_ANSWERS:
                self._kept.popitem(last=False)


def rounded(query: SeriesQuery, zone: ZoneInfo) -> SeriesQuery:
    """Return `query` over whole intervals: its start moved down, its end moved up.

    Days are whole local days; single samples are asked for by whole 2 s.
    """
    step = query.resolved_step
    # what AUTO meant must not change when the period grows by an interval
    settled = replace(query, step=step) if query.step is Step.AUTO else query
    if step is Step.DAY:
        since = _midnight(settled.since, zone, up=False)
        until = _midnight(settled.until, zone, up=True)
    else:
        length = timedelta(seconds=SECONDS[step])
        since = _EPOCH + (settled.since - _EPOCH) // length * length
        until = _EPOCH - (_EPOCH - settled.until) // length * length
    return replace(settled, since=since, until=until)


def earlier_query(query: SeriesQuery, earlier: Earlier, zone: ZoneInfo) -> SeriesQuery:
    """Return the question for the earlier period: the same wall-clock times, some days before."""
    back = timedelta(days=earlier.days)

    def moved(ts: datetime) -> datetime:
        return (ts.astimezone(zone) - back).astimezone(UTC)

    since, until = moved(query.since), moved(query.until)
    if until <= since:
        # a period inside the hour that a change of the clock skips
        until = since + (query.until - query.since)
    return replace(query, since=since, until=until, compare=None)


def _midnight(ts: datetime, zone: ZoneInfo, *, up: bool) -> datetime:
    local = ts.astimezone(zone)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if up and start.astimezone(UTC) < ts:
        start = start + timedelta(days=1)
    return start.astimezone(UTC)


def _shown(found: ReadSeries, max_points: int) -> Series:
    full = found.full
    name = full.name
    thinned = thin(full.ts, full.values, max_points, full.gap_us, low=full.low, high=full.high)
    return Series(
        name=name.text,
        unit=name.unit,
        family=name.family,
        stepped=name.family is not Family.MEASURED,
        ts=thinned.ts,
        values=thinned.values,
        low=thinned.low,
        high=thinned.high,
        n=int(np.isfinite(full.values).sum()),
        simulated=full.simulated is not None and bool(full.simulated.any()),
        imported=full.imported is not None and bool(full.imported.any()),
        statistics=found.statistics,
    )

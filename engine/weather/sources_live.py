"""The newest weather forecast, held in memory and refreshed in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Literal

import numpy as np

from engine.domain.clock import Clock
from engine.domain.errors import FetchError
from engine.domain.quarter_hour import STEP
from engine.fetching.cache import CacheEntry, DiskCache
from engine.fetching.refresher import Job
from engine.fetching.source_record import SourceRecord, SourceStatus, nobody_answered
from engine.weather.sources import WeatherProvider
from engine.weather.weather import WeatherForecast

_FIELDS = (
    "ghi_w_m2",
    "dni_w_m2",
    "dhi_w_m2",
    "cloud_cover_percent",
    "temp_air_c",
    "wind_speed_m_s",
)

_KEEP_PAST = timedelta(hours=24)
_MAX_STEPS = 20 * 96

WeatherState = Literal["ok", "waiting", "cached", "outage", "none"]


@dataclass(frozen=True, slots=True)
class WeatherSchedule:
    """When forecasts are asked for and how long they hold.

    Attributes:
        refresh_s: Time between two requests, 75 to 125 % of it.
        max_age_s: An older forecast is not given out.
    """

    refresh_s: float = 2700.0
    max_age_s: float = 12 * 3600.0


@dataclass(frozen=True, slots=True)
class WeatherStatus:
    """What is shown of the weather sources.

    Attributes:
        state: ``"ok"``; ``"waiting"`` for the first answer after a start; ``"cached"``: its
            source does not answer, the forecast still holds; ``"outage"``: it is too old or
            ended; ``"none"``: there never was one.
        message: The same in a sentence.
        source: Who the forecast comes from.
        fetched_at: When it was obtained, UTC.
        known_until: Its end, UTC.
        has_irradiance: True when it holds irradiance, not only clouds.
        sources: Every source by priority, with age and last error.
        attribution: Who must be named beside the weather.
        cache_problems: Latest problems of the cache on disk.
    """

    state: WeatherState
    message: str
    source: str | None
    fetched_at: datetime | None
    known_until: datetime | None
    has_irradiance: bool
    sources: tuple[SourceStatus, ...]
    attribution: tuple[str, ...]
    cache_problems: tuple[str, ...]

    @property
    def warn(self) -> bool:
        """True when a person should know."""
        return self.state in ("outage", "none")


class LiveWeather:
    """Forecast of the first source that answers (`WeatherSource`).

    Args:
        providers: Sources by priority.
        clock: Time.
        random: For jitter.
        place: Key of the place, for example ``"48.21_16.38"``: cached weather of another is not
            used.
        cache: Where the forecast survives a restart; None keeps it in memory only.
        schedule: When to ask.
    """

    def __init__(
        self,
        providers: Sequence[WeatherProvider],
        clock: Clock,
        random: Random,
        *,
        place: str,
        cache: DiskCache | None = None,
        schedule: WeatherSchedule | None = None,
    ) -> None:
        if not providers:
            raise ValueError("at least one weather source is needed")
        self._sources = tuple((p, SourceRecord(p.name, clock, random)) for p in providers)
        self._clock = clock
        self._random = random
        self._cache = cache
        self._key = f"weather_{place}".lower()
        self._schedule = schedule or WeatherSchedule()
        self._failed = False
        self._kept = False
        self._newest: WeatherForecast | None = self._load()

    def forecast(self, now: datetime) -> WeatherForecast | None:
        """Return the newest forecast, at once; None when it is too old or does not reach `now`."""
        newest = self._newest
        if newest is None or newest.end <= now:
            return None
        if (now - newest.fetched_at).total_seconds() > self._schedule.max_age_s:
            return None
        return newest

    def status(self) -> WeatherStatus:
        """Return how the weather is doing, for notices and the connection list."""
        now, newest = self._clock.now(), self._newest
        sources = tuple(record.status() for _, record in self._sources)
        state: WeatherState
        if newest is None and not any(s.last_error for s in sources):
            state, message = "waiting", "The weather forecast is being fetched."
        elif newest is None:
            state, message = "none", "No weather forecast is known."
        elif self.forecast(now) is None:
            hours = (now - newest.fetched_at).total_seconds() / 3600.0
            state, message = "outage", f"The weather forecast is {hours:.0f} hours old, too old."
        elif self._failed:
            state, message = "cached", "No weather source answers; the last forecast is used."
        elif self._kept:
            state = "cached"
            message = "The last forecast with irradiance is kept while its source is away."
        else:
            state, message = "ok", "The weather forecast is up to date."
        reasons = " ".join(f"{s.name}: {s.last_error}" for s in sources if s.last_error)
        return WeatherStatus(
            state=state,
            message=f"{message} {reasons}" if reasons and state != "ok" else message,
            source=newest.source if newest else None,
            fetched_at=newest.fetched_at if newest else None,
            known_until=newest.end if newest else None,
            has_irradiance=newest.has_irradiance if newest else False,
            sources=sources,
            attribution=tuple(p.attribution for p, _ in self._sources),
            cache_problems=self._cache.problems if self._cache else (),
        )

    def jobs(self) -> tuple[Job, ...]:
        """Return what a `BackgroundRefresher` must run."""
        return (Job("weather", self.refresh, self.next_refresh_s),)

    def next_refresh_s(self, _now: datetime) -> float:
        """Return seconds until the weather is asked for again."""
        return self._schedule.refresh_s * self._random.uniform(0.75, 1.25)

    def refresh(self) -> None:
        """Ask the sources in turn until one gives a forecast that reaches beyond now.

        Raises:
            FetchError: When none does.
        """
        errors: list[FetchError] = []
        for provider, record in self._sources:
            try:
                fetched = record.ask(partial(self._fetch, provider))
            except FetchError as error:
                errors.append(error)
                continue
            record.succeeded()
            self._failed = False
            self._kept = self._keeps(fetched)
            if not self._kept:
                self._take(fetched)
            return
        self._failed = True
        raise nobody_answered("weather", errors)

    def _fetch(self, provider: WeatherProvider) -> WeatherForecast:
        fetched = provider.fetch()
        if fetched.end <= self._clock.now():
            raise FetchError(
                f"The forecast of {provider.name} ends in the past.",
                kind="invalid",
                retryable=True,
            )
        return fetched

    def _keeps(self, fetched: WeatherForecast) -> bool:
        """True when the forecast at hand is worth more: it holds irradiance and is fresh."""
        now = self._clock.now()
        old = self.forecast(now)
        if old is None or fetched.has_irradiance or not old.has_irradiance:
            return False
        return (now - old.fetched_at).total_seconds() < self._schedule.max_age_s / 2.0

    def _take(self, fetched: WeatherForecast) -> None:
        newest = with_past(fetched, self._newest)
        self._newest = newest
        if self._cache is not None:
            payload = {
                "start": newest.start.isoformat(),
                **{
                    name: [
                        None if np.isnan(v) else round(float(v), 3) for v in getattr(newest, name)
                    ]
                    for name in _FIELDS
                },
            }
            self._cache.put(self._key, CacheEntry(newest.fetched_at, newest.source, "", payload))

    def _load(self) -> WeatherForecast | None:
        entry = self._cache.get(self._key) if self._cache is not None else None
        if self._cache is None or entry is None:
            return None
        try:
            return _from_payload(entry)
        except (KeyError, TypeError, ValueError) as error:
            self._cache.report(f"The cached weather is ignored: {error}.")
            return None


def with_past(fetched: WeatherForecast, before: WeatherForecast | None) -> WeatherForecast:
    """Return `fetched`, led in by what the same source forecast for the last 24 hours.

    Some sources begin with their next step, up to three hours ahead; the present would be
    without weather, though it was forecast.
    """
    if before is None or before.source != fetched.source or before.end < fetched.start:
        return fetched
    start = max(before.start, fetched.start - _KEEP_PAST)
    if start >= fetched.start:
        return fetched
    part = slice((start - before.start) // STEP, (fetched.start - before.start) // STEP)
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(before, name)[part], getattr(fetched, name)])
        for name in _FIELDS
    }
    return replace(fetched, start=start, **joined)


def _from_payload(entry: CacheEntry) -> WeatherForecast:
    payload: dict[str, Any] = entry.payload
    start = datetime.fromisoformat(payload["start"])
    if start.tzinfo is None or start.timestamp() % STEP.total_seconds():
        raise ValueError("its start is not a full quarter-hour with offset")
    arrays = {
        name: np.array([np.nan if v is None else v for v in payload[name]], dtype=np.float64)
        for name in _FIELDS
    }
    sizes = {a.shape for a in arrays.values()}
    if len(sizes) != 1 or not 0 < arrays[_FIELDS[0]].size <= _MAX_STEPS:
        raise ValueError("its values do not belong together")
    if any(np.isinf(a).any() for a in arrays.values()):
        raise ValueError("a value is not finite")
    return WeatherForecast(
        start=start.astimezone(UTC), source=entry.source, fetched_at=entry.fetched_at, **arrays
    )

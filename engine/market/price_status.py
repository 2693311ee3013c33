"""How the prices are doing, in a state and in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from engine.fetching.source_record import SourceStatus
from engine.market.prices import DayAheadPrices

PriceState = Literal["ok", "waiting", "cached", "late", "outage", "none"]


@dataclass(frozen=True, slots=True)
class PriceStatus:
    """What is shown of the price sources.

    Attributes:
        state: ``"ok"``; ``"waiting"`` for tomorrow, as every day, or for the
            first answer after a start; ``"cached"``: no source
            answers, but all that should be published is known; ``"late"``: tomorrow should be
            published and is not known; ``"outage"``: prices of today are missing; ``"none"``:
            nothing is known.
        message: The same in a sentence.
        source: Who the current prices come from; None while nothing is known.
        fetched_at: When the oldest of them was last confirmed, UTC.
        known_until: End of the last known price, UTC.
        sources: Every source by priority, with age and last error.
        attribution: Who must be named beside the prices.
        cache_problems: Latest problems of the cache on disk.
        disagreement_eur_per_kwh: Largest gap between an hourly answer and known quarter-hours
            in the last merge; a hint at a wrong zone or at taxes in the price.
    """

    state: PriceState
    message: str
    source: str | None
    fetched_at: datetime | None
    known_until: datetime | None
    sources: tuple[SourceStatus, ...]
    attribution: tuple[str, ...]
    cache_problems: tuple[str, ...]
    disagreement_eur_per_kwh: float

    @property
    def warn(self) -> bool:
        """True when a person should know."""
        return self.state in ("late", "outage", "none")

    def age_s(self, now: datetime) -> float | None:
        """Return seconds since the current prices were last confirmed."""
        return (now - self.fetched_at).total_seconds() if self.fetched_at else None


def said_once(texts: Iterable[str]) -> str:
    """Return the sentences of `texts` in their order, each only once."""
    sentences = (part for text in texts for part in re.split(r"(?<=\.)\s+", text.strip()))
    return " ".join(dict.fromkeys(sentence for sentence in sentences if sentence))


def describe(
    *,
    prices: DayAheadPrices | None,
    now: datetime,
    zone: ZoneInfo,
    today_missing: int,
    tomorrow_missing: int,
    expected: bool,
    late: bool,
    all_failed: bool,
    sources: tuple[SourceStatus, ...],
    attribution: tuple[str, ...],
    cache_problems: tuple[str, ...],
    disagreement_eur_per_kwh: float,
) -> PriceStatus:
    """Return the status for what is known and missing.

    Args:
        prices: Everything known.
        now: Present.
        zone: Local time for the message.
        today_missing: Quarter-hours of today without a price.
        tomorrow_missing: The same for tomorrow.
        expected: True from the time tomorrow's prices may appear.
        late: True from the time they should have appeared.
        all_failed: True when the last refresh got no usable answer.
        sources: Records of the sources.
        attribution: Who must be named.
        cache_problems: Problems of the cache.
        disagreement_eur_per_kwh: See `PriceStatus`.
    """
    reasons = said_once(f"{s.name}: {s.last_error}" for s in sources if s.last_error)
    state: PriceState
    if prices is None and not any(s.last_error or s.last_success for s in sources):
        state, message = "waiting", "The day-ahead prices are being fetched."
    elif prices is None:
        state, message = "none", "No day-ahead prices are known."
    elif today_missing:
        state = "outage"
        message = f"{today_missing} quarter-hours of today have no day-ahead price."
    elif tomorrow_missing and late:
        state, message = "late", "The day-ahead prices of tomorrow are late."
    elif all_failed:
        until = prices.end.astimezone(zone)
        state = "cached"
        message = f"No price source answers; prices are known until {until:%Y-%m-%d %H:%M}."
    elif tomorrow_missing and expected:
        state, message = "waiting", "The day-ahead prices of tomorrow are not published yet."
    else:
        state, message = "ok", "The day-ahead prices are complete."
    if reasons and state not in ("ok", "waiting"):
        message = f"{message} {reasons}"
    return PriceStatus(
        state=state,
        message=message,
        source=prices.source if prices else None,
        fetched_at=prices.fetched_at if prices else None,
        known_until=prices.end if prices else None,
        sources=sources,
        attribution=attribution,
        cache_problems=cache_problems,
        disagreement_eur_per_kwh=disagreement_eur_per_kwh,
    )

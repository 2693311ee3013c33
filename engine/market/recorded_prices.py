"""Day-ahead prices from the recording, published as the exchange would publish them."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from engine.domain.clock import Clock
from engine.domain.local_days import local_midnight
from engine.domain.quarter_hour import STEP
from engine.market.prices import DayAheadPrices
from engine.recorded.recording import Recording

SOURCE = "recorded"

PUBLICATION_HOUR = 13
"""Local hour at which the next day's auction results appear (about 13:00, notes/forecasting)."""

HISTORY_DAYS = 180
"""Forecasters learn from the past; with less they fall back to simpler methods."""


class RecordedPrices:
    """Recorded Austrian prices mapped to the present (`PriceSource`).

    Tomorrow becomes visible at 13:00 local time, as in reality, so the plan never looks
    further ahead than an operator could.
    """

    def __init__(self, recording: Recording, clock: Clock) -> None:
        self._recording = recording
        self._clock = clock
        self._zone: ZoneInfo = recording.timezone
        self._cached: DayAheadPrices | None = None

    def published(self, now: datetime) -> DayAheadPrices:
        """Return the last 180 days and all that is published at `now`."""
        local = now.astimezone(self._zone)
        days_ahead = 2 if local.hour >= PUBLICATION_HOUR else 1
        start = local_midnight(local.date() - timedelta(days=HISTORY_DAYS), self._zone)
        end = local_midnight(local.date() + timedelta(days=days_ahead), self._zone)
        if self._cached is None or (self._cached.start, self._cached.end) != (start, end):
            eur_per_mwh = self._recording.quarter_hours(
                "price_at_eur_mwh", start, (end - start) // STEP
            )
            self._cached = DayAheadPrices(
                start=start,
                spot_eur_per_kwh=eur_per_mwh / 1000.0,
                source=SOURCE,
                fetched_at=self._clock.now(),
            )
        return self._cached

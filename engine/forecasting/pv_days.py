"""Days and slots that follow the sun instead of the clock on the wall.

Shading and sun height repeat at the same time of standard time; summer time would shift them
by an hour. A solar day starts at midnight of the zone's standard time and always has 96 slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP

SLOTS = 96


@dataclass(frozen=True, slots=True)
class SolarDays:
    """Days at a fixed distance to UTC.

    Attributes:
        offset: Standard time minus UTC.
    """

    offset: timedelta

    @classmethod
    def of(cls, zone: ZoneInfo, year: int) -> SolarDays:
        """Return the days of `zone`'s standard time in `year`."""
        offsets = [datetime(year, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)]
        return cls(min(offset for offset in offsets if offset is not None))

    def start_of(self, ts: datetime) -> datetime:
        """Return the start (UTC) of the day that contains the aware instant `ts`."""
        shifted = ts.astimezone(UTC) + self.offset
        return shifted.replace(hour=0, minute=0, second=0, microsecond=0) - self.offset

    def slots(self, start: datetime, n: int) -> NDArray[np.intp]:
        """Return the slot 0..95 of each of `n` steps from `start`; shape (n,)."""
        first = (start - self.start_of(start)) // STEP
        return (first + np.arange(n)) % SLOTS

    def days_after(self, day: datetime, start: datetime, n: int) -> NDArray[np.intp]:
        """Return how many days after the day starting at `day` each step lies; shape (n,)."""
        first = (start - day) // STEP
        return (first + np.arange(n)) // SLOTS

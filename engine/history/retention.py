"""How long what is kept, and the days and months that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Retention:
    """How long samples and their roll-ups are kept; quarter-hours are kept for ever.

    Attributes:
        raw_days: Whole days of samples kept in the hot file; older ones are archived.
        minute_days: Days for which minutes are kept.
        archive_months: Whole months of samples kept in the archive; None for ever.
    """

    raw_days: int = 14
    minute_days: int = 1825
    archive_months: int | None = 24

    def hot_from(self, now: datetime) -> date:
        """Return the first UTC day that stays in the hot file."""
        return now.date() - timedelta(days=self.raw_days)

    def minutes_from(self, now: datetime) -> date:
        """Return the first UTC day of which minutes are kept."""
        return now.date() - timedelta(days=self.minute_days)

    def archive_from(self, now: datetime) -> date | None:
        """Return the first day, of a month, that stays in the archive; None when all do."""
        if self.archive_months is None:
            return None
        months = now.year * 12 + now.month - 1 - self.archive_months
        return date(max(1, months // 12), months % 12 + 1, 1)

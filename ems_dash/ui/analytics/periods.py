"""Periods of whole local days to choose from, and what the address of the page says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from ems_dash.i18n import t
from ems_dash.ui import format as fmt

CUSTOM = "custom"
FIRST = "7d"

LONGEST_DAYS = 3_700


@dataclass(frozen=True, slots=True)
class Period:
    """Local days from `since` to before `until`, and the choice they came from.

    Attributes:
        key: One of `PRESETS`, or `CUSTOM`.
        since: First day.
        until: Day after the last.
    """

    key: str
    since: date
    until: date

    @property
    def days(self) -> int:
        """Number of days, >= 1."""
        return (self.until - self.since).days

    @property
    def last(self) -> date:
        """Last day."""
        return self.until - timedelta(days=1)

    def text(self, lang: str) -> str:
        """Return the days in words."""
        if self.days == 1:
            return fmt.date_of_day(self.since, lang)
        return t(
            "analytics.from_to",
            lang,
            since=fmt.date_of_day(self.since, lang),
            until=fmt.date_of_day(self.last, lang),
        )

    def address(self) -> dict[str, str]:
        """Return what the address keeps: the choice, and days only where they were chosen."""
        if self.key != CUSTOM:
            return {"period": self.key}
        return {
            "period": CUSTOM,
            "from": self.since.isoformat(),
            "to": self.last.isoformat(),
        }


def _back(days: int) -> Callable[[date], tuple[date, date]]:
    return lambda today: (today - timedelta(days=days - 1), today + timedelta(days=1))


PRESETS: dict[str, Callable[[date], tuple[date, date]]] = {
    "today": _back(1),
    "yesterday": lambda today: (today - timedelta(days=1), today),
    "7d": _back(7),
    "30d": _back(30),
    "month": lambda today: (today.replace(day=1), today + timedelta(days=1)),
    "year": lambda today: (today.replace(month=1, day=1), today + timedelta(days=1)),
}
"""Choice to its days, from today."""


def period_of(key: str | None, since: str | None, until: str | None, today: date) -> Period:
    """Return the period that is asked for; what is not understood falls back to seven days.

    Args:
        key: One of `PRESETS`, or `CUSTOM` for the days of `since` and `until`.
        since: First day as ISO date.
        until: Last day as ISO date; before the first one the two change places.
        today: Today at the site.
    """
    if key == CUSTOM:
        first, last = _day(since), _day(until)
        if first is not None and last is not None:
            first, last = min(first, last), max(first, last)
            first = max(first, last - timedelta(days=LONGEST_DAYS))
            return Period(CUSTOM, first, last + timedelta(days=1))
    chosen = key if key in PRESETS else FIRST
    return Period(chosen, *PRESETS[chosen](today))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None

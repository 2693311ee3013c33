"""Which past forecast is looked at: days to choose from, and the issue times within one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from engine.history.store import ForecastHeader

FIRST_LOOK = timedelta(hours=24)
"""Age of the forecast a visit begins with: most of what it expected has come by now."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A forecast among those of its series.

    Attributes:
        days: Local days on which forecasts were issued, newest first.
        day: The day of the chosen one.
        of_day: The forecasts of that day, oldest first.
        index: Place of the chosen one in `of_day`.
        earlier: True when an older one exists.
        later: True when a newer one exists.
    """

    days: tuple[date, ...]
    day: date
    of_day: tuple[ForecastHeader, ...]
    index: int
    earlier: bool
    later: bool

    @property
    def header(self) -> ForecastHeader:
        """The chosen forecast."""
        return self.of_day[self.index]


def nearest(vintages: Sequence[ForecastHeader], ts: datetime) -> int | None:
    """Return the place of the forecast issued nearest to `ts`; None without any."""
    if not vintages:
        return None
    return min(range(len(vintages)), key=lambda i: abs(vintages[i].issued_at - ts))


def choose(vintages: Sequence[ForecastHeader], place: int, tz: tzinfo) -> Choice:
    """Return the choice of the forecast at `place`, moved to the ends when it lies beyond.

    Args:
        vintages: All forecasts of the series, oldest first; at least one.
        place: Place of the chosen one.
        tz: Local time.
    """
    place = min(max(place, 0), len(vintages) - 1)
    days = [header.issued_at.astimezone(tz).date() for header in vintages]
    day = days[place]
    first = days.index(day)
    of_day = tuple(header for header, on in zip(vintages, days, strict=True) if on == day)
    return Choice(
        days=tuple(sorted(set(days), reverse=True)),
        day=day,
        of_day=of_day,
        index=place - first,
        earlier=place > 0,
        later=place < len(vintages) - 1,
    )


def on_day(vintages: Sequence[ForecastHeader], day: date, like: datetime, tz: tzinfo) -> int:
    """Return the place of the forecast of `day` issued nearest to the time of day of `like`."""
    local = like.astimezone(tz)
    wanted = datetime.combine(day, local.time(), tz)
    places = [i for i, h in enumerate(vintages) if h.issued_at.astimezone(tz).date() == day]
    if not places:
        return len(vintages) - 1
    return min(places, key=lambda i: abs(vintages[i].issued_at - wanted))


def stamp(ts: datetime) -> str:
    """Return an instant for an address: ISO 8601, UTC, as exact as it is stored."""
    return ts.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_stamp(text: str | None) -> datetime | None:
    """Return the instant of an address, or None for one that is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return None if found.tzinfo is None else found.astimezone(UTC)

"""Local days and months as periods of UTC time: 92, 96 or 100 quarter-hours make a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.domain.quarter_hour import STEP

_DAY = timedelta(days=1)


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant a local day begins, UTC."""
    return datetime.combine(day, time(0), zone).astimezone(UTC)


def local_day(ts: datetime, zone: ZoneInfo) -> date:
    """Return the local day of an aware instant."""
    return ts.astimezone(zone).date()


def day_period(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return start and end of a local day, UTC."""
    return local_midnight(day, zone), local_midnight(day_after(day), zone)


def day_steps(day: date, zone: ZoneInfo) -> int:
    """Return the number of quarter-hours of a local day."""
    start, end = day_period(day, zone)
    return (end - start) // STEP


def day_after(day: date) -> date:
    """Return the next calendar day."""
    return day + _DAY


def days_between(since: date, until: date) -> Iterator[date]:
    """Yield the days from `since` to before `until`."""
    for number in range((until - since).days):
        yield since + number * _DAY


def days_touched(since: datetime, until: datetime, zone: ZoneInfo) -> list[date]:
    """Return the local days that touch ``[since, until)``, ascending."""
    day, touched = since.astimezone(zone).date(), []
    while local_midnight(day, zone) < until:
        touched.append(day)
        day += _DAY
    return touched


def first_day_from(ts: datetime, zone: ZoneInfo) -> date:
    """Return the first local day that begins at or after `ts`."""
    local = ts.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.date() if midnight == local else day_after(local.date())


def month_start(day: date, later: int = 0) -> date:
    """Return the first day of the month of `day`, or of the month so many months later."""
    months = day.year * 12 + day.month - 1 + later
    return date(months // 12, months % 12 + 1, 1)

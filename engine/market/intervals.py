"""Price intervals as sources publish them, and what must be true of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from engine.domain.local_days import day_period, days_touched
from engine.domain.quarter_hour import STEP
from engine.fetching.http import invalid

QUARTER_MINUTES = 15
HOUR_MINUTES = 60
KNOWN_MINUTES = (QUARTER_MINUTES, HOUR_MINUTES)

MAX_ABS_EUR_PER_MWH = 4000.0
"""Harmonised limit of the European day-ahead market; nothing beyond can be a price."""

_HOURLY_RUN = 6


@dataclass(frozen=True, slots=True)
class PriceInterval:
    """One published price.

    Attributes:
        start: Start of the interval, UTC.
        minutes: Its length, 15 or 60.
        eur_per_kwh: The price; may be negative.
    """

    start: datetime
    minutes: int
    eur_per_kwh: float

    @property
    def end(self) -> datetime:
        """End of the interval, UTC."""
        return self.start + timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True)
class ParsedPrices:
    """What a reply holds.

    Attributes:
        intervals: Valid prices, ascending, none overlapping another.
        problems: What the reply leaves out or what is odd about it, in words.
    """

    intervals: tuple[PriceInterval, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchedPrices:
    """The answer of a source for a period.

    Attributes:
        intervals: Prices inside the period, ascending.
        source: Who says so.
        fetched_at: When, UTC.
        request: What was asked, without keys.
        problems: What is missing or odd, in words.
    """

    intervals: tuple[PriceInterval, ...]
    source: str
    fetched_at: datetime
    request: str
    problems: tuple[str, ...] = ()


class PriceProvider(Protocol):
    """A place that can be asked for day-ahead prices.

    Attributes:
        name: Key of the source, for example ``"energy_charts_at"``.
        attribution: Who must be named when the data are shown.
        minutes: Finest resolution it publishes.
    """

    name: str
    attribution: str
    minutes: int

    def fetch(self, start: datetime, end: datetime) -> FetchedPrices:
        """Return the prices published for ``[start, end)``; empty when none are yet.

        Raises:
            FetchError: When the source cannot be reached or its answer is wrong.
        """
        ...


def checked_price(value: Any, where: str) -> float:
    """Return a price in EUR/MWh as a float.

    Args:
        value: What stands in the reply.
        where: Where it stands, for the message.

    Raises:
        FetchError: When it is no number or no possible price.
    """
    # A bool is an int in Python, but true is no price.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise invalid(f"{where}: {value!r} is not a number.")
    if abs(value) > MAX_ABS_EUR_PER_MWH:
        raise invalid(
            f"{where}: {value:g} EUR/MWh is beyond the market's limit of "
            f"{MAX_ABS_EUR_PER_MWH:g} EUR/MWh, so the unit or the data must be wrong."
        )
    return float(value)


def checked_stamp(seconds: Any, where: str) -> datetime:
    """Return Unix seconds as a UTC instant on a full quarter-hour.

    Raises:
        FetchError: When it is no such instant.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise invalid(f"{where}: {seconds!r} is not a time.")
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise invalid(f"{where}: {seconds!r} is not a time.") from error
    if not 2000 <= at.year <= 2200:
        raise invalid(f"{where}: {seconds!r} is not a plausible time.")
    if at.second or at.microsecond or at.minute % QUARTER_MINUTES:
        raise invalid(f"{where}: {at:%Y-%m-%d %H:%M:%S} UTC is not a full quarter-hour.")
    return at


def checked_intervals(intervals: Sequence[PriceInterval]) -> tuple[PriceInterval, ...]:
    """Return the intervals after making sure that they ascend and never overlap.

    Raises:
        FetchError: When they do not, or when one has an unknown length.
    """
    for i, item in enumerate(intervals):
        if item.minutes not in KNOWN_MINUTES:
            raise invalid(f"A price for {item.minutes} minutes is neither hourly nor 15-minute.")
        if item.minutes == HOUR_MINUTES and item.start.minute:
            raise invalid(f"An hourly price starts at {item.start:%H:%M}, not on the full hour.")
        if i and item.start < intervals[i - 1].end:
            raise invalid(
                f"The prices are not in order: {item.start:%Y-%m-%d %H:%M} UTC comes after "
                f"{intervals[i - 1].start:%Y-%m-%d %H:%M} UTC."
            )
    return tuple(intervals)


def intervals_from_stamps(
    stamps: Sequence[datetime], eur_per_kwh: Sequence[float | None]
) -> tuple[PriceInterval, ...]:
    """Return intervals for a series that gives only starts; the length is read off the stamps.

    Among quarter-hours a price is hourly only inside a run of hours (the day on which the market
    changed its step), so hours with missing quarters are not taken for hourly prices.

    Args:
        stamps: Starts, UTC, ascending.
        eur_per_kwh: Price per stamp; None where the source leaves it open.

    Raises:
        FetchError: When the stamps do not ascend or their step is unknown.
    """
    gaps = [(b - a) // STEP for a, b in pairwise(stamps)]
    for i, gap in enumerate(gaps):
        if stamps[i + 1] <= stamps[i]:
            raise invalid(f"The time {stamps[i + 1]:%Y-%m-%d %H:%M} UTC is not in order.")
        if gap < 1:
            raise invalid("The prices are closer together than 15 minutes.")
    if not gaps:
        if not stamps:
            return ()
        raise invalid("With a single price its length cannot be told.")
    usual = min(gaps)
    if usual not in (1, 4):
        raise invalid(f"The step of {usual * QUARTER_MINUTES} minutes is neither 15 nor 60.")
    in_hours = _in_hourly_run(gaps)
    out = []
    for i, (start, price) in enumerate(zip(stamps, eur_per_kwh, strict=True)):
        hourly = usual == 4 or (start.minute == 0 and in_hours[i])
        if price is not None:
            out.append(PriceInterval(start, HOUR_MINUTES if hourly else QUARTER_MINUTES, price))
    return checked_intervals(out)


def _in_hourly_run(gaps: Sequence[int]) -> list[bool]:
    """Tell per stamp whether only hours lie around it, as part of at least `_HOURLY_RUN`."""
    out = [False] * (len(gaps) + 1)
    first = 0
    while first < len(gaps):
        last = first
        while last < len(gaps) and gaps[last] == 4:
            last += 1
        if last - first >= _HOURLY_RUN:
            # The stamp at either end belongs to the run only when nothing finer touches it.
            for i in range(first, last + 1):
                out[i] = (i > first or first == 0) and (i < last or last == len(gaps))
        first = last + 1
    return out


def within(
    intervals: Iterable[PriceInterval], start: datetime, end: datetime
) -> tuple[PriceInterval, ...]:
    """Return the intervals that start in ``[start, end)``."""
    return tuple(i for i in intervals if start <= i.start < end)


def missing_words(
    intervals: Sequence[PriceInterval], start: datetime, end: datetime, zone: ZoneInfo
) -> tuple[str, ...]:
    """Name the local days of ``[start, end)`` of which some, but not all, is priced.

    A whole day has 23, 24 or 25 hours, that is 92, 96 or 100 quarter-hours.
    """
    covered = {i.start + k * STEP for i in intervals for k in range(i.minutes // QUARTER_MINUTES)}
    words = []
    for day in days_touched(start, end, zone):
        first, last = day_period(day, zone)
        first, last = max(first, start), min(last, end)
        steps = [first + k * STEP for k in range((last - first) // STEP)]
        known = sum(ts in covered for ts in steps)
        if 0 < known < len(steps):
            words.append(f"{day}: {known} of {len(steps)} quarter-hours have a price")
    return tuple(words)


def unit_is_eur_per_mwh(unit: Any) -> bool:
    """Return True for the spellings of EUR/MWh that the sources use."""
    return isinstance(unit, str) and unit.lower().replace(" ", "") in ("eur/mwh", "€/mwh")


def require_list(value: Any, what: str) -> list[Any]:
    """Return `value` when it is a list.

    Raises:
        FetchError: When it is not.
    """
    if not isinstance(value, list):
        raise invalid(f"{what} is {type(value).__name__}, not a list.")
    return value


def require_object(value: Any, what: str) -> dict[str, Any]:
    """Return `value` when it is a JSON object.

    Raises:
        FetchError: When it is not.
    """
    if not isinstance(value, dict):
        raise invalid(f"{what} is {type(value).__name__}, not an object.")
    return value

"""All prices known so far, quarter-hour by quarter-hour, and which of two answers is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from engine.domain.quarter_hour import STEP
from engine.market.intervals import (
    HOUR_MINUTES,
    KNOWN_MINUTES,
    MAX_ABS_EUR_PER_MWH,
    QUARTER_MINUTES,
    FetchedPrices,
    PriceInterval,
)
from engine.market.prices import DayAheadPrices, PriceOrigin

_STEP_S = 900


@dataclass(frozen=True, slots=True)
class Step:
    """The price of a quarter-hour, in EUR/kWh, with its origin."""

    eur_per_kwh: float
    origin: PriceOrigin


@dataclass(frozen=True, slots=True)
class Merged:
    """What an answer changed.

    Attributes:
        days: UTC days (ordinals) of which anything changed, confirmation included.
        disagreement_eur_per_kwh: Largest gap between an hourly price and the mean of the
            quarter-hours already known for that hour; 0 when none could be compared.
    """

    days: frozenset[int]
    disagreement_eur_per_kwh: float


class PriceBook:
    """Prices by quarter-hour. Not thread-safe: its owner holds the lock.

    A quarter-hour price replaces an hourly one of the same time, never the other way round;
    of two with the same resolution the newer one is kept.
    """

    def __init__(self) -> None:
        self._steps: dict[int, Step] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def merge(self, fetched: FetchedPrices) -> Merged:
        """Take the prices of an answer in."""
        days, gap = set[int](), 0.0
        origins = {m: PriceOrigin(fetched.source, fetched.fetched_at, m) for m in KNOWN_MINUTES}
        for item in fetched.intervals:
            gap = max(gap, self._disagreement(item))
            first = int(item.start.timestamp()) // _STEP_S
            new = Step(item.eur_per_kwh, origins[item.minutes])
            for number in range(first, first + item.minutes // QUARTER_MINUTES):
                old = self._steps.get(number)
                if old is not None and new.origin.minutes > old.origin.minutes:
                    continue
                days.add(_day(number))
                self._steps[number] = new
        return Merged(frozenset(days), gap)

    def _disagreement(self, item: PriceInterval) -> float:
        if item.minutes != HOUR_MINUTES:
            return 0.0
        first = int(item.start.timestamp()) // _STEP_S
        known = [self._steps.get(first + k) for k in range(4)]
        values = [s.eur_per_kwh for s in known if s and s.origin.minutes == QUARTER_MINUTES]
        return abs(sum(values) / 4.0 - item.eur_per_kwh) if len(values) == 4 else 0.0

    def covered(self, start: datetime, end: datetime, minutes: int = HOUR_MINUTES) -> bool:
        """Return True when all of ``[start, end)`` has prices at least as fine as `minutes`."""
        return not self.missing(start, end, minutes)

    def missing(self, start: datetime, end: datetime, minutes: int = HOUR_MINUTES) -> int:
        """Return how many quarter-hours of ``[start, end)`` lack a price so fine."""
        first = int(start.timestamp()) // _STEP_S
        last = int(end.timestamp()) // _STEP_S
        return sum(
            (s := self._steps.get(n)) is None or s.origin.minutes > minutes
            for n in range(first, last)
        )

    def drop_before(self, start: datetime) -> frozenset[int]:
        """Forget what lies before `start`; return the UTC days (ordinals) that are now empty."""
        first = int(start.timestamp()) // _STEP_S
        gone = [n for n in self._steps if n < first]
        for number in gone:
            del self._steps[number]
        return frozenset({_day(n) for n in gone} - {_day(n) for n in self._steps})

    def prices(self, since: datetime) -> DayAheadPrices | None:
        """Return everything as one array from the first to the last known step, or None.

        Args:
            since: `source` and `fetched_at` describe the steps from here on, where there are
                any: what plans are made of, not the long past.
        """
        if not self._steps:
            return None
        numbers = np.array(sorted(self._steps), dtype=np.int64)
        first, n = int(numbers[0]), int(numbers[-1] - numbers[0]) + 1
        spot, index = np.full(n, np.nan), np.full(n, -1, dtype=np.int64)
        origins: dict[PriceOrigin, int] = {}
        # Most steps share few objects; hashing each origin by value would cost most of the time.
        by_id: dict[int, int] = {}
        for number in numbers.tolist():
            step = self._steps[number]
            origin = step.origin
            position = by_id.get(id(origin))
            if position is None:
                position = by_id[id(origin)] = origins.setdefault(origin, len(origins))
            spot[number - first] = step.eur_per_kwh
            index[number - first] = position
        start = datetime.fromtimestamp(first * _STEP_S, UTC)
        listed = tuple(origins)
        current = index[max(0, (since - start) // STEP) :]
        used = [listed[i] for i in np.unique(current[current >= 0])] or list(listed)
        names = sorted({o.source for o in used})
        return DayAheadPrices(
            start=start,
            spot_eur_per_kwh=spot,
            source=" + ".join(names),
            fetched_at=min(o.fetched_at for o in used),
            origins=listed,
            origin_index=index,
        )

    def day_payload(self, day: int) -> list[list[Any]]:
        """Return the steps of a UTC day (ordinal) in a form JSON holds."""
        first = _first_of_day(day)
        out = []
        for number in range(first, first + 96):
            step = self._steps.get(number)
            if step is not None:
                o = step.origin
                out.append(
                    [
                        number * _STEP_S,
                        step.eur_per_kwh,
                        o.minutes,
                        o.source,
                        o.fetched_at.timestamp(),
                    ]
                )
        return out

    def load_day(self, payload: Any) -> None:
        """Take in what `day_payload` gave, all or nothing.

        Raises:
            ValueError: When it is not of that form.
        """
        if not isinstance(payload, list):
            raise ValueError("its prices are no list")
        origins: dict[tuple[str, float, int], PriceOrigin] = {}
        steps = [_loaded(row, origins) for row in payload]
        for number, step in steps:
            old = self._steps.get(number)
            if old is None or _better(step.origin, old.origin):
                self._steps[number] = step


def day_of(ts: datetime) -> int:
    """Return the ordinal of the UTC day of `ts`."""
    return ts.astimezone(UTC).toordinal()


def _better(new: PriceOrigin, old: PriceOrigin) -> bool:
    if new.minutes != old.minutes:
        return new.minutes < old.minutes
    return new.fetched_at > old.fetched_at


def _day(number: int) -> int:
    return number // 96 + _EPOCH_ORDINAL


def _first_of_day(day: int) -> int:
    return (day - _EPOCH_ORDINAL) * 96


_EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def _loaded(row: Any, origins: dict[tuple[str, float, int], PriceOrigin]) -> tuple[int, Step]:
    if not isinstance(row, list) or len(row) != 5:
        raise ValueError("a price has not five parts")
    seconds, price, minutes, source, fetched_s = row
    for value in (seconds, price, minutes, fetched_s):
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError("a price is no number")
    if abs(price) * 1000 > MAX_ABS_EUR_PER_MWH:
        raise ValueError("a price is not possible")
    if seconds % _STEP_S or minutes not in KNOWN_MINUTES or not isinstance(source, str):
        raise ValueError("a price has no proper time, length or source")
    key = (source, fetched_s, minutes)
    origin = origins.get(key)
    if origin is None:
        try:
            at = datetime.fromtimestamp(fetched_s, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError("a price was fetched at no possible time") from error
        origin = origins[key] = PriceOrigin(source, at, int(minutes))
    return int(seconds) // _STEP_S, Step(float(price), origin)

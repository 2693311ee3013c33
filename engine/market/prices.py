"""Day-ahead prices with their origin."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import MarketError
from engine.domain.quarter_hour import STEP, quarter_start


@dataclass(frozen=True, slots=True)
class PriceOrigin:
    """Where the price of a step comes from.

    Attributes:
        source: Who says so.
        fetched_at: When it was obtained or last confirmed, UTC.
        minutes: Length of the published interval: 15, or 60 for an hourly price that is
            repeated over its four quarter-hours.
        estimated: True when the value was refined here and not published like this.
    """

    source: str
    fetched_at: datetime
    minutes: int = 15
    estimated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DayAheadPrices:
    """Published day-ahead prices in 15-min steps.

    Attributes:
        start: Start of the first step, UTC.
        spot_eur_per_kwh: Price per step, shape (n,); may be negative; NaN where nothing is
            published.
        source: Who says so, for example ``"recorded"``; several are joined by " + ".
        fetched_at: When they were obtained, UTC; the oldest of mixed origins.
        origins: The different origins; left out: one of `source` with 15-min prices.
        origin_index: Index into `origins` per step, -1 where nothing is published; shape (n,).
    """

    start: datetime
    spot_eur_per_kwh: NDArray[np.float64]
    source: str
    fetched_at: datetime
    origins: tuple[PriceOrigin, ...] = ()
    origin_index: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if not self.origins:
            one = (PriceOrigin(self.source, self.fetched_at),)
            index = np.where(np.isnan(self.spot_eur_per_kwh), -1, 0).astype(np.int64)
            object.__setattr__(self, "origins", one)
            object.__setattr__(self, "origin_index", index)
        elif self.origin_index.shape != self.spot_eur_per_kwh.shape:
            raise ValueError("origin_index must have one entry per step")

    @property
    def end(self) -> datetime:
        """End of the last published step, UTC."""
        return self.start + len(self.spot_eur_per_kwh) * STEP

    @property
    def resolution_minutes(self) -> NDArray[np.int64]:
        """Length of the published interval behind each step: 15 or 60, 0 where none; (n,)."""
        return _per_step(self.origin_index, [o.minutes for o in self.origins])

    @property
    def is_estimated(self) -> NDArray[np.bool_]:
        """True per step where the value was refined here, not published like this; (n,)."""
        estimated = _per_step(self.origin_index, [int(o.estimated) for o in self.origins])
        return estimated.astype(np.bool_)

    def at(self, ts: datetime) -> float | None:
        """Return the price of the step that contains `ts`, or None when it is not published."""
        index = self._index(ts)
        if index is None or np.isnan(self.spot_eur_per_kwh[index]):
            return None
        return float(self.spot_eur_per_kwh[index])

    def origin_at(self, ts: datetime) -> PriceOrigin | None:
        """Return the origin of the step that contains `ts`, or None when it is not published."""
        index = self._index(ts)
        if index is None or self.origin_index[index] < 0:
            return None
        return self.origins[int(self.origin_index[index])]

    def steps(self, start: datetime, n: int) -> NDArray[np.float64]:
        """Return `n` steps from `start`, NaN where nothing is published; shape (n,)."""
        out = np.full(n, np.nan)
        offset = (start.astimezone(UTC) - self.start) // STEP
        first, last = max(0, -offset), min(n, len(self.spot_eur_per_kwh) - offset)
        if last > first:
            out[first:last] = self.spot_eur_per_kwh[offset + first : offset + last]
        return out

    def _index(self, ts: datetime) -> int | None:
        index = (ts.astimezone(UTC) - self.start) // STEP
        return index if 0 <= index < len(self.spot_eur_per_kwh) else None


def _per_step(index: NDArray[np.int64], values: list[int]) -> NDArray[np.int64]:
    # The extra last entry answers for index -1, "nothing published".
    return np.array([*values, 0], dtype=np.int64)[index]


class PriceSource(Protocol):
    """Something that knows day-ahead prices."""

    def published(self, now: datetime) -> DayAheadPrices:
        """Return what is published at `now`, including recent days for forecasting.

        Raises:
            MarketError: When no prices can be had.
        """
        ...


def published_or_none(source: PriceSource, now: datetime) -> DayAheadPrices | None:
    """Return what `source` has published at `now`; None when no prices can be had.

    For everything that does without a price: whether one is needed at all is for the tariff to say.
    """
    try:
        return source.published(now)
    except MarketError:
        return None


def require_price(prices: DayAheadPrices, ts: datetime) -> float:
    """Return the published price at `ts`.

    Raises:
        MarketError: When it is not published.
    """
    price = prices.at(ts)
    if price is None:
        raise MarketError(
            f"No published day-ahead price for {ts:%Y-%m-%d %H:%M} UTC.",
            field="prices",
            hint="The price source is late or failed; the plan uses a forecast there.",
        )
    return price


def differ_from(prices: DayAheadPrices | None, known: DayAheadPrices | None, now: datetime) -> bool:
    """Return whether `prices` say anything else than `known` from the running step on.

    Past days that were filled in later, and a younger copy of the same prices, are no news.
    """
    if prices is None or known is None:
        return prices is not known
    if prices is known:
        return False
    first = quarter_start(now)
    if prices.end != known.end:
        return True
    n = max(0, (prices.end - first) // STEP)
    return not np.array_equal(prices.steps(first, n), known.steps(first, n), equal_nan=True)

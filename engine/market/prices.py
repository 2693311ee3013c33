"""Day-ahead prices with their origin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import MarketError
from engine.domain.quarter_hour import STEP


@dataclass(frozen=True, slots=True, eq=False)
class DayAheadPrices:
    """Published day-ahead prices in 15-min steps.

    Attributes:
        start: Start of the first step, UTC.
        spot_eur_per_kwh: Price per step, shape (n,); may be negative.
        source: Who says so, for example ``"recorded"``.
        fetched_at: When they were obtained, UTC.
    """

    start: datetime
    spot_eur_per_kwh: NDArray[np.float64]
    source: str
    fetched_at: datetime

    @property
    def end(self) -> datetime:
        """End of the last published step, UTC."""
        return self.start + len(self.spot_eur_per_kwh) * STEP

    def at(self, ts: datetime) -> float | None:
        """Return the price of the step that contains `ts`, or None when it is not published."""
        index = (ts.astimezone(UTC) - self.start) // STEP
        if 0 <= index < len(self.spot_eur_per_kwh):
            return float(self.spot_eur_per_kwh[index])
        return None

    def steps(self, start: datetime, n: int) -> NDArray[np.float64]:
        """Return `n` steps from `start`, NaN where nothing is published; shape (n,)."""
        out = np.full(n, np.nan)
        offset = (start.astimezone(UTC) - self.start) // STEP
        first, last = max(0, -offset), min(n, len(self.spot_eur_per_kwh) - offset)
        if last > first:
            out[first:last] = self.spot_eur_per_kwh[offset + first : offset + last]
        return out


class PriceSource(Protocol):
    """Something that knows day-ahead prices."""

    def published(self, now: datetime) -> DayAheadPrices:
        """Return what is published at `now`, including recent days for forecasting.

        Raises:
            MarketError: When no prices can be had.
        """
        ...


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

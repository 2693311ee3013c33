"""Published prices as a history for forecasters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import ForecastError
from engine.domain.forecast import PRICE_SIGNAL
from engine.domain.quarter_hour import STEP
from engine.forecasting.base import QuarterHourHistory
from engine.market.prices import DayAheadPrices


class PriceHistory:
    """Day-ahead prices, published future steps included (`QuarterHourHistory`).

    Args:
        published: Returns what is published now.
        past: Older prices, asked only for what lies before the published ones; None for none.
    """

    def __init__(
        self, published: Callable[[], DayAheadPrices], past: QuarterHourHistory | None = None
    ) -> None:
        self._published = published
        self._past = past

    @property
    def label(self) -> str:
        """Where the prices come from."""
        return f"{self._published().source} prices"

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        """Return prices of ``[start, end)`` in EUR/kWh, NaN where none is known; shape (n,).

        Raises:
            ForecastError: For any other signal than the price.
            MarketError: When no prices can be had.
        """
        if signal != PRICE_SIGNAL:
            raise ForecastError(
                "A price history knows prices only.", field=signal, hint=f"Ask for {PRICE_SIGNAL}."
            )
        prices = self._published()
        out = prices.steps(start, max(0, (end - start) // STEP))
        older_end = min(end, prices.start)
        if self._past is not None and start < older_end:
            older = self._past.means(signal, start, older_end)
            out[: len(older)] = older
        return out

"""Forecasts that were really issued, as the program recorded them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from engine.analytics.backtest.prepared import Prepared
from engine.analytics.backtest.views import RESIDUAL_DAYS, Ahead, Views
from engine.domain.errors import BacktestError
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP

OLDEST = timedelta(hours=6)
"""A forecast issued longer ago says nothing a plan would be made with."""

AT_ONCE = timedelta(seconds=60)
"""A plan made at a quarter-hour takes seconds; its forecasts are those of that quarter-hour."""


class Known(Protocol):
    """What a strategy knows of its horizon (`Views`, `VintageViews`)."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known about it, in words."""
        ...

    def ahead(self, i: int, h: int) -> Ahead:
        """Return what is known at the start of step `i` about the steps from it on, at most `h`."""
        ...

    def residuals(self, i: int, h: int) -> tuple[FloatArray, FloatArray] | None:
        """Return past errors of load and PV forecasts, shape (days, h) each; None with too few."""
        ...


class VintageViews:
    """The recorded forecasts of a case, and a forecaster where none was recorded.

    Args:
        prepared: The case.
        vintages: Forecasts of load, price and PV.
        fallback: Stands in where no forecast is recent enough.

    Raises:
        BacktestError: There are no recorded forecasts of the load.
    """

    def __init__(self, prepared: Prepared, vintages: Sequence[Forecast], fallback: Views) -> None:
        self._prepared = prepared
        self._fallback = fallback
        self._missing: set[int] = set()
        self._asked: set[int] = set()
        self._by_signal: dict[str, tuple[list[datetime], list[Forecast]]] = {}
        for signal in (LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL):
            found = sorted((v for v in vintages if v.signal == signal), key=lambda v: v.issued_at)
            self._by_signal[signal] = ([v.issued_at for v in found], found)
        if not self._by_signal[LOAD_SIGNAL][1]:
            raise BacktestError(
                "No forecasts of the load were recorded for this period.",
                field="forecaster",
                value="recorded",
                hint="Choose another forecaster, or a period in which the program ran.",
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the fallback stood in, in words."""
        if not self._missing:
            return ()
        return (
            f"{len(self._missing)} of {len(self._asked)} plans had no recorded forecast of the "
            "load; a forecaster stood in.",
        )

    def ahead(self, i: int, h: int) -> Ahead:
        """Return what was forecast at step `i` for at most `h` steps; fewer were recorded."""
        self._asked.add(i)
        load = self._newest(LOAD_SIGNAL, i)
        if load is None:
            self._missing.add(i)
            return self._fallback.ahead(i, h)
        ahead = self._fallback.ahead(i, min(h, load.size))
        n = ahead.load_kw.size
        pv, spot = self._newest(PV_SIGNAL, i), self._newest(PRICE_SIGNAL, i)
        buy, sell = ahead.buy, ahead.sell
        if spot is not None:
            n = min(n, spot.size)
            buy, sell = self._priced(i, spot[:n])
        if pv is not None:
            n = min(n, pv.size)
        return Ahead(
            load_kw=load[:n],
            pv_kw=ahead.pv_kw[:n] if pv is None else pv[:n],
            buy=buy[:n],
            sell=sell[:n],
        )

    def residuals(self, i: int, h: int) -> tuple[FloatArray, FloatArray] | None:
        """Return errors of the forecasts recorded at the same clock time on past days."""
        series = self._prepared.case.series
        loads, pvs = [], []
        for back in range(RESIDUAL_DAYS[0], RESIDUAL_DAYS[1] + 1):
            at = i - back * 96
            load = self._newest(LOAD_SIGNAL, at) if at >= 0 else None
            if load is None or load.size < h or at + h > i:
                continue
            pv = self._newest(PV_SIGNAL, at)
            if pv is None or pv.size < h:
                pv = np.zeros(h)
            loads.append(series.load_kw[at : at + h] - load[:h])
            pvs.append(series.pv_kw[at : at + h] - pv[:h])
        return (np.array(loads), np.array(pvs)) if len(loads) >= 5 else None

    def _newest(self, signal: str, i: int) -> FloatArray | None:
        """Return the newest forecast known at step `i`, from that step on."""
        start = self._prepared.case.series.start + i * STEP
        issued, found = self._by_signal[signal]
        at = bisect_right(issued, start + AT_ONCE) - 1
        if at < 0 or start - issued[at] > OLDEST:
            return None
        offset = (start - found[at].start) // STEP
        values = found[at].p50[max(0, offset) :]
        return values if offset >= 0 and values.size else None

    def _priced(self, i: int, spot: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return buy and sell prices of a forecast of the day-ahead price."""
        prepared = self._prepared
        start = prepared.case.series.start + i * STEP
        first = prepared.book.settlement_start(start)
        lead = (start - first) // STEP
        known = prepared.case.series.spot_eur_per_kwh[max(0, i - lead) : i]
        earlier = np.full(lead, np.nan)
        earlier[lead - known.size :] = known
        prices = prepared.book.prices(first, np.concatenate((earlier, spot)))
        return prices.buy_eur_per_kwh[lead:], prices.sell_eur_per_kwh[lead:]

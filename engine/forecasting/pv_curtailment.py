"""Which past quarter-hours of PV power say nothing about the sun, because they were curtailed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import PV_SIGNAL
from engine.domain.quarter_hour import STEP
from engine.forecasting.base import QuarterHourHistory

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
PastSeries = Callable[[datetime, datetime], FloatArray]
"""A series of the past: ``[start, end)`` -> values of shape (n,), NaN where unknown."""

GRID_SIGNAL = "grid_kw"
_NEAR_LIMIT = 0.02
_NEAR_INVERTER_LIMIT = 0.01
_NEARLY_ZERO_KW = 0.5
_NEARLY_ZERO_SHARE = 0.01


class CurtailedPast(Protocol):
    """Knows when PV power was held below what the sun offered."""

    def curtailed(self, start: datetime, end: datetime) -> BoolArray:
        """Return True for each curtailed quarter-hour of ``[start, end)``; shape (n,)."""
        ...


class NeverCurtailed:
    """A plant that always feeds in what it can."""

    def curtailed(self, start: datetime, end: datetime) -> BoolArray:
        """Return False for every quarter-hour; shape (n,)."""
        return np.zeros(max(0, (end - start) // STEP), dtype=np.bool_)


class SuspectedCurtailment:
    """Curtailment derived from what was measured and planned.

    Args:
        history: Past means of `pv_kw` and `grid_kw`.
        export_limit_kw: Feed-in limit at the connection; None when there is none.
        pv_limit_kw: AC power at which the inverters limit; None when unknown.
        sell_price_eur_per_kwh: Past feed-in prices; give it only where the site stops feeding
            in at negative prices.
        planned_curtailed_kw: Past curtailment that plans asked for.
    """

    def __init__(
        self,
        history: QuarterHourHistory,
        *,
        export_limit_kw: float | None = None,
        pv_limit_kw: float | None = None,
        sell_price_eur_per_kwh: PastSeries | None = None,
        planned_curtailed_kw: PastSeries | None = None,
    ) -> None:
        self._history = history
        self._export_limit_kw = export_limit_kw
        self._pv_limit_kw = pv_limit_kw
        self._sell_price = sell_price_eur_per_kwh
        self._planned = planned_curtailed_kw

    def curtailed(self, start: datetime, end: datetime) -> BoolArray:
        """Return True for each suspicious quarter-hour of ``[start, end)``; shape (n,)."""
        needs_grid = self._export_limit_kw is not None or self._sell_price is not None
        return suspected_curtailment(
            self._history.means(PV_SIGNAL, start, end),
            grid_kw=self._history.means(GRID_SIGNAL, start, end) if needs_grid else None,
            export_limit_kw=self._export_limit_kw,
            pv_limit_kw=self._pv_limit_kw,
            sell_price_eur_per_kwh=self._sell_price(start, end) if self._sell_price else None,
            planned_curtailed_kw=self._planned(start, end) if self._planned else None,
        )


def suspected_curtailment(
    pv_kw: FloatArray,
    *,
    grid_kw: FloatArray | None = None,
    export_limit_kw: float | None = None,
    pv_limit_kw: float | None = None,
    sell_price_eur_per_kwh: FloatArray | None = None,
    planned_curtailed_kw: FloatArray | None = None,
) -> BoolArray:
    """Return where PV power was probably held down; unknown values (NaN) raise no suspicion.

    Suspicious is a step with sun in which one of these holds: a plan asked for curtailment;
    the export reached its limit (within 2 %); the inverters reached theirs (within 1 %); the
    feed-in price was negative and nothing crossed the meter, as zero-export control leaves it.

    Args:
        pv_kw: Measured PV power; shape (n,).
        grid_kw: Power at the meter, + import, - export, same shape.
        export_limit_kw: Feed-in limit.
        pv_limit_kw: AC limit of the inverters.
        sell_price_eur_per_kwh: Feed-in price, same shape; only where negative prices stop it.
        planned_curtailed_kw: Curtailment of the plan in force, same shape.

    Returns:
        Mask of shape (n,).
    """
    suspicious = np.zeros(pv_kw.shape, dtype=np.bool_)
    if planned_curtailed_kw is not None:
        # A planned cut to zero shows no sun, so it counts whatever was measured.
        planned = planned_curtailed_kw > _NEARLY_ZERO_KW
    else:
        planned = suspicious
    if grid_kw is not None and export_limit_kw is not None:
        suspicious = suspicious | (-grid_kw >= export_limit_kw * (1.0 - _NEAR_LIMIT))
    if pv_limit_kw is not None:
        suspicious = suspicious | (pv_kw >= pv_limit_kw * (1.0 - _NEAR_INVERTER_LIMIT))
    if grid_kw is not None and sell_price_eur_per_kwh is not None:
        nearly_zero = max(_NEARLY_ZERO_KW, _NEARLY_ZERO_SHARE * (pv_limit_kw or 0.0))
        suspicious = suspicious | ((sell_price_eur_per_kwh < 0) & (np.abs(grid_kw) <= nearly_zero))
    return planned | (suspicious & (pv_kw > 0))


def without_curtailed(
    history: QuarterHourHistory, curtailed: CurtailedPast, start: datetime, end: datetime
) -> FloatArray:
    """Return the measured PV power of ``[start, end)``, NaN where unknown or curtailed; (n,)."""
    measured = history.means(PV_SIGNAL, start, end)
    return np.where(curtailed.curtailed(start, end), np.nan, measured)

"""The series that are forecast, as the pages show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ems_dash.ui import format as fmt
from ems_dash.ui.price_bars import CENTS
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, FloatArray


@dataclass(frozen=True, slots=True)
class ForecastSeries:
    """One series.

    Attributes:
        key: Its short name, in addresses and ids.
        signal: Its name in the engine.
        role: Data role that colours it.
        icon: Icon name.
        unit: Unit shown.
        factor: Shown value of one unit of the engine.
    """

    key: str
    signal: str
    role: str
    icon: str
    unit: str
    factor: float = 1.0

    def shown(self, values: ArrayLike) -> FloatArray:
        """Return values of the engine in the unit shown."""
        return np.asarray(values, dtype=np.float64) * self.factor

    def text(self, value: float | None, lang: str, *, signed: bool = False) -> str:
        """Return a value of the engine with one decimal and its unit."""
        shown = None if value is None else value * self.factor
        return str(fmt.Quantity(fmt.number(shown, 1, lang, signed=signed), self.unit))


PRICE = ForecastSeries("price", PRICE_SIGNAL, "price", "currency-euro", "ct/kWh", CENTS)
PV = ForecastSeries("pv", PV_SIGNAL, "pv", "sun", "kW")
LOAD = ForecastSeries("load", LOAD_SIGNAL, "load", "house-door", "kW")

SERIES: tuple[ForecastSeries, ...] = (PRICE, PV, LOAD)
"""In the order of the page."""


def series_of(key: str | None) -> ForecastSeries:
    """Return the series of a short name; the price for one that does not exist."""
    return next((series for series in SERIES if series.key == key), PRICE)

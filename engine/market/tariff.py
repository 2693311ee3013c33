"""From the day-ahead price to what the site pays and earns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Price = TypeVar("Price", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Tariff:
    """Dynamic tariff on the day-ahead price; every part in EUR/kWh.

    buy = (spot + markup + grid fee + levies) x (1 + VAT); sell = spot - fee.

    Attributes:
        spot_markup_eur_per_kwh: Supplier's surcharge on the day-ahead price.
        grid_fee_eur_per_kwh: Energy part of the grid fee.
        levies_eur_per_kwh: Taxes and levies per kWh.
        vat_percent: Value-added tax on everything bought; 0 where it is reclaimed.
        sell_fee_eur_per_kwh: What the marketer keeps of the day-ahead price.
    """

    spot_markup_eur_per_kwh: float
    grid_fee_eur_per_kwh: float
    levies_eur_per_kwh: float
    vat_percent: float
    sell_fee_eur_per_kwh: float

    def buy(self, spot_eur_per_kwh: Price) -> Price:
        """Return the purchase price for day-ahead prices (scalar or array)."""
        surcharges = (
            self.spot_markup_eur_per_kwh + self.grid_fee_eur_per_kwh + self.levies_eur_per_kwh
        )
        return (spot_eur_per_kwh + surcharges) * (1.0 + self.vat_percent / 100.0)

    def sell(self, spot_eur_per_kwh: Price) -> Price:
        """Return the feed-in price for day-ahead prices (scalar or array); may be negative."""
        return spot_eur_per_kwh - self.sell_fee_eur_per_kwh

"""One tariff, made ready for computing: components, buy and sell prices of many steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.config.tariff import TariffTermsConfig
from engine.config.tariff_windows import BASE, FeeWindow, PriceWindow, window_table
from engine.market.tariff_calendar import LocalSteps, hourly_means

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """A price per kWh that depends on local time.

    Attributes:
        eur_per_kwh: Price per cell, shape (12, 7, 96); NaN nowhere.
        window: Window that covers each cell, `BASE` where none does.
        names: Name per window, None where it has none.
    """

    eur_per_kwh: Floats
    window: NDArray[np.int64]
    names: tuple[str | None, ...]

    @classmethod
    def of(cls, base: float | None, windows: Sequence[PriceWindow | FeeWindow]) -> Schedule:
        """Return the schedule of validated windows over a base price."""
        table = window_table(windows)
        # The base stands last, where the index BASE (-1) finds it.
        prices = [w.eur_per_kwh for w in windows] + [np.nan if base is None else base]
        return cls(np.array(prices)[table], table, tuple(w.name for w in windows))

    def at(self, local: LocalSteps) -> Floats:
        """Return the price of each step, shape (n,)."""
        prices: Floats = self.eur_per_kwh[local.cells]
        return prices

    def name(self, local: LocalSteps) -> str | None:
        """Return the name of the window of the first step, None outside named windows."""
        index = int(self.window[local.cells][0])
        return None if index == BASE else self.names[index]


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """Price of the highest 15-min mean import of each local calendar month or year.

    Attributes:
        eur_per_kw: Price of a kW for a whole period, VAT included.
        period: Calendar period whose highest import is billed.
    """

    eur_per_kw: float
    period: Literal["month", "year"]


@dataclass(frozen=True, slots=True)
class BuyParts:
    """Components of the purchase price per step, EUR/kWh, each shape (n,).

    They are added from left to right, so their sum is the price to the last bit.
    """

    energy: Floats
    markup: Floats
    loss: Floats
    grid_fee: Floats
    levies: Floats
    vat: Floats

    def total(self) -> Floats:
        """Return the purchase price, shape (n,)."""
        return (self.energy + self.markup + self.loss + self.grid_fee + self.levies) + self.vat


class TariffTerms:
    """What one tariff makes of day-ahead prices.

    Args:
        config: Validated terms.
    """

    def __init__(self, config: TariffTermsConfig) -> None:
        self._config = config
        self._vat = config.vat_percent / 100.0
        fixed = config.energy_price_eur_per_kwh is not None or config.energy_price_windows
        self.energy = (
            Schedule.of(config.energy_price_eur_per_kwh, config.energy_price_windows)
            if fixed
            else None
        )
        self.grid_fee = Schedule.of(config.grid_fee_eur_per_kwh, config.grid_fee_windows)
        feed_in = config.feed_in_eur_per_kwh is not None or config.feed_in_windows
        self.feed_in = (
            Schedule.of(config.feed_in_eur_per_kwh, config.feed_in_windows) if feed_in else None
        )
        self._demand_config = config.demand_charge
        windows = config.demand_charge.windows if config.demand_charge else []
        self._billed = window_table(windows) != BASE if windows else None

    @property
    def export_allowed(self) -> bool:
        """False when nothing may flow into the grid."""
        return self._config.export_allowed

    @property
    def settlement_minutes(self) -> int:
        """15, or 60 when the mean day-ahead price of the hour is billed."""
        return self._config.settlement_minutes

    @property
    def buy_needs_spot(self) -> bool:
        """True when the purchase price depends on the day-ahead price."""
        return self.energy is None

    @property
    def sell_needs_spot(self) -> bool:
        """True when the feed-in price depends on the day-ahead price."""
        return self.export_allowed and (
            self.feed_in is None or self._config.feed_in_zero_when_spot_negative
        )

    @property
    def fixed_fee_eur_per_month(self) -> float:
        """Fixed monthly fee, VAT included."""
        return self._config.fixed_fee_eur_per_month * (1.0 + self._vat)

    @property
    def demand_charge(self) -> DemandCharge | None:
        """The demand charge, None without one."""
        demand = self._demand_config
        if demand is None:
            return None
        return DemandCharge(demand.eur_per_kw * (1.0 + self._vat), demand.period)

    def bills_demand_like(self, other: TariffTerms) -> bool:
        """True when `other` bills demand at the same price, period and times."""
        mine, theirs = self._billed, other._billed
        if mine is None or theirs is None:
            same_times = mine is theirs
        else:
            same_times = np.array_equal(mine, theirs)
        return self.demand_charge == other.demand_charge and same_times

    def billed(self, local: LocalSteps) -> NDArray[np.bool_]:
        """Return which steps count for the demand charge, shape (n,)."""
        if self._billed is None:
            return np.full(len(local), self._demand_config is not None)
        billed: NDArray[np.bool_] = self._billed[local.cells]
        return billed

    def settled_spot(self, local: LocalSteps, spot_eur_per_kwh: Floats) -> Floats:
        """Return the day-ahead price that is billed per step, shape (n,)."""
        if self.settlement_minutes == 60:
            return hourly_means(local.first, spot_eur_per_kwh)
        return spot_eur_per_kwh

    def buy_parts(self, local: LocalSteps, settled_eur_per_kwh: Floats) -> BuyParts:
        """Return the components of the purchase price.

        Args:
            local: The steps.
            settled_eur_per_kwh: `settled_spot` per step, NaN where unknown, shape (n,).
        """
        config, n = self._config, len(local)
        if self.energy is not None:
            energy, markup, loss = self.energy.at(local), np.zeros(n), np.zeros(n)
        else:
            energy = settled_eur_per_kwh
            # On the amount: a surcharge never turns into a discount when prices are negative.
            markup = (
                config.spot_markup_percent / 100.0 * np.abs(energy) + config.spot_markup_eur_per_kwh
            )
            loss = config.loss_percent / 100.0 * (energy + markup)
        grid_fee = self.grid_fee.at(local)
        levies = np.full(n, config.levies_eur_per_kwh)
        vat = self._vat * (energy + markup + loss + grid_fee + levies)
        return BuyParts(energy, markup, loss, grid_fee, levies, vat)

    def sell(self, local: LocalSteps, spot_eur_per_kwh: Floats, settled: Floats) -> Floats:
        """Return the feed-in price per step, EUR/kWh, shape (n,); may be negative.

        Args:
            local: The steps.
            spot_eur_per_kwh: Day-ahead price of the quarter-hour itself, NaN where unknown.
            settled: `settled_spot` per step.
        """
        config, n = self._config, len(local)
        if not config.export_allowed:
            return np.zeros(n)
        if self.feed_in is not None:
            price = self.feed_in.at(local)
        else:
            price = settled * (1.0 - config.sell_fee_percent / 100.0) - config.sell_fee_eur_per_kwh
        if not config.feed_in_zero_when_spot_negative:
            return price
        # The law looks at the quarter-hour, whatever the purchase contract settles (EEG 51).
        price = np.where(spot_eur_per_kwh < 0.0, 0.0, price)
        return np.where(np.isnan(spot_eur_per_kwh), np.nan, price)

"""From the day-ahead price to what the site pays and earns, by the tariff valid at the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.config.tariff import TariffConfig
from engine.domain.errors import MarketError
from engine.domain.local_days import local_midnight
from engine.market.tariff_billing import BillingPeriod, DatedTerms, demand_periods, monthly_fee
from engine.market.tariff_calendar import (
    LocalSteps,
    first_step,
    local_steps,
    step_number,
    step_time,
)
from engine.market.tariff_terms import DemandCharge, TariffTerms


@dataclass(frozen=True, slots=True, eq=False)
class TariffPrices:
    """Prices of consecutive quarter-hours.

    Attributes:
        buy_eur_per_kwh: What an imported kWh costs, shape (n,); NaN where not known.
        sell_eur_per_kwh: What an exported kWh earns, shape (n,); NaN where not known.
    """

    buy_eur_per_kwh: NDArray[np.float64]
    sell_eur_per_kwh: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BuyPrice:
    """Where the purchase price of one quarter-hour comes from; all in EUR/kWh.

    Attributes:
        ts: Start of the quarter-hour, UTC.
        energy_from_spot: True when `energy_eur_per_kwh` is the day-ahead price, False when it is
            the tariff's own energy price.
        energy_eur_per_kwh: Day-ahead or energy price.
        markup_eur_per_kwh: Supplier's surcharge on the day-ahead price.
        loss_eur_per_kwh: Allowance for losses on both.
        grid_fee_eur_per_kwh: Energy part of the grid fee.
        levies_eur_per_kwh: Taxes and levies per kWh.
        vat_eur_per_kwh: Value-added tax on all of them.
        buy_eur_per_kwh: The price: exactly the sum of `parts` from first to last.
        energy_window: Name of the energy-price window, None outside named windows.
        grid_fee_window: Name of the grid-fee window, None outside named windows.
    """

    ts: datetime
    energy_from_spot: bool
    energy_eur_per_kwh: float
    markup_eur_per_kwh: float
    loss_eur_per_kwh: float
    grid_fee_eur_per_kwh: float
    levies_eur_per_kwh: float
    vat_eur_per_kwh: float
    buy_eur_per_kwh: float
    energy_window: str | None
    grid_fee_window: str | None

    @property
    def parts(self) -> tuple[tuple[str, float], ...]:
        """Name and EUR/kWh of each component, in the order in which they add up."""
        return (
            ("energy", self.energy_eur_per_kwh),
            ("markup", self.markup_eur_per_kwh),
            ("loss", self.loss_eur_per_kwh),
            ("grid_fee", self.grid_fee_eur_per_kwh),
            ("levies", self.levies_eur_per_kwh),
            ("vat", self.vat_eur_per_kwh),
        )


class TariffBook:
    """All versions of a site's tariff; every instant is priced by the one valid then.

    Local days and windows follow the site's time zone, also across clock changes. Nothing is
    guessed: an unknown day-ahead price gives NaN where the price depends on it, and a time before
    the first version is an error unless that version has no `valid_from`.

    Args:
        config: Validated section ``tariff``.
        zone: The site's time zone.
    """

    def __init__(self, config: TariffConfig, zone: ZoneInfo) -> None:
        self._zone = zone
        self._versions = [DatedTerms(v.valid_from, TariffTerms(v)) for v in config.dated]
        # The first quarter-hour of each version; one without a day has begun before any time.
        self._begins = np.array(
            [
                np.iinfo(np.int64).min
                if v.valid_from is None
                else step_number(local_midnight(v.valid_from, zone))
                for v in self._versions
            ],
            dtype=np.int64,
        )

    @property
    def known_from(self) -> datetime | None:
        """Instant from which there is a tariff, UTC; None when there always was one."""
        day = self._versions[0].valid_from
        return None if day is None else local_midnight(day, self._zone)

    def prices(self, start: datetime, spot_eur_per_kwh: NDArray[np.float64]) -> TariffPrices:
        """Return buy and sell prices of consecutive quarter-hours.

        With hourly settlement a step costs the mean of its clock hour when the whole hour stands
        in `spot_eur_per_kwh`, else its own price: let arrays start at `settlement_start`.

        Args:
            start: Start of the first quarter-hour, aware.
            spot_eur_per_kwh: Day-ahead price per step, NaN where unknown, shape (n,).

        Raises:
            MarketError: When a step lies before the first version.
            ValueError: When `start` is not the start of a quarter-hour.
        """
        spot = np.asarray(spot_eur_per_kwh, dtype=np.float64)
        buy, sell = np.empty(len(spot)), np.empty(len(spot))
        for cut, terms, local in self._stretches(start, len(spot)):
            settled = terms.settled_spot(local, spot[cut])
            buy[cut] = terms.buy_parts(local, settled).total()
            sell[cut] = terms.sell(local, spot[cut], settled)
        return TariffPrices(buy, sell)

    def at(self, ts: datetime, spot_eur_per_kwh: float | None) -> tuple[float, float]:
        """Return buy and sell price of the quarter-hour that contains `ts`, EUR/kWh.

        Args:
            ts: Aware instant.
            spot_eur_per_kwh: Day-ahead price; with hourly settlement that of the hour. None or
                NaN when unknown.

        Raises:
            MarketError: When `ts` lies before the first version.
        """
        spot = np.array([np.nan if spot_eur_per_kwh is None else spot_eur_per_kwh])
        prices = self.prices(step_time(step_number(ts)), spot)
        return float(prices.buy_eur_per_kwh[0]), float(prices.sell_eur_per_kwh[0])

    def describe(self, ts: datetime, spot_eur_per_kwh: float | None) -> BuyPrice:
        """Return the components of the purchase price at `ts`; arguments and errors as for `at`."""
        terms, local = self._moment(ts)
        spot = np.array([np.nan if spot_eur_per_kwh is None else spot_eur_per_kwh])
        parts = terms.buy_parts(local, spot)
        return BuyPrice(
            ts=step_time(local.first),
            energy_from_spot=terms.buy_needs_spot,
            energy_eur_per_kwh=float(parts.energy[0]),
            markup_eur_per_kwh=float(parts.markup[0]),
            loss_eur_per_kwh=float(parts.loss[0]),
            grid_fee_eur_per_kwh=float(parts.grid_fee[0]),
            levies_eur_per_kwh=float(parts.levies[0]),
            vat_eur_per_kwh=float(parts.vat[0]),
            buy_eur_per_kwh=float(parts.total()[0]),
            energy_window=terms.energy.name(local) if terms.energy is not None else None,
            grid_fee_window=terms.grid_fee.name(local),
        )

    def needs_spot(self, ts: datetime) -> bool:
        """True when the buy or the sell price at `ts` depends on the day-ahead price."""
        terms = self._moment(ts)[0]
        return terms.buy_needs_spot or terms.sell_needs_spot

    def settlement_minutes(self, ts: datetime) -> int:
        """Return 15, or 60 when the tariff at `ts` bills the mean price of the hour."""
        return self._moment(ts)[0].settlement_minutes

    def settlement_start(self, ts: datetime) -> datetime:
        """Return where an array of day-ahead prices must start to settle the step at `ts`, UTC."""
        number = step_number(ts)
        return step_time(number - number % 4 if self.settlement_minutes(ts) == 60 else number)

    def export_allowed(self, ts: datetime) -> bool:
        """False when nothing may flow into the grid at `ts`."""
        return self._moment(ts)[0].export_allowed

    def export_mask(self, start: datetime, n: int) -> NDArray[np.bool_]:
        """Return `export_allowed` of `n` quarter-hours from `start`, shape (n,)."""
        out = np.empty(n, dtype=np.bool_)
        for cut, terms, _ in self._stretches(start, n):
            out[cut] = terms.export_allowed
        return out

    def demand_charge(self, ts: datetime) -> DemandCharge | None:
        """Return the demand charge of the tariff at `ts`, None without one."""
        return self._moment(ts)[0].demand_charge

    def billed_mask(self, start: datetime, n: int) -> NDArray[np.bool_]:
        """Return which of `n` steps from `start` count for the demand charge, shape (n,)."""
        out = np.empty(n, dtype=np.bool_)
        for cut, terms, local in self._stretches(start, n):
            out[cut] = terms.billed(local)
        return out

    def billing_periods(self, start: datetime, end: datetime) -> tuple[BillingPeriod, ...]:
        """Return the demand-charge periods that meet ``[start, end)``, whole and ascending.

        They are local months or years, cut where a version changes the demand charge; a version
        that leaves it alone cuts nothing, because one peak is billed across it. A cut period
        costs its share of the days. Times without a demand charge are in no period.

        Args:
            start: First instant, aware.
            end: End, aware.

        Raises:
            MarketError: When `start` lies before the first version.
        """
        if end <= start:
            return ()
        self._moment(start)
        return demand_periods(self._versions, start, end, self._zone)

    def fixed_fee(self, month: date) -> float:
        """Return the fixed fee of the local month that contains the day `month`, EUR with VAT.

        A version that begins or ends within the month counts for its share of the days.

        Raises:
            MarketError: When the whole month lies before the first version.
        """
        fee = monthly_fee(self._versions, month)
        if fee is None:
            raise self._unknown(f"{month:%Y-%m}")
        return fee

    def _moment(self, ts: datetime) -> tuple[TariffTerms, LocalSteps]:
        start = step_time(step_number(ts))
        ((_, terms, local),) = self._stretches(start, 1)
        return terms, local

    def _stretches(
        self, start: datetime, n: int
    ) -> Iterator[tuple[slice, TariffTerms, LocalSteps]]:
        """Yield the runs of steps that one version prices."""
        first = first_step(start)
        if n and first < self._begins[0]:
            raise self._unknown(f"{start.astimezone(self._zone):%Y-%m-%d %H:%M}")
        local = local_steps(start, n, self._zone)
        edges = np.clip(np.append(self._begins, np.iinfo(np.int64).max), first, first + n) - first
        for version, begin, end in zip(self._versions, edges[:-1], edges[1:], strict=True):
            if end > begin:
                yield slice(int(begin), int(end)), version.terms, local.part(int(begin), int(end))

    def _unknown(self, when: str) -> MarketError:
        day = self._versions[0].valid_from
        return MarketError(
            f"No tariff is known for {when}; the first version is valid from {day}.",
            field="tariff.versions.0.valid_from",
            value=str(day),
            hint="Add the earlier version, or leave out valid_from of the first one.",
        )

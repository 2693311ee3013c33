"""The arrays of a case, computed once: prices of the tariff, local days, billing periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.stored_value import FEWEST_ROWS, LOOK_BACK, value_at
from engine.domain.local_days import local_midnight
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP
from engine.market.tariff import TariffBook
from engine.market.tariff_billing import BillingPeriod
from engine.market.tariff_calendar import local_steps, step_number

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

NO_PERIOD = -1


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A case with everything that follows from it; arrays over all n steps of the series.

    Attributes:
        case: The case.
        book: Its tariff.
        priced_from: First step that a version of the tariff prices; NaN prices before it.
        buy: Price of an imported kWh, shape (n,).
        sell: Price of an exported kWh, shape (n,).
        may_export: Whether anything may flow into the grid, shape (n,).
        export_limit_kw: Most that may be exported, shape (n,).
        periods: Billing periods that meet the replayed span.
        period: Index of each step's billing period, `NO_PERIOD` without a demand charge.
        billed: Whether the step counts for the demand charge.
        day: Number of the local day since 1970-01-01, shape (n,).
        slot: Quarter-hour of the local day by the wall clock, 0..95, shape (n,).
        month: Local month as months since 1970-01, shape (n,).
        stored_value_eur_per_kwh: What the accounts value the change of stored energy at.
    """

    case: BacktestCase
    book: TariffBook
    priced_from: int
    buy: FloatArray
    sell: FloatArray
    may_export: BoolArray
    export_limit_kw: FloatArray
    periods: tuple[BillingPeriod, ...]
    period: IntArray
    billed: BoolArray
    day: IntArray
    slot: IntArray
    month: IntArray
    stored_value_eur_per_kwh: float

    @property
    def zone(self) -> ZoneInfo:
        """Local time zone."""
        return ZoneInfo(self.case.site.timezone)

    @property
    def span(self) -> slice:
        """The steps that are replayed."""
        return slice(self.case.first, self.case.stop)

    @property
    def has_demand_charge(self) -> bool:
        """True when some replayed step is billed for its peak."""
        return bool(self.billed[self.span].any())

    def priced(self, spot_eur_per_kwh: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return buy and sell prices for other day-ahead prices of the same steps."""
        return _prices(self.book, self.case, self.priced_from, spot_eur_per_kwh)


def prepare(case: BacktestCase) -> Prepared:
    """Return the arrays of a case.

    Raises:
        MarketError: No version of the tariff is valid at the start of the period.
    """
    series, zone = case.series, ZoneInfo(case.site.timezone)
    book, n = TariffBook(case.tariff, zone), series.n
    # The period itself must be priced; of the time before it, as much as the tariff knows.
    book.demand_charge(case.start)
    begin = max(series.start, book.known_from or series.start)
    priced_from = max(0, (begin - series.start) // STEP)
    buy, sell = _prices(book, case, priced_from, series.spot_eur_per_kwh)
    billed, may_export = np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.bool_)
    at = series.start + priced_from * STEP
    may_export[priced_from:] = book.export_mask(at, n - priced_from)
    billed[priced_from:] = book.billed_mask(at, n - priced_from)
    periods = tuple(
        period for period in book.billing_periods(case.start, series.end) if period.eur_per_kw > 0.0
    )
    index = np.full(n, NO_PERIOD, dtype=np.int64)
    for number, period in enumerate(periods):
        since = max(0, (period.start - series.start) // STEP)
        until = min(n, (period.end - series.start) // STEP)
        index[since:until] = number
    billed &= index != NO_PERIOD
    local = local_steps(series.start, n, zone)
    days = local_days(case, zone)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return Prepared(
        case=case,
        book=book,
        priced_from=priced_from,
        buy=buy,
        sell=sell,
        may_export=may_export,
        export_limit_kw=np.where(may_export, case.site.grid.export_limit_kw, 0.0),
        periods=periods,
        period=index,
        billed=billed,
        day=days,
        slot=local.slot,
        month=months,
        stored_value_eur_per_kwh=_stored_value(case, priced_from, buy, zone),
    )


def local_days(case: BacktestCase, zone: ZoneInfo) -> IntArray:
    """Return the number of the local day since 1970-01-01 of every step, shape (n,)."""
    series = case.series
    first = series.start.astimezone(zone).date()
    last = series.end.astimezone(zone).date()
    numbers = np.arange(_number(first), _number(last) + 2, dtype=np.int64)
    begins = np.array([step_number(local_midnight(_date(int(k)), zone)) for k in numbers])
    steps = step_number(series.start) + np.arange(series.n)
    days: IntArray = numbers[np.searchsorted(begins, steps, side="right") - 1]
    return days


def month_name(month: int) -> str:
    """Return a month number of `Prepared.month` like ``"2026-01"``."""
    return f"{1970 + month // 12}-{month % 12 + 1:02d}"


def _number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()


def _date(number: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + number)


def _prices(
    book: TariffBook, case: BacktestCase, priced_from: int, spot: FloatArray
) -> tuple[FloatArray, FloatArray]:
    buy, sell = np.full(spot.size, np.nan), np.full(spot.size, np.nan)
    prices = book.prices(case.series.start + priced_from * STEP, spot[priced_from:])
    buy[priced_from:], sell[priced_from:] = prices.buy_eur_per_kwh, prices.sell_eur_per_kwh
    return buy, sell


def _stored_value(case: BacktestCase, priced_from: int, buy: FloatArray, zone: ZoneInfo) -> float:
    """Return the ledger's price of a stored kWh in the month the period begins in.

    As `engine.analytics.stored_value`, but one price holds for the whole period, so that energy
    carried over the end of a month books neither a gain nor a loss.
    """
    local = case.start.astimezone(zone).date()
    month_begins = local_midnight(local.replace(day=1), zone)
    stop = min(case.first, (month_begins - case.series.start) // STEP)
    past = buy[max(priced_from, stop - LOOK_BACK // STEP) : max(stop, 0)]
    if past.size < FEWEST_ROWS:
        past = buy[case.first : min(case.stop, case.first + 96)]
    return value_at(float(past.mean()), case.battery)

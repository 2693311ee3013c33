"""From tariff, forecasts and state to the planning problem the site really has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from engine.analytics.incurred_peak import IncurredPeaks
from engine.domain.forecast import Forecast
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.site import Site
from engine.forecasting.base import QuarterHourHistory
from engine.market.prices import DayAheadPrices
from engine.market.tariff import TariffBook
from engine.market.tariff_billing import BillingPeriod
from engine.optimization.instance import Instance
from engine.optimization.terms import BilledPeak

_DAY_STEPS = 96
_LIMITED_STEPS = 4
"""A limit of the moment is planned with for an hour: batteries warm up, cool down, recover."""

_RECENT = timedelta(hours=24)


@dataclass(frozen=True, slots=True, eq=False)
class PlanForecasts:
    """The forecasts of one plan.

    Attributes:
        price: Day-ahead price, published steps are known; None where none can be had and the
            tariff needs none.
        load: Load.
        pv: PV before curtailment; None for a site without PV.
    """

    price: Forecast | None
    load: Forecast
    pv: Forecast | None

    @property
    def spot_eur_per_kwh(self) -> FloatArray:
        """Day-ahead price per step, NaN where none can be had."""
        return np.full(self.load.n_steps, np.nan) if self.price is None else self.price.p50

    @property
    def price_is_forecast(self) -> np.ndarray:
        """True per step whose day-ahead price is not published."""
        if self.price is None:
            return np.ones(self.load.n_steps, dtype=np.bool_)
        return ~self.price.known

    def by_signal(self) -> dict[str, Forecast]:
        """Return signal to forecast."""
        made = (self.price, self.load, self.pv)
        return {forecast.signal: forecast for forecast in made if forecast is not None}

    def sources(self) -> dict[str, str]:
        """Return series to the model and data behind it, in words."""
        return {
            "price": self.price.method if self.price is not None else "none",
            "load": self.load.method,
            "pv": self.pv.method if self.pv is not None else "none",
        }


@dataclass(frozen=True, slots=True)
class ProblemBuilder:
    """States the planning problem of one site.

    Attributes:
        site: Nameplate, economics, grid connection.
        tariff: What a kWh and a kW of peak cost.
        peaks: Peaks already incurred.
        pv_throttles: True when the PV plant gives away by itself what may not be exported.
    """

    site: Site
    tariff: TariffBook
    peaks: IncurredPeaks
    pv_throttles: bool

    def build(
        self,
        forecasts: PlanForecasts,
        *,
        published: DayAheadPrices | None,
        soc_percent: float,
        battery_limits_kw: tuple[float, float] = (math.inf, math.inf),
        now: datetime,
        terminal_value_eur_per_kwh: float | None = None,
        peak_target_kw: float | None = None,
    ) -> Instance:
        """Return the problem at the tariff the site really pays.

        Args:
            forecasts: Series that start with the running quarter-hour; medians are planned with.
            published: Published day-ahead prices, for the part of the running hour that has
                passed where the tariff settles hours.
            soc_percent: Measured state of charge.
            battery_limits_kw: What the battery may charge and discharge now; taken to hold for
                an hour, the nameplate after it.
            now: When.
            terminal_value_eur_per_kwh: Value of a kWh stored at the end; None for what a kWh
                earns without any skill (`first_terminal_value`).
            peak_target_kw: Import that costs no demand charge although it is not incurred yet,
                because the month will reach it anyway (notes/optimisation section 1); None
                for none.

        Raises:
            MarketError: No tariff is known for the horizon.
            HistoryError: The peaks already incurred could not be read.
        """
        battery, grid = self.site.battery, self.site.grid
        start, n = forecasts.load.start, forecasts.load.n_steps
        buy, sell = self._prices(start, forecasts.spot_eur_per_kwh, published)
        may_export = self.tariff.export_mask(start, n)
        if terminal_value_eur_per_kwh is None:
            terminal_value_eur_per_kwh = self.first_terminal_value(buy, sell)
        share = (quarter_start(now) + STEP - now) / STEP
        return Instance.for_battery(
            battery,
            start=start,
            step_minutes=int(STEP.total_seconds() // 60),
            buy_eur_per_kwh=buy,
            sell_eur_per_kwh=sell,
            load_kw=forecasts.load.p50,
            pv_kw=forecasts.pv.p50 if forecasts.pv is not None else np.zeros(n),
            charge_limit_kw=_limits(battery.power_charge_max_kw, battery_limits_kw[0], n, share),
            discharge_limit_kw=_limits(
                battery.power_discharge_max_kw, battery_limits_kw[1], n, share
            ),
            import_limit_kw=np.full(n, grid.import_limit_kw),
            export_limit_kw=np.where(may_export, grid.export_limit_kw, 0.0),
            energy_start_kwh=battery.energy_capacity_kwh * soc_percent / 100.0,
            terminal_value_eur_per_kwh=terminal_value_eur_per_kwh,
            curtailment_allowed=self.pv_throttles,
            billed_peaks=self.billed_peaks(start, n, now, peak_target_kw),
        )

    def _prices(
        self, start: datetime, spot: FloatArray, published: DayAheadPrices | None
    ) -> tuple[FloatArray, FloatArray]:
        first = self.tariff.settlement_start(start)
        lead = (start - first) // STEP
        earlier = published.steps(first, lead) if published is not None else np.full(lead, np.nan)
        prices = self.tariff.prices(first, np.concatenate((earlier, spot)))
        return prices.buy_eur_per_kwh[lead:], prices.sell_eur_per_kwh[lead:]

    def billed_peaks(
        self, start: datetime, n: int, now: datetime, peak_target_kw: float | None
    ) -> tuple[BilledPeak, ...]:
        """Return the demand charges that apply to the horizon, one per billing period."""
        counted = self.tariff.billed_mask(start, n)
        out = []
        for period in self.tariff.billing_periods(start, start + n * STEP):
            billed = counted & _inside(period, start, n)
            if not billed.any() or period.eur_per_kw <= 0.0:
                continue
            incurred = self.peaks.kw(period.start, period.end, now)
            floor = max(incurred, peak_target_kw or 0.0)
            out.append(BilledPeak(billed, period.eur_per_kw, floor))
        return tuple(out)

    def first_terminal_value(self, buy: FloatArray, sell: FloatArray) -> float:
        """Return the value of a stored kWh at the end before any plan has told one, EUR/kWh.

        The median feed-in price of the last day, less losses and wear, is what a stored kWh
        earns without any skill; where nothing is earned for it, it saves the cheapest import.
        """
        battery = self.site.battery
        earned = float(np.median(sell[-_DAY_STEPS:]))
        if earned <= 0.0:
            earned = float(buy[-_DAY_STEPS:].min())
        worth = earned * battery.efficiency_discharge - battery.wear_cost_eur_per_kwh
        return max(0.0, worth)


def recent_net_load_kw(history: QuarterHourHistory, now: datetime, *, has_pv: bool) -> FloatArray:
    """Return load minus PV of the last day up to the running step, newest last.

    Only the unbroken stretch before `now` is returned; shape (k,), k >= 0.

    Args:
        history: Past 15-min means.
        now: When.
        has_pv: False leaves PV out.
    """
    end = quarter_start(now)
    start = end - _RECENT
    net = history.means("load_kw", start, end)
    if has_pv:
        net = net - history.means("pv_kw", start, end)
    unknown = np.flatnonzero(~np.isfinite(net))
    recent: FloatArray = net[unknown[-1] + 1 :] if unknown.size else net
    return recent


def _limits(nameplate_kw: float, now_kw: float, n: int, share: float) -> FloatArray:
    limits = np.full(n, nameplate_kw)
    limits[:_LIMITED_STEPS] = min(nameplate_kw, now_kw)
    # Of the running quarter-hour only the rest is left to act in; its mean power is capped.
    limits[0] *= share
    return limits


def _inside(period: BillingPeriod, start: datetime, n: int) -> np.ndarray:
    times = [start + i * STEP for i in range(n)]
    return np.array([period.start <= ts < period.end for ts in times], dtype=np.bool_)

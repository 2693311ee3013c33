"""When to plan, and how a plan comes about: forecasts, tariff, state, optimise, check."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.clock import Clock
from engine.domain.errors import OptimizationError
from engine.domain.plan import Plan
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.sample import ProcessImage
from engine.domain.site import Site
from engine.forecasting.base import Forecaster
from engine.forecasting.price_tail import extend_prices
from engine.market.prices import DayAheadPrices, PriceSource
from engine.market.tariff import Tariff
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.planning import make_plan

CO_OPTIMISED = "co_optimised"

SOC_BAND_PERCENT = 5.0
"""Distance of the measured SoC from the plan that asks for a new plan."""

MIN_SECONDS_BETWEEN_DEVIATION_PLANS = 120.0


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """What a planner needs besides the process image.

    Attributes:
        site: Nameplate, economics, grid connection.
        prices: Day-ahead prices.
        tariff: From day-ahead to buy and sell price.
        load: Load forecaster.
        pv: PV forecaster, or None for a site without PV.
        horizon_steps: Length of a plan in quarter-hours.
        interval_s: Seconds between scheduled plans.
    """

    site: Site
    prices: PriceSource
    tariff: Tariff
    load: Forecaster
    pv: Forecaster | None
    horizon_steps: int
    interval_s: float


class Planner:
    """Decides when a plan is due and makes it. One thread calls `make`."""

    def __init__(
        self, inputs: PlanInputs, clock: Clock, optimizer: Optimizer | None = None
    ) -> None:
        self._inputs = inputs
        self._optimizer = optimizer or Optimizer()
        self._clock = clock
        self._zone = ZoneInfo(inputs.site.timezone)
        self._requested = threading.Event()
        self._numbers = count(1)
        self._last_plan: Plan | None = None
        self._planned_at: datetime | None = None
        self._planned_until: datetime | None = None

    def request(self) -> None:
        """Ask for a new plan as soon as possible."""
        self._requested.set()

    def due(self, image: ProcessImage) -> str | None:
        """Return why a plan is due now, or None.

        Reasons: ``start``, ``request``, ``schedule``, ``prices`` (new ones are published),
        ``deviation`` (the measured SoC left the plan's band).
        """
        now = self._clock.now()
        plan, planned_at = self._last_plan, self._planned_at
        if plan is None or planned_at is None:
            return "start" if image.value("soc_percent") is not None else None
        if self._requested.is_set():
            return "request"
        interval = self._inputs.interval_s
        if int(now.timestamp() // interval) != int(planned_at.timestamp() // interval):
            return "schedule"
        if self._inputs.prices.published(now).end != self._planned_until:
            return "prices"
        waited = (now - planned_at).total_seconds()
        if waited >= MIN_SECONDS_BETWEEN_DEVIATION_PLANS and self._deviates(plan, image, now):
            return "deviation"
        return None

    def make(self, image: ProcessImage, trigger: str) -> tuple[Plan, DayAheadPrices]:
        """Compute, check and return a plan with the prices behind it.

        Raises:
            MarketError: When no prices can be had.
            ForecastError: When a series cannot be forecast.
            OptimizationError: When no plan exists or it failed its independent check.
        """
        self._requested.clear()
        now = self._clock.now()
        site, inputs = self._inputs.site, self._inputs
        soc = image.value("soc_percent")
        if soc is None:
            raise OptimizationError(
                "The state of charge is not known, so there is nothing to plan from.",
                field="soc_percent",
                hint="Check the connection to the battery.",
            )
        start, n = quarter_start(now), inputs.horizon_steps
        prices = inputs.prices.published(now)
        spot, is_forecast = extend_prices(
            prices.spot_eur_per_kwh, prices.start, start, n, self._zone
        )
        load = inputs.load.predict(start, n, now)
        pv = inputs.pv.predict(start, n, now) if inputs.pv is not None else None
        instance = Instance.for_battery(
            site.battery,
            start=start,
            step_minutes=int(STEP.total_seconds() // 60),
            buy_eur_per_kwh=inputs.tariff.buy(spot),
            sell_eur_per_kwh=inputs.tariff.sell(spot),
            load_kw=load.p50,
            pv_kw=pv.p50 if pv is not None else np.zeros(n),
            charge_limit_kw=self._first_step(site.battery.power_charge_max_kw, n, now),
            discharge_limit_kw=self._first_step(site.battery.power_discharge_max_kw, n, now),
            import_limit_kw=np.full(n, site.grid.import_limit_kw),
            export_limit_kw=np.full(n, site.grid.export_limit_kw),
            energy_start_kwh=site.battery.energy_capacity_kwh * soc / 100.0,
            terminal_value_eur_per_kwh=self._terminal_value(spot, start, n),
            curtailment_allowed=False,
        )
        solution = self._optimizer.solve(instance)
        check = check_solution(instance, solution)
        plan = make_plan(
            instance,
            solution,
            check,
            plan_id=f"{now:%Y%m%dT%H%M%S}-{next(self._numbers):04d}",
            site_id=site.site_id,
            created_at=now,
            spot=spot,
            price_is_forecast=is_forecast,
            strategy=CO_OPTIMISED,
            trigger=trigger,
            forecast_sources={
                "price": prices.source + (" + similar day" if is_forecast.any() else ""),
                "load": load.method,
                "pv": pv.method if pv is not None else "none",
            },
        )
        self._last_plan = plan
        self._planned_at = now
        self._planned_until = prices.end
        return plan, prices

    def _first_step(self, power_kw: float, n: int, now: datetime) -> NDArray[np.float64]:
        # Of the running quarter-hour only the rest is left to act in; its mean power is capped.
        limits = np.full(n, power_kw)
        left = (quarter_start(now) + STEP - now) / STEP
        limits[0] = power_kw * left
        return limits

    def _terminal_value(self, spot: NDArray[np.float64], start: datetime, n: int) -> float:
        """Value of a kWh left at the end: what the previous plan gave it at that time of day.

        The first plan has no previous one; the median feed-in price of the last day, less
        losses and wear, is what a stored kWh earns without any skill.
        """
        day = 24 * 4
        last = self._last_plan
        if last is not None:
            index = last.step_at(start + (n - 1 - day) * STEP)
            if index is not None:
                return max(0.0, float(last.stored_value_eur_per_kwh[index]))
        battery = self._inputs.site.battery
        sell = float(np.median(self._inputs.tariff.sell(spot[-day:])))
        return max(0.0, sell * battery.efficiency_discharge - battery.wear_cost_eur_per_kwh)

    def _deviates(self, plan: Plan, image: ProcessImage, now: datetime) -> bool:
        soc, step = image.value("soc_percent"), plan.step_at(now)
        if soc is None or step is None:
            return False
        before = plan.soc_start_kwh if step == 0 else float(plan.soc_kwh[step - 1])
        passed = (now - (plan.start + step * STEP)) / STEP
        planned = before + passed * (float(plan.soc_kwh[step]) - before)
        capacity = self._inputs.site.battery.energy_capacity_kwh
        return abs(soc - 100.0 * planned / capacity) > SOC_BAND_PERCENT

"""When to plan, and how a plan comes about: forecasts, tariff, state, optimise, check, choose."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from engine.config.planning import StrategiesConfig
from engine.config.schema import Config, EmsConfig
from engine.domain.clock import Clock
from engine.domain.errors import OptimizationError
from engine.domain.forecast import Forecast
from engine.domain.plan import FloatArray, Plan
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.sample import ProcessImage
from engine.domain.strategy import Selection, StrategyKey
from engine.forecasting.base import QuarterHourHistory
from engine.market.prices import (
    DayAheadPrices,
    PriceSource,
    differ_from,
    published_or_none,
)
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.planning import make_plan, profit_24h_eur
from engine.optimization.settlement import settled
from engine.optimization.solving import Solves
from engine.runtime.forecast_service import ForecastService
from engine.runtime.forecast_setup import MinuteMeans
from engine.runtime.problem import PlanForecasts, ProblemBuilder, recent_net_load_kw
from engine.runtime.strategy_desk import StrategyDesk
from engine.runtime.uncertainty import Uncertainty
from engine.strategies.candidates import CandidatePlan, plan_candidates
from engine.strategies.parameters import StrategyContext, StrategyParameters

SOC_BAND_PERCENT = 5.0
"""Distance of the measured SoC from the plan that asks for a new plan."""

MIN_SECONDS_BETWEEN_DEVIATION_PLANS = 120.0

MIN_SECONDS_BETWEEN_PRICE_PLANS = 30.0
"""A source whose answers flutter must not keep the planner busy."""

LIMIT_BAND = 0.1
"""Change of what the battery may do, as a share of nameplate, that asks for a new plan."""

NET_LOAD_BAND = 0.15
"""Distance of the net load from the plan, as a share of the battery's power, that asks for one."""

NET_LOAD_OVER = timedelta(minutes=6)
NET_LOAD_MINUTES = 4
"""So many measured minutes within that time decide on it."""

_DAY_STEPS = 96


@dataclass(frozen=True, slots=True)
class BatteryLimits:
    """What the battery itself and limits from outside allow now, kW >= 0 in each direction."""

    charge_kw: float
    discharge_kw: float


NO_LIMITS = BatteryLimits(math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """What a planner needs besides the process image.

    Attributes:
        prices: Day-ahead prices.
        problem: States the problem of the site.
        forecasts: Forecasts of price, load and PV.
        desk: Chooses among the strategies.
        parameters: Settings of the pure strategies.
        past: Past 15-min means of load and PV.
        uncertainty: What is done about forecast errors.
        minute_means: One-minute means of what is measured now.
        horizon_steps: Length of a plan in quarter-hours.
        interval_s: Seconds between scheduled plans.
    """

    prices: PriceSource
    problem: ProblemBuilder
    forecasts: ForecastService
    desk: StrategyDesk
    parameters: StrategyParameters
    past: QuarterHourHistory
    uncertainty: Uncertainty
    minute_means: MinuteMeans
    horizon_steps: int
    interval_s: float


def strategy_parameters(config: StrategiesConfig) -> StrategyParameters:
    """Return the settings of the pure strategies as configured."""
    return StrategyParameters(
        peak_target_kw=config.peak_target_kw,
        balancing_window_hours=config.balancing_window_hours,
    )


def plan_interval_s(config: EmsConfig) -> float:
    """Return the seconds between two scheduled plans as configured."""
    return config.optimization_interval_minutes * 60.0


@dataclass(frozen=True, slots=True)
class MadePlan:
    """A plan with everything it rests on.

    Attributes:
        plan: The plan to publish.
        selection: Why its strategy was chosen, and what the others are worth.
        prices: Published prices it was made with; None where none are known.
        forecasts: Signal to forecast.
        problem: The planning problem at the tariff the site pays.
    """

    plan: Plan
    selection: Selection
    prices: DayAheadPrices | None
    forecasts: Mapping[str, Forecast]
    problem: Instance


@dataclass(frozen=True, slots=True, eq=False)
class _ValueCurve:
    """What stored energy was worth to the newest co-optimised plan."""

    start: datetime
    stored_value_eur_per_kwh: FloatArray

    def a_day_before(self, ts: datetime) -> float | None:
        index = (ts - STEP * _DAY_STEPS - self.start) // STEP
        if 0 <= index < self.stored_value_eur_per_kwh.size:
            return max(0.0, float(self.stored_value_eur_per_kwh[index]))
        return None


class Planner:
    """Decides when a plan is due and makes it. One thread calls `make`."""

    def __init__(self, inputs: PlanInputs, clock: Clock, optimizer: Solves | None = None) -> None:
        self._inputs = inputs
        self._site = inputs.problem.site
        self._optimizer: Solves = optimizer or Optimizer()
        self._clock = clock
        self._requested = threading.Event()
        self._adopted: Config | None = None
        self._in_force: Config | None = None
        self._numbers = count(1)
        self._last_plan: Plan | None = None
        self._values: _ValueCurve | None = None
        self._planned_at: datetime | None = None
        self._planned_prices: DayAheadPrices | None = None
        self._planned_with = NO_LIMITS
        self._planned_at_kw: float | None = None
        self._failed = False

    def resume(self, plan: Plan | None) -> None:
        """Take over what the newest stored plan held energy to be worth."""
        if plan is not None and plan.strategy == StrategyKey.CO_OPTIMISED:
            self._values = _ValueCurve(plan.start, plan.stored_value_eur_per_kwh)

    def request(self) -> None:
        """Ask for a new plan as soon as possible."""
        self._requested.set()

    def adopt(self, config: Config) -> None:
        """Plan by other settings from the next plan on, which is made at once.

        Taken over are ``strategies``, ``planning`` and ``ems.optimization_interval_minutes``, all
        of them between two plans. From any thread; returns at once.
        """
        self._adopted = config
        self.request()

    def _take_over(self) -> None:
        config = self._adopted
        if config is None or config is self._in_force:
            return
        self._in_force = config
        self._inputs.desk.adopt(config.strategies)
        self._inputs.uncertainty.adopt(config.planning)
        self._inputs = replace(
            self._inputs,
            parameters=strategy_parameters(config.strategies),
            interval_s=plan_interval_s(config.ems),
        )

    def due(self, image: ProcessImage, battery: BatteryLimits = NO_LIMITS) -> str | None:
        """Return why a plan is due now, or None.

        Reasons: ``start``, ``request``, ``retry`` (the last attempt failed), ``override`` (somebody
        chose a strategy, or that choice ended), ``schedule``, ``prices`` (others are published from
        now on), ``limits`` (the battery may do much more or less than planned with), ``deviation``
        (the measured SoC left the plan's band), ``net_load`` (load or PV left it for five minutes).

        Args:
            image: Newest process image.
            battery: What the battery itself may do now.
        """
        self._take_over()
        now = self._clock.now()
        plan, planned_at = self._last_plan, self._planned_at
        if plan is None or planned_at is None:
            return "start" if image.value("soc_percent") is not None else None
        if self._inputs.desk.overridden_since_plan():
            return "override"
        if self._requested.is_set():
            return "request"
        if self._failed:
            return "retry"
        interval = self._inputs.interval_s
        if int(now.timestamp() // interval) != int(planned_at.timestamp() // interval):
            return "schedule"
        # A clock set back leaves the newest plan in the future, which is no reason to wait.
        waited = abs((now - planned_at).total_seconds())
        if waited < MIN_SECONDS_BETWEEN_PRICE_PLANS:
            return None
        if differ_from(published_or_none(self._inputs.prices, now), self._planned_prices, now):
            return "prices"
        if waited < MIN_SECONDS_BETWEEN_DEVIATION_PLANS:
            return None
        if self._other_limits(battery):
            return "limits"
        if self._deviates(plan, image, now):
            return "deviation"
        return "net_load" if self._other_net_load(plan, now) else None

    def make(
        self, image: ProcessImage, trigger: str, battery: BatteryLimits = NO_LIMITS
    ) -> MadePlan:
        """Compute, check and return the plan of the chosen strategy with all it rests on.

        Args:
            image: Newest process image.
            trigger: Why.
            battery: What the battery itself may do now; it is planned with for an hour.

        Raises:
            MarketError: When no prices or no tariff can be had.
            ForecastError: When a series cannot be forecast.
            OptimizationError: When no strategy has a plan that passed its independent check.
            HistoryError: When the peaks already incurred cannot be read.
        """
        # Cleared first: what is asked for while this plan is made asks for the next one.
        self._requested.clear()
        try:
            made = self._make(image, trigger, battery)
        except Exception:
            self._failed = True
            if trigger == "request":
                # A request that could not be served stands.
                self._requested.set()
            raise
        self._failed = False
        return made

    def _make(self, image: ProcessImage, trigger: str, battery: BatteryLimits) -> MadePlan:
        now = self._clock.now()
        inputs = self._inputs
        soc = image.value("soc_percent")
        if soc is None:
            raise OptimizationError(
                "The state of charge is not known, so there is nothing to plan from.",
                field="soc_percent",
                hint="Check the connection to the battery.",
            )
        prices = published_or_none(self._inputs.prices, now)
        forecasts = inputs.forecasts.make(quarter_start(now), inputs.horizon_steps, now)
        has_pv = forecasts.pv is not None
        target_kw = inputs.uncertainty.peak_target_kw(now, has_pv=has_pv)
        problem = inputs.problem.build(
            forecasts,
            published=prices,
            soc_percent=soc,
            battery_limits_kw=(battery.charge_kw, battery.discharge_kw),
            now=now,
            terminal_value_eur_per_kwh=self._terminal_value(forecasts),
            peak_target_kw=target_kw,
        )
        problem = inputs.uncertainty.with_reserve(problem, forecasts, now, target_kw)
        context = StrategyContext(
            recent_net_load_kw=recent_net_load_kw(inputs.past, now, has_pv=has_pv),
            peak_target_kw=target_kw,
        )
        candidates = self._candidates(problem, context, forecasts, now)
        plan_id = f"{now:%Y%m%dT%H%M%S}-{next(self._numbers):04d}"
        selection = inputs.desk.choose(candidates, self._site.site_id, plan_id)
        plan = _chosen_plan(
            problem, candidates, selection, forecasts, created_at=now, trigger=trigger
        )
        inputs.desk.confirm(selection)
        self._remember_values(problem, candidates)
        self._last_plan = plan
        self._planned_at = now
        self._planned_with = battery
        self._planned_prices = prices
        minutes = self._net_load_minutes(now) if trigger == "net_load" else []
        self._planned_at_kw = minutes[-1] if minutes else None
        return MadePlan(plan, selection, prices, forecasts.by_signal(), problem)

    def _candidates(
        self,
        problem: Instance,
        context: StrategyContext,
        forecasts: PlanForecasts,
        now: datetime,
    ) -> dict[StrategyKey, CandidatePlan]:
        """Return every strategy's plan; the co-optimised one against scenarios where wanted."""
        parameters = self._inputs.parameters
        scenarios = self._inputs.uncertainty.solver(problem, forecasts, now)
        if scenarios is None:
            return plan_candidates(problem, context, parameters, self._optimizer)
        whole = (StrategyKey.CO_OPTIMISED,)
        found = plan_candidates(problem, context, parameters, self._optimizer)
        insured = plan_candidates(problem, context, parameters, scenarios, whole)
        return found | {key: _insured(insured[key], found[key]) for key in whole}

    def _terminal_value(self, forecasts: PlanForecasts) -> float | None:
        """Value of a kWh left at the end: what the previous plan gave it at that time of day."""
        if self._values is None:
            return None
        return self._values.a_day_before(forecasts.load.end - STEP)

    def _remember_values(
        self, problem: Instance, candidates: Mapping[StrategyKey, CandidatePlan]
    ) -> None:
        solution = candidates[StrategyKey.CO_OPTIMISED].solution
        if solution is not None:
            self._values = _ValueCurve(problem.start, solution.stored_value_eur_per_kwh)

    def _other_limits(self, battery: BatteryLimits) -> bool:
        nameplate, before = self._site.battery, self._planned_with
        return any(
            abs(min(now_kw, most_kw) - min(then_kw, most_kw)) > LIMIT_BAND * most_kw
            for now_kw, then_kw, most_kw in (
                (battery.charge_kw, before.charge_kw, nameplate.power_charge_max_kw),
                (battery.discharge_kw, before.discharge_kw, nameplate.power_discharge_max_kw),
            )
        )

    def _other_net_load(self, plan: Plan, now: datetime) -> bool:
        step = plan.step_at(now)
        if step is None or (now - NET_LOAD_OVER) < plan.start + step * STEP:
            # Minutes of another step say nothing about this one.
            return False
        seen = self._net_load_minutes(now)
        if len(seen) < NET_LOAD_MINUTES:
            return False
        mean_kw = sum(seen) / len(seen)
        planned_kw = float(plan.load_kw[step] - plan.pv_kw[step] + plan.curtailed_kw[step])
        battery = self._site.battery
        band_kw = NET_LOAD_BAND * max(battery.power_charge_max_kw, battery.power_discharge_max_kw)
        if self._planned_at_kw is not None and abs(mean_kw - self._planned_at_kw) <= band_kw:
            # The newest plan was made for this net load. Its running step is a mean with what
            # was before; planning again would tell next to nothing new.
            return False
        return abs(mean_kw - planned_kw) > band_kw

    def _net_load_minutes(self, now: datetime) -> list[float]:
        """Return the measured net load of each of the last minutes, kW, newest last."""
        return [
            load - (point.values.get("pv_kw") or 0.0)
            for point in self._inputs.minute_means(now - NET_LOAD_OVER, now)
            if (load := point.values.get("load_kw")) is not None
        ]

    def _deviates(self, plan: Plan, image: ProcessImage, now: datetime) -> bool:
        soc, step = image.value("soc_percent"), plan.step_at(now)
        if soc is None or step is None:
            return False
        before = plan.soc_start_kwh if step == 0 else float(plan.soc_kwh[step - 1])
        passed = (now - (plan.start + step * STEP)) / STEP
        planned = before + passed * (float(plan.soc_kwh[step]) - before)
        capacity = self._site.battery.energy_capacity_kwh
        return abs(soc - 100.0 * planned / capacity) > SOC_BAND_PERCENT


def _insured(insured: CandidatePlan, plain: CandidatePlan) -> CandidatePlan:
    """Return the plan against scenarios, weighed like the one against the medians alone.

    What it pays on the medians for being safe beside them is no reason to choose a strategy
    that is blind to them. Where the scenarios gave no plan, the medians' plan stands in.
    """
    safe_eur, plain_eur = insured.value.cost_eur, plain.value.cost_eur
    if safe_eur is None:
        return plain
    if plain_eur is None:
        return insured
    return replace(insured, preference_eur=plain_eur + plain.preference_eur - safe_eur)


def _chosen_plan(
    problem: Instance,
    candidates: Mapping[StrategyKey, CandidatePlan],
    selection: Selection,
    forecasts: PlanForecasts,
    *,
    created_at: datetime,
    trigger: str,
) -> Plan:
    chosen = candidates[selection.active]
    if chosen.instance is None or chosen.solution is None or chosen.check is None:
        raise OptimizationError(
            f"the chosen strategy {selection.active} has no plan.",
            field="strategies",
            value=selection.active,
            hint="Please report this case; the previous plan stays valid.",
        )
    plan = make_plan(
        chosen.instance,
        chosen.solution,
        chosen.check,
        plan_id=selection.plan_id,
        site_id=selection.site_id,
        created_at=created_at,
        spot=forecasts.spot_eur_per_kwh,
        price_is_forecast=forecasts.price_is_forecast,
        strategy=selection.active.value,
        trigger=trigger,
        forecast_sources=forecasts.sources(),
        tariff=problem,
    )
    plan = replace(plan, steering=chosen.steering)
    true = candidates[StrategyKey.CO_OPTIMISED].solution
    if selection.active is StrategyKey.CO_OPTIMISED or true is None:
        return plan
    # A pure strategy values stored energy at prices of its own; its profit is counted at what
    # the energy left after a day is really worth to the site.
    paid = settled(chosen.solution, problem)
    paid = replace(paid, stored_value_eur_per_kwh=true.stored_value_eur_per_kwh)
    return replace(plan, profit_24h_eur=profit_24h_eur(problem, paid))

"""One step of planning: make a plan when one is due, publish and store it."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from engine.domain.errors import TooLittleMeasuredError
from engine.domain.plan import Plan
from engine.domain.records import RunRow
from engine.market.price_rows import price_rows
from engine.market.prices import DayAheadPrices, differ_from
from engine.runtime.counters import EngineCounters
from engine.runtime.cycle import CycleResult
from engine.runtime.journal import Journal
from engine.runtime.parts import EngineParts
from engine.runtime.planner import BatteryLimits
from engine.runtime.run_records import failed_run, published_run

log = logging.getLogger(__name__)


class PlanStep:
    """Keeps the plan in force. `run` is called by one thread only.

    Args:
        parts: What the engine is assembled from.
        counters: Counts plans and times them.
        journal: Told of a switch of the strategy.
    """

    def __init__(self, parts: EngineParts, counters: EngineCounters, journal: Journal) -> None:
        self._parts = parts
        self._counters = counters
        self._journal = journal
        self._plan: Plan | None = None
        self._prices: DayAheadPrices | None = None

    @property
    def plan(self) -> Plan | None:
        """The published plan; None before the first."""
        return self._plan

    def run(self, result: CycleResult | None) -> bool:
        """Make a plan when one is due; False when none is.

        Args:
            result: The newest control cycle; None before the first.

        Raises:
            TooLittleMeasuredError: There is nothing to plan with yet.
            EmsError: No plan could be made; the one in force stays.
        """
        if result is None:
            return False
        battery = BatteryLimits(result.battery_charge_kw, result.battery_discharge_kw)
        trigger = self._parts.planner.due(result.image, battery)
        if trigger is None:
            return False
        began, ts = time.perf_counter(), self._parts.clock.now()
        try:
            made = self._parts.planner.make(result.image, trigger, battery)
        except TooLittleMeasuredError:
            # No attempt at a plan: there is nothing to plan with yet.
            raise
        except Exception as exc:
            self._counters.plans_failed += 1
            self._record_run(failed_run(exc, ts, self._parts.site.site_id, trigger), began)
            raise
        self._counters.plans_ok += 1
        self._counters.plan_s.add(time.perf_counter() - began)
        plan, prices = made.plan, made.prices
        # Control takes it over before anything is stored.
        self._plan = plan
        self._record_run(published_run(plan, ts), began)
        history = self._parts.history
        history.add_plan(plan)
        history.add_selection(made.selection)
        for forecast in made.forecasts.values():
            history.add_forecast(forecast, plan.site_id)
        if prices is not None and differ_from(prices, self._prices, plan.start):
            site_id = self._parts.site.site_id
            history.add_prices(
                price_rows(prices, self._parts.tariff, site_id, plan.start, prices.end)
            )
        self._prices = prices or self._prices
        self._journal.strategy_chosen(made.selection)
        self._parts.accuracy.watch()
        log.info(
            "plan %s published (%s): %s, %+.2f EUR in 24 h, %s in %.0f ms",
            plan.plan_id,
            trigger,
            plan.strategy,
            plan.profit_24h_eur,
            plan.solver,
            plan.solve_ms,
        )
        return True

    def _record_run(self, run: RunRow, began: float) -> None:
        duration_ms = (time.perf_counter() - began) * 1000.0
        self._parts.history.add_run(replace(run, duration_ms=duration_ms))

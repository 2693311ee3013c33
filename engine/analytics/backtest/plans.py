"""Plans of a replay: the kernel on arrays for the co-optimised strategy, instances for the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from engine.analytics.backtest.case import STEP_HOURS
from engine.analytics.backtest.foresight import strategy_parameters
from engine.analytics.backtest.policy import AUTO, Policy
from engine.analytics.backtest.prepared import Prepared
from engine.analytics.backtest.problems import Outlook, Problems
from engine.domain.plan import FloatArray, Plan, PlanCheck, PlanSteering
from engine.domain.quarter_hour import STEP
from engine.domain.strategy import StrategyKey
from engine.optimization.instance import Instance
from engine.optimization.kernel import convex, stage
from engine.optimization.kernel.forward import (
    BATTERY,
    ENERGY,
    GIVEN,
    GRID,
    PLAN_COLUMNS,
    STORED_VALUE,
)
from engine.optimization.kernel.found import with_prices
from engine.optimization.kernel.peaks import SOLVED, convex_plan, one_peak_plan
from engine.optimization.kernel.problem import PEAK_EXCESS, problem_of, unsupported
from engine.optimization.kernel.rolling import Store
from engine.optimization.kernel.solver import convex_search
from engine.optimization.routed import RoutedOptimizer
from engine.optimization.steering import steering_of
from engine.strategies.configured import configure
from engine.strategies.evaluation import Evaluation, evaluate
from engine.strategies.parameters import StrategyContext
from engine.strategies.selector import TIE, Selector, Standing

_NOT_CHECKED = PlanCheck(True, 0.0, 0.0, 0.0)
"""Kernel plans are held to the model of record by the tests of the kernel; replaying each of
tens of thousands would double the time, and the closed loop has exact physics of its own."""

_FLUTTER_KWH = 1e-6

_VALUES_HOLD = 4
"""Quarter-hours for which the values of a co-optimised plan serve those of other strategies."""


class Planner:
    """Makes the plans of one replay.

    Args:
        problems: States them.
        policy: Strategy, scenarios.
    """

    def __init__(self, problems: Problems, policy: Policy) -> None:
        self._problems = problems
        self._prepared: Prepared = problems.prepared
        self._policy = policy
        self._arrays = _Arrays(problems.prepared)
        # The closed loop has no way out of the energy window; a plan with one would only be slow.
        self._optimizer = RoutedOptimizer(keeps_window=True)
        self._parameters = strategy_parameters(problems.prepared)
        strategies = problems.prepared.case.strategies
        self._selector = Selector(
            strategies.switch_threshold, timedelta(minutes=strategies.min_dwell_minutes)
        )
        self._standing: Standing | None = None
        self._values: tuple[int, FloatArray] | None = None
        self.solves = 0
        self.chosen: dict[str, int] = {}

    def make(self, i: int, *, energy_kwh: float, metered_kw: float) -> Plan:
        """Return the plan of step `i`.

        Raises:
            OptimizationError: There is none.
        """
        h = min(self._policy.horizon_steps, self._prepared.case.series.n - i)
        outlook = self._problems.outlook(
            i,
            energy_kwh=self._inside(energy_kwh),
            metered_kw=metered_kw,
            last_value=self._a_day_before(i + h - 1),
        )
        if self._policy.strategy == AUTO:
            return self._automatic(outlook)
        key = StrategyKey(self._policy.strategy)
        if key is StrategyKey.CO_OPTIMISED:
            return self._co_optimised(outlook)
        return self._pure(key, outlook)

    def _inside(self, energy_kwh: float) -> float:
        """Return the energy without the rounding by which it may lie outside the window."""
        battery = self._prepared.case.battery
        low, high = battery.energy_min_kwh, battery.energy_max_kwh
        near = low - _FLUTTER_KWH <= energy_kwh <= high + _FLUTTER_KWH
        return min(max(energy_kwh, low), high) if near else energy_kwh

    def _a_day_before(self, step: int) -> float | None:
        if self._values is None:
            return None
        first, values = self._values
        at = step - 96 - first
        return float(values[at]) if 0 <= at < values.size else None

    def _co_optimised(self, outlook: Outlook) -> Plan:
        return self._co_optimised_from(outlook, self._arrays.plan(outlook))

    def _co_optimised_from(
        self, outlook: Outlook, found: tuple[FloatArray, FloatArray] | None
    ) -> Plan:
        self.solves += 1
        if found is None:
            instance = self._problems.instance(outlook)
            columns, _ = self._flows(instance)
            plan = self._plan(outlook, columns, StrategyKey.CO_OPTIMISED, instance)
        else:
            columns, caps = found
            values = self._scenario_values(outlook)
            if values is None:
                values = columns[:, STORED_VALUE].copy()
            plan = self._array_plan(outlook, columns, values, caps)
        self._values = (outlook.first, plan.stored_value_eur_per_kwh)
        return plan

    def _scenario_values(self, outlook: Outlook) -> FloatArray | None:
        """Return the mean value of stored energy over paths of past errors; None without them."""
        if not self._policy.scenarios:
            return None
        errors = self._problems.views.residuals(outlook.first, outlook.h)
        if errors is None:
            return None
        paths = list(zip(*errors, strict=True))[: self._policy.scenarios]
        values = []
        for load_error, pv_error in paths:
            ahead = dataclasses.replace(
                outlook.ahead,
                load_kw=np.maximum(outlook.ahead.load_kw + load_error, 0.0),
                pv_kw=np.maximum(outlook.ahead.pv_kw + pv_error, 0.0),
            )
            found = self._arrays.plan(dataclasses.replace(outlook, ahead=ahead))
            self.solves += 1
            if found is not None:
                values.append(found[0][:, STORED_VALUE])
        mean: FloatArray | None = np.mean(values, axis=0) if values else None
        return mean

    def _array_plan(
        self, outlook: Outlook, columns: FloatArray, values: FloatArray, caps: FloatArray
    ) -> Plan:
        ahead = outlook.ahead
        dearest = max((peak.charge_eur_per_kw for peak in outlook.peaks), default=0.0)
        return self._published(
            outlook,
            StrategyKey.CO_OPTIMISED.value,
            columns,
            values=values,
            steering=PlanSteering(
                buy_eur_per_kwh=ahead.buy,
                sell_eur_per_kwh=ahead.sell,
                smoothing_eur_per_kwh=0.0,
                smoothing_reference_kw=None,
                peak_cap_kw=caps,
                peak_price_eur_per_kwh=dearest / STEP_HOURS,
            ),
            reserve_kwh=outlook.reserve_kwh,
        )

    def _pure(self, key: StrategyKey, outlook: Outlook) -> Plan:
        instance = self._configured(key, self._problems.instance(outlook), outlook)
        self.solves += 1
        self._learn_value(outlook)
        columns, _ = self._flows(instance)
        return self._plan(outlook, columns, key, instance)

    def _automatic(self, outlook: Outlook) -> Plan:
        """Return the plan of the strategy chosen as live: by worth, with hysteresis.

        Worth is counted under the true tariff, of which the co-optimised plan is the optimum:
        where that is proven no other plan is cheaper, ties go to it, and the others need no
        planning to be refused. They are planned where it is in doubt.
        """
        standing = self._standing
        holds = standing is None or standing.active is StrategyKey.CO_OPTIMISED
        if holds and len(outlook.peaks) <= 1:
            found = self._arrays.plan(outlook)
            if found is not None:
                self._stand(StrategyKey.CO_OPTIMISED, outlook)
                return self._co_optimised_from(outlook, found)
        true = self._problems.instance(outlook)
        columns, gap = self._flows(true)
        self.solves += 1
        active, problem = StrategyKey.CO_OPTIMISED, true
        self._values = (outlook.first, columns[:, STORED_VALUE].copy())
        if holds and gap <= TIE:
            self._stand(active, outlook)
        else:
            active, problem, columns = self._contest(outlook, true, columns)
        plan = self._plan(outlook, columns, active, problem)
        if active is StrategyKey.CO_OPTIMISED:
            values = self._scenario_values(outlook)
            if values is not None:
                plan = dataclasses.replace(plan, stored_value_eur_per_kwh=values)
        return plan

    def _contest(
        self, outlook: Outlook, true: Instance, whole: FloatArray
    ) -> tuple[StrategyKey, Instance, FloatArray]:
        """Return the strategy chosen among all, its problem and its plan.

        Args:
            outlook: What the plans rest on.
            true: The problem under the true tariff.
            whole: Its plan.
        """
        made = {StrategyKey.CO_OPTIMISED: (true, whole)}
        for key in StrategyKey:
            if key is not StrategyKey.CO_OPTIMISED:
                instance = self._configured(key, true, outlook)
                made[key] = instance, self._flows(instance)[0]
        self.solves += len(made) - 1
        worth: dict[StrategyKey, Evaluation] = {
            key: evaluate(true, columns[:, BATTERY], columns[:, GIVEN])
            for key, (_, columns) in made.items()
        }
        selection = self._selector.choose(
            [value.candidate(key) for key, value in worth.items()],
            now=true.start,
            site_id=self._prepared.case.site.site_id,
            plan_id=str(outlook.first),
            standing=self._standing,
            preferences_eur={key: value.preference_eur for key, value in worth.items()},
        )
        self._standing = Standing.after(selection, self._standing)
        active = selection.active
        self.chosen[active.value] = self.chosen.get(active.value, 0) + 1
        return active, *made[active]

    def _stand(self, key: StrategyKey, outlook: Outlook) -> None:
        """Choose `key`, which was in force before or is the first choice."""
        if self._standing is None:
            start = self._prepared.case.series.start
            self._standing = Standing(key, start + outlook.first * STEP)
        self.chosen[key.value] = self.chosen.get(key.value, 0) + 1

    def _configured(self, key: StrategyKey, true: Instance, outlook: Outlook) -> Instance:
        return configure(key, true, self._parameters, self._context(outlook))

    def _learn_value(self, outlook: Outlook) -> None:
        """Remember what energy is worth to the co-optimised plan, which values the next ends."""
        if self._values is not None and outlook.first - self._values[0] < _VALUES_HOLD:
            return
        found = self._arrays.plan(outlook)
        if found is not None:
            self._values = (outlook.first, found[0][:, STORED_VALUE].copy())

    def _flows(self, instance: Instance) -> tuple[FloatArray, float]:
        """Return the optimum of `instance` as the kernel's columns, and its relative gap.

        What is not convex, or is outside the kernel's class, goes through the routed optimiser.
        """
        if unsupported(instance) is None:
            problem = problem_of(instance)
            if not problem.rows[:, stage.RULES].any():
                code, found = convex_search(problem, problem.rows)
                if code == SOLVED and found is not None:
                    gap_eur = found.cost_eur - found.bound_eur
                    return found.plan, gap_eur / max(1.0, abs(found.cost_eur))
        solution = self._optimizer.solve(instance)
        columns = np.zeros((instance.n_steps, PLAN_COLUMNS))
        columns[:, BATTERY], columns[:, GRID] = solution.battery_kw, solution.grid_kw
        columns[:, GIVEN], columns[:, ENERGY] = solution.curtailed_kw, solution.soc_kwh
        columns[:, STORED_VALUE] = solution.stored_value_eur_per_kwh
        return columns, solution.gap

    def _context(self, outlook: Outlook) -> StrategyContext:
        return StrategyContext(
            recent_net_load_kw=self._problems.recent_net_kw(outlook.first),
            peak_target_kw=self._problems.target_kw(outlook.first),
        )

    def _plan(
        self, outlook: Outlook, columns: FloatArray, key: StrategyKey, instance: Instance
    ) -> Plan:
        return self._published(
            outlook,
            key.value,
            columns,
            values=columns[:, STORED_VALUE],
            steering=steering_of(instance, columns[:, GRID]),
            reserve_kwh=instance.energy_reserve_kwh,
        )

    def _published(
        self,
        outlook: Outlook,
        strategy: str,
        columns: FloatArray,
        *,
        values: FloatArray,
        steering: PlanSteering,
        reserve_kwh: FloatArray | None,
    ) -> Plan:
        start = self._prepared.case.series.start + outlook.first * STEP
        ahead = outlook.ahead
        return Plan(
            plan_id=str(outlook.first),
            site_id=self._prepared.case.site.site_id,
            created_at=start,
            start=start,
            step_minutes=15,
            battery_kw=columns[:, BATTERY],
            grid_kw=columns[:, GRID],
            load_kw=ahead.load_kw,
            pv_kw=ahead.pv_kw,
            curtailed_kw=columns[:, GIVEN],
            soc_kwh=columns[:, ENERGY],
            soc_start_kwh=outlook.energy_kwh,
            buy_eur_per_kwh=ahead.buy,
            sell_eur_per_kwh=ahead.sell,
            spot_eur_per_kwh=_NO_SERIES,
            price_is_forecast=_NO_FLAGS,
            stored_value_eur_per_kwh=values,
            strategy=strategy,
            cost_eur=0.0,
            baseline_cost_eur=0.0,
            profit_24h_eur=0.0,
            status="optimal",
            solver="kernel",
            gap=0.0,
            solve_ms=0.0,
            check=_NOT_CHECKED,
            steering=steering,
            reserve_kwh=reserve_kwh,
        )


_NO_SERIES = np.zeros(0)
_NO_FLAGS = np.zeros(0, dtype=np.bool_)


class _Arrays:
    """The co-optimised problem on the kernel's arrays: the fast way (`kernel.rolling`).

    One running billing period is searched exactly. A later one within the horizon is held at its
    free import where that is possible, which the live planner searches too; that concerns the
    last day and a half of a period.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        case = prepared.case
        self._curtails = case.curtailment_allowed
        self._import_kw = case.site.grid.import_limit_kw
        self._store = Store.of(case.battery, step_minutes=15, end_value_eur_per_kwh=0.0)
        self._states = self._store.states(4 * 48)
        rows = np.zeros((4 * 48, stage.COLUMNS))
        rows[:, stage.CHARGE] = case.battery.power_charge_max_kw
        rows[:, stage.DISCHARGE] = case.battery.power_discharge_max_kw
        rows[:, stage.IMPORT] = self._import_kw
        self._rows = rows

    def plan(self, outlook: Outlook) -> tuple[FloatArray, FloatArray] | None:
        """Return the plan's columns (`kernel.forward`) and import caps; None where not convex.

        None also for more than two billing periods within the horizon.
        """
        h, ahead = outlook.h, outlook.ahead
        battery = self._prepared.case.battery
        if len(outlook.peaks) > 2 or not (
            battery.energy_min_kwh <= outlook.energy_kwh <= battery.energy_max_kwh
        ):
            return None
        rows = self._rows[:h].copy()
        net = ahead.load_kw - ahead.pv_kw
        export = self._prepared.export_limit_kw[outlook.first : outlook.first + h]
        rows[:, stage.NET] = net
        rows[:, stage.BUY], rows[:, stage.SELL] = ahead.buy, ahead.sell
        rows[:, stage.IMPORT_MOST] = np.maximum(self._import_kw, net)
        rows[:, stage.EXPORT] = export
        if self._curtails:
            rows[:, stage.SMAX] = ahead.pv_kw
            rows[:, stage.EXPORT_MOST] = export
        else:
            rows[:, stage.EXPORT_MOST] = np.maximum(export, -net)
        states = self._states[:h]
        if outlook.reserve_kwh is not None:
            states = states.copy()
            states[:, convex.RESERVE] = outlook.reserve_kwh
            states[:, convex.RESERVE_PRICE] = STEP_HOURS * outlook.reserve_eur_per_kwh_h
        store = dataclasses.replace(
            self._store, end_value_eur_per_kwh=outlook.end_value_eur_per_kwh
        )
        common = (rows, store.numbers, states, *store.end(), outlook.energy_kwh)
        caps = np.full(h, np.inf)
        if not outlook.peaks:
            code, _, plan, *_ = convex_plan(*common)
            return (plan, caps) if code == SOLVED else None
        running, *later = outlook.peaks
        for peak in later:
            price = PEAK_EXCESS * peak.charge_eur_per_kw / STEP_HOURS
            rows[peak.billed, stage.KINK + 4] = peak.floor_kw
            rows[peak.billed, stage.KINK + 5] = price
        code, _, _, _, _, plan, left, right, weight = one_peak_plan(
            *common,
            running.billed.astype(np.float64),
            running.charge_eur_per_kw,
            running.floor_kw,
            PEAK_EXCESS * running.charge_eur_per_kw / STEP_HOURS,
        )
        if code != SOLVED:
            return None
        with_prices(plan, slice(None), [(weight, left.copy()), (1.0 - weight, right.copy())])
        for peak in outlook.peaks:
            held = max(peak.floor_kw, float(plan[peak.billed, GRID].max()))
            caps = np.where(peak.billed, held, caps)
        return plan, caps


def names(chosen: Mapping[str, int]) -> str:
    """Return how often each strategy was chosen, in words."""
    total = sum(chosen.values()) or 1
    ordered = sorted(chosen.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {100 * times / total:.0f} %" for name, times in ordered)

"""Why the day earned less than perfect foresight: a chain of replays that adds up exactly.

From perfect foresight to what really happened, one thing after the other is taken as it really
was. Each step is the cost of the same measured day, under the same tariff, of another schedule
of the battery; the difference to the step before is the part of the gap that it explains.

1.  ``horizon``: the optimum of this day alone, from the energy really stored and the peak really
    incurred at its start, against perfect foresight over the whole month.
2.  ``price_forecast``: planned anew every hour until the end of the day, with prices as they
    were published or forecast at that hour; load and PV known.
3.  ``pv_forecast``: PV too as it was forecast.
4.  ``load_forecast``: load too. From here on nothing is known that was not known then.
5.  ``planning``: the plans that were really in force: the strategy chosen, its caution about
    errors, its longer horizon. Often negative (a gain): they were made every 15 minutes.
6.  ``limits``: those plans cut to the limits that really applied.
7.  ``downtime``: nothing in minutes without automatic or manual operation.
8.  ``manual``: what was really done in minutes of an order by hand.
9.  ``control``: the power really asked for between plans.
10. ``device``: the power the battery really had: what it did not follow.
11. ``rest``: what this chain does not model: flows in both directions within a quarter-hour,
    and real instead of nominal efficiency.

The order matters where causes interact: a later cause is measured on top of the earlier ones,
and the interaction falls to it. A step that needs what was not stored (a vintage, a plan, a
setpoint) takes over the step before, so its part is 0 and is named in `Attribution.unknown`.
Schedules hold their mean power over a quarter-hour. The sum of all parts is the gap, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from engine.analytics.baselines import BaselineBattery
from engine.analytics.facts import Quarter
from engine.analytics.money import micro, total
from engine.analytics.perfect_foresight import DemandTerms, optimal_problem
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.plan import FloatArray, Plan
from engine.domain.site import Site
from engine.market.tariff import TariffBook
from engine.optimization.instance import Instance
from engine.optimization.solving import Solves
from engine.optimization.terms import BilledPeak
from engine.strategies.evaluation import evaluate

CAUSES: tuple[str, ...] = (
    "horizon",
    "price_forecast",
    "pv_forecast",
    "load_forecast",
    "planning",
    "limits",
    "downtime",
    "manual",
    "control",
    "device",
    "rest",
)
"""Parts of the gap, in the order of the chain."""

REPLANNED_STEPS = 4
"""The chain plans anew so often: every hour."""

KNOWN_BY = timedelta(minutes=2)
"""What was issued so soon after the start of a quarter-hour was used in it."""

VintageOf = Callable[[str, datetime], Forecast | None]
"""Signal and instant to the newest forecast that was known then."""

PlanOf = Callable[[datetime], Plan | None]
"""Instant to the plan that was in force then."""


@dataclass(frozen=True, slots=True)
class Operation:
    """How one quarter-hour was operated.

    Attributes:
        automatic: Share of its minutes in automatic operation, 0..1.
        manual: Share under an order by hand.
        manual_kw: Mean battery power in those minutes; 0 without any.
        setpoint_kw: Mean power asked for in the automatic minutes; None when not known.
        charge_limit_kw: Mean power it was allowed to charge; None when not known.
        discharge_limit_kw: Mean power it was allowed to discharge; None when not known.
    """

    automatic: float
    manual: float
    manual_kw: float
    setpoint_kw: float | None
    charge_limit_kw: float | None
    discharge_limit_kw: float | None


@dataclass(frozen=True, slots=True)
class Attribution:
    """Parts of the gap of one day or period.

    Attributes:
        gap_eur: Cost really paid less that of perfect foresight.
        causes: Cause (`CAUSES`) to EUR lost by it; negative where it earned.
        unknown: Causes that could not be told for want of stored data.
    """

    gap_eur: float
    causes: Mapping[str, float]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DayCase:
    """A measured day to explain.

    Attributes:
        quarters: Its quarter-hours that count, ascending, at least one.
        operation: How each was operated; None where that is not known.
        site: Battery and grid connection.
        may_export: Whether the tariff lets the site export, per quarter-hour.
        demand: Demand charges with the peak really incurred at the start.
        stored_value_eur_per_kwh: Value of a stored kWh.
        tariff: Turns forecast day-ahead prices into prices.
        vintage_of: Forecasts as they were known.
        plan_of: Plans as they were in force.
    """

    quarters: Sequence[Quarter]
    operation: Sequence[Operation | None]
    site: Site
    may_export: Sequence[bool]
    demand: Sequence[DemandTerms]
    stored_value_eur_per_kwh: float
    tariff: TariffBook
    vintage_of: VintageOf
    plan_of: PlanOf
    _found: dict[tuple[str, datetime], Forecast | None] = field(default_factory=dict)

    def vintage(self, signal: str, at: datetime) -> Forecast | None:
        """Return the newest forecast that was known, asked for once."""
        key = (signal, at)
        if key not in self._found:
            self._found[key] = self.vintage_of(signal, at)
        return self._found[key]


def attribute_day(
    case: DayCase, *, perfect_eur: float, actual_eur: float, optimizer: Solves
) -> Attribution:
    """Return where the gap of a day comes from.

    Args:
        case: The day.
        perfect_eur: Total of perfect foresight on the day (`Amounts.total_eur`).
        actual_eur: Total of the real battery.
        optimizer: Solves the re-planning.

    Raises:
        OptimizationError: A solve failed.
    """
    chain = _Chain(case, optimizer)
    costs, unknown = chain.costs()
    steps = (perfect_eur, *costs, actual_eur)
    causes = {
        cause: total((after, -before))
        for cause, before, after in zip(CAUSES, steps[:-1], steps[1:], strict=True)
    }
    return Attribution(total((actual_eur, -perfect_eur)), causes, unknown)


class _Chain:
    """The schedules of one day and what they cost."""

    def __init__(self, case: DayCase, optimizer: Solves) -> None:
        self._case = case
        self._optimizer = optimizer
        self._problem = optimal_problem(
            case.quarters,
            site=case.site,
            start_kwh=max(0.0, case.quarters[0].stored_start_kwh),
            may_export=case.may_export,
            demand=case.demand,
            stored_value_eur_per_kwh=case.stored_value_eur_per_kwh,
        )
        self._unknown: list[str] = []

    def costs(self) -> tuple[list[float], tuple[str, ...]]:
        """Return the cost of each schedule of the chain, and what could not be told."""
        optimum = self._optimizer.solve(self._problem).battery_kw
        schedules = [optimum]
        known: list[str] = []
        for signal, cause in (
            (PRICE_SIGNAL, "price_forecast"),
            (PV_SIGNAL, "pv_forecast"),
            (LOAD_SIGNAL, "load_forecast"),
        ):
            if any(self._case.vintage(signal, at) is not None for at in self._replanned()):
                known.append(signal)
                schedules.append(self._replanned_kw(known))
            else:
                self._unknown.append(cause)
                schedules.append(schedules[-1])
        planned = self._planned_kw(schedules[-1])
        limited = self._limited_kw(planned)
        present = self._shared(limited, manual=False)
        by_hand = self._shared(limited, manual=True)
        asked = self._asked_kw(limited, by_hand)
        actual = np.array([q.discharged_kwh - q.charged_kwh for q in self._case.quarters])
        schedules += [
            planned,
            self._possible(limited),
            self._possible(present),
            self._possible(by_hand),
            self._possible(asked),
            actual / self._problem.step_hours,
        ]
        return [self._cost_eur(schedule) for schedule in schedules], tuple(self._unknown)

    def _cost_eur(self, battery_kw: FloatArray) -> float:
        """Return energy, wear, demand less the change of stored energy, as the accounts do."""
        found = evaluate(self._problem, battery_kw, np.zeros(self._problem.n_steps))
        value = self._case.stored_value_eur_per_kwh
        return micro(found.cost_eur + value * self._problem.energy_start_kwh)

    def _possible(self, wishes_kw: FloatArray) -> FloatArray:
        store = BaselineBattery(self._case.site.battery, self._problem.energy_start_kwh)
        return np.array([self._run(store, i, float(wish)) for i, wish in enumerate(wishes_kw)])

    def _run(self, store: BaselineBattery, step: int, wish_kw: float) -> float:
        problem = self._problem
        return store.step(
            wish_kw,
            float(problem.load_kw[step] - problem.pv_kw[step]),
            import_limit_kw=float(problem.import_limit_kw[step]),
            export_limit_kw=float(problem.export_limit_kw[step]),
            hours=problem.step_hours,
        )

    def _replanned(self) -> list[datetime]:
        return [quarter.ts for quarter in self._case.quarters[::REPLANNED_STEPS]]

    def _replanned_kw(self, signals: Sequence[str]) -> FloatArray:
        """Return what planning anew every hour with `signals` as forecast makes of the day."""
        store = BaselineBattery(self._case.site.battery, self._problem.energy_start_kwh)
        peaks_kw = [0.0] * len(self._problem.billed_peaks)
        done = []
        for first in range(0, self._problem.n_steps, REPLANNED_STEPS):
            expected = self._expected(first, store.energy_kwh, peaks_kw, signals)
            plan_kw = self._optimizer.solve(expected).battery_kw
            for i in range(first, min(first + REPLANNED_STEPS, self._problem.n_steps)):
                power_kw = self._run(store, i, float(plan_kw[i - first]))
                done.append(power_kw)
                net_kw = float(self._problem.load_kw[i] - self._problem.pv_kw[i])
                for k, peak in enumerate(self._problem.billed_peaks):
                    if peak.billed[i]:
                        peaks_kw[k] = max(peaks_kw[k], net_kw - power_kw)
        return np.array(done)

    def _expected(
        self, first: int, energy_kwh: float, peaks_kw: Sequence[float], signals: Sequence[str]
    ) -> Instance:
        """Return the rest of the day as it was expected, filled up with empty steps.

        All problems of a day have the same number of steps, so that they share one model.
        """
        problem, n = self._problem, self._problem.n_steps
        rest = n - first
        load, pv = problem.load_kw[first:], problem.pv_kw[first:]
        buy, sell = problem.buy_eur_per_kwh[first:], problem.sell_eur_per_kwh[first:]
        times = [quarter.ts for quarter in self._case.quarters[first:]]
        if LOAD_SIGNAL in signals or PV_SIGNAL in signals:
            load, pv = self._expected_flows(first, times, signals)
        if PRICE_SIGNAL in signals:
            buy, sell = self._expected_prices(times, buy, sell)

        def filled(values: FloatArray, rest_value: float = 0.0) -> FloatArray:
            return np.concatenate((values, np.full(n - rest, rest_value)))

        peaks = tuple(
            BilledPeak(
                np.concatenate((peak.billed[first:], np.zeros(first, dtype=np.bool_))),
                peak.charge_eur_per_kw,
                max(peak.floor_kw, incurred_kw),
            )
            for peak, incurred_kw in zip(problem.billed_peaks, peaks_kw, strict=True)
            if peak.billed[first:].any()
        )
        return replace(
            problem,
            start=times[0],
            buy_eur_per_kwh=filled(buy),
            sell_eur_per_kwh=filled(sell),
            load_kw=filled(load),
            pv_kw=filled(pv),
            charge_limit_kw=filled(problem.charge_limit_kw[first:]),
            discharge_limit_kw=filled(problem.discharge_limit_kw[first:]),
            import_limit_kw=filled(problem.import_limit_kw[first:]),
            export_limit_kw=filled(problem.export_limit_kw[first:]),
            energy_start_kwh=energy_kwh,
            # In the empty steps nothing could make up for it; in the others it is small.
            standby_loss_kw=0.0,
            billed_peaks=peaks,
        )

    def _expected_flows(
        self, first: int, times: Sequence[datetime], signals: Sequence[str]
    ) -> tuple[FloatArray, FloatArray]:
        quarters = self._case.quarters[first:]
        hours = self._problem.step_hours
        pv = np.array([(q.row.pv_kwh or 0.0) / hours for q in quarters])
        load = np.array([q.net_total_kwh / hours for q in quarters]) + pv
        if PV_SIGNAL in signals:
            pv = self._from_vintage(PV_SIGNAL, times, pv)
        if LOAD_SIGNAL in signals:
            load = self._from_vintage(LOAD_SIGNAL, times, load)
        net = load - pv
        return np.maximum(net, 0.0), np.maximum(-net, 0.0)

    def _expected_prices(
        self, times: Sequence[datetime], buy: FloatArray, sell: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        forecast = self._case.vintage(PRICE_SIGNAL, times[0])
        if forecast is None:
            return buy, sell
        priced = self._case.tariff.prices(forecast.start, forecast.p50)
        buy, sell = buy.copy(), sell.copy()
        for i, ts in enumerate(times):
            at = (ts - forecast.start) // self._problem.step
            # A published step is what was booked, however many digits a vintage keeps.
            if 0 <= at < forecast.n_steps and not forecast.known[at]:
                buy[i], sell[i] = priced.buy_eur_per_kwh[at], priced.sell_eur_per_kwh[at]
        return buy, sell

    def _from_vintage(
        self, signal: str, times: Sequence[datetime], known: FloatArray
    ) -> FloatArray:
        forecast = self._case.vintage(signal, times[0])
        if forecast is None:
            return known
        out = known.copy()
        for i, ts in enumerate(times):
            at = (ts - forecast.start) // self._problem.step
            if 0 <= at < forecast.n_steps:
                out[i] = forecast.p50[at]
        return out

    def _planned_kw(self, otherwise_kw: FloatArray) -> FloatArray:
        store = BaselineBattery(self._case.site.battery, self._problem.energy_start_kwh)
        out, found = [], False
        for i, quarter in enumerate(self._case.quarters):
            plan = self._case.plan_of(quarter.ts)
            step = None if plan is None else plan.step_at(quarter.ts)
            wish = float(otherwise_kw[i])
            if plan is not None and step is not None:
                wish, found = float(plan.battery_kw[step]), True
            out.append(self._run(store, i, wish))
        if not found:
            self._unknown.append("planning")
            return otherwise_kw
        return np.array(out)

    def _limited_kw(self, planned_kw: FloatArray) -> FloatArray:
        out = planned_kw.copy()
        found = False
        for i, operation in enumerate(self._case.operation):
            if operation is None or operation.charge_limit_kw is None:
                continue
            found = True
            most_kw = operation.discharge_limit_kw
            low = max(out[i], -operation.charge_limit_kw)
            out[i] = low if most_kw is None else min(low, most_kw)
        if not found:
            self._unknown.append("limits")
        return out

    def _shared(self, limited_kw: FloatArray, *, manual: bool) -> FloatArray:
        """Return the plan in the minutes of operation; those by hand as they really were."""
        out = limited_kw.copy()
        for i, operation in enumerate(self._case.operation):
            if operation is None:
                continue
            by_hand_kw = operation.manual_kw if manual else float(limited_kw[i])
            out[i] = operation.automatic * limited_kw[i] + operation.manual * by_hand_kw
        if not manual and not any(self._case.operation):
            self._unknown.extend(("downtime", "manual"))
        return out

    def _asked_kw(self, limited_kw: FloatArray, by_hand_kw: FloatArray) -> FloatArray:
        out, found = by_hand_kw.copy(), False
        for i, operation in enumerate(self._case.operation):
            if operation is None or operation.setpoint_kw is None:
                continue
            found = True
            out[i] += operation.automatic * (operation.setpoint_kw - limited_kw[i])
        if not found:
            self._unknown.append("control")
        return out

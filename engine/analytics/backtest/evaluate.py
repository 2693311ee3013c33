"""One policy, or several against the same baseline and the same perfect foresight.

    result = evaluate(case, policy)
    report = compare(case, [policy, ...])

Both are pure functions of their arguments: the same case and policies give the same numbers.
`progress` is told how far the work is, `cancelled` is asked whether to stop.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from engine.analytics.backtest.accounts import (
    Account,
    account,
    energy_figures,
    months,
    without_battery,
)
from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.foresight import perfect_traces
from engine.analytics.backtest.policy import AUTO, NONE, Forecaster, Policy
from engine.analytics.backtest.prepared import Prepared, prepare
from engine.analytics.backtest.problems import Problems
from engine.analytics.backtest.replay import ClosedLoop
from engine.analytics.backtest.result import BacktestResult, Traces
from engine.analytics.backtest.rules import baseline_traces
from engine.analytics.backtest.views import Views
from engine.analytics.backtest.vintages import Known, VintageViews
from engine.analytics.money import total
from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import BacktestCancelledError, BacktestError
from engine.domain.strategy import StrategyKey

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

Progress = Callable[[str, float], None]
"""Told the label of the policy at work and the share of it that is done, 0..1."""

Cancelled = Callable[[], bool]
"""True when the work is to stop."""

PERFECT = Policy(StrategyKey.CO_OPTIMISED.value, Forecaster.PERFECT)
"""Perfect foresight: what every capture is a share of."""

NO_BATTERY = Policy(NONE)

SMALLEST_SAVING_EUR = 0.005
"""A perfect foresight that saves less than half a cent is none to be a share of."""

_KEPT = 4
_ALMOST = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several policies over the same case.

    Attributes:
        case: The case.
        results: In the order asked for.
        perfect: Perfect foresight over the whole period.
        without_eur: What the site pays without a battery.
        assumptions: What the numbers rest on, in words.
    """

    case: BacktestCase
    results: tuple[BacktestResult, ...]
    perfect: BacktestResult
    without_eur: float
    assumptions: tuple[str, ...]

    def best(self) -> BacktestResult:
        """Return the result with the largest saving, the first of equal ones."""
        return max(self.results, key=lambda result: result.saving_eur)


def evaluate(
    case: BacktestCase,
    policy: Policy,
    *,
    perfect_saving_eur: float | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    clock: Clock | None = None,
    keep_traces: bool = True,
) -> BacktestResult:
    """Return what `policy` would have earned.

    Args:
        case: Site, tariff, series, period.
        policy: How the battery is run.
        perfect_saving_eur: Saving of perfect foresight, for the capture; None leaves it out.
        progress: Told how far the work is.
        cancelled: Asked whether to stop.
        clock: Times the work.
        keep_traces: False drops the quarter-hours, for results that are kept in great numbers.

    Raises:
        BacktestCancelledError: `cancelled` said so; nothing of the work is kept.
        MarketError: The tariff does not cover the period.
        OptimizationError: There is no optimum of the whole period.
    """
    timer = clock or SystemClock()
    began = timer.monotonic()
    prepared = _PREPARED.get(case)
    traces, solves, failed, notes = _run(prepared, policy, progress, cancelled)
    own = account(prepared, traces, with_battery=policy.strategy != NONE)
    without = _without(prepared)
    saving = total((without.total_eur, -own.total_eur))
    figures = energy_figures(prepared, traces, with_battery=policy.strategy != NONE)
    return BacktestResult(
        policy=policy,
        saving_eur=saving,
        capture=capture(saving, perfect_saving_eur),
        energy_eur=total(own.energy_eur),
        demand_eur=total(own.demand_eur),
        wear_eur=total(own.wear_eur),
        stored_eur=own.stored_eur,
        full_cycles=figures.full_cycles,
        self_consumption=figures.self_consumption,
        self_sufficiency=figures.self_sufficiency,
        months=months(prepared, own, without),
        solves=solves,
        seconds=timer.monotonic() - began,
        plans_failed=failed,
        notes=notes,
        traces=traces if keep_traces else None,
    )


def compare(
    case: BacktestCase,
    policies: Sequence[Policy],
    *,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    clock: Clock | None = None,
    keep_traces: bool = False,
) -> Comparison:
    """Return every policy with its capture of perfect foresight.

    Arguments and errors as of `evaluate`.
    """

    def one(policy: Policy, perfect_saving_eur: float | None) -> BacktestResult:
        return evaluate(
            case,
            policy,
            perfect_saving_eur=perfect_saving_eur,
            progress=progress,
            cancelled=cancelled,
            clock=clock,
            keep_traces=keep_traces,
        )

    perfect = one(PERFECT, None)
    best = perfect.saving_eur
    perfect = dataclasses.replace(perfect, capture=capture(best, best))
    results = tuple(perfect if policy == PERFECT else one(policy, best) for policy in policies)
    prepared = _PREPARED.get(case)
    return Comparison(
        case=case,
        results=results,
        perfect=perfect,
        without_eur=without_eur(prepared),
        assumptions=assumptions(prepared),
    )


def assumptions(prepared: Prepared) -> tuple[str, ...]:
    """Return what every number of a case rests on, in words."""
    case = prepared.case
    battery = case.battery
    said = [
        *case.series.notes,
        *case.assumptions,
        f"The battery starts at {case.energy_start_kwh:g} kWh; energy left at the end beyond that "
        f"counts {100 * prepared.stored_value_eur_per_kwh:.2f} ct/kWh, what it saves when it "
        "replaces bought energy, less losses and wear.",
        f"Ageing costs {100 * battery.wear_cost_eur_per_kwh:g} ct per kWh through the cells, each "
        "way; it is part of every saving and on no bill.",
        "Prices are known until the end of the day, from 13:00 local time until the end of the "
        "next.",
        "Savings count against the same site without a battery, under the same tariff.",
    ]
    if not case.curtailment_allowed:
        said.append("No PV energy is given away: PV does not throttle itself.")
    cut = [
        period for period in prepared.periods if period.start < case.start or period.end > case.end
    ]
    if any(prepared.billed[prepared.span] & (prepared.period[prepared.span] >= 0)) and cut:
        said.append(
            f"{len(cut)} billing periods of the demand charge lie only partly in the period; their "
            "charge is counted in full on the peak within it."
        )
    return tuple(said)


class _PreparedCases:
    """The arrays of the cases used last: several policies share them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()
        self._views: OrderedDict[tuple[str, Forecaster], Views] = OrderedDict()

    def get(self, case: BacktestCase) -> Prepared:
        key = case.key()
        with self._lock:
            found = self._prepared.get(key)
        if found is None:
            found = prepare(case)
        self._keep(self._prepared, key, found)
        return found

    def known(self, prepared: Prepared, policy: Policy) -> Known:
        """Return what a policy knows.

        Raises:
            BacktestError: Recorded forecasts are asked for and there are none, or with other
                errors than they had.
        """
        if policy.forecaster is not Forecaster.RECORDED:
            views = self.views(prepared, policy.forecaster)
            return views if policy.error_scale == 1.0 else views.scaled(policy.error_scale)
        if policy.error_scale != 1.0:
            raise BacktestError(
                "Recorded forecasts have the errors they had.",
                field="error_scale",
                value=policy.error_scale,
                hint="Choose another forecaster to scale its errors.",
            )
        stand_in = self.views(prepared, Forecaster.BLEND)
        return VintageViews(prepared, prepared.case.vintages or (), stand_in)

    def views(self, prepared: Prepared, forecaster: Forecaster) -> Views:
        """Return a forecaster's year, made once per case."""
        key = (prepared.case.key(), forecaster)
        with self._lock:
            found = self._views.get(key)
        if found is None:
            found = Views(prepared, forecaster)
        self._keep(self._views, key, found)
        return found

    def _keep(self, kept: OrderedDict[KeyT, ValueT], key: KeyT, value: ValueT) -> None:
        with self._lock:
            kept[key] = value
            kept.move_to_end(key)
            while len(kept) > _KEPT:
                kept.popitem(last=False)


_PREPARED = _PreparedCases()


def _run(
    prepared: Prepared, policy: Policy, progress: Progress | None, cancelled: Cancelled | None
) -> tuple[Traces, int, int, tuple[str, ...]]:
    """Return quarter-hours, solves, failed plans and notes."""
    label, n = policy.label(), prepared.case.n

    def alive(done: int) -> None:
        if cancelled is not None and cancelled():
            raise BacktestCancelledError(
                f"The backtest of {label} was stopped.",
                field="backtest",
                hint="Nothing of it was kept; start it again.",
            )
        if progress is not None:
            progress(label, done / n)

    alive(0)
    if policy.is_baseline:
        traces = baseline_traces(prepared, policy.strategy, alive)
        alive(n)
        return traces, 0, 0, ()
    if policy.forecaster is Forecaster.PERFECT:
        # A search that is needed at all may use up its time: the share of it is the progress.
        traces, solution = perfect_traces(
            prepared, policy, watch=lambda share: alive(int(_ALMOST * share * n))
        )
        alive(n)
        gap_eur = solution.gap * max(1.0, abs(solution.objective_eur))
        gap = (f"The optimum is proven up to {gap_eur:.2f} EUR.",)
        return traces, 1, 0, gap if gap_eur >= SMALLEST_SAVING_EUR else ()
    views = _PREPARED.known(prepared, policy)
    # Here, because numba is a second that a program which only offers backtests need not spend.
    from engine.analytics.backtest.plans import Planner, names

    planner = Planner(Problems(prepared, policy, views), policy)
    loop = ClosedLoop(prepared, policy, planner)
    traces = loop.run(alive)
    notes = list(views.notes)
    if planner.chosen:
        notes.append(f"Chosen: {names(planner.chosen)}.")
    if loop.failed:
        notes.append(f"{loop.failed} plans could not be made; the one before stayed in force.")
    return traces, planner.solves, loop.failed, tuple(notes)


def without_eur(prepared: Prepared) -> float:
    """Return what the site pays without a battery."""
    return _without(prepared).total_eur


def _is_perfect(policy: Policy) -> bool:
    """True for every way to say perfect foresight: what it cannot know is nothing."""
    whole = policy.strategy in (StrategyKey.CO_OPTIMISED.value, AUTO)
    return whole and policy.forecaster is Forecaster.PERFECT


def _without(prepared: Prepared) -> Account:
    return account(prepared, without_battery(prepared), with_battery=False)


def capture(saving_eur: float, perfect_eur: float | None) -> float | None:
    """Return a saving as a share of that of perfect foresight; None where that saves nothing."""
    if perfect_eur is None or perfect_eur < SMALLEST_SAVING_EUR:
        return None
    return saving_eur / perfect_eur

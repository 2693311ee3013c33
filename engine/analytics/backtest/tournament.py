"""Which way to deal with uncertainty suits a site: tried on one part of its past, told on another.

No policy is best everywhere (notes/optimisation section 3b): scenarios, reserve and peak target
are chosen by what they would have earned on the site's own past. The choice is made on the
training window alone; what is told of it is what it earned afterwards, in a window that had no
say, beside what the settings in force earned there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import (
    PERFECT,
    Cancelled,
    Progress,
    evaluate,
)
from engine.analytics.backtest.policy import (
    RESERVE_PV_QUANTILE,
    SCENARIOS,
    Forecaster,
    Policy,
)
from engine.analytics.backtest.proposal import Proposal
from engine.analytics.backtest.result import BacktestResult
from engine.config.planning import PlanningConfig
from engine.domain.errors import BacktestError
from engine.domain.local_days import local_midnight, month_start
from engine.domain.strategy import StrategyKey

SHORTEST = timedelta(days=14)
"""A window shorter than two weeks says little about peaks."""

TRAIN_SHARE = 0.6

_RESERVES = ((0.0, RESERVE_PV_QUANTILE), (0.5, 0.0), (0.7, 0.0), (1.0, 0.0), (1.0, 0.2))
"""Shares of the reserve, and the quantile of the PV power it counts on."""

_TARGETS = (0.0, 0.33, 0.66)

Run = Callable[[Callable[[Policy], BacktestResult], Sequence[Policy]], Iterable[BacktestResult]]
"""Applies a function to every policy, in order; `map`, or one that uses several processes."""


@dataclass(frozen=True, slots=True, eq=False)
class Tournament:
    """A tournament that is over.

    Attributes:
        standings: Every candidate on the training window, best first; captures filled in.
        winner: The winner on the test window.
        current: The settings in force on the test window.
        perfect_train_eur: Saving of perfect foresight in the training window.
        perfect_test_eur: The same in the test window.
        split: Where the one ends and the other begins.
    """

    standings: tuple[BacktestResult, ...]
    winner: BacktestResult
    current: BacktestResult
    perfect_train_eur: float
    perfect_test_eur: float
    split: datetime

    def proposal(self, case: BacktestCase, made_at: datetime) -> Proposal:
        """Return the winner as settings of the planner."""
        policy = self.winner.policy
        share = policy.target_share
        return Proposal(
            site_id=case.site.site_id,
            made_at=made_at.isoformat(),
            uncertainty="scenarios" if policy.scenarios else "median",
            peak_reserve="on" if policy.reserve else "off",
            reserve_share=policy.reserve or PlanningConfig().reserve_share,
            reserve_pv_quantile=policy.reserve_pv_quantile,
            peak_target_share=PlanningConfig().peak_target_share if share is None else share,
            trained_from=case.start.isoformat(),
            tested_from=self.split.isoformat(),
            tested_until=case.end.isoformat(),
            candidates=len(self.standings),
            saving_eur=self.winner.saving_eur,
            capture=self.winner.capture,
            current_saving_eur=self.current.saving_eur,
            current_capture=self.current.capture,
        )


def candidates(
    forecaster: Forecaster = Forecaster.BLEND, *, plan_minutes: int = 60, horizon_hours: int = 36
) -> tuple[Policy, ...]:
    """Return the policies tried: with and without scenarios, reserves, peak targets."""
    return tuple(
        Policy(
            StrategyKey.CO_OPTIMISED.value,
            forecaster,
            scenarios=scenarios,
            reserve=reserve,
            reserve_pv_quantile=pv_quantile,
            target_share=target,
            plan_minutes=plan_minutes,
            horizon_hours=horizon_hours,
        )
        for scenarios in (0, SCENARIOS)
        for reserve, pv_quantile in _RESERVES
        for target in _TARGETS
    )


def policy_in_force(
    planning: PlanningConfig,
    *,
    has_demand_charge: bool,
    forecaster: Forecaster = Forecaster.BLEND,
    plan_minutes: int = 60,
    horizon_hours: int = 36,
) -> Policy:
    """Return what the planner does under a configuration."""
    insured = planning.uncertainty == "scenarios" or (
        planning.uncertainty == "auto" and has_demand_charge
    )
    kept = planning.peak_reserve != "off" and has_demand_charge
    return Policy(
        StrategyKey.CO_OPTIMISED.value,
        forecaster,
        scenarios=SCENARIOS if insured else 0,
        reserve=planning.reserve_share if kept else 0.0,
        reserve_pv_quantile=planning.reserve_pv_quantile,
        target_share=planning.peak_target_share,
        plan_minutes=plan_minutes,
        horizon_hours=horizon_hours,
    )


def tournament(
    case: BacktestCase,
    tried: Sequence[Policy],
    current: Policy,
    *,
    train_share: float = TRAIN_SHARE,
    run: Run = map,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> Tournament:
    """Return which of `tried` earned most on the first part of the period, and after it.

    Args:
        case: Site and period.
        tried: Candidates; of equally good ones the earlier wins.
        current: What is in force, to compare with.
        train_share: Share of the period that is trained on; the split is at the start of the
            local month nearest to it where that leaves two weeks on both sides.
        run: Applies a function to all candidates; with several processes neither `progress`
            nor `cancelled` reach them.
        progress: Told how far the work is.
        cancelled: Asked whether to stop.

    Raises:
        BacktestError: The period is too short, or there is nothing to try.
        BacktestCancelledError: `cancelled` said so.
    """
    if not tried:
        raise BacktestError("There is no policy to try.", field="candidates", hint="Give some.")
    split = _split(case, train_share)
    train, test = case.between(case.start, split), case.between(split, case.end)
    told = partial(_one, progress=progress, cancelled=cancelled)
    perfect_train = told(PERFECT, case=train, perfect_eur=None).saving_eur
    perfect_test = told(PERFECT, case=test, perfect_eur=None).saving_eur
    work = partial(told, case=train, perfect_eur=perfect_train)
    found = list(run(work, list(tried)))
    order = sorted(range(len(found)), key=lambda k: (-found[k].saving_eur, k))
    standings = tuple(found[k] for k in order)
    after = partial(told, case=test, perfect_eur=perfect_test)
    winner = after(standings[0].policy)
    same = current == standings[0].policy
    return Tournament(
        standings=standings,
        winner=winner,
        current=winner if same else after(current),
        perfect_train_eur=perfect_train,
        perfect_test_eur=perfect_test,
        split=split,
    )


def _one(
    policy: Policy,
    *,
    case: BacktestCase,
    perfect_eur: float | None,
    progress: Progress | None,
    cancelled: Cancelled | None,
) -> BacktestResult:
    return evaluate(
        case,
        policy,
        perfect_saving_eur=perfect_eur,
        progress=progress,
        cancelled=cancelled,
        keep_traces=False,
    )


def _split(case: BacktestCase, share: float) -> datetime:
    whole = case.end - case.start
    if whole < 2 * SHORTEST:
        raise BacktestError(
            f"{whole.days} days are too short for a training and a test window.",
            field="period",
            value=whole.days,
            hint=f"Give at least {2 * SHORTEST.days} days.",
        )
    zone = ZoneInfo(case.site.timezone)
    wanted = case.start + whole * share
    day = wanted.astimezone(zone).date()
    months = [local_midnight(month_start(day, later), zone) for later in (0, 1)]
    fitting = [at for at in months if case.start + SHORTEST <= at <= case.end - SHORTEST]
    if fitting:
        return min(fitting, key=lambda at: abs(at - wanted))
    at = min(max(wanted, case.start + SHORTEST), case.end - SHORTEST)
    return local_midnight(at.astimezone(zone).date(), zone)


def standing_rows(found: Tournament) -> list[Mapping[str, Any]]:
    """Return the standings as plain values, best first."""
    return [
        {
            "scenarios": r.policy.scenarios,
            "reserve": r.policy.reserve,
            "reserve_pv_quantile": r.policy.reserve_pv_quantile,
            "target_share": r.policy.target_share,
            "saving_eur": r.saving_eur,
            "capture": r.capture,
            "monthly_peaks_kw": list(r.monthly_peaks_kw),
            "seconds": r.seconds,
        }
        for r in found.standings
    ]

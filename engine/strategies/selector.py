"""Which strategy plans: the best one, with hysteresis, unless somebody chose by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.domain.errors import OptimizationError
from engine.domain.strategy import CandidateValue, ChoiceReason, Selection, StrategyKey
from engine.strategies.override import ManualChoice

AUTO, MANUAL = "auto", "manual"

TIE = 1e-6
"""Relative cost difference (to at least 1 EUR) below which two plans are equally good."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The strategy in force before a choice.

    Attributes:
        active: The strategy.
        since: When it became active, UTC.
        mode: ``"auto"`` or ``"manual"``.
    """

    active: StrategyKey
    since: datetime
    mode: str = AUTO

    @classmethod
    def after(cls, selection: Selection, before: Standing | None) -> Standing:
        """Return what is in force after `selection`."""
        stays = before is not None and before.active is selection.active
        since = before.since if before is not None and stays else selection.ts
        return cls(active=selection.active, since=since, mode=selection.mode)


@dataclass(frozen=True, slots=True)
class Selector:
    """Chooses among evaluated candidates; pure, so a choice can be replayed.

    The rule (notes "optimisation" section 5), with J the cost of a plan under the true
    tariff and J_none that of the same horizon without a battery: switch if

        J_active - J_best > threshold * max(|J_none - J_active|, 1 EUR)

    and the active strategy has been active for the dwell time.

    Attributes:
        threshold: Share of the active strategy's own value a switch must bring, >= 0.
        min_dwell: Least time between two switches, >= 0.
    """

    threshold: float = 0.15
    min_dwell: timedelta = timedelta(minutes=60)

    def choose(
        self,
        candidates: Sequence[CandidateValue],
        *,
        now: datetime,
        site_id: str,
        plan_id: str,
        standing: Standing | None = None,
        manual: ManualChoice | None = None,
        preferences_eur: Mapping[StrategyKey, float] | None = None,
    ) -> Selection:
        """Return the choice and everything that led to it.

        Ties go to the active strategy, then to the co-optimised one, then by order of
        `StrategyKey`. A manual choice takes effect at once and ends at its end; the choice
        after it is free, without hysteresis. A manual strategy without a plan is replaced by
        the best one until it has a plan again.

        Args:
            candidates: Every strategy evaluated, each at most once.
            now: When, timezone-aware.
            site_id: The site.
            plan_id: The plan it leads to.
            standing: What is in force; None at the first choice.
            manual: The manual choice in force, or None. One whose end has passed is ignored.
            preferences_eur: Per strategy what the owner's preferences charge its plan for,
                weighed together with its cost (`CandidatePlan.preference_eur`).

        Raises:
            OptimizationError: No strategy has a plan.
        """
        weighed = {
            c.strategy: c.cost_eur + (preferences_eur or {}).get(c.strategy, 0.0)
            for c in candidates
            if c.cost_eur is not None
        }
        if not weighed:
            reasons = " ".join(f"{c.strategy}: {c.reason}" for c in candidates)
            raise OptimizationError(
                f"no strategy has a plan. {reasons}".strip(),
                field="strategies",
                value=[str(c.strategy) for c in candidates],
                hint="The previous plan stays valid.",
            )
        if manual is not None and manual.ended(now):
            manual = None
        previous = standing.active if standing is not None else None
        # After a choice by hand nothing speaks for what was chosen, not even a tie.
        freed = manual is None and standing is not None and standing.mode == MANUAL
        best = _best(weighed, None if freed else previous)
        savings = {c.strategy: c.saving_eur for c in candidates}
        gain, needed = 0.0, 0.0
        if previous in weighed:
            gain = max(0.0, weighed[previous] - weighed[best])
            needed = self.threshold * max(abs(savings[previous] or 0.0), 1.0)
        if manual is not None:
            works = manual.strategy in weighed
            active = manual.strategy if works else best
            reason = ChoiceReason.MANUAL if works else ChoiceReason.MANUAL_FAILED
        else:
            active, reason = self._automatic(best, set(weighed), standing, gain <= needed, now)
        return Selection(
            ts=now,
            site_id=site_id,
            plan_id=plan_id,
            active=active,
            previous=previous,
            best=best,
            mode=AUTO if manual is None else MANUAL,
            reason=reason,
            gain_eur=gain,
            needed_eur=needed,
            candidates=tuple(candidates),
            manual_until=manual.until if manual is not None else None,
        )

    def _automatic(
        self,
        best: StrategyKey,
        usable: set[StrategyKey],
        standing: Standing | None,
        within_threshold: bool,
        now: datetime,
    ) -> tuple[StrategyKey, ChoiceReason]:
        if standing is None:
            return best, ChoiceReason.FIRST
        if standing.active not in usable:
            return best, ChoiceReason.ACTIVE_FAILED
        if best is standing.active:
            return best, ChoiceReason.BEST
        if standing.mode == MANUAL:
            return best, ChoiceReason.SWITCHED
        if within_threshold:
            return standing.active, ChoiceReason.WITHIN_THRESHOLD
        if now - standing.since < self.min_dwell:
            return standing.active, ChoiceReason.DWELL
        return best, ChoiceReason.SWITCHED


def _best(weighed: Mapping[StrategyKey, float], active: StrategyKey | None) -> StrategyKey:
    least = min(weighed.values())
    slack = TIE * max(1.0, abs(least))
    equal = [key for key in StrategyKey if key in weighed and weighed[key] <= least + slack]
    if active in equal:
        return active
    # The co-optimised strategy is the first of the enumeration.
    return equal[0]

"""Who chooses the strategy now: the best of all candidates, or somebody by hand until a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.audit.trail import NO_TRAIL, Trail, noting
from engine.config.planning import StrategiesConfig
from engine.domain.clock import Clock
from engine.domain.errors import ConfigError
from engine.domain.strategy import Selection, StrategyKey, StrategyState
from engine.strategies.candidates import CandidatePlan
from engine.strategies.override import ManualChoice, OverrideStore, choice_in_force
from engine.strategies.selector import AUTO, MANUAL, Selector, Standing

log = logging.getLogger(__name__)

OVERRIDE_NAME = "manual_strategy.json"
"""The choice by hand, in the data folder."""

_DAWN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Rules:
    """How the configuration wants strategies chosen; exchanged as a whole."""

    config: StrategiesConfig
    selector: Selector
    configured: StrategyKey | None

    @classmethod
    def of(cls, config: StrategiesConfig) -> _Rules:
        by_hand = config.selection_mode == MANUAL
        return cls(
            config,
            Selector(config.switch_threshold, timedelta(minutes=config.min_dwell_minutes)),
            StrategyKey(config.manual_strategy) if by_hand else None,
        )


class StrategyDesk:
    """Keeps the choice of one site. The planning thread chooses, the web thread overrides.

    Args:
        config: Mode, threshold and dwell.
        data_dir: Folder of the stored choice by hand.
        clock: Time.
        read_only: True for a look at another time: the stored choice is left as it is, and one
            made later than the clock says is not known yet.
        trail: Takes down choices by hand and their end.
    """

    def __init__(
        self,
        config: StrategiesConfig,
        data_dir: Path,
        clock: Clock,
        *,
        read_only: bool = False,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._clock = clock
        self._trail = trail
        self._lock = threading.Lock()
        self._store = OverrideStore(data_dir / OVERRIDE_NAME)
        self._rules = _Rules.of(config)
        # Loading removes a choice that has ended by then; nothing has ended at the dawn of time.
        stored = self._store.load(_DAWN if read_only else clock.now())
        self.problem = stored.problem
        """Why a stored choice could not be used, in words; None when all is well."""
        self._override = stored.choice
        if read_only and stored.choice is not None and _made_after(stored.choice, clock.now()):
            self._override = None
        self._weighed_under: ManualChoice | None = None
        self._planned_under: ManualChoice | None = None
        self._standing: Standing | None = None
        self._selection: Selection | None = None

    def adopt(self, config: StrategiesConfig) -> None:
        """Choose by other settings from the next plan on; from any thread.

        What stands, how long it has and a choice by hand until a time stay as they are.
        """
        self._rules = _Rules.of(config)

    def resume(self, selection: Selection | None) -> None:
        """Take over the newest stored choice, so that a restart is no free switch."""
        if selection is None:
            return
        with self._lock:
            self._standing = Standing.after(selection, None)

    def choose(
        self, candidates: Mapping[StrategyKey, CandidatePlan], site_id: str, plan_id: str
    ) -> Selection:
        """Return which candidate's plan is to be published; `confirm` makes it stand.

        Raises:
            OptimizationError: No strategy has a plan.
        """
        now = self._clock.now()
        self._weighed_under = self._in_force(now)
        return self._rules.selector.choose(
            [candidate.value for candidate in candidates.values()],
            now=now,
            site_id=site_id,
            plan_id=plan_id,
            standing=self._standing,
            manual=self._weighed_under,
            preferences_eur={key: plan.preference_eur for key, plan in candidates.items()},
        )

    def confirm(self, selection: Selection) -> None:
        """Take note that the plan of `selection` was published."""
        with self._lock:
            self._standing = Standing.after(selection, self._standing)
            self._selection = selection
            self._planned_under = self._weighed_under

    def set_manual(self, strategy: StrategyKey, until: datetime, by: str | None = None) -> None:
        """Plan with `strategy` until `until`.

        Raises:
            ConfigError: The end has passed, or the choice could not be stored; nothing changed.
        """
        asked = {"strategy": strategy.value, "until": until.isoformat()}
        with noting(self._trail, "strategy.manual", "strategy", before=self._said(), after=asked):
            self._set_manual(strategy, until, by)

    def _set_manual(self, strategy: StrategyKey, until: datetime, by: str | None) -> None:
        choice = ManualChoice(strategy, until, self._clock.now(), by)
        with self._lock:
            try:
                self._store.save(choice)
            except OSError as exc:
                raise ConfigError(
                    f"The choice could not be stored: {exc.strerror or exc}.",
                    field="strategy",
                    value=strategy.value,
                    hint="Check the data folder and its free space.",
                ) from exc
            self._override = choice
            self.problem = None
        log.info("strategy %s by hand until %s", strategy, choice.until)

    def set_auto(self) -> None:
        """End a choice by hand; one from the configuration stands.

        Raises:
            ConfigError: The stored choice could not be removed; it stands.
        """
        with noting(self._trail, "strategy.auto", "strategy", before=self._said(), after="auto"):
            self._set_auto()

    def _set_auto(self) -> None:
        with self._lock:
            try:
                self._store.clear()
            except OSError as exc:
                raise ConfigError(
                    f"The stored choice could not be removed: {exc.strerror or exc}.",
                    field="strategy",
                    hint="Check the data folder and its free space.",
                ) from exc
            self._override = None
            self.problem = None

    def overridden_since_plan(self) -> bool:
        """Return True when the newest plan was chosen under another choice by hand."""
        with self._lock:
            planned, under = self._selection is not None, self._planned_under
        return planned and self._in_force(self._clock.now()) != under

    def state(self) -> StrategyState:
        """Return how the strategy is chosen now, and the newest choice."""
        manual, rules = self._in_force(self._clock.now()), self._rules
        return StrategyState(
            mode=AUTO if manual is None else MANUAL,
            manual=manual.strategy if manual is not None else None,
            manual_until=manual.until if manual is not None else None,
            switch_threshold=rules.config.switch_threshold,
            min_dwell_minutes=rules.config.min_dwell_minutes,
            selection=self._selection,
        )

    def _said(self) -> dict[str, str] | str:
        """Return who chooses now, as it is taken down."""
        manual = self._in_force(self._clock.now())
        if manual is None:
            return AUTO
        until = "" if manual.until is None else manual.until.isoformat()
        return {"strategy": manual.strategy.value, "until": until}

    def _in_force(self, now: datetime) -> ManualChoice | None:
        return choice_in_force(self._rules.configured, self._override, now)


def _made_after(choice: ManualChoice, ts: datetime) -> bool:
    return choice.chosen_at is not None and choice.chosen_at > ts

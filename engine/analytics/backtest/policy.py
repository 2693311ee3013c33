"""How a battery is run in a backtest: a baseline, or a strategy with its forecasts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from engine.config.planning import PlanningConfig
from engine.domain.errors import BacktestError
from engine.domain.strategy import StrategyKey

AUTO = "auto"
"""The automatic choice among the five strategies, with its hysteresis."""

NONE = "none"
SELF_CONSUMPTION_RULE = "self_consumption_rule"
TIMER_RULE = "timer"

BASELINES: tuple[str, ...] = (NONE, SELF_CONSUMPTION_RULE, TIMER_RULE)
"""No battery, store every surplus and serve every deficit, charge and discharge by the clock."""

STRATEGIES: tuple[str, ...] = (*(key.value for key in StrategyKey), AUTO)

TARGET_SHARE: float = PlanningConfig().peak_target_share
"""Where the peak target of the live planner lies (see `Policy.target_share`)."""

RESERVE_SHARE: float = PlanningConfig().reserve_share
"""Share of the reserve that the live planner keeps (see `Policy.reserve`)."""

RESERVE_PV_QUANTILE: float = PlanningConfig().reserve_pv_quantile
"""PV power the reserve of the live planner counts on (see `Policy.reserve_pv_quantile`)."""

SCENARIOS = 10


class Forecaster(StrEnum):
    """What a strategy knows of load, PV and unpublished prices.

    PERFECT: everything, over the whole period at once: nobody could have done better.
    PERFECT_36H: everything, but no further than the horizon of a plan.
    NAIVE: the same day of last week. DAY_TYPE: median of the last similar days. RIDGE: ridge
    regression on lags. BLEND: median of ridge and day type.
    RECORDED: the forecasts that the program really issued, with a case that has them.
    All but the perfect and recorded ones are corrected by the last hour and know prices as
    published.
    """

    PERFECT = "perfect"
    PERFECT_36H = "perfect_36h"
    NAIVE = "naive"
    DAY_TYPE = "day_type"
    RIDGE = "ridge"
    BLEND = "blend"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to run the battery; picklable and hashable.

    Attributes:
        strategy: One of `STRATEGIES` or `BASELINES`.
        forecaster: What a strategy knows; baselines know nothing.
        scenarios: Paths drawn from past forecast errors, planned against together; 0 plans on
            the middle forecast. Only the co-optimised strategy uses them.
        reserve: Share of the energy kept for peaks that the rule asks for, 0 for none.
        reserve_pv_quantile: PV power the reserve counts on: this quantile of the same time of day
            in the last three weeks; 0 the lowest.
        target_share: Where the peak target lies between the lowest peak that was possible in
            the trailing four weeks (0) and the peak without a battery (1); None for no target.
        plan_minutes: Minutes between two plans, a multiple of 15.
        horizon_hours: Length of a plan.
        sub_steps: How often the law decides within a quarter-hour; None for as often as it takes:
            three times where the strategy minds a demand charge, because a reserve is reached
            within quarter-hours, else once.
        error_scale: Factor on every forecast error, to see what better or worse forecasts are
            worth: 0 knows everything within the horizon, 1 is the forecaster as it is.

    Raises:
        BacktestError: A value is not possible.
    """

    strategy: str
    forecaster: Forecaster = Forecaster.BLEND
    scenarios: int = 0
    reserve: float = 0.0
    reserve_pv_quantile: float = RESERVE_PV_QUANTILE
    target_share: float | None = TARGET_SHARE
    plan_minutes: int = 15
    horizon_hours: int = 36
    sub_steps: int | None = None
    error_scale: float = 1.0

    def __post_init__(self) -> None:
        known = (*STRATEGIES, *BASELINES)
        _require("strategy", self.strategy, self.strategy in known, f"one of {', '.join(known)}")
        try:
            object.__setattr__(self, "forecaster", Forecaster(self.forecaster))
        except ValueError:
            names = ", ".join(Forecaster)
            _require("forecaster", self.forecaster, False, f"one of {names}")
        _require("scenarios", self.scenarios, 0 <= self.scenarios <= 50, "0 to 50")
        _require("reserve", self.reserve, 0.0 <= self.reserve <= 2.0, "0 to 2")
        low = self.reserve_pv_quantile
        _require("reserve_pv_quantile", low, 0.0 <= low <= 0.5, "0 to 0.5")
        share = self.target_share
        _require("target_share", share, share is None or 0.0 <= share <= 1.0, "0 to 1, or none")
        minutes = self.plan_minutes
        _require(
            "plan_minutes",
            minutes,
            15 <= minutes <= 1440 and minutes % 15 == 0,
            "15, 30, 45, 60 or another multiple of 15",
        )
        _require("horizon_hours", self.horizon_hours, 12 <= self.horizon_hours <= 48, "12 to 48")
        subs = self.sub_steps
        _require("sub_steps", subs, subs is None or 1 <= subs <= 450, "1 to 450, or none")
        _require("error_scale", self.error_scale, 0.0 <= self.error_scale <= 5.0, "0 to 5")

    @property
    def is_baseline(self) -> bool:
        """True when a fixed rule runs the battery."""
        return self.strategy in BASELINES

    @property
    def horizon_steps(self) -> int:
        """Length of a plan in quarter-hours."""
        return self.horizon_hours * 4

    @property
    def every(self) -> int:
        """Quarter-hours between two plans."""
        return self.plan_minutes // 15

    def key(self) -> str:
        """Return a name for the content: equal policies have equal keys."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def label(self) -> str:
        """Return the policy in a few words."""
        if self.is_baseline:
            return self.strategy
        parts = [self.strategy, self.forecaster.value]
        if self.scenarios:
            parts.append(f"{self.scenarios} scenarios")
        if self.reserve:
            parts.append(f"reserve {self.reserve:g}")
            if self.reserve_pv_quantile != RESERVE_PV_QUANTILE:
                parts.append(f"PV quantile {self.reserve_pv_quantile:g}")
        if self.error_scale != 1.0:
            parts.append(f"errors x {self.error_scale:g}")
        return ", ".join(parts)


def insured(strategy: str, forecaster: Forecaster = Forecaster.BLEND, **changes: int) -> Policy:
    """Return what the live planner does where there is a demand charge: scenarios and reserve."""
    return Policy(strategy, forecaster, scenarios=SCENARIOS, reserve=RESERVE_SHARE, **changes)


def _require(name: str, value: object, ok: bool, allowed: str) -> None:
    if not ok:
        raise BacktestError(
            f"{value!r} is not possible for {name}.",
            field=name,
            value=value,
            hint=f"Use {allowed}.",
        )

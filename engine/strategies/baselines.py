"""What simple controllers would pay over the horizon of a plan: what it is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from engine.optimization.baseline import baseline_grid_kw
from engine.optimization.instance import Instance
from engine.strategies.evaluation import Evaluation, evaluate
from engine.strategies.replay import simulate
from engine.strategies.rules import (
    ArbitrageRule,
    LoadBalancingRule,
    PeakShavingRule,
    Rule,
    SelfConsumptionRule,
    TimerRule,
)

_TARGET_SHARE = 0.8
"""Peak the rule defends where none is stated: this share of the peak without a battery."""


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Settings of the rules.

    Attributes:
        peak_target_kw: Import peak shaving defends; None for 80 % of the horizon's own peak.
        balancing_window_hours: Trailing average of load balancing.
    """

    peak_target_kw: float | None = None
    balancing_window_hours: float = 4.0


def rules_for(instance: Instance, settings: RuleSettings) -> Mapping[str, Rule]:
    """Return name to rule-based controller for the battery of `instance`."""
    target = settings.peak_target_kw
    if target is None:
        target = _TARGET_SHARE * max(0.0, float(baseline_grid_kw(instance).max()))
    return {
        "self_consumption_rule": SelfConsumptionRule(),
        "timer_rule": TimerRule(
            float(instance.charge_limit_kw.max()), float(instance.discharge_limit_kw.max())
        ),
        "arbitrage_rule": ArbitrageRule(instance),
        "peak_shaving_rule": PeakShavingRule(target),
        "load_balancing_rule": LoadBalancingRule(instance, settings.balancing_window_hours),
    }


def rule_baselines(
    instance: Instance, settings: RuleSettings, zone: ZoneInfo
) -> dict[str, Evaluation]:
    """Return name of a rule to what it would pay on the load, PV and prices of `instance`.

    Args:
        instance: The planning problem at the tariff the site pays.
        settings: Settings of the rules.
        zone: Local time of days and timers.
    """
    return {
        name: evaluate(instance, run.battery_kw, run.curtailed_kw)
        for name, rule in rules_for(instance, settings).items()
        for run in (simulate(instance, rule, zone),)
    }

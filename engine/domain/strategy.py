"""Strategies by name, what each is expected to be worth, and which was chosen and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StrategyKey(StrEnum):
    """The five ways to plan; the four pure ones are configurations of the co-optimised model."""

    CO_OPTIMISED = "co_optimised"
    ARBITRAGE = "arbitrage"
    PEAK_SHAVING = "peak_shaving"
    SELF_CONSUMPTION = "self_consumption"
    LOAD_BALANCING = "load_balancing"


@dataclass(frozen=True, slots=True)
class CandidateValue:
    """What one strategy's plan is worth under the tariff the site really pays.

    Attributes:
        strategy: Which one.
        cost_eur: Energy, wear and demand increment over the horizon minus the value of the energy
            left at its end (the objective J of notes/optimisation section 5); None when the
            strategy produced no plan that passed its check.
        saving_eur: Cost of the same horizon without a battery minus `cost_eur`, where energy
            stored at the start counts the same on both sides; None likewise.
        energy_eur: Energy part of the cost.
        wear_eur: Ageing part of the cost.
        demand_eur: Demand charge on the peak above what is already incurred.
        peak_kw: Highest planned 15-min import.
        self_consumption: Share of PV energy used on site, 0..1; None without PV.
        full_cycles: Discharged energy over usable capacity.
        reason: Why there is no plan; None when there is one.
    """

    strategy: StrategyKey
    cost_eur: float | None
    saving_eur: float | None
    energy_eur: float | None = None
    wear_eur: float | None = None
    demand_eur: float | None = None
    peak_kw: float | None = None
    self_consumption: float | None = None
    full_cycles: float | None = None
    reason: str | None = None


class ChoiceReason(StrEnum):
    """Why the active strategy is the active one."""

    FIRST = "first"
    BEST = "best"
    WITHIN_THRESHOLD = "within_threshold"
    DWELL = "dwell"
    SWITCHED = "switched"
    ACTIVE_FAILED = "active_failed"
    MANUAL = "manual"
    MANUAL_FAILED = "manual_failed"


@dataclass(frozen=True, slots=True)
class Selection:
    """The choice made for one plan.

    Attributes:
        ts: When, UTC.
        site_id: The site.
        plan_id: The plan it led to.
        active: The strategy whose plan is in force.
        previous: The one before, or None.
        best: The one of least cost.
        mode: ``"auto"`` or ``"manual"``.
        reason: Why `active` is active.
        gain_eur: What switching to `best` was expected to bring, >= 0.
        needed_eur: Gain needed to switch (hysteresis), >= 0.
        candidates: Every strategy evaluated.
        manual_until: End of the manual choice, UTC; None in auto or without an end.
    """

    ts: datetime
    site_id: str
    plan_id: str
    active: StrategyKey
    previous: StrategyKey | None
    best: StrategyKey
    mode: str
    reason: ChoiceReason
    gain_eur: float
    needed_eur: float
    candidates: tuple[CandidateValue, ...]
    manual_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StrategyState:
    """How the strategy is chosen now, and the newest choice.

    Attributes:
        mode: ``"auto"`` or ``"manual"``.
        manual: The strategy chosen by hand, or None.
        manual_until: End of the manual choice, UTC; None in auto, or when the configuration
            states it, which has no end.
        switch_threshold: Share of the active strategy's saving that a switch must gain.
        min_dwell_minutes: Shortest time between two automatic switches.
        selection: The newest choice; None before the first plan.
    """

    mode: str
    manual: StrategyKey | None
    manual_until: datetime | None
    switch_threshold: float
    min_dwell_minutes: int
    selection: Selection | None

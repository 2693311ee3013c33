"""A published plan: what the battery is meant to do, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """Result of the independent replay of a plan.

    Attributes:
        passed: True when every rule held within its tolerance.
        max_violation_kw: Largest power or balance violation found.
        max_violation_kwh: Largest stored-energy violation found.
        cost_difference_eur: Replayed cost minus the optimiser's cost.
        messages: One sentence per broken rule.
    """

    passed: bool
    max_violation_kw: float
    max_violation_kwh: float
    cost_difference_eur: float
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PlanSteering:
    """What a plan was optimised for, so that control between plans keeps the same view.

    Prices may differ from the site's tariff: a strategy may see flat prices, or put a price
    of its own on exporting. Arrays have shape (n,), one entry per step of the plan.

    Attributes:
        buy_eur_per_kwh: Price of an imported kWh as the strategy saw it.
        sell_eur_per_kwh: Price of an exported kWh as the strategy saw it, less the premium
            it puts on not exporting.
        smoothing_eur_per_kwh: Price per kWh of distance from `smoothing_reference_kw`, >= 0.
        smoothing_reference_kw: Grid power aimed at, + import, - export; None without smoothing.
        peak_cap_kw: Import up to which no further demand charge arises: the larger of the
            peak's floor and the planned peak; infinite where no demand charge applies.
        peak_price_eur_per_kwh: What a kWh above the cap costs when it comes within one step:
            the dearest demand charge divided by the step's hours; 0 without one.
        grid_charge_allowed: False: the battery never charges while the site imports.
        battery_export_allowed: False: the battery never discharges while the site exports.
    """

    buy_eur_per_kwh: FloatArray
    sell_eur_per_kwh: FloatArray
    smoothing_eur_per_kwh: float
    smoothing_reference_kw: FloatArray | None
    peak_cap_kw: FloatArray
    peak_price_eur_per_kwh: float
    grid_charge_allowed: bool = True
    battery_export_allowed: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A plan of `n` equal steps; every array has shape (n,).

    Attributes:
        plan_id: Unique, time-ordered identifier.
        site_id: The site.
        created_at: When it was computed, UTC.
        start: Start of the first step, UTC.
        step_minutes: Length of a step.
        battery_kw: Mean battery power per step, + discharge, - charge.
        grid_kw: Mean grid power per step, + import, - export.
        load_kw: Load forecast per step, >= 0.
        pv_kw: PV forecast per step before curtailment, >= 0.
        curtailed_kw: PV power given away per step, >= 0.
        soc_kwh: Stored energy at the END of each step.
        soc_start_kwh: Stored energy at the start of the first step.
        buy_eur_per_kwh: Purchase price per step.
        sell_eur_per_kwh: Feed-in price per step (may be negative).
        spot_eur_per_kwh: Day-ahead price per step.
        price_is_forecast: True per step where the day-ahead price is not published yet.
        stored_value_eur_per_kwh: Marginal value of energy stored at the END of each step (dual).
        strategy: Key of the strategy that made it, for example ``"co_optimised"``.
        cost_eur: Energy cost plus wear over the whole horizon, without terminal value.
        baseline_cost_eur: Energy cost of the same horizon without a battery.
        profit_24h_eur: Expected profit of the first 24 h against no battery: baseline cost minus
            plan cost (wear included), plus the change of stored energy valued at the plan's
            marginal value.
        status: ``"optimal"`` or what the solver said.
        solver: Name and kind, for example ``"HIGHS (LP)"``.
        gap: Relative optimality gap that remains, 0 for an exact optimum.
        solve_ms: Wall time of the solve.
        check: The independent replay.
        trigger: Why it was computed, for example ``"schedule"``.
        gave_way: Wishes that could not be met: name to amount (kW or kWh).
        forecast_sources: Series (``price``, ``load``, ``pv``) to the model and data behind it.
        site_price_eur_per_kwh: What one more kWh of load in the step would cost (dual of the
            balance at the grid connection, demand charge and preferences included); None
            where it is not known.
        peak_share_eur_per_kwh: The demand charge's part of it; above 0 only in the steps that
            set a billed peak; None where it is not known.
        billed_peak_kw: Import level the plan holds in the current billing period: the larger
            of that peak's floor and its planned peak; None without a demand charge.
        steering: What control between plans needs to keep the strategy's view; None where it
            is not known.
        reserve_kwh: Stored energy wished for at the END of each step; None without a reserve.
    """

    plan_id: str
    site_id: str
    created_at: datetime
    start: datetime
    step_minutes: int
    battery_kw: FloatArray
    grid_kw: FloatArray
    load_kw: FloatArray
    pv_kw: FloatArray
    curtailed_kw: FloatArray
    soc_kwh: FloatArray
    soc_start_kwh: float
    buy_eur_per_kwh: FloatArray
    sell_eur_per_kwh: FloatArray
    spot_eur_per_kwh: FloatArray
    price_is_forecast: NDArray[np.bool_]
    stored_value_eur_per_kwh: FloatArray
    strategy: str
    cost_eur: float
    baseline_cost_eur: float
    profit_24h_eur: float
    status: str
    solver: str
    gap: float
    solve_ms: float
    check: PlanCheck
    trigger: str = "schedule"
    gave_way: Mapping[str, float] = field(default_factory=dict)
    forecast_sources: Mapping[str, str] = field(default_factory=dict)
    site_price_eur_per_kwh: FloatArray | None = None
    peak_share_eur_per_kwh: FloatArray | None = None
    billed_peak_kw: float | None = None
    steering: PlanSteering | None = None
    reserve_kwh: FloatArray | None = None

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.battery_kw.shape[0])

    @property
    def step(self) -> timedelta:
        """Length of one step."""
        return timedelta(minutes=self.step_minutes)

    @property
    def end(self) -> datetime:
        """End of the last step, UTC."""
        return self.start + self.n_steps * self.step

    def times(self) -> list[datetime]:
        """Return the start of every step, UTC."""
        return [self.start + i * self.step for i in range(self.n_steps)]

    def step_at(self, ts: datetime) -> int | None:
        """Return the index of the step that contains `ts`, or None outside the plan."""
        index = (ts.astimezone(UTC) - self.start) // self.step
        return index if 0 <= index < self.n_steps else None

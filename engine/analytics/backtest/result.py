"""What a backtest answers."""

from __future__ import annotations

from dataclasses import dataclass

from engine.analytics.backtest.policy import Policy
from engine.domain.plan import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Traces:
    """Every quarter-hour of a replay; arrays of shape (n,).

    Attributes:
        battery_kw: Mean battery power, + discharge.
        grid_kw: Mean grid power, + import.
        curtailed_kw: PV power given away.
        energy_kwh: Stored energy at the end of each quarter-hour.
    """

    battery_kw: FloatArray
    grid_kw: FloatArray
    curtailed_kw: FloatArray
    energy_kwh: FloatArray


@dataclass(frozen=True, slots=True)
class MonthResult:
    """One local month, or the part of it that was replayed.

    Attributes:
        month: Like ``"2026-01"``.
        saving_eur: Saved against no battery, the demand charge where it arose.
        peak_kw: Highest 15-min mean import.
        peak_without_kw: The same without a battery.
    """

    month: str
    saving_eur: float
    peak_kw: float
    peak_without_kw: float


@dataclass(frozen=True, slots=True, eq=False)
class BacktestResult:
    """What one policy would have earned. Costs and savings follow the savings ledger.

    Attributes:
        policy: How the battery was run.
        saving_eur: Total without a battery less `total_eur`.
        capture: `saving_eur` over that of perfect foresight; None where perfect foresight was
            not asked for or saves nothing.
        energy_eur: Imports at their price less exports at theirs.
        demand_eur: Demand charges.
        wear_eur: Ageing of the battery; on no bill.
        stored_eur: Value by which the stored energy grew over the period.
        full_cycles: Energy drawn from the store over its usable capacity.
        self_consumption: Share of the PV energy used on site, 0..1; None without PV.
        self_sufficiency: Share of the load that was not imported, 0..1; None without load.
        months: Month by month.
        solves: Plans optimised.
        plans_failed: Plans that could not be made; the one before stayed in force.
        seconds: Time it took.
        notes: What must be known to read it, in words.
        traces: Quarter-hours; None when they were dropped.
    """

    policy: Policy
    saving_eur: float
    capture: float | None
    energy_eur: float
    demand_eur: float
    wear_eur: float
    stored_eur: float
    full_cycles: float
    self_consumption: float | None
    self_sufficiency: float | None
    months: tuple[MonthResult, ...]
    solves: int
    seconds: float
    plans_failed: int = 0
    notes: tuple[str, ...] = ()
    traces: Traces | None = None

    @property
    def total_eur(self) -> float:
        """Energy, demand and wear, less the growth of what is stored."""
        return self.energy_eur + self.demand_eur + self.wear_eur - self.stored_eur

    @property
    def monthly_peaks_kw(self) -> tuple[float, ...]:
        """Highest 15-min mean import of each month."""
        return tuple(month.peak_kw for month in self.months)

    def as_dict(self) -> dict[str, object]:
        """Return the answer as numbers and text, for JSON."""
        return {
            "strategy": self.policy.strategy,
            "forecaster": None if self.policy.is_baseline else self.policy.forecaster.value,
            "saving_eur": self.saving_eur,
            "capture": self.capture,
            "energy_eur": self.energy_eur,
            "demand_eur": self.demand_eur,
            "wear_eur": self.wear_eur,
            "stored_eur": self.stored_eur,
            "total_eur": self.total_eur,
            "full_cycles": self.full_cycles,
            "self_consumption": self.self_consumption,
            "self_sufficiency": self.self_sufficiency,
            "months": [month.month for month in self.months],
            "monthly_peaks_kw": list(self.monthly_peaks_kw),
            "monthly_savings_eur": [month.saving_eur for month in self.months],
            "monthly_peaks_without_kw": [month.peak_without_kw for month in self.months],
            "solves": self.solves,
            "plans_failed": self.plans_failed,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }

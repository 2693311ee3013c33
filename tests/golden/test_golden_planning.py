"""Recorded days planned exactly: the cost is the one an independent model finds.

`python -m tests.golden.test_golden_planning` writes the reference objectives anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.domain.site import Battery
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.solution import Solution
from engine.optimization.terms import BilledPeak, TerminalCurve
from tests.property.optimization_reference import reference_objective_eur

DATA = Path(__file__).resolve().parents[1] / "data" / "planning"
DAYS: dict[str, dict[str, Any]] = json.loads((DATA / "days.json").read_text(encoding="utf-8"))
OPTIMIZER = Optimizer(time_limit_s=60.0)
LIVE_MS = 1200.0
"""References found faster than this are found again in every test run."""

BATTERY = Battery(
    energy_capacity_kwh=100.0,
    power_charge_max_kw=50.0,
    power_discharge_max_kw=50.0,
    efficiency_charge=0.95,
    efficiency_discharge=0.95,
    soc_min_percent=10.0,
    soc_max_percent=90.0,
    wear_cost_eur_per_kwh=0.02,
)


def day(*dates: str, **given: Any) -> Instance:
    """Return consecutive recorded days at spot + 10 ct and spot - 0.5 ct, half full."""
    rows = [DAYS[date] for date in dates]
    spot, load, pv = (
        np.concatenate([row[name] for row in rows])
        for name in ("price_eur_per_kwh", "load_kw", "pv_kw")
    )
    fields: dict[str, Any] = {
        "buy_eur_per_kwh": spot + 0.10,
        "sell_eur_per_kwh": spot - 0.005,
        "load_kw": load,
        "pv_kw": pv,
        "import_limit_kw": 120.0,
        "export_limit_kw": 200.0,
        "energy_start_kwh": 50.0,
        "terminal_value_eur_per_kwh": 0.08,
    } | given
    return Instance.for_battery(
        fields.pop("battery", BATTERY),
        start=datetime.fromisoformat(rows[0]["start"]),
        step_minutes=15,
        **fields,
    )


def spot(date: str) -> np.ndarray:
    return np.array(DAYS[date]["price_eur_per_kwh"])


def flat(value: float, n: int = 96) -> np.ndarray:
    return np.full(n, value)


def month_boundary() -> Instance:
    return day(
        "2026-01-31",
        "2026-02-01",
        billed_peaks=(
            BilledPeak.between(192, 0, 96, 9.0, floor_kw=30.0),
            BilledPeak.between(192, 96, 192, 9.0, floor_kw=0.0),
        ),
    )


CASES: dict[str, Callable[[], Instance]] = {
    "ordinary summer day": lambda: day("2026-07-14"),
    "ordinary winter day": lambda: day("2025-12-10"),
    "two ordinary days": lambda: day("2026-01-31", "2026-02-01"),
    "wide spread": lambda: day("2026-06-24"),
    "92 steps": lambda: day("2026-03-29"),
    "100 steps": lambda: day("2025-10-26"),
    "negative prices": lambda: day("2026-05-24", curtailment_allowed=False),
    "negative prices and an export cap": lambda: day("2026-05-24", export_limit_kw=40.0),
    "negative prices, export cap, no curtailment": lambda: day(
        "2026-05-24", export_limit_kw=120.0, curtailment_allowed=False
    ),
    "negative retail prices": lambda: day("2026-05-01", buy_eur_per_kwh=spot("2026-05-01") + 0.02),
    "fixed feed-in above negative prices": lambda: day(
        "2026-04-26", sell_eur_per_kwh=flat(0.08), energy_start_kwh=20.0
    ),
    "flat tariff": lambda: day(
        "2026-07-14", buy_eur_per_kwh=flat(0.30), sell_eur_per_kwh=flat(0.08)
    ),
    "demand charge": lambda: day("2025-12-10", demand_charge_eur_per_kw=9.0),
    "demand charge with an incurred peak": lambda: day(
        "2025-12-10", demand_charge_eur_per_kw=9.0, incurred_peak_kw=25.0
    ),
    "demand charge over a month boundary": month_boundary,
    "demand charge in a high-load window": lambda: day(
        "2025-12-10", billed_peaks=(BilledPeak.between(96, 66, 82, 120.0, floor_kw=5.0),)
    ),
    "zero export": lambda: day("2026-07-14", export_limit_kw=0.0),
    "zero export, battery kept from charging by the grid": lambda: day(
        "2026-07-14", export_limit_kw=0.0, grid_charge_allowed=False
    ),
    "no export of stored energy": lambda: day("2026-06-24", battery_export_allowed=False),
    "smoothing": lambda: day(
        "2026-07-14", smoothing_eur_per_kwh=0.06, smoothing_reference_kw=flat(-20.0)
    ),
    "ramps": lambda: day("2026-07-14", ramp_eur_per_kw=0.01, grid_before_kw=4.0),
    "export premium": lambda: day("2026-07-14", export_premium_eur_per_kwh=0.12),
    "export premium and curtailment": lambda: day(
        "2026-05-24", export_premium_eur_per_kwh=0.12, export_limit_kw=60.0
    ),
    "reserve": lambda: day(
        "2025-12-10",
        energy_reserve_kwh=np.where(np.arange(96) < 70, 60.0, 10.0),
        reserve_eur_per_kwh_h=0.04,
    ),
    "terminal curve": lambda: day(
        "2025-12-10",
        terminal_value_eur_per_kwh=0.0,
        terminal_curve=TerminalCurve(np.array([30.0, 60.0]), np.array([0.2, 0.12, 0.02])),
    ),
    "everything at once": lambda: day(
        "2026-06-24",
        demand_charge_eur_per_kw=6.0,
        incurred_peak_kw=10.0,
        export_premium_eur_per_kwh=0.03,
        smoothing_eur_per_kwh=0.01,
        smoothing_reference_kw=flat(0.0),
        ramp_eur_per_kw=0.002,
        energy_reserve_kwh=flat(30.0),
        reserve_eur_per_kwh_h=0.02,
        terminal_curve=TerminalCurve(np.array([50.0]), np.array([0.1, 0.0])),
    ),
}
"""Cases whose wishes can all be met (a missing reserve is a price)."""

GIVING_WAY: dict[str, tuple[Callable[[], Instance], set[str]]] = {
    "start below the window": (
        lambda: day("2025-12-10", energy_start_kwh=0.0, charge_limit_kw=20.0),
        {"energy_min_kwh"},
    ),
    "start above the window": (
        lambda: day("2026-07-14", energy_start_kwh=99.0, discharge_limit_kw=10.0),
        {"energy_max_kwh"},
    ),
    "load above the connection": (
        lambda: day("2025-12-10", import_limit_kw=8.0),
        {"import_limit_kw"},
    ),
    "surplus above the connection": (
        lambda: day("2026-05-24", export_limit_kw=20.0, curtailment_allowed=False),
        {"export_limit_kw"},
    ),
    "a final energy out of reach": (
        lambda: day("2025-12-10", energy_final_min_kwh=90.0, charge_limit_kw=0.2),
        {"energy_final_min_kwh"},
    ),
    "no battery power and a start below the window": (
        lambda: day(
            "2025-12-10", energy_start_kwh=2.0, charge_limit_kw=0.0, discharge_limit_kw=0.0
        ),
        {"energy_min_kwh"},
    ),
}
"""Limits that contradict each other: a plan all the same, and what gave way is said."""


def references() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(
        (DATA / "references.json").read_text(encoding="utf-8")
    )
    return found


def planned(instance: Instance) -> Solution:
    solution = OPTIMIZER.solve(instance)
    check = check_solution(instance, solution)
    assert check.passed, check.messages
    assert solution.status == "optimal"
    assert solution.gap == 0.0
    assert not np.any((solution.charge_kw > 0.0) & (solution.discharge_kw > 0.0))
    assert solution.soc_kwh.shape == (instance.n_steps,)
    return solution


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_day_costs_what_the_independent_model_finds(name: str) -> None:
    instance = CASES[name]()
    solution = planned(instance)
    assert set(solution.gave_way) <= {"energy_reserve_kwh"}
    stored = references()[name]
    assert solution.objective_eur == pytest.approx(stored["objective_eur"], rel=1e-6, abs=1e-6)
    if stored["ms"] < LIVE_MS:
        found = reference_objective_eur(instance)
        assert solution.objective_eur == pytest.approx(found, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", GIVING_WAY)
def test_contradicting_limits_still_give_a_plan_that_says_what_gave_way(name: str) -> None:
    make, wishes = GIVING_WAY[name]
    assert set(planned(make()).gave_way) == wishes


def giving_way_no_more_than(
    instance: Instance, solution: Solution, share: float
) -> tuple[Instance, tuple[np.ndarray, np.ndarray]]:
    """Return the problem with each limit widened by `share` of what the plan went beyond it."""

    def beyond(value: np.ndarray, limit: np.ndarray) -> np.ndarray:
        return limit + share * np.maximum(value - limit, 0.0)

    n, final = instance.n_steps, instance.energy_final_min_kwh
    reached = float(solution.soc_kwh[-1])
    widened = replace(
        instance,
        import_limit_kw=beyond(solution.grid_kw, instance.import_limit_kw),
        export_limit_kw=beyond(-solution.grid_kw, instance.export_limit_kw),
        energy_final_min_kwh=None if final is None else final - share * max(0.0, final - reached),
    )
    low = -beyond(-solution.soc_kwh, np.full(n, -instance.energy_min_kwh))
    return widened, (low, beyond(solution.soc_kwh, np.full(n, instance.energy_max_kwh)))


@pytest.mark.parametrize("name", GIVING_WAY)
def test_what_gives_way_is_the_least_and_costs_what_the_independent_model_finds(name: str) -> None:
    instance = GIVING_WAY[name][0]()
    solution = planned(instance)
    tight, tight_window = giving_way_no_more_than(instance, solution, 1.0 - 1e-3)
    assert reference_objective_eur(tight, window_kwh=tight_window) is None, "less would do"
    widened, window = giving_way_no_more_than(instance, solution, 1.0 + 1e-9)
    found = reference_objective_eur(widened, window_kwh=window)
    assert solution.objective_eur == pytest.approx(found, rel=1e-6, abs=1e-6)


def test_the_days_of_the_clock_change_have_their_own_length() -> None:
    assert CASES["92 steps"]().n_steps == 92
    assert CASES["100 steps"]().n_steps == 100


def test_two_months_are_billed_their_own_peaks() -> None:
    instance = month_boundary()
    solution = planned(instance)
    first, second = solution.peaks_kw
    imported = np.maximum(solution.grid_kw, 0.0)
    assert first == pytest.approx(imported[:96].max())
    assert second == pytest.approx(imported[96:].max())
    expected = 9.0 * max(0.0, first - 30.0) + 9.0 * second
    assert solution.demand_cost_eur == pytest.approx(expected)
    setting = solution.peak_dual_eur_per_kw
    assert setting[96:].sum() == pytest.approx(9.0)
    assert np.all(imported[96:][setting[96:] > 1e-6] == pytest.approx(second))


def write_references() -> None:
    """Solve every case with the independent model and store what it finds."""
    rows = {}
    for name, make in CASES.items():
        began = time.perf_counter()
        objective_eur = reference_objective_eur(make(), time_limit_s=900.0)
        assert objective_eur is not None, name
        ms = (time.perf_counter() - began) * 1000.0
        rows[name] = {"objective_eur": round(objective_eur, 9), "ms": round(ms)}
    text = json.dumps(rows, indent=1)
    (DATA / "references.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_references()

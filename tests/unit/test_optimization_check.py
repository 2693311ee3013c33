"""The replay finds every way a plan can lie about its plant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.optimizer import solve
from engine.optimization.solution import Solution
from tests.unit.optimization_cases import small

Change = Callable[[Solution], dict[str, Any]]


def instance() -> Instance:
    return small(
        buy_eur_per_kwh=[0.05, 0.20, 0.50],
        load_kw=[5.0, 5.0, 5.0],
        pv_kw=[0.0, 12.0, 0.0],
        energy_final_min_kwh=4.0,
        wear_discharge_eur_per_kwh=0.01,
        demand_charge_eur_per_kw=0.01,
    )


def moved(solution: Solution, step: int, battery_kw: float) -> dict[str, Any]:
    """Change one step's battery power consistently, but not the stored energy."""
    changed = solution.battery_kw.copy()
    changed[step] += battery_kw
    grid = solution.grid_kw.copy()
    grid[step] -= battery_kw
    return {
        "battery_kw": changed,
        "charge_kw": np.maximum(-changed, 0.0),
        "discharge_kw": np.maximum(changed, 0.0),
        "grid_kw": grid,
    }


def test_an_honest_plan_passes_without_remarks() -> None:
    check = check_solution(instance(), solve(instance()))
    assert check.passed
    assert check.messages == ()
    assert check.max_violation_kw < 1e-6
    assert check.max_violation_kwh < 1e-6
    assert abs(check.cost_difference_eur) < 1e-9


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: {"grid_kw": s.grid_kw + np.array([0.0, 0.01, 0.0])}, "power balance"),
        (lambda s: {"soc_kwh": s.soc_kwh + np.array([0.0, 0.0, 0.01])}, "stored energy as planned"),
        (lambda s: moved(s, 0, -20.0), "charge limit"),
        (lambda s: moved(s, 2, 20.0), "discharge limit"),
        (lambda s: moved(s, 2, 9.0), "energy window, lower end"),
        (lambda s: moved(s, 0, -9.5 - s.battery_kw[0]), "energy window, upper end"),
        (lambda s: {"curtailed_kw": s.curtailed_kw + np.array([1.0, 0.0, 0.0])}, "curtailment"),
        (lambda s: {"curtailed_kw": s.curtailed_kw - 1.0}, "negative curtailment"),
        (
            lambda s: {"charge_kw": s.charge_kw + 1.0, "discharge_kw": s.discharge_kw + 1.0},
            "at once",
        ),
        (lambda s: {"cost_eur": s.cost_eur - 0.01}, "the replay costs"),
        (lambda s: {"gave_way": {"import_limit_kw": 3.0}}, "import_limit_kw gives way by 0"),
        (lambda s: {"gave_way": {"weather": 3.0}}, "unknown wish"),
        (lambda s: {"battery_kw": s.battery_kw[:2]}, "battery_kw has not one finite number"),
        (lambda s: {"soc_kwh": s.soc_kwh * np.nan}, "soc_kwh has not one finite number"),
    ],
)
def test_a_dishonest_plan_fails(change: Change, says: str) -> None:
    solution = solve(instance())
    check = check_solution(instance(), dataclasses.replace(solution, **change(solution)))
    assert not check.passed
    assert any(says in message for message in check.messages), check.messages


def test_grid_limits_are_replayed() -> None:
    solution = solve(instance())
    charging = dataclasses.replace(solution, **moved(solution, 0, -4.0))
    tight = dataclasses.replace(instance(), import_limit_kw=np.full(3, 6.0))
    check = check_solution(tight, charging)
    assert any("import limit" in text for text in check.messages)
    assert check.max_violation_kw == pytest.approx(float(charging.grid_kw.max()) - 6.0)
    tight = dataclasses.replace(instance(), export_limit_kw=np.zeros(3))
    selling = dataclasses.replace(solution, **moved(solution, 2, 4.0))
    assert any("export limit" in text for text in check_solution(tight, selling).messages)


def test_final_energy_is_replayed() -> None:
    solution = solve(instance())
    asked_more = dataclasses.replace(instance(), energy_final_min_kwh=6.0)
    check = check_solution(asked_more, solution)
    assert check.messages == ("energy_final_min_kwh gives way by 2 kWh, the plan says 0 kWh.",)


@pytest.mark.parametrize(
    ("rule", "battery_kw", "says"),
    [
        ({"grid_charge_allowed": False}, [-4.0, 0.0, 0.0], "charging while importing"),
        ({"battery_export_allowed": False}, [0.0, 0.0, 8.0], "discharging while exporting"),
    ],
)
def test_rules_are_replayed(rule: dict[str, bool], battery_kw: list[float], says: str) -> None:
    solution = solve(instance())
    told = dataclasses.replace(solution, **moved(solution, 0, 0.0))
    for step, power_kw in enumerate(battery_kw):
        told = dataclasses.replace(told, **moved(told, step, power_kw - told.battery_kw[step]))
    assert not any(says in message for message in check_solution(instance(), told).messages)
    check = check_solution(dataclasses.replace(instance(), **rule), told)
    assert any(says in message for message in check.messages)

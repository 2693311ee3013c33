"""The solve-case JSON: read strictly, answered completely."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.domain.errors import OptimizationError
from engine.optimization.case import answer, parse_case
from engine.optimization.check import check_solution
from engine.optimization.optimizer import solve


def case(**changes: Any) -> dict[str, Any]:
    """Return a valid case; a change of None removes the key, dotted names reach inside."""
    data: dict[str, Any] = {
        "start": "2026-03-01T00:00:00+01:00",
        "step_minutes": 60,
        "buy": [0.10, 0.40],
        "sell": [0.05, 0.05],
        "pv_kw": [0, 0],
        "load_kw": [10, 10],
        "battery": {
            "capacity_kwh": 20,
            "charge_kw": 10,
            "discharge_kw": 10,
            "eta_c": 0.9,
            "eta_d": 0.9,
            "soc_min": 0.1,
            "soc_max": 0.9,
            "soc_init": 0.1,
            "soc_final": 0.1,
            "cycle_cost_per_kwh": 0.02,
        },
        "grid": {"import_kw": 50, "export_kw": 50},
    }
    for name, value in changes.items():
        table, _, key = name.rpartition("__")
        place = data[table] if table else data
        if value is ...:
            del place[key]
        else:
            place[key] = value
    return data


def test_a_case_is_read_as_written() -> None:
    instance = parse_case(
        case(demand_charge_per_kw=5.0, incurred_peak_kw=3, grid_charge_allowed=False)
    )
    assert instance.start.isoformat() == "2026-02-28T23:00:00+00:00"
    assert instance.buy_eur_per_kwh.tolist() == [0.10, 0.40]
    assert instance.energy_min_kwh == pytest.approx(2.0)
    assert instance.energy_max_kwh == pytest.approx(18.0)
    assert instance.energy_final_min_kwh == pytest.approx(2.0)
    assert instance.wear_charge_eur_per_kwh == 0.0
    assert instance.wear_discharge_eur_per_kwh == 0.02
    assert instance.demand_charge_eur_per_kw == 5.0
    assert instance.incurred_peak_kw == 3.0
    assert not instance.grid_charge_allowed
    assert instance.battery_export_allowed
    assert instance.curtailment_allowed


@pytest.mark.parametrize(
    "place", ["terminal_value_eur_per_kwh", "battery__terminal_value_eur_per_kwh"]
)
def test_terminal_value_may_stand_in_either_place(place: str) -> None:
    instance = parse_case(case(battery__soc_final=None, **{place: 0.25}))
    assert instance.energy_final_min_kwh is None
    assert instance.terminal_value_eur_per_kwh == 0.25


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"prices": [1, 2]}, "prices", "not known"),
        ({"battery__capacity": 5}, "battery.capacity", "not known"),
        ({"grid__limit": 5}, "grid.limit", "not known"),
        ({"sell": ...}, "sell", "missing"),
        ({"battery__eta_c": ...}, "battery.eta_c", "missing"),
        ({"grid": [50, 50]}, "grid", "not an object"),
        ({"sell": [0.1]}, "sell", "1 values, but buy has 2"),
        ({"buy": []}, "buy", "not a list"),
        ({"buy": 0.3}, "buy", "not a list"),
        ({"load_kw": [1, float("nan")]}, "load_kw[1]", "finite"),
        ({"load_kw": [1, None]}, "load_kw[1]", "finite"),
        ({"pv_kw": [1, -1]}, "pv_kw[1]", "at least 0"),
        ({"buy": ["0.1", 0.2]}, "buy[0]", "finite"),
        ({"start": "2026-03-01T00:00:00"}, "start", "offset"),
        ({"start": "yesterday"}, "start", "not a time"),
        ({"start": 5}, "start", "not a time"),
        ({"step_minutes": 0}, "step_minutes", "step length"),
        ({"battery__soc_max": 90}, "battery.soc_max", "fraction"),
        ({"battery__soc_min": 0.95}, "battery.soc_min", "above soc_max"),
        ({"battery__soc_final": 0.95}, "battery.soc_final", "above soc_max"),
        ({"battery__eta_d": 0}, "battery.eta_d", "no efficiency"),
        ({"battery__charge_kw": -5}, "battery.charge_kw", "at least 0"),
        ({"battery__cycle_cost_per_kwh": -0.1}, "battery.cycle_cost_per_kwh", "at least 0"),
        ({"grid__import_kw": None}, "grid.import_kw", "finite"),
        ({"curtailment_allowed": "yes"}, "curtailment_allowed", "neither true nor false"),
        (
            {"terminal_value_eur_per_kwh": 0.1, "battery__terminal_value_eur_per_kwh": 0.2},
            "terminal_value_eur_per_kwh",
            "different values",
        ),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(OptimizationError, match=says) as caught:
        parse_case(case(**changes))
    assert caught.value.field == field
    assert caught.value.hint


def test_a_case_that_is_no_object_is_refused() -> None:
    with pytest.raises(OptimizationError, match="not an object"):
        parse_case([1, 2])  # type: ignore[arg-type]


def test_the_answer_is_complete_json() -> None:
    # Charge 10 kW at 0.10, discharge 8.1 kW at 0.40, wear 8.1 x 0.02: 2.76 + 0.162.
    instance = parse_case(case())
    solution = solve(instance)
    result = answer(instance, solution, check_solution(instance, solution))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["battery_kw"] == pytest.approx([-10.0, 8.1])
    assert result["grid_kw"] == pytest.approx([20.0, 1.9])
    assert result["curtailed_kw"] == [0.0, 0.0]
    assert result["soc_kwh"] == pytest.approx([11.0, 2.0])
    assert result["cost_eur"] == pytest.approx(2.922)
    assert result["baseline_cost_eur"] == pytest.approx(5.0)
    assert result["gap"] == 0.0
    assert result["status"] == "optimal"
    assert result["solver"] == "HIGHS (LP)"
    assert result["solve_ms"] > 0.0
    assert result["gave_way"] == {}
    assert result["check"]["passed"] is True


def test_the_answer_says_what_gave_way() -> None:
    instance = parse_case(case(grid__import_kw=4))
    solution = solve(instance)
    result = answer(instance, solution, check_solution(instance, solution))
    assert result["gave_way"] == pytest.approx({"import_limit_kw": 6.0})

"""An impossible planning problem is refused with its field, value and remedy."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from engine.domain.errors import OptimizationError
from engine.optimization.instance import Instance
from tests.unit.optimization_cases import BATTERY, START, small


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("load_kw", [1.0, float("nan"), 1.0], "step 1"),
        ("load_kw", [1.0, -1.0, 1.0], "below 0"),
        ("pv_kw", [1.0, 2.0], "2 values, expected 3"),
        ("sell_eur_per_kwh", [0.1, "x", 0.1], "not a list of numbers"),
        ("buy_eur_per_kwh", [], "shape"),
        ("export_limit_kw", [1.0, 1.0, float("inf")], "step 2"),
        ("eta_charge", 0.0, "between 0 and 1"),
        ("eta_discharge", 1.2, "between 0 and 1"),
        ("energy_min_kwh", 19.0, "above energy_max_kwh"),
        ("energy_start_kwh", -1.0, "below 0"),
        ("energy_final_min_kwh", 18.5, "outside"),
        ("wear_charge_eur_per_kwh", -0.1, "below 0"),
        ("terminal_value_eur_per_kwh", float("nan"), "finite"),
        ("demand_charge_eur_per_kw", None, "not a number"),
        ("step_minutes", 0, "step length"),
        ("step_minutes", 7.5, "step length"),
        ("start", datetime(2026, 5, 1), "time zone"),  # noqa: DTZ001
    ],
)
def test_impossible_values_are_refused(field: str, value: Any, says: str) -> None:
    with pytest.raises(OptimizationError, match=says) as caught:
        small(**{field: value})
    assert caught.value.field == field
    assert caught.value.hint


def test_series_cannot_be_changed_afterwards() -> None:
    load = np.array([1.0, 2.0, 3.0])
    instance = small(load_kw=load)
    load[0] = 99.0
    assert instance.load_kw[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        instance.load_kw[0] = 5.0


def test_start_is_kept_in_utc() -> None:
    vienna_summer = timezone(timedelta(hours=2))
    instance = small(start=datetime(2026, 5, 1, 2, tzinfo=vienna_summer))
    assert instance.start == START
    assert instance.start.utcoffset() == timedelta(0)


def from_nameplate(**given: Any) -> Instance:
    fields: dict[str, Any] = {
        "buy_eur_per_kwh": [0.2, 0.3],
        "sell_eur_per_kwh": [0.1, 0.1],
        "load_kw": [10.0, 10.0],
        "pv_kw": [0.0, 0.0],
        "import_limit_kw": 50.0,
        "export_limit_kw": 50.0,
        "energy_start_kwh": 100.0,
    } | given
    return Instance.for_battery(BATTERY, start=START, step_minutes=15, **fields)


def test_nameplate_gives_window_and_wear_per_ac_kwh() -> None:
    # 0.02 EUR per DC kWh: an AC kWh charged moves 0.95 kWh, one discharged 1 / 0.95 kWh.
    instance = from_nameplate()
    assert (instance.energy_min_kwh, instance.energy_max_kwh) == (20.0, 180.0)
    assert instance.wear_charge_eur_per_kwh == pytest.approx(0.019)
    assert instance.wear_discharge_eur_per_kwh == pytest.approx(0.02 / 0.95)
    assert instance.import_limit_kw.tolist() == [50.0, 50.0]


def test_nameplate_caps_the_limits_known_for_a_step() -> None:
    instance = from_nameplate(charge_limit_kw=[30.0, 300.0], discharge_limit_kw=40.0)
    assert instance.charge_limit_kw.tolist() == [30.0, 100.0]
    assert instance.discharge_limit_kw.tolist() == [40.0, 40.0]


def test_nameplate_helper_refuses_bad_series_by_name() -> None:
    with pytest.raises(OptimizationError) as caught:
        from_nameplate(charge_limit_kw=[30.0])
    assert caught.value.field == "charge_limit_kw"

"""What physics makes of measured values: findings where they contradict it, silence where not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.devices.connection_test.physics import Observation, examine
from engine.devices.connection_test.report import Finding
from engine.domain.site import Battery

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0)

HEALTHY = {
    "grid_kw": 43.0,
    "load_kw": 73.0,
    "pv_kw": 20.0,
    "battery_kw": 10.0,
    "voltage_v": 800.0,
    "current_a": 13.0,
    "soc_percent": 50.0,
    "status_code": 2.0,
    "max_charge_power_kw": 80.0,
    "max_charge_current_a": 100.0,
    "max_discharge_power_kw": 80.0,
    "max_discharge_current_a": 100.0,
}
OWN = frozenset(HEALTHY)


def look(own: frozenset[str] = OWN, **changes: float | None) -> list[Finding]:
    values = {n: v for n, v in {**HEALTHY, **changes}.items() if v is not None}
    return examine(own, [Observation(NOW, values)], battery=BATTERY)


def test_a_healthy_site_is_believed() -> None:
    assert look() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"battery_kw": 0.0, "current_a": 0.0, "load_kw": 63.0, "status_code": 3.0},
        {"battery_kw": 0.3, "current_a": 1.5, "load_kw": 63.3, "status_code": 3.0},
        {"grid_kw": -4.5, "load_kw": None, "pv_kw": None},
        {"grid_kw": -4.5, "load_kw": None, "battery_kw": None, "current_a": None},
        {"max_charge_power_kw": 0.0},
        {"max_charge_current_a": 0.0},
    ],
    ids=["at rest", "standby", "unmeasured PV", "unmeasured battery", "no charge", "no current"],
)
def test_what_may_be_is_not_accused(changes: dict[str, float | None]) -> None:
    assert look(**changes) == []


@pytest.mark.parametrize(
    ("changes", "code", "signal", "hint"),
    [
        ({"grid_kw": -43.0}, "sign", "grid_kw", "positive_means of grid_kw"),
        ({"pv_kw": -20.0}, "sign", "pv_kw", "positive_means of pv_kw"),
        ({"grid_kw": 43000.0}, "scale", "grid_kw", "by 0.001"),
        ({"grid_kw": 4.3}, "scale", "grid_kw", "by 10"),
        ({"current_a": -13.0}, "sign", "current_a", "positive_means of current_a"),
        ({"current_a": 130.0}, "scale", "current_a", "current_a by 0.1"),
        ({"voltage_v": 80.0}, "scale", "voltage_v", "voltage_v by 10"),
        ({"status_code": 1.0}, "sign", "battery_kw", "positive_means of battery_kw"),
        ({"max_charge_power_kw": -5.0}, "negative_limit", "max_charge_power_kw", "unsigned"),
        ({"max_charge_power_kw": 800.0}, "scale", "max_charge_power_kw", "by 0.1"),
        ({"grid_kw": 25.0}, "balance", "grid_kw", "mounting place"),
    ],
)
def test_what_contradicts_physics_is_named_with_what_to_try(
    changes: dict[str, float | None], code: str, signal: str, hint: str
) -> None:
    findings = [f for f in look(**changes) if f.code == code and signal in f.signals]
    assert findings, look(**changes)
    assert any(hint in finding.hint for finding in findings)


def test_a_load_below_zero_is_only_judged_when_every_part_is_measured() -> None:
    findings = look(load_kw=None, grid_kw=-43.0)
    assert [f.code for f in findings] == ["sign"]
    assert "cannot consume less than nothing" in findings[0].message


def test_the_device_under_test_is_suspected_not_the_others() -> None:
    findings = look(own=frozenset({"pv_kw"}), pv_kw=-20.0)
    assert findings[0].signals == ("pv_kw",)
    findings = look(own=frozenset({"soc_percent"}), current_a=-13.0)
    assert all("current_a" not in f.signals for f in findings)


def course(soc_per_hour: float, power_kw: float, minutes: int = 60) -> list[Observation]:
    return [
        Observation(
            NOW + timedelta(minutes=i),
            {"soc_percent": 50.0 + soc_per_hour * i / 60.0, "battery_kw": power_kw},
        )
        for i in range(minutes + 1)
    ]


@pytest.mark.parametrize(
    ("soc_per_hour", "power_kw", "codes"),
    [
        (-20.0, 38.0, []),
        (20.0, -42.0, []),
        (20.0, 42.0, ["sign"]),
        (-20.0, -38.0, ["sign"]),
        (-20.0, 380.0, ["scale", "scale"]),
        (-20.0, 0.04, []),
        (0.4, 42.0, []),
        (-3.0, -0.1, []),
    ],
)
def test_the_state_of_charge_follows_the_power(
    soc_per_hour: float, power_kw: float, codes: list[str]
) -> None:
    past = course(soc_per_hour, power_kw)
    findings = examine(
        frozenset({"soc_percent", "battery_kw"}), past[-1:], past[:-1], battery=BATTERY
    )
    assert [f.code for f in findings] == codes


def test_counters_only_grow_and_in_the_right_direction() -> None:
    own = frozenset({"grid_kw", "grid_import_kwh", "grid_export_kwh"})

    def between(**after: float) -> list[str]:
        values = {"grid_kw": 20.0, "grid_import_kwh": 100.0, "grid_export_kwh": 50.0}
        later = Observation(NOW + timedelta(seconds=3), {**values, **after})
        return [f.code for f in examine(own, [Observation(NOW, values), later])]

    assert between(grid_import_kwh=100.02) == []
    assert between(grid_import_kwh=99.0) == ["counter"]
    assert between(grid_export_kwh=50.02) == ["sign"]

"""The allowed range is the tightest of everything known; nothing known means 0."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.limits import LimitTracker
from engine.domain.control import PowerLimits
from engine.domain.signals import ALARMS
from engine.domain.site import Site
from tests.support.build import NOW, image


def settled(site: Site, **values) -> PowerLimits:
    """Limits after long enough for the slow rise to end."""
    tracker = LimitTracker(site)
    tracker.update(image(**values), 0.0)
    tracker.update(image(**values), 1000.0)
    return tracker.update(image(**values), 2000.0)


def test_a_healthy_battery_may_use_its_nameplate(site: Site) -> None:
    limits = settled(site)
    assert (limits.charge_kw, limits.discharge_kw) == (100.0, 100.0)
    assert limits.charge_binding == "nameplate"


@pytest.mark.parametrize(
    ("values", "charge", "discharge"),
    [
        ({"max_charge_power_kw": 33.0}, (33.0, "bms_power"), (100.0, "nameplate")),
        ({"status_code": 5}, (0.0, "status"), (100.0, "nameplate")),
        ({"status_code": 6}, (100.0, "nameplate"), (0.0, "status")),
        ({"status_code": 7}, (0.0, "status"), (0.0, "status")),
        ({"status_code": 8}, (0.0, "status"), (0.0, "status")),
        ({"alarm_bits": 1 << ALARMS.index("charge_prohibited")}, (0.0, "alarm"), (100.0, None)),
        ({"alarm_bits": 1 << ALARMS.index("discharge_prohibited")}, (100.0, None), (0.0, "alarm")),
        ({"alarm_bits": 1 << ALARMS.index("system_fault")}, (0.0, "alarm"), (0.0, "alarm")),
        ({"soc_percent": 90.0}, (0.0, "soc_window"), (100.0, "nameplate")),
        ({"soc_percent": 10.0}, (100.0, "nameplate"), (0.0, "soc_window")),
        ({"grid_kw": 180.0}, (20.0, "grid_import"), (100.0, "nameplate")),
        ({"grid_kw": -170.0}, (100.0, "nameplate"), (30.0, "grid_export")),
        ({"grid_kw": 250.0}, (0.0, "grid_import"), (100.0, "nameplate")),
        ({"max_charge_current_a": 50.0}, (40.0, "bms_current"), (100.0, "nameplate")),
        ({"bad": ("max_charge_power_kw",)}, (0.0, "bms_power"), (100.0, "nameplate")),
        ({"bad": ("status_code",)}, (0.0, "status"), (0.0, "status")),
        ({"bad": ("alarm_bits",)}, (0.0, "alarm"), (0.0, "alarm")),
        ({"bad": ("soc_percent",)}, (0.0, "soc_window"), (0.0, "soc_window")),
        ({"bad": ("grid_kw",)}, (0.0, "meter_missing"), (0.0, "meter_missing")),
    ],
)
def test_the_tightest_limit_rules_and_is_named(
    site: Site, values: dict, charge: tuple, discharge: tuple
) -> None:
    limits = settled(site, **values)
    assert limits.charge_kw == pytest.approx(charge[0])
    assert limits.discharge_kw == pytest.approx(discharge[0])
    assert charge[1] in (None, limits.charge_binding)
    assert discharge[1] in (None, limits.discharge_binding)


def test_limits_fall_at_once_and_rise_slowly(site: Site) -> None:
    tracker = LimitTracker(site)
    assert tracker.update(image(), 0.0).charge_kw == 0.0
    assert tracker.update(image(), 2.0).charge_kw == pytest.approx(10.0)
    assert tracker.update(image(), 4.0).charge_binding == "slow_rise"
    assert tracker.update(image(), 100.0).charge_kw == 100.0
    assert tracker.update(image(status_code=5), 102.0).charge_kw == 0.0
    assert tracker.update(image(), 104.0).charge_kw == pytest.approx(10.0)


def test_a_full_battery_is_released_only_well_inside_the_window(site: Site) -> None:
    tracker = LimitTracker(site)
    tracker.update(image(soc_percent=80), 0.0)
    allowed = []
    for i, soc in enumerate((89.9, 90.0, 89.9, 89.5, 89.0)):
        tracker.update(image(soc_percent=soc), 1000.0 * (i + 1))
        allowed.append(tracker.update(image(soc_percent=soc), 1000.0 * (i + 1) + 500).charge_kw)
    assert [a > 0 for a in allowed] == [True, False, False, False, True]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "soc_percent": st.floats(0, 100),
                "grid_kw": st.floats(-300, 300),
                "battery_kw": st.floats(-100, 100),
                "max_charge_power_kw": st.floats(0, 150),
                "max_discharge_power_kw": st.floats(0, 150),
                "status_code": st.sampled_from([0, 1, 2, 3, 5, 6, 7, 8]),
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_limits_never_exceed_any_known_limit(steps: list[dict]) -> None:
    from engine.domain.site import Battery, GridConnection

    site = Site(
        "s", "S", "UTC", Battery(200, 100, 90, 0.95, 0.95, 10, 90), GridConnection(200, 150)
    )
    tracker, before = LimitTracker(site), None
    for i, values in enumerate(steps):
        limits = tracker.update(image(NOW + timedelta(seconds=2 * i), **values), 2.0 * i)
        assert 0 <= limits.charge_kw <= min(100, values["max_charge_power_kw"])
        assert 0 <= limits.discharge_kw <= min(90, values["max_discharge_power_kw"])
        net_load = values["grid_kw"] + values["battery_kw"]
        assert limits.charge_kw <= max(0.0, 200 - net_load) + 1e-9
        assert limits.discharge_kw <= max(0.0, 150 + net_load) + 1e-9
        if values["soc_percent"] >= 90 or values["status_code"] in (0, 5, 7, 8):
            assert limits.charge_kw == 0
        if values["soc_percent"] <= 10 or values["status_code"] in (0, 6, 7, 8):
            assert limits.discharge_kw == 0
        if before is not None:
            assert limits.charge_kw <= before.charge_kw + 0.05 * 100 * 2 + 1e-9
        before = limits

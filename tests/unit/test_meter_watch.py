"""A meter that stands still beside a moving battery counts as missing, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.control.meter_watch import STUCK_AFTER_S, MeterWatch
from engine.domain.sample import ProcessImage, Quality, Sample, aged
from engine.telemetry.image import BALANCE
from tests.support.build import NOW, image

CYCLE_S = 2.0


def usable(watch: MeterWatch, cycles: int, at_s: float = 0.0, **of_cycle: object) -> list[bool]:
    """Return per cycle whether the meter may be used; values may be functions of the cycle."""
    found = []
    for cycle in range(cycles):
        values = {name: f(cycle) for name, f in of_cycle.items()}  # type: ignore[operator]
        ts = NOW + timedelta(seconds=at_s + cycle * CYCLE_S)
        checked = watch.checked(image(ts, **values), at_s + cycle * CYCLE_S)
        found.append(checked.value("grid_kw") is not None)
    return found


def test_a_frozen_reading_beside_a_moving_battery_is_stale_until_it_changes() -> None:
    watch = MeterWatch(100.0)
    moving = usable(watch, 12, grid_kw=lambda _: 20.0, battery_kw=lambda c: 5.0 * c)
    first_bad = moving.index(False)
    assert first_bad * CYCLE_S == STUCK_AFTER_S
    assert not any(moving[first_bad:])
    still = usable(watch, 10, 24.0, grid_kw=lambda _: 20.0, battery_kw=lambda _: 0.0)
    assert not any(still), "at rest it proves nothing"
    checked = watch.checked(image(NOW + timedelta(seconds=50), grid_kw=20.0), 50.0)
    assert checked.samples["grid_kw"].quality is Quality.STALE
    assert checked.samples["grid_kw"].value == 20.0, "kept for display"
    assert "the same for" in str(checked.samples["grid_kw"].reason)
    assert watch.checked(image(grid_kw=20.1), 52.0).value("grid_kw") == 20.1


def test_a_moving_pv_plant_is_a_witness_too() -> None:
    found = usable(MeterWatch(100.0), 8, grid_kw=lambda _: -3.0, pv_kw=lambda c: 2.0 * c)
    assert not found[-1]


@pytest.mark.parametrize(
    "values",
    [
        {"grid_kw": lambda c: 20.0 + 0.1 * (c % 2), "battery_kw": lambda c: 5.0 * c},
        {"grid_kw": lambda _: 20.0, "battery_kw": lambda c: 0.2 * c},
        {"grid_kw": lambda _: 0.0, "battery_kw": lambda c: -3.0 * c, "pv_kw": lambda c: 3.0 * c},
        {"grid_kw": lambda _: 20.0, "battery_kw": lambda _: 60.0},
    ],
    ids=["it moves", "slow drift", "the battery takes the sun", "nothing moves"],
)
def test_a_meter_that_may_well_stand_still_is_believed(values: dict[str, object]) -> None:
    assert all(usable(MeterWatch(100.0), 60, **values))


def test_a_pv_plant_that_vanishes_from_the_readings_has_not_moved() -> None:
    watch = MeterWatch(100.0)
    assert all(usable(watch, 5, grid_kw=lambda _: 20.0, pv_kw=lambda _: 50.0))
    for cycle in range(5, 20):
        ts = NOW + timedelta(seconds=cycle * CYCLE_S)
        seen = watch.checked(image(ts, bad=("pv_kw",), grid_kw=20.0), cycle * CYCLE_S)
        assert seen.value("grid_kw") == 20.0


def test_a_load_derived_from_a_frozen_meter_is_none_either() -> None:
    watch = MeterWatch(100.0)
    for cycle in range(10):
        ts = NOW + timedelta(seconds=cycle * CYCLE_S)
        derived = {
            "grid_kw": Sample(20.0, ts, "meter"),
            "battery_kw": Sample(9.0 * cycle, NOW, "pcs"),
            "load_kw": Sample(30.0, NOW, BALANCE),
        }
        seen = watch.checked(ProcessImage("site-1", NOW, derived), cycle * CYCLE_S)
    assert seen.value("load_kw") is None
    assert seen.value("battery_kw") is not None


def test_a_meter_that_reports_every_half_minute_is_not_stuck_in_between() -> None:
    watch = MeterWatch(100.0)
    for cycle in range(60):
        reported = NOW + timedelta(seconds=cycle // 15 * 30)
        values = {
            "grid_kw": Sample(20.0 - cycle // 15, reported, "mqtt"),
            "battery_kw": Sample(1.5 * cycle, NOW, "pcs"),
        }
        seen = watch.checked(ProcessImage("site-1", NOW, values), cycle * CYCLE_S)
        assert seen.value("grid_kw") is not None


def test_a_slow_meter_that_repeats_itself_beside_a_moving_battery_is_stuck() -> None:
    watch = MeterWatch(100.0)
    for cycle in range(31):
        reported = NOW + timedelta(seconds=cycle // 15 * 30)
        values = {
            "grid_kw": Sample(20.0, reported, "mqtt"),
            "battery_kw": Sample(1.5 * cycle, NOW, "pcs"),
        }
        seen = watch.checked(ProcessImage("site-1", NOW, values), cycle * CYCLE_S)
        assert (seen.value("grid_kw") is not None) is (cycle < 30), "the third reading proves it"


@pytest.mark.parametrize(("ahead_s", "fresh"), [(0, True), (5, True), (-5, True), (7, False)])
def test_a_sample_dated_ahead_is_as_stale_as_an_old_one(ahead_s: float, fresh: bool) -> None:
    sample = Sample(1.0, NOW + timedelta(seconds=ahead_s), "meter")
    assert aged(sample, NOW, 6.0).usable is fresh
    assert aged(Sample(1.0, NOW - timedelta(seconds=ahead_s), "meter"), NOW, 6.0).usable is fresh

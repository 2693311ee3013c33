"""The process image tells fresh from stale, and the load closes the balance."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.domain.sample import ProcessImage, Quality, Sample
from engine.domain.series import MeasuredPoint
from engine.telemetry.image import build_image
from engine.telemetry.minute_ring import MinuteRing
from tests.support.build import NOW, image

CONFIGURED = frozenset({"soc_percent", "grid_kw", "pv_kw", "battery_kw"})


def built(samples: dict[str, Sample], **changes) -> ProcessImage:
    arguments = {"max_age_s": 6.0, "configured": CONFIGURED, "simulated": False} | changes
    return build_image("site-1", NOW, samples, **arguments)


def fresh(**values: float) -> dict[str, Sample]:
    return {name: Sample(value, NOW, "dev") for name, value in values.items()}


def test_load_is_the_balance_at_the_grid_connection() -> None:
    got = built(fresh(soc_percent=50, grid_kw=-12, pv_kw=70, battery_kw=-30))
    assert got.value("load_kw") == pytest.approx(28.0)
    assert got.samples["load_kw"].source == "balance"


def test_old_samples_are_stale_kept_for_display_and_not_for_control() -> None:
    samples = fresh(soc_percent=50, grid_kw=10, pv_kw=0, battery_kw=0)
    samples["grid_kw"] = Sample(10.0, NOW - timedelta(seconds=14), "meter")
    got = built(samples)
    stale = got.samples["grid_kw"]
    assert (stale.quality, stale.value) == (Quality.STALE, 10.0)
    assert "14 s" in str(stale.reason)
    assert got.value("grid_kw") is None
    assert got.value("load_kw") is None
    assert "grid_kw" in str(got.samples["load_kw"].reason)


def test_a_silent_device_is_bad_not_absent() -> None:
    got = built({})
    assert got.samples["soc_percent"].quality is Quality.BAD
    assert got.value("soc_percent") is None


def test_a_site_without_pv_needs_no_pv() -> None:
    configured = frozenset({"grid_kw", "battery_kw"})
    got = built(fresh(grid_kw=40, battery_kw=5), configured=configured)
    assert got.value("load_kw") == 45.0


def test_a_negative_load_points_at_the_wiring() -> None:
    got = built(fresh(soc_percent=50, grid_kw=-50, pv_kw=10, battery_kw=0))
    assert got.samples["load_kw"].quality is Quality.UNCERTAIN
    assert "direction" in str(got.samples["load_kw"].reason)
    nearly = built(fresh(soc_percent=50, grid_kw=-10.4, pv_kw=10, battery_kw=0))
    assert nearly.value("load_kw") == 0.0


def test_no_sample_carries_a_non_finite_number() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="non-finite"):
            Sample(value, NOW, "dev")


def test_minutes_close_when_the_next_begins_and_gaps_stay_gaps() -> None:
    ring = MinuteRing()
    for second, power in ((0, 10.0), (30, 20.0), (60, 90.0)):
        ring.add(image(NOW + timedelta(seconds=second), grid_kw=power))
    ring.add(image(NOW + timedelta(minutes=5), grid_kw=1.0))
    points = ring.between(NOW - timedelta(minutes=1))
    assert [p.ts - NOW for p in points] == [timedelta(0), timedelta(minutes=1)]
    assert points[0].values["grid_kw"] == 15.0
    assert ring.between(NOW) == points[1:]
    assert ring.between(NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)) == points[:1]


def test_unusable_values_do_not_enter_the_mean() -> None:
    ring = MinuteRing()
    ring.add(image(NOW, grid_kw=10.0))
    ring.add(image(NOW + timedelta(seconds=2), bad=("grid_kw",)))
    ring.add(image(NOW + timedelta(minutes=1)))
    point = ring.between(NOW - timedelta(minutes=1))[0]
    assert point.values["grid_kw"] == 10.0


def test_ring_is_bounded_and_keeps_preloaded_minutes() -> None:
    ring = MinuteRing(capacity=3)
    ring.preload([MeasuredPoint(NOW - timedelta(minutes=5 - i), 60, {}) for i in range(5)])
    assert len(ring.between(NOW - timedelta(hours=1))) == 3

"""What people see is calm; what limits act on is raw."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.control.limits import LimitTracker
from engine.domain.sample import ProcessImage, Quality, Sample
from engine.domain.signals import ALARMS
from engine.domain.site import Site
from engine.telemetry.alarms import AlarmTracker
from engine.telemetry.debounce import AnalogDebounce
from engine.telemetry.minute_ring import MinuteRing
from engine.telemetry.recent import RecentRing
from tests.support.build import NOW, image


def at(second: float) -> Sample:
    return Sample(second, NOW, "dev")


def test_small_and_fast_changes_are_held_back() -> None:
    debounce = AnalogDebounce(min_interval_s=2.0, deadbands={"grid_kw": 0.5})
    assert debounce.update("grid_kw", at(10.0), 0.0).value == 10.0
    assert debounce.update("grid_kw", at(10.4), 5.0).value == 10.0
    assert debounce.update("grid_kw", at(10.6), 5.0).value == 10.6
    assert debounce.update("grid_kw", at(20.0), 6.0).value == 10.6
    assert debounce.update("grid_kw", at(20.0), 7.0).value == 20.0


def test_slow_drift_is_shown_in_the_end() -> None:
    debounce = AnalogDebounce(min_interval_s=0.0, deadbands={"grid_kw": 0.5})
    shown = [debounce.update("grid_kw", at(0.1 * i), float(i)).value for i in range(11)]
    assert shown[4] == 0.0
    assert shown[10] == pytest.approx(1.0)


def test_a_value_that_becomes_unusable_is_never_held() -> None:
    debounce = AnalogDebounce(min_interval_s=60.0)
    debounce.update("grid_kw", at(10.0), 0.0)
    bad = Sample(None, NOW, "dev", Quality.BAD, "no answer")
    assert debounce.update("grid_kw", bad, 0.1) is bad
    assert debounce.update("grid_kw", at(10.0), 0.2).value == 10.0


def test_codes_are_never_held_for_being_close() -> None:
    debounce = AnalogDebounce(min_interval_s=0.0)
    debounce.update("status_code", at(3.0), 0.0)
    assert debounce.update("status_code", at(5.0), 0.1).value == 5.0


def test_trips_show_at_once_others_after_the_delay() -> None:
    tracker = AlarmTracker(trips=frozenset({"trip"}))
    states = {"trip": True, "warm": True}
    assert [v.name for v in tracker.update_states(states, NOW, 0.0)] == ["trip"]
    assert [v.name for v in tracker.update_states(states, NOW, 1.4)] == ["trip"]
    assert len(tracker.update_states(states, NOW, 1.6)) == 2


def test_a_short_spike_of_a_delayed_alarm_is_no_alarm() -> None:
    tracker = AlarmTracker(trips=frozenset())
    for second in range(20):
        assert tracker.update_states({"warm": second % 2 == 0}, NOW, float(second)) == ()


def test_flutter_is_one_event_latched_until_acknowledged() -> None:
    tracker = AlarmTracker()
    bit = 2.0 ** ALARMS.index("system_fault")
    raised = set()
    for second in range(60):
        ts = NOW + timedelta(seconds=second)
        views = tracker.update(image(ts, alarm_bits=bit * (second % 2)), float(second))
        raised |= {(v.raised_at, v.count) for v in views}
    assert raised == {(NOW + timedelta(seconds=1), 1)}
    for second in range(60, 70):
        (view,) = tracker.update(image(NOW, alarm_bits=0.0), float(second))
    assert not view.active
    assert view.cleared_at is not None
    assert tracker.acknowledge("charge_prohibited") == ()
    assert tracker.acknowledge() == ("system_fault",)
    assert tracker.views() == ()


def test_an_acknowledged_alarm_stays_while_it_is_active() -> None:
    tracker = AlarmTracker()
    tracker.update(image(alarm_bits=16.0), 0.0)
    tracker.acknowledge("system_fault", by="anna", ts=NOW)
    (view,) = tracker.update(image(alarm_bits=16.0), 1.0)
    assert (view.active, view.acknowledged) == (True, True)
    assert (view.acknowledged_by, view.acknowledged_at) == ("anna", NOW)
    tracker.update(image(alarm_bits=0.0), 2.0)
    assert tracker.update(image(alarm_bits=0.0), 8.0) == ()


def test_a_silent_device_does_not_end_an_alarm() -> None:
    tracker = AlarmTracker()
    tracker.update(image(alarm_bits=16.0), 0.0)
    for second in range(1, 30):
        (view,) = tracker.update(image(bad=("alarm_bits",)), float(second))
        assert view.active


def test_limits_act_on_the_raw_bit_in_the_same_cycle(site: Site) -> None:
    # An alarm that is delayed for display; its raw bit must stop the battery at once.
    tracker = AlarmTracker(trips=frozenset())
    limits = LimitTracker(site)
    for second in range(30):
        before = limits.update(image(), float(second))
    assert before.charge_kw > 0
    bad = image(alarm_bits=2.0 ** ALARMS.index("charge_prohibited"))
    assert limits.update(bad, 30.0).charge_kw == 0.0
    assert tracker.update(bad, 30.0) == ()


def test_the_last_hour_is_kept_with_quality_and_nothing_older() -> None:
    ring = RecentRing()
    for minute in range(0, 121, 2):
        ring.add(image(NOW + timedelta(minutes=minute), grid_kw=float(minute)))
    ring.add(image(NOW + timedelta(minutes=121), bad=("grid_kw",)))
    cycles = ring.since(NOW)
    assert cycles[0].ts == NOW + timedelta(minutes=62)
    assert cycles[0].value("grid_kw") == 62.0
    assert cycles[-1].value("grid_kw") is None
    assert cycles[-1].quality("grid_kw") is Quality.BAD
    assert ("grid_kw", None, Quality.BAD) in list(cycles[-1].items())
    assert (cycles[-1].value("no_such"), cycles[-1].quality("no_such")) == (None, None)
    assert [c.ts for c in ring.since(NOW, limit=2)] == [c.ts for c in cycles[-2:]]
    assert ring.since(NOW, limit=0) == []
    with pytest.raises(ValueError, match="negative"):
        ring.since(NOW, limit=-1)


def test_the_ring_is_bounded_and_follows_a_clock_that_is_set_back() -> None:
    ring = RecentRing(capacity=3)
    for second in (0, 1, 2, 3, 3):
        ring.add(image(NOW + timedelta(seconds=second)))
    assert [(c.ts - NOW).seconds for c in ring.since(NOW - timedelta(hours=1))] == [1, 2, 3]
    for second in (1.5, 2.5):
        ring.add(image(NOW + timedelta(seconds=second)))
    shown = [(c.ts - NOW).total_seconds() for c in ring.since(NOW - timedelta(hours=1))]
    assert shown == [1.0, 1.5, 2.5], "what happens now is seen now"


def test_minute_means_follow_a_clock_that_is_set_back() -> None:
    ring = MinuteRing()
    for minute in (0, 1, 2, -1000, -999, -998):
        ring.add(image(NOW + timedelta(minutes=minute), grid_kw=float(minute)))
    points = ring.between(NOW - timedelta(days=2))
    assert [p.values["grid_kw"] for p in points] == [-1000.0, -999.0]


def test_stale_values_are_shown_and_not_used() -> None:
    ring = RecentRing()
    stale = Sample(7.0, NOW, "meter", Quality.STALE, "old")
    ring.add(ProcessImage("site-1", NOW, {"grid_kw": stale}))
    (cycle,) = ring.since(NOW - timedelta(seconds=1))
    assert (cycle.shown("grid_kw"), cycle.value("grid_kw")) == (7.0, None)


def test_a_whole_image_is_calmed_without_touching_the_raw_one() -> None:
    debounce = AnalogDebounce(min_interval_s=2.0)
    raw = image(NOW, grid_kw=20.0)
    debounce.calm(raw, 0.0)
    noisy = image(NOW + timedelta(seconds=2), grid_kw=20.05)
    shown = debounce.calm(noisy, 2.0)
    assert (shown.value("grid_kw"), noisy.value("grid_kw")) == (20.0, 20.05)
    assert shown.ts == noisy.ts

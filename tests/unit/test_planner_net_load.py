"""Load or PV far off the plan for some minutes asks for a new plan, and nothing less does."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import OptimizationError
from engine.domain.series import MeasuredPoint
from engine.domain.site import Site
from engine.runtime.planner import NET_LOAD_OVER, PlanInputs, Planner
from engine.telemetry.minute_ring import MinuteRing
from tests.support.build import NOW, image, plan

BAND_KW = 15.0
"""15 % of the 100 kW of the battery; the plan below has a net load of 20 kW."""


class Waiting:
    """A planner with a plan of the running quarter-hour, and the minutes measured since."""

    def __init__(self, site: Site, **planned: Any) -> None:
        self.clock = ManualClock(NOW)
        self.minutes: list[MeasuredPoint] = []
        inputs = SimpleNamespace(
            problem=SimpleNamespace(site=site),
            prices=SimpleNamespace(published=lambda _now: None),
            desk=SimpleNamespace(overridden_since_plan=lambda: False),
            minute_means=self._between,
            interval_s=3600.0,
        )
        self.planner = Planner(cast(PlanInputs, inputs), self.clock)
        self.planner._last_plan = plan(start=NOW, **planned)
        self.planner._planned_at = NOW

    def _between(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        ring = MinuteRing()
        ring.preload(self.minutes)
        return ring.between(since, until)

    def measure(self, minutes: int, **values: float | None) -> str | None:
        """Let minutes pass with these means; return why a plan is due then."""
        for _ in range(minutes):
            self.minutes.append(MeasuredPoint(self.clock.now(), 60, values))
            self.clock.advance(60.0)
        # A state of charge as planned, so that it is no reason.
        return self.planner.due(image(self.clock.now()))


def well(site: Site, **planned: Any) -> Waiting:
    return Waiting(site, soc_kwh=100.0, **planned)


@pytest.mark.parametrize(
    ("values", "due"),
    [
        ({"load_kw": 30.0, "pv_kw": 10.0}, None),
        ({"load_kw": 30.0 + BAND_KW - 0.1, "pv_kw": 10.0}, None),
        ({"load_kw": 30.0 + BAND_KW + 0.1, "pv_kw": 10.0}, "net_load"),
        ({"load_kw": 30.0, "pv_kw": 10.0 + BAND_KW + 0.1}, "net_load"),
        ({"load_kw": 60.0, "pv_kw": 40.0}, None),
        ({"load_kw": 20.0 + BAND_KW + 0.1}, "net_load"),
        ({"load_kw": 20.0, "pv_kw": None}, None),
        ({"load_kw": None, "pv_kw": 40.0}, None),
    ],
)
def test_the_net_load_counts_and_not_load_or_pv_alone(
    site: Site, values: dict[str, float | None], due: str | None
) -> None:
    assert well(site).measure(8, **values) == due


def test_planned_curtailment_is_part_of_the_planned_net_load(site: Site) -> None:
    curtailing = well(site, pv_kw=50.0, curtailed_kw=40.0)
    assert curtailing.measure(8, load_kw=30.0, pv_kw=10.0) is None
    assert well(site, pv_kw=50.0).measure(8, load_kw=30.0, pv_kw=10.0) == "net_load"


def test_a_spike_of_a_minute_is_no_reason_and_a_step_becomes_one(site: Site) -> None:
    waiting = well(site)
    assert waiting.measure(7, load_kw=30.0, pv_kw=10.0) is None
    assert waiting.measure(1, load_kw=100.0, pv_kw=10.0) is None, "14 kW over five minutes"
    assert waiting.measure(3, load_kw=50.0, pv_kw=10.0) == "net_load"


def test_too_few_minutes_and_minutes_of_another_step_say_nothing(site: Site) -> None:
    waiting = well(site)
    far = {"load_kw": 90.0, "pv_kw": 10.0}
    assert waiting.measure(5, **far) is None, "the step is younger than six minutes"
    assert waiting.measure(1, **far) == "net_load"
    assert waiting.measure(9 + 5, **far) is None, "the next quarter-hour has its own plan"
    assert waiting.measure(1, **far) == "net_load"
    gap = well(site)
    gap.clock.advance((NET_LOAD_OVER + timedelta(minutes=1)).total_seconds())
    assert gap.measure(3, **far) is None, "three minutes after a gap"
    assert gap.measure(1, **far) == "net_load"


def test_a_plan_just_made_is_left_to_work_for_two_minutes(site: Site) -> None:
    waiting = well(site)
    far = {"load_kw": 90.0, "pv_kw": 10.0}
    assert waiting.measure(8, **far) == "net_load"
    waiting.planner._planned_at = waiting.clock.now()
    assert waiting.measure(1, **far) is None
    assert waiting.measure(1, **far) == "net_load"


def test_a_plan_made_at_this_net_load_is_not_made_again(site: Site) -> None:
    waiting = well(site)
    far = {"load_kw": 90.0, "pv_kw": 10.0}
    assert waiting.measure(8, **far) == "net_load"
    # What a plan made for this reason remembers: the net load of the newest minute.
    waiting.planner._planned_at_kw = 80.0
    assert waiting.measure(4, **far) is None
    assert waiting.measure(3, load_kw=30.0, pv_kw=10.0) is None, "back to what was planned"
    waiting.minutes.clear()
    assert waiting.measure(0) is None


def test_after_a_failure_the_reason_is_another_attempt_and_not_a_request(site: Site) -> None:
    waiting = well(site)
    blind = image(waiting.clock.now(), soc_percent=None)
    for _ in range(2):
        with pytest.raises(OptimizationError):
            waiting.planner.make(blind, waiting.planner.due(blind) or "schedule")
        assert waiting.planner.due(blind) == "retry"
    waiting.planner.request()
    with pytest.raises(OptimizationError):
        waiting.planner.make(blind, "request")
    assert waiting.planner.due(blind) == "request", "a request that could not be served stands"

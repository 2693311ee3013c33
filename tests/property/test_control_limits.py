"""Whatever the devices say, no power outside the intersection of the limits is asked for."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.control import (
    ControlConfig,
    ExternalSourceConfig,
    FeedInConfig,
    LimitsConfig,
    ReducedConfig,
    TemperatureConfig,
)
from engine.control.controller import Controller
from engine.control.external_limits import ExternalLimit, ExternalLimits
from engine.control.limits import LimitTracker
from engine.control.setpoint_law import Prices
from engine.domain.plan import Plan, PlanSteering
from engine.domain.sample import ProcessImage, Quality, Sample
from engine.domain.signals import ALARMS, EXTERNAL_CONTACT, STATUS_NO_CHARGE, STATUS_NO_DISCHARGE
from engine.domain.site import Battery, GridConnection, Site
from tests.support.build import NOW, plan

SITE = Site(
    site_id="s",
    name="S",
    timezone="Europe/Vienna",
    battery=Battery(200.0, 100.0, 90.0, 0.95, 0.95, 10.0, 90.0, wear_cost_eur_per_kwh=0.015),
    grid=GridConnection(200.0, 150.0),
    pv_peak_kw=160.0,
)
LIMITS = LimitsConfig(
    temperature=TemperatureConfig(required=True),
    feed_in=FeedInConfig(percent_of_pv=60.0),
    external=[ExternalSourceConfig(source="dso")],
)
CONTACT = ExternalSourceConfig(
    source="digital_input",
    contact_from="device",
    reduced=ReducedConfig(charge_kw=3.0, discharge_kw=12.0),
)
N = 8
RISE = 0.05

wild = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-400.0, 400.0),
    st.sampled_from([0.0, -0.0, 65535.0, 1e308, -1e308, 5e-324]),
)


def likely(low: float, high: float) -> st.SearchStrategy[float]:
    """Mostly sensible values, so that examples get past the first reason to stop."""
    return st.one_of(*[st.floats(low, high)] * 4, wild)


VALUES: dict[str, st.SearchStrategy[float]] = {
    "soc_percent": likely(0.0, 100.0),
    "grid_kw": likely(-300.0, 400.0),
    "battery_kw": likely(-100.0, 100.0),
    "voltage_v": likely(600.0, 900.0),
    "temperature_c": likely(-25.0, 65.0),
    "max_charge_power_kw": likely(0.0, 150.0),
    "max_discharge_power_kw": likely(0.0, 150.0),
    "max_charge_current_a": likely(0.0, 200.0),
    "max_discharge_current_a": likely(0.0, 200.0),
    "status_code": st.one_of(st.sampled_from([1.0, 2.0, 3.0, 0.0, 5.0, 6.0, 7.0, 8.0]), wild),
    "alarm_bits": st.one_of(*[st.just(0.0)] * 4, st.integers(0, 31).map(float), wild),
    EXTERNAL_CONTACT: st.one_of(*[st.just(0.0)] * 4, st.just(1.0), wild),
}
QUALITIES = (*[Quality.GOOD] * 12, Quality.UNCERTAIN, Quality.STALE, Quality.BAD, None)


@st.composite
def steps(draw: st.DrawFn) -> dict[str, Any]:
    """One cycle: a value and a quality per signal, and how both clocks went on."""
    samples = {
        name: (draw(values), draw(st.sampled_from(QUALITIES))) for name, values in VALUES.items()
    }
    return {
        "samples": samples,
        "monotonic_s": draw(st.sampled_from([2.0, 2.0, 2.0, 0.0, 0.5, 30.0, 4000.0])),
        "wall_s": draw(st.sampled_from([2.0, 2.0, 2.0, 0.0, -2.0, 900.0, 3600.0, -3600.0])),
        "skew_s": draw(st.sampled_from([0.0, 0.0, 1.0, 2.0, -1.0, 7200.0])),
        "import_kw": draw(st.sampled_from([None, None, 0.0, 50.0])),
        "charge_kw": draw(st.sampled_from([None, None, None, 4.2])),
    }


def built(ts: Any, step: dict[str, Any]) -> ProcessImage:
    samples = {}
    for name, (value, quality) in step["samples"].items():
        if quality is None:
            continue
        at = ts - timedelta(seconds=step["skew_s"]) if name == "battery_kw" else ts
        bad = quality is Quality.BAD
        samples[name] = Sample(None if bad else value, at, "t", quality, "x")
    return ProcessImage("s", ts, samples)


def most(image: ProcessImage, step: dict[str, Any]) -> tuple[float, float]:
    """Return what the battery itself may charge and discharge, reckoned anew from the rules."""
    battery = SITE.battery
    charge = min(battery.power_charge_max_kw, image.value("max_charge_power_kw") or 0.0)
    discharge = min(battery.power_discharge_max_kw, image.value("max_discharge_power_kw") or 0.0)
    volts = image.value("voltage_v")
    if image.sample("max_charge_current_a") is not None:
        amperes = image.value("max_charge_current_a")
        known = volts is not None and amperes is not None and volts > 0
        charge = min(charge, amperes * volts / 1000.0 if known else 0.0)
    if image.sample("max_discharge_current_a") is not None:
        amperes = image.value("max_discharge_current_a")
        known = volts is not None and amperes is not None and volts > 0
        discharge = min(discharge, amperes * volts / 1000.0 if known else 0.0)
    soc = image.value("soc_percent")
    if soc is None or soc >= 90.0:
        charge = 0.0
    if soc is None or soc <= 10.0:
        discharge = 0.0
    if image.sample("status_code") is not None:
        status = image.value("status_code")
        charge = 0.0 if status is None or status in STATUS_NO_CHARGE else charge
        discharge = 0.0 if status is None or status in STATUS_NO_DISCHARGE else discharge
    if image.sample("alarm_bits") is not None:
        bits = image.value("alarm_bits")
        on = {n for i, n in enumerate(ALARMS) if bits is None or int(bits) >> i & 1}
        faults = on - {"charge_prohibited", "discharge_prohibited"}
        charge = 0.0 if faults or "charge_prohibited" in on else charge
        discharge = 0.0 if faults or "discharge_prohibited" in on else discharge
    celsius = image.value("temperature_c")
    if celsius is None or not 0.0 < celsius < 55.0:
        charge = 0.0
    if celsius is None or not -20.0 < celsius < 60.0:
        discharge = 0.0
    if image.value("grid_kw") is None or image.value("battery_kw") is None:
        charge = discharge = 0.0
    if step["charge_kw"] is not None:
        charge = min(charge, step["charge_kw"])
    # Only a contact that is known to be open leaves the battery alone.
    if image.value(EXTERNAL_CONTACT) != 0.0:
        charge, discharge = min(charge, 3.0), min(discharge, 12.0)
    return max(0.0, charge), max(0.0, discharge)


plans = st.builds(
    lambda value, battery, grid, cap, grid_charge, battery_export: plan(
        n=N,
        stored_value_eur_per_kwh=value,
        battery_kw=battery,
        grid_kw=grid,
        steering=PlanSteering(
            np.full(N, 0.3),
            np.full(N, 0.05),
            0.02,
            np.full(N, grid),
            np.full(N, cap),
            32.0,
            grid_charge_allowed=grid_charge,
            battery_export_allowed=battery_export,
        ),
    ),
    st.floats(-0.5, 0.9),
    st.floats(-100.0, 100.0),
    st.floats(-100.0, 200.0),
    st.sampled_from([0.0, 30.0, 120.0, math.inf]),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=150)
@given(
    cycles=st.lists(steps(), min_size=1, max_size=12),
    published=st.one_of(st.none(), plans),
    prices=st.one_of(st.none(), st.builds(Prices, st.floats(-1, 1), st.floats(-1, 1))),
    mode=st.sampled_from(["value", "hold", "track"]),
    without_plan=st.sampled_from(["idle", "self_consumption"]),
    reserve_kwh=st.sampled_from([None, 0.0, 100.0, 500.0]),
)
def test_no_input_leads_outside_the_intersection(
    cycles: list[dict[str, Any]],
    published: Plan | None,
    prices: Prices | None,
    mode: str,
    without_plan: str,
    reserve_kwh: float | None,
) -> None:
    external = ExternalLimits([*LIMITS.external, CONTACT])
    tracker = LimitTracker(SITE, LIMITS, external)
    config = ControlConfig.model_validate({"mode": mode, "without_plan": without_plan})
    controller = Controller(SITE, config)
    now, monotonic_s, before = NOW, 0.0, (0.0, 0.0)
    reserve = None if reserve_kwh is None else np.full(N, reserve_kwh)
    for i, step in enumerate(cycles):
        dt_s = step["monotonic_s"] if i else 0.0
        now, monotonic_s = now + timedelta(seconds=step["wall_s"]), monotonic_s + dt_s
        image = built(now, step)
        external.put(
            ExternalLimit("dso", import_kw=step["import_kw"], charge_kw=step["charge_kw"]),
            now=now,
            monotonic_s=monotonic_s,
        )
        external.read_contact(image.sample(EXTERNAL_CONTACT))
        limits = tracker.update(image, monotonic_s)

        charge, discharge = most(image, step)
        assert 0.0 <= limits.charge_kw <= charge
        assert 0.0 <= limits.discharge_kw <= discharge
        assert limits.charge_kw <= before[0] + RISE * 100.0 * dt_s + 1e-9
        assert limits.discharge_kw <= before[1] + RISE * 90.0 * dt_s + 1e-9
        assert -limits.charge_kw <= limits.low_kw <= limits.high_kw <= limits.discharge_kw
        before = (limits.charge_kw, limits.discharge_kw)

        found = controller.decide(
            image,
            limits,
            published,
            prices,
            now=now,
            monotonic_s=monotonic_s,
            reserve_kwh=reserve,
        )
        assert math.isfinite(found.power_kw)
        assert limits.low_kw <= found.power_kw <= limits.high_kw
        assert found.reason


@settings(max_examples=100)
@given(
    net_load_kw=st.floats(-400.0, 400.0),
    import_kw=st.one_of(st.none(), st.floats(0.0, 250.0)),
    charge_kw=st.floats(0.0, 150.0),
    discharge_kw=st.floats(0.0, 150.0),
)
def test_the_meter_stays_within_its_limits_as_far_as_the_battery_can(
    net_load_kw: float, import_kw: float | None, charge_kw: float, discharge_kw: float
) -> None:
    external = ExternalLimits(LIMITS.external)
    external.put(ExternalLimit("dso", import_kw=import_kw), now=NOW, monotonic_s=0.0)
    tracker = LimitTracker(SITE, LIMITS, external)
    samples = {
        "soc_percent": 50.0,
        "grid_kw": net_load_kw,
        "battery_kw": 0.0,
        "temperature_c": 25.0,
        "max_charge_power_kw": charge_kw,
        "max_discharge_power_kw": discharge_kw,
    }
    image = ProcessImage("s", NOW, {n: Sample(v, NOW, "t") for n, v in samples.items()})
    tracker.update(image, 0.0)
    limits = tracker.update(image, 1000.0)
    most_import_kw = min(200.0, math.inf if import_kw is None else import_kw)
    most_export_kw = 0.6 * 160.0
    for power_kw in (limits.low_kw, limits.high_kw):
        grid_kw = net_load_kw - power_kw
        helps_kw = min(90.0, discharge_kw)
        assert grid_kw <= max(most_import_kw, net_load_kw - helps_kw) + 1e-6
        assert -grid_kw <= max(most_export_kw, -net_load_kw - min(100.0, charge_kw)) + 1e-6

"""Temperature, feed-in, outside limits, and what the grid connection demands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from engine.config.control import (
    ExternalSourceConfig,
    FeedInConfig,
    LimitsConfig,
    ReducedConfig,
    TemperatureBandConfig,
    TemperatureConfig,
)
from engine.control.external_limits import ExternalLimit, ExternalLimits
from engine.control.limits import LimitTracker
from engine.domain.control import PowerLimits
from engine.domain.errors import EmsError
from engine.domain.sample import Quality, Sample
from engine.domain.site import Site
from tests.support.build import NOW, image


def settled(
    site: Site,
    config: LimitsConfig | None = None,
    external: ExternalLimits | None = None,
    ts: datetime = NOW,
    **values: float,
) -> PowerLimits:
    """Limits after long enough for the slow rise to end, at monotonic second 1000."""
    tracker = LimitTracker(site, config, external)
    tracker.update(image(ts, **values), 0.0)
    return tracker.update(image(ts, **values), 1000.0)


@pytest.mark.parametrize(
    ("temperature_c", "charge_kw", "discharge_kw"),
    [
        (25.0, 100.0, 100.0),
        (5.0, 50.0, 100.0),
        (0.0, 0.0, 100.0),
        (-15.0, 0.0, 50.0),
        (-20.0, 0.0, 0.0),
        (50.0, 50.0, 100.0),
        (55.0, 0.0, 50.0),
        (60.0, 0.0, 0.0),
    ],
)
def test_cold_and_heat_take_power_away_step_by_step(
    site: Site, temperature_c: float, charge_kw: float, discharge_kw: float
) -> None:
    limits = settled(site, temperature_c=temperature_c)
    assert limits.charge_kw == pytest.approx(charge_kw)
    assert limits.discharge_kw == pytest.approx(discharge_kw)
    if charge_kw < 100.0:
        assert limits.charge_binding == "temperature"


def test_a_battery_stopped_by_heat_is_released_only_when_clearly_cooler(site: Site) -> None:
    tracker = LimitTracker(site)
    allowed = []
    for i, temperature_c in enumerate((54.0, 55.0, 54.0, 53.1, 53.0, 54.0)):
        tracker.update(image(temperature_c=temperature_c), 1000.0 * i)
        limits = tracker.update(image(temperature_c=temperature_c), 1000.0 * i + 500.0)
        allowed.append(round(limits.charge_kw, 6))
    assert allowed == [10.0, 0.0, 0.0, 0.0, 20.0, 10.0]


def test_a_missing_temperature_counts_only_where_it_is_required(site: Site) -> None:
    required = LimitsConfig(temperature=TemperatureConfig(required=True))
    assert settled(site).charge_kw == 100.0
    stopped = settled(site, required)
    assert (stopped.charge_kw, stopped.discharge_kw) == (0.0, 0.0)
    assert stopped.discharge_binding == "temperature"
    assert settled(site, required, temperature_c=20.0).charge_kw == 100.0


def test_temperatures_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="rising order"):
        TemperatureBandConfig(stop_below_c=0, full_from_c=10, full_to_c=5, stop_above_c=50)


def test_a_fixed_feed_in_limit_leaves_what_the_load_takes(site: Site) -> None:
    config = LimitsConfig(feed_in=FeedInConfig(percent_of_pv=25.0))
    limits = settled(site, config, grid_kw=20.0)  # 25 % of 160 kW, and the load takes 20
    assert (limits.discharge_kw, limits.discharge_binding) == (60.0, "feed_in")


def test_a_share_of_an_unknown_pv_power_allows_nothing(site: Site) -> None:
    config = LimitsConfig(feed_in=FeedInConfig(percent_of_pv=60.0))
    limits = settled(replace(site, pv_peak_kw=None), config, grid_kw=20.0)
    assert (limits.discharge_kw, limits.discharge_binding) == (20.0, "feed_in")


def test_a_feed_in_window_follows_local_time_through_the_clock_change(site: Site) -> None:
    config = LimitsConfig(
        feed_in=FeedInConfig.model_validate(
            {"limit_kw": 50.0, "windows": [{"from": "12:00", "to": "14:00", "limit_kw": 0.0}]}
        )
    )

    def room(utc: datetime) -> float:
        return settled(site, config, ts=utc, grid_kw=0.0).discharge_kw

    for day, summer in ((24, 2), (25, 1)):
        midnight = datetime(2026, 10, day, tzinfo=UTC)
        assert room(midnight + timedelta(hours=12 - summer, minutes=-1)) == 50.0
        assert room(midnight + timedelta(hours=12 - summer)) == 0.0
        assert room(midnight + timedelta(hours=14 - summer)) == 50.0


def test_load_beyond_the_import_limit_demands_discharge(site: Site) -> None:
    limits = settled(site, grid_kw=230.0)
    assert (limits.low_kw, limits.high_kw) == (30.0, 100.0)
    assert limits.required_binding == "grid_import"
    assert limits.charge_kw == 0.0


def test_pv_beyond_the_feed_in_limit_demands_charging(site: Site) -> None:
    config = LimitsConfig(feed_in=FeedInConfig(limit_kw=70.0))
    limits = settled(site, config, grid_kw=-110.0)
    assert (limits.low_kw, limits.high_kw) == (-100.0, -40.0)
    assert limits.required_binding == "feed_in"


def test_no_more_is_demanded_than_the_battery_may(site: Site) -> None:
    assert settled(site, grid_kw=350.0).low_kw == 100.0
    assert settled(site, grid_kw=230.0, status_code=6).low_kw == 0.0
    assert settled(site, grid_kw=230.0, soc_percent=10.0).required_kw == 0.0
    # After a stop the demand waits for the slow rise, too.
    tracker = LimitTracker(site)
    tracker.update(image(grid_kw=230.0), 0.0)
    assert tracker.update(image(grid_kw=230.0), 2.0).low_kw == pytest.approx(10.0)


def test_the_net_load_is_read_at_one_instant(site: Site) -> None:
    # The battery went from 0 to -80 kW; its new reading is there, the meter's not yet.
    tracker = LimitTracker(site)
    for i in range(30):
        first = image(NOW + timedelta(seconds=2 * i), grid_kw=110.0)
        tracker.update(first, 2.0 * i)
    later = image(NOW + timedelta(seconds=60), battery_kw=-80.0, grid_kw=110.0)
    stale_meter = replace(later.samples["grid_kw"], ts=NOW + timedelta(seconds=58))
    mixed = replace(later, samples={**later.samples, "grid_kw": stale_meter})
    # Added as they are, 110 - 80 would leave room for 170 kW on an import limit of 200.
    assert tracker.update(mixed, 60.0).charge_kw == pytest.approx(90.0)


def test_every_limit_can_be_looked_at(site: Site) -> None:
    tracker = LimitTracker(site)
    tracker.update(image(max_charge_power_kw=33.0), 0.0)
    known = tracker.all_limits()
    assert known["bms_power"].charge_kw == 33.0
    assert known["nameplate"].discharge_kw == 100.0
    assert known["grid_import"].charge_kw == 180.0
    assert known["grid_export"].discharge_kw == 220.0


def test_an_unknown_status_or_an_impossible_soc_forbids_both_ways(site: Site) -> None:
    for values in ({"status_code": 4.0}, {"soc_percent": 300.0}, {"soc_percent": -20.0}):
        limits = settled(site, **values)
        assert (limits.charge_kw, limits.discharge_kw) == (0.0, 0.0)


def test_two_negative_readings_are_no_current_limit(site: Site) -> None:
    limits = settled(site, max_charge_current_a=-50.0, voltage_v=-800.0)
    assert (limits.charge_kw, limits.charge_binding) == (0.0, "bms_current")


def dso(**changes: object) -> ExternalSourceConfig:
    return ExternalSourceConfig.model_validate({"source": "dso"} | changes)


def held(limits: ExternalLimits, limit: ExternalLimit, monotonic_s: float = 1000.0) -> None:
    limits.put(limit, now=NOW, monotonic_s=monotonic_s)


def test_a_grid_operator_limit_on_charging_is_named(site: Site) -> None:
    external = ExternalLimits([dso()])
    held(external, ExternalLimit("dso", charge_kw=4.2))
    limits = settled(site, external=external)
    assert (limits.charge_kw, limits.charge_binding) == (4.2, "external_dso")
    assert limits.discharge_kw == 100.0


def test_a_grid_operator_limit_on_import_demands_discharge(site: Site) -> None:
    external = ExternalLimits([dso()])
    held(external, ExternalLimit("dso", import_kw=5.0))
    limits = settled(site, external=external, grid_kw=45.0)
    assert (limits.low_kw, limits.required_binding) == (40.0, "external_dso")


def test_charge_and_import_limits_of_one_source_apply_together(site: Site) -> None:
    external = ExternalLimits([dso()])
    held(external, ExternalLimit("dso", import_kw=100.0, charge_kw=4.2))
    assert settled(site, external=external, grid_kw=20.0).charge_kw == 4.2
    assert settled(site, external=external, grid_kw=98.0).charge_kw == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("after", "charge_kw"), [("release", 100.0), ("hold", 4.2), ("reduced", 10.0)]
)
def test_what_follows_the_validity_is_configured(site: Site, after: str, charge_kw: float) -> None:
    config = dso(after_validity=after, reduced=ReducedConfig(charge_kw=10.0, discharge_kw=None))
    external = ExternalLimits([config])
    limit = ExternalLimit("dso", charge_kw=4.2, valid_until=NOW + timedelta(seconds=60))
    held(external, limit, monotonic_s=900.0)
    tracker = LimitTracker(site, external=external)
    tracker.update(image(), 0.0)
    assert tracker.update(image(), 959.9).charge_kw == 4.2
    tracker.update(image(), 960.0)
    assert tracker.update(image(), 1000.0).charge_kw == charge_kw


def test_a_clock_that_jumps_does_not_end_a_limit(site: Site) -> None:
    external = ExternalLimits([dso()])
    limit = ExternalLimit("dso", charge_kw=4.2, valid_until=NOW + timedelta(minutes=10))
    held(external, limit, monotonic_s=900.0)
    later = settled(site, external=external, ts=NOW + timedelta(hours=1))
    assert later.charge_kw == 4.2


def test_a_stored_limit_that_ended_meanwhile_goes_its_configured_way(site: Site) -> None:
    limit = ExternalLimit("dso", charge_kw=4.2, valid_until=NOW - timedelta(minutes=1))
    for after, charge_kw in (("release", 100.0), ("hold", 4.2)):
        external = ExternalLimits([dso(after_validity=after)])
        held(external, limit, monotonic_s=0.0)
        assert settled(site, external=external).charge_kw == charge_kw


def test_a_silent_source_counts_as_limited_from_the_start(site: Site) -> None:
    external = ExternalLimits([dso(heartbeat_s=60.0)])
    assert settled(site, external=external).charge_kw == 0.0
    external.heartbeat("dso", monotonic_s=950.0)
    assert settled(site, external=external).charge_kw == 100.0
    external.heartbeat("dso", monotonic_s=930.0)
    assert settled(site, external=external).charge_kw == 0.0


def test_a_closed_contact_applies_the_reduced_values(site: Site) -> None:
    config = ExternalSourceConfig(
        source="digital_input", reduced=ReducedConfig(charge_kw=4.2, discharge_kw=None)
    )
    external = ExternalLimits([config])
    external.contact(True, monotonic_s=0.0)
    limits = settled(site, external=external)
    assert (limits.charge_kw, limits.charge_binding) == (4.2, "external_digital_input")
    external.contact(False, monotonic_s=0.0)
    assert settled(site, external=external).charge_kw == 100.0


def test_a_manual_limit_narrows_power_and_window_until_it_is_released(site: Site) -> None:
    external = ExternalLimits()
    held(external, ExternalLimit("manual", discharge_kw=12.0, soc_max_percent=40.0))
    limits = settled(site, external=external, soc_percent=50.0)
    assert (limits.discharge_kw, limits.discharge_binding) == (12.0, "manual")
    assert (limits.charge_kw, limits.charge_binding) == (0.0, "soc_window")
    external.release("manual", monotonic_s=1000.0)
    assert settled(site, external=external, soc_percent=50.0).charge_kw == 100.0


def test_a_manual_window_never_widens_the_configured_one(site: Site) -> None:
    external = ExternalLimits()
    held(external, ExternalLimit("manual", soc_min_percent=0.0, soc_max_percent=100.0))
    assert settled(site, external=external, soc_percent=90.0).charge_kw == 0.0
    assert settled(site, external=external, soc_percent=10.0).discharge_kw == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_an_impossible_limit_is_refused_with_the_field(bad: float) -> None:
    with pytest.raises(EmsError) as refused:
        ExternalLimit("dso", charge_kw=bad)
    assert refused.value.field == "charge_kw"


def test_a_source_that_is_not_configured_is_refused() -> None:
    with pytest.raises(EmsError) as refused:
        held(ExternalLimits(), ExternalLimit("dso", charge_kw=1.0))
    assert refused.value.field == "source"
    with pytest.raises(ValidationError, match="State each source once"):
        LimitsConfig(external=[dso(), dso()])


READ_CONTACT = ExternalSourceConfig(
    source="digital_input",
    contact_from="device",
    reduced=ReducedConfig(charge_kw=4.2, discharge_kw=None),
)


@pytest.mark.parametrize(
    ("sample", "cause"),
    [
        (Sample(0.0, NOW, "inputs"), None),
        (Sample(0.0, NOW, "inputs", Quality.UNCERTAIN, "sleeps"), None),
        (Sample(1.0, NOW, "inputs"), "contact"),
        (Sample(2.0, NOW, "inputs"), "contact"),
        (Sample(0.0, NOW, "inputs", Quality.STALE, "last value 7 s old"), "contact_missing"),
        (Sample(0.0, NOW, "inputs", Quality.SUBSTITUTED, "by hand"), "contact_missing"),
        (Sample(None, NOW, "inputs", Quality.BAD, "no answer"), "contact_missing"),
        (None, "contact_missing"),
    ],
)
def test_only_a_usable_open_contact_is_open(
    site: Site, sample: Sample | None, cause: str | None
) -> None:
    external = ExternalLimits([READ_CONTACT])
    state = external.read_contact(sample)
    assert state is not None
    assert state.closed is (cause is not None)
    assert [limit.cause for limit in external.active(1000.0)] == ([cause] if cause else [])
    limits = settled(site, external=external)
    assert limits.charge_kw == (4.2 if cause else 100.0)
    assert limits.discharge_kw == 100.0
    if cause == "contact_missing":
        assert limits.charge_binding == "external_contact_missing"
        assert state.missing


def test_a_contact_told_by_a_client_ignores_what_a_device_says() -> None:
    external = ExternalLimits([ExternalSourceConfig(source="digital_input")])
    external.contact(True, monotonic_s=0.0)
    assert external.read_contact(Sample(0.0, NOW, "inputs")) is None
    assert [limit.cause for limit in external.active(1000.0)] == ["contact"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"source": "dso", "contact_from": "device"}, "belongs to the digital input, not to dso"),
        (
            {"source": "digital_input", "contact_from": "device", "heartbeat_s": 60},
            "needs no heartbeat_s",
        ),
        ({"source": "digital_input", "contact_from": "wire"}, "'api' or 'device'"),
    ],
)
def test_a_contact_of_no_possible_origin_is_refused(entry: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ExternalSourceConfig.model_validate(entry)

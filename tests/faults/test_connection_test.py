"""The connection test against devices that are not what the configuration says."""

from __future__ import annotations

import ast
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from connection_servers import CHARGING, METERED, ImageDevice, image_device, image_of

from engine.devices import connection_test as package
from engine.devices.connection_test import ConnectionReport, StepState, run_connection_test
from engine.devices.connection_test.access import LiveReader, OwnReader, Recorder
from engine.devices.connection_test.physics import Observation
from engine.devices.connection_test.runner import system_resolve
from engine.devices.group import DeviceGroup
from engine.devices.link import ModbusLink
from engine.devices.profile import MODBUS_PROFILES, with_overrides
from engine.devices.profile_def import DeviceProfile
from engine.devices.spec import DeviceSpec
from engine.devices.transport import Transport
from engine.domain.clock import SystemClock
from engine.domain.sample import Sample
from engine.domain.site import Battery
from tests.support.process import free_port

CLOCK = SystemClock()
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0)

HITHIUM = MODBUS_PROFILES["hithium_ess_5016"]
METER = MODBUS_PROFILES["demo_meter"]


def spec(
    profile: DeviceProfile, port: int, *, unit_id: int = 1, host: str = "127.0.0.1", **more: Any
) -> DeviceSpec:
    return DeviceSpec("tested", profile, host, port, unit_id, timeout_s=0.4, **more)


def run(device: DeviceSpec, live: DeviceGroup | None = None, **more: Any) -> ConnectionReport:
    return run_connection_test(device, live, CLOCK, **{"observe_s": 0.02, **more})


def codes(report: ConnectionReport) -> set[str]:
    return {finding.code for finding in report.findings}


def test_a_device_as_configured_passes_and_shows_every_register() -> None:
    with image_device(image_of(HITHIUM, CHARGING)) as device:
        report = run(spec(HITHIUM, device.port))
    assert report.ok, report
    assert [step.state for step in report.steps] == [StepState.OK] * 6
    assert [step.name for step in report.steps] == [
        *("resolve", "connect", "unit", "addresses", "registers", "physics")
    ]
    rows = {row.signal: row for row in report.registers}
    assert set(rows) == {*HITHIUM.registers, *HITHIUM.alarms}
    voltage = rows["voltage_v"]
    assert (voltage.words, voltage.value, voltage.unit) == ((13312,), 1331.2, "V")
    assert (voltage.quality, voltage.address, voltage.function) == ("good", 2, 4)
    assert voltage.latency_ms is not None
    assert rows["current_a"].value == -40.0
    assert rows["system_fault"].value == 0.0
    assert report.address_base == 0, "the values settle the base the documents leave open"
    assert device.writes == []


def test_a_device_that_counts_from_one_is_recognised() -> None:
    with image_device(image_of(HITHIUM, CHARGING, shift=-1)) as device:
        report = run(spec(HITHIUM, device.port))
    assert not report.ok
    assert report.address_base == 1
    assert codes(report) == {"address_base"}
    step = report.step("addresses")
    assert step is not None
    assert (step.state, step.hint) == (StepState.FAILED, "Set address_base: 1.")
    best, *others = report.candidates
    assert (best.address_base, best.configured) == (1, False)
    assert best.values["voltage_v"] == 1331.2
    assert best.score is not None
    assert all(best.score > (other.score or 0.0) for other in others)
    physics = report.step("physics")
    assert physics is not None
    assert physics.state is StepState.SKIPPED, "nonsense values are not judged by physics"


def test_after_the_hint_the_same_device_passes() -> None:
    corrected = with_overrides(HITHIUM, {}, address_base=1)
    with image_device(image_of(HITHIUM, CHARGING, shift=-1)) as device:
        report = run(spec(corrected, device.port))
    assert report.ok
    assert report.address_base == 1
    values = {row.signal: row.value for row in report.registers}
    assert values["soc_percent"] == 57.0


def test_swapped_words_are_recognised() -> None:
    with image_device(image_of(METER, METERED, swapped=True)) as device:
        report = run(spec(METER, device.port))
    assert codes(report) == {"word_order"}
    best = report.candidates[0]
    assert best.word_order_swapped
    assert best.values["grid_kw"] == 43.2
    right = {"grid_kw", "grid_import_kwh", "grid_export_kwh"}
    assert set(report.findings[0].signals) == right


def test_a_wrong_unit_names_the_unit_that_answers() -> None:
    with image_device(image_of(METER, METERED), unit_id=3, gateway=True) as device:
        report = run(spec(METER, device.port, unit_id=7))
    step = report.step("unit")
    assert step is not None
    assert step.state is StepState.FAILED
    assert "gateway target did not answer" in step.detail
    assert step.hint is not None
    assert "unit_id 3" in step.hint
    assert report.registers == ()


def test_a_silent_unit_is_reported_within_the_time_limit() -> None:
    with image_device(image_of(METER, METERED), unit_id=247) as device:
        report = run(spec(METER, device.port, unit_id=1))
    step = report.step("unit")
    assert step is not None
    assert "no answer within" in step.detail
    assert step.hint is not None
    assert "unit_id 247" in step.hint


def test_nobody_listening_says_what_to_check() -> None:
    report = run(spec(METER, free_port()))
    step = report.step("connect")
    assert step is not None
    assert step.state is StepState.FAILED
    assert "nothing listens" in step.detail
    assert not report.ok


def test_an_unknown_host_says_so() -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    report = run(spec(METER, 502, host="meter.invalid"), resolve=nobody)
    assert [step.name for step in report.steps] == ["resolve"]
    assert report.steps[0].state is StepState.FAILED
    assert "meter.invalid" in report.steps[0].detail


def test_a_frozen_device_cannot_hold_the_test_beyond_its_limit() -> None:
    release = threading.Event()
    with image_device(image_of(METER, METERED), on_read=lambda: release.wait(30)) as device:
        started = time.monotonic()
        report = run(spec(METER, device.port), time_limit_s=2.0)
        took_s = time.monotonic() - started
        release.set()
    assert not report.ok
    assert report.out_of_time
    step = report.step("unit")
    assert step is not None
    assert step.state is StepState.FAILED
    assert took_s < 20, "two seconds and what the last request may take"


def test_a_missing_register_is_named_and_the_others_are_read() -> None:
    image = image_of(HITHIUM, CHARGING)
    del image[4, 45]
    with image_device(image) as device:
        report = run(spec(HITHIUM, device.port))
    rows = {row.signal: row for row in report.registers}
    assert rows["insulation_resistance_kohm"].value is None
    assert "illegal address" in str(rows["insulation_resistance_kohm"].reason)
    assert rows["soc_percent"].value == 57.0
    step = report.step("registers")
    assert step is not None
    assert "insulation_resistance_kohm" in step.detail


# One client only.


def test_a_device_for_one_client_is_tested_through_the_connection_that_polls_it() -> None:
    with image_device(image_of(HITHIUM, CHARGING), single_client=True) as device:
        polled = spec(HITHIUM, device.port)
        group = DeviceGroup([polled], CLOCK)
        group.poll_once()
        report = run(polled, group)
        group.poll_once()
        samples = group.samples()
        group.stop(safe_power_kw=None)
    assert report.ok, report
    assert report.through_live_link
    assert device.served_clients == 1
    assert device.refused_clients == 0
    assert samples["soc_percent"].value == 57.0


def test_another_unit_behind_the_same_connection_is_tested_through_it() -> None:
    with image_device(image_of(HITHIUM, CHARGING), single_client=True, gateway=True) as device:
        group = DeviceGroup([spec(HITHIUM, device.port)], CLOCK)
        group.poll_once()
        report = run(replace(spec(METER, device.port, unit_id=9), name="new"), group)
        health = group.poll_health()
        group.poll_once()
        samples = group.samples()
        group.stop(safe_power_kw=None)
    assert report.through_live_link
    step = report.step("unit")
    assert step is not None
    assert step.state is StepState.FAILED
    assert device.refused_clients == 0
    assert health.failures == 0
    assert samples["soc_percent"].value == 57.0


def test_polling_goes_on_with_right_values_during_a_test() -> None:
    with image_device(image_of(HITHIUM, CHARGING), single_client=True) as device:
        polled = replace(spec(HITHIUM, device.port), poll_interval_s=0.05)
        group = DeviceGroup([polled], CLOCK)
        group.start()
        wait_for(lambda: group.samples()["soc_percent"].value == 57.0)
        reports = [run(polled, group) for _ in range(3)]
        seen = group.samples()["soc_percent"]
        link = group.links()[0]
        group.stop(safe_power_kw=None)
    assert all(report.ok for report in reports)
    assert seen.value == 57.0
    assert (link.state, link.errors) == ("online", 0)


def test_a_second_program_on_a_one_client_device_is_suspected() -> None:
    with image_device(image_of(METER, METERED), single_client=True) as device:
        other = ModbusLink("127.0.0.1", device.port, {1: _settings()}, CLOCK)
        other.read(1, 4, 0, 2)
        report = run(spec(METER, device.port))
        other.close()
    assert not report.ok
    hints = " ".join(step.hint or "" for step in report.steps)
    assert "one connection only" in hints


# Physics.


def test_the_wrong_sign_of_current_is_found_by_status_and_power() -> None:
    wrong = with_overrides(HITHIUM, {"current_a": {"positive_means": "discharge"}})
    values = {**CHARGING, "status_code": 1.0}
    with image_device(image_of(HITHIUM, values)) as device:
        report = run(
            spec(wrong, device.port),
            site_samples=lambda: samples(battery_kw=-52.0),
        )
    found = [finding for finding in report.findings if finding.code == "sign"]
    assert found
    assert any("current_a" in finding.signals for finding in found)
    assert any("positive_means of current_a" in finding.hint for finding in found)
    assert any("charging" in finding.message for finding in found)


def test_a_meter_that_counts_the_other_way_round_is_found_by_the_balance() -> None:
    wrong = with_overrides(METER, {"grid_kw": {"positive_means": "export"}})
    with image_device(image_of(METER, METERED)) as device:
        report = run(
            spec(wrong, device.port),
            site_samples=lambda: samples(pv_kw=20.0, battery_kw=10.0, load_kw=73.0),
        )
    finding = next(f for f in report.findings if f.code == "sign")
    assert finding.signals == ("grid_kw",)
    assert "grid = load - PV - battery" in finding.message


def test_watts_taken_for_kilowatts_are_found() -> None:
    pcs = MODBUS_PROFILES["demo_pcs"]
    wrong = with_overrides(pcs, {"battery_kw": {"scale": 1.0}})
    with image_device(
        image_of(pcs, {"battery_kw": 40.0, "rated_charge_power_kw": 100.0})
    ) as device:
        report = run(spec(wrong, device.port), battery=BATTERY)
    finding = next(f for f in report.findings if f.code == "scale")
    assert finding.signals == ("battery_kw",)
    assert "0.001" in finding.hint


def test_a_state_of_charge_in_tenths_is_found_with_its_scale() -> None:
    with image_device({**image_of(HITHIUM, CHARGING), (4, 4): 573}) as device:
        report = run(spec(HITHIUM, device.port))
    finding = next(f for f in report.findings if f.code == "range")
    assert finding.signals == ("soc_percent",)
    assert "scale of soc_percent by 0.1" in finding.hint


def test_a_counter_that_falls_is_found() -> None:
    with image_device(image_of(METER, METERED)) as device:

        def fall() -> None:
            device.image[4, 2] = max(0, device.image[4, 2] - 5000)

        device.on_read = fall
        report = run(spec(METER, device.port))
    finding = next(f for f in report.findings if f.code == "counter")
    assert finding.signals == ("grid_import_kwh",)


def test_power_against_the_course_of_the_state_of_charge_is_found() -> None:
    now = datetime.now(UTC)
    past = [
        Observation(now - timedelta(minutes=60 - i), {"soc_percent": 40.0 + 0.4 * i, **power})
        for i in range(60)
        for power in ({"battery_kw": 50.0},)
    ]
    pcs = MODBUS_PROFILES["demo_pcs"]
    with image_device(image_of(pcs, {"battery_kw": 50.0, "rated_charge_power_kw": 100})) as device:
        report = run(
            spec(pcs, device.port),
            past=past,
            battery=BATTERY,
            site_samples=lambda: samples(soc_percent=64.0),
        )
    finding = next(f for f in report.findings if f.code == "sign")
    assert finding.signals == ("battery_kw",)
    assert "state of charge went up" in finding.message


def test_a_site_in_balance_raises_no_finding() -> None:
    with image_device(image_of(METER, METERED)) as device:
        report = run(
            spec(METER, device.port),
            battery=BATTERY,
            site_samples=lambda: samples(
                pv_kw=20.0, battery_kw=10.0, load_kw=73.0, soc_percent=50.0
            ),
        )
    assert report.findings == ()
    assert report.ok


# It cannot write.


@pytest.mark.parametrize("through_live_link", [False, True])
def test_nothing_is_ever_written_even_to_a_writable_device(through_live_link: bool) -> None:
    pcs = MODBUS_PROFILES["demo_pcs"]
    values = {"battery_kw": 10.0, "rated_charge_power_kw": 100.0, "rated_discharge_power_kw": 100.0}
    with image_device(image_of(pcs, values)) as device:
        writable = spec(pcs, device.port, writable=True)
        group = DeviceGroup([writable], CLOCK)
        group.poll_once()
        report = run(writable, group if through_live_link else None)
        group.stop(safe_power_kw=None)
    assert report.through_live_link is through_live_link
    assert device.writes == []
    assert device.functions <= {1, 2, 3, 4}


def test_the_objects_of_the_test_have_no_way_to_write() -> None:
    for kind in (LiveReader, OwnReader, Recorder):
        public = {name for name in dir(kind) if not name.startswith("_")}
        assert public <= {
            *("read", "close", "live", "ever_connected", "statistics", "forget", "answer"),
        }, kind


def test_the_own_connection_refuses_writes_on_the_link_itself() -> None:
    with image_device(image_of(METER, METERED)) as device:
        reader = OwnReader(spec(METER, device.port, writable=True), "127.0.0.1", 1.0, CLOCK)
        reader.read(1, 4, 0, 2)
        link = reader._link
        with pytest.raises(Exception, match="not enabled"):
            link.write(1, 6, 0, [1])
        reader.close()
    assert device.writes == []


def test_no_line_of_the_package_calls_a_write() -> None:
    folder = Path(str(package.__file__)).parent
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert "write" not in node.attr or node.attr == "writable", (file.name, node.attr)


def test_a_host_is_resolved_once_and_the_checked_address_is_used() -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return system_resolve(host, port)

    with image_device(image_of(METER, METERED)) as device:
        tested = spec(METER, device.port, host="meter.example")
        report = run(tested, address="127.0.0.1", resolve=resolve)
    assert report.ok
    assert asked == []
    assert report.endpoint == f"meter.example:{device.port}"


def test_rtu_frames_over_tcp_are_spoken_where_configured() -> None:
    # A device that speaks Modbus TCP cannot read them: it must not be taken for one that answers.
    with image_device(image_of(METER, METERED)) as device:
        tested = spec(METER, device.port, transport=Transport.RTU_OVER_TCP)
        report = run(tested, time_limit_s=4.0)
    assert not report.ok
    assert report.registers == ()


def _settings() -> Any:
    from engine.devices.link import UnitSettings

    return UnitSettings(1.0)


def samples(**values: float) -> dict[str, Sample]:
    return {name: Sample(value, datetime.now(UTC), "site") for name, value in values.items()}


def wait_for(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    pause = threading.Event()
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        pause.wait(0.01)


def test_the_test_server_itself_is_honest() -> None:
    device = ImageDevice({(4, 0): 7})
    link = ModbusLink("127.0.0.1", device.port, {1: _settings()}, CLOCK)
    assert link.read(1, 4, 0, 1) == (7,)
    link.close()
    device.close()

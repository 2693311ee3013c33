"""Every sentence a test of a device can say is German on a German page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ems_dash.i18n import device_said
from engine.devices.connection_test import ConnectionReport, physics, runner
from engine.devices.connection_test.physics import Observation, examine, sign_hint
from engine.devices.connection_test.report import Finding
from engine.devices.group import DeviceGroup
from engine.devices.link import DeviceAnswerError
from engine.devices.profile import MODBUS_PROFILES, DeviceProfile, with_overrides
from engine.devices.spec import DeviceSpec
from engine.devices.transport import SerialLine, Transport
from engine.domain.clock import ManualClock
from engine.domain.errors import LinkError
from engine.domain.sample import Sample
from engine.domain.site import Battery
from tests.faults.connection_servers import CHARGING, METERED, Image, image_of
from tests.support.spoken import Parts, english_left, sentences_in

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0)
HITHIUM = MODBUS_PROFILES["hithium_ess_5016"]
METER = MODBUS_PROFILES["demo_meter"]
SUNGROW = MODBUS_PROFILES["sungrow_sh"]
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
}


@dataclass
class Wire:
    """Stands in for a connection: answers from `image`, or says why it does not."""

    image: Image
    unit_ids: frozenset[int] = frozenset({1})
    gateway: bool = False
    ever_connected: bool = True
    live: bool = False
    endpoint: str = "10.0.0.7:502"
    fails_from: int = 10**9
    falls: Mapping[tuple[int, int], int] = field(default_factory=dict)
    reads: int = 0

    def read(self, unit_id: int, function: int, address: int, count: int) -> tuple[int, ...]:
        self.reads += 1
        if unit_id not in self.unit_ids:
            if self.gateway:
                raise DeviceAnswerError("", 11)
            raise LinkError(f"unit {unit_id} at {self.endpoint}: no answer within 0.4 s.")
        if self.reads > self.fails_from or not self.ever_connected:
            raise LinkError(f"unit {unit_id} at {self.endpoint}: the device closed the connection.")
        try:
            return tuple(self.image[function, address + i] for i in range(count))
        except KeyError:
            raise DeviceAnswerError("", 2) from None

    def close(self) -> None:
        pass


def spec(profile: DeviceProfile, **more: Any) -> DeviceSpec:
    return DeviceSpec("tested", profile, "device.local", 502, 1, timeout_s=0.4, **more)


def report_of(
    monkeypatch: pytest.MonkeyPatch, wire: Wire, device: DeviceSpec, **more: Any
) -> ConnectionReport:
    monkeypatch.setattr(runner, "OwnReader", lambda *_: wire)
    monkeypatch.setattr(runner, "LiveReader", lambda *_: wire)
    link = SimpleNamespace(connected=True)
    group = SimpleNamespace(connections=lambda: [(device, link)]) if wire.live else None
    options = {"address": "10.0.0.7", "battery": BATTERY, **more}
    return runner.run_connection_test(device, cast(DeviceGroup, group), ManualClock(NOW), **options)


def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionReport]:
    """Tests of devices that are as configured, wrong, silent, shifted and not there."""
    image = image_of(HITHIUM, CHARGING)
    metered = image_of(METER, METERED)

    def run(wire: Wire, device: DeviceSpec, **more: Any) -> ConnectionReport:
        return report_of(monkeypatch, wire, device, **more)

    yield run(Wire(image), spec(HITHIUM))
    yield run(Wire(image, live=True), spec(HITHIUM))
    yield run(Wire(image, fails_from=9), spec(HITHIUM))
    yield run(Wire(image_of(HITHIUM, CHARGING, shift=-1)), spec(HITHIUM))
    yield run(Wire(image_of(METER, METERED, swapped=True)), spec(METER))
    yield run(Wire(metered), spec(METER))
    yield run(Wire(dict.fromkeys(image, 0)), spec(HITHIUM))
    yield run(Wire(dict.fromkeys(image_of(SUNGROW, {}), 0)), spec(SUNGROW))
    wrong: dict[str, Any] = {
        "grid_kw": {"positive_means": "export"},
        "grid_import_kwh": {"max": 1.0},
    }
    yield run(Wire(metered), spec(with_overrides(METER, wrong)))
    yield run(Wire(dict.fromkeys(image, 0xFFF0)), spec(HITHIUM))
    yield run(Wire(metered, unit_ids=frozenset({3})), spec(METER))
    yield run(Wire(metered, unit_ids=frozenset(), gateway=True), spec(METER))
    none: dict[str, Any] = dict.fromkeys(METER.registers)
    yield run(Wire({}), spec(with_overrides(METER, none)))
    # One function code counts from another base than the other.
    moved = {signal: {"function": 3} for signal in ("soc_percent", "soh_percent")}
    two = with_overrides(HITHIUM, moved)
    mixed = {key: word for key, word in image_of(two, CHARGING).items() if key[0] != 3}
    shifted = image_of(two, CHARGING, shift=-1, room=False)
    mixed |= {key: word for key, word in shifted.items() if key[0] == 3}
    yield run(Wire(mixed), spec(two))
    for changed in ({(4, 4): 573}, {(4, 4): 0xFFC7}, {(4, 33): 9}, {(4, 45): None}):
        words = {**image, **changed}
        known = {key: word for key, word in words.items() if word is not None}
        yield run(Wire(known), spec(HITHIUM))
    current: dict[str, Any] = {
        "current_a": {"type": "uint16", "offset": 0.0, "min": -3000.0, "max": 3000.0}
    }
    unsigned = with_overrides(HITHIUM, current)
    place = (4, unsigned.wire_address(unsigned.registers["current_a"].address))
    yield run(Wire({**image, place: 0xFE70}), spec(unsigned))
    two_wrong: dict[str, Any] = {
        "current_a": {"positive_means": "discharge"},
        "max_charge_power_kw": {"scale": 10.0},
    }
    backwards = with_overrides(HITHIUM, two_wrong)
    site = {"battery_kw": Sample(-52.0, NOW, "pcs")}
    yield run(Wire(image), spec(backwards), site_samples=lambda: site)
    # Nobody there.
    serial = spec(METER, transport=Transport.RTU, serial=SerialLine("/dev/ttyUSB0"))
    yield run(Wire({}, ever_connected=False, endpoint="/dev/ttyUSB0"), serial, address=None)
    problems = (ConnectionRefusedError(), TimeoutError(), OSError(113, "No route to host"), None)
    for problem in problems:

        def connect(*_: Any, problem: OSError | None = problem) -> Any:
            if problem is not None:
                raise problem
            return SimpleNamespace(close=lambda: None)

        monkeypatch.setattr("socket.create_connection", connect)
        yield run(Wire({}, ever_connected=False), spec(METER))

    def nobody(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    yield run(Wire({}), spec(METER), address=None, resolve=nobody)
    yield run(Wire(metered), spec(METER), address=None, resolve=lambda *_: ["10.0.0.7", "fe80::1"])


def physical() -> Iterator[Finding]:
    """What physics says about values of every kind that contradict it."""
    changes: tuple[dict[str, float | None], ...] = (
        {"grid_kw": -43.0},
        {"grid_kw": 43000.0},
        {"grid_kw": -43.0, "load_kw": None},
        {"grid_kw": 25.0},
        {"pv_kw": -20.0},
        {"current_a": -13.0},
        {"current_a": 130.0},
        {"current_a": 40.0},
        {"status_code": 1.0},
        {"status_code": 2.0, "battery_kw": -10.0},
        {"max_charge_power_kw": -5.0},
        {"max_charge_power_kw": 800.0},
        {"battery_kw": 4000.0},
    )
    for change in changes:
        values = {n: v for n, v in {**HEALTHY, **change}.items() if v is not None}
        yield from examine(frozenset(values), [Observation(NOW, values)], battery=BATTERY)
    for soc_per_hour, power_kw in ((20.0, 42.0), (-20.0, -38.0), (-20.0, 380.0)):
        course = [
            Observation(
                NOW + timedelta(minutes=i),
                {"soc_percent": 50.0 + soc_per_hour * i / 60.0, "battery_kw": power_kw},
            )
            for i in range(61)
        ]
        yield from examine(frozenset(course[0].values), course[-1:], course[:-1], BATTERY)
    for signal, grid_kw, change_kwh in (
        ("grid_import_kwh", 20.0, -1.0),
        ("grid_export_kwh", 20.0, 0.02),
        ("grid_import_kwh", -20.0, 0.02),
    ):
        before = {"grid_kw": grid_kw, "grid_import_kwh": 100.0, "grid_export_kwh": 50.0}
        after = {**before, signal: before[signal] + change_kwh}
        seen = [Observation(NOW, before), Observation(NOW + timedelta(seconds=3), after)]
        yield from examine(frozenset(before), seen)


def sentences(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Everything the test of a device can say."""
    found = {text for finding in physical() for text in (finding.message, finding.hint)}
    found |= {sign_hint(signal) for signal in (*physics._OPPOSITE, "grid_l1_kw")}
    for report in reports(monkeypatch):
        found |= {step.detail for step in report.steps} | {s.hint or "" for s in report.steps}
        found |= {text for f in report.findings for text in (f.message, f.hint)}
        found |= {row.reason or "" for row in report.registers}
    return found - {""}


NOT_SHOWN = {
    "'the connection test has no connection yet.'",
    "'not available'",
    "'not documented'",
    "'is outside'",
}
"""What the test says to programmers, or looks for."""


def _with_gaps(parts: Parts) -> str:
    return "".join(".*?" if part is None else re.escape(part) for part in parts)


def test_every_sentence_of_a_test_of_a_device_is_said_in_german(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = sentences(monkeypatch)
    left = {text: english_left(text, device_said(text, "de")) for text in said}
    assert {text: (words, device_said(text, "de")) for text, words in left.items() if words} == {}
    assert all(device_said(text, "en") == text for text in said)
    # Nothing was forgotten here: each sentence in the code was said above.
    silent = [
        place
        for path in Path(str(physics.__file__)).parent.glob("*.py")
        for place, parts in sentences_in(path)
        if place.split(" ", 1)[1] not in NOT_SHOWN
        and not any(map(re.compile(_with_gaps(parts), re.DOTALL).search, said))
    ]
    assert silent == []

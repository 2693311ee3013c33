"""Registers as the device sent them, beside what was made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.devices.codec import bad_sample, decode_sample
from engine.devices.layout import lay_out
from engine.devices.planner import Point, Reading
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.register_view import RegisterReading, Scan, register_readings
from engine.domain.sample import Quality, Sample

TS = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PROFILE = MODBUS_PROFILES["demo_bms"]
LAYOUT = lay_out(PROFILE)


def scan(**words: tuple[int, ...] | None) -> Scan:
    """Return a poll in which every register is 1 but those in `words`."""
    readings: dict[Point, Reading] = {}
    for signal, slot in LAYOUT.registers.items():
        readings[slot.point] = Reading(words.get(signal, (1,) * slot.width), TS)
    for alarm, places in LAYOUT.alarms.items():
        for _, slot in places:
            readings[slot.point] = Reading(words.get(alarm, (0,)), TS)
    return Scan(PROFILE, LAYOUT, readings)


def row(rows: tuple[RegisterReading, ...], name: str) -> RegisterReading:
    return next(r for r in rows if r.name == name)


def test_raw_words_stand_beside_the_scaled_value() -> None:
    polled = scan(soc_percent=(6342,), status_code=(3,), charge_prohibited=(1,))
    samples = {
        "soc_percent": decode_sample(PROFILE, "soc_percent", (6342,), TS, "bms"),
        "status_code": decode_sample(PROFILE, "status_code", (3,), TS, "bms"),
        "alarm_bits": Sample(4.0, TS, "bms"),
    }
    rows = register_readings(polled, samples)
    soc = row(rows, "soc_percent")
    assert (soc.words, soc.value, soc.unit, soc.type) == ((6342,), 63.42, "%", "uint16")
    assert (soc.function, soc.address, soc.ts) == (4, 0, TS)
    assert row(rows, "status_code").text == "Bereit"
    assert row(rows, "charge_prohibited").value == 1.0
    assert row(rows, "system_fault").value == 0.0
    assert len(row(rows, "current_a").words or ()) == 2
    assert [r.kind for r in rows] == ["value"] * 11 + ["alarm"] * 5
    assert [r.address for r in rows] == [0, 1, 2, 3, 5, 6, 7, 8, 10, 12, 14, 0, 1, 2, 3, 4]


def test_after_a_failed_poll_the_old_words_stay_with_their_age_and_no_value() -> None:
    later = TS + timedelta(seconds=40)
    samples = {s: bad_sample(later, "bms", "no answer") for s in PROFILE.signals}
    rows = register_readings(scan(), samples)
    soc = row(rows, "soc_percent")
    assert (soc.words, soc.value, soc.quality, soc.ts) == ((1,), None, Quality.BAD, TS)
    fault = row(rows, "system_fault")
    assert (fault.value, fault.reason) == (None, "no answer")


def test_before_the_first_answer_there_are_no_words() -> None:
    rows = register_readings(Scan(PROFILE, LAYOUT, {}), {})
    assert {r.words for r in rows} == {None}
    assert {r.ts for r in rows} == {None}
    assert {r.quality for r in rows} == {Quality.BAD}

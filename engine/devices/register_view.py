"""The registers of a device as it sent them, beside what was made of them; for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.devices.codec import is_active
from engine.devices.layout import Layout, Slot
from engine.devices.planner import Point, Reading
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import READ_BITS
from engine.domain.sample import Quality, Sample


@dataclass(frozen=True, slots=True)
class Scan:
    """One poll of a device.

    Attributes:
        profile: The profile it was read with.
        layout: Where its values lie.
        readings: What came, per point; empty before the first poll that succeeded.
    """

    profile: DeviceProfile
    layout: Layout
    readings: Mapping[Point, Reading]


@dataclass(frozen=True, slots=True)
class RegisterReading:
    """One value of a device, and the registers it was read from.

    Attributes:
        name: Signal, or name of the alarm.
        kind: ``"value"`` or ``"alarm"``.
        address: Address as the manufacturer writes it.
        function: Read function code: 1 coil, 2 discrete input, 3 holding, 4 input register.
        type: Data type, for example ``"uint16"``; ``"bit"`` for coils and discrete inputs.
        words: Registers as they were read, each 0..65535, or one 0/1 for a bit; None when the
            device did not send them.
        value: Scaled value in `unit`; of an alarm 1.0 when it is active, else 0.0; None when
            there is none.
        unit: Unit of the value, or None.
        quality: Trust in the value.
        reason: Why it is not good, in words; None when it is.
        ts: Time of the answer, UTC; None before the first one.
        description: Meaning, for display.
        text: What the value means by the profile, for codes; else None.
    """

    name: str
    kind: str
    address: int
    function: int
    type: str
    words: tuple[int, ...] | None
    value: float | None
    unit: str | None
    quality: Quality
    reason: str | None
    ts: datetime | None
    description: str = ""
    text: str | None = None


def register_readings(scan: Scan, samples: Mapping[str, Sample]) -> tuple[RegisterReading, ...]:
    """Return every value of a device, alarms last, in order of function and address.

    Derived signals have no register of their own and are left out.

    Args:
        scan: Its last poll that succeeded.
        samples: Its samples now: bad ones after a poll that failed, while the words of the last
            good one keep their age.
    """
    found = [_value(scan, signal, samples.get(signal)) for signal in scan.layout.registers]
    for alarm in scan.layout.alarms:
        found += _alarm(scan, alarm, samples.get("alarm_bits"))
    return tuple(sorted(found, key=lambda r: (r.kind == "alarm", r.function, r.address)))


def _words(scan: Scan, slot: Slot) -> tuple[tuple[int, ...] | None, datetime | None]:
    reading = scan.readings.get(slot.point)
    if reading is None:
        return None, None
    return (None if reading.words is None else slot.words(reading.words)), reading.ts


def _value(scan: Scan, signal: str, sample: Sample | None) -> RegisterReading:
    register = scan.profile.registers[signal]
    words, ts = _words(scan, scan.layout.registers[signal])
    texts = register.values
    if signal == "status_code" and scan.profile.status_codes:
        texts = scan.profile.status_codes
    value = None if sample is None else sample.value
    return RegisterReading(
        name=signal,
        kind="value",
        address=register.address,
        function=register.function,
        type="bit" if register.function in READ_BITS else register.type.value,
        words=words,
        value=value,
        unit=scan.profile.unit_of(signal),
        quality=Quality.BAD if sample is None else sample.quality,
        reason=None if sample is None else sample.reason,
        ts=ts,
        description=register.description,
        text=None if value is None else texts.get(int(value)),
    )


def _alarm(scan: Scan, alarm: str, sample: Sample | None) -> list[RegisterReading]:
    rows = []
    for place, slot in scan.layout.alarms[alarm]:
        words, ts = _words(scan, slot)
        usable = sample is not None and sample.usable
        known = words is not None and usable and words[0] != place.sentinel
        rows.append(
            RegisterReading(
                name=alarm,
                kind="alarm",
                address=place.address,
                function=place.function,
                type="bit" if place.function in READ_BITS else "uint16",
                words=words,
                value=float(is_active(place, words[0])) if known and words else None,
                unit=None,
                quality=Quality.GOOD if known else Quality.BAD,
                reason=None if known or sample is None else sample.reason,
                ts=ts,
            )
        )
    return rows

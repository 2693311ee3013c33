"""The registers of one device: the profile's, what the file has instead, what a test read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ems_dash.ui.settings_fields import ABSENT, get, put
from ems_dash.ui.settings_profiles import description_of, profile_named, register_document
from engine.devices.connection_test import ConnectionReport, RegisterReading
from engine.devices.profile_def import DeviceProfile


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """One register as the editor lists it.

    Attributes:
        signal: Canonical signal or name of the profile's own value.
        origin: ``"profile"``, ``"changed"``, ``"added"`` or ``"removed"``.
        address: Address as the manufacturer writes it; None for a derived or SunSpec signal.
        function: Function code; None likewise.
        type: Layout in registers.
        scale: Factor.
        offset: Added after the factor.
        unit: Unit of the value.
        positive_means: Direction of a positive number, or None.
        limits: Smallest and largest plausible value.
        description: Meaning.
        different: Keys whose value is not the profile's.
        reading: What a test read, or None.
    """

    signal: str
    origin: str
    address: int | None
    function: int | None
    type: str
    scale: float | None
    offset: float | None
    unit: str
    positive_means: str | None
    limits: tuple[float | None, float | None]
    description: str
    different: frozenset[str] = frozenset()
    reading: RegisterReading | None = None


def register_rows(
    profile: DeviceProfile, stated: Mapping[str, Any], report: ConnectionReport | None
) -> list[RegisterRow]:
    """Return every register of a device, the profile's first, then those that were added.

    Args:
        profile: The profile.
        stated: Section ``registers`` of the draft: signal to register, or None for a removed one.
        report: What the newest test found, or None.
    """
    read = {r.signal: r for r in report.registers} if report is not None else {}
    rows = []
    for signal, register in profile.registers.items():
        base = register_document(register)
        own = stated.get(signal, ABSENT)
        if isinstance(own, Mapping):
            merged = {**base, **own}
            different = frozenset(key for key in own if own[key] != base.get(key))
            rows.append(_row(signal, "changed", merged, different, read.get(signal)))
        else:
            origin = "removed" if own is None else "profile"
            rows.append(_row(signal, origin, base, frozenset(), read.get(signal)))
    known = set(profile.registers)
    for signal, own in stated.items():
        if signal not in known and isinstance(own, Mapping):
            rows.append(_row(signal, "added", own, frozenset(own), read.get(signal)))
    for signal in sorted(profile.signals - known - set(stated)):
        found = read.get(signal)
        if signal != "alarm_bits":
            worked_out = {
                "unit": profile.unit_of(signal) or "",
                "description": description_of(profile, signal),
            }
            rows.append(_row(signal, "derived", worked_out, frozenset(), found))
    return rows


def _row(
    signal: str,
    origin: str,
    document: Mapping[str, Any],
    different: frozenset[str],
    reading: RegisterReading | None,
) -> RegisterRow:
    return RegisterRow(
        signal=signal,
        origin=origin,
        address=document.get("address"),
        function=document.get("function", None if origin == "derived" else 4),
        type=str(document.get("type", "" if origin == "derived" else "uint16")),
        scale=document.get("scale", None if origin == "derived" else 1.0),
        offset=document.get("offset", 0.0),
        unit=str(document.get("unit") or ""),
        positive_means=document.get("positive_means"),
        limits=(document.get("min"), document.get("max")),
        description=str(document.get("description") or ""),
        different=different,
        reading=reading,
    )


def begin_override(values: dict[str, Any], device: str, signal: str) -> None:
    """State the address of a profile's register, so that the rest can be changed beside it."""
    profile = profile_named(get(values, f"{device}.profile"))
    if profile is None or signal not in profile.registers:
        return
    if not isinstance(get(values, f"{device}.registers.{signal}"), Mapping):
        address = profile.registers[signal].address
        put(values, f"{device}.registers.{signal}", {"address": address})


def reset_register(values: dict[str, Any], device: str, signal: str) -> None:
    """Forget what the draft states about a register; the profile's applies again."""
    put(values, f"{device}.registers.{signal}", ABSENT)


def drop_register(values: dict[str, Any], device: str, signal: str) -> None:
    """Take a register of the profile out of use."""
    put(values, f"{device}.registers.{signal}", None)


def add_register(values: dict[str, Any], device: str, signal: str) -> bool:
    """State a register for a signal the profile does not have; False when it is stated already."""
    if not signal or not isinstance(get(values, f"{device}.registers.{signal}"), str):
        return False
    put(values, f"{device}.registers.{signal}", {"address": 0, "function": 4, "type": "uint16"})
    return True


def tidy_overrides(values: dict[str, Any]) -> None:
    """Forget registers of which nothing but the profile's own address is stated."""
    devices = [f"devices.{i}" for i in range(len(values.get("devices") or []))]
    for device in ("modbus", *devices):
        profile = profile_named(get(values, f"{device}.profile"))
        stated = get(values, f"{device}.registers")
        if profile is None or not isinstance(stated, Mapping):
            continue
        for signal, own in list(stated.items()):
            register = profile.registers.get(signal)
            if register is not None and own == {"address": register.address}:
                put(values, f"{device}.registers.{signal}", ABSENT)

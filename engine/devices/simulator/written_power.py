"""What power and limit the registers written to a simulated device command."""

from __future__ import annotations

from collections.abc import Mapping

from engine.devices.codec import decode, encode
from engine.devices.command_def import CommandDef, DirectionCodes, LimitDef, WriteStep
from engine.devices.profile_def import DeviceProfile


def power_from(
    profile: DeviceProfile, command: CommandDef, written: Mapping[int, int]
) -> float | None:
    """Return the commanded power (+ discharge), or None while the device runs by itself.

    Args:
        profile: The profile with the command.
        command: Its power command.
        written: Wire address to word of every register written so far.
    """
    if command.revert and all(_holds(profile, step, written) for step in command.revert):
        return None
    amounts: dict[str, float] = {}
    direction: float | None = None
    for step in command.steps:
        if not (step.carries_power or isinstance(step.value, DirectionCodes)):
            continue
        value = _value(profile, step, written)
        if value is None:
            return None
        if isinstance(step.value, str):
            amounts[step.value] = value
        elif isinstance(step.value, DirectionCodes):
            direction = _direction(step.value, value)
    if "power_kw" in amounts:
        return amounts["power_kw"]
    if direction is None:
        return None
    part = "discharge_kw" if direction > 0 else "charge_kw"
    return direction * amounts.get("magnitude_kw", amounts.get(part, 0.0))


def limit_from(
    profile: DeviceProfile, limit: LimitDef, nameplate_kw: float, written: Mapping[int, int]
) -> float | None:
    """Return the limit (kW) in force, or None while there is none.

    Args:
        profile: The profile with the command.
        limit: Its limit command.
        nameplate_kw: What 100 % stands for.
        written: Wire address to word of every register written so far.
    """
    if all(_holds(profile, step, written) for step in limit.revert):
        return None
    limit_kw: float | None = None
    for step in limit.steps_for(nameplate_kw):
        value = _value(profile, step, written)
        if value is None or not (step.carries_power or value == step.value):
            return None
        if step.carries_power:
            limit_kw = value
    return limit_kw


def _value(profile: DeviceProfile, step: WriteStep, written: Mapping[int, int]) -> float | None:
    start = profile.wire_address(step.address)
    words = [written.get(at) for at in range(start, start + step.type.width)]
    known = [word for word in words if word is not None]
    return decode(step, known, profile.word_order) if len(known) == len(words) else None


def _holds(profile: DeviceProfile, step: WriteStep, written: Mapping[int, int]) -> bool:
    return _value(profile, step, written) == step.value_for(0.0)


def _direction(codes: DirectionCodes, code: float) -> float | None:
    """Return +1 for discharge, -1 for charge, 0 for idle, None for any other code."""
    if code == codes.discharge:
        return 1.0
    if code == codes.charge:
        return -1.0
    return 0.0 if code == codes.idle else None


def released_words(profile: DeviceProfile, command: CommandDef) -> dict[int, int]:
    """Return wire address to word of the command's registers while nobody commands.

    Constants without a counterpart in the revert steps are left out: nobody knows them.
    """
    words: dict[int, int] = {}
    for step in command.steps:
        if step.carries_power or isinstance(step.value, DirectionCodes):
            words |= _words(profile, step, step.value_for(0.0))
    for step in command.revert:
        words |= _words(profile, step, step.value_for(0.0))
    return words


def _words(profile: DeviceProfile, step: WriteStep, value: float) -> dict[int, int]:
    encoded = encode(step, value, profile.word_order, "power_kw")
    return dict(enumerate(encoded, start=profile.wire_address(step.address)))

"""From a profile with SunSpec signals and the models a device has to fixed registers."""

from __future__ import annotations

from typing import Any

from engine.devices.alarm_def import AlarmDef
from engine.devices.encoding import TextDef
from engine.devices.profile import parse_profile
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import RegisterDef
from engine.devices.sunspec.discovery import READ_FUNCTION, ModelAt, SunSpecDevice
from engine.devices.sunspec.models import ModelPoint, find_point
from engine.devices.sunspec.section import AlarmUse, PointUse, SignalUse


def resolve(profile: DeviceProfile, device: SunSpecDevice) -> DeviceProfile:
    """Return `profile` with every SunSpec signal the device has as a register.

    Signals without a model on the device are left out, and so is what is derived from them.

    Args:
        profile: A profile; one without a SunSpec part is returned as it is.
        device: What the walk of this very device found.

    Raises:
        DeviceError: Two signals use the same register.
    """
    if profile.sunspec is None:
        return profile
    registers: dict[str, Any] = dict(profile.registers)
    base = profile.address_base
    for signal, use in profile.sunspec.signals.items():
        for source in use.sources:
            register = register_for(source, use, device, base)
            if register is not None:
                registers[signal] = register
                break
    derived: dict[str, Any] = {}
    for signal, rule in profile.derived.items():
        known = registers.keys() | derived.keys()
        if rule.first:
            kept = tuple(name for name in rule.first if name in known)
            if kept:
                derived[signal] = rule.model_copy(update={"first": kept})
        elif all(name in known for name in rule.inputs):
            derived[signal] = rule
    alarms: dict[str, Any] = dict(profile.alarms)
    for name, alarm in profile.sunspec.alarms.items():
        model = device.first(alarm.model)
        if model is not None:
            alarms[name] = _alarm(alarm, model, base)
    texts = {**profile.texts, **_texts(device, base)}
    data = {name: getattr(profile, name) for name in DeviceProfile.model_fields}
    return parse_profile(
        {
            **data,
            "registers": registers,
            "derived": derived,
            "alarms": alarms,
            "texts": texts,
            "sunspec": None,
        }
    )


def _texts(device: SunSpecDevice, base: int) -> dict[str, TextDef]:
    common = device.first(1)
    if common is None:
        return {}
    names = {"Mn": "manufacturer", "Md": "model", "Vr": "version", "SN": "serial_number"}
    points = {name: find_point(1, point) for point, name in names.items()}
    return {
        name: TextDef(
            address=base + common.address + point.offset,
            function=READ_FUNCTION,
            length=point.width,
        )
        for name, point in points.items()
        if point is not None
    }


def register_for(
    source: PointUse, use: SignalUse, device: SunSpecDevice, base: int
) -> RegisterDef | None:
    """Return the register of `source` on `device`, or None where the device has not got it.

    Args:
        source: Point of a model.
        use: The signal it is for.
        device: What the walk found.
        base: Number the profile gives the first register.
    """
    model, point = device.first(source.model), find_point(source.model, source.point)
    if model is None or point is None or point.type is None:
        return None
    if not device.numbers.issuperset(source.with_models):
        return None
    if device.numbers.intersection(source.without_models):
        return None
    offset = point.offset_in(source.module)
    if offset + point.width > 2 + model.length:
        return None
    return RegisterDef.model_validate(
        {
            "address": base + model.address + offset,
            "function": READ_FUNCTION,
            "type": point.type,
            "word_order": "big",
            "scale": source.scale,
            "scale_factor": _scale_factor(point, model, base),
            "positive_means": source.positive_means,
            "sentinel": point.sentinel,
            "sentinel_value": source.sentinel_value,
            "code_map": source.code_map,
            "unit": use.unit,
            "min": use.min,
            "max": use.max,
            "priority": use.priority,
            "description": use.description,
        }
    )


def _scale_factor(point: ModelPoint, model: ModelAt, base: int) -> dict[str, int] | None:
    if point.scale_factor is None:
        return None
    return {"address": base + model.address + point.scale_factor}


def _alarm(alarm: AlarmUse, model: ModelAt, base: int) -> AlarmDef:
    point = find_point(alarm.model, alarm.point)
    offset = 0 if point is None else point.offset
    high = base + model.address + offset
    places = [
        {"address": address, "function": READ_FUNCTION, "mask": mask, "sentinel": 0xFFFF}
        for address, mask in (
            (high + 1, sum(1 << bit for bit in alarm.bits if bit < 16)),
            (high, sum(1 << (bit - 16) for bit in alarm.bits if bit >= 16)),
        )
        if mask
    ]
    return AlarmDef.model_validate(
        {**places[0], "severity": alarm.severity, "also": tuple(places[1:])}
    )

"""Rules for registers: what one may say, and that no two share their bits."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from engine.devices.encoding import DataType, ScaleFactor
from engine.devices.profile_rules.fields import check_encoding, check_span, problem_of
from engine.devices.profile_rules.signals import check_codes, check_sign, check_unit
from engine.devices.register_def import READ_BITS, RegisterDef
from engine.domain.signals import EXTERNAL_CONTACT

if TYPE_CHECKING:
    from engine.devices.profile_def import DeviceProfile


def check_registers(profile: DeviceProfile) -> None:
    """Check every register on its own.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    for signal, register in profile.registers.items():
        _check_register(profile, signal, register)


def check_overlaps(profile: DeviceProfile) -> None:
    """Check that no two values share registers, unless as different bits of the same word.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    whole = [
        (r.function, r.address, 1 if r.function in READ_BITS else r.type.width, signal)
        for signal, r in profile.registers.items()
        if r.bit_mask is None
    ]
    whole += [(t.function, t.address, t.length, name) for name, t in profile.texts.items()]
    whole += [
        (a.function, a.address, 1, name)
        for name, alarm in profile.alarms.items()
        for a in alarm.places
        if a.function in READ_BITS
    ]
    whole.sort()
    for (function, start, width, name), (next_function, next_start, _, next_name) in pairwise(
        whole
    ):
        if function == next_function and start + width > next_start:
            raise problem_of(
                profile,
                f"registers.{next_name}.address",
                next_start,
                f"{next_name} overlaps {name} at {start} to {start + width - 1}",
                f"Correct one address or type, or set {name} to null to leave it out.",
            )
    taken: dict[tuple[int, int, int], str] = {}
    for signal, r in profile.registers.items():
        if r.bit_mask is None:
            continue
        for bit in range(r.type.bits):
            place = (r.function, r.address, bit)
            if r.bit_mask >> bit & 1 and taken.setdefault(place, signal) != signal:
                raise problem_of(
                    profile,
                    f"registers.{signal}.address",
                    r.address,
                    f"{signal} and {taken[place]} both use bit {bit}",
                    "Correct one bit or mask.",
                )


def _check_register(profile: DeviceProfile, signal: str, register: RegisterDef) -> None:
    field = f"registers.{signal}"
    check_encoding(profile, field, register)
    is_bit = register.function in READ_BITS
    check_span(profile, field, register.address, 1 if is_bit else register.type.width)
    if is_bit and register.type is not DataType.UINT16:
        raise problem_of(
            profile,
            f"{field}.type",
            register.type.value,
            f"function {register.function} reads a single bit",
            "Leave the type out, or read registers with function 3 or 4.",
        )
    _check_bits(profile, field, register)
    if register.inverted and not register.is_one_bit:
        raise problem_of(
            profile,
            f"{field}.inverted",
            True,
            "only a single bit can be inverted",
            "Name its bit, or read it with function 1 or 2.",
        )
    if signal == EXTERNAL_CONTACT:
        _check_contact(profile, field, register)
    if register.scale_factor is not None:
        _check_scale_factor(profile, field, register, register.scale_factor)
    if register.sentinel_value is not None and register.sentinel is None:
        raise problem_of(
            profile,
            f"{field}.sentinel_value",
            register.sentinel_value,
            "no sentinel is given that it could stand for",
            "Give the sentinel.",
        )
    if signal == "alarm_bits":
        raise problem_of(
            profile, field, register.address, "alarm_bits is derived", "List the bits under alarms."
        )
    check_unit(profile, signal, field, register.unit)
    check_sign(profile, signal, field, register.positive_means)
    if signal == "status_code":
        check_codes(profile, f"{field}.code_map", register.code_map)
    if register.min is not None and register.max is not None and register.min >= register.max:
        raise problem_of(
            profile,
            f"{field}.min",
            register.min,
            f"min is not below max {register.max}",
            "Swap or correct them.",
        )


def _check_bits(profile: DeviceProfile, field: str, register: RegisterDef) -> None:
    mask = register.bit_mask
    if mask is None:
        return
    if register.function in READ_BITS or register.type.is_float:
        raise problem_of(
            profile,
            f"{field}.{'mask' if register.bit is None else 'bit'}",
            mask,
            "only registers of whole numbers have bits",
            "Leave it out.",
        )
    if register.bit is not None and register.mask is not None:
        raise problem_of(
            profile, f"{field}.mask", register.mask, "bit and mask are both given", "Give one."
        )
    if mask >> register.type.bits:
        raise problem_of(
            profile,
            f"{field}.{'mask' if register.bit is None else 'bit'}",
            register.mask if register.bit is None else register.bit,
            f"it lies outside {register.type}",
            f"Bits go from 0 to {register.type.bits - 1}.",
        )


def _check_contact(profile: DeviceProfile, field: str, register: RegisterDef) -> None:
    mapped = bool(register.code_map) and set(register.code_map.values()) <= {0, 1}
    if not (register.is_one_bit or mapped):
        raise problem_of(
            profile,
            f"{field}.bit",
            None,
            "a contact is one bit",
            "Name its bit, read it with function 1 or 2, or map its codes to 0 and 1.",
        )
    if (register.scale, register.offset) != (1.0, 0.0):
        raise problem_of(
            profile,
            f"{field}.scale",
            register.scale,
            "a contact is 0 or 1 and has no scale and no offset",
            "Leave them out; inverted: true turns it round.",
        )


def _check_scale_factor(
    profile: DeviceProfile, field: str, register: RegisterDef, factor: ScaleFactor
) -> None:
    check_span(profile, f"{field}.scale_factor", factor.address, 1)
    first = min(register.address, factor.address)
    last = max(register.address + register.type.width, factor.address + 1)
    if register.function in READ_BITS or last - first > profile.max_registers:
        raise problem_of(
            profile,
            f"{field}.scale_factor.address",
            factor.address,
            f"value and scale factor do not fit into one request of {profile.max_registers}",
            "Correct the address; they must be read together.",
        )

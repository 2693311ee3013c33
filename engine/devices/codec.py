"""Registers to values and back.

A value that is a sentinel, not finite, outside the plausible range or an
undocumented status code becomes a BAD sample with its reason, never a number.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from engine.devices.encoding import DataType, Encoding, WordOrder
from engine.devices.profile import READ_BITS, DeviceProfile, RegisterDef, is_plausible
from engine.domain.errors import DeviceError
from engine.domain.sample import Quality, Sample

_FORMATS: Final = {
    DataType.INT16: "h",
    DataType.UINT16: "H",
    DataType.INT32: "i",
    DataType.UINT32: "I",
    DataType.INT64: "q",
    DataType.UINT64: "Q",
    DataType.FLOAT32: "f",
    DataType.FLOAT64: "d",
}


def register_width(register: RegisterDef) -> int:
    """Return how many addresses `register` covers: 1 for a bit, else the width of its type."""
    return 1 if register.function in READ_BITS else register.type.width


def decode_raw(words: Sequence[int], data_type: DataType, order: WordOrder) -> int | float:
    """Return the raw number in `words` (each 0..65535).

    Raises:
        DeviceError: The number of words is not the width of the type.
    """
    if len(words) != data_type.width:
        raise DeviceError(
            f"{data_type} needs {data_type.width} registers (got {len(words)}).",
            field="words",
            value=list(words),
            hint="Check the type of the register in the profile.",
        )
    high_first = words if order is WordOrder.BIG else tuple(reversed(words))
    packed = struct.pack(f">{len(words)}H", *high_first)
    number: int | float = struct.unpack(f">{_FORMATS[data_type]}", packed)[0]
    return number


def encode_raw(raw: int | float, data_type: DataType, order: WordOrder) -> tuple[int, ...]:
    """Return the registers (each 0..65535) that hold the raw number.

    Raises:
        DeviceError: The number does not fit into the type.
    """
    try:
        packed = struct.pack(f">{_FORMATS[data_type]}", raw)
    except (struct.error, OverflowError) as exc:
        raise DeviceError(
            f"the raw number does not fit into {data_type} (got {raw!r}).",
            field="raw",
            value=raw,
            hint="Check the scale of the register in the profile.",
        ) from exc
    words = struct.unpack(f">{data_type.width}H", packed)
    return words if order is WordOrder.BIG else tuple(reversed(words))


def decode(coding: Encoding, words: Sequence[int], order: WordOrder) -> float | None:
    """Return the canonical value in `words`, or None for sentinel and non-finite numbers.

    Args:
        coding: Type, scale, offset, sign and sentinel.
        words: Registers in the order they were read, each 0..65535.
        order: Word order of the profile; the coding's own order wins.
    """
    order = coding.word_order or order
    if coding.sentinel_bits is not None and _bits(words, order) == coding.sentinel_bits:
        return None
    raw = decode_raw(words, coding.type, order)
    if not math.isfinite(raw):
        return None
    value = coding.sign * (raw * coding.scale + coding.offset)
    # Adding zero turns -0.0 into 0.0, which would otherwise be shown as "-0".
    return value + 0.0 if math.isfinite(value) else None


def encode(coding: Encoding, value: float, order: WordOrder, field: str) -> tuple[int, ...]:
    """Return the registers that hold the canonical `value`, rounded to the register's resolution.

    Raises:
        DeviceError: Not finite, outside the type, or equal to the sentinel; `field` is named.
    """
    order = coding.word_order or order
    if not math.isfinite(value):
        raise DeviceError(
            f"only a finite number can be written (got {value!r}).",
            field=field,
            value=value,
            hint="Give a number.",
        )
    raw = (coding.sign * value - coding.offset) / coding.scale
    try:
        words = encode_raw(raw if coding.type.is_float else round(raw), coding.type, order)
    except DeviceError as exc:
        raise DeviceError(
            f"the value does not fit into {coding.type} at scale {coding.scale} (got {value!r}).",
            field=field,
            value=value,
            hint="Give a value in the register's range, or correct its scale.",
        ) from exc
    if coding.sentinel_bits is not None and _bits(words, order) == coding.sentinel_bits:
        raise DeviceError(
            f"the value is coded as the sentinel 'not available' (got {value!r}).",
            field=field,
            value=value,
            hint="Give another value.",
        )
    return words


def decode_sample(
    profile: DeviceProfile, signal: str, words: Sequence[int], ts: datetime, source: str
) -> Sample:
    """Return the sample of `signal` from its registers.

    Args:
        profile: Profile that has `signal` under registers.
        signal: Name of the register.
        words: Its registers as read; for a bit one word of 0 or 1.
        ts: Time of the answer, UTC.
        source: Device name.
    """
    register = profile.registers[signal]
    value = decode(register, words, profile.word_order)
    if value is None:
        return bad_sample(ts, source, f"{signal}: the device reports 'not available'")
    if not is_plausible(register, value):
        low = "-inf" if register.min is None else f"{register.min:g}"
        high = "inf" if register.max is None else f"{register.max:g}"
        return bad_sample(ts, source, f"{signal}: {value:g} is outside {low} to {high}")
    if signal == "status_code" and profile.status_codes and value not in profile.status_codes:
        return bad_sample(ts, source, f"{signal}: code {value:g} is not documented")
    return Sample(value, ts, source)


def bad_sample(ts: datetime, source: str, reason: str) -> Sample:
    """Return a sample without a value."""
    return Sample(None, ts, source, Quality.BAD, reason)


def _bits(words: Sequence[int], order: WordOrder) -> int:
    high_first = words if order is WordOrder.BIG else tuple(reversed(words))
    pattern = 0
    for word in high_first:
        pattern = pattern << 16 | word
    return pattern

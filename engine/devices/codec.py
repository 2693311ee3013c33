"""Registers to values and back.

A value that is a sentinel, not finite, outside the plausible range, scaled by
an invalid scale factor or an undocumented code becomes a BAD sample with its
reason, never a number.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from engine.devices.alarm_def import AlarmBit
from engine.devices.encoding import DataType, Encoding, WordOrder
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import READ_BITS, RegisterDef, is_plausible
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

MAX_SCALE_FACTOR: Final = 10
"""Largest power of ten either way that the SunSpec information model allows."""


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


def decode_text(words: Sequence[int]) -> str | None:
    """Return the text in `words` (each 0..65535) without its padding; None when it is empty.

    Bytes that are not UTF-8 are shown as replacement characters: a name is for display only.
    """
    packed = struct.pack(f">{len(words)}H", *words)
    text = packed.split(b"\0", 1)[0].decode("utf-8", errors="replace").strip()
    return text or None


def encode_text(text: str, length: int) -> tuple[int, ...]:
    """Return `length` registers that hold `text`, padded with NUL.

    Raises:
        DeviceError: The text is longer than the registers.
    """
    packed = text.encode("utf-8")
    if len(packed) > 2 * length:
        raise DeviceError(
            f"the text does not fit into {length} registers (got {text!r}).",
            field="text",
            value=text,
            hint=f"Give at most {2 * length} bytes.",
        )
    return struct.unpack(f">{length}H", packed.ljust(2 * length, b"\0"))


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
    return _canonical(coding, raw, 1.0)


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
    profile: DeviceProfile,
    signal: str,
    words: Sequence[int],
    ts: datetime,
    source: str,
    *,
    factor_word: int | None = None,
) -> Sample:
    """Return the sample of `signal` from its registers.

    Args:
        profile: Profile that has `signal` under registers.
        signal: Name of the register.
        words: Its registers as read; for a bit one word of 0 or 1.
        ts: Time of the answer, UTC.
        source: Device name.
        factor_word: Its scale factor register from the same answer, where it has one.
    """
    register = profile.registers[signal]
    order = register.word_order or profile.word_order
    pattern = _bits(words, order)
    if register.sentinel_bits is not None and pattern == register.sentinel_bits:
        if register.sentinel_value is None:
            return bad_sample(ts, source, f"{signal}: the device reports 'not available'")
        return Sample(
            register.sentinel_value,
            ts,
            source,
            Quality.UNCERTAIN,
            f"{signal}: the device reports 'not available', "
            f"which stands for {register.sentinel_value:g} while it is idle",
        )
    factor = 1.0
    if register.scale_factor is not None:
        exponent = _exponent(factor_word)
        if exponent is None:
            return bad_sample(ts, source, f"{signal}: invalid scale factor {factor_word!r}")
        factor = 10.0**exponent
    raw = _field(register, words, order)
    if not math.isfinite(raw):
        return bad_sample(ts, source, f"{signal}: the device reports 'not available'")
    if register.code_map or register.values:
        if raw not in (register.code_map or register.values):
            return bad_sample(ts, source, f"{signal}: code {raw:g} is not documented")
        raw = register.code_map.get(int(raw), raw)
    value = _canonical(register, raw, factor)
    if value is None:
        return bad_sample(ts, source, f"{signal}: the value is not finite")
    if not is_plausible(register, value):
        return bad_sample(ts, source, implausible(signal, value, register.min, register.max))
    if signal == "status_code" and profile.status_codes and value not in profile.status_codes:
        return bad_sample(ts, source, f"{signal}: code {value:g} is not documented")
    return Sample(value, ts, source)


def _field(register: RegisterDef, words: Sequence[int], order: WordOrder) -> int | float:
    """Return the raw number or the bits of a register that are the value."""
    if register.bit_mask is None:
        raw = decode_raw(words, register.type, order)
    else:
        raw = (_bits(words, order) & register.bit_mask) >> lowest_bit(register.bit_mask)
    return 1 - raw if register.inverted else raw


def is_active(alarm: AlarmBit, word: int) -> bool:
    """True when the bit (0 or 1) or register `word` shows the alarm."""
    if alarm.function in READ_BITS:
        return bool(word) != alarm.inverted
    masked = word & alarm.bit_mask
    if alarm.active_values:
        return (masked >> lowest_bit(alarm.bit_mask)) in alarm.active_values
    return bool(masked) != alarm.inverted


def implausible(signal: str, value: float, low: float | None, high: float | None) -> str:
    """Return the reason of a value outside its plausible range."""
    return (
        f"{signal}: {value:g} is outside {'-inf' if low is None else f'{low:g}'} "
        f"to {'inf' if high is None else f'{high:g}'}"
    )


def bad_sample(ts: datetime, source: str, reason: str) -> Sample:
    """Return a sample without a value."""
    return Sample(None, ts, source, Quality.BAD, reason)


def lowest_bit(mask: int) -> int:
    """Return the number of the lowest set bit of `mask` (> 0)."""
    return (mask & -mask).bit_length() - 1


def encode_register(
    register: RegisterDef, value: float, order: WordOrder, signal: str, factor: float = 1.0
) -> tuple[int, ...]:
    """Return the registers in which a device shows the canonical `value`; for simulators.

    A bit or masked field is returned at its place in the word, every other bit 0.

    Args:
        register: Its coding.
        value: Canonical value; for a mapped code the canonical code.
        order: Word order of the profile.
        signal: Named in errors.
        factor: Power of ten that the device's scale factor register shows.

    Raises:
        DeviceError: The value does not fit, or no code of the device stands for it.
    """
    order = register.word_order or order
    if register.code_map:
        value = float(_device_code(register.code_map, value, signal))
    if register.inverted:
        value = 1.0 - value
    coding = register.model_copy(update={"scale": register.scale * factor})
    if register.bit_mask is None:
        return encode(coding, value, order, signal)
    raw = round((register.sign * value - register.offset) / coding.scale)
    field = raw << lowest_bit(register.bit_mask)
    if field & ~register.bit_mask:
        raise DeviceError(
            f"the value does not fit into its bits (got {value!r}).",
            field=signal,
            value=value,
            hint="Give a smaller value, or correct the mask.",
        )
    words = tuple(field >> 16 * i & 0xFFFF for i in range(register.type.width))
    return words if order is WordOrder.LITTLE else tuple(reversed(words))


def _device_code(code_map: Mapping[int, int], value: float, signal: str) -> int:
    for device_code, canonical in code_map.items():
        if canonical == value:
            return device_code
    raise DeviceError(
        f"the device has no code for {value:g}.",
        field=signal,
        value=value,
        hint=f"It knows {', '.join(str(code) for code in sorted(set(code_map.values())))}.",
    )


def _exponent(word: int | None) -> int | None:
    """Return the power of ten in a scale factor register, or None when it is invalid."""
    if word is None:
        return None
    exponent = word - 0x10000 if word & 0x8000 else word
    # 0x8000 ("not implemented") is far below the smallest exponent.
    return exponent if abs(exponent) <= MAX_SCALE_FACTOR else None


def _canonical(coding: Encoding, raw: int | float, factor: float) -> float | None:
    value = coding.sign * (raw * coding.scale * factor + coding.offset)
    # Adding zero turns -0.0 into 0.0, which would otherwise be shown as "-0".
    return value + 0.0 if math.isfinite(value) else None


def _bits(words: Sequence[int], order: WordOrder) -> int:
    high_first = words if order is WordOrder.BIG else tuple(reversed(words))
    pattern = 0
    for word in high_first:
        pattern = pattern << 16 | word
    return pattern

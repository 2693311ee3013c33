"""Values outside their plausible range, and the scale, sign or type that would mend them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from engine.devices.codec import decode, register_width
from engine.devices.connection_test.access import Recorder
from engine.devices.connection_test.physics import scale_hint, sign_hint
from engine.devices.connection_test.report import Finding
from engine.devices.encoding import DataType
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import READ_BITS, RegisterDef
from engine.domain.sample import Sample

_FACTORS: Final = (0.1, 0.01, 0.001, 10.0, 100.0, 1000.0)


def range_findings(
    profile: DeviceProfile, samples: Mapping[str, Sample], recorder: Recorder
) -> list[Finding]:
    """Return one finding per register whose value is outside its range or an unknown code."""
    out: list[Finding] = []
    for signal, register in profile.registers.items():
        sample = samples.get(signal)
        if sample is None or sample.usable or register.function in READ_BITS:
            continue
        answer = recorder.answer(
            register.function, profile.wire_address(register.address), register_width(register)
        )
        if answer is None or sample.reason is None:
            continue
        if "not documented" in sample.reason:
            out.append(
                Finding(
                    "warning",
                    "unknown_code",
                    (signal,),
                    f"{sample.reason}.",
                    "Check the address, or add the code to status_codes.",
                )
            )
        elif "is outside" in sample.reason:
            hints = list(_remedies(profile, signal, register, answer.words))
            hint = " Or: ".join(hints) or f"Check address, type and scale of {signal}."
            out.append(Finding("error", "range", (signal,), f"{sample.reason}.", hint))
    return out


def _remedies(
    profile: DeviceProfile, signal: str, register: RegisterDef, words: tuple[int, ...]
) -> Iterable[str]:
    if register.scale_factor is not None or register.bit_mask is not None:
        return
    value = decode(register, words, profile.word_order)
    if value is None or value == 0.0:
        return
    if register.type in _SIGNED_TWIN:
        twin = register.model_copy(update={"type": _SIGNED_TWIN[register.type]})
        signed = decode(twin, words, profile.word_order)
        if signed is not None and signed != value and _fits(register, signed):
            yield f"Set the type of {signal} to {twin.type}."
    if register.positive_means is not None and _fits(register, -value):
        yield sign_hint(signal)
    for factor in _FACTORS:
        if _fits(register, value * factor):
            yield scale_hint(signal, factor)
            return


_SIGNED_TWIN: Final[Mapping[DataType, DataType]] = {
    DataType.UINT16: DataType.INT16,
    DataType.UINT32: DataType.INT32,
    DataType.UINT64: DataType.INT64,
}


def _fits(register: RegisterDef, value: float) -> bool:
    return (register.min is None or value >= register.min) and (
        register.max is None or value <= register.max
    )

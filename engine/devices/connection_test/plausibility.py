"""How plausible the values of a device are under one address base and word order.

Every register gives evidence between 0 (nonsense) and 1 (as expected), with a
weight: a zero fits every map, a value in the middle of its range does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from engine.devices.codec import register_width
from engine.devices.connection_test.access import Recorder
from engine.devices.encoding import WordOrder
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import READ_BITS, RegisterDef
from engine.domain.sample import Sample

USUAL: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "%": (0.0, 105.0),
        "V": (0.0, 1600.0),
        "A": (-3000.0, 3000.0),
        "kW": (-6000.0, 6000.0),
        "kWh": (-1.0, 1e9),
        "°C": (-40.0, 90.0),
        "Hz": (45.0, 65.0),
        "kΩ": (0.0, 70000.0),
    }
)
"""Unit to what a commercial site's device shows (limits of the profile count as well)."""

_REFUSED_WEIGHT: Final = 1.0
_ZERO_WEIGHT: Final = 0.15
_CODE_WEIGHT: Final = 1.0
_VALUE_WEIGHT: Final = 1.0
_UNAVAILABLE_WEIGHT: Final = 0.3
_ALMOST_MAX: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Evidence:
    """Judgement on one register: score 0 to 1 and how much it says."""

    function: int
    score: float
    weight: float


@dataclass(frozen=True, slots=True)
class Score:
    """Weighted mean of the evidence, overall and per function code; None without evidence."""

    overall: float | None
    by_function: Mapping[int, float]


def judge(profile: DeviceProfile, samples: Mapping[str, Sample], recorder: Recorder) -> Score:
    """Return how plausible the samples of one scan are.

    Args:
        profile: Profile they were read with.
        samples: Its samples.
        recorder: Knows the words behind them.
    """
    evidence: list[Evidence] = []
    for signal, register in profile.registers.items():
        width = register_width(register)
        answer = recorder.answer(register.function, profile.wire_address(register.address), width)
        words = None if answer is None else answer.words
        evidence.append(_judge_register(profile, signal, register, words, samples.get(signal)))
    evidence += _judge_alarms(profile, recorder)
    evidence += _judge_relations(samples)
    return _mean(evidence)


def with_address_base(profile: DeviceProfile, address_base: int) -> DeviceProfile | None:
    """Return the profile counted from another base, or None when an address does not allow it."""
    places = [register.address for register in profile.registers.values()]
    places += [r.scale_factor.address for r in profile.registers.values() if r.scale_factor]
    places += [text.address for text in profile.texts.values()]
    for alarm in profile.alarms.values():
        places += [place.address for place in alarm.places]
    if any(address < address_base for address in places):
        return None
    return profile.model_copy(update={"address_base": address_base, "address_base_stated": True})


def with_swapped_words(profile: DeviceProfile) -> DeviceProfile | None:
    """Return the profile with every word order turned round; None when no value has two words."""
    if not any(
        register.function not in READ_BITS and register.type.width > 1
        for register in profile.registers.values()
    ):
        return None
    registers: dict[str, Any] = {
        signal: register
        if register.word_order is None
        else register.model_copy(update={"word_order": _other(register.word_order)})
        for signal, register in profile.registers.items()
    }
    return profile.model_copy(
        update={
            "word_order": _other(profile.word_order),
            "registers": MappingProxyType(registers),
        }
    )


def _other(order: WordOrder) -> WordOrder:
    return WordOrder.LITTLE if order is WordOrder.BIG else WordOrder.BIG


def _judge_register(
    profile: DeviceProfile,
    signal: str,
    register: RegisterDef,
    words: tuple[int, ...] | None,
    sample: Sample | None,
) -> Evidence:
    function = register.function
    if words is None:
        return Evidence(function, 0.0, _REFUSED_WEIGHT)
    if all(word == 0 for word in words):
        # A range that leaves out 0 (mains frequency) says that this cannot be right.
        impossible = sample is None or sample.value is None or not _is_usual(register, sample.value)
        return (
            Evidence(function, 0.0, _VALUE_WEIGHT)
            if impossible and not _is_bit(register)
            else Evidence(function, 1.0, _ZERO_WEIGHT)
        )
    if _is_bit(register):
        return Evidence(function, 1.0, _ZERO_WEIGHT)
    if sample is None or sample.value is None:
        unavailable = all(word == _ALMOST_MAX for word in words) or register.sentinel is not None
        if unavailable and sample is not None and "not available" in (sample.reason or ""):
            return Evidence(function, 0.5, _UNAVAILABLE_WEIGHT)
        return Evidence(function, 0.0, _VALUE_WEIGHT)
    if signal == "status_code" or register.values or register.code_map:
        return Evidence(function, 1.0, _CODE_WEIGHT)
    score = 1.0 if _is_usual(register, sample.value) else 0.0
    if len(words) > 1:
        score *= _word_order_score(register, words, profile.word_order, sample.value)
        return Evidence(function, score, 1.5 * _VALUE_WEIGHT)
    return Evidence(function, score, _VALUE_WEIGHT)


def _is_bit(register: RegisterDef) -> bool:
    return register.function in READ_BITS or register.bit_mask is not None


def _is_usual(register: RegisterDef, value: float) -> bool:
    low, high = USUAL.get(register.unit or "", (-math.inf, math.inf))
    return low <= value <= high


def _word_order_score(
    register: RegisterDef, words: tuple[int, ...], order: WordOrder, value: float
) -> float:
    """Return 1 for a pattern small numbers have, less for one that only looks like them swapped."""
    order = register.word_order or order
    high_first = words if order is WordOrder.BIG else tuple(reversed(words))
    if register.type.is_float:
        # A swapped IEEE 754 number is next to nothing or astronomically large.
        return 1.0 if 1e-4 <= abs(value) <= 1e9 else 0.0
    if _is_sign_extension(high_first):
        return 1.0
    return 0.2 if _is_sign_extension(tuple(reversed(high_first))) else 0.8


def _is_sign_extension(high_first: tuple[int, ...]) -> bool:
    top = high_first[0]
    return top in (0x0000, 0xFFFF) and any(word != top for word in high_first[1:])


def _judge_alarms(profile: DeviceProfile, recorder: Recorder) -> list[Evidence]:
    out = []
    for alarm in profile.alarms.values():
        answer = recorder.answer(alarm.function, profile.wire_address(alarm.address), 1)
        if answer is None:
            out.append(Evidence(alarm.function, 0.0, _REFUSED_WEIGHT))
        else:
            # A healthy device shows no alarm; one that shows several is rare.
            active = answer.words[0] != 0 and alarm.function in READ_BITS
            out.append(Evidence(alarm.function, 0.5 if active else 1.0, _ZERO_WEIGHT))
    return out


def _judge_relations(samples: Mapping[str, Sample]) -> list[Evidence]:
    """Judge what must hold between the signals of one battery, whatever its state."""
    out = []
    voltage_v = _value(samples, "voltage_v")
    for power, current in (
        ("max_charge_power_kw", "max_charge_current_a"),
        ("max_discharge_power_kw", "max_discharge_current_a"),
    ):
        limit_kw, limit_a = _value(samples, power), _value(samples, current)
        if voltage_v and limit_kw and limit_a:
            ratio = limit_kw / (voltage_v * limit_a / 1000.0)
            out.append(Evidence(0, 1.0 if 0.5 <= ratio <= 2.0 else 0.3, 0.5))
    return out


def _value(samples: Mapping[str, Sample], signal: str) -> float | None:
    sample = samples.get(signal)
    return None if sample is None or not sample.usable else sample.value


def _mean(evidence: list[Evidence]) -> Score:
    def mean(items: list[Evidence]) -> float | None:
        weight = sum(item.weight for item in items)
        if not weight:
            return None
        return sum(item.score * item.weight for item in items) / weight

    functions = sorted({item.function for item in evidence if item.function})
    by_function = {
        function: score
        for function in functions
        if (score := mean([item for item in evidence if item.function == function])) is not None
    }
    return Score(mean(evidence), MappingProxyType(by_function))

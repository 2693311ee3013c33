"""Bits, codes, sleeping sentinels, texts and alarms in registers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.devices.alarm_def import AlarmBit
from engine.devices.codec import (
    decode_sample,
    decode_text,
    encode_register,
    encode_text,
    is_active,
)
from engine.devices.encoding import WordOrder
from engine.devices.profile import parse_profile
from engine.devices.profile_def import DeviceProfile
from engine.domain.errors import DeviceError
from engine.domain.sample import Quality
from engine.domain.signals import EXTERNAL_CONTACT

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


def profile(**register: Any) -> DeviceProfile:
    name = register.pop("name", "state")
    return parse_profile(
        {
            "key": "p",
            "label": "p",
            "manufacturer": "m",
            "kinds": ["hybrid"],
            "source": "test",
            "registers": {name: {"address": 0, "function": 3, **register}},
        }
    )


@pytest.mark.parametrize(
    ("field", "words", "value"),
    [
        ({"bit": 0}, [0x0001], 1),
        ({"bit": 0}, [0xFFFE], 0),
        ({"bit": 15}, [0x8000], 1),
        ({"mask": 0x0F00}, [0x5A5A], 0xA),
        ({"type": "uint32", "bit": 16}, [0x0001, 0x0000], 1),
        ({"type": "uint32", "bit": 16, "word_order": "little"}, [0x0000, 0x0001], 1),
        ({"mask": 0x00F0, "scale": 0.5, "offset": 1}, [0x0060], 4),
    ],
)
def test_bits_and_masks_of_a_register(
    field: dict[str, Any], words: list[int], value: float
) -> None:
    assert decode_sample(profile(**field), "state", words, NOW, "d").value == value


@pytest.mark.parametrize(
    ("field", "word", "value"),
    [
        ({"bit": 3}, 0x0008, 1),
        ({"bit": 3, "inverted": True}, 0x0008, 0),
        ({"bit": 3, "inverted": True}, 0xFFF7, 1),
        ({"function": 2}, 1, 1),
        ({"function": 2, "inverted": True}, 1, 0),
        ({"function": 1, "inverted": True}, 0, 1),
        ({"code_map": {170: 1, 85: 0}}, 170, 1),
    ],
)
def test_a_contact_is_one_bit_that_may_be_inverted(
    field: dict[str, Any], word: int, value: float
) -> None:
    contact = profile(name=EXTERNAL_CONTACT, **field)
    assert decode_sample(contact, EXTERNAL_CONTACT, [word], NOW, "d").value == value


@pytest.mark.parametrize("bit", [None, 0, 9])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_simulated_contact_reads_as_it_is(bit: int | None, inverted: bool, value: float) -> None:
    function = 2 if bit is None else 3
    contact = profile(name=EXTERNAL_CONTACT, function=function, bit=bit, inverted=inverted)
    words = encode_register(
        contact.registers[EXTERNAL_CONTACT], value, WordOrder.BIG, EXTERNAL_CONTACT
    )
    assert decode_sample(contact, EXTERNAL_CONTACT, words, NOW, "d").value == value


@pytest.mark.parametrize(
    ("name", "field", "place", "hint"),
    [
        (EXTERNAL_CONTACT, {}, "bit", "Name its bit"),
        (EXTERNAL_CONTACT, {"code_map": {1: 3}}, "bit", "map its codes to 0 and 1"),
        (EXTERNAL_CONTACT, {"bit": 0, "scale": -1.0, "offset": 1.0}, "scale", "inverted: true"),
        ("state", {"inverted": True}, "inverted", "function 1 or 2"),
        ("state", {"mask": 3, "inverted": True}, "inverted", "Name its bit"),
    ],
)
def test_what_is_no_single_bit_is_no_contact(
    name: str, field: dict[str, Any], place: str, hint: str
) -> None:
    with pytest.raises(DeviceError) as refused:
        profile(name=name, **field)
    assert f"registers.{name}.{place}" in str(refused.value)
    assert hint in str(refused.value)


def test_codes_of_the_device_become_canonical_codes() -> None:
    mapped = profile(name="status_code", code_map={0: 3, 4: 2})
    assert decode_sample(mapped, "status_code", [4], NOW, "d").value == 2
    unknown = decode_sample(mapped, "status_code", [9], NOW, "d")
    assert unknown.quality is Quality.BAD
    assert "code 9 is not documented" in (unknown.reason or "")


def test_codes_of_an_enumeration_keep_their_number() -> None:
    listed = profile(values={1: "one", 3: "three"})
    assert decode_sample(listed, "state", [3], NOW, "d").value == 3
    assert decode_sample(listed, "state", [2], NOW, "d").quality is Quality.BAD


def test_a_sentinel_of_a_sleeping_device_is_uncertain_and_says_so() -> None:
    asleep = profile(type="int32", sentinel=0x80000000, sentinel_value=0, unit="kW")
    sample = decode_sample(asleep, "state", [0x8000, 0], NOW, "d")
    assert sample.value == 0
    assert sample.quality is Quality.UNCERTAIN
    assert "not available" in (sample.reason or "")


def test_texts_lose_their_padding() -> None:
    assert decode_text([0x4142, 0x4300, 0x5858]) == "ABC"
    assert decode_text([0x4142, 0x2020]) == "AB"
    assert decode_text([0, 0]) is None
    assert decode_text([0xFFFF]) == "\ufffd\ufffd"


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(DeviceError, match="does not fit into 2 registers"):
        encode_text("abcde", 2)


@pytest.mark.parametrize(
    ("alarm", "word", "active"),
    [
        ({"function": 2}, 1, True),
        ({"function": 2, "inverted": True}, 1, False),
        ({"function": 3}, 0, False),
        ({"function": 3}, 0x0100, True),
        ({"function": 3, "bit": 3}, 0x0008, True),
        ({"function": 3, "bit": 3}, 0xFFF7, False),
        ({"function": 3, "mask": 0x00F0, "active_values": [3]}, 0x0030, True),
        ({"function": 3, "mask": 0x00F0, "active_values": [3]}, 0x0070, False),
        ({"function": 3, "bit": 0, "inverted": True}, 0x0000, True),
    ],
)
def test_alarms_in_bits_and_registers(alarm: dict[str, Any], word: int, active: bool) -> None:
    place = AlarmBit.model_validate({"address": 0, **alarm})
    assert is_active(place, word) is active


def test_a_simulated_device_cannot_show_a_code_it_has_not_got() -> None:
    mapped = profile(name="status_code", code_map={0: 3}).registers["status_code"]
    with pytest.raises(DeviceError, match="no code for 8"):
        encode_register(mapped, 8, WordOrder.BIG, "status_code")


def test_a_value_too_large_for_its_bits_is_refused() -> None:
    field = profile(mask=0x000F).registers["state"]
    with pytest.raises(DeviceError, match="does not fit into its bits"):
        encode_register(field, 16, WordOrder.BIG, "state")

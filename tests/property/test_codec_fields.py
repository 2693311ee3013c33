"""Bits, masks, scale factors and texts survive the trip through registers."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.devices.codec import decode_sample, decode_text, encode_register, encode_text
from engine.devices.encoding import DataType, PositiveMeans, WordOrder
from engine.devices.profile import parse_profile
from engine.devices.profile_def import DeviceProfile

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
ORDERS = list(WordOrder)
INTEGERS = [t for t in DataType if not t.is_float]


def profile(order: WordOrder, **register: object) -> DeviceProfile:
    return parse_profile(
        {
            "key": "p",
            "label": "p",
            "manufacturer": "m",
            "kinds": ["hybrid"],
            "source": "test",
            "word_order": order,
            "registers": {"x": {"address": 0, "function": 3, **register}},
        }
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("data_type", INTEGERS)
@given(data=st.data(), noise=st.integers(0, 2**64 - 1))
def test_a_masked_field_comes_back_whatever_the_other_bits_are(
    data_type: DataType, order: WordOrder, data: st.DataObject, noise: int
) -> None:
    lowest = data.draw(st.integers(0, data_type.bits - 1))
    # Above 2**48 a float has no place for every bit.
    bits = data.draw(st.integers(1, min(48, data_type.bits - lowest)))
    mask = ((1 << bits) - 1) << lowest
    number = data.draw(st.integers(0, (1 << bits) - 1))
    p = profile(order, type=data_type, mask=mask)
    words = encode_register(p.registers["x"], number, order, "x")
    others = [noise >> 16 * i & 0xFFFF for i in range(data_type.width)]
    masks = [mask >> 16 * i & 0xFFFF for i in range(data_type.width)]
    if order is WordOrder.BIG:
        masks.reverse()
    noisy = [w | (o & ~m & 0xFFFF) for w, o, m in zip(words, others, masks, strict=True)]
    assert decode_sample(p, "x", noisy, NOW, "d").value == number


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("data_type", list(DataType))
@given(
    raw=st.integers(0, 32767),
    exponent=st.integers(-10, 10),
    meaning=st.sampled_from([None, *PositiveMeans]),
)
def test_a_value_with_a_scale_factor_comes_back(
    data_type: DataType, order: WordOrder, raw: int, exponent: int, meaning: PositiveMeans | None
) -> None:
    p = profile(order, type=data_type, scale_factor={"address": 40}, positive_means=meaning)
    register = p.registers["x"]
    value = register.sign * raw * 10.0**exponent
    words = encode_register(register, value, order, "x", factor=10.0**exponent)
    sample = decode_sample(p, "x", words, NOW, "d", factor_word=exponent & 0xFFFF)
    assert sample.value == pytest.approx(value, rel=1e-6)


@given(word=st.integers(0, 0xFFFF), raw=st.integers(0, 0xFFFF))
def test_only_factors_of_minus_ten_to_ten_give_a_value(word: int, raw: int) -> None:
    p = profile(WordOrder.BIG, scale_factor={"address": 1})
    sample = decode_sample(p, "x", [raw], NOW, "d", factor_word=word)
    exponent = word if word < 0x8000 else word - 0x10000
    assert (sample.value is not None) == (-10 <= exponent <= 10)


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=16))
def test_texts_come_back_without_outer_blanks(text: str) -> None:
    assert (decode_text(encode_text(text, 32)) or "") == text.strip()

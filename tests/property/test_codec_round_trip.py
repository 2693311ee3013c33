"""Every type in both word orders survives the trip through registers."""

import math
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.devices.codec import decode, decode_raw, decode_sample, encode, encode_raw
from engine.devices.encoding import DataType, Encoding, PositiveMeans, WordOrder
from engine.devices.profile import parse_profile
from engine.domain.sample import Quality

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
INTEGERS = [t for t in DataType if not t.is_float]
ORDERS = list(WordOrder)
WORD = st.integers(0, 0xFFFF)


def raw_numbers(data_type: DataType) -> st.SearchStrategy[float]:
    if data_type.is_float:
        return st.floats(width=32 if data_type is DataType.FLOAT32 else 64, allow_nan=False)
    return st.integers(*data_type.raw_range)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("data_type", list(DataType))
@given(data=st.data())
def test_raw_numbers_round_trip_exactly(
    data_type: DataType, order: WordOrder, data: st.DataObject
) -> None:
    raw = data.draw(raw_numbers(data_type))
    words = encode_raw(raw, data_type, order)
    assert len(words) == data_type.width
    assert all(0 <= word <= 0xFFFF for word in words)
    assert decode_raw(words, data_type, order) == raw


@pytest.mark.parametrize("data_type", list(DataType))
@given(data=st.data())
def test_little_word_order_is_the_reverse_of_big(data_type: DataType, data: st.DataObject) -> None:
    raw = data.draw(raw_numbers(data_type))
    big = encode_raw(raw, data_type, WordOrder.BIG)
    assert encode_raw(raw, data_type, WordOrder.LITTLE) == big[::-1]
    assert b"".join(word.to_bytes(2, "big") for word in big) == struct.pack(
        {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q"}.get(
            data_type, {"uint64": ">Q", "float32": ">f", "float64": ">d"}.get(data_type, "")
        ),
        raw,
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("data_type", INTEGERS)
@given(
    data=st.data(),
    scale=st.sampled_from([1.0, 0.1, 0.01, 0.001, 10.0, -0.1]),
    offset=st.sampled_from([0.0, -40.0, -3200.0]),
    meaning=st.sampled_from([None, *PositiveMeans]),
)
def test_values_come_back_within_half_a_step(
    data_type: DataType,
    order: WordOrder,
    data: st.DataObject,
    scale: float,
    offset: float,
    meaning: PositiveMeans | None,
) -> None:
    low, high = data_type.raw_range
    raw = data.draw(st.integers(max(low, -(2**48)), min(high, 2**48)))
    coding = Encoding(type=data_type, scale=scale, offset=offset, positive_means=meaning)
    value = coding.sign * (raw * scale + offset)
    back = decode(coding, encode(coding, value, order, "x"), order)
    assert back is not None
    assert back == pytest.approx(value, abs=0.5 * abs(scale), rel=1e-12)
    assert math.copysign(1.0, back) > 0 or back != 0, "a zero never carries a minus sign"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("data_type", list(DataType))
@given(data=st.data())
def test_no_registers_ever_become_a_number_that_is_not_finite_or_out_of_range(
    data_type: DataType, order: WordOrder, data: st.DataObject
) -> None:
    words = data.draw(st.lists(WORD, min_size=data_type.width, max_size=data_type.width))
    profile = parse_profile(
        {
            "key": "p",
            "label": "p",
            "manufacturer": "m",
            "kinds": ["meter"],
            "source": "test",
            "word_order": order,
            "registers": {
                "temperature_c": {
                    "address": 0,
                    "function": 3,
                    "type": data_type,
                    "scale": 0.1,
                    "min": -50,
                    "max": 150,
                    "sentinel": (1 << data_type.bits) - 1,
                }
            },
        }
    )
    sample = decode_sample(profile, "temperature_c", words, NOW, "d")
    if sample.value is None:
        assert sample.quality is Quality.BAD
        assert sample.reason
        assert sample.reason.startswith("temperature_c")
    else:
        assert -50 <= sample.value <= 150
        assert words != [0xFFFF] * data_type.width
    assert sample.source == "d"
    assert sample.ts == NOW

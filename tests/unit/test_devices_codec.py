"""What the codec refuses, and known values of real devices."""

from datetime import UTC, datetime

import pytest

from engine.devices.codec import decode, decode_raw, decode_sample, encode
from engine.devices.encoding import DataType, Encoding, PositiveMeans, WordOrder
from engine.devices.profile import MODBUS_PROFILES
from engine.domain.errors import DeviceError
from engine.domain.sample import Quality

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
HITHIUM = MODBUS_PROFILES["hithium_ess_5016"]


def test_hithium_current_is_shifted_and_turned_round() -> None:
    # Raw 32500 is 3250.0 - 3200 = +50 A, which this device means as charging.
    assert decode_sample(HITHIUM, "current_a", [32500], NOW, "bms").value == pytest.approx(-50.0)
    assert decode_sample(HITHIUM, "current_a", [31500], NOW, "bms").value == pytest.approx(50.0)


def test_hithium_temperature_and_limits() -> None:
    assert decode_sample(HITHIUM, "temperature_c", [65], NOW, "bms").value == 25.0
    limit = decode_sample(HITHIUM, "max_charge_power_kw", [25080], NOW, "bms")
    assert limit.value == pytest.approx(2508.0)
    assert limit.quality is Quality.GOOD


@pytest.mark.parametrize("code", [4, 9, 65535])
def test_undocumented_status_code_is_bad(code: int) -> None:
    sample = decode_sample(HITHIUM, "status_code", [code], NOW, "bms")
    assert sample.value is None
    assert sample.reason == f"status_code: code {code} is not documented"


def test_out_of_range_says_so() -> None:
    sample = decode_sample(HITHIUM, "soc_percent", [101], NOW, "bms")
    assert sample.quality is Quality.BAD
    assert sample.reason == "soc_percent: 101 is outside 0 to 100"


@pytest.mark.parametrize("words", [[0x7FC0, 0], [0x7F80, 0], [0xFF80, 0]])
def test_nan_and_infinity_are_no_numbers(words: list[int]) -> None:
    assert decode(Encoding(type=DataType.FLOAT32), words, WordOrder.BIG) is None


def test_negative_sentinel_is_the_twos_complement() -> None:
    coding = Encoding(type=DataType.INT16, sentinel=-32768)
    assert decode(coding, [0x8000], WordOrder.BIG) is None
    assert decode(coding, [0x8001], WordOrder.BIG) == -32767


def test_sentinel_of_two_registers_in_little_word_order() -> None:
    coding = Encoding(type=DataType.INT32, sentinel=0x80000000)
    assert decode(coding, [0x0000, 0x8000], WordOrder.LITTLE) is None
    assert decode(coding, [0x8000, 0x0000], WordOrder.LITTLE) == 0x8000


def test_a_registers_own_word_order_wins() -> None:
    coding = Encoding(type=DataType.UINT32, word_order=WordOrder.LITTLE)
    assert decode(coding, [5, 0], WordOrder.BIG) == 5


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "only a finite number"),
        (float("inf"), "only a finite number"),
        (6553.6, "does not fit into uint16"),
        (-0.1, "does not fit into uint16"),
        (6553.5, "sentinel"),
    ],
)
def test_encode_refuses_what_the_register_cannot_hold(value: float, problem: str) -> None:
    coding = Encoding(type=DataType.UINT16, scale=0.1, sentinel=0xFFFF)
    with pytest.raises(DeviceError, match=problem) as caught:
        encode(coding, value, WordOrder.BIG, "power_kw")
    assert caught.value.field == "power_kw"
    assert caught.value.hint


def test_encode_turns_the_sign_for_a_device_that_counts_charging_as_positive() -> None:
    coding = Encoding(type=DataType.INT16, scale=0.1, positive_means=PositiveMeans.CHARGE)
    assert encode(coding, -50.0, WordOrder.BIG, "power_kw") == (500,)


def test_wrong_number_of_registers_is_an_error() -> None:
    with pytest.raises(DeviceError, match="int32 needs 2 registers"):
        decode_raw([1], DataType.INT32, WordOrder.BIG)

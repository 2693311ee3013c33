"""From models to registers: which source counts, which signals are left out."""

from datetime import UTC, datetime

import pytest
from sunspec_images import Reader, chain, model

from engine.devices.codec import decode_sample
from engine.devices.layout import lay_out
from engine.devices.profile import MODBUS_PROFILES, with_overrides
from engine.devices.profile_def import DeviceProfile
from engine.devices.sunspec.discovery import discover
from engine.devices.sunspec.resolve import resolve
from engine.domain.sample import Quality

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
SUNSPEC = MODBUS_PROFILES["sunspec"]


def resolved(*models: list[int], profile: DeviceProfile = SUNSPEC) -> DeviceProfile:
    return resolve(profile, discover(Reader(chain(*models)), (40000,)))


def test_ac_power_is_pv_without_a_storage_model_and_battery_with_one() -> None:
    pv = resolved(model(1, 66), model(103, 50))
    assert "pv_kw" in pv.registers
    assert "battery_kw" not in pv.registers
    storage = resolved(model(1, 66), model(103, 50), model(802, 62))
    assert storage.registers["battery_kw"].address == 40002 + 68 + 14
    assert "pv_kw" not in storage.registers


def test_ac_power_of_a_hybrid_is_neither_pv_nor_battery() -> None:
    hybrid = resolved(model(103, 50), model(160, 48), model(124, 24))
    assert "hybrid_ac_power_kw" in hybrid.registers
    assert not {"pv_kw", "battery_kw"} & set(hybrid.registers)
    assert "mppt_module_2_kw" in hybrid.registers


def test_a_module_the_device_has_not_got_is_left_out() -> None:
    one = resolved(model(103, 50), model(160, 28), model(124, 24))
    assert "mppt_module_1_kw" in one.registers
    assert "mppt_module_2_kw" not in one.registers


def test_the_first_source_the_device_has_counts() -> None:
    both = resolved(model(713, 7), model(802, 62))
    assert both.registers["soc_percent"].address == 40002 + 4
    only = resolved(model(802, 62))
    assert only.registers["soc_percent"].address == 40002 + 11


def test_value_and_scale_factor_are_one_request() -> None:
    profile = resolved(model(701, 153), model(713, 7))
    layout = lay_out(profile)
    slot = layout.registers["battery_kw"]
    register = profile.registers["battery_kw"]
    assert register.scale_factor is not None
    assert slot.factor is not None
    assert slot.point.address + slot.start == register.address
    assert slot.point.address + slot.factor == register.scale_factor.address
    assert slot.point.width <= profile.max_registers


def test_alarm_bits_above_15_are_in_the_high_word() -> None:
    alarm = resolved(model(802, 62)).alarms["system_fault"]
    low, high = alarm.places
    assert (low.address, low.bit_mask) == (40002 + 27, 1 << 0 | 1 << 1 | 1 << 3)
    assert (high.address, high.bit_mask) == (40002 + 26, 0x1254)


@pytest.mark.parametrize(
    ("word", "value"),
    [(0, 5500.0), (1, 55000.0), (0xFFFF, 550.0), (10, 5500e10), (0xFFF6, 5500e-10)],
)
def test_scale_factors_from_minus_ten_to_ten(word: int, value: float) -> None:
    profile = resolved(model(802, 62))
    sample = decode_sample(profile, "max_discharge_power_kw", [5500], NOW, "d", factor_word=word)
    assert sample.value == pytest.approx(value / 1000)


@pytest.mark.parametrize("word", [0x8000, 11, 0xFFF5, 0x7FFF, None])
def test_an_invalid_scale_factor_makes_the_value_bad(word: int | None) -> None:
    profile = resolved(model(802, 62))
    sample = decode_sample(profile, "max_discharge_power_kw", [5500], NOW, "d", factor_word=word)
    assert sample.quality is Quality.BAD
    assert "scale factor" in (sample.reason or "")


def test_not_implemented_is_bad_even_with_a_valid_scale_factor() -> None:
    profile = resolved(model(802, 62))
    sample = decode_sample(profile, "soc_percent", [0xFFFF], NOW, "d", factor_word=0)
    assert sample.quality is Quality.BAD


def test_overrides_take_signals_out_of_the_sunspec_part() -> None:
    meterless = with_overrides(
        SUNSPEC, {"grid_kw": None, "soc_percent": {"address": 7, "function": 3}}
    )
    assert "grid_kw" not in meterless.signals
    profile = resolved(model(203, 105), model(802, 62), profile=meterless)
    assert "grid_kw" not in profile.registers
    assert profile.registers["soc_percent"].address == 7

"""What every command writes: registers and words worked out by hand from the facts."""

import pytest

from engine.devices.codec import encode
from engine.devices.profile import MODBUS_PROFILES

CHARGE_2500_W = {
    "sinexcel_pcs": [(6, 327, (60,)), (6, 135, (0xFFE7,))],
    "sma_storage": [(16, 40151, (0, 802)), (16, 40149, (0xFFFF, 0xF63C))],
    "sungrow_sh": [(6, 13049, (2,)), (6, 13051, (2500,)), (6, 13050, (170,))],
    "huawei_sun2000_luna": [
        (6, 47246, (0,)),
        (6, 47083, (2,)),
        (16, 47247, (0, 2500)),
        (16, 47249, (0, 0)),
        (6, 47100, (1,)),
    ],
    "kostal_plenticore": [(16, 1034, (0x4000, 0xC51C))],
    "goodwe_et": [(16, 47512, (2500,)), (6, 47511, (11,))],
    "openems_fems_api": [(16, 706, (0xC51C, 0x4000))],
}
DISCHARGE_3000_W = {
    "sinexcel_pcs": [(6, 327, (60,)), (6, 135, (30,))],
    "sma_storage": [(16, 40151, (0, 802)), (16, 40149, (0, 3000))],
    "sungrow_sh": [(6, 13049, (2,)), (6, 13051, (3000,)), (6, 13050, (187,))],
    "huawei_sun2000_luna": [
        (6, 47246, (0,)),
        (6, 47083, (2,)),
        (16, 47247, (0, 0)),
        (16, 47249, (0, 3000)),
        (6, 47100, (2,)),
    ],
    "kostal_plenticore": [(16, 1034, (0x8000, 0x453B))],
    "goodwe_et": [(16, 47512, (3000,)), (6, 47511, (12,))],
    "openems_fems_api": [(16, 706, (0x453B, 0x8000))],
}
REVERT = {
    "sma_storage": [(16, 40151, (0, 803))],
    "sungrow_sh": [(6, 13050, (204,)), (6, 13049, (0,))],
    "huawei_sun2000_luna": [(6, 47100, (0,))],
    "goodwe_et": [(6, 47511, (1,))],
}
COMMANDED = {k for k, p in MODBUS_PROFILES.items() if p.commands and not k.startswith("demo_")}


def writes(
    key: str, power_kw: float, part: str = "steps"
) -> list[tuple[int, int, tuple[int, ...]]]:
    profile = MODBUS_PROFILES[key]
    return [
        (
            step.function,
            profile.wire_address(step.address),
            encode(step, step.value_for(power_kw), profile.word_order, "power_kw"),
        )
        for step in getattr(profile.commands["set_power_kw"], part)
    ]


def test_every_command_is_listed_here() -> None:
    assert set(CHARGE_2500_W) == set(DISCHARGE_3000_W) == COMMANDED


@pytest.mark.parametrize("key", sorted(CHARGE_2500_W))
def test_charging_with_2500_w(key: str) -> None:
    assert writes(key, -2.5) == CHARGE_2500_W[key]


@pytest.mark.parametrize("key", sorted(DISCHARGE_3000_W))
def test_discharging_with_3000_w(key: str) -> None:
    assert writes(key, 3.0) == DISCHARGE_3000_W[key]


@pytest.mark.parametrize("key", sorted(COMMANDED))
def test_giving_control_back(key: str) -> None:
    assert writes(key, 0.0, "revert") == REVERT.get(key, [])


@pytest.mark.parametrize("key", sorted(COMMANDED))
def test_unknown_or_flash_memory_is_written_within_a_budget(key: str) -> None:
    command = MODBUS_PROFILES[key].commands["set_power_kw"]
    assert command.watchdog_s is not None or command.flash_backed
    assert not command.flash_backed or command.daily_write_budget is not None

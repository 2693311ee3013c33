"""Profiles: what ships, what overrides do, and what their errors tell."""

from typing import Any

import pytest

from engine.devices.profile import (
    MODBUS_PROFILES,
    get_profile,
    load_profile,
    parse_profile,
    with_overrides,
)
from engine.devices.profile_def import DeviceKind
from engine.domain.errors import DeviceError
from engine.domain.signals import ALARMS, SIGNALS

HITHIUM = MODBUS_PROFILES["hithium_ess_5016"]


def minimal(**changes: Any) -> dict[str, Any]:
    return {
        "key": "x",
        "label": "X",
        "manufacturer": "M",
        "kinds": ["pcs"],
        "source": "test",
        "registers": {
            "battery_setpoint_kw": {
                "address": 0,
                "function": 3,
                "type": "int16",
                "positive_means": "charge",
            }
        },
        **changes,
    }


def command(**changes: Any) -> dict[str, Any]:
    step = {
        "address": 0,
        "function": 6,
        "type": "int16",
        "positive_means": "charge",
        **changes.pop("step", {}),
    }
    return {
        "set_power_kw": {
            "steps": [step],
            "readback": "battery_setpoint_kw",
            "clamp_charge": 100,
            "clamp_discharge": 100,
            **changes,
        }
    }


def test_every_shipped_profile_loads_and_names_its_source() -> None:
    assert set(MODBUS_PROFILES) >= {
        "hithium_ess_5016",
        "demo_bms",
        "demo_pcs",
        "demo_meter",
        "demo_pv",
    }
    for key, profile in MODBUS_PROFILES.items():
        assert profile.key == key
        assert profile.source
        assert profile.signals & set(SIGNALS)


def test_hithium_facts_of_the_specification() -> None:
    registers = HITHIUM.registers
    assert {s: registers[s].address for s in ("voltage_v", "soc_percent", "status_code")} == {
        "voltage_v": 2,
        "soc_percent": 4,
        "status_code": 43,
    }
    assert registers["max_charge_power_kw"].address == 33
    assert all(register.function == 4 for register in registers.values())
    assert [HITHIUM.alarms[name].address for name in ALARMS] == [53, 54, 55, 56, 57]
    assert HITHIUM.status_codes[7] == "Lade- & Entladesperre"
    assert HITHIUM.kinds == (DeviceKind.BATTERY_BMS,)
    assert not HITHIUM.address_base_stated


def test_hithium_can_never_be_commanded() -> None:
    assert not HITHIUM.commands


def test_profiles_are_immutable() -> None:
    with pytest.raises(TypeError):
        HITHIUM.registers["soc_percent"] = HITHIUM.registers["soh_percent"]  # type: ignore[index]
    with pytest.raises(ValueError, match="frozen"):
        HITHIUM.key = "other"


def test_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(DeviceError, match="nope") as caught:
        get_profile("nope")
    assert "hithium_ess_5016" in str(caught.value)


def test_registers_of_the_example_configuration_override_and_keep_the_rest() -> None:
    changed = with_overrides(
        HITHIUM,
        {
            "soc_percent": {"address": 104, "function": 3, "scale": 0.1, "unit": "%"},
            "current_a": {"address": 300},
            "pv_kw": {"address": 200, "function": 4, "positive_means": "generation"},
        },
    )
    assert changed.registers["soc_percent"].address == 104
    assert changed.registers["soc_percent"].max == 100
    assert changed.registers["current_a"].offset == -3200.0
    assert changed.registers["pv_kw"].scale == 1.0
    assert changed.registers["voltage_v"] == HITHIUM.registers["voltage_v"]
    assert HITHIUM.registers["soc_percent"].address == 4


def test_overrides_can_leave_signals_and_alarms_out() -> None:
    changed = with_overrides(HITHIUM, {"soh_percent": None, "alarm_bits": None})
    assert "soh_percent" not in changed.signals
    assert "alarm_bits" not in changed.signals


def test_status_codes_of_the_configuration_have_text_keys() -> None:
    changed = with_overrides(HITHIUM, {}, status_codes={"0": "Init", "8": "Fehler"})
    assert dict(changed.status_codes) == {0: "Init", 8: "Fehler"}


def test_address_base_moves_every_address_by_one() -> None:
    assert HITHIUM.wire_address(4) == 4
    shifted = with_overrides(HITHIUM, {}, address_base=1)
    assert shifted.wire_address(4) == 3
    assert shifted.address_base_stated


@pytest.mark.parametrize(
    ("overrides", "field", "value", "hint"),
    [
        ({"soc_percent": {"unit": "kW"}}, "registers.soc_percent.unit", "kW", "%"),
        ({"soc_percent": {"adress": 3}}, "registers.soc_percent.adress", 3, "Correct"),
        ({"soc_percent": {"address": -1}}, "registers.soc_percent.address", -1, "Correct"),
        ({"soc_percent": {"function": 6}}, "registers.soc_percent.function", 6, "Correct"),
        ({"soc_percent": {"scale": 0}}, "registers.soc_percent.scale", 0.0, "factor"),
        ({"soc_percent": {"min": 100}}, "registers.soc_percent.min", 100.0, "Swap"),
        ({"soc_percent": {"sentinel": 70000}}, "registers.soc_percent.sentinel", 70000, "65535"),
        ({"soc_percent": {"address": 5}}, "registers.soh_percent.address", 5, "null"),
        ({"grid_kw": {"function": 3}}, "registers.grid_kw.address", None, "Add"),
        (
            {"grid_kw": {"address": 900, "function": 3}},
            "registers.grid_kw.positive_means",
            None,
            "export or import",
        ),
        (
            {"grid_kw": {"address": 900, "function": 3, "positive_means": "charge"}},
            "registers.grid_kw.positive_means",
            "charge",
            "export or import",
        ),
        (
            {"soh_percent": {"address": 65535, "type": "uint32"}},
            "registers.soh_percent.address",
            65535,
            "65534",
        ),
        (
            {"soh_percent": {"function": 2, "type": "int32"}},
            "registers.soh_percent.type",
            "int32",
            "",
        ),
        ({"alarm_bits": {"address": 7, "function": 4}}, "registers.alarm_bits", 7, "alarms"),
    ],
)
def test_wrong_overrides_name_profile_field_value_and_remedy(
    overrides: dict[str, Any], field: str, value: object, hint: str
) -> None:
    with pytest.raises(DeviceError, match="hithium_ess_5016") as caught:
        with_overrides(HITHIUM, overrides)
    assert caught.value.field == field
    assert caught.value.value == value
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("commands", "field"),
    [
        (command(readback="battery_kw"), "commands.set_power_kw.readback"),
        (command(clamp_charge="rated_kw"), "commands.set_power_kw.clamp_charge"),
        (command(step={"type": "int32"}), "commands.set_power_kw.steps.0.function"),
        (command(step={"positive_means": None}), "commands.set_power_kw.steps.0.positive_means"),
        (command(step={"value": 1}), "commands.set_power_kw.steps"),
        (command(refresh_s=60, watchdog_s=60), "commands.set_power_kw.refresh_s"),
    ],
)
def test_commands_that_cannot_work_are_refused(commands: dict[str, Any], field: str) -> None:
    with pytest.raises(DeviceError) as caught:
        parse_profile(minimal(commands=commands))
    assert caught.value.field == field


def test_a_valid_command_is_accepted() -> None:
    profile = parse_profile(minimal(commands=command(refresh_s=20, watchdog_s=60)))
    assert profile.commands["set_power_kw"].steps[0].sign == -1.0


def test_unknown_alarm_names_the_known_ones() -> None:
    alarms = {"fire": {"address": 0, "function": 2, "severity": "fault"}}
    with pytest.raises(DeviceError, match="unknown alarm") as caught:
        parse_profile(minimal(alarms=alarms))
    assert "system_fault" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("key: [", "not valid YAML"),
        ("just words", "not a table"),
        ("key: x\nlabel: X", "Field required"),
        ("key: x\nkey: x", "not valid YAML"),
    ],
)
def test_broken_files_are_named(text: str, problem: str) -> None:
    with pytest.raises(DeviceError, match=problem):
        load_profile(text, "x")


def test_a_file_with_another_key_is_refused() -> None:
    text = "key: y\nlabel: Y\nmanufacturer: M\nkinds: [meter]\nsource: s\nregisters: {}"
    with pytest.raises(DeviceError, match="another key"):
        load_profile(text, "x")

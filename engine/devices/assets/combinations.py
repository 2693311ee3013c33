"""How the values of several devices become one value of the site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.devices.aggregation import (
    Combine,
    any_bit,
    highest,
    lowest,
    mean_by_energy,
    strictest_status,
    sum_of_limits,
    total,
)
from engine.devices.assets.members import Role

COMBINATIONS: Final[Mapping[str, tuple[Role, Combine]]] = {
    "soc_percent": (Role.BMS, mean_by_energy),
    "soh_percent": (Role.BMS, mean_by_energy),
    # The lowest voltage, because limits turn permitted currents into power with it.
    "voltage_v": (Role.BMS, lowest),
    "current_a": (Role.BMS, total),
    "temperature_c": (Role.BMS, highest),
    "insulation_resistance_kohm": (Role.BMS, lowest),
    "max_charge_power_kw": (Role.BMS, sum_of_limits),
    "max_discharge_power_kw": (Role.BMS, sum_of_limits),
    "max_charge_current_a": (Role.BMS, sum_of_limits),
    "max_discharge_current_a": (Role.BMS, sum_of_limits),
    "status_code": (Role.BMS, strictest_status),
    "alarm_bits": (Role.BMS, any_bit),
    "battery_kw": (Role.PCS, total),
    "battery_setpoint_kw": (Role.PCS, total),
    "battery_charged_kwh": (Role.PCS, total),
    "battery_discharged_kwh": (Role.PCS, total),
    "grid_kw": (Role.METER, total),
    "grid_import_kwh": (Role.METER, total),
    "grid_export_kwh": (Role.METER, total),
    "pv_kw": (Role.PV, total),
    "pv_energy_kwh": (Role.PV, total),
}
"""Canonical signal to the role that supplies it and how several suppliers become one value."""

NEEDED_OF_EVERY_STORAGE: Final = frozenset(
    {"soc_percent", "battery_kw", "max_charge_power_kw", "max_discharge_power_kw"}
)
"""Of several storages one without these makes the whole unknown (a limit: 0)."""

LEFT_OUT_UNLESS_OF_ALL: Final = frozenset(
    {
        "current_a",
        "max_charge_current_a",
        "max_discharge_current_a",
        "battery_setpoint_kw",
        "battery_charged_kwh",
        "battery_discharged_kwh",
        "pv_energy_kwh",
    }
)
"""A sum over some of the parts would look like one over all of them."""

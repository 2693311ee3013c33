"""The canonical signals of a site: name, unit, meaning.

Profiles map registers to these names; history stores one column per signal.
Signs are converted once, in the device layer (DESIGN section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a signal behaves in time, which decides how it is stored and averaged."""

    GAUGE = "gauge"
    COUNTER = "counter"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Signal:
    """One canonical signal.

    Attributes:
        name: Canonical name; carries the unit.
        unit: Unit for display.
        kind: GAUGE (averaged), COUNTER (ever-growing energy, stored as double) or CODE (integer).
        description: Meaning and sign.
    """

    name: str
    unit: str
    kind: Kind
    description: str


_G, _C, _K = Kind.GAUGE, Kind.COUNTER, Kind.CODE

EXTERNAL_CONTACT = "external_limit_contact"
"""The digital input through which a grid operator reduces the site."""

SIGNALS: dict[str, Signal] = {
    s.name: s
    for s in (
        Signal("soc_percent", "%", _G, "State of charge, share of energy capacity"),
        Signal("soh_percent", "%", _G, "State of health"),
        Signal("battery_kw", "kW", _G, "Battery AC power, + discharge, - charge"),
        Signal("battery_setpoint_kw", "kW", _G, "Power setpoint as read back from the device"),
        Signal("voltage_v", "V", _G, "Battery DC voltage"),
        Signal("current_a", "A", _G, "Battery DC current, + discharge, - charge"),
        Signal("temperature_c", "°C", _G, "Battery temperature"),
        Signal("insulation_resistance_kohm", "kΩ", _G, "Insulation resistance"),
        Signal("max_charge_power_kw", "kW", _G, "Charge power the BMS allows now, >= 0"),
        Signal("max_discharge_power_kw", "kW", _G, "Discharge power the BMS allows now, >= 0"),
        Signal("max_charge_current_a", "A", _G, "Charge current the BMS allows now, >= 0"),
        Signal("max_discharge_current_a", "A", _G, "Discharge current the BMS allows now, >= 0"),
        Signal(
            "status_code",
            "",
            _K,
            "BMS status: 0 init, 1 charging, 2 discharging, 3 ready, "
            "5 no charge, 6 no discharge, 7 neither, 8 fault",
        ),
        Signal("alarm_bits", "", _K, "Active alarms as bits, in the order of `ALARMS`"),
        Signal("grid_kw", "kW", _G, "Power at the grid meter, + import, - export"),
        Signal("pv_kw", "kW", _G, "PV power, >= 0"),
        Signal("load_kw", "kW", _G, "Site load, >= 0; derived as grid + pv + battery"),
        Signal("battery_charged_kwh", "kWh", _C, "AC energy charged since commissioning"),
        Signal("battery_discharged_kwh", "kWh", _C, "AC energy discharged since commissioning"),
        Signal("grid_import_kwh", "kWh", _C, "Meter register, imported energy"),
        Signal("grid_export_kwh", "kWh", _C, "Meter register, exported energy"),
        Signal("pv_energy_kwh", "kWh", _C, "PV energy generated since commissioning"),
        Signal("grid_l1_kw", "kW", _G, "Power of phase 1 at the grid meter, + import, - export"),
        Signal("grid_l2_kw", "kW", _G, "Power of phase 2 at the grid meter, + import, - export"),
        Signal("grid_l3_kw", "kW", _G, "Power of phase 3 at the grid meter, + import, - export"),
        Signal("grid_voltage_l1_v", "V", _G, "Voltage of phase 1 at the grid meter, to neutral"),
        Signal("grid_voltage_l2_v", "V", _G, "Voltage of phase 2 at the grid meter, to neutral"),
        Signal("grid_voltage_l3_v", "V", _G, "Voltage of phase 3 at the grid meter, to neutral"),
        Signal("grid_frequency_hz", "Hz", _G, "Frequency at the grid meter"),
        Signal(
            EXTERNAL_CONTACT,
            "",
            _K,
            "Digital input of an external limit: 1 closed (the limit is in force), 0 open",
        ),
    )
}

ALARMS: tuple[str, ...] = (
    "contactor_abnormal_open",
    "contactor_abnormal_closed",
    "charge_prohibited",
    "discharge_prohibited",
    "system_fault",
)
"""Names of the alarm bits, lowest bit first (order of the Hithium discrete inputs 53-57)."""

FAULT_ALARMS = ("contactor_abnormal_open", "contactor_abnormal_closed", "system_fault")
"""Alarms of a battery that has failed; they forbid both directions."""

STATUS_NO_CHARGE = frozenset({0, 5, 7, 8})
"""BMS status codes in which charging is forbidden."""

STATUS_NO_DISCHARGE = frozenset({0, 6, 7, 8})
"""BMS status codes in which discharging is forbidden."""

"""Home Assistant device discovery: one message that describes the whole site.

Format: Home Assistant documentation, MQTT integration, "Device discovery payload"; the same form
was accepted by a real Home Assistant 2025.3 (notes, devices section 4).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from engine.devices.mqtt.commands import NumberRange, command_table
from engine.devices.mqtt.topics import OFFLINE, ONLINE, Topics
from engine.domain.control import EngineState
from engine.domain.signals import SIGNALS, Kind
from engine.domain.snapshot import EngineSnapshot

EXPIRE_AFTER_S: Final = 60
"""Home Assistant shows a value as unavailable when it got none for this long."""

_DEVICE_CLASSES: Final[Mapping[str, str]] = {
    "kW": "power",
    "kWh": "energy",
    "V": "voltage",
    "A": "current",
    "°C": "temperature",
    "Hz": "frequency",
}

_NAMES: Final[Mapping[str, str]] = {
    "soc_percent": "State of charge",
    "soh_percent": "State of health",
    "battery_kw": "Battery power",
    "battery_setpoint_kw": "Battery setpoint (read back)",
    "voltage_v": "Battery voltage",
    "current_a": "Battery current",
    "temperature_c": "Battery temperature",
    "insulation_resistance_kohm": "Insulation resistance",
    "max_charge_power_kw": "Charge power allowed by the BMS",
    "max_discharge_power_kw": "Discharge power allowed by the BMS",
    "max_charge_current_a": "Charge current allowed by the BMS",
    "max_discharge_current_a": "Discharge current allowed by the BMS",
    "grid_kw": "Grid power",
    "grid_l1_kw": "Grid power, phase 1",
    "grid_l2_kw": "Grid power, phase 2",
    "grid_l3_kw": "Grid power, phase 3",
    "grid_voltage_l1_v": "Grid voltage, phase 1",
    "grid_voltage_l2_v": "Grid voltage, phase 2",
    "grid_voltage_l3_v": "Grid voltage, phase 3",
    "grid_frequency_hz": "Grid frequency",
    "pv_kw": "PV power",
    "load_kw": "Load",
    "battery_charged_kwh": "Battery energy charged",
    "battery_discharged_kwh": "Battery energy discharged",
    "grid_import_kwh": "Grid energy imported",
    "grid_export_kwh": "Grid energy exported",
    "pv_energy_kwh": "PV energy",
}


def discovery_topic(prefix: str, topics: Topics) -> str:
    """Return the topic of the discovery message; an empty message there removes the device."""
    return f"{prefix}/device/{_device_id(topics)}/config"


def status_topic(prefix: str) -> str:
    """Return the topic on which Home Assistant says that it came online."""
    return f"{prefix}/status"


def discovery_payload(
    snapshot: EngineSnapshot, topics: Topics, commands: frozenset[str] = frozenset()
) -> bytes:
    """Return the discovery message of a site.

    Only signals that some device supplies and commands that really work become entities.

    Args:
        snapshot: Gives site and signals.
        topics: The topics of the site.
        commands: Names of the commands that are carried out.
    """
    device_id = _device_id(topics)
    components: dict[str, Any] = {}
    for name in sorted(snapshot.image.samples):
        if name in _NAMES and name in SIGNALS:
            components[name] = _sensor(name, topics)
    components["engine_state"] = {
        "p": "sensor",
        "name": "State",
        "device_class": "enum",
        "options": [state.value for state in EngineState],
        "state_topic": topics.telemetry,
        "value_template": "{{ value_json.state }}",
        "expire_after": EXPIRE_AFTER_S,
    }
    components["setpoint_kw"] = {
        "p": "sensor",
        "name": "Battery setpoint",
        "device_class": "power",
        "state_class": "measurement",
        "unit_of_measurement": "kW",
        "state_topic": topics.state("setpoint"),
        "value_template": "{{ value_json.power_kw }}",
    }
    components["profit_24h_eur"] = {
        "p": "sensor",
        "name": "Expected profit, next 24 h",
        "device_class": "monetary",
        "unit_of_measurement": "EUR",
        "state_topic": topics.state("strategy"),
        "value_template": "{{ value_json.profit_24h_eur }}",
    }
    components["alarm"] = {
        "p": "binary_sensor",
        "name": "Alarm",
        "device_class": "problem",
        "state_topic": topics.state("alarms"),
        # A limit from outside (info) is no problem. Without the battery's alarm bits nobody can
        # say that there is none.
        "value_template": (
            "{{ 'ON' if value_json.severity in ('warning', 'alarm') "
            "else 'OFF' if value_json.known else 'None' }}"
        ),
        "json_attributes_topic": topics.state("alarms"),
    }
    components |= _commands(snapshot, topics, commands)
    for key, component in components.items():
        component["unique_id"] = f"{device_id}_{key}"
    simulated = " (simulated)" if snapshot.image.simulated else ""
    return json.dumps(
        {
            "dev": {
                "ids": [device_id],
                "name": f"{snapshot.site.name}{simulated}",
                "mf": "EMS Dash",
                "mdl": "Energy management system",
            },
            "o": {"name": "EMS Dash"},
            "availability": [
                {
                    "topic": topics.status,
                    "payload_available": ONLINE,
                    "payload_not_available": OFFLINE,
                }
            ],
            "qos": 1,
            "cmps": components,
        },
        allow_nan=False,
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def _sensor(name: str, topics: Topics) -> dict[str, Any]:
    signal = SIGNALS[name]
    sensor: dict[str, Any] = {
        "p": "sensor",
        "name": _NAMES[name],
        "state_topic": topics.telemetry,
        "value_template": f"{{{{ value_json.{name} }}}}",
        "unit_of_measurement": signal.unit,
        "state_class": "total_increasing" if signal.kind is Kind.COUNTER else "measurement",
        "expire_after": EXPIRE_AFTER_S,
    }
    device_class = "battery" if name == "soc_percent" else _DEVICE_CLASSES.get(signal.unit)
    if device_class is not None:
        sensor["device_class"] = device_class
    return sensor


def _commands(
    snapshot: EngineSnapshot, topics: Topics, commands: frozenset[str]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, allowed in command_table(snapshot.site).items():
        if name not in commands:
            continue
        topic = {"command_topic": topics.command(name), "qos": 1, "retain": False}
        label = name.removesuffix("_kw").replace("_", " ").capitalize()
        if isinstance(allowed, NumberRange):
            found[f"set_{name}"] = {
                "p": "number",
                "name": f"Set {label.lower()}",
                "min": allowed.low,
                "max": allowed.high,
                "unit_of_measurement": allowed.unit,
                "mode": "box",
                **topic,
            }
        elif name == "ack":
            found["set_ack"] = {
                "p": "button",
                "name": "Acknowledge alarms",
                "payload_press": "all",
                **topic,
            }
        else:
            found[f"set_{name}"] = {
                "p": "select",
                "name": label,
                "options": list(allowed.words),
                **topic,
            }
    return found


def _device_id(topics: Topics) -> str:
    return f"{topics.base_topic}_{topics.site_id}".replace("/", "_")

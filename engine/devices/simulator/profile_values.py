"""Values a simulated device shows: a small plant seen through the signals of a profile.

Canonical signals come from the demo plant; what a profile derives is split
back into the signals it is derived from, so that a client gets the plant's
value again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from engine.devices.derived_def import DerivedDef
from engine.devices.profile_def import DeviceKind, DeviceProfile
from engine.devices.simulator.battery import BatteryPhysics
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.domain.clock import Clock
from engine.domain.signals import EXTERNAL_CONTACT
from engine.domain.site import Battery

_HOME: Final = Battery(10.0, 5.0, 5.0, 0.96, 0.96, 5.0, 95.0)
_COMMERCIAL: Final = Battery(200.0, 100.0, 100.0, 0.96, 0.96, 5.0, 95.0)
_NOMINAL_V: Final = 230.0
_COUNTED_BEFORE_KWH: Final = {
    "grid_import_kwh": 2500.0,
    "grid_export_kwh": 1500.0,
    "battery_charged_kwh": 1200.0,
    "battery_discharged_kwh": 1100.0,
    "pv_energy_kwh": 4000.0,
}
"""Counters of a device that has run for a while; SunSpec takes a counter of 0 as "none"."""

_CONTACT_S = 90.0
"""The simulated contact is open and closed for this long each."""


class SimulatedSite:
    """A plant whose battery serves the load while nobody commands it (or the watchdog ran out).

    Args:
        profile: Decides the size: hybrid inverters get a 10 kWh battery, others 200 kWh.
        clock: Time of the plant.
    """

    def __init__(self, profile: DeviceProfile, clock: Clock) -> None:
        hybrid = DeviceKind.HYBRID in profile.kinds and DeviceKind.PCS not in profile.kinds
        self.battery = _HOME if hybrid else _COMMERCIAL
        physics = BatteryPhysics(cells_in_series=128 if hybrid else 240)
        self._size_kw = self.battery.power_discharge_max_kw
        self._clock = clock
        command = profile.commands.get("set_power_kw")
        watchdog_s = None if command is None else command.watchdog_s
        self._holds_s = math.inf if watchdog_s is None else watchdog_s
        self._command: tuple[float, float] | None = None
        limit = profile.commands.get("limit_power_kw")
        limit_watchdog_s = None if limit is None else limit.watchdog_s
        self._limit_holds_s = math.inf if limit_watchdog_s is None else limit_watchdog_s
        self._limit: tuple[float, float] | None = None
        self.plant = DemoPlant(
            DemoParameters(self.battery, physics, pv_rated_kw=self._size_kw),
            self._load_kw,
            self._pv_kw,
            clock,
        )

    def command(self, power_kw: float) -> bool:
        """Give the battery a setpoint (+ discharge); False when it does not accept it."""
        accepted = self.plant.set_power_kw(power_kw)
        if accepted:
            self._command = power_kw, self._clock.monotonic()
        return accepted

    def release(self) -> None:
        """Let the battery serve the load again."""
        self._command = None

    def limit(self, limit_kw: float | None) -> bool:
        """Give PV a limit, or None for none; False when it does not accept it."""
        if limit_kw is None:
            self._limit = None
            return self.plant.switch_pv_limit(False)
        if not self.plant.set_pv_limit_kw(limit_kw):
            return False
        self._limit = limit_kw, self._clock.monotonic()
        return self.plant.switch_pv_limit(True)

    def _keep_limit(self) -> None:
        """Repeat a limit for the plant, whose own watchdog is not that of the profile."""
        if self._limit is None:
            return
        limit_kw, since_s = self._limit
        if self._clock.monotonic() - since_s > self._limit_holds_s:
            self.limit(None)
        else:
            self.plant.set_pv_limit_kw(limit_kw)
            self.plant.switch_pv_limit(True)

    def values(self) -> dict[str, float]:
        """Return canonical signals, alarms and the common signals profiles have besides."""
        now = self._clock.now()
        wanted_kw = 0.8 * (self._load_kw(now) - self._pv_kw(now))
        if self._command is not None:
            power_kw, since_s = self._command
            if self._clock.monotonic() - since_s <= self._holds_s:
                wanted_kw = power_kw
        # The converter of the plant has a watchdog of its own and needs a setpoint every time.
        self.plant.set_power_kw(max(-self._size_kw, min(self._size_kw, wanted_kw)))
        self._keep_limit()
        self.plant.advance()
        plant = self.plant
        values = {
            **plant.bms_values(),
            **plant.pcs_values(),
            **plant.meter_values(),
            **plant.pv_values(),
        }
        for counter, before_kwh in _COUNTED_BEFORE_KWH.items():
            values[counter] += before_kwh
        frequency_hz = 50.0 + 0.02 * math.sin(now.timestamp() / 17.0)
        load_kw = values["grid_kw"] + values["pv_kw"] + values["battery_kw"]
        values |= {"load_kw": load_kw, "consumption_kw": load_kw}
        values["grid_frequency_hz"] = frequency_hz
        values[EXTERNAL_CONTACT] = float(now.timestamp() // _CONTACT_S % 2)
        for phase in (1, 2, 3):
            voltage_v = _NOMINAL_V + 1.5 * math.sin(now.timestamp() / 23.0 + phase)
            power_kw = values["grid_kw"] / 3.0
            values[f"grid_l{phase}_kw"] = power_kw
            values[f"grid_voltage_l{phase}_v"] = voltage_v
            values[f"grid_current_l{phase}_a"] = 1000.0 * abs(power_kw) / voltage_v
            values[f"consumption_l{phase}_kw"] = load_kw / 3.0
        values |= self._further(values, frequency_hz)
        return values

    def _further(self, values: Mapping[str, float], frequency_hz: float) -> dict[str, float]:
        """Return signals that profiles have under names of their own."""
        battery_kw, capacity_kwh = values["battery_kw"], self.battery.energy_capacity_kwh
        ac_kw = battery_kw + values["pv_kw"]
        cell_v = values["voltage_v"] / (240.0 if capacity_kwh > 100.0 else 128.0)
        nameplate_kw = self.battery.power_discharge_max_kw
        same = {
            "ac_power_kw": ac_kw,
            "hybrid_ac_power_kw": ac_kw,
            "ess_active_power_kw": battery_kw,
            "active_power_setpoint_kw": values["battery_setpoint_kw"],
            "battery_available_energy_kwh": capacity_kwh * values["soc_percent"] / 100.0,
            "battery_capacity_kwh": capacity_kwh,
            "battery_max_energy_kwh": capacity_kwh,
            "battery_rated_energy_kwh": capacity_kwh,
            "battery_rated_power_kw": nameplate_kw,
            "rated_power_kw": nameplate_kw,
            "max_power_setting_kw": nameplate_kw,
            "dc_charged_kwh": values["battery_charged_kwh"],
            "dc_discharged_kwh": values["battery_discharged_kwh"],
            "inverter_temperature_c": values["temperature_c"] + 10.0,
            "pcs_temperature_c": values["temperature_c"] + 10.0,
            "max_cell_temperature_c": values["temperature_c"] + 1.0,
            "min_cell_temperature_c": values["temperature_c"] - 1.0,
            "max_cell_voltage_v": cell_v + 0.005,
            "min_cell_voltage_v": cell_v - 0.005,
            "max_charge_voltage_v": values["voltage_v"] * 1.08,
            "min_discharge_voltage_v": values["voltage_v"] * 0.85,
            "max_soc_setting_percent": 95.0,
            "min_soc_setting_percent": 5.0,
            "power_limit_percent": 100.0,
            "pcs_voltage_l1_v": values["grid_voltage_l1_v"],
            "pcs_current_l1_a": 1000.0 * abs(battery_kw) / 3.0 / _NOMINAL_V,
        }
        ones = ("running", "grid_mode", "meter_status", "power_multiplier")
        dc = ("dc_power_kw", "battery_dc_power_kw")
        currents = ("dc_current_a", "battery_current_a", "battery_dc_current_a")
        return {
            **same,
            **dict.fromkeys(ones, 1.0),
            **dict.fromkeys(dc, battery_kw),
            **dict.fromkeys(currents, values["current_a"]),
            **dict.fromkeys(("inverter_frequency_hz", "pcs_frequency_hz"), frequency_hz),
            "dc_voltage_v": values["voltage_v"],
            "ems_timeout_s": 60.0,
        }

    def _load_kw(self, ts: datetime) -> float:
        seconds = ts.timestamp()
        wave = 0.5 + 0.3 * math.sin(seconds / 61.0) + 0.1 * math.sin(seconds / 7.0)
        return self._size_kw * wave

    def _pv_kw(self, ts: datetime) -> float:
        hour = ts.hour + ts.minute / 60.0 + ts.second / 3600.0
        height = math.sin(math.pi * (hour - 6.0) / 12.0)
        clouds = 0.85 + 0.15 * math.sin(ts.timestamp() / 41.0)
        return self._size_kw * max(0.0, height) * clouds


def split_derived(rules: Mapping[str, DerivedDef], values: Mapping[str, float]) -> dict[str, float]:
    """Return `values` with the inputs of every derived signal added, so that it comes out again.

    Inputs that are there already are kept; a derived signal without a value is left alone.
    """
    known = dict(values)
    for signal, rule in reversed(list(rules.items())):
        if signal not in known:
            continue
        target = known[signal] / rule.scale
        open_inputs = [name for name in rule.inputs if name not in known]
        if rule.first:
            known |= dict.fromkeys(open_inputs, target)
        elif rule.product:
            known |= _split_product(rule, open_inputs, target, known)
        else:
            known |= _split_sum(rule, open_inputs, target, known)
    return known


def _split_product(
    rule: DerivedDef, open_inputs: list[str], target: float, known: Mapping[str, float]
) -> dict[str, float]:
    directions = [name for name in open_inputs if name.endswith("_direction")]
    if directions:
        found = dict.fromkeys(open_inputs, abs(target))
        found[directions[0]] = math.copysign(1.0, target) if target else 0.0
        return found
    if len(open_inputs) != 1:
        return {}
    others = math.prod(known[name] for name in rule.product if name in known)
    return {open_inputs[0]: target / others if others else 0.0}


def _split_sum(
    rule: DerivedDef, open_inputs: list[str], target: float, known: Mapping[str, float]
) -> dict[str, float]:
    rest = target - math.fsum(f * known[name] for name, f in rule.sum.items() if name in known)
    suitable = [name for name in open_inputs if rule.sum[name] * rest > 0]
    found = dict.fromkeys(open_inputs, 0.0)
    for name in suitable:
        found[name] = rest / rule.sum[name] / len(suitable)
    return found

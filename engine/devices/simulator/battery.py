"""Physics of the simulated battery and its management system.

Energy balance (the definition of the efficiencies in `engine.domain.site.Battery`):
``stored change = eta_charge * AC charged - AC discharged / eta_discharge - standby``.
The rest (temperature, voltage, fade, derating) is first-order and sized from the
nameplate, so that any battery of the configuration behaves plausibly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from engine.domain.site import Battery

_OCV_CURVE: Final = (
    (0.0, 2.80),
    (3.0, 3.10),
    (10.0, 3.20),
    (30.0, 3.27),
    (60.0, 3.30),
    (90.0, 3.33),
    (97.0, 3.36),
    (100.0, 3.45),
)
"""Open-circuit voltage of a lithium iron phosphate cell over SoC (our own rounded shape)."""


@dataclass(frozen=True, slots=True)
class BatteryPhysics:
    """What the nameplate does not say; the defaults make a container-like LFP battery.

    Attributes:
        cells_in_series: Cells that make up the DC voltage.
        taper_percent: Limits fall linearly to 0 over this much SoC at either end.
        release_percent: After full (or empty), the direction stays blocked until SoC has moved
            this far away from the end.
        heat_capacity_kj_per_k_kwh: Heat capacity per kWh of energy capacity.
        cooling_w_per_k_kwh: Heat flow to the surroundings per K and kWh of energy capacity.
        ambient_c: Temperature of the surroundings.
        charge_from_c: Below it no charging; full power from `charge_full_from_c`.
        charge_full_from_c: Charging is not limited by cold above it.
        derate_from_c: Both directions lose power above it.
        derate_to_c: Neither direction has power above it.
        fade_per_cycle: Share of the capacity lost per full equivalent cycle.
        insulation_kohm: Insulation resistance at 25 °C.
        insulation_fault_kohm: Below it the BMS reports a fault.
        initialising_s: How long the BMS starts up after a fault was cleared.
    """

    cells_in_series: int = 240
    taper_percent: float = 3.0
    release_percent: float = 1.0
    heat_capacity_kj_per_k_kwh: float = 8.0
    cooling_w_per_k_kwh: float = 1.0
    ambient_c: float = 22.0
    charge_from_c: float = 0.0
    charge_full_from_c: float = 10.0
    derate_from_c: float = 45.0
    derate_to_c: float = 55.0
    fade_per_cycle: float = 0.2 / 6000.0
    insulation_kohm: float = 2000.0
    insulation_fault_kohm: float = 50.0
    initialising_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Flows:
    """Energy of one step, all kWh and >= 0.

    Attributes:
        charged_kwh: AC energy taken.
        discharged_kwh: AC energy given.
        conversion_loss_kwh: Lost on the way in or out.
        standby_kwh: Drawn from the stored energy.
    """

    charged_kwh: float
    discharged_kwh: float
    conversion_loss_kwh: float
    standby_kwh: float


class SimulatedBattery:
    """Stored energy, temperature and limits of the battery.

    Args:
        battery: Nameplate.
        physics: What the nameplate does not say.
        soc_percent: State of charge at the start, 0..100.

    Raises:
        ValueError: The start SoC lies outside 0..100.
    """

    def __init__(self, battery: Battery, physics: BatteryPhysics, soc_percent: float) -> None:
        if not 0.0 <= soc_percent <= 100.0:
            raise ValueError(f"soc_percent must lie in 0..100 (got {soc_percent})")
        self._battery = battery
        self._physics = physics
        self.capacity_kwh = battery.energy_capacity_kwh
        self.stored_kwh = battery.energy_capacity_kwh * soc_percent / 100.0
        self.temperature_c = physics.ambient_c
        self._full = soc_percent >= 100.0
        self._empty = soc_percent <= 0.0
        # Losses are split evenly between converter and battery: sqrt(eta) each.
        self._battery_share_charge = math.sqrt(battery.efficiency_charge)
        self._battery_share_discharge = math.sqrt(battery.efficiency_discharge)
        self._heat_kwh_per_k = (
            physics.heat_capacity_kj_per_k_kwh * battery.energy_capacity_kwh / 3600.0
        )
        self._cooling_kw_per_k = physics.cooling_w_per_k_kwh * battery.energy_capacity_kwh / 1000.0
        self._fade_per_stored_kwh = physics.fade_per_cycle / 2.0
        self._resistance_ohm = self._sized_resistance_ohm()

    @property
    def soc_percent(self) -> float:
        """Stored energy as a share of the present capacity, 0..100."""
        return min(100.0, max(0.0, 100.0 * self.stored_kwh / self.capacity_kwh))

    @property
    def soh_percent(self) -> float:
        """Present capacity as a share of the nameplate."""
        return 100.0 * self.capacity_kwh / self._battery.energy_capacity_kwh

    def limits_kw(self) -> tuple[float, float]:
        """Return the (charge, discharge) power the battery can take now, kW, >= 0."""
        physics = self._physics
        soc = self.soc_percent
        warm = 1.0
        if self.temperature_c > physics.derate_from_c:
            span = physics.derate_to_c - physics.derate_from_c
            warm = max(0.0, (physics.derate_to_c - self.temperature_c) / span)
        cold = 1.0
        if self.temperature_c < physics.charge_full_from_c:
            span = physics.charge_full_from_c - physics.charge_from_c
            cold = max(0.0, (self.temperature_c - physics.charge_from_c) / span)
        charge = discharge = 0.0
        if not self._full:
            taper = min(1.0, (100.0 - soc) / physics.taper_percent)
            charge = self._battery.power_charge_max_kw * taper * min(warm, cold)
        if not self._empty:
            taper = min(1.0, soc / physics.taper_percent)
            discharge = self._battery.power_discharge_max_kw * taper * warm
        return charge, discharge

    def possible_kw(self, hours: float) -> tuple[float, float]:
        """Return the (charge, discharge) power that cannot overfill or empty it within `hours`."""
        battery = self._battery
        # Fade shrinks the room while energy goes in.
        room = (self.capacity_kwh - self.stored_kwh) / (1.0 + self._fade_per_stored_kwh)
        charge = max(0.0, room) / hours / battery.efficiency_charge
        spare = self.stored_kwh / hours - battery.standby_loss_kw
        return charge, max(0.0, spare) * battery.efficiency_discharge

    def step(self, power_kw: float, hours: float) -> Flows:
        """Move `power_kw` (AC, + discharge) for `hours`; the caller keeps it possible."""
        battery = self._battery
        charged = discharged = into = out_of = 0.0
        if power_kw < 0.0:
            charged = -power_kw * hours
            into = charged * battery.efficiency_charge
            lost = charged - into
            heat = charged * self._battery_share_charge - into
        else:
            discharged = power_kw * hours
            out_of = discharged / battery.efficiency_discharge
            lost = out_of - discharged
            heat = out_of - discharged / self._battery_share_discharge
        standby = min(battery.standby_loss_kw * hours, self.stored_kwh + into - out_of)
        standby = max(0.0, standby)
        self.stored_kwh = max(0.0, self.stored_kwh + into - out_of - standby)
        self.capacity_kwh -= self._fade_per_stored_kwh * (into + out_of)
        cooling = self._cooling_kw_per_k * (self.temperature_c - self._physics.ambient_c) * hours
        self.temperature_c += (heat + standby - cooling) / self._heat_kwh_per_k
        self._latch_ends()
        return Flows(charged, discharged, lost, standby)

    def electrical(self, power_kw: float) -> tuple[float, float]:
        """Return (DC voltage in V, DC current in A, + discharge) at AC power `power_kw`.

        Solves ``P = (OCV - I R) I`` for the current.
        """
        if power_kw < 0.0:
            dc_kw = power_kw * self._battery_share_charge
        else:
            dc_kw = power_kw / self._battery_share_discharge
        ocv = self.open_circuit_v()
        resistance = self._resistance_ohm
        if resistance == 0.0:
            return ocv, 1000.0 * dc_kw / ocv
        root = math.sqrt(max(0.0, ocv * ocv - 4.0 * resistance * 1000.0 * dc_kw))
        current = (ocv - root) / (2.0 * resistance)
        return ocv - current * resistance, current

    def open_circuit_v(self) -> float:
        """Return the open-circuit DC voltage at the present SoC."""
        soc = self.soc_percent
        for (low, low_v), (high, high_v) in pairwise(_OCV_CURVE):
            if soc <= high:
                cell = low_v + (high_v - low_v) * (soc - low) / (high - low)
                return cell * self._physics.cells_in_series
        return _OCV_CURVE[-1][1] * self._physics.cells_in_series

    def insulation_kohm(self) -> float:
        """Return the insulation resistance; it falls by 0.5 % per K."""
        return max(0.0, self._physics.insulation_kohm * (1.0 - 0.005 * (self.temperature_c - 25.0)))

    def _sized_resistance_ohm(self) -> float:
        """Resistance whose loss at rated discharge is the battery's share of the losses."""
        rated_kw = self._battery.power_discharge_max_kw
        if rated_kw <= 0.0:
            return 0.0
        loss_kw = rated_kw * (1.0 - self._battery_share_discharge)
        current_a = 1000.0 * rated_kw / (3.3 * self._physics.cells_in_series)
        return 1000.0 * loss_kw / (current_a * current_a)

    def _latch_ends(self) -> None:
        soc = self.soc_percent
        if soc >= 99.99:
            self._full = True
        elif soc < 100.0 - self._physics.release_percent:
            self._full = False
        if soc <= 0.01:
            self._empty = True
        elif soc > self._physics.release_percent:
            self._empty = False

"""The simulated battery management system: what the battery allows, and what it reports."""

from __future__ import annotations

from engine.devices.simulator.battery import BatteryPhysics, SimulatedBattery
from engine.devices.simulator.faults import PlantFaults
from engine.domain.signals import ALARMS


class SimulatedBms:
    """Limits, status code and alarms from the state of the battery and injected faults.

    Args:
        battery: The battery it watches.
        physics: Insulation threshold and start-up time.
        faults: Injected faults.
    """

    def __init__(
        self, battery: SimulatedBattery, physics: BatteryPhysics, faults: PlantFaults
    ) -> None:
        self._battery = battery
        self._physics = physics
        self._faults = faults
        self._was_faulty = False
        self._ready_at_us = 0
        self._initialising = False
        self.charge_kw, self.discharge_kw = battery.limits_kw()

    def refresh(self, now_us: int) -> None:
        """Work out what is allowed now; reductions act at once."""
        faults = self._faults
        faulty = self.faulty
        if self._was_faulty and not faulty:
            self._ready_at_us = now_us + round(self._physics.initialising_s * 1_000_000)
        self._was_faulty = faulty
        self._initialising = now_us < self._ready_at_us
        if faulty or self._initialising:
            self.charge_kw = self.discharge_kw = 0.0
            return
        charge, discharge = self._battery.limits_kw()
        if faults.charge_limit_kw is not None:
            charge = min(charge, max(0.0, faults.charge_limit_kw))
        if faults.discharge_limit_kw is not None:
            discharge = min(discharge, max(0.0, faults.discharge_limit_kw))
        self.charge_kw = 0.0 if faults.charge_prohibited else charge
        self.discharge_kw = 0.0 if faults.discharge_prohibited else discharge

    @property
    def faulty(self) -> bool:
        """True while any system fault is present."""
        faults = self._faults
        return (
            faults.bms_fault
            or faults.contactor_abnormal_open
            or faults.contactor_abnormal_closed
            or self.insulation_kohm < self._physics.insulation_fault_kohm
        )

    @property
    def insulation_kohm(self) -> float:
        """Insulation resistance as measured."""
        injected = self._faults.insulation_kohm
        return self._battery.insulation_kohm() if injected is None else injected

    def status_code(self, power_kw: float, idle_kw: float) -> int:
        """Return the status code; what is forbidden is told before what is going on.

        Args:
            power_kw: AC power, + discharge.
            idle_kw: Power below which the battery counts as neither charging nor discharging.
        """
        if self._was_faulty:
            return 8
        if self._initialising:
            return 0
        no_charge, no_discharge = self.charge_kw <= 0.0, self.discharge_kw <= 0.0
        if no_charge or no_discharge:
            return 7 if no_charge and no_discharge else 5 if no_charge else 6
        if abs(power_kw) < idle_kw:
            return 3
        return 2 if power_kw > 0.0 else 1

    def alarms(self) -> dict[str, bool]:
        """Return every alarm of `ALARMS` with whether it is active."""
        active = {
            "contactor_abnormal_open": self._faults.contactor_abnormal_open,
            "contactor_abnormal_closed": self._faults.contactor_abnormal_closed,
            "charge_prohibited": self.charge_kw <= 0.0,
            "discharge_prohibited": self.discharge_kw <= 0.0,
            "system_fault": self._was_faulty,
        }
        return {name: active[name] for name in ALARMS}

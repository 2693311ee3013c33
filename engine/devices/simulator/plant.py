"""The demo plant: battery, converter, PV and load behind one grid meter."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from engine.devices.simulator.accounting import Bookkeeper, PlantTruth
from engine.devices.simulator.battery import BatteryPhysics, SimulatedBattery
from engine.devices.simulator.bms import SimulatedBms
from engine.devices.simulator.faults import PlantFaults
from engine.devices.simulator.pcs import SECOND_US, PcsPhysics, SimulatedPcs
from engine.devices.simulator.pv import SimulatedPv
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError
from engine.domain.site import Battery

_HOUR_US: Final = 3600 * SECOND_US
_QUARTER_US: Final = 900 * SECOND_US


@dataclass(frozen=True, slots=True)
class DemoParameters:
    """What the demo plant is made of.

    Attributes:
        battery: Nameplate; its SoC window is the plan's business, the plant allows 0..100 %.
        physics: Battery behaviour beyond the nameplate.
        pcs: Behaviour of the converter.
        pv_rated_kw: Nameplate of the PV inverter, > 0. It bounds the limits the inverter takes,
            not what the sun gives.
    """

    battery: Battery
    physics: BatteryPhysics = field(default_factory=BatteryPhysics)
    pcs: PcsPhysics = field(default_factory=PcsPhysics)
    pv_rated_kw: float = 1000.0


class DemoPlant:
    """Simulates the plant up to the clock's time, in steps of at most 1 s.

    All methods may be called by any thread. A clock that jumps back stands still for the plant.

    Args:
        parameters: What it is made of.
        load_kw: Site load at a time (UTC), kW, >= 0.
        pv_kw: PV power at a time (UTC) without a limit, kW, >= 0.
        clock: Decides how far `advance` goes.
        soc_percent: State of charge at the start, 0..100.

    Attributes:
        faults: Switches to inject faults.
    """

    def __init__(
        self,
        parameters: DemoParameters,
        load_kw: Callable[[datetime], float],
        pv_kw: Callable[[datetime], float],
        clock: Clock,
        soc_percent: float = 50.0,
    ) -> None:
        nameplate = parameters.battery
        self.faults = PlantFaults()
        self._load_kw = load_kw
        self._pv_kw = pv_kw
        self._clock = clock
        self._lock = threading.RLock()
        self._battery = SimulatedBattery(nameplate, parameters.physics, soc_percent)
        self._bms = SimulatedBms(self._battery, parameters.physics, self.faults)
        self._pcs = SimulatedPcs(
            nameplate.power_charge_max_kw, nameplate.power_discharge_max_kw, parameters.pcs
        )
        self._pv = SimulatedPv(parameters.pv_rated_kw)
        self._idle_kw = 0.001 * max(nameplate.power_charge_max_kw, nameplate.power_discharge_max_kw)
        start = clock.now().astimezone(UTC)
        self._origin = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0)
        self._now_us = (start - self._origin) // timedelta(microseconds=1)
        self._books = Bookkeeper(start, self._origin, self._battery.stored_kwh)
        self._import_kwh = 0.0
        self._export_kwh = 0.0
        self._pv_kwh = 0.0
        self._load_now_kw = 0.0
        self._pv_now_kw = 0.0
        self._frozen_meter: Mapping[str, float] | None = None
        self.advance()

    def advance(self) -> None:
        """Simulate up to the clock's time.

        Raises:
            DeviceError: `load_kw` or `pv_kw` returned a negative or non-finite number.
        """
        with self._lock:
            target_us = (self._clock.now() - self._origin) // timedelta(microseconds=1)
            self._bms.refresh(self._now_us)
            while self._now_us < target_us:
                self._step(target_us)
            self._pcs.limit(self._bms.charge_kw, self._bms.discharge_kw)
            self._pv.expire(self._now_us)
            self._load_now_kw, available_kw = self._site_kw(self._now_us)
            self._pv_now_kw = self._generated_kw(available_kw)

    def set_power_kw(self, power_kw: float) -> bool:
        """Give the converter a setpoint (+ discharge); False when it does not accept it."""
        with self._lock:
            self.advance()
            if self.faults.setpoints_refused or not self._pcs.accepts(power_kw):
                return False
            if not self.faults.setpoints_ignored:
                self._pcs.set_power_kw(power_kw, self._now_us)
            return True

    def set_pv_limit_kw(self, limit_kw: float) -> bool:
        """Give the PV inverter the value of a limit; False when it does not accept it."""
        with self._lock:
            self.advance()
            if self.faults.pv_limits_refused or not self._pv.accepts(limit_kw):
                return False
            self._pv.set_limit_kw(limit_kw, self._now_us)
            self.advance()
            return True

    def switch_pv_limit(self, limited: bool) -> bool:
        """Switch the limit of the PV inverter on or off; False when it does not accept that."""
        with self._lock:
            self.advance()
            if self.faults.pv_limits_refused:
                return False
            self._pv.switch(limited, self._now_us)
            self.advance()
            return True

    @property
    def truth(self) -> PlantTruth:
        """What really happened so far, independent of all registers."""
        with self._lock:
            return self._books.truth()

    @property
    def now(self) -> datetime:
        """Time the plant was simulated to, UTC."""
        return self._origin + timedelta(microseconds=self._now_us)

    def bms_values(self) -> Mapping[str, float]:
        """Return the signals and alarms (0 or 1) of the battery management system."""
        with self._lock:
            battery, bms, power_kw = self._battery, self._bms, self._pcs.power_kw
            voltage_v, current_a = battery.electrical(power_kw)
            alarms = {name: float(active) for name, active in bms.alarms().items()}
            return {
                "soc_percent": battery.soc_percent,
                "soh_percent": battery.soh_percent,
                "voltage_v": voltage_v,
                "current_a": current_a,
                "temperature_c": battery.temperature_c,
                "insulation_resistance_kohm": bms.insulation_kohm,
                "status_code": float(bms.status_code(power_kw, self._idle_kw)),
                "max_charge_power_kw": bms.charge_kw,
                "max_discharge_power_kw": bms.discharge_kw,
                "max_charge_current_a": 1000.0 * bms.charge_kw / voltage_v,
                "max_discharge_current_a": 1000.0 * bms.discharge_kw / voltage_v,
                **alarms,
            }

    def pcs_values(self) -> Mapping[str, float]:
        """Return the signals of the converter."""
        with self._lock:
            pcs = self._pcs
            return {
                "battery_kw": pcs.power_kw,
                "battery_setpoint_kw": pcs.setpoint_kw,
                "rated_charge_power_kw": pcs.rated_charge_kw,
                "rated_discharge_power_kw": pcs.rated_discharge_kw,
                "battery_charged_kwh": pcs.charged_kwh,
                "battery_discharged_kwh": pcs.discharged_kwh,
                "conversion_loss_kwh": pcs.conversion_loss_kwh,
            }

    def meter_values(self) -> Mapping[str, float]:
        """Return the signals of the grid meter; it closes the balance of the site."""
        with self._lock:
            if not self.faults.meter_frozen:
                self._frozen_meter = None
            elif self._frozen_meter is not None:
                return self._frozen_meter
            values = {
                "grid_kw": self._load_now_kw - self._pv_now_kw - self._pcs.power_kw,
                "grid_import_kwh": self._import_kwh,
                "grid_export_kwh": self._export_kwh,
            }
            if self.faults.meter_frozen:
                self._frozen_meter = values
            return values

    def pv_values(self) -> Mapping[str, float]:
        """Return the signals of the PV inverter."""
        with self._lock:
            return {
                "pv_kw": self._pv_now_kw,
                "pv_energy_kwh": self._pv_kwh,
                "rated_pv_power_kw": self._pv.rated_kw,
                "pv_limit_kw": self._pv.limit_kw,
                "pv_limited": float(self._pv.limited),
            }

    def _generated_kw(self, available_kw: float) -> float:
        if self.faults.pv_limits_ineffective:
            return available_kw
        return self._pv.generated_kw(available_kw)

    def _site_kw(self, at_us: int) -> tuple[float, float]:
        ts = self._origin + timedelta(microseconds=at_us)
        load, pv = self._load_kw(ts), self._pv_kw(ts)
        if not (0.0 <= load < math.inf and 0.0 <= pv < math.inf):
            raise DeviceError(
                f"the demo plant needs load and PV of at least 0 kW (got {load!r}, {pv!r}).",
                field="load_kw",
                value=(load, pv),
                hint=f"Check the series at {ts.isoformat()}.",
            )
        return load, pv

    def _step(self, target_us: int) -> None:
        now_us = self._now_us
        quarter = now_us // _QUARTER_US
        dt_us = min(SECOND_US, target_us - now_us, (quarter + 1) * _QUARTER_US - now_us)
        self._pv.expire(now_us)
        dt_us = self._pv.piece_us(now_us, dt_us)
        battery, bms, pcs = self._battery, self._bms, self._pcs
        possible_charge, possible_discharge = battery.possible_kw(dt_us / _HOUR_US)
        charge = min(bms.charge_kw, possible_charge)
        discharge = min(bms.discharge_kw, possible_discharge)
        pcs.limit(charge, discharge)
        dt_us, mean_kw, end_kw = pcs.plan(now_us, dt_us, charge, discharge)
        load_kw, available_kw = self._site_kw(now_us + dt_us // 2)
        pv_kw = self._generated_kw(available_kw)
        hours = dt_us / _HOUR_US
        flows = battery.step(mean_kw, hours)
        pcs.count(flows, end_kw)
        self._count_meter(hours, load_kw, pv_kw, flows.discharged_kwh - flows.charged_kwh)
        self._books.book(
            quarter,
            hours=hours,
            load_kwh=load_kw * hours,
            pv_kwh=pv_kw * hours,
            curtailed_kwh=(available_kw - pv_kw) * hours,
            flows=flows,
            stored_kwh=battery.stored_kwh,
        )
        self._now_us = now_us + dt_us
        bms.refresh(self._now_us)

    def _count_meter(self, hours: float, load_kw: float, pv_kw: float, battery_kwh: float) -> None:
        grid_kwh = (load_kw - pv_kw) * hours - battery_kwh
        if grid_kwh > 0.0:
            self._import_kwh += grid_kwh
        else:
            self._export_kwh -= grid_kwh
        self._pv_kwh += pv_kw * hours

"""The simulated power conversion system: follows a setpoint as a converter does.

Dead time, then a ramp; the BMS limits and the nameplate cut at once; without a
fresh setpoint for the watchdog time it ramps to 0. Times are whole microseconds
since the plant's origin, so that boundaries are met exactly.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from engine.devices.simulator.battery import Flows

SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class PcsPhysics:
    """Behaviour of the converter.

    Attributes:
        dead_time_s: From receiving a setpoint to acting on it.
        ramp_percent_per_s: Change per second as a share of the larger nameplate power.
        watchdog_s: Without a setpoint for this long the power goes to 0.
    """

    dead_time_s: float = 0.2
    ramp_percent_per_s: float = 50.0
    watchdog_s: float = 60.0


class SimulatedPcs:
    """Power, setpoint and counters of the converter.

    Args:
        rated_charge_kw: Nameplate charge power, >= 0.
        rated_discharge_kw: Nameplate discharge power, >= 0.
        physics: Dead time, ramp and watchdog.
    """

    def __init__(
        self, rated_charge_kw: float, rated_discharge_kw: float, physics: PcsPhysics
    ) -> None:
        self.rated_charge_kw = rated_charge_kw
        self.rated_discharge_kw = rated_discharge_kw
        self.power_kw = 0.0
        self.setpoint_kw = 0.0
        self.charged_kwh = 0.0
        self.discharged_kwh = 0.0
        self.conversion_loss_kwh = 0.0
        rated_kw = max(rated_charge_kw, rated_discharge_kw)
        self._ramp_kw_per_us = rated_kw * physics.ramp_percent_per_s / 100.0 / SECOND_US
        self._dead_time_us = round(physics.dead_time_s * SECOND_US)
        self._watchdog_us = round(physics.watchdog_s * SECOND_US)
        self._target_kw = 0.0
        self._accepted: deque[tuple[int, float]] = deque()
        self._watchdog_at_us: int | None = None

    def accepts(self, power_kw: float) -> bool:
        """True when `power_kw` (+ discharge) lies within the nameplate."""
        return -self.rated_charge_kw <= power_kw <= self.rated_discharge_kw

    def set_power_kw(self, power_kw: float, now_us: int) -> None:
        """Take a setpoint at `now_us`; it acts after the dead time."""
        self.setpoint_kw = power_kw
        self._accepted.append((now_us + self._dead_time_us, power_kw))
        self._watchdog_at_us = now_us + self._watchdog_us

    def limit(self, charge_kw: float, discharge_kw: float) -> None:
        """Cut the present power to what is allowed now; this needs no ramp."""
        self.power_kw = min(max(self.power_kw, -charge_kw), discharge_kw)

    def plan(
        self, now_us: int, dt_us: int, charge_kw: float, discharge_kw: float
    ) -> tuple[int, float, float]:
        """Return length, mean power and end power of the next piece; it never crosses 0 kW.

        A piece is a ramp and what is left of its time at the power reached.

        Args:
            now_us: Start of the piece.
            dt_us: Longest allowed piece, > 0.
            charge_kw: Charge power the battery can take, >= 0.
            discharge_kw: Discharge power the battery can give, >= 0.
        """
        accepted = self._accepted
        while accepted and accepted[0][0] <= now_us:
            self._target_kw = accepted.popleft()[1]
        if accepted:
            dt_us = min(dt_us, accepted[0][0] - now_us)
        expiry_us = self._watchdog_at_us
        if expiry_us is not None:
            if expiry_us <= now_us:
                self.setpoint_kw = self._target_kw = 0.0
                accepted.clear()
                self._watchdog_at_us = None
            else:
                dt_us = min(dt_us, expiry_us - now_us)
        power = self.power_kw
        target = max(
            -min(charge_kw, self.rated_charge_kw),
            min(self._target_kw, discharge_kw, self.rated_discharge_kw),
        )
        if target == power:
            return dt_us, power, power
        crossing = power * target < 0.0
        if crossing:
            # Charging and discharging have different losses, so a piece ends where power is 0.
            target = 0.0
        needed_us = abs(target - power) / self._ramp_kw_per_us
        if needed_us > dt_us:
            change = self._ramp_kw_per_us * dt_us
            end = power + change if target > power else power - change
            return dt_us, (power + end) / 2.0, end
        if crossing:
            dt_us = min(dt_us, math.ceil(needed_us))
        mean = target + (power - target) * needed_us / (2.0 * dt_us)
        return dt_us, mean, target

    def count(self, flows: Flows, power_kw: float) -> None:
        """Book a piece that ended at `power_kw`."""
        self.power_kw = power_kw
        self.charged_kwh += flows.charged_kwh
        self.discharged_kwh += flows.discharged_kwh
        self.conversion_loss_kwh += flows.conversion_loss_kwh

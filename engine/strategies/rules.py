"""Classical rule-based battery controllers: what every strategy is measured against.

Each is a causal step controller as inverters and simple energy managers have it: it sees
the load and PV of the running step, the stored energy and, for the tariff rule, the
published prices of the running day. It never sees a forecast. Signs: + discharge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import Protocol

import numpy as np

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.instance import Instance


@dataclass(frozen=True, slots=True, eq=False)
class RuleState:
    """What a rule sees in one step.

    Attributes:
        local_time: Local wall time of the start of the step.
        net_load_kw: Load minus PV in this step; what the meter shows without the battery.
        past_net_load_kw: The same for the earlier steps, newest last, shape (k,), k >= 0.
        energy_kwh: Stored energy at the start of the step.
        day_buy_eur_per_kwh: Published purchase prices of the running local day, shape (m,).
        day_sell_eur_per_kwh: Published feed-in prices of it, shape (m,).
        step_of_day: Index of the running step within the day's prices.
    """

    local_time: time
    net_load_kw: float
    past_net_load_kw: FloatArray
    energy_kwh: float
    day_buy_eur_per_kwh: FloatArray
    day_sell_eur_per_kwh: FloatArray
    step_of_day: int


class Rule(Protocol):
    """A causal step controller."""

    def __call__(self, state: RuleState) -> float:
        """Return the wanted battery power in kW, + discharge, - charge.

        Limits of the battery and the connection are the plant's business: the simulator
        cuts what is impossible, as an inverter would.
        """
        ...


class SelfConsumptionRule:
    """Store every surplus, serve every deficit, as soon as it comes."""

    def __call__(self, state: RuleState) -> float:
        return state.net_load_kw


class PeakShavingRule:
    """Serve what exceeds the target; refill from below a second, lower threshold.

    Args:
        target_kw: Import never to be exceeded while energy lasts, >= 0.
        recharge_below_kw: Import up to which the store may refill, 0..`target_kw`; None for
            80 % of the target, the gap that keeps the rule from working against itself.
    """

    def __init__(self, target_kw: float, recharge_below_kw: float | None = None) -> None:
        below_kw = 0.8 * target_kw if recharge_below_kw is None else recharge_below_kw
        if not 0.0 <= below_kw <= target_kw:
            raise OptimizationError(
                f"{below_kw:g} kW does not lie between 0 and the target of {target_kw:g} kW.",
                field="recharge_below_kw",
                value=below_kw,
                hint="Refill below the target only.",
            )
        self._target_kw = target_kw
        self._below_kw = below_kw

    def __call__(self, state: RuleState) -> float:
        if state.net_load_kw > self._target_kw:
            return state.net_load_kw - self._target_kw
        return min(0.0, state.net_load_kw - self._below_kw)


class ArbitrageRule:
    """Charge in the cheapest steps of the published day, discharge in the dearest.

    As many steps as a full charge or discharge takes; the i-th cheapest is paired with the
    i-th dearest, and a pair is used only if the price gap pays losses and wear of the round
    trip. Discharging into the grid must pay at the feed-in price; otherwise only the site's
    own need is served.

    Args:
        plant: Efficiencies, wear, window and step length; its series are not looked at
            beyond the power limits.
    """

    def __init__(self, plant: Instance) -> None:
        usable_kwh = plant.energy_max_kwh - plant.energy_min_kwh
        charge_kw = float(plant.charge_limit_kw.max())
        discharge_kw = float(plant.discharge_limit_kw.max())
        hours = plant.step_hours
        self._charge_kw, self._discharge_kw = charge_kw, discharge_kw
        self._charge_steps = _steps(usable_kwh, plant.eta_charge * charge_kw * hours)
        self._discharge_steps = _steps(usable_kwh, discharge_kw * hours / plant.eta_discharge)
        self._round_trip = plant.eta_charge * plant.eta_discharge
        # EUR per AC kWh delivered: the wear of delivering it and of having charged for it.
        self._wear_eur_per_kwh = (
            plant.wear_discharge_eur_per_kwh + plant.wear_charge_eur_per_kwh / self._round_trip
        )
        self._day: tuple[FloatArray, tuple[set[int], set[int], set[int]]] | None = None

    def __call__(self, state: RuleState) -> float:
        charging, serving, selling = self._steps_of(state)
        if state.step_of_day in charging:
            return -self._charge_kw
        if state.step_of_day in selling:
            return self._discharge_kw
        if state.step_of_day in serving:
            return max(0.0, state.net_load_kw)
        return 0.0

    def _steps_of(self, state: RuleState) -> tuple[set[int], set[int], set[int]]:
        if self._day is None or self._day[0] is not state.day_buy_eur_per_kwh:
            self._day = (state.day_buy_eur_per_kwh, self._choose(state))
        return self._day[1]

    def _choose(self, state: RuleState) -> tuple[set[int], set[int], set[int]]:
        buy, sell = state.day_buy_eur_per_kwh, state.day_sell_eur_per_kwh
        cheapest = np.argsort(buy, kind="stable")[: self._charge_steps]
        dearest = np.argsort(-buy, kind="stable")[: self._discharge_steps]
        serving: set[int] = set()
        selling: set[int] = set()
        if not cheapest.size or not dearest.size:
            return set(), serving, selling
        # A full charge and a full discharge need not take equally many steps.
        ratio = cheapest.size / dearest.size
        for rank, late in enumerate(dearest):
            early = cheapest[int(rank * ratio)]
            cost = buy[early] / self._round_trip + self._wear_eur_per_kwh
            if buy[late] <= cost:
                break
            (selling if sell[late] > cost else serving).add(int(late))
        used = int(np.ceil(len(serving | selling) * ratio - 1e-9))
        return {int(step) for step in cheapest[:used]}, serving, selling


class LoadBalancingRule:
    """Hold the grid power at the trailing moving average, and the store near its middle.

    Args:
        plant: Window and step length.
        window_hours: Length of the trailing average.
        return_hours: Time in which the store is brought back to the middle of its window.
    """

    def __init__(
        self, plant: Instance, window_hours: float = 4.0, return_hours: float = 8.0
    ) -> None:
        self._steps = max(1, round(window_hours / plant.step_hours))
        self._middle_kwh = (plant.energy_min_kwh + plant.energy_max_kwh) / 2.0
        self._return_hours = return_hours

    def __call__(self, state: RuleState) -> float:
        seen = np.append(state.past_net_load_kw[-(self._steps - 1) :], state.net_load_kw)
        average_kw = float(seen[-self._steps :].mean())
        compensation_kw = (self._middle_kwh - state.energy_kwh) / self._return_hours
        return state.net_load_kw - average_kw - compensation_kw


class TimerRule:
    """Charge at night and discharge in the evening, by the clock.

    Args:
        charge_kw: Charging power, >= 0.
        discharge_kw: Most it discharges, >= 0; never more than the site draws.
        charge_from: Local time charging starts.
        charge_until: Local time charging ends; earlier than the start means the next day.
        discharge_from: Local time discharging starts.
        discharge_until: Local time discharging ends, likewise.
    """

    def __init__(
        self,
        charge_kw: float,
        discharge_kw: float,
        *,
        charge_from: time = time(1),
        charge_until: time = time(5),
        discharge_from: time = time(17),
        discharge_until: time = time(22),
    ) -> None:
        self._charge_kw, self._discharge_kw = charge_kw, discharge_kw
        self._charging = (charge_from, charge_until)
        self._discharging = (discharge_from, discharge_until)

    def __call__(self, state: RuleState) -> float:
        if _within(state.local_time, *self._charging):
            return -self._charge_kw
        if _within(state.local_time, *self._discharging):
            return min(self._discharge_kw, max(0.0, state.net_load_kw))
        return 0.0


def _steps(energy_kwh: float, per_step_kwh: float) -> int:
    """Return how many steps fill `energy_kwh`; 0 where the battery hardly moves at all."""
    if per_step_kwh <= 1e-6 * energy_kwh:
        return 0
    return int(np.ceil(energy_kwh / per_step_kwh - 1e-9))


def _within(at: time, start: time, end: time) -> bool:
    return start <= at < end if start <= end else at >= start or at < end

"""The plant under a battery controller or schedule: exact physics, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.instance import Instance
from engine.strategies.rules import Rule, RuleState


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What a battery schedule makes of the plant; every array has shape (n,).

    Attributes:
        battery_kw: Battery power, + discharge, - charge.
        grid_kw: Grid power, + import, - export.
        curtailed_kw: PV power given away, >= 0.
        soc_kwh: Stored energy at the END of each step.
    """

    battery_kw: FloatArray
    grid_kw: FloatArray
    curtailed_kw: FloatArray
    soc_kwh: FloatArray


def curtailment_kw(instance: Instance, battery_kw: FloatArray) -> FloatArray:
    """Return what a plant gives away by itself, shape (n,), >= 0.

    As `baseline_grid_kw` does without a battery: PV power left over is given away where
    feeding in costs money or exceeds the export limit, if curtailment is allowed at all.
    """
    if not instance.curtailment_allowed:
        return np.zeros(instance.n_steps)
    exported = np.maximum(battery_kw - instance.load_kw + instance.pv_kw, 0.0)
    unwanted = np.where(
        instance.sell_eur_per_kwh < 0.0,
        exported,
        np.maximum(exported - instance.export_limit_kw, 0.0),
    )
    return np.minimum(unwanted, instance.pv_kw)


def replay(
    instance: Instance, battery_kw: ArrayLike, curtailed_kw: ArrayLike | None = None
) -> Replay:
    """Return what the schedule makes of the plant, as it is: nothing is cut to any limit.

    Args:
        instance: The plant, its load and PV.
        battery_kw: Mean battery power per step, shape (n,), + discharge.
        curtailed_kw: PV power given away, shape (n,); None for `curtailment_kw`.

    Raises:
        OptimizationError: A series has the wrong shape or a value that is not finite.
    """
    battery = _schedule("battery_kw", battery_kw, instance.n_steps)
    curtailed = (
        curtailment_kw(instance, battery)
        if curtailed_kw is None
        else _schedule("curtailed_kw", curtailed_kw, instance.n_steps)
    )
    hours = instance.step_hours
    moved_kwh = hours * (
        instance.eta_charge * np.maximum(-battery, 0.0)
        - np.maximum(battery, 0.0) / instance.eta_discharge
    )
    standby_kwh = hours * instance.standby_loss_kw
    if standby_kwh > 0.0:
        soc = np.empty(instance.n_steps)
        energy_kwh = instance.energy_start_kwh
        for step, change_kwh in enumerate(moved_kwh):
            # An empty store has nothing left for its standby consumption.
            energy_kwh = max(energy_kwh + change_kwh - standby_kwh, 0.0)
            soc[step] = energy_kwh
    else:
        soc = instance.energy_start_kwh + np.cumsum(moved_kwh)
    grid = instance.load_kw - instance.pv_kw + curtailed - battery
    return Replay(battery_kw=battery, grid_kw=grid, curtailed_kw=curtailed, soc_kwh=soc)


def _schedule(name: str, values: ArrayLike, n: int) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    if array.shape != (n,) or not np.isfinite(array).all():
        raise OptimizationError(
            f"the schedule is not one finite number for each of {n} steps.",
            field=name,
            value=array.shape,
            hint="Give one mean power per step.",
        )
    return array


class Plant:
    """A battery at its connection, one step at a time: cuts every wish to what is possible.

    Args:
        instance: Limits, efficiencies, window, load and PV.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._idle_kwh = instance.energy_start_kwh
        self.energy_kwh = instance.energy_start_kwh

    def possible_kw(self, step: int, wanted_kw: float) -> float:
        """Return the battery power nearest to `wanted_kw` that the plant allows.

        Limits of the battery, its energy window, the grid connection (as far as the battery
        can help it) and the rules on charging from and discharging into the grid. Standby
        consumption at the lower end of the window is made up by charging.
        """
        plant, hours = self._instance, self._instance.step_hours
        net_kw = float(plant.load_kw[step] - plant.pv_kw[step])
        standby_kwh = plant.standby_loss_kw * hours
        idle_kwh = max(self._idle_kwh - standby_kwh, 0.0)
        floor_kwh = min(plant.energy_min_kwh, idle_kwh)
        ceiling_kwh = max(plant.energy_max_kwh, idle_kwh)
        left_kwh = self.energy_kwh - standby_kwh

        most_charge = min(
            float(plant.charge_limit_kw[step]),
            max(0.0, (ceiling_kwh - left_kwh) / (plant.eta_charge * hours)),
        )
        most_discharge = min(
            float(plant.discharge_limit_kw[step]),
            max(0.0, (left_kwh - floor_kwh) * plant.eta_discharge / hours),
        )
        # The connection binds the battery only as far as load and PV alone respect it.
        most_charge = min(most_charge, max(0.0, float(plant.import_limit_kw[step]) - net_kw))
        most_discharge = min(most_discharge, max(0.0, float(plant.export_limit_kw[step]) + net_kw))
        if not plant.grid_charge_allowed:
            most_charge = min(most_charge, max(0.0, -net_kw))
        if not plant.battery_export_allowed:
            most_discharge = min(most_discharge, max(0.0, net_kw))
        topping_up = min(most_charge, max(0.0, (floor_kwh - left_kwh) / (plant.eta_charge * hours)))
        if topping_up > 0.0:
            wanted_kw = min(wanted_kw, -topping_up)
        return min(most_discharge, max(-most_charge, wanted_kw))

    def advance(self, battery_kw: float) -> None:
        """Run the store through one step at `battery_kw`."""
        plant, hours = self._instance, self._instance.step_hours
        standby_kwh = plant.standby_loss_kw * hours
        moved_kwh = (
            -battery_kw / plant.eta_discharge
            if battery_kw > 0.0
            else -battery_kw * plant.eta_charge
        )
        self.energy_kwh = max(self.energy_kwh + hours * moved_kwh - standby_kwh, 0.0)
        self._idle_kwh = max(self._idle_kwh - standby_kwh, 0.0)


def simulate(instance: Instance, rule: Rule, zone: ZoneInfo) -> Replay:
    """Run `rule` through the horizon on the real load, PV and prices of `instance`.

    The rule sees the running step's mean load and PV: between two quarter-hours it acts on
    every meter reading, which this granularity stands for. Prices it sees are those of the
    running local day, which is published the day before.

    Args:
        instance: Plant, series and prices as they really happen.
        rule: The controller.
        zone: Local time of days and timers.
    """
    n = instance.n_steps
    local = [(instance.start + i * instance.step).astimezone(zone) for i in range(n)]
    firsts = [i for i in range(n) if i == 0 or local[i].date() != local[i - 1].date()]
    days = _days(firsts, n)
    net_kw = instance.load_kw - instance.pv_kw
    plant = Plant(instance)
    battery = np.zeros(n)
    for first, stop in days:
        buy, sell = instance.buy_eur_per_kwh[first:stop], instance.sell_eur_per_kwh[first:stop]
        for step in range(first, stop):
            state = RuleState(
                local_time=local[step].time(),
                net_load_kw=float(net_kw[step]),
                past_net_load_kw=net_kw[:step],
                energy_kwh=plant.energy_kwh,
                day_buy_eur_per_kwh=buy,
                day_sell_eur_per_kwh=sell,
                step_of_day=step - first,
            )
            battery[step] = plant.possible_kw(step, rule(state))
            plant.advance(battery[step])
    return replay(instance, battery)


def _days(firsts: Sequence[int], n: int) -> list[tuple[int, int]]:
    return list(zip(firsts, [*firsts[1:], n], strict=True))

"""The closed loop: plan with what was known, decide by the law of live control, run the battery.

In every quarter-hour (`SUB_STEPS` times where a peak is billed) the program's own `Controller`
decides from the plan in force, the prices of the moment and the quarter-hour's own net load.
That the law sees the quarter-hour's own mean stands for live control, which acts every 2 s on
what is there; a forecast of it would pretend that a setpoint is held for 15 min, which the
program does not do. What live control meets within a quarter-hour and this does not are the
movements of load and PV around their mean, delays of meters, and registers that count both ways.
The store is that of the baselines in the savings ledger, with its exact physics.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from engine.analytics.backtest.accounts import traces_of
from engine.analytics.backtest.case import STEP_HOURS
from engine.analytics.backtest.policy import AUTO, Policy
from engine.analytics.backtest.prepared import NO_PERIOD, Prepared
from engine.analytics.backtest.result import Traces
from engine.analytics.baselines import BaselineBattery
from engine.control.controller import Controller
from engine.control.setpoint_law import Prices
from engine.domain.control import PowerLimits
from engine.domain.errors import OptimizationError
from engine.domain.plan import Plan
from engine.domain.quarter_hour import STEP, STEP_S
from engine.domain.sample import ProcessImage, Sample
from engine.domain.site import Battery
from engine.domain.strategy import StrategyKey

if TYPE_CHECKING:
    from engine.analytics.backtest.plans import Planner

_log = logging.getLogger(__name__)

SOC_BAND_PERCENT = 5.0
"""Distance of the state of charge from the plan that asks for a new one, as live."""

SUB_STEPS = 3
"""Decisions per quarter-hour of strategies that mind a demand charge: with one, a reserve is
overshot by what a quarter-hour moves, and peaks come out too high; with five little changes."""

_MINDS_PEAKS = (StrategyKey.CO_OPTIMISED, StrategyKey.PEAK_SHAVING, AUTO)

_LOOKED_AT = 96
_WINDOW = "soc_window"
_GRID = "grid_import"


class ClosedLoop:
    """Replays one policy over a case.

    Args:
        prepared: The case.
        policy: Cadence of plans and decisions.
        planner: Makes the plans.
    """

    def __init__(self, prepared: Prepared, policy: Policy, planner: Planner) -> None:
        self._prepared = prepared
        self._policy = policy
        self._planner = planner
        self.failed = 0

    def run(self, alive: Callable[[int], None]) -> Traces:
        """Return what was done.

        Args:
            alive: Told now and then how many steps are done; it raises when asked to stop.
        """
        prepared, policy = self._prepared, self._policy
        case, battery = prepared.case, prepared.case.battery
        watched = prepared.has_demand_charge and policy.strategy in _MINDS_PEAKS
        subs = policy.sub_steps or (SUB_STEPS if watched else 1)
        sub_s, hours = STEP_S / subs, STEP_HOURS / subs
        controller = Controller(case.site, case.control, cycle_s=sub_s)
        store = BaselineBattery(battery, case.energy_start_kwh)
        power, energy = np.empty(case.n), np.empty(case.n)
        plan: Plan | None = None
        net = case.series.load_kw - case.series.pv_kw
        import_limit_kw = case.site.grid.import_limit_kw
        metered_kw, running, battery_kw = 0.0, NO_PERIOD, 0.0
        for k in range(case.n):
            if k % _LOOKED_AT == 0:
                alive(k)
            i = case.first + k
            if prepared.period[i] != running:
                running, metered_kw = int(prepared.period[i]), 0.0
            if k % policy.every == 0 or self._deviates(plan, i, store.energy_kwh, battery):
                plan = self._planned(i, store.energy_kwh, metered_kw, plan)
            prices = Prices(float(prepared.buy[i]), float(prepared.sell[i]))
            net_kw, export_kw = float(net[i]), float(prepared.export_limit_kw[i])
            start = case.series.start + i * STEP
            moved = 0.0
            for sub in range(subs):
                now = start + timedelta(seconds=sub * sub_s)
                setpoint = controller.decide(
                    self._image(now, net_kw, battery_kw, store.energy_kwh),
                    self._limits(store.energy_kwh, net_kw, export_kw, hours),
                    plan,
                    prices,
                    now=now,
                    monotonic_s=k * STEP_S + sub * sub_s,
                )
                battery_kw = store.step(
                    setpoint.power_kw,
                    net_kw,
                    import_limit_kw=import_limit_kw,
                    export_limit_kw=export_kw,
                    hours=hours,
                )
                moved += battery_kw
            power[k], energy[k] = moved / subs, store.energy_kwh
            if prepared.billed[i]:
                metered_kw = max(metered_kw, net_kw - moved / subs)
        alive(case.n)
        return traces_of(prepared, power, energy)

    def _planned(
        self, i: int, energy_kwh: float, metered_kw: float, before: Plan | None
    ) -> Plan | None:
        try:
            return self._planner.make(i, energy_kwh=energy_kwh, metered_kw=metered_kw)
        except OptimizationError as error:
            # As live: the plan before stays in force, and it is said.
            self.failed += 1
            _log.warning("no plan at step %d of a backtest: %s", i, error)
            return before

    def _deviates(self, plan: Plan | None, i: int, energy_kwh: float, battery: Battery) -> bool:
        if plan is None:
            return False
        at = (self._prepared.case.series.start + i * STEP - plan.start) // STEP
        if not 1 <= at < plan.n_steps:
            return at >= plan.n_steps
        off_kwh = abs(energy_kwh - float(plan.soc_kwh[at - 1]))
        return 100.0 * off_kwh / battery.energy_capacity_kwh > SOC_BAND_PERCENT

    def _image(
        self, now: datetime, net_kw: float, battery_kw: float, energy_kwh: float
    ) -> ProcessImage:
        """Return meter and battery as read at one instant: the net load follows from both."""
        site = self._prepared.case.site
        soc = 100.0 * energy_kwh / site.battery.energy_capacity_kwh
        return ProcessImage(
            site.site_id,
            now,
            {
                "grid_kw": Sample(net_kw - battery_kw, now, "backtest"),
                "battery_kw": Sample(battery_kw, now, "backtest"),
                "soc_percent": Sample(soc, now, "backtest"),
            },
        )

    def _limits(
        self, energy_kwh: float, net_kw: float, export_limit_kw: float, hours: float
    ) -> PowerLimits:
        """Return what window and grid connection allow over the next part of a quarter-hour."""
        site = self._prepared.case.site
        battery, import_limit_kw = site.battery, site.grid.import_limit_kw
        room_kwh = max(0.0, battery.energy_max_kwh - energy_kwh)
        left_kwh = max(0.0, energy_kwh - battery.energy_min_kwh)
        charge = min(
            battery.power_charge_max_kw,
            room_kwh / (battery.efficiency_charge * hours),
            max(0.0, import_limit_kw - net_kw),
        )
        discharge = min(
            battery.power_discharge_max_kw,
            left_kwh * battery.efficiency_discharge / hours,
            max(0.0, export_limit_kw + net_kw),
        )
        required = min(discharge, max(0.0, net_kw - import_limit_kw))
        binding = _GRID if required > 0.0 else None
        return PowerLimits(charge, discharge, _WINDOW, _WINDOW, required, binding)

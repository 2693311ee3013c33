"""What the battery does in each cycle: layers over one wish, the stronger ones last.

1. The wish: value dispatch (`engine.control.setpoint_law`), or for comparison the planned
   battery power (``hold``) or the planned grid power (``track``); without a plan or a price
   rest or self-consumption.
2. The peak reserve: below it the battery charges up to what the guard allows; just above it
   it rests, so that the boundary is no place to hunt.
3. The peak guard: it discharges more or charges less (`engine.control.peak_guard`).
4. The limits, in which a grid limit may demand a power and the battery's own limits rule
   (`engine.control.limits`). Nothing leaves them.

The net load is meter plus battery of the same instant (observer form), through a filter of
gain 0.4 per 2 s. A calm mean of it chooses the direction and the filtered value the amount,
so noise around zero does not turn the battery round. Limits act on unfiltered values.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from engine.config.control import ControlConfig
from engine.control.calming import HOLD_TIME, RAMP, Calming, CalmingSettings
from engine.control.layers import (
    BMS_MISSING,
    EPSILON_KW,
    GRID_LIMIT,
    MANUAL,
    METER_MISSING,
    PEAK_GUARD,
    Moment,
    Wish,
    comparison_wish,
    dispatch_wish,
    self_consumption_wish,
    with_reserve,
)
from engine.control.net_load import NetLoadObserver, Smoothed, time_constant_s
from engine.control.peak_guard import PeakGuard
from engine.control.quarter_import import QuarterImport, QuarterSoFar
from engine.control.setpoint_law import Prices
from engine.domain.control import PowerLimits, Setpoint
from engine.domain.plan import FloatArray, Plan
from engine.domain.sample import ProcessImage
from engine.domain.site import Site

_GAIN_CYCLE_S = 2.0


class Controller:
    """Decides the battery power of one site, cycle by cycle. Called by one thread only.

    Args:
        site: Nameplate, efficiencies, wear.
        config: The law's settings; defaults when None.
        cycle_s: Length of a control cycle; a gap of several cycles counts as missing data.
    """

    def __init__(
        self, site: Site, config: ControlConfig | None = None, cycle_s: float = 2.0
    ) -> None:
        self._battery = site.battery
        self._config = config or ControlConfig()
        nameplate_kw = max(site.battery.power_charge_max_kw, site.battery.power_discharge_max_kw)
        self._nameplate_kw = nameplate_kw
        self._calming = Calming(_calming(self._config, nameplate_kw))
        self._max_gap_s = 5.0 * cycle_s + 5.0
        self._observer = NetLoadObserver()
        self._live = Smoothed(time_constant_s(self._config.net_load_gain, _GAIN_CYCLE_S))
        self._calm = Smoothed(self._config.calm_filter_s)
        self._quarter_import = QuarterImport(self._max_gap_s)
        self._guard = PeakGuard(self._config.guard_margin_percent)
        self._quarter: QuarterSoFar | None = None
        self._cap_kw = math.inf
        self._last_monotonic_s: float | None = None

    def adopt(self, config: ControlConfig) -> None:
        """Decide by other settings from the next cycle on.

        What was seen and done so far stays known: the running quarter-hour, the means, the last
        setpoint and how long each direction has rested. To be called between two cycles, by the
        thread that calls `decide`.
        """
        self._config = config
        self._calming.adopt(_calming(config, self._nameplate_kw))
        self._live.adopt(time_constant_s(config.net_load_gain, _GAIN_CYCLE_S))
        self._calm.adopt(config.calm_filter_s)
        self._guard.adopt(config.guard_margin_percent)

    @property
    def quarter(self) -> QuarterSoFar | None:
        """The running quarter-hour at the meter, None before the first cycle."""
        return self._quarter

    @property
    def cap_kw(self) -> float:
        """Mean import the guard holds, infinite without one."""
        return self._cap_kw

    def decide(
        self,
        image: ProcessImage,
        limits: PowerLimits,
        plan: Plan | None,
        prices: Prices | None,
        *,
        now: datetime,
        monotonic_s: float,
        reserve_kwh: FloatArray | None = None,
        peak_cap_kw: float | None = None,
        manual_kw: float | None = None,
    ) -> Setpoint:
        """Return the setpoint of this cycle; always within the limits.

        Args:
            image: Process image of the cycle.
            limits: Limits of the cycle.
            plan: The published plan, or None.
            prices: Prices of the running quarter-hour, or None when unknown.
            now: Wall time, UTC: which step of the plan, which quarter-hour.
            monotonic_s: Monotonic time: everything that lasts.
            reserve_kwh: Energy to keep for peaks at each step of the plan, shape (n,), instead
                of the plan's own; None for the plan's.
            peak_cap_kw: Mean import to hold instead of the plan's.
            manual_kw: Battery power a person asks for; then only limits have a say.
        """
        quarter = self._quarter_import.update(now, monotonic_s, image.value("grid_kw"))
        self._quarter = quarter
        net_load_kw = self._observer.update(image)
        soc_percent = image.value("soc_percent")
        live_kw, calm_kw = self._smoothed(net_load_kw, monotonic_s)
        step = plan.step_at(now) if plan is not None else None
        covering = plan if step is not None else None
        cap_kw = self._cap(covering, step or 0, peak_cap_kw)
        allowed_kw = self._guard.allowed_kw(quarter, cap_kw)
        if soc_percent is None or net_load_kw is None:
            reason = BMS_MISSING if soc_percent is None else METER_MISSING
            return self._stand_still(now, monotonic_s, limits, reason)
        moment = Moment(
            plan=covering,
            step=step or 0,
            prices=prices,
            battery=self._battery,
            limits=limits,
            live_kw=live_kw,
            calm_kw=calm_kw,
            energy_kwh=self._battery.energy_capacity_kwh * soc_percent / 100.0,
            allowed_kw=allowed_kw if self._config.peak_guard else math.inf,
            direction=self._calming.direction,
            deadband_kw=self._calming.deadband_kw,
        )
        if manual_kw is not None:
            moment = replace(moment, allowed_kw=math.inf)
            return self._decided(now, monotonic_s, moment, Wish(manual_kw, MANUAL))
        wish = self._wish(moment)
        if covering is not None and self._config.peak_reserve:
            reserve = covering.reserve_kwh if reserve_kwh is None else reserve_kwh
            if reserve is not None:
                band = self._config.reserve_band_percent / 100.0
                band_kwh = band * self._battery.energy_capacity_kwh
                wish = with_reserve(wish, moment, float(reserve[moment.step]), band_kwh)
        return self._decided(now, monotonic_s, moment, wish)

    def _smoothed(self, net_load_kw: float | None, monotonic_s: float) -> tuple[float, float]:
        last_s, self._last_monotonic_s = self._last_monotonic_s, monotonic_s
        dt_s = max(0.0, monotonic_s - last_s) if last_s is not None else 0.0
        if net_load_kw is None or dt_s > self._max_gap_s:
            self._live.reset()
            self._calm.reset()
        if net_load_kw is None:
            return 0.0, 0.0
        return self._live.update(net_load_kw, dt_s), self._calm.update(net_load_kw, dt_s)

    def _cap(self, plan: Plan | None, step: int, peak_cap_kw: float | None) -> float:
        """Return the mean import to hold; the last known one while there is no plan."""
        if peak_cap_kw is not None:
            self._cap_kw = peak_cap_kw
        elif plan is not None:
            steering = plan.steering
            self._cap_kw = math.inf if steering is None else float(steering.peak_cap_kw[step])
        return self._cap_kw

    def _wish(self, moment: Moment) -> Wish:
        if self._config.mode != "value":
            return comparison_wish(moment, self._config.mode)
        if (
            moment.plan is None or moment.prices is None
        ) and self._config.without_plan == "self_consumption":
            return self_consumption_wish(moment)
        return dispatch_wish(moment)

    def _stand_still(
        self, now: datetime, monotonic_s: float, limits: PowerLimits, reason: str
    ) -> Setpoint:
        # Without data nothing is demanded either; the limits then allow nothing.
        power_kw = min(max(0.0, limits.low_kw), limits.high_kw) + 0.0
        self._calming.done(power_kw, monotonic_s)
        return Setpoint(now, power_kw, 0.0, reason)

    def _decided(self, now: datetime, monotonic_s: float, moment: Moment, wish: Wish) -> Setpoint:
        binding = None
        power_kw = self._calming.rested(wish.power_kw, monotonic_s)
        if power_kw != wish.power_kw:
            binding = HOLD_TIME
        reason, wanted_kw = wish.reason, wish.power_kw
        if moment.guard_least_kw > power_kw + EPSILON_KW:
            power_kw = wanted_kw = moment.guard_least_kw
            reason, binding = PEAK_GUARD, None
        limits = moment.limits
        low_kw, high_kw = limits.low_kw, limits.high_kw
        # What a person asks for is carried out to the last watt; the deadband is for the law.
        exact = reason == MANUAL
        if not exact:
            least_kw = max(low_kw, moment.guard_least_kw)
            power_kw = self._calming.settled(power_kw, least_kw, high_kw)
        ramped_kw = self._calming.ramped(power_kw, monotonic_s)
        if abs(ramped_kw - power_kw) > EPSILON_KW:
            power_kw, binding = ramped_kw, RAMP
        if power_kw > high_kw:
            power_kw = high_kw
            reason, binding = (
                (GRID_LIMIT, limits.required_binding)
                if limits.required_kw < 0.0
                else (reason, limits.discharge_binding)
            )
        elif power_kw < low_kw:
            power_kw = low_kw
            reason, binding = (
                (GRID_LIMIT, limits.required_binding)
                if limits.required_kw > 0.0
                else (reason, limits.charge_binding)
            )
        small = abs(power_kw) < self._calming.deadband_kw and low_kw <= 0.0 <= high_kw
        if small and not exact and binding != RAMP:
            power_kw = 0.0
        power_kw += 0.0  # turns a minus zero into a zero
        self._calming.done(power_kw, monotonic_s, under_way=binding == RAMP)
        missing = wish.missing if reason != wish.missing else None
        return Setpoint(now, power_kw, wanted_kw, reason, binding, missing)


def _calming(config: ControlConfig, nameplate_kw: float) -> CalmingSettings:
    return CalmingSettings(
        deadband_kw=min(config.deadband_kw, nameplate_kw / 20.0),
        ramp_kw_per_s=config.ramp_percent_per_s / 100.0 * nameplate_kw,
        min_hold_s=config.min_hold_s,
    )

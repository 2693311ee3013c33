"""The planning problem of each moment of a replay, from what was known then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d

from engine.analytics.backtest.case import DAY_STEPS, STEP_HOURS, WEEK_STEPS
from engine.analytics.backtest.policy import Policy
from engine.analytics.backtest.prepared import NO_PERIOD, Prepared
from engine.analytics.backtest.views import Ahead
from engine.analytics.backtest.vintages import Known
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP
from engine.optimization.instance import Instance
from engine.optimization.peak_reserve import (
    AROUND_STEPS,
    ENVELOPE_WEEKS,
    RESERVE_SHARE,
    lowest_peak_kw,
    peak_between_kw,
    peak_reserve_kwh,
    pv_by_time_kw,
    scaled_reserve_kwh,
)
from engine.optimization.terms import BilledPeak


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """All that a plan rests on besides the plant.

    Attributes:
        first: Step the plan starts at.
        ahead: Load, PV power and prices as seen.
        energy_kwh: Stored energy.
        end_value_eur_per_kwh: Value of a kWh left at the end.
        peaks: Running and later billing periods: billed steps, EUR/kW, import that is free.
        reserve_kwh: Energy to keep, shape (h,), or None.
        reserve_eur_per_kwh_h: Price of a kWh missing in it for an hour.
    """

    first: int
    ahead: Ahead
    energy_kwh: float
    end_value_eur_per_kwh: float
    peaks: tuple[BilledPeak, ...]
    reserve_kwh: FloatArray | None
    reserve_eur_per_kwh_h: float

    @property
    def h(self) -> int:
        """Number of steps."""
        return int(self.ahead.load_kw.size)


class Problems:
    """States the problem of every moment, as `engine.runtime.problem` and `.uncertainty` do live.

    Args:
        prepared: The case.
        policy: Horizon, reserve, target.
        views: What is known.
    """

    def __init__(self, prepared: Prepared, policy: Policy, views: Known) -> None:
        self.prepared = prepared
        self.policy = policy
        self.views = views
        self._targets: dict[int, float | None] = {}
        self._lowest_kw: float | None = None
        self._envelope = _envelope_kw(prepared.case.series.load_kw)

    def outlook(
        self, i: int, *, energy_kwh: float, metered_kw: float, last_value: float | None
    ) -> Outlook:
        """Return what a plan made at step `i` rests on.

        Args:
            i: The running step.
            energy_kwh: Stored energy.
            metered_kw: Highest billed import of the running billing period so far.
            last_value: Value of a stored kWh that the plan before saw a day before the end of
                this one; None before the first plan.
        """
        h = min(self.policy.horizon_steps, self.prepared.case.series.n - i)
        ahead = self.views.ahead(i, h)
        h = ahead.load_kw.size
        peaks = self._peaks(i, h, metered_kw)
        reserve = self._reserve_kwh(i, ahead, peaks)
        dearest = max((peak.charge_eur_per_kw for peak in peaks), default=0.0)
        end_value = _end_value(self.prepared, ahead, last_value)
        if i + h == self.prepared.case.series.n:
            # The data end here, and the accounts say what is left is worth.
            end_value = self.prepared.stored_value_eur_per_kwh
        return Outlook(
            first=i,
            ahead=ahead,
            energy_kwh=energy_kwh,
            end_value_eur_per_kwh=end_value,
            peaks=peaks,
            reserve_kwh=reserve,
            reserve_eur_per_kwh_h=RESERVE_SHARE * dearest if reserve is not None else 0.0,
        )

    def target_kw(self, i: int) -> float | None:
        """Return the import worth holding at step `i`, found anew once a day (UTC, as live).

        From the trailing four weeks' optimum, never from one's own last peak; None with less
        than a week of past, or where the policy has no target.
        """
        share = self.policy.target_share
        if share is None:
            return None
        start = self.prepared.case.series.start
        day = (start + i * STEP).toordinal()
        if day not in self._targets:
            self._targets[day] = self._found_target_kw(i, share)
        return self._targets[day]

    def _found_target_kw(self, i: int, share: float) -> float | None:
        weeks = min(i // WEEK_STEPS, ENVELOPE_WEEKS)
        if not weeks:
            return None
        past = slice(i - weeks * WEEK_STEPS, i)
        series, battery = self.prepared.case.series, self.prepared.case.battery
        load, pv = series.load_kw[past], series.pv_kw[past]
        self._lowest_kw = lowest_peak_kw(
            load, pv, battery, step_hours=STEP_HOURS, guess_kw=self._lowest_kw
        )
        return peak_between_kw(
            load, pv, battery, step_hours=STEP_HOURS, share=share, lowest_kw=self._lowest_kw
        )

    def instance(self, outlook: Outlook) -> Instance:
        """Return the problem in the form of the model of record."""
        case, cut = self.prepared.case, slice(outlook.first, outlook.first + outlook.h)
        ahead = outlook.ahead
        return Instance.for_battery(
            case.battery,
            start=case.series.start + outlook.first * STEP,
            step_minutes=15,
            buy_eur_per_kwh=ahead.buy,
            sell_eur_per_kwh=ahead.sell,
            load_kw=ahead.load_kw,
            pv_kw=ahead.pv_kw,
            import_limit_kw=case.site.grid.import_limit_kw,
            export_limit_kw=self.prepared.export_limit_kw[cut],
            energy_start_kwh=outlook.energy_kwh,
            terminal_value_eur_per_kwh=outlook.end_value_eur_per_kwh,
            curtailment_allowed=case.curtailment_allowed,
            billed_peaks=outlook.peaks,
            energy_reserve_kwh=outlook.reserve_kwh,
            reserve_eur_per_kwh_h=outlook.reserve_eur_per_kwh_h,
        )

    def recent_net_kw(self, i: int) -> FloatArray:
        """Return load minus PV of the day before step `i`, newest last."""
        series, past = self.prepared.case.series, slice(max(0, i - DAY_STEPS), i)
        net: FloatArray = series.load_kw[past] - series.pv_kw[past]
        return net

    def _peaks(self, i: int, h: int, metered_kw: float) -> tuple[BilledPeak, ...]:
        prepared = self.prepared
        period, billed = prepared.period[i : i + h], prepared.billed[i : i + h]
        if not billed.any():
            return ()
        target = self.target_kw(i) or 0.0
        running, out = int(prepared.period[i]), []
        for number in range(max(0, int(period.min())), int(period.max()) + 1):
            here = billed & (period == number)
            if number == NO_PERIOD or not here.any():
                continue
            floor = max(metered_kw, target) if number == running else target
            out.append(BilledPeak(here, prepared.periods[number].eur_per_kw, floor))
        return tuple(out)

    def _reserve_kwh(
        self, i: int, ahead: Ahead, peaks: tuple[BilledPeak, ...]
    ) -> FloatArray | None:
        """Return the energy to keep for peaks, as the live planner asks for, times the share."""
        if self.policy.reserve <= 0.0 or not peaks or i < WEEK_STEPS:
            return None
        hold_kw = max(peak.floor_kw for peak in peaks)
        if hold_kw <= 0.0:
            return None
        case, h = self.prepared.case, ahead.load_kw.size
        envelope = maximum_filter1d(self._envelope[i : i + h], 2 * AROUND_STEPS + 1)
        past_pv = case.series.pv_kw[max(0, i - ENVELOPE_WEEKS * WEEK_STEPS) : i]
        battery = case.battery
        reserve = peak_reserve_kwh(
            np.maximum(envelope, ahead.load_kw)
            - pv_by_time_kw(past_pv, h, quantile=self.policy.reserve_pv_quantile),
            target_kw=hold_kw,
            eta_charge=battery.efficiency_charge,
            eta_discharge=battery.efficiency_discharge,
            energy_min_kwh=battery.energy_min_kwh,
            energy_max_kwh=battery.energy_max_kwh,
            charge_limit_kw=battery.power_charge_max_kw,
            discharge_limit_kw=battery.power_discharge_max_kw,
            step_hours=STEP_HOURS,
        )
        return scaled_reserve_kwh(reserve, self.policy.reserve, battery)


def _envelope_kw(load_kw: FloatArray) -> FloatArray:
    """Return the highest load at the same time of the week in the four weeks before each step."""
    out = np.zeros(load_kw.size)
    for week in range(1, ENVELOPE_WEEKS + 1):
        back = week * WEEK_STEPS
        if back < load_kw.size:
            out[back:] = np.maximum(out[back:], load_kw[:-back])
    return out


def _end_value(prepared: Prepared, ahead: Ahead, last_value: float | None) -> float:
    """Return the value of a kWh at the end of a plan: as the plan before said, else by rule."""
    if last_value is not None:
        return max(0.0, last_value)
    battery = prepared.case.battery
    earned = float(np.median(ahead.sell[-DAY_STEPS:]))
    if earned <= 0.0:
        earned = float(ahead.buy[-DAY_STEPS:].min())
    return max(0.0, earned * battery.efficiency_discharge - battery.wear_cost_eur_per_kwh)

"""What a plan does about forecast errors: scenarios, a peak worth holding, energy kept for it.

Source: optimisation notes, section 3b. With a demand charge, planning on one forecast loses a
third of what ten scenarios earn, and a reserve is about as good for peaks driven by the load.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from scipy.ndimage import maximum_filter1d

from engine.analytics.backtest.from_history import bridged
from engine.config.planning import PlanningConfig
from engine.domain.errors import ForecastError, HistoryError
from engine.domain.forecast import Forecast
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.site import Battery
from engine.forecasting.base import QuarterHourHistory
from engine.optimization.instance import Instance
from engine.optimization.peak_reserve import (
    AROUND_STEPS,
    ENVELOPE_WEEKS,
    RESERVE_SHARE,
    load_envelope_kw,
    peak_between_kw,
    peak_reserve_kwh,
    pv_by_time_kw,
    scaled_reserve_kwh,
    upper_net_load_kw,
)
from engine.optimization.scenarios import (
    THREE_PATH_WEIGHTS,
    quantile_scenarios,
    residual_scenarios,
    solve_scenarios,
)
from engine.optimization.solution import Solution
from engine.optimization.solving import SolvesScenarios
from engine.runtime.problem import PlanForecasts

log = logging.getLogger(__name__)

PATHS = 10
"""Scenarios drawn from past errors (notes: more earn nothing)."""

FIRST_DAY_BACK, LAST_DAY_BACK = 2, 11
"""Errors of forecasts issued at the same clock time so many days ago are drawn from."""

FEWEST_DAYS = 5
"""With fewer past days the P10, P50 and P90 forecasts are the scenarios."""

_SAME_TIME = timedelta(minutes=8)

VintageAt = Callable[[str, datetime, timedelta], Forecast | None]
"""The stored forecast of a signal that was issued nearest to a time, within a distance."""


@dataclass(frozen=True, slots=True)
class ScenarioSolver:
    """Solves a problem against several load and PV paths (`engine.strategies.candidates.Solver`).

    Attributes:
        optimizer: Keeps the compiled problems.
        load_kw: Load per scenario, shape (k, n).
        pv_kw: PV per scenario, shape (k, n).
        weights: Probabilities, shape (k,); None for equal ones.
    """

    optimizer: SolvesScenarios
    load_kw: FloatArray
    pv_kw: FloatArray
    weights: FloatArray | None

    def solve(self, instance: Instance) -> Solution:
        """Return the plan for `instance` whose first step is best on average over the paths."""
        paths = [
            dataclasses.replace(instance, load_kw=load, pv_kw=pv)
            for load, pv in zip(self.load_kw, self.pv_kw, strict=True)
        ]
        found = solve_scenarios(paths, self.weights, optimizer=self.optimizer, expected=instance)
        return found.plan


class Uncertainty:
    """Decides per plan what is done about forecast errors. One thread uses it.

    Args:
        config: What the operator wants.
        battery: Nameplate.
        past: Past 15-min means of load and PV.
        vintage_at: Stored forecasts; None without a store.
        optimizer: Solves scenario problems.
        rng: Draws past days.
    """

    def __init__(
        self,
        config: PlanningConfig,
        battery: Battery,
        past: QuarterHourHistory,
        *,
        vintage_at: VintageAt | None,
        optimizer: SolvesScenarios,
        rng: np.random.Generator,
    ) -> None:
        self._config = config
        self._battery = battery
        self._past = past
        self._vintage_at = vintage_at
        self._optimizer = optimizer
        self._rng = rng
        self._target: tuple[datetime, float | None] | None = None

    def adopt(self, config: PlanningConfig) -> None:
        """Deal with errors as `config` says from the next plan on; by the planning thread."""
        if config.peak_target_share != self._config.peak_target_share:
            self._target = None
        self._config = config

    def peak_target_kw(self, now: datetime, *, has_pv: bool) -> float | None:
        """Return the import worth holding, from the last four weeks; None with less than one.

        It is found anew once a day. The lowest peak takes full knowledge; a target so low empties
        the store early and leaves the rest of the month unprotected (`make bench`, strategies: on
        a site with much PV it held no peak at all), so `peak_target_share` of the way to the peak
        without a battery is added.

        Args:
            now: When.
            has_pv: True when PV is measured.
        """
        end = quarter_start(now)
        day = end.replace(hour=0, minute=0)
        if self._target is None or self._target[0] != day:
            load, pv = self._recent(end, has_pv)
            found = None
            if load is not None:
                found = peak_between_kw(
                    load,
                    pv,
                    self._battery,
                    step_hours=0.25,
                    share=self._config.peak_target_share,
                )
            self._target = (day, found)
        return self._target[1]

    def with_reserve(
        self, problem: Instance, forecasts: PlanForecasts, now: datetime, target_kw: float | None
    ) -> Instance:
        """Return `problem` with the energy to keep for the billed peak, where it is wanted.

        Args:
            problem: The problem with its demand charges.
            forecasts: Its forecasts; the P90 load stands in for less than a week of past load.
            now: When.
            target_kw: Import worth holding.
        """
        charges = [peak for peak in problem.peaks if peak.charge_eur_per_kw > 0.0]
        wanted = self._config.peak_reserve
        if not charges or wanted == "off":
            return problem
        n = problem.n_steps
        load, pv = self._recent(quarter_start(now), has_pv=forecasts.pv is not None)
        if load is not None:
            envelope = maximum_filter1d(load_envelope_kw(load, n, 0.25), 2 * AROUND_STEPS + 1)
            low_pv = pv_by_time_kw(pv, n, quantile=self._config.reserve_pv_quantile)
            high = np.maximum(envelope, forecasts.load.p50) - low_pv
        else:
            high = upper_net_load_kw(forecasts.load.p90, problem.pv_kw)
        hold_kw = max([target_kw or 0.0, *(peak.floor_kw for peak in charges)])
        if hold_kw <= 0.0:
            return problem
        reserve = peak_reserve_kwh(
            high,
            target_kw=hold_kw,
            eta_charge=problem.eta_charge,
            eta_discharge=problem.eta_discharge,
            energy_min_kwh=problem.energy_min_kwh,
            energy_max_kwh=problem.energy_max_kwh,
            charge_limit_kw=self._battery.power_charge_max_kw,
            discharge_limit_kw=self._battery.power_discharge_max_kw,
            step_hours=problem.step_hours,
        )
        price = RESERVE_SHARE * max(peak.charge_eur_per_kw for peak in charges)
        reserve = scaled_reserve_kwh(reserve, self._config.reserve_share, self._battery)
        return dataclasses.replace(problem, energy_reserve_kwh=reserve, reserve_eur_per_kwh_h=price)

    def solver(
        self, problem: Instance, forecasts: PlanForecasts, now: datetime
    ) -> ScenarioSolver | None:
        """Return what plans against scenarios, or None where the medians are planned with."""
        wanted = self._config.uncertainty
        billed = any(peak.charge_eur_per_kw > 0.0 for peak in problem.peaks)
        if wanted == "median" or (wanted == "auto" and not billed):
            return None
        load, pv = forecasts.load, forecasts.pv
        residuals = self._residuals(forecasts, now)
        if residuals is not None:
            middle = np.array([load.p50, *([pv.p50] if pv is not None else [])])
            paths = residual_scenarios(middle, residuals, self._rng, PATHS)
            loads = paths[:, 0]
            pvs = paths[:, 1] if pv is not None else np.zeros_like(loads)
            return ScenarioSolver(self._optimizer, loads, pvs, None)
        loads = quantile_scenarios(load.p10, load.p50, load.p90)
        # A dull day goes with a high net load, so PV runs the other way.
        pvs = quantile_scenarios(pv.p90, pv.p50, pv.p10) if pv is not None else np.zeros_like(loads)
        return ScenarioSolver(self._optimizer, loads, pvs, np.array(THREE_PATH_WEIGHTS))

    def _recent(self, end: datetime, has_pv: bool) -> tuple[FloatArray | None, FloatArray]:
        """Return load and PV of the whole weeks up to `end` without a long gap, at most four."""
        start = end - timedelta(weeks=ENVELOPE_WEEKS)
        load, _ = bridged(self._past.means("load_kw", start, end))
        pv = np.zeros_like(load)
        if has_pv:
            pv, _ = bridged(self._past.means("pv_kw", start, end))
        unknown = np.flatnonzero(~(np.isfinite(load) & np.isfinite(pv)))
        first = int(unknown[-1]) + 1 if unknown.size else 0
        weeks = (load.size - first) // (7 * 96)
        if weeks == 0:
            return None, np.zeros(0)
        steps = weeks * 7 * 96
        # Noise of the meters can make small values negative.
        return np.maximum(load[-steps:], 0.0), np.maximum(pv[-steps:], 0.0)

    def _residuals(self, forecasts: PlanForecasts, now: datetime) -> FloatArray | None:
        """Return past errors, shape (days, series, n), or None with too few days."""
        series = [forecasts.load, *([forecasts.pv] if forecasts.pv is not None else [])]
        found = []
        for days in range(FIRST_DAY_BACK, LAST_DAY_BACK + 1):
            errors = [self._errors(f, now - timedelta(days=days)) for f in series]
            known = [e for e in errors if e is not None]
            if len(known) == len(series):
                found.append(known)
        return np.array(found) if len(found) >= FEWEST_DAYS else None

    def _errors(self, forecast: Forecast, issued_at: datetime) -> FloatArray | None:
        if self._vintage_at is None:
            return None
        try:
            past = self._vintage_at(forecast.signal, issued_at, _SAME_TIME)
            if past is None or past.n_steps < forecast.n_steps:
                return None
            n = forecast.n_steps
            truth = self._past.means(forecast.signal, past.start, past.start + n * STEP)
        except (ForecastError, HistoryError) as exc:
            log.info("no past error of %s: %s", forecast.signal, exc)
            return None
        errors: FloatArray = truth - past.p50[:n]
        return errors if np.isfinite(errors).all() else None

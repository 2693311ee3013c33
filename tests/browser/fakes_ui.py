"""A plant that never was: one optimised day behind the seam, for tests and screenshots.

Prices, load and PV are smooth made-up curves; the battery follows the cheapest schedule for
them, so the pictures look like a day that could be.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from fakes_analytics import FakeAnalytics, FakeHistory
from fakes_forecasts import FakeArchive, forecast_at, made_up_accuracy
from scipy.optimize import linprog

from engine.domain.control import (
    EngineState,
    LinkStatus,
    ManualOrder,
    PowerLimits,
    Setpoint,
    StepHealth,
)
from engine.domain.errors import ControlError
from engine.domain.forecast import FORECAST_SIGNALS, Forecast
from engine.domain.plan import Plan, PlanCheck
from engine.domain.quarter_hour import quarter_start
from engine.domain.records import PriceRow
from engine.domain.sample import ProcessImage, Sample
from engine.domain.series import MeasuredPoint
from engine.domain.site import Battery, GridConnection, Site
from engine.domain.snapshot import EngineSnapshot, PriceNow
from engine.domain.strategy import ChoiceReason, StrategyKey, StrategyState
from engine.runtime.accuracy_service import ModelAccuracy
from engine.runtime.planned_past import PlannedStep
from tests.support.backtest_desk import NoBacktests
from tests.support.build import selection, strategy_state

STEP = timedelta(minutes=15)
START = datetime(2026, 6, 22, 11, 24, 8, tzinfo=UTC)

SITE = Site(
    site_id="site-1",
    name="Standort Wien",
    timezone="Europe/Vienna",
    battery=Battery(
        energy_capacity_kwh=200.0,
        power_charge_max_kw=100.0,
        power_discharge_max_kw=100.0,
        efficiency_charge=0.95,
        efficiency_discharge=0.95,
        soc_min_percent=10.0,
        soc_max_percent=90.0,
        wear_cost_eur_per_kwh=0.015,
    ),
    grid=GridConnection(import_limit_kw=200.0, export_limit_kw=200.0),
    pv_peak_kw=90.0,
)


def _hour(ts: datetime) -> float:
    return ((ts + timedelta(hours=2)).hour + ts.minute / 60 + ts.second / 3600) % 24


def spot(ts: datetime) -> float:
    """Day-ahead price, EUR/kWh: morning and evening peaks, a dip at noon."""
    h, day = _hour(ts), ts.toordinal()
    shape = (
        9.0
        + 5.5 * math.exp(-(((h - 7.5) / 1.6) ** 2))
        + 10.5 * math.exp(-(((h - 19.5) / 2.0) ** 2))
        - 8.5 * math.exp(-(((h - 13.3) / 2.6) ** 2))
    )
    within = 1.4 * (1.5 - (ts.minute // 15)) / 1.5 * (1 if h > 15 else -1)
    return (shape + within * 0.6 + random.Random(day * 96 + int(h * 4)).uniform(-0.4, 0.4)) / 100


def load_kw(ts: datetime) -> float:
    """Load of a workshop with an office."""
    h = _hour(ts)
    day = 14 * (1 / (1 + math.exp(-(h - 6.5) * 2)) - 1 / (1 + math.exp(-(h - 17.5) * 1.6)))
    return 22 + day + 9 * math.exp(-(((h - 19) / 1.8) ** 2))


def pv_kw(ts: datetime) -> float:
    """PV of a clear day with a few clouds."""
    h = _hour(ts)
    clear = 78 * max(0.0, math.cos((h - 13.2) / 7.4 * math.pi / 2)) ** 1.4 if 5.9 < h < 20.5 else 0
    cloud = 0.22 * max(0.0, math.sin(h * 2.1)) * math.exp(-(((h - 15.5) / 1.6) ** 2))
    return clear * (1 - cloud)


def truth(signal: str, ts: datetime) -> float:
    """What comes, quarter-hour by quarter-hour, in the unit of the signal."""
    curve = {"spot_eur_per_kwh": spot, "load_kw": load_kw, "pv_kw": pv_kw}[signal]
    return curve(ts)


class Day:
    """Cheapest battery schedule from six hours before `start` to 36 hours after it."""

    def __init__(self, start: datetime) -> None:
        self.first = quarter_start(start) - timedelta(hours=6)
        self.n = 42 * 4
        self.times = [self.first + i * STEP for i in range(self.n)]
        self.spot = np.array([spot(t) for t in self.times])
        self.buy, self.sell = self.spot + 0.10, self.spot - 0.005
        self.load = np.array([load_kw(t + STEP / 2) for t in self.times])
        self.pv = np.array([pv_kw(t + STEP / 2) for t in self.times])
        self.soc_start_kwh = 64.0
        self.charge, self.discharge, self.soc = self._solve()
        self.battery = self.discharge - self.charge
        self.grid = self.load - self.pv - self.battery

    def _solve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n, b, h = self.n, SITE.battery, 0.25
        # Variables: charge, discharge, import, export (n each), stored energy after each step.
        cost = np.concatenate(
            [
                np.full(n, b.wear_cost_eur_per_kwh * h),
                np.full(n, b.wear_cost_eur_per_kwh * h),
                self.buy * h,
                -self.sell * h,
                np.zeros(n),
            ]
        )
        cost[-1] = -0.12
        eye, zero = np.eye(n), np.zeros((n, n))
        balance = np.hstack([-eye, eye, eye, -eye, zero])
        before = np.eye(n, k=-1)
        stored = np.hstack(
            [
                -b.efficiency_charge * h * eye,
                h / b.efficiency_discharge * eye,
                zero,
                zero,
                eye - before,
            ]
        )
        start = np.zeros(n)
        start[0] = self.soc_start_kwh
        bounds = (
            [(0, 70)] * n
            + [(0, 80)] * n
            + [(0, 200)] * (2 * n)
            + [(b.energy_min_kwh, b.energy_max_kwh)] * n
        )
        found = linprog(
            cost,
            A_eq=np.vstack([balance, stored]),
            b_eq=np.concatenate([self.load - self.pv, start]),
            bounds=bounds,
        )
        assert found.success
        return found.x[:n], found.x[n : 2 * n], found.x[4 * n :]

    def index(self, ts: datetime) -> int:
        return (ts - self.first) // STEP

    def soc_kwh(self, ts: datetime) -> float:
        i = self.index(ts)
        before = self.soc_start_kwh if i == 0 else self.soc[i - 1]
        share = (ts - self.times[i]) / STEP
        return float(before + (self.soc[i] - before) * share)

    def values(self, ts: datetime) -> dict[str, float | None]:
        """Return what meters would show at `ts`."""
        wobble = random.Random(int(ts.timestamp()) // 2)
        i = self.index(ts)
        battery = float(self.battery[i])
        if abs(battery) > 0.5:
            battery += wobble.uniform(-0.6, 0.6)
        load = load_kw(ts) + wobble.gauss(0, 0.7)
        pv = pv_kw(ts)
        pv = max(0.0, pv + wobble.gauss(0, 0.012) * pv)
        return {
            "battery_kw": battery,
            "load_kw": load,
            "pv_kw": pv,
            "grid_kw": load - pv - battery,
            "soc_percent": self.soc_kwh(ts) / SITE.battery.energy_capacity_kwh * 100,
            "temperature_c": 27.4,
        }

    def plan(self, ts: datetime, number: int) -> Plan:
        """Return the rest of the schedule as the plan published at the quarter-hour of `ts`."""
        i = self.index(ts)
        rest = slice(i, None)
        h = 0.25
        day = slice(i, i + 96)
        cost = float(
            (np.maximum(self.grid, 0) * self.buy + np.minimum(self.grid, 0) * self.sell)[day].sum()
            * h
        )
        net = (self.load - self.pv)[day]
        base = float(
            (np.maximum(net, 0) * self.buy[day] + np.minimum(net, 0) * self.sell[day]).sum() * h
        )
        before = self.soc_start_kwh if i == 0 else float(self.soc[i - 1])
        times = self.times[i:]
        # Day-ahead prices are published until the end of tomorrow.
        published_until = self.first + timedelta(hours=27)
        return Plan(
            plan_id=f"plan-{number:04d}",
            site_id=SITE.site_id,
            created_at=quarter_start(ts) + timedelta(seconds=3),
            start=times[0],
            step_minutes=15,
            battery_kw=self.battery[rest],
            grid_kw=self.grid[rest],
            load_kw=self.load[rest],
            pv_kw=self.pv[rest],
            curtailed_kw=np.zeros(self.n - i),
            soc_kwh=self.soc[rest],
            soc_start_kwh=before,
            buy_eur_per_kwh=self.buy[rest],
            sell_eur_per_kwh=self.sell[rest],
            spot_eur_per_kwh=self.spot[rest],
            price_is_forecast=np.array([t >= published_until for t in times]),
            stored_value_eur_per_kwh=np.full(self.n - i, 0.12),
            strategy="co_optimised",
            cost_eur=cost,
            baseline_cost_eur=base,
            profit_24h_eur=base - cost,
            status="optimal",
            solver="HIGHS (LP)",
            gap=0.0,
            solve_ms=4.0,
            check=PlanCheck(True, 0.0, 0.0, 0.0),
            forecast_sources={"price": "recorded"},
        )


class NoImports:
    """Nothing was imported."""

    def states(self) -> tuple[Any, ...]:
        return ()


class FakeServices:
    """`ems_dash.services.Services` over a made-up day whose clock a test moves.

    Args:
        start: Where the clock begins, UTC.
        change: Applied to every snapshot, to make the plant ill in a test.
    """

    def __init__(
        self,
        start: datetime = START,
        change: Callable[[EngineSnapshot], EngineSnapshot] | None = None,
    ) -> None:
        self.day = Day(start)
        self._now = start
        self._seq = 100
        self._plan = self.day.plan(start, 1)
        self._plan_number = 1
        self._lock = threading.Lock()
        self.change = change
        self.heartbeat_s = 0.4
        self._manual: tuple[StrategyKey, datetime] | None = None
        self.order: ManualOrder | None = None
        self.archive = FakeArchive(truth, self.now)
        self.analytics = FakeAnalytics(self.now)
        self.history = FakeHistory(truth)
        self.imports: Any = NoImports()
        self.backtests: Any = NoBacktests()

    def advance(self, seconds: float, cycles: int = 1) -> None:
        """Move the plant's clock; one more control cycle has run."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._seq += cycles
            if quarter_start(self._now) != self._plan.start:
                self._plan_number += 1
                self._plan = self.day.plan(self._now, self._plan_number)

    def now(self) -> datetime:
        return self._now

    def heartbeat_age_s(self) -> float:
        return self.heartbeat_s

    def strategy_state(self) -> StrategyState:
        manual = self._manual
        choice = selection(ts=self._now, plan_id=self._plan.plan_id)
        if manual is None:
            return strategy_state(selection=choice)
        key, until = manual
        chosen = replace(
            choice,
            active=key,
            mode="manual",
            reason=ChoiceReason.MANUAL,
            manual_until=until,
            plan_id=f"{choice.plan_id}-{key}",
        )
        return strategy_state(mode="manual", manual=key, manual_until=until, selection=chosen)

    def choose_strategy(self, strategy: StrategyKey, until: datetime) -> StrategyState:
        self._manual = (strategy, until)
        return self.strategy_state()

    def choose_automatically(self) -> StrategyState:
        self._manual = None
        return self.strategy_state()

    @property
    def operator(self) -> FakeServices:
        return self

    def give(
        self, power_kw: float, until: datetime, soc_percent: float | None, source: str
    ) -> ManualOrder:
        if abs(power_kw) > 100.0:
            raise ControlError(f"{power_kw:g} kW is beyond the battery's 100 kW.", field="power_kw")
        self.order = ManualOrder(power_kw, self._now, until, soc_percent, source)
        return self.order

    def end(self) -> bool:
        self.order = None
        return True

    def forecasts(self) -> dict[str, Forecast]:
        return {
            signal: replace(
                forecast_at(truth, signal, self._plan.created_at),
                method="median of three models",
            )
            for signal in FORECAST_SIGNALS
        }

    def forecast_accuracy(self, days: int) -> tuple[ModelAccuracy, ...]:
        return made_up_accuracy(days, self._now)

    @property
    def forecast_archive(self) -> FakeArchive:
        return self.archive

    def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        first = since.replace(second=0, microsecond=0) + timedelta(minutes=1)
        first = max(first, self.day.first)
        out = []
        while first + timedelta(minutes=1) <= self._now and (until is None or first < until):
            out.append(MeasuredPoint(first, 60, self.day.values(first + timedelta(seconds=30))))
            first += timedelta(minutes=1)
        return out

    def prices(self, since: datetime, until: datetime) -> list[PriceRow]:
        out, ts = [], quarter_start(since)
        while ts < until:
            eur = spot(ts)
            out.append(PriceRow(ts, "demo", 15, eur, eur + 0.1, eur - 0.005, "recorded", ts))
            ts += timedelta(minutes=15)
        return out

    def planned(self, since: datetime, until: datetime) -> list[PlannedStep]:
        day = self.day
        return [
            PlannedStep(ts, ts + STEP, float(day.battery[i]), float(day.soc[i]))
            for i, ts in enumerate(day.times)
            if since <= ts < until
        ]

    def snapshot(self) -> EngineSnapshot:
        with self._lock:
            now, plan, seq = self._now, self._plan, self._seq
        values = self.day.values(now)
        samples = {name: Sample(value, now, "sim") for name, value in values.items()}
        i = self.day.index(now)
        power = values["battery_kw"] or 0.0
        snapshot = EngineSnapshot(
            seq=seq,
            ts=now,
            site=SITE,
            state=EngineState.AUTOMATIC,
            state_reason=None,
            image=ProcessImage(SITE.site_id, now, samples, simulated=True),
            limits=PowerLimits(100.0, 100.0, "nameplate", "nameplate"),
            setpoint=Setpoint(now, power, power, "value_dispatch"),
            plan=plan,
            price=PriceNow(
                float(self.day.spot[i]), float(self.day.buy[i]), float(self.day.sell[i]), "recorded"
            ),
            energy_cost_today_eur=31.47,
            links=(
                LinkStatus("bms", "online", None, "127.0.0.1:15020", 812, 0, 1.8, True, False),
                LinkStatus("pcs", "online", None, "127.0.0.1:15021", 812, 1, 2.1, True, True),
                LinkStatus("meter", "online", None, "127.0.0.1:15022", 812, 0, 1.7, True, False),
            ),
            strategy=self.strategy_state(),
            manual=self.order,
            health=tuple(
                StepHealth(name, True, now) for name in ("control", "poll", "plan", "history")
            ),
        )
        return self.change(snapshot) if self.change else snapshot


def without_plan(snapshot: EngineSnapshot) -> EngineSnapshot:
    """Return `snapshot` as it is when the planning step fails from the start."""
    failed = StepHealth(
        "plan", False, None, 3, 3, "Prices for 2026-06-23 are not available. Check the source."
    )
    health = tuple(failed if step.name == "plan" else step for step in snapshot.health)
    return replace(
        snapshot,
        plan=None,
        price=None,
        state=EngineState.DEGRADED,
        state_reason="no_plan",
        health=health,
    )

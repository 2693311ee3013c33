"""What control between plans is worth on a site with a demand charge.

Run from the repository root: ``python -m tests.benchmarks.bench_control``. It replays recorded
months of the demo composite with the program's own optimiser, peak target, reserve and
`Controller`. Recorded are the 15-min means of price, load and PV power; the movement inside a
quarter-hour is the mean-free ripple of the demo plant, hence synthetic. Forecasts are causal
and simple (below); the program's own are better. Plans have 15-min steps over 36 h and are
made hourly; control decides every 60 s on the means of the minute before. Energy and peaks
are billed on 15-min net means; the store is valued at the start's level.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from engine.config.control import ControlConfig  # noqa: E402
from engine.control.controller import Controller  # noqa: E402
from engine.control.setpoint_law import Prices  # noqa: E402
from engine.domain.control import PowerLimits  # noqa: E402
from engine.domain.plan import Plan, PlanCheck  # noqa: E402
from engine.domain.sample import ProcessImage, Sample  # noqa: E402
from engine.domain.site import Battery, GridConnection, Site  # noqa: E402
from engine.optimization.instance import Instance  # noqa: E402
from engine.optimization.optimizer import Optimizer  # noqa: E402
from engine.optimization.peak_reserve import (  # noqa: E402
    load_envelope_kw,
    peak_reserve_kwh,
    peak_target_kw,
    upper_net_load_kw,
)
from engine.optimization.planning import make_plan  # noqa: E402
from engine.optimization.terms import BilledPeak  # noqa: E402
from engine.recorded.recording import Recording  # noqa: E402
from engine.recorded.within_quarter import with_ripple  # noqa: E402

Array = NDArray[np.float64]

FIRST_MONTH, MONTHS = (2025, 11), 3
"""Billing periods replayed, after a month of history."""

CHARGE_EUR_PER_KW = 8.0
BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, wear_cost_eur_per_kwh=0.015)
SITE = Site("bench", "Bench", "Europe/Vienna", BATTERY, GridConnection(300.0, 300.0), 160.0)
ZONE = ZoneInfo(SITE.timezone)
QUARTER = timedelta(minutes=15)
DAY, WEEK = 96, 7 * 96
HORIZON = 144
STEP_S = 60.0
STEPS = round(900 / STEP_S)
REPLAN_QUARTERS = 4
LOAD_RIPPLE, PV_RIPPLE = 0.5, 0.5
SAMPLE_S = 10.0
RESERVE_EUR_PER_KWH_H = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """The recorded months with four weeks and more before them.

    Attributes:
        times: Start of every quarter-hour, UTC; length n.
        spot: Day-ahead price in EUR/kWh, shape (n,).
        load_kw: Load, shape (n,).
        pv_kw: PV power, shape (n,).
        first: Index of the first quarter-hour replayed.
        period: Number of the billing period, shape (n,).
        net_kw: Net load per control step of each replayed quarter-hour, shape (n, STEPS).
    """

    times: list[datetime]
    spot: Array
    load_kw: Array
    pv_kw: Array
    first: int
    period: NDArray[np.int64]
    net_kw: Array

    @property
    def n(self) -> int:
        return len(self.times)

    @property
    def buy(self) -> Array:
        return self.spot + 0.10

    @property
    def sell(self) -> Array:
        return self.spot - 0.005

    @property
    def mean_net_kw(self) -> Array:
        return self.load_kw - self.pv_kw


def local_month(year: int, month: int, ahead: int = 0) -> datetime:
    """Return the local start of a month, `ahead` months later, as UTC."""
    count = year * 12 + month - 1 + ahead
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=ZONE).astimezone(UTC)


def load_replay(first_month: tuple[int, int] = FIRST_MONTH, months: int = MONTHS) -> Replay:
    """Return the months asked for, with the month before as history."""
    recording = Recording()
    history = local_month(*first_month, ahead=-1)
    start, end = local_month(*first_month), local_month(*first_month, ahead=months)
    n = (end - history) // QUARTER
    times = [history + i * QUARTER for i in range(n)]
    series = {name: recording.values(name, times) for name in recording.columns}
    period = np.array([t.astimezone(ZONE).year * 12 + t.astimezone(ZONE).month for t in times])
    first = (start - history) // QUARTER
    load, pv = series["load_kw"], series["pv_kw"]
    net = np.repeat((load - pv)[:, None], STEPS, axis=1)
    net[first:] += _ripple(times[first:], load[first:], LOAD_RIPPLE, 1)
    net[first:] -= _ripple(times[first:], pv[first:], PV_RIPPLE, 2)
    return Replay(times, series["price_at_eur_mwh"] / 1000.0, load, pv, first, period, net)


def _ripple(times: list[datetime], mean_kw: Array, amplitude: float, seed: int) -> Array:
    """Return deviations from the quarter-hours' means per control step, shape (n, STEPS)."""
    factor = with_ripple(lambda _: 1.0, amplitude, seed)
    samples = round(STEP_S / SAMPLE_S)
    out = np.empty((len(times), STEPS))
    for row, start in enumerate(times):
        values = [
            factor(start + timedelta(seconds=SAMPLE_S * (k + 0.5))) for k in range(samples * STEPS)
        ]
        out[row] = np.reshape(values, (STEPS, samples)).mean(axis=1) - 1.0
    out -= out.mean(axis=1, keepdims=True)
    return out * mean_kw[:, None]


class Forecasts:
    """Causal forecasts from what was metered and published before a quarter-hour.

    Load: median of the same time of the week in up to four weeks, moved by the error of the
    last hour, which fades within some hours. PV: the third-highest value of the same time in
    two weeks, times the cloudiness of the last hours and days. Price: published until the end
    of the day, from 13:00 local time until the end of the next; then the last week's mean.
    """

    def __init__(self, data: Replay) -> None:
        self._data = data

    def at(self, i: int) -> tuple[Array, Array, Array]:
        """Return spot price, load and PV power of the horizon from quarter-hour `i` on."""
        ahead = i + np.arange(HORIZON)
        return self._spot(i, ahead), self._load(i, ahead), self._pv(i, ahead)

    def _load(self, i: int, ahead: NDArray[np.int64]) -> Array:
        load = self._data.load_kw
        base = self._same_time(load, i, ahead, WEEK, 4)
        recent = np.arange(i - 4, i)
        error = float(np.mean(load[recent] - self._same_time(load, i - 4, recent, WEEK, 4)))
        fading = error * np.exp(-np.arange(HORIZON) / 8.0)
        return np.maximum(base + fading, 0.0)

    def _pv(self, i: int, ahead: NDArray[np.int64]) -> Array:
        pv = self._data.pv_kw
        clear = self._clear(i, ahead)
        past = np.arange(i - 3 * DAY, i)
        seen = self._clear(i - 3 * DAY, past[:DAY])
        days = float(pv[past].sum() / max(3.0 * seen.sum(), 1.0))
        now = pv[i - 8 : i].sum() / max(self._clear(i - 8, np.arange(i - 8, i)).sum(), 20.0)
        lit = self._clear(i - 8, np.arange(i - 8, i)).sum() > 20.0
        weight = np.exp(-np.arange(HORIZON) / 16.0) * (1.0 if lit else 0.0)
        share: Array = np.clip(weight * now + (1.0 - weight) * days, 0.0, 1.2)
        return clear * share

    def _spot(self, i: int, ahead: NDArray[np.int64]) -> Array:
        spot, local = self._data.spot, self._data.times[i].astimezone(ZONE)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        days = 2 if local.hour >= 13 else 1
        end = (midnight + timedelta(days=days)).astimezone(UTC)
        known = (end - self._data.times[i]) // QUARTER
        mean = np.mean([spot[i - 7 * DAY + d * DAY :][:DAY] for d in range(7)], axis=0)
        out: Array = mean[(ahead - i) % DAY]
        last = min(known, HORIZON, self._data.n - i)
        out[:last] = spot[i : i + last]
        return out

    def _clear(self, i: int, at: NDArray[np.int64]) -> Array:
        back = 1 + (at - i) // DAY
        same = [self._data.pv_kw[at - (back + d) * DAY] for d in range(14)]
        third: Array = np.sort(same, axis=0)[-3]
        return third

    @staticmethod
    def _same_time(series: Array, i: int, at: NDArray[np.int64], season: int, count: int) -> Array:
        back = 1 + (at - i) // season
        rows = [
            series[at - (back + k) * season]
            for k in range(count)
            if at[0] - (back[0] + k) * season >= 0
        ]
        median: Array = np.median(rows, axis=0)
        return median


@dataclass(frozen=True, slots=True)
class Policy:
    """How a battery is run.

    Attributes:
        name: Row of the table.
        control: Settings of the law.
        reserve: True: plan and law keep a reserve for peaks.
    """

    name: str
    control: ControlConfig
    reserve: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a policy cost; EUR and kW over all periods."""

    name: str
    energy_eur: float
    peaks_kw: tuple[float, ...]
    wear_eur: float
    reversals_per_day: float
    cycles: float

    @property
    def cost_eur(self) -> float:
        return self.energy_eur + CHARGE_EUR_PER_KW * sum(self.peaks_kw) + self.wear_eur


class Bench:
    """Replays one policy after another over the same months."""

    def __init__(self, data: Replay) -> None:
        self.data = data
        self._forecasts = Forecasts(data)
        self._optimizer = Optimizer()
        self._cache: dict[int, tuple[Array, Array, Array]] = {}
        self._targets: dict[int, float] = {}

    def target_kw(self, i: int) -> float:
        """Return the peak worth holding, from the four weeks before the billing period."""
        period = int(self.data.period[i])
        if period not in self._targets:
            past = slice(max(0, i - 4 * WEEK), i)
            self._targets[period] = peak_target_kw(
                self.data.load_kw[past], self.data.pv_kw[past], BATTERY, step_hours=0.25
            )
        return self._targets[period]

    def settle(self, name: str, battery_kw: Array, energy_kwh: tuple[float, float]) -> Result:
        """Return the cost of battery powers per control step, shape (n - first, STEPS)."""
        data, first = self.data, self.data.first
        grid = data.net_kw[first:].mean(axis=1) - battery_kw.mean(axis=1)
        buy, sell, period = data.buy[first:], data.sell[first:], data.period[first:]
        energy = float(np.sum(np.where(grid > 0, buy, sell) * grid) * 0.25)
        peaks = tuple(float(grid[period == p].max(initial=0.0)) for p in np.unique(period))
        dc = np.where(battery_kw > 0, battery_kw / 0.95, -battery_kw * 0.95)
        moved = float(dc.sum()) * STEP_S / 3600.0
        signs = np.sign(battery_kw.ravel())
        signs = signs[signs != 0]
        days = grid.size / DAY
        # Stored energy is worth what replacing it costs.
        energy -= (energy_kwh[1] - energy_kwh[0]) * float(np.mean(buy)) * 0.95
        return Result(
            name,
            energy,
            peaks,
            0.015 * moved,
            float(np.sum(signs[1:] != signs[:-1])) / days,
            moved / 2.0 / (BATTERY.energy_max_kwh - BATTERY.energy_min_kwh),
        )

    def no_battery(self) -> Result:
        shape = (self.data.n - self.data.first, STEPS)
        return self.settle("no battery", np.zeros(shape), (0.0, 0.0))

    def rule(self, name: str, share: float) -> Result:
        """Discharge above a threshold, recharge below 80 % of it, in every control step."""
        data = self.data
        out = np.zeros((data.n - data.first, STEPS))
        energy = start = BATTERY.energy_capacity_kwh / 2.0
        for i in range(data.first, data.n):
            threshold = share * self.target_kw(i)
            last_kw = float(data.net_kw[i - 1, -1])
            for k in range(STEPS):
                wanted = max(0.0, last_kw - threshold) or min(0.0, last_kw - 0.8 * threshold)
                power, energy = _possible(wanted, energy)
                out[i - data.first, k] = power
                last_kw = float(data.net_kw[i, k])
        return self.settle(name, out, (start, energy))

    def foresight(self) -> Result:
        """Return the optimum that knows every quarter-hour of all months."""
        data, rows = self.data, slice(self.data.first, None)
        period = data.period[rows]
        instance = Instance.for_battery(
            BATTERY,
            start=data.times[data.first],
            step_minutes=15,
            buy_eur_per_kwh=data.buy[rows],
            sell_eur_per_kwh=data.sell[rows],
            load_kw=data.load_kw[rows],
            pv_kw=data.pv_kw[rows],
            import_limit_kw=300.0,
            export_limit_kw=300.0,
            energy_start_kwh=100.0,
            energy_final_min_kwh=100.0,
            curtailment_allowed=False,
            billed_peaks=tuple(
                BilledPeak(period == p, CHARGE_EUR_PER_KW) for p in np.unique(period)
            ),
        )
        solution = self._optimizer.solve(instance)
        power = np.repeat(solution.battery_kw[:, None], STEPS, axis=1)
        return self.settle("perfect foresight", power, (100.0, float(solution.soc_kwh[-1])))

    def run(self, policy: Policy) -> Result:
        """Replay a policy that plans."""
        data = self.data
        controller = Controller(SITE, policy.control, cycle_s=STEP_S)
        out = np.zeros((data.n - data.first, STEPS))
        energy = start = BATTERY.energy_capacity_kwh / 2.0
        plan: Plan | None = None
        value, metered_kw, period = 0.2, 0.0, -1
        battery_kw = 0.0
        for i in range(data.first, data.n):
            if data.period[i] != period:
                period, metered_kw = int(data.period[i]), 0.0
            if plan is None or (i - data.first) % REPLAN_QUARTERS == 0:
                cap_kw = max(metered_kw, self.target_kw(i))
                reserve = self._reserve(i, cap_kw) if policy.reserve else None
                plan = self._plan(i, energy, value, cap_kw, reserve)
                value = float(np.mean(plan.stored_value_eur_per_kwh))
            prices = Prices(float(data.buy[i]), float(data.sell[i]))
            grid_kw = float(data.net_kw[i - 1, -1]) - battery_kw
            imported = 0.0
            for k in range(STEPS):
                seconds = ((i - data.first) * STEPS + k) * STEP_S
                now = data.times[data.first] + timedelta(seconds=seconds)
                setpoint = controller.decide(
                    _image(now, grid_kw, battery_kw, energy),
                    _limits(energy),
                    plan,
                    prices,
                    now=now,
                    monotonic_s=seconds,
                )
                battery_kw, energy = _possible(setpoint.power_kw, energy)
                grid_kw = float(data.net_kw[i, k]) - battery_kw
                imported += grid_kw
                out[i - data.first, k] = battery_kw
            metered_kw = max(metered_kw, imported / STEPS)
        return self.settle(policy.name, out, (start, energy))

    def _seen(self, i: int) -> tuple[Array, Array, Array]:
        if i not in self._cache:
            self._cache[i] = self._forecasts.at(i)
        return self._cache[i]

    def _reserve(self, i: int, cap_kw: float) -> Array:
        past = self.data.load_kw[max(0, i - 4 * WEEK) : i]
        high = load_envelope_kw(past, HORIZON, 0.25)
        upper = upper_net_load_kw(high, self._seen(i)[2])
        return peak_reserve_kwh(
            upper,
            target_kw=cap_kw,
            eta_charge=BATTERY.efficiency_charge,
            eta_discharge=BATTERY.efficiency_discharge,
            energy_min_kwh=BATTERY.energy_min_kwh,
            energy_max_kwh=BATTERY.energy_max_kwh,
            charge_limit_kw=BATTERY.power_charge_max_kw,
            discharge_limit_kw=BATTERY.power_discharge_max_kw,
            step_hours=0.25,
        )

    def _plan(
        self, i: int, energy_kwh: float, value: float, cap_kw: float, reserve: Array | None
    ) -> Plan:
        spot, load, pv = self._seen(i)
        ahead = np.minimum(i + np.arange(HORIZON), self.data.n - 1)
        period = self.data.period[ahead]
        peaks = tuple(
            BilledPeak(
                period == p,
                CHARGE_EUR_PER_KW,
                cap_kw if p == self.data.period[i] else self.target_kw(i),
            )
            for p in np.unique(period)
        )
        instance = Instance.for_battery(
            BATTERY,
            start=self.data.times[i],
            step_minutes=15,
            buy_eur_per_kwh=spot + 0.10,
            sell_eur_per_kwh=spot - 0.005,
            load_kw=load,
            pv_kw=pv,
            import_limit_kw=300.0,
            export_limit_kw=300.0,
            energy_start_kwh=energy_kwh,
            terminal_value_eur_per_kwh=min(max(value, 0.0), 0.5),
            curtailment_allowed=False,
            billed_peaks=peaks,
            energy_reserve_kwh=reserve,
            reserve_eur_per_kwh_h=RESERVE_EUR_PER_KWH_H if reserve is not None else 0.0,
        )
        solution = self._optimizer.solve(instance)
        return make_plan(
            instance,
            solution,
            # The independent check has tests of its own; here it would cost a third of the time.
            PlanCheck(True, 0.0, 0.0, 0.0),
            plan_id=f"bench-{i}",
            site_id=SITE.site_id,
            created_at=self.data.times[i],
            spot=spot,
            price_is_forecast=np.zeros(HORIZON, dtype=bool),
            strategy="co_optimised",
            trigger="schedule",
            forecast_sources={},
        )


def _possible(power_kw: float, energy_kwh: float) -> tuple[float, float]:
    """Return the power the store can give or take for a control step, and its energy after."""
    hours = STEP_S / 3600.0
    if power_kw > 0:
        room = (energy_kwh - BATTERY.energy_min_kwh) * 0.95 / hours
        power_kw = max(0.0, min(power_kw, BATTERY.power_discharge_max_kw, room))
        return power_kw, energy_kwh - power_kw / 0.95 * hours
    room = (BATTERY.energy_max_kwh - energy_kwh) / 0.95 / hours
    power_kw = -max(0.0, min(-power_kw, BATTERY.power_charge_max_kw, room))
    return power_kw, energy_kwh - power_kw * 0.95 * hours


def _limits(energy_kwh: float) -> PowerLimits:
    empty = energy_kwh <= BATTERY.energy_min_kwh + 0.01
    full = energy_kwh >= BATTERY.energy_max_kwh - 0.01
    return PowerLimits(
        0.0 if full else BATTERY.power_charge_max_kw,
        0.0 if empty else BATTERY.power_discharge_max_kw,
        "soc_window",
        "soc_window",
    )


def _image(now: datetime, grid_kw: float, battery_kw: float, energy_kwh: float) -> ProcessImage:
    soc = 100.0 * energy_kwh / BATTERY.energy_capacity_kwh
    return ProcessImage(
        SITE.site_id,
        now,
        {
            "grid_kw": Sample(grid_kw, now, "bench"),
            "battery_kw": Sample(battery_kw, now, "bench"),
            "soc_percent": Sample(soc, now, "bench"),
        },
    )


def control(**changes: object) -> ControlConfig:
    """Return settings of the law with some changed."""
    return ControlConfig.model_validate(changes)


POLICIES = (
    Policy("plan held", control(mode="hold", peak_guard=False)),
    Policy("plan tracked", control(mode="track", peak_guard=False)),
    Policy("value dispatch", control(peak_guard=False)),
    Policy("value dispatch, reserve and guard", control(), reserve=True),
)


def results(data: Replay, report: Callable[[Result], None] | None = None) -> list[Result]:
    """Return every row; `report` is told each as it is there."""
    bench = Bench(data)
    works: tuple[Callable[[], Result], ...] = (
        bench.no_battery,
        partial(bench.rule, "rule-based peak shaving", 0.9),
        *(partial(bench.run, policy) for policy in POLICIES),
        bench.foresight,
    )
    rows: list[Result] = []
    for work in works:
        rows.append(work())
        if report is not None:
            report(rows[-1])
    return rows


def run() -> None:
    """Print the comparison."""
    data = load_replay()
    first, last = data.times[data.first].astimezone(ZONE), data.times[-1].astimezone(ZONE)
    print(
        f"Control between plans: {first:%Y-%m-%d} to {last:%Y-%m-%d}, 200 kWh / 100 kW, "
        f"{CHARGE_EUR_PER_KW:g} EUR/kW and month, buy = spot + 10 ct, sell = spot - 0.5 ct"
    )
    print("recorded 15-min means, synthetic ripple inside them, control every 60 s, plans hourly")
    print(
        f"{'':<36}{'saving EUR':>11}{'capture':>9}{'mean peak kW':>14}{'cycles':>8}"
        f"{'reversals/day':>15}{'s':>6}"
    )
    began = time.perf_counter()
    rows: list[tuple[Result, float]] = []

    def report(row: Result) -> None:
        nonlocal began
        now = time.perf_counter()
        rows.append((row, now - began))
        began = now

    results(data, report)
    none, perfect = rows[0][0].cost_eur, rows[-1][0].cost_eur
    for row, seconds in rows:
        saving = none - row.cost_eur
        print(
            f"{row.name:<36}{saving:>11.0f}{saving / (none - perfect):>9.2f}"
            f"{np.mean(row.peaks_kw):>14.1f}{row.cycles:>8.0f}{row.reversals_per_day:>15.1f}"
            f"{seconds:>6.0f}"
        )


def main() -> None:
    """Run the benchmark from the command line."""
    run()


if __name__ == "__main__":
    main()

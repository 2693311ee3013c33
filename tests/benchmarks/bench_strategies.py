"""What each strategy earns on recorded months, against rules and against perfect foresight.

Run from the repository root: ``python -m tests.benchmarks.bench_strategies``. Closed loop: a
plan every hour from forecasts that use nothing from the future, value dispatch on the real
net load between plans, exact battery physics. Everything is printed side by side in one run.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from engine.control.setpoint_law import Prices, Situation, value_dispatch_kw  # noqa: E402
from engine.domain.control import PowerLimits  # noqa: E402
from engine.domain.plan import PlanSteering  # noqa: E402
from engine.domain.strategy import StrategyKey  # noqa: E402
from engine.optimization.instance import Instance  # noqa: E402
from engine.optimization.optimizer import Optimizer  # noqa: E402
from engine.optimization.peak_reserve import (  # noqa: E402
    lowest_peak_kw,
    peak_reserve_kwh,
)
from engine.optimization.solution import Solution  # noqa: E402
from engine.optimization.terms import BilledPeak  # noqa: E402
from engine.strategies.candidates import CandidatePlan, plan_candidates  # noqa: E402
from engine.strategies.configured import configure  # noqa: E402
from engine.strategies.evaluation import Evaluation, evaluate  # noqa: E402
from engine.strategies.parameters import StrategyContext, StrategyParameters  # noqa: E402
from engine.strategies.replay import Plant, simulate  # noqa: E402
from engine.strategies.rules import (  # noqa: E402
    ArbitrageRule,
    LoadBalancingRule,
    PeakShavingRule,
    Rule,
    SelfConsumptionRule,
    TimerRule,
)
from engine.strategies.selector import Selector, Standing  # noqa: E402
from tests.benchmarks.bench_strategies_site import (  # noqa: E402
    BATTERY,
    DAY,
    DEMAND_EUR_PER_KW,
    HORIZON,
    STEP,
    ZONE,
    FloatArray,
    Recorded,
)

MONTHS = ((2026, 1, "winter"), (2026, 4, "spring"), (2026, 7, "summer"))
AUTO_MONTHS = ((2026, 4),)
AUTO_DAYS = 10
PLAN_EVERY = 4
BALANCING_DAYS = 7
TARGET_SHARE = 1.0 / 3.0
"""Where the peak target lies between the trailing optimum and the trailing peak itself."""

TRAILING = 28 * DAY
PV_SHARE = 0.25
NAMEPLATE = PowerLimits(100.0, 100.0, "nameplate", "nameplate")
RESERVE_EUR_PER_KWH_H = 0.05
PARAMETERS = StrategyParameters()

CO = StrategyKey.CO_OPTIMISED
ARB = StrategyKey.ARBITRAGE
PEAK = StrategyKey.PEAK_SHAVING
SELF = StrategyKey.SELF_CONSUMPTION
BAL = StrategyKey.LOAD_BALANCING


@dataclass(frozen=True)
class Run:
    """One battery schedule of a month."""

    battery_kw: FloatArray
    solves: int
    seconds: float
    switches: int = 0
    shares: str = ""


@dataclass(frozen=True)
class Month:
    """A month of the recording and what was known before it began."""

    data: Recorded
    first: int
    stop: int
    target_kw: float

    @property
    def energy_only(self) -> Instance:
        """The whole month without a demand charge, as it happened."""
        sell = self.data.spot[self.first : self.stop] - 0.005
        return self.data.instance(self.first, self.stop, terminal=max(0.0, float(np.median(sell))))

    @property
    def with_demand(self) -> Instance:
        """The whole month with the demand charge, as it happened."""
        n = self.stop - self.first
        return dataclasses.replace(
            self.energy_only, billed_peaks=(BilledPeak(np.ones(n, dtype=bool), DEMAND_EUR_PER_KW),)
        )


def peaks_ahead(month: Month, now: int, incurred_kw: float) -> tuple[BilledPeak, ...]:
    """Return the billed peaks of the horizon: this month's, and next month's if in sight."""
    left = min(HORIZON, month.stop - now)
    peaks = [
        BilledPeak.between(HORIZON, 0, left, DEMAND_EUR_PER_KW, max(incurred_kw, month.target_kw))
    ]
    if left < HORIZON:
        peaks.append(BilledPeak.between(HORIZON, left, HORIZON, DEMAND_EUR_PER_KW, month.target_kw))
    return tuple(peaks)


def reserved(month: Month, now: int, incurred_kw: float, instance: Instance) -> Instance:
    """Return the problem with the energy reserve against a net load higher than forecast."""
    reserve = peak_reserve_kwh(
        month.data.load_envelope(now) - month.data.pv_low(now),
        target_kw=max(incurred_kw, month.target_kw),
        eta_charge=BATTERY.efficiency_charge,
        eta_discharge=BATTERY.efficiency_discharge,
        energy_min_kwh=BATTERY.energy_min_kwh,
        energy_max_kwh=BATTERY.energy_max_kwh,
        charge_limit_kw=BATTERY.power_charge_max_kw,
        discharge_limit_kw=BATTERY.power_discharge_max_kw,
        step_hours=0.25,
    )
    return dataclasses.replace(
        instance, energy_reserve_kwh=reserve, reserve_eur_per_kwh_h=RESERVE_EUR_PER_KWH_H
    )


def held_back_kw(
    wanted_kw: float, net_kw: float, cap_kw: float, stored_kwh: float, reserve_kwh: float
) -> float:
    """Return the wanted power without discharging the reserve for anything below the cap."""
    free_kw = max(0.0, (stored_kwh - reserve_kwh) * BATTERY.efficiency_discharge / 0.25)
    return min(wanted_kw, max(free_kw, net_kw - cap_kw))


def dispatch_kw(
    step: int, net_kw: float, solution: Solution, view: PlanSteering, limits: PowerLimits
) -> float:
    """Return what the 2-s law does with the net load that really comes."""
    aimed = view.smoothing_reference_kw
    now = Situation(
        net_load_kw=net_kw,
        planned_kw=float(solution.battery_kw[step]),
        prices=Prices(float(view.buy_eur_per_kwh[step]), float(view.sell_eur_per_kwh[step])),
        stored_value_eur_per_kwh=float(solution.stored_value_eur_per_kwh[step]),
        battery=BATTERY,
        peak_cap_kw=float(view.peak_cap_kw[step]),
        peak_price_eur_per_kwh=view.peak_price_eur_per_kwh,
        smoothing_reference_kw=None if aimed is None else float(aimed[step]),
        smoothing_eur_per_kwh=view.smoothing_eur_per_kwh,
        grid_charge_allowed=view.grid_charge_allowed,
        battery_export_allowed=view.battery_export_allowed,
    )
    return value_dispatch_kw(now, limits)


def peak_target(data: Recorded, first: int) -> float:
    """Return the peak to hold in the month from `first`, from the four weeks before it.

    The optimum of those weeks is what full knowledge reaches; a target so low empties the
    store before the real peak comes (notes "optimisation" section 3b). One third of the way
    back to the peak without a battery leaves room for what no forecast sees.
    """
    load, pv = data.load[first - TRAILING : first], data.pv[first - TRAILING : first]
    lowest = lowest_peak_kw(load, pv, BATTERY, step_hours=0.25)
    return lowest + TARGET_SHARE * (max(0.0, float((load - pv).max())) - lowest)


Choose = Callable[[dict[StrategyKey, CandidatePlan], datetime], StrategyKey]


def closed_loop(
    month: Month,
    keys: tuple[StrategyKey, ...],
    choose: Choose,
    optimizer: Optimizer,
    *,
    demand: bool,
    every: int = PLAN_EVERY,
) -> Run:
    """Return what planning each hour with `keys` and dispatching between plans does."""
    data, began = month.data, time.perf_counter()
    net = data.load - data.pv
    actual = data.instance(month.first, month.stop)
    plant = Plant(actual)
    battery = np.zeros(month.stop - month.first)
    incurred, solves = 0.0, 0
    values: FloatArray | None = None
    for at in range(0, battery.size, every):
        now = month.first + at
        spot = data.prices_known(now)
        if values is None:
            sell = float(np.median(spot[-DAY:])) - 0.005
            terminal = max(0.0, sell * 0.95 - 0.03)
        else:
            terminal = max(0.0, float(values[HORIZON - 1 - DAY]))
        load, pv = data.load_forecast(now), data.pv_forecast(now)
        true_instance = data.instance(
            now,
            now + HORIZON,
            spot=spot,
            load=load,
            pv=pv,
            energy_kwh=plant.energy_kwh,
            terminal=terminal,
            peaks=peaks_ahead(month, now, incurred) if demand else (),
        )
        if demand and CO in keys:
            true_instance = reserved(month, now, incurred, true_instance)
        context = StrategyContext(net[now - DAY : now], month.target_kw)
        plans = plan_candidates(true_instance, context, PARAMETERS, optimizer, keys)
        solves += len(keys)
        key = choose(plans, data.start + now * STEP)
        solution, view = plans[key].solution, plans[key].steering
        if solution is None or view is None:
            raise RuntimeError(f"{key}: {plans[key].value.reason}")
        own = plans.get(CO) or plans.get(ARB)
        if own is not None and own.solution is not None:
            values = own.solution.stored_value_eur_per_kwh
        for step in range(min(every, battery.size - at)):
            k = at + step
            limits = PowerLimits(
                -plant.possible_kw(k, -1e9), max(0.0, plant.possible_kw(k, 1e9)), "plant", "plant"
            )
            wanted = dispatch_kw(step, float(net[now + step]), solution, view, limits)
            reserve = true_instance.energy_reserve_kwh
            if reserve is not None and key is CO:
                cap = max(incurred, month.target_kw)
                stored = plant.energy_kwh
                wanted = held_back_kw(wanted, float(net[now + step]), cap, stored, reserve[step])
            battery[k] = plant.possible_kw(k, wanted)
            plant.advance(battery[k])
            incurred = max(incurred, float(net[now + step]) - battery[k])
    return Run(battery, solves, time.perf_counter() - began)


def automatic(month: Month, optimizer: Optimizer) -> Run:
    """Return the automatic choice among all five in closed loop."""
    selector, standing = Selector(), None
    chosen: list[StrategyKey] = []

    def choose(plans: dict[StrategyKey, CandidatePlan], now: datetime) -> StrategyKey:
        nonlocal standing
        selection = selector.choose(
            [plan.value for plan in plans.values()],
            now=now,
            site_id="bench",
            plan_id=str(len(chosen)),
            standing=standing,
            preferences_eur={key: plan.preference_eur for key, plan in plans.items()},
        )
        standing = Standing.after(selection, standing)
        chosen.append(selection.active)
        return selection.active

    run = closed_loop(month, tuple(StrategyKey), choose, optimizer, demand=True)
    switches = sum(a is not b for a, b in pairwise(chosen))
    counts = ", ".join(
        f"{key} {chosen.count(key) / len(chosen):.0%}" for key in StrategyKey if key in chosen
    )
    return Run(run.battery_kw, run.solves, run.seconds, switches, counts)


def pure(month: Month, key: StrategyKey, optimizer: Optimizer, every: int = PLAN_EVERY) -> Run:
    """Return one strategy by itself in closed loop."""
    return closed_loop(
        month, (key,), lambda _plans, _now: key, optimizer, demand=key in (CO, PEAK), every=every
    )


def ruled(month: Month, rule: Rule) -> Run:
    """Return what a rule does with the month."""
    began = time.perf_counter()
    battery = simulate(month.energy_only, rule, ZONE).battery_kw
    return Run(battery, 0, time.perf_counter() - began)


@dataclass(frozen=True)
class Row:
    """One line of a month's table."""

    name: str
    energy_only: Evaluation
    with_demand: Evaluation
    run: Run
    own_tariff: str


class Table:
    """The lines of one month, valued under both tariffs."""

    def __init__(self, month: Month, optimizer: Optimizer) -> None:
        self._energy_only, self._with_demand = month.energy_only, month.with_demand
        self.none = self._row("no battery", Run(np.zeros(month.stop - month.first), 0, 0.0), "E")
        best = {}
        for tariff, instance in (("E", self._energy_only), ("D", self._with_demand)):
            began = time.perf_counter()
            battery = optimizer.solve(instance).battery_kw
            run = Run(battery, 1, time.perf_counter() - began)
            best[tariff] = self._row(f"perfect foresight, {tariff}", run, tariff)
        self.best = best
        most = configure(SELF, self._energy_only, PARAMETERS, StrategyContext())
        used = evaluate(self._energy_only, optimizer.solve(most).battery_kw).pv.self_consumption
        self.most_self_consumption = used or 0.0
        self._print_head()
        for row in (self.none, best["E"], best["D"]):
            self._print(row)

    def _row(self, name: str, run: Run, tariff: str) -> Row:
        worth = (evaluate(i, run.battery_kw) for i in (self._energy_only, self._with_demand))
        return Row(name, *worth, run, tariff)

    def add(self, name: str, run: Run, tariff: str) -> Row:
        """Print and return the line of `run`."""
        row = self._row(name, run, tariff)
        self._print(row)
        return row

    def capture(self, row: Row) -> float:
        """Return the share of what perfect foresight saves under the line's own tariff."""
        return own(row).saving_eur / own(self.best[row.own_tariff]).saving_eur

    def _print_head(self) -> None:
        print(
            f"  {'':<27}{'tariff':>6}{'EUR, E':>8}{'EUR, D':>8}{'capture':>8}{'peak kW':>8}"
            f"{'less':>6}{'self-c.':>8}{'of max':>7}{'ramps':>7}{'cycles':>7}{'solves':>7}{'s':>6}"
        )

    def _print(self, row: Row) -> None:
        used = row.energy_only.pv.self_consumption or 0.0
        ramps = row.energy_only.ramp_kw / self.none.energy_only.ramp_kw
        less = 1.0 - row.energy_only.peak_kw / self.none.energy_only.peak_kw
        print(
            f"  {row.name:<27}{row.own_tariff:>6}{row.energy_only.saving_eur:>8.0f}"
            f"{row.with_demand.saving_eur:>8.0f}{self.capture(row):>8.2f}"
            f"{row.energy_only.peak_kw:>8.1f}{less:>6.0%}{used:>8.3f}"
            f"{used / self.most_self_consumption:>7.0%}{ramps:>7.0%}"
            f"{row.energy_only.full_cycles:>7.1f}{row.run.solves:>7}{row.run.seconds:>6.0f}",
            flush=True,
        )


def own(row: Row) -> Evaluation:
    """Return the evaluation under the tariff the line is meant for."""
    return row.energy_only if row.own_tariff == "E" else row.with_demand


def balancing(month: Month, optimizer: Optimizer) -> None:
    """Print load balancing, planned every quarter-hour as the engine does, for one week."""
    week = Month(month.data, month.first, month.first + BALANCING_DAYS * DAY, month.target_kw)
    instance = week.energy_only
    idle = evaluate(instance, np.zeros(BALANCING_DAYS * DAY))
    rows = {
        "load balancing": pure(week, BAL, optimizer, every=1),
        "rule: trailing average": ruled(week, LoadBalancingRule(instance)),
    }
    print(f"  Load balancing, first {BALANCING_DAYS} days, planned every 15 min (sum |dg|, kW):")
    print(f"  {'no battery':<27}{idle.ramp_kw:>8.0f}")
    for name, run in rows.items():
        worth = evaluate(instance, run.battery_kw)
        print(
            f"  {name:<27}{worth.ramp_kw:>8.0f}, {1.0 - worth.ramp_kw / idle.ramp_kw:.0%} less, "
            f"saving {worth.saving_eur:.0f} EUR, {worth.full_cycles:.1f} cycles, "
            f"{run.solves} solves, {run.seconds:.0f} s",
            flush=True,
        )


def chosen_automatically(month: Month, optimizer: Optimizer) -> None:
    """Print the automatic choice among all five against always co-optimising."""
    some = Month(month.data, month.first, month.first + AUTO_DAYS * DAY, month.target_kw)
    print(f"  Automatic choice among the five, first {AUTO_DAYS} days, tariff D:")
    for name, run in (
        ("automatic", automatic(some, optimizer)),
        (str(CO), pure(some, CO, optimizer)),
    ):
        worth = evaluate(some.with_demand, run.battery_kw)
        chosen = f", {run.switches} switches, active: {run.shares}" if run.shares else ""
        print(
            f"  {name:<27}{worth.saving_eur:>8.0f} EUR, peak {worth.peak_kw:.1f} kW, "
            f"{run.solves} solves, {run.seconds:.0f} s{chosen}",
            flush=True,
        )


def one_month(data: Recorded, year: int, month: int, season: str, optimizer: Optimizer) -> None:
    """Print everything about one month."""
    first, stop = data.month(year, month)
    at = Month(data, first, stop, peak_target(data, first))
    pv_kwh, load_kwh = data.pv[first:stop].sum() / 4.0, data.load[first:stop].sum() / 4.0
    print(
        f"\n{year}-{month:02d} ({season}): load {load_kwh / 1e3:.1f} MWh, "
        f"PV {pv_kwh / 1e3:.1f} MWh, peak target {at.target_kw:.1f} kW"
    )
    table = Table(at, optimizer)
    actual = at.energy_only
    pairs: dict[StrategyKey, tuple[Row, Row]] = {}
    for key, tariff, name, rule in (
        (ARB, "E", "cheapest/dearest hours", ArbitrageRule(actual)),
        (SELF, "E", "surplus/deficit", SelfConsumptionRule()),
        (PEAK, "D", "threshold at the target", PeakShavingRule(at.target_kw)),
    ):
        planned = table.add(str(key), pure(at, key, optimizer), tariff)
        pairs[key] = planned, table.add(f"  rule: {name}", ruled(at, rule), tariff)
    rules = [pairs[ARB][1], pairs[SELF][1], pairs[PEAK][1]]
    rules.append(table.add("  rule: timer", ruled(at, TimerRule(40.0, 100.0)), "D"))
    co = table.add(str(CO), pure(at, CO, optimizer), "D")
    best_rule = max(rules, key=lambda row: row.with_demand.saving_eur)
    if (year, month) in AUTO_MONTHS:
        chosen_automatically(at, optimizer)
    balancing(at, optimizer)
    for key, (planned, rule) in pairs.items():
        gain = own(planned).saving_eur - own(rule).saving_eur
        print(f"  {key} earns {gain:+.0f} EUR against its rule.")
    gain = co.with_demand.saving_eur - best_rule.with_demand.saving_eur
    print(f"  {CO} earns {gain:+.0f} EUR against the best rule in hindsight,{best_rule.name[7:]}.")
    claims(table, pairs, data, at)


def claims(
    table: Table, pairs: dict[StrategyKey, tuple[Row, Row]], data: Recorded, month: Month
) -> None:
    """Print which of the promised figures are reached, and why not."""
    without = table.none.energy_only.peak_kw
    less = 1.0 - pairs[PEAK][0].with_demand.peak_kw / without
    verdict = "reached" if less >= 0.20 else "not reached"
    print(f"  Claim peak -20..30 %: {less:.0%}, {verdict}.")
    if less < 0.20:
        actual = month.with_demand
        lowest = lowest_peak_kw(actual.load_kw, actual.pv_kw, BATTERY, step_hours=0.25)
        print(
            f"    Full knowledge reaches {lowest:.1f} kW; the target was {month.target_kw:.1f} kW."
        )
    used = pairs[SELF][0].energy_only.pv.self_consumption or 0.0
    share = used / table.most_self_consumption
    if used > 0.80:
        print(f"  Claim self-consumption > 80 %: {used:.0%}, reached ({share:.0%} of the most).")
        return
    print(
        f"  Claim self-consumption > 80 %: {used:.0%}, not reached; {share:.0%} of the achievable "
        f"{table.most_self_consumption:.0%}."
    )
    small = Month(Recorded.read(PV_SHARE), month.first, month.stop, month.target_kw)
    instance = small.energy_only
    rule = evaluate(instance, simulate(instance, SelfConsumptionRule(), ZONE).battery_kw)
    true = month.energy_only
    print(
        f"    It is the sizing: PV makes {true.pv_kw.sum() / true.load_kw.sum():.1f} "
        f"times what the site uses. With {160.0 * PV_SHARE:.0f} kWp of PV the same battery "
        f"reaches {rule.pv.self_consumption or 0.0:.0%} (greedy rule, nothing foreseen)."
    )


def main() -> None:
    """Run the benchmark from the command line."""
    began, cpu = time.perf_counter(), time.process_time()
    print("Strategies in closed loop on recorded months (composite of recorded data: prices AT")
    print("2025/26, load and PV of a Swiss commercial site 2019, 160 kWp PV).")
    print("Battery 200 kWh, window 10-90 %, 100 kW, eta 0.95 each way, wear 3 ct per DC kWh each")
    print("way. Buy = spot + 10 ct, sell = spot - 0.5 ct, PV is never curtailed. Tariff E: energy")
    print(f"only. Tariff D: E and {DEMAND_EUR_PER_KW:.0f} EUR per kW of the highest 15-min import.")
    print("Savings in EUR per month against no battery, wear taken off, energy left valued.")
    print("A plan every hour, 36 h ahead. Prices: published to the end of today, from 13:00 to")
    print("the end of tomorrow, then the similar day. Load: day-type median; PV: mean of a week,")
    print("no weather; both corrected by the last hour. Between plans: value dispatch on the real")
    print("15-min net load (the 2-s law). Peak target: from the four weeks before the month, a")
    print("third of the way from their optimum to their peak (that third was fixed after looking")
    print("at January and April, before July was run).")
    print(
        "co_optimised and automatic keep the peak reserve (4-week envelope, lowest PV of 3 weeks)."
    )
    print("capture: share of the saving of perfect foresight over the whole month, same tariff.")
    data, optimizer = Recorded.read(), Optimizer()
    for year, month, season in MONTHS:
        one_month(data, year, month, season, optimizer)
    print(
        f"\nWhole run {time.perf_counter() - began:.0f} s, {time.process_time() - cpu:.0f} s of "
        "processor time."
    )


if __name__ == "__main__":
    main()

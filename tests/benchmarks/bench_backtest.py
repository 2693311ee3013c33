"""What a battery would have earned: times of the backtest lab, and three sites over a year.

``python -m tests.benchmarks backtest``. Loads, PV and prices are recorded (`backtest_sites`);
200 kWh, 100 kW, spot + 10 ct, 8 EUR/kW and month, wear 1.5 ct per kWh each way. Times are
processor time of one thread. Nothing looks ahead except the rows that say so.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from engine.analytics.backtest.accounts import whole_period
from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import PERFECT, evaluate, without_eur
from engine.analytics.backtest.policy import RESERVE_SHARE, Forecaster, Policy
from engine.analytics.backtest.prepared import prepare
from engine.optimization.kernel import rolling
from engine.optimization.kernel.solver import KernelSolver
from tests.benchmarks.backtest_sites import METALWORKING, OFFICE, company_year, demo_site
from tests.benchmarks.bench_kernel import HORIZON, Dpp, Highs
from tests.benchmarks.bench_optimizer import site as synthetic

HOURLY = {"plan_minutes": 60}
SELDOM = {"plan_minutes": 120}
SAMPLES = 40


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def times() -> None:
    """Print what a year takes, by the kernel, HiGHS and CVXPY."""
    case = company_year(METALWORKING, 2018)
    instance = dataclasses.replace(whole_period(prepare(case)), curtailment_allowed=True)
    n = instance.n_steps
    print(f"Perfect foresight, {n} quarter-hours at once, no demand charge (metalworking 2018)")
    found: dict[str, float] = {}

    def keep(name: str, value: float) -> None:
        found[name] = value

    kernel, dpp = KernelSolver(), Dpp()
    kernel.solve(synthetic(HORIZON, 0))
    rows = (
        ("kernel", lambda: keep("kernel", kernel.solve(instance).objective_eur)),
        ("HiGHS, stated directly", lambda: keep("HiGHS", Highs(n).solve(instance))),
        ("CVXPY", lambda: keep("CVXPY", dpp.solve(instance))),
    )
    for name, work in rows:
        print(f"  {name:<28}{_cpu_s(work):>9.3f} s", flush=True)
    spread = max(found.values()) - min(found.values())
    print(f"  largest difference of the optima {spread:.2g} EUR")
    perfect = evaluate(case, PERFECT)
    seconds = _cpu_s(lambda: evaluate(case, PERFECT))
    print(f"  kernel with 11 monthly peaks, priced and summed {seconds:.2f} s", *perfect.notes)

    print("\nA rolling year, a plan every 15 min over 36 h")
    prepared = prepare(case)
    store = rolling.Store.of(case.battery, step_minutes=15, end_value_eur_per_kwh=0.1)
    span = prepared.span
    steps = rolling.step_rows(
        buy_eur_per_kwh=prepared.buy[span],
        sell_eur_per_kwh=prepared.sell[span],
        load_kw=case.series.load_kw[span],
        pv_kw=case.series.pv_kw[span],
        charge_limit_kw=100.0,
        discharge_limit_kw=100.0,
        import_limit_kw=400.0,
        export_limit_kw=400.0,
    )
    rolling.rolling(store, steps[: 2 * HORIZON], horizon=HORIZON, energy_kwh=100.0)
    fast = _cpu_s(lambda: rolling.rolling(store, steps, horizon=HORIZON, energy_kwh=100.0))
    samples = [synthetic(HORIZON, seed) for seed in range(SAMPLES + 1)]
    dpp.solve(samples[0])
    slow = np.mean([_cpu_s(lambda i=i: dpp.solve(i)) for i in samples[1:]]) * n
    print(f"  kernel, plans alone          {fast:>9.2f} s")
    print(f"  CVXPY, plans alone           {slow:>9.0f} s ({SAMPLES} plans, extrapolated)")
    for name, policy in (
        (
            "closed loop, every 15 min",
            Policy("co_optimised", Forecaster.BLEND, reserve=RESERVE_SHARE),
        ),
        (
            "closed loop, hourly",
            Policy("co_optimised", Forecaster.BLEND, reserve=RESERVE_SHARE, **HOURLY),
        ),
    ):
        seconds = _cpu_s(lambda p=policy: evaluate(case, p))
        print(
            f"  {name:<28}{seconds:>9.1f} s (forecasts, plans, control law, accounts)", flush=True
        )


POLICIES: tuple[tuple[str, Policy], ...] = (
    ("perfect foresight", PERFECT),
    ("no battery", Policy("none")),
    ("self-consumption rule", Policy("self_consumption_rule")),
    ("static timer", Policy("timer")),
    ("co-optimised, reserve", Policy("co_optimised", reserve=RESERVE_SHARE, **HOURLY)),
    ("co-optimised, point", Policy("co_optimised", **HOURLY)),
    ("co-optimised, perfect 36 h", Policy("co_optimised", Forecaster.PERFECT_36H, **HOURLY)),
    ("arbitrage", Policy("arbitrage", **HOURLY)),
    ("self-consumption", Policy("self_consumption", **HOURLY)),
    ("peak shaving", Policy("peak_shaving", **HOURLY)),
    ("load balancing", Policy("load_balancing", **SELDOM)),
    ("10 scenarios", Policy("co_optimised", scenarios=10, **SELDOM)),
    (
        "10 scenarios + reserve",
        Policy("co_optimised", scenarios=10, reserve=RESERVE_SHARE, **SELDOM),
    ),
    ("adaptive auto, reserve", Policy("auto", reserve=RESERVE_SHARE, **SELDOM)),
)
"""Plans are hourly, and two-hourly for what takes longest."""


def table(case: BacktestCase) -> None:
    """Print every policy over one site and year."""
    load, pv = (
        case.series.load_kw[case.first : case.stop],
        case.series.pv_kw[case.first : case.stop],
    )
    print(
        f"\n{case.site.name}, {case.start:%Y-%m-%d} to {case.end:%Y-%m-%d}: load "
        f"{load.sum() / 4000:.0f} MWh, PV {pv.sum() / 4000:.0f} MWh, without a battery "
        f"{without_eur(prepare(case)):,.0f} EUR"
    )
    print(
        f"{'':<28}{'EUR':>8}{'capture':>9}{'demand':>9}{'cycles':>8}{'own use':>9}{'autarky':>9}"
        f"{'cpu s':>7}  monthly peaks kW"
    )
    perfect_eur: float | None = None
    for name, policy in POLICIES:
        began = time.process_time()
        result = evaluate(case, policy, perfect_saving_eur=perfect_eur, keep_traces=False)
        seconds = time.process_time() - began
        perfect_eur = perfect_eur or result.saving_eur
        capture = result.saving_eur / perfect_eur
        own = "-" if result.self_consumption is None else f"{result.self_consumption:.2f}"
        autarky = "-" if result.self_sufficiency is None else f"{result.self_sufficiency:.2f}"
        peaks = " ".join(f"{kw:.0f}" for kw in result.monthly_peaks_kw)
        print(
            f"{name:<28}{result.saving_eur:>8.0f}{capture:>9.2f}{result.demand_eur:>9.0f}"
            f"{result.full_cycles:>8.0f}{own:>9}{autarky:>9}{seconds:>7.0f}  {peaks}",
            flush=True,
        )


def main() -> None:
    """Run the benchmark."""
    print("Backtest lab")
    times()
    for case in (company_year(METALWORKING, 2024), company_year(OFFICE, 2024), demo_site()):
        table(case)


if __name__ == "__main__":
    main()

"""How fast a plan is made: the kept DPP model against stating the problem anew, and each feature.

Run from the repository root: ``python -m tests.benchmarks.bench_optimizer``. All rows come
from one run; rows of a table take turns on the same instances, so ratios count and absolute
times depend on the machine. Prices, load and PV are synthetic (seeded); nothing is read.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from engine.domain.site import Battery  # noqa: E402
from engine.optimization.coefficients import coefficients  # noqa: E402
from engine.optimization.exactness import find_candidates  # noqa: E402
from engine.optimization.instance import Instance  # noqa: E402
from engine.optimization.model import CompiledModel, KeptModels  # noqa: E402
from engine.optimization.optimizer import Optimizer  # noqa: E402
from engine.optimization.scenarios import solve_scenarios  # noqa: E402
from engine.optimization.shape import Shape, shape_of  # noqa: E402
from engine.optimization.terms import BilledPeak, TerminalCurve  # noqa: E402

REPEATS = 15
NEGATIVE_DAYS = 8
SCENARIOS, SCENARIO_STEPS = 10, 144


def site(
    n: int, seed: int, *, valley: float = 0.03, feed_in: float | None = None, wear: float = 0.02
) -> Instance:
    """Return a commercial site with PV at 15-min prices; `valley` is the midday spot price."""
    random = np.random.default_rng(seed)
    hour = np.arange(n) / 4.0 % 24.0
    day = np.arange(n) // 96
    depth = (0.11 - valley) * random.uniform(0.7, 1.0, day.max() + 1)[day]
    noon = np.exp(-(((hour - 13.0) / 2.8) ** 2))
    evening = np.exp(-(((hour - 19.5) / 1.8) ** 2))
    spot = 0.11 - depth * noon + 0.15 * evening + random.normal(0.0, 0.012, n)
    working = (hour > 6.0) & (hour < 18.0)
    return Instance.for_battery(
        Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, 0.0, wear),
        start=datetime(2026, 5, 1, tzinfo=UTC),
        step_minutes=15,
        buy_eur_per_kwh=spot + 0.10,
        sell_eur_per_kwh=spot - 0.005 if feed_in is None else np.full(n, feed_in),
        load_kw=20.0 + 30.0 * working + random.uniform(0.0, 10.0, n),
        pv_kw=150.0 * np.clip(np.sin((hour - 6.0) / 14.0 * np.pi), 0.0, None) ** 1.5,
        import_limit_kw=250.0,
        export_limit_kw=250.0,
        energy_start_kwh=100.0,
    )


def with_demand(instance: Instance) -> Instance:
    """Return the same site with a demand charge in two months that meet in the middle."""
    n = instance.n_steps
    return dataclasses.replace(
        instance,
        billed_peaks=(
            BilledPeak.between(n, 0, n // 2, 8.0, 30.0),
            BilledPeak.between(n, n // 2, n, 8.0),
        ),
    )


def with_everything(instance: Instance) -> Instance:
    """Return the same site with every optional term."""
    n = instance.n_steps
    return dataclasses.replace(
        with_demand(instance),
        export_premium_eur_per_kwh=0.02,
        smoothing_eur_per_kwh=0.01,
        smoothing_reference_kw=np.zeros(n),
        ramp_eur_per_kw=0.001,
        grid_before_kw=10.0,
        energy_reserve_kwh=np.full(n, 60.0),
        reserve_eur_per_kwh_h=0.02,
        terminal_curve=TerminalCurve(np.array([60.0, 120.0]), np.array([0.15, 0.1, 0.05])),
    )


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000.0


def resolve_against_rebuild(n: int, repeats: int = REPEATS) -> dict[str, list[float]]:
    """Return ms of the model kept and stated anew, and of a whole checked plan."""
    kept, optimizer = KeptModels(CompiledModel), Optimizer()

    def one(model: CompiledModel, instance: Instance) -> None:
        model.solve(instance, coefficients(instance, find_candidates(instance)), calm=False)

    def shape(instance: Instance) -> Shape:
        return shape_of(instance, coefficients(instance, find_candidates(instance)))

    first = site(n, 0)
    one(kept.get(shape(first)), first)
    optimizer.solve(first)
    times: dict[str, list[float]] = {"kept": [], "anew": [], "plan": []}
    for seed in range(1, repeats + 1):
        instance = site(n, seed)
        times["kept"].append(_ms(lambda i=instance: one(kept.get(shape(i)), i)))
        times["anew"].append(_ms(lambda i=instance: one(CompiledModel(shape(i)), i)))
        times["plan"].append(_ms(lambda i=instance: optimizer.solve(i)))
    return times


def plans(
    make: Callable[[int], Instance], repeats: int = REPEATS
) -> list[tuple[float, int, float]]:
    """Return (ms, binaries, gap) per whole plan; the first, which compiles, is not counted."""
    optimizer = Optimizer()
    optimizer.solve(make(0))
    rows = []
    for seed in range(1, repeats + 1):
        instance = make(seed)
        solution = optimizer.solve(instance)
        rows.append((solution.solve_ms, find_candidates(instance).count, solution.gap))
    return rows


def scenario_times(repeats: int = 5) -> tuple[list[float], list[float]]:
    """Return ms of ten scenarios in one problem, and of one deterministic plan of each."""
    optimizer = Optimizer()
    together, alone = [], []
    for seed in range(repeats + 1):
        random = np.random.default_rng(seed)
        middle = with_demand(site(SCENARIO_STEPS, seed))
        paths = [
            dataclasses.replace(
                middle,
                load_kw=np.maximum(
                    middle.load_kw * (1.0 + 0.2 * random.normal())
                    + 5.0 * random.normal(size=SCENARIO_STEPS),
                    0.0,
                ),
                pv_kw=middle.pv_kw * max(0.0, 1.0 + 0.3 * random.normal()),
            )
            for _ in range(SCENARIOS)
        ]
        took = _ms(lambda p=paths, m=middle: solve_scenarios(p, optimizer=optimizer, expected=m))
        took_alone = _ms(lambda p=paths: [optimizer.solve(path) for path in p])
        if seed:
            together.append(took)
            alone.append(took_alone)
    return together, alone


CASES: dict[str, tuple[Callable[[int], Instance], int]] = {
    "24 h": (lambda seed: site(96, seed), REPEATS),
    "48 h": (lambda seed: site(192, seed), REPEATS),
    "48 h, demand charge, two months": (lambda seed: with_demand(site(192, seed)), REPEATS),
    "48 h, every optional term": (lambda seed: with_everything(site(192, seed)), REPEATS),
    "one week": (lambda seed: site(672, seed), REPEATS),
    "48 h negative, spot + 10 ct, spot - 0.5 ct": (
        lambda seed: site(192, seed, valley=-0.30),
        NEGATIVE_DAYS,
    ),
    "48 h negative, no wear": (
        lambda seed: site(192, seed, valley=-0.30, wear=0.0),
        NEGATIVE_DAYS,
    ),
    "48 h negative, feed-in 8 ct": (
        lambda seed: site(192, seed, valley=-0.20, feed_in=0.08),
        NEGATIVE_DAYS,
    ),
    "48 h negative, no wear, demand charge": (
        lambda seed: with_demand(site(192, seed, valley=-0.30, wear=0.0)),
        NEGATIVE_DAYS,
    ),
    "48 h negative, feed-in 8 ct, demand charge": (
        lambda seed: with_demand(site(192, seed, valley=-0.20, feed_in=0.08)),
        NEGATIVE_DAYS,
    ),
}


def _quantiles(times: list[float]) -> str:
    return f"{np.median(times):>11.1f}{np.percentile(times, 95):>11.1f}"


def run() -> None:
    """Print the comparison."""
    print("Optimiser, 15-min steps, ms (one thread)")
    print(f"{'horizon':<10}{'kept DPP':>10}{'stated anew':>13}{'ratio':>8}{'whole plan*':>13}")
    for hours in (24, 48):
        times = resolve_against_rebuild(hours * 4)
        kept, anew, plan = (float(np.median(times[name])) for name in ("kept", "anew", "plan"))
        print(f"{hours:>4} h    {kept:>10.1f}{anew:>13.1f}{anew / kept:>7.1f}x{plan:>13.1f}")
    print("* as the engine calls it: candidates, model, calmest of equal plans, costs")
    print()
    print(f"{'whole plan':<46}{'binaries':>9}{'median':>11}{'p95':>11}{'gap':>9}")
    for name, (make, repeats) in CASES.items():
        rows = plans(make, repeats)
        most, gap = max(row[1] for row in rows), max(row[2] for row in rows)
        print(f"{name:<46}{most:>9}{_quantiles([row[0] for row in rows])}{gap:>9.1g}", flush=True)
    print()
    together, alone = scenario_times()
    ratio = float(np.median(together) / np.median(alone))
    print(f"{SCENARIOS} scenarios x {SCENARIO_STEPS} steps, demand charge{'median':>22}{'p95':>11}")
    print(f"{'one first decision, recourse after':<55}{_quantiles(together)}")
    print(f"{'each planned alone':<55}{_quantiles(alone)}   ratio {ratio:.1f}")


def main() -> None:
    """Run the benchmark from the command line."""
    run()


if __name__ == "__main__":
    main()

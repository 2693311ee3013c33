"""How fast a plan is made: the kept DPP model against stating the problem anew.

Run from the repository root: ``python -m tests.benchmarks.bench_optimizer``. All rows of a
table come from one run on the same instances, alternating, so ratios count and absolute
times depend on the machine. Prices, load and PV are synthetic (seeded); nothing is read.
"""

from __future__ import annotations

import statistics
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
from engine.optimization.shape import Shape, shape_of  # noqa: E402
from engine.optimization.optimizer import Optimizer  # noqa: E402

REPEATS = 15
NEGATIVE_DAYS = 8


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


def _ms(work: Callable[[Instance], object], instance: Instance) -> float:
    began = time.perf_counter()
    work(instance)
    return (time.perf_counter() - began) * 1000.0


def resolve_against_rebuild(n: int, repeats: int = REPEATS) -> dict[str, float]:
    """Return median ms of the model kept and stated anew, and of a whole checked plan."""
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
        times["kept"].append(_ms(lambda i: one(kept.get(shape(i)), i), instance))
        times["anew"].append(_ms(lambda i: one(CompiledModel(shape(i)), i), instance))
        times["plan"].append(_ms(optimizer.solve, instance))
    return {name: statistics.median(values) for name, values in times.items()}


def negative_prices(days: int = NEGATIVE_DAYS) -> dict[str, list[tuple[float, int, float]]]:
    """Return (ms, binaries, gap) per 48-h instance of two negative-price cases."""
    optimizer = Optimizer()
    cases = {
        "spot + 10 ct, feed-in 8 ct": {"feed_in": 0.08, "valley": -0.20},
        "spot + 10 ct, spot - 0.5 ct, no wear": {"valley": -0.30, "wear": 0.0},
    }
    found: dict[str, list[tuple[float, int, float]]] = {}
    for name, given in cases.items():
        optimizer.solve(site(192, 0, **given))
        rows = []
        for seed in range(1, days + 1):
            instance = site(192, seed, **given)
            solution = optimizer.solve(instance)
            rows.append((solution.solve_ms, find_candidates(instance).count, solution.gap))
        found[name] = rows
    return found


def run() -> None:
    """Print the comparison."""
    print("Optimiser, 15-min steps, medians in ms (one thread)")
    print(f"{'horizon':<10}{'kept DPP':>10}{'stated anew':>13}{'ratio':>8}{'whole plan*':>13}")
    for hours in (24, 48):
        median = resolve_against_rebuild(hours * 4)
        ratio = median["anew"] / median["kept"]
        print(
            f"{hours:>4} h    {median['kept']:>10.1f}{median['anew']:>13.1f}"
            f"{ratio:>7.1f}x{median['plan']:>13.1f}"
        )
    print("* as the engine calls it: candidates, model, calmest of equal plans, costs")
    print()
    print(
        f"Negative prices, 48 h, exact{'binaries':>19}{'median ms':>11}{'worst ms':>10}{'gap':>9}"
    )
    for name, rows in negative_prices().items():
        times = [row[0] for row in rows]
        most, gap = max(row[1] for row in rows), max(row[2] for row in rows)
        print(f"{name:<38}{most:>9}{statistics.median(times):>11.0f}{max(times):>10.0f}{gap:>9.1g}")


def main() -> None:
    """Run the benchmark from the command line."""
    run()


if __name__ == "__main__":
    main()

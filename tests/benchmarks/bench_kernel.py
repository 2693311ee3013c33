"""The exact kernel against HiGHS and CVXPY: one plan, a year, a rolling year, negative prices.

``python -m tests.benchmarks kernel``; with ``--check`` it compares answers on 5,000 random
problems instead. All rows of a table come from one run and take turns on the same instances;
times are processor time of one thread, so that other work on the machine does not count; prices,
load and PV are synthetic (seeded).
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable

import highspy
import numpy as np
from scipy.sparse import csr_array, eye_array, hstack, vstack

from engine.domain.site import Battery
from engine.optimization.check import check_solution
from engine.optimization.coefficients import coefficients
from engine.optimization.exactness import find_candidates
from engine.optimization.instance import Instance
from engine.optimization.kernel import rolling
from engine.optimization.kernel.peaks import convex_plan
from engine.optimization.kernel.problem import problem_of
from engine.optimization.kernel.solver import KernelSolver, NotCovered
from engine.optimization.model import CompiledModel, KeptModels
from engine.optimization.optimizer import Optimizer
from engine.optimization.quiet import silence_highs
from engine.optimization.shape import shape_of
from engine.optimization.solution import Solution
from engine.optimization.terms import BilledPeak
from tests.benchmarks.bench_optimizer import CASES, site
from tests.property.kernel_cases import random_instance

YEAR = 35_040
HORIZON = 144
SLOW = "48 h negative, feed-in 8 ct, demand charge"
NEGATIVE = ("48 h negative, no wear", "48 h negative, feed-in 8 ct", SLOW)


def _ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000.0


class Highs:
    """The same linear problem stated directly to HiGHS; kept between solves if asked."""

    def __init__(self, n: int) -> None:
        silence_highs()
        self.n = n
        self._kept: highspy.Highs | None = None

    def _matrix(self, instance: Instance) -> csr_array:
        n, h = self.n, instance.step_hours
        eye = eye_array(n)
        nothing = csr_array((n, n))
        balance = [-eye, eye, eye, -eye, -eye, nothing]
        change = eye - eye_array(n, k=-1)
        store = [-h * instance.eta_charge * eye, h / instance.eta_discharge * eye]
        return csr_array(
            vstack([hstack(balance), hstack([*store, nothing, nothing, nothing, change])])
        )

    def solve(self, instance: Instance, *, keep: bool = False) -> float:
        """Return the objective; columns are c, d, i, e, s, E."""
        n, h = self.n, instance.step_hours
        one = np.ones(n)
        cost = np.concatenate(
            [
                h * instance.wear_charge_eur_per_kwh * one,
                h * instance.wear_discharge_eur_per_kwh * one,
                h * instance.buy_eur_per_kwh,
                -h * instance.sell_eur_per_kwh,
                0.0 * one,
                np.append(0.0 * one[1:], -instance.terminal_value_eur_per_kwh),
            ]
        )
        upper = np.concatenate(
            [
                instance.charge_limit_kw,
                instance.discharge_limit_kw,
                instance.import_limit_kw,
                instance.export_limit_kw,
                instance.pv_kw,
                instance.energy_max_kwh * one,
            ]
        )
        lower = np.concatenate([np.zeros(5 * n), instance.energy_min_kwh * one])
        sides = np.concatenate([instance.load_kw - instance.pv_kw, np.zeros(n)])
        sides[n] = instance.energy_start_kwh
        if keep and self._kept is not None:
            solver = self._kept
            columns = np.arange(6 * n, dtype=np.int32)
            solver.changeColsCost(6 * n, columns, cost)
            solver.changeColsBounds(6 * n, columns, lower, upper)
            for row in range(n):
                solver.changeRowBounds(row, sides[row], sides[row])
            solver.changeRowBounds(n, sides[n], sides[n])
        else:
            solver = highspy.Highs()
            solver.setOptionValue("output_flag", False)
            solver.setOptionValue("threads", 1)
            matrix = self._matrix(instance)
            problem = highspy.HighsLp()
            problem.num_col_, problem.num_row_ = 6 * n, 2 * n
            problem.col_cost_, problem.col_lower_, problem.col_upper_ = cost, lower, upper
            problem.row_lower_ = problem.row_upper_ = sides
            problem.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
            problem.a_matrix_.start_ = matrix.indptr
            problem.a_matrix_.index_ = matrix.indices
            problem.a_matrix_.value_ = matrix.data
            solver.passModel(problem)
        solver.run()
        if keep:
            self._kept = solver
        return float(solver.getInfo().objective_function_value)


class Dpp:
    """The model of record's linear problem, compiled once and re-solved."""

    def __init__(self) -> None:
        self._kept = KeptModels(CompiledModel)

    def solve(self, instance: Instance) -> float:
        """Return the objective."""
        numbers = coefficients(instance, find_candidates(instance))
        model = self._kept.get(shape_of(instance, numbers))
        return model.solve(instance, numbers, calm=False).objective_eur


def _arrays(instance: Instance) -> float:
    problem = problem_of(instance)
    end = problem.end
    return convex_plan(
        problem.rows,
        problem.numbers,
        problem.states,
        end.slopes,
        end.widths,
        end.left_kwh,
        end.value_eur,
        problem.energy_kwh,
    )[1]


def one_plan() -> None:
    """Print times per plan over the horizon."""
    print("One plan without a demand charge, ms median; largest relative difference of the optima")
    print(
        f"{'steps':>8}{'kernel':>10}{'as Solution':>13}{'HiGHS kept':>12}{'HiGHS cold':>12}"
        f"{'CVXPY DPP':>11}{'CVXPY:kernel':>14}{'difference':>12}"
    )
    kernel, dpp = KernelSolver(), Dpp()
    for n, repeats in ((96, 15), (144, 15), (192, 15), (672, 9), (2976, 3), (YEAR, 1)):
        highs = Highs(n)
        first = site(n, 0)
        _arrays(first), kernel.solve(first), highs.solve(first, keep=True), dpp.solve(first)
        times: dict[str, list[float]] = {}
        worst = 0.0
        for seed in range(1, repeats + 1):
            instance = site(n, seed)
            answers: dict[str, float] = {}

            problem = problem_of(instance)
            end = problem.end
            common = (problem.rows, problem.numbers, problem.states, end.slopes, end.widths)
            rest = (end.left_kwh, end.value_eur, problem.energy_kwh)
            works: dict[str, Callable[[], float]] = {
                "kernel": lambda c=common, r=rest: convex_plan(*c, *r)[1],
                "solution": lambda i=instance: kernel.solve(i).objective_eur,
                "kept": lambda i=instance, h=highs: h.solve(i, keep=True),
                "cold": lambda i=instance, h=highs: h.solve(i),
                "dpp": lambda i=instance: dpp.solve(i),
            }
            for label, work in works.items():
                began = time.process_time()
                answers[label] = work()
                times.setdefault(label, []).append((time.process_time() - began) * 1000.0)
            found = list(answers.values())
            worst = max(worst, (max(found) - min(found)) / max(1.0, abs(found[0])))
        median = {name: float(np.median(values)) for name, values in times.items()}
        ratio = median["dpp"] / median["kernel"]
        print(
            f"{n:>8}{median['kernel']:>10.3f}{median['solution']:>13.2f}{median['kept']:>12.2f}"
            f"{median['cold']:>12.2f}{median['dpp']:>11.2f}{ratio:>13.0f}x{worst:>12.1g}",
            flush=True,
        )


def a_year() -> None:
    """Print one perfect-foresight year with and without a monthly demand charge."""
    print("\nOne perfect-foresight year, 35,040 steps at once, s")
    month = np.arange(YEAR) * 12 // YEAR
    free = site(YEAR, 3)
    billed = dataclasses.replace(
        free, billed_peaks=tuple(BilledPeak(month == m, 8.0, 20.0) for m in range(12))
    )
    for name, instance in (("no demand charge", free), ("twelve monthly peaks", billed)):
        found: list[Solution] = []
        seconds = _ms(lambda i=instance, f=found: f.append(KernelSolver().solve(i))) / 1000.0
        solution = found[0]
        passed = check_solution(instance, solution).passed
        answer: list[float] = []
        took = _ms(lambda i=instance, a=answer: a.append(Dpp().solve(i))) / 1000.0
        difference = abs(answer[0] - solution.objective_eur) / abs(answer[0])
        print(
            f"{name:<24}kernel {seconds:>7.3f}   CVXPY {took:>7.2f}   "
            f"{took / seconds:>5.0f}x   difference {difference:.1g}, "
            f"gap {solution.gap:.1g}, check {'passed' if passed else 'FAILED'}",
            flush=True,
        )


def a_rolling_year() -> None:
    """Print a year of re-planning every 15 minutes."""
    print("\nA rolling year, a solve every 15 min over 36 h, s (CVXPY: 60 solves, extrapolated)")
    instance, dpp = site(YEAR, 4), Dpp()
    battery = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, 0.0, 0.02)
    store = rolling.Store.of(battery, step_minutes=15, end_value_eur_per_kwh=0.1)
    rows = rolling.step_rows(
        buy_eur_per_kwh=instance.buy_eur_per_kwh,
        sell_eur_per_kwh=instance.sell_eur_per_kwh,
        load_kw=instance.load_kw,
        pv_kw=instance.pv_kw,
        charge_limit_kw=100.0,
        discharge_limit_kw=100.0,
        import_limit_kw=250.0,
        export_limit_kw=250.0,
    )
    options = {"horizon": HORIZON, "every": 1, "energy_kwh": 100.0}
    month = np.arange(YEAR) * 12 // YEAR
    charged = {"period": month, "charge_eur_per_kw": 8.0, "target_kw": 20.0}
    short = rows[: 2 * HORIZON]
    rolling.rolling(store, short, **options)
    rolling.rolling_with_peak(
        store, short, **options, **{**charged, "period": month[: 2 * HORIZON]}
    )
    plain = _ms(lambda: rolling.rolling(store, rows, **options)) / 1000.0
    hourly = _ms(lambda: rolling.rolling(store, rows, **{**options, "every": 4})) / 1000.0
    peak = _ms(lambda: rolling.rolling_with_peak(store, rows, **options, **charged)) / 1000.0
    samples = [site(HORIZON, seed) for seed in range(61)]
    dpp.solve(samples[0])
    mean = float(np.mean([_ms(lambda i=i: dpp.solve(i)) for i in samples[1:]]))
    cvxpy = mean * YEAR / 1000.0
    for name, took in (
        ("kernel", plain),
        ("kernel, hourly, curve as policy", hourly),
        ("kernel with monthly peak search", peak),
        ("CVXPY DPP (linear, no peak)", cvxpy),
    ):
        each = took / YEAR * 1e6
        print(f"{name:<36}{took:>9.2f}{each:>10.1f} us per step{cvxpy / took:>8.0f}x", flush=True)


def negative_prices() -> None:
    """Print what needs binaries in the model of record."""
    print("\nSteps that are not convex, whole plan of 48 h, ms (8 days)")
    print(f"{'':<46}{'median':>9}{'p95':>9}{'MILP':>9}{'p95':>9}{'ratio':>8}{'difference':>12}")
    kernel, optimizer = KernelSolver(), Optimizer()
    for name in NEGATIVE:
        make, repeats = CASES[name]
        kernel.solve(make(0)), optimizer.solve(make(0))
        fast, slow, worst = [], [], 0.0
        for seed in range(1, repeats + 1):
            instance = make(seed)
            answers: list[Solution] = []
            fast.append(_ms(lambda i=instance, a=answers: a.append(kernel.solve(i))))
            slow.append(_ms(lambda i=instance, a=answers: a.append(optimizer.solve(i))))
            ours, theirs = answers
            difference = abs(ours.objective_eur - theirs.objective_eur)
            # A search that ran out of time has not found the optimum to compare with.
            difference = difference if theirs.status == "optimal" else 0.0
            worst = max(worst, difference / max(1.0, abs(theirs.objective_eur)), ours.gap)
        ratio = np.median(slow) / np.median(fast)
        print(
            f"{name:<46}{np.median(fast):>9.1f}{np.percentile(fast, 95):>9.1f}"
            f"{np.median(slow):>9.0f}{np.percentile(slow, 95):>9.0f}{ratio:>7.0f}x{worst:>12.1g}",
            flush=True,
        )


def check(first: int = 0, count: int = 5000) -> None:
    """Compare the kernel with the model of record on random problems and print what differs."""
    print(f"{count} random problems, kernel against the model of record")
    kernel, optimizer = KernelSolver(time_limit_s=60.0), Optimizer(time_limit_s=60.0)
    answers: Counter[str] = Counter()
    worst, wrong = 0.0, 0
    for seed in range(first, first + count):
        instance = random_instance(seed)
        ours = kernel.attempt(instance)
        if isinstance(ours, NotCovered):
            answers[f"not covered: {ours.reason}"] += 1
            continue
        theirs, replay = optimizer.solve(instance), check_solution(instance, ours)
        scale = max(1.0, abs(theirs.objective_eur))
        difference = abs(ours.objective_eur - theirs.objective_eur) / scale
        answers[ours.solver.split(",")[0].rstrip(")") + ")"] += 1
        if difference > 1e-6 or not replay.passed or ours.gap > 0.0:
            wrong += 1
            print(f"seed {seed}: {difference:.3g}, gap {ours.gap:.3g}, {replay.messages}")
        else:
            worst = max(worst, difference)
    for name, times in answers.most_common():
        print(f"{times:>7}  {name}")
    print(f"largest relative difference {worst:.2g}; differ or fail: {wrong}", flush=True)


def main() -> None:
    """Run the benchmark."""
    print("Exact kernel, 15-min steps (processor time of one thread; compiled before timing)")
    one_plan()
    a_year()
    a_rolling_year()
    negative_prices()


if __name__ == "__main__":
    main()

"""The kernel without objects: many problems of one store as arrays, and its policy.

For backtests that plan tens of thousands of times. A `Store` holds what never changes; steps are
rows of numbers (`step_rows`), built once for a whole year. Everything here is the convex
programme: a step that is not convex (feed-in above the purchase price, or a price so low that
burning energy would pay) raises; use `KernelSolver` or the routed optimiser for those.

* `solve_many`: independent problems, one plan and one value of stored energy each.
* `value_curves` and `respond`: the cost-to-go as a feedback law. Between two plans nothing needs
  solving: the best power for the net load that is really there follows from the curve.
* `rolling`: re-plan every `every` steps over a horizon with the data given, carry out, go on.
* `rolling_with_peak`: the same with a demand charge on each billing period's peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.domain.site import Battery
from engine.optimization.kernel import convex, stage
from engine.optimization.kernel.compiled import IntArray
from engine.optimization.kernel.convex import backward, build_stages
from engine.optimization.kernel.forward import PLAN_COLUMNS
from engine.optimization.kernel.loops import (
    follow,
    follow_with_peak,
    one_move,
)
from engine.optimization.kernel.peaks import IMPOSSIBLE, NOT_CONVEX, SOLVED, convex_plan
from engine.optimization.kernel.problem import PEAK_EXCESS
from engine.optimization.values import finite_series


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """One store and what holds for all steps.

    Attributes:
        numbers: Common numbers, shape (NUMBERS,) of `stage`.
        state: What ending a step at an energy costs, shape (STATE_COLUMNS,) of `convex`.
        end_value_eur_per_kwh: Value of a kWh left at the end of each horizon.
    """

    numbers: FloatArray
    state: FloatArray
    end_value_eur_per_kwh: float

    @classmethod
    def of(
        cls,
        battery: Battery,
        *,
        step_minutes: int,
        end_value_eur_per_kwh: float,
        limit_price_eur_per_kwh: float = 50.0,
        export_premium_eur_per_kwh: float = 0.0,
    ) -> Store:
        """Return the store of a battery.

        Args:
            battery: Nameplate, window, efficiencies and wear.
            step_minutes: Length of a step.
            end_value_eur_per_kwh: Value of a kWh left at the end of each horizon.
            limit_price_eur_per_kwh: Price of what load or PV alone take beyond a grid limit.
            export_premium_eur_per_kwh: As of `Instance`.
        """
        numbers, state = np.zeros(stage.NUMBERS), np.zeros(convex.STATE_COLUMNS)
        hours = step_minutes / 60.0
        numbers[stage.HOURS] = hours
        numbers[stage.ETA_CHARGE] = battery.efficiency_charge
        numbers[stage.ETA_DISCHARGE] = battery.efficiency_discharge
        wear = battery.wear_cost_eur_per_kwh
        numbers[stage.WEAR_CHARGE] = wear * battery.efficiency_charge
        numbers[stage.WEAR_DISCHARGE] = wear / battery.efficiency_discharge
        numbers[stage.PREMIUM] = export_premium_eur_per_kwh
        numbers[stage.LIMIT] = limit_price_eur_per_kwh
        numbers[stage.STANDBY] = battery.standby_loss_kw * hours
        state[convex.LOW], state[convex.HIGH] = battery.energy_min_kwh, battery.energy_max_kwh
        return cls(numbers, state, end_value_eur_per_kwh)

    def states(self, n: int) -> FloatArray:
        """Return what ending each of `n` steps costs, shape (n, STATE_COLUMNS)."""
        return np.tile(self.state, (n, 1))

    def end(self) -> tuple[FloatArray, FloatArray, float, float]:
        """Return the cost of the energy left: slopes, widths, left end, value there."""
        width = self.state[convex.HIGH] - self.state[convex.LOW] + 2.0
        left = float(self.state[convex.LOW]) - 1.0
        slopes = np.array([-self.end_value_eur_per_kwh])
        return slopes, np.array([width]), left, -self.end_value_eur_per_kwh * left


def step_rows(
    *,
    buy_eur_per_kwh: ArrayLike,
    sell_eur_per_kwh: ArrayLike,
    load_kw: ArrayLike,
    pv_kw: ArrayLike,
    charge_limit_kw: float,
    discharge_limit_kw: float,
    import_limit_kw: float = np.inf,
    export_limit_kw: float = np.inf,
    curtailment_allowed: bool = True,
    export_premium_eur_per_kwh: float = 0.0,
) -> FloatArray:
    """Return the rows of n steps, shape (n, COLUMNS) of `stage`.

    Series have shape (n,); powers in kW, prices in EUR/kWh. Load or PV that alone exceed a grid
    limit may, at the store's `limit_price_eur_per_kwh`.

    Raises:
        OptimizationError: A series has another length or a value that is missing.
    """
    buy = finite_series("buy_eur_per_kwh", buy_eur_per_kwh, signed=True)
    n = buy.size
    sell = finite_series("sell_eur_per_kwh", sell_eur_per_kwh, n, signed=True)
    load, pv = finite_series("load_kw", load_kw, n), finite_series("pv_kw", pv_kw, n)
    # Beyond what can flow a limit has no effect; infinite limits would spoil the arithmetic.
    most_import = min(import_limit_kw, float((load + charge_limit_kw + pv).max()) + 1.0)
    most_export = min(export_limit_kw, float((pv + discharge_limit_kw).max()) + 1.0)
    rows = np.zeros((n, stage.COLUMNS))
    rows[:, stage.NET] = load - pv
    rows[:, stage.SMAX] = pv if curtailment_allowed else 0.0
    rows[:, stage.CHARGE], rows[:, stage.DISCHARGE] = charge_limit_kw, discharge_limit_kw
    rows[:, stage.BUY], rows[:, stage.SELL] = buy, sell - export_premium_eur_per_kwh
    rows[:, stage.IMPORT], rows[:, stage.EXPORT] = most_import, most_export
    rows[:, stage.IMPORT_MOST] = np.maximum(most_import, load - pv)
    surplus = 0.0 if curtailment_allowed else np.maximum(pv - load, 0.0)
    rows[:, stage.EXPORT_MOST] = np.maximum(most_export, surplus)
    return rows


def _checked(code: int) -> None:
    if code == NOT_CONVEX:
        raise OptimizationError(
            "a step is not convex: feed-in above the purchase price, or burning energy pays.",
            field="optimization",
            hint="Use KernelSolver or the routed optimiser for this period.",
        )
    if code == IMPOSSIBLE:
        raise OptimizationError(
            "no plan keeps the energy window.",
            field="optimization",
            hint="Start inside the window; with standby consumption leave power to hold it.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class ValueCurves:
    """Cost-to-go at the end of each of n steps, as the kernel's lists.

    Attributes:
        slopes: All slopes (EUR/kWh), one step after the other from the last to the first.
        widths: Their widths (kWh).
        where: Offset and number of segments per step, shape (n, 2).
        ends: Left end (kWh) and cost there (EUR) per step, shape (n, 2).
    """

    slopes: FloatArray
    widths: FloatArray
    where: IntArray
    ends: FloatArray

    def curve(self, step: int) -> tuple[FloatArray, FloatArray]:
        """Return the corners (kWh, k + 1) and values of a stored kWh (EUR, k) after `step`."""
        offset, count = self.where[step]
        widths = self.widths[offset : offset + count]
        corners = self.ends[step, 0] + np.concatenate(([0.0], np.cumsum(widths)))
        return corners, -self.slopes[offset : offset + count]


def value_curves(store: Store, rows: FloatArray) -> ValueCurves:
    """Return the cost-to-go at the end of each step of `rows`: one backward pass.

    Raises:
        OptimizationError: A step is not convex, or no plan keeps the window.
    """
    n = rows.shape[0]
    counts, points = np.empty(n, dtype=np.int64), np.empty((n, 3))
    slopes, widths = np.empty((n, stage.LONGEST)), np.empty((n, stage.LONGEST))
    if not build_stages(rows, store.numbers, counts, points, slopes, widths):
        _checked(NOT_CONVEX)
    where, ends = np.empty((n, 2), dtype=np.int64), np.empty((n, 2))
    u_slopes, u_widths, possible = backward(
        counts,
        points,
        slopes,
        widths,
        0,
        n,
        float(store.numbers[stage.STANDBY]),
        store.states(n),
        *store.end(),
        np.empty(64 + 24 * n),
        np.empty(64 + 24 * n),
        where,
        ends,
    )
    _checked(SOLVED if possible else IMPOSSIBLE)
    return ValueCurves(u_slopes, u_widths, where, ends)


def respond(
    store: Store, curves: ValueCurves, step: int, row: FloatArray, energy_kwh: float
) -> tuple[float, float]:
    """Return the best battery power (+ discharge) and value of stored energy for what is there.

    Args:
        store: The store.
        curves: Cost-to-go of the plan that holds.
        step: Step of the plan now running.
        row: Its row with the prices, load, PV power and limits of this moment.
        energy_kwh: Stored energy now.

    Raises:
        OptimizationError: The step is not convex.
    """
    offset, count = curves.where[step]
    code, battery, value = one_move(
        row,
        store.numbers,
        curves.slopes,
        curves.widths,
        int(offset),
        int(count),
        float(curves.ends[step, 0]),
        energy_kwh,
    )
    _checked(code)
    return battery, value


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What a rolling run did; arrays of shape (n,).

    Attributes:
        battery_kw: Battery power, + discharge.
        grid_kw: Grid power, + import.
        curtailed_kw: PV power given away.
        energy_kwh: Stored energy at the end of each step.
        stored_value_eur_per_kwh: Value of a stored kWh as planned.
        solves: Number of backward passes.
    """

    battery_kw: FloatArray
    grid_kw: FloatArray
    curtailed_kw: FloatArray
    energy_kwh: FloatArray
    stored_value_eur_per_kwh: FloatArray
    solves: int


def _carried(done: FloatArray, solves: int) -> Carried:
    battery, grid, given, energy, value = (done[:, k].copy() for k in range(5))
    return Carried(battery, grid, given, energy, value, solves)


def solve_many(
    store: Store, rows: FloatArray, energies_kwh: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Solve independent problems.

    Args:
        store: The store they share.
        rows: Shape (problems, n, COLUMNS).
        energies_kwh: Stored energy at the start of each, shape (problems,).

    Returns:
        Plans of shape (problems, n, PLAN_COLUMNS) with the columns of `forward`, and costs in
        EUR less the value of the energy left, shape (problems,).

    Raises:
        OptimizationError: A step is not convex, or a plan cannot keep the window.
    """
    energies = np.ascontiguousarray(energies_kwh, dtype=np.float64)
    states, end = store.states(rows.shape[1]), store.end()
    plans, costs = np.empty((*rows.shape[:2], PLAN_COLUMNS)), np.empty(rows.shape[0])
    for k, energy_kwh in enumerate(energies):
        code, costs[k], plans[k], *_ = convex_plan(rows[k], store.numbers, states, *end, energy_kwh)
        _checked(code)
    return plans, costs


def rolling(
    store: Store, rows: FloatArray, *, horizon: int, every: int = 1, energy_kwh: float
) -> Carried:
    """Plan over `horizon` steps, carry out `every` steps, and so on to the end.

    The rows are forecast and reality at once (perfect forecast within the horizon).

    Raises:
        OptimizationError: A step is not convex, or a plan cannot keep the window.
    """
    code, done, solves = follow(
        rows, store.numbers, store.states(rows.shape[0]), *store.end(), horizon, every, energy_kwh
    )
    _checked(code)
    return _carried(done, solves)


def rolling_with_peak(
    store: Store,
    rows: FloatArray,
    *,
    horizon: int,
    every: int = 1,
    energy_kwh: float,
    period: ArrayLike,
    charge_eur_per_kw: float,
    target_kw: float,
) -> Carried:
    """Like `rolling`, with a demand charge on the highest import of each billing period.

    Each plan finds the best peak of the running period above the one incurred so far (or
    `target_kw`, whichever is higher). Steps of the next period within the horizon are held at
    `target_kw` where that is possible.

    Args:
        store: The store.
        rows: Steps, forecast and reality at once; pairs of kinks are overwritten.
        horizon: Steps per plan.
        every: Steps carried out of each plan.
        energy_kwh: Stored energy at the start.
        period: Number of the billing period of each step, shape (n,), ascending.
        charge_eur_per_kw: Demand charge.
        target_kw: Import that costs nothing.

    Raises:
        OptimizationError: A step is not convex, or a plan cannot keep the window.
    """
    code, done, solves = follow_with_peak(
        rows.copy(),
        store.numbers,
        store.states(rows.shape[0]),
        *store.end(),
        horizon,
        every,
        energy_kwh,
        np.ascontiguousarray(period, dtype=np.int64),
        charge_eur_per_kw,
        target_kw,
        PEAK_EXCESS * charge_eur_per_kw / store.numbers[stage.HOURS],
    )
    _checked(code)
    return _carried(done, solves)

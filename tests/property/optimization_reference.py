"""An optimiser written a second time, on its own: every step fully decided, scipy's MILP.

It shares nothing with the engine's model: no candidate steps, no tightened bounds, no
slacks where a wish gives way, energy eliminated by cumulative sums, absolute values and
peaks as epigraphs. Infeasible where a wish cannot be met (a missing reserve is priced).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, diags_array, eye_array, hstack

from engine.optimization.instance import Instance

BLOCKS = ("c", "d", "i", "e", "s", "z", "y", "u", "r", "m")
"""Charge, discharge, import, export, curtailment; binaries: charging, importing; distance
from the reference, ramp, missing reserve."""


def reference_objective_eur(
    instance: Instance,
    time_limit_s: float = 60.0,
    window_kwh: tuple[np.ndarray, np.ndarray] | None = None,
) -> float | None:
    """Return the optimal objective (money, preferences, minus terminal value).

    Args:
        instance: The planning problem.
        time_limit_s: Longest search.
        window_kwh: Least and most stored energy at the end of each step, shape (n,) each; None
            for the instance's own window.

    Returns:
        The objective, or None when a wish cannot be met.
    """
    n, h = instance.n_steps, instance.step_hours
    at = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(BLOCKS)}
    peaks = instance.peaks
    end_at, size = len(BLOCKS) * n + len(peaks), len(BLOCKS) * n + len(peaks) + 1
    eye = eye_array(n)
    rows: list[LinearConstraint] = []

    def add(low: Any, high: Any, count: int = n, **blocks: Any) -> None:
        parts = [blocks.get(name, csr_array((count, n))) for name in BLOCKS]
        singles = np.zeros((count, len(peaks) + 1))
        for index in range(len(peaks)):
            singles[:, index] = blocks.get(f"peak_{index}", 0.0)
        singles[:, -1] = blocks.get("end", 0.0)
        matrix = csr_array(hstack([*parts, csr_array(singles)]))
        rows.append(LinearConstraint(matrix, low, high))

    cost = np.zeros(size)
    cost[at["c"]] = h * instance.wear_charge_eur_per_kwh
    cost[at["d"]] = h * instance.wear_discharge_eur_per_kwh
    cost[at["i"]] = h * instance.buy_eur_per_kwh
    cost[at["e"]] = h * (instance.export_premium_eur_per_kwh - instance.sell_eur_per_kwh)
    cost[at["s"]] = h * instance.export_premium_eur_per_kwh
    cost[at["u"]] = h * instance.smoothing_eur_per_kwh
    cost[at["r"]] = instance.ramp_eur_per_kw
    cost[at["m"]] = h * instance.reserve_eur_per_kwh_h
    cost[end_at] = -1.0

    net = instance.load_kw - instance.pv_kw
    big = float((instance.load_kw + instance.charge_limit_kw).max()) + 1.0
    big = max(big, float((instance.pv_kw + instance.discharge_limit_kw).max()) + 1.0)
    add(net, net, i=eye, e=-eye, s=-eye, c=-eye, d=eye)
    drift = instance.energy_start_kwh - instance.standby_loss_kw * h * np.arange(1, n + 1)
    low, high = np.full(n, instance.energy_min_kwh), np.full(n, instance.energy_max_kwh)
    if window_kwh is not None:
        low, high = window_kwh[0].copy(), window_kwh[1]
    if instance.energy_final_min_kwh is not None:
        low[-1] = max(low[-1], instance.energy_final_min_kwh)
    lower = csr_array(np.tril(np.ones((n, n))))
    stored = {"c": h * instance.eta_charge * lower, "d": -h / instance.eta_discharge * lower}
    add(low - drift, high - drift, **stored)
    add(-np.inf, 0.0, c=eye, z=-diags_array(instance.charge_limit_kw))
    add(
        -np.inf,
        instance.discharge_limit_kw,
        d=eye,
        z=diags_array(instance.discharge_limit_kw),
    )
    add(-np.inf, 0.0, i=eye, y=-big * eye)
    add(-np.inf, big, e=eye, y=big * eye)
    if not instance.grid_charge_allowed:
        add(-np.inf, big, c=eye, y=big * eye)
    if not instance.battery_export_allowed:
        add(-np.inf, 0.0, d=eye, y=-big * eye)

    for index, peak in enumerate(peaks):
        cost[len(BLOCKS) * n + index] = peak.charge_eur_per_kw
        for step in np.flatnonzero(peak.billed):
            one = csr_array(([1.0], ([0], [step])), shape=(1, n))
            add(-np.inf, peak.floor_kw, 1, i=one, **{f"peak_{index}": -1.0})
    if instance.smoothing_reference_kw is not None:
        reference = instance.smoothing_reference_kw
        add(-np.inf, reference, i=eye, e=-eye, u=-eye)
        add(-np.inf, -reference, i=-eye, e=eye, u=-eye)
    if instance.ramp_eur_per_kw:
        step_by_step = csr_array(eye - eye_array(n, k=-1))
        before = np.zeros(n)
        before[0] = 0.0 if instance.grid_before_kw is None else instance.grid_before_kw
        free_first = np.zeros(n)
        free_first[0] = np.inf if instance.grid_before_kw is None else 0.0
        for sign in (1.0, -1.0):
            add(
                -np.inf,
                sign * before + free_first,
                i=sign * step_by_step,
                e=-sign * step_by_step,
                r=-eye,
            )
    if instance.energy_reserve_kwh is not None:
        add(instance.energy_reserve_kwh - drift, np.inf, **stored, m=eye)
    _end_value(instance, add, drift[-1])

    low_bounds, high_bounds = np.zeros(size), np.full(size, np.inf)
    high_bounds[at["i"]] = instance.import_limit_kw
    high_bounds[at["e"]] = instance.export_limit_kw
    high_bounds[at["s"]] = instance.pv_kw if instance.curtailment_allowed else 0.0
    high_bounds[at["z"]] = high_bounds[at["y"]] = 1.0
    low_bounds[end_at] = -np.inf
    integrality = np.zeros(size)
    integrality[at["z"]] = integrality[at["y"]] = 1
    result = milp(
        cost,
        constraints=rows,
        bounds=Bounds(low_bounds, high_bounds),
        integrality=integrality,
        options={"mip_rel_gap": 0.0, "time_limit": time_limit_s},
    )
    if result.x is None:
        return None
    assert result.status == 0, result.message
    return float(result.fun)


def _end_value(instance: Instance, add: Any, drift_kwh: float) -> None:
    """State the value of the final energy as the least of the curve's lines."""
    n, h = instance.n_steps, instance.step_hours
    edges, marginals = [0.0], [0.0]
    if instance.terminal_curve is not None:
        edges = [0.0, *instance.terminal_curve.breakpoints_kwh]
        marginals = list(instance.terminal_curve.marginals_eur_per_kwh)
    value_at_edge = 0.0
    for index, (edge, marginal) in enumerate(zip(edges, marginals, strict=True)):
        if index:
            value_at_edge += marginals[index - 1] * (edge - edges[index - 1])
        slope = marginal + instance.terminal_value_eur_per_kwh
        flat = value_at_edge + instance.terminal_value_eur_per_kwh * edge
        ones = csr_array(np.ones((1, n)))
        add(
            -np.inf,
            flat + slope * (drift_kwh - edge),
            1,
            end=1.0,
            c=-slope * h * instance.eta_charge * ones,
            d=slope * h / instance.eta_discharge * ones,
        )

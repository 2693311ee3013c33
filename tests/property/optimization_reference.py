"""An optimiser written a second time, on its own: every step fully decided, scipy's MILP.

It shares nothing with the engine's model: no candidate steps, no tightened bounds, no
slacks, energy eliminated by cumulative sums. Infeasible where a wish cannot be met.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from engine.optimization.instance import Instance

BLOCKS = ("c", "d", "i", "e", "s", "z", "y")
"""Charge, discharge, import, export, curtailment; binaries: charging, importing."""


def reference_objective_eur(instance: Instance) -> float | None:
    """Return the optimal cost minus terminal value, or None when infeasible."""
    n, h = instance.n_steps, instance.step_hours
    at = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(BLOCKS)}
    size = len(BLOCKS) * n + 1
    eye, lower = np.eye(n), np.tril(np.ones((n, n)))
    big = 500.0

    cost = np.zeros(size)
    cost[at["c"]] = h * (
        instance.wear_charge_eur_per_kwh - instance.terminal_value_eur_per_kwh * instance.eta_charge
    )
    cost[at["d"]] = h * (
        instance.wear_discharge_eur_per_kwh
        + instance.terminal_value_eur_per_kwh / instance.eta_discharge
    )
    cost[at["i"]] = h * instance.buy_eur_per_kwh
    cost[at["e"]] = -h * instance.sell_eur_per_kwh
    cost[-1] = instance.demand_charge_eur_per_kw

    rows: list[LinearConstraint] = []

    def add(low: float | np.ndarray, high: float | np.ndarray, **blocks: np.ndarray) -> None:
        matrix = np.zeros((n, size))
        for name, block in blocks.items():
            if name == "peak":
                matrix[:, -1] = block
            else:
                matrix[:, at[name]] = block
        rows.append(LinearConstraint(matrix, low, high))

    net = instance.load_kw - instance.pv_kw
    add(net, net, i=eye, e=-eye, s=-eye, c=-eye, d=eye)
    drift = instance.energy_start_kwh - instance.standby_loss_kw * h * np.arange(1, n + 1)
    low = np.full(n, instance.energy_min_kwh)
    if instance.energy_final_min_kwh is not None:
        low[-1] = max(low[-1], instance.energy_final_min_kwh)
    add(
        low - drift,
        instance.energy_max_kwh - drift,
        c=h * instance.eta_charge * lower,
        d=-h / instance.eta_discharge * lower,
    )
    add(-np.inf, 0.0, c=eye, z=-np.diag(instance.charge_limit_kw))
    add(-np.inf, instance.discharge_limit_kw, d=eye, z=np.diag(instance.discharge_limit_kw))
    add(-np.inf, 0.0, i=eye, y=-big * eye)
    add(-np.inf, big, e=eye, y=big * eye)
    add(-np.inf, 0.0, i=eye, peak=-np.ones(n))
    if not instance.grid_charge_allowed:
        add(-np.inf, big, c=eye, y=big * eye)
    if not instance.battery_export_allowed:
        add(-np.inf, 0.0, d=eye, y=-big * eye)

    low_bounds, high_bounds = np.zeros(size), np.full(size, np.inf)
    high_bounds[at["i"]] = instance.import_limit_kw
    high_bounds[at["e"]] = instance.export_limit_kw
    high_bounds[at["s"]] = instance.pv_kw if instance.curtailment_allowed else 0.0
    high_bounds[at["z"]] = high_bounds[at["y"]] = 1.0
    low_bounds[-1] = instance.incurred_peak_kw
    integrality = np.zeros(size)
    integrality[at["z"]] = integrality[at["y"]] = 1
    result = milp(
        cost,
        constraints=rows,
        bounds=Bounds(low_bounds, high_bounds),
        integrality=integrality,
        options={"mip_rel_gap": 0.0},
    )
    if result.x is None:
        return None
    return float(
        result.fun
        - instance.terminal_value_eur_per_kwh * drift[-1]
        - instance.demand_charge_eur_per_kw * instance.incurred_peak_kw
    )

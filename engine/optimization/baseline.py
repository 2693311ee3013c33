"""The same horizon without a battery, which every saving is measured against."""

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.instance import Instance


def baseline_grid_kw(instance: Instance) -> FloatArray:
    """Return grid power per step without a battery, + import, - export, shape (n,).

    Where curtailment is allowed, surplus PV power is given away when feeding in costs
    money (negative sell price) or beyond the export limit; PV power that serves the
    load is never given away. Limits the load alone exceeds are exceeded here too.
    """
    surplus_kw = np.maximum(instance.pv_kw - instance.load_kw, 0.0)
    exported_kw = surplus_kw
    if instance.curtailment_allowed:
        exported_kw = np.where(
            instance.sell_eur_per_kwh < 0.0,
            0.0,
            np.minimum(surplus_kw, instance.export_limit_kw),
        )
    return np.maximum(instance.load_kw - instance.pv_kw, 0.0) - exported_kw


def baseline_cost_eur(instance: Instance, steps: int | None = None) -> float:
    """Return energy cost plus demand charges without a battery.

    Args:
        instance: The planning problem.
        steps: Only the first `steps` steps; None for all.
    """
    grid_kw = baseline_grid_kw(instance)[:steps]
    imported_kw = np.maximum(grid_kw, 0.0)
    energy_eur = instance.step_hours * (
        instance.buy_eur_per_kwh[:steps] @ imported_kw
        + instance.sell_eur_per_kwh[:steps] @ np.minimum(grid_kw, 0.0)
    )
    return float(energy_eur) + first_steps_demand_eur(instance, imported_kw)


def first_steps_demand_eur(instance: Instance, imported_kw: FloatArray) -> float:
    """Return the demand charges caused by the first steps of a horizon alone.

    Args:
        instance: The planning problem.
        imported_kw: Imports of its first steps, >= 0, shape (m,) with m <= n.
    """
    whole = np.zeros(instance.n_steps)
    whole[: imported_kw.size] = imported_kw
    return sum(peak.cost_eur(whole) for peak in instance.peaks)

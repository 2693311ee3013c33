"""What a kernel search found, before it becomes a `Solution`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.forward import (
    BATTERY,
    ENERGY,
    GIVEN,
    GRID,
    PEAK_PRICE,
    PRICE,
    SITE_PRICE,
    STORED_VALUE,
)
from engine.optimization.outcome import Duals, Flows

_PRICES = (STORED_VALUE, SITE_PRICE, PRICE)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The best plan of a search.

    Attributes:
        cost_eur: Objective with every price of a wish.
        bound_eur: No plan can have a lower one.
        plan: Shape (n, PLAN_COLUMNS); its prices are a dual solution for the plan.
        peaks_kw: Height of each charged peak in the order of the problem.
        solves: Number of dynamic programmes solved.
        complete: The search proved its answer.
    """

    cost_eur: float
    bound_eur: float
    plan: FloatArray
    peaks_kw: tuple[float, ...]
    solves: int
    complete: bool = True

    def flows(self) -> Flows:
        """Return the plan's flows, >= 0, one direction each."""
        battery, grid = self.plan[:, BATTERY], self.plan[:, GRID]
        return Flows(
            charge_kw=np.maximum(-battery, 0.0),
            discharge_kw=np.maximum(battery, 0.0),
            import_kw=np.maximum(grid, 0.0),
            export_kw=np.maximum(-grid, 0.0),
            curtailed_kw=self.plan[:, GIVEN].copy(),
        )

    def duals(self) -> Duals:
        """Return the prices behind the plan."""
        return Duals(
            stored_value_eur_per_kwh=self.plan[:, STORED_VALUE].copy(),
            site_price_eur_per_kwh=self.plan[:, SITE_PRICE].copy(),
            peak_eur_per_kw=self.plan[:, PEAK_PRICE:].sum(axis=1),
        )

    @property
    def energy_kwh(self) -> FloatArray:
        """Stored energy at the end of each step."""
        return self.plan[:, ENERGY]


def with_prices(
    plan: FloatArray, steps: slice, weighted: Sequence[tuple[float, FloatArray]]
) -> None:
    """Give `steps` of `plan` the weighted mean of the prices of other plans."""
    for columns in (_PRICES, slice(PEAK_PRICE, None)):
        plan[steps, columns] = sum(weight * other[steps, columns] for weight, other in weighted)

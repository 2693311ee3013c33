"""What goes into a solve besides the instance, and what comes back before it is checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.candidates import Candidates
from engine.optimization.terms import BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Decided directions for the steps of `candidates`; arrays of shape (n,).

    Attributes:
        candidates: Steps that are decided; the others stay free.
        charging: True where the battery may charge, False where it may discharge.
        importing: True where the site may import, False where it may export.
    """

    candidates: Candidates
    charging: BoolArray
    importing: BoolArray

    def without_first(self) -> Decisions:
        """Return the same decisions with the first step left free."""
        battery, grid = self.candidates.battery.copy(), self.candidates.grid.copy()
        battery[0] = grid[0] = False
        return Decisions(Candidates(battery, grid), self.charging, self.importing)


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """Values of the model's variables; arrays of shape (n,), kW."""

    charge_kw: FloatArray
    discharge_kw: FloatArray
    import_kw: FloatArray
    export_kw: FloatArray
    curtailed_kw: FloatArray

    def directions(self, candidates: Candidates) -> Decisions:
        """Return the net directions of these flows for the steps of `candidates`."""
        return Decisions(
            candidates=candidates,
            charging=self.charge_kw >= self.discharge_kw,
            importing=self.import_kw >= self.export_kw,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Duals:
    """Prices behind a linear solve; arrays of shape (n,).

    Attributes:
        stored_value_eur_per_kwh: Slope of the cost of the later steps at the end of each step.
        site_price_eur_per_kwh: Slope of the cost in the load of each step.
        peak_eur_per_kw: Demand charge per kW of import in each step, summed over the peaks.
    """

    stored_value_eur_per_kwh: FloatArray
    site_price_eur_per_kwh: FloatArray
    peak_eur_per_kw: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one solve returned.

    Attributes:
        complete: True when the solver proved optimality, False when time ran out.
        objective_eur: Objective of the flows, prices of wishes included.
        bound_eur: No plan can have a lower objective than this.
        flows: The flows, the calmest first where several cost the same; empty when time ran
            out before any were found or the directions to hold allow none.
        duals: Prices behind the plan; None for DECIDED and without flows.
        decisions: Directions found; None except for DECIDED.
    """

    complete: bool
    objective_eur: float
    bound_eur: float
    flows: tuple[Flows, ...]
    duals: Duals | None = None
    decisions: Decisions | None = None


IMPOSSIBLE = Outcome(False, np.inf, -np.inf, ())
"""The directions to hold allow no plan."""

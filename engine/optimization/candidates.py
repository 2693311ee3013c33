"""Steps that need a binary variable."""

from __future__ import annotations

from dataclasses import dataclass

from engine.optimization.terms import BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Steps that need a binary variable; both arrays have shape (n,).

    Attributes:
        battery: Charge or discharge must be decided.
        grid: Import or export must be decided.
    """

    battery: BoolArray
    grid: BoolArray

    @property
    def count(self) -> int:
        """Number of binary variables needed."""
        return int(self.battery.sum() + self.grid.sum())

    def union(self, other: Candidates) -> Candidates:
        """Return the steps named by either."""
        return Candidates(self.battery | other.battery, self.grid | other.grid)

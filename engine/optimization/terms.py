"""Optional terms of a planning problem that are more than a number: peaks, end values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.values import finite_number

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BilledPeak:
    """A demand charge on the highest import step among some steps of the horizon.

    It costs `charge_eur_per_kw * max(0, highest import over billed steps - floor_kw)`.
    A horizon that crosses a month boundary has one peak per month.

    Attributes:
        billed: True for every step that counts, shape (n,); at least one.
        charge_eur_per_kw: Charge per kW of import above `floor_kw`, >= 0.
        floor_kw: Import that costs nothing more: the larger of the peak already incurred in
            the billing period and the peak aimed at, >= 0.

    Raises:
        OptimizationError: No step is billed, or a number is missing or negative.
    """

    billed: BoolArray
    charge_eur_per_kw: float
    floor_kw: float = 0.0

    def __post_init__(self) -> None:
        billed = np.array(self.billed)
        if billed.ndim != 1 or billed.dtype != np.bool_ or not billed.any():
            raise OptimizationError(
                "a billed peak needs one true or false per step, at least one true.",
                field="billed",
                value=self.billed,
                hint="Leave the peak out when no step of the horizon is billed.",
            )
        billed.flags.writeable = False
        object.__setattr__(self, "billed", billed)
        for name in ("charge_eur_per_kw", "floor_kw"):
            object.__setattr__(self, name, finite_number(name, getattr(self, name), low=0.0))

    @classmethod
    def between(
        cls, n: int, first: int, stop: int, charge_eur_per_kw: float, floor_kw: float = 0.0
    ) -> BilledPeak:
        """Return a peak over the steps `first` up to but without `stop` of `n` steps."""
        steps = np.arange(n)
        return cls((steps >= first) & (steps < stop), charge_eur_per_kw, floor_kw)

    def cost_eur(self, import_kw: FloatArray) -> float:
        """Return what imports of shape (n,) cost."""
        return self.charge_eur_per_kw * max(0.0, self.peak_kw(import_kw) - self.floor_kw)

    def peak_kw(self, import_kw: FloatArray) -> float:
        """Return the highest import among the billed steps, shape (n,) in, >= 0."""
        return max(0.0, float(import_kw[self.billed].max()))


@dataclass(frozen=True, slots=True, eq=False)
class TerminalCurve:
    """Concave value of the energy stored at the end: each further kWh is worth less.

    The first kWh up to `breakpoints_kwh[0]` are worth `marginals_eur_per_kwh[0]` each, those
    up to `breakpoints_kwh[1]` the next marginal, and so on; above the last breakpoint the
    last marginal holds. An empty store is worth nothing.

    Attributes:
        breakpoints_kwh: Stored energies where the marginal value changes, ascending, > 0,
            shape (k - 1,).
        marginals_eur_per_kwh: Marginal values, never rising, shape (k,), k >= 1.

    Raises:
        OptimizationError: The lengths do not fit, or an order is broken.
    """

    breakpoints_kwh: FloatArray
    marginals_eur_per_kwh: FloatArray

    def __post_init__(self) -> None:
        for name in ("breakpoints_kwh", "marginals_eur_per_kwh"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.ndim != 1 or not np.isfinite(array).all():
                raise OptimizationError(
                    "the curve needs a flat list of finite numbers.",
                    field=f"terminal_curve.{name}",
                    value=getattr(self, name),
                    hint="Give k marginal values and the k - 1 energies between them.",
                )
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        edges, marginals = self.breakpoints_kwh, self.marginals_eur_per_kwh
        if marginals.size != edges.size + 1:
            raise OptimizationError(
                f"{marginals.size} marginal values do not fit {edges.size} breakpoints.",
                field="terminal_curve",
                value=int(marginals.size),
                hint="Give one marginal value more than breakpoints.",
            )
        if np.any(np.diff(edges, prepend=0.0) <= 0.0):
            raise OptimizationError(
                "the breakpoints do not ascend from above 0.",
                field="terminal_curve.breakpoints_kwh",
                value=edges.tolist(),
                hint="Sort them and merge equal ones.",
            )
        if np.any(np.diff(marginals) > 0.0):
            raise OptimizationError(
                "a marginal value rises with the stored energy.",
                field="terminal_curve.marginals_eur_per_kwh",
                value=marginals.tolist(),
                hint="Give a concave curve: each further kWh is worth no more than the last.",
            )

    @property
    def pieces(self) -> int:
        """Number of marginal values."""
        return int(self.marginals_eur_per_kwh.size)

    def intercepts_eur(self) -> FloatArray:
        """Return where each piece's line meets an empty store; the value is their minimum."""
        drops = -np.diff(self.marginals_eur_per_kwh)
        return np.concatenate(([0.0], np.cumsum(drops * self.breakpoints_kwh)))

    def value_eur(self, energy_kwh: ArrayLike) -> FloatArray:
        """Return the value of `energy_kwh` (any shape)."""
        energy = np.asarray(energy_kwh, dtype=np.float64)
        lines = np.multiply.outer(energy, self.marginals_eur_per_kwh) + self.intercepts_eur()
        least: FloatArray = lines.min(axis=-1)
        return least

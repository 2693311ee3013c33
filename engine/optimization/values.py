"""Checked numbers and series: what the optimiser accepts as an input value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray


def finite_number(name: str, value: Any, *, low: float = -math.inf) -> float:
    """Return `value` as a finite float of at least `low`.

    Raises:
        OptimizationError: It is no finite number, or below `low`; the error names `name`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise OptimizationError(
            f"{value!r} is not a number.", field=name, value=value, hint="Give a finite number."
        )
    number = float(value)
    if not math.isfinite(number):
        raise OptimizationError(
            f"{value!r} is not a finite number.",
            field=name,
            value=value,
            hint="Replace missing values before planning.",
        )
    if number < low:
        raise OptimizationError(
            f"{number:g} is below {low:g}.",
            field=name,
            value=number,
            hint=f"Give {low:g} or more.",
        )
    return number


def finite_series(
    name: str, values: ArrayLike, n: int | None = None, *, signed: bool = False
) -> FloatArray:
    """Return `values` as a read-only float array of shape (n,), every entry finite.

    Args:
        name: Named in errors.
        values: Any sequence of numbers.
        n: Length it must have; None for any length of at least 1.
        signed: Entries may be negative.

    Raises:
        OptimizationError: Wrong shape, a value that is missing, or negative and must not be.
    """
    try:
        array: NDArray[np.float64] = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptimizationError(
            "the series is not a list of numbers.",
            field=name,
            value=values,
            hint="Give one finite number per step.",
        ) from error
    if array.ndim != 1 or array.size == 0:
        raise OptimizationError(
            f"the series has shape {array.shape}.",
            field=name,
            value=array.shape,
            hint="Give a flat list with one number per step, at least one step.",
        )
    if n is not None and array.size != n:
        raise OptimizationError(
            f"the series has {array.size} values, expected {n}.",
            field=name,
            value=int(array.size),
            hint="Give every series one number per step, as many as buy_eur_per_kwh has.",
        )
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise OptimizationError(
            f"the value at step {int(bad[0])} is {array[bad[0]]}.",
            field=name,
            value=float(array[bad[0]]),
            hint="Replace missing values before planning.",
        )
    if not signed and (low := np.flatnonzero(array < 0)).size:
        raise OptimizationError(
            f"the value at step {int(low[0])} is {array[low[0]]:g}, below 0.",
            field=name,
            value=float(array[low[0]]),
            hint="Loads, PV power, energies and limits are never negative.",
        )
    array.flags.writeable = False
    return array

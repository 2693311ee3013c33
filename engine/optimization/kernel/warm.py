"""Compile all that `KernelSolver` calls, or load it when it is kept already.

``python -m engine.optimization.kernel.warm`` does it in a process of its own: the compiler takes
half a minute of a processor, holds Python's lock meanwhile and needs 120 MB that it never gives
back; none of that may happen in a program that controls a battery.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from datetime import UTC, datetime

import numpy as np

from engine.domain.site import Battery
from engine.optimization.instance import Instance
from engine.optimization.kernel.compiled import compiling_alone, is_kept
from engine.optimization.kernel.solver import KernelSolver
from engine.optimization.terms import BilledPeak

_STEPS = 4
_lock = threading.Lock()
_done = False


def warm() -> None:
    """Make the kernel ready for this process; the first call may take a minute, others nothing."""
    global _done  # noqa: PLW0603  # once per process, like what numba loads
    with _lock:
        if _done:
            return
        with compiling_alone():
            solver = KernelSolver(time_limit_s=60.0)
            for instance in _instances():
                solver.attempt(instance)
        _done = True


def _instances() -> list[Instance]:
    """Return problems that reach every compiled function: convex or not, with 0 to 2 peaks."""
    n = _STEPS
    convex = Instance.for_battery(
        Battery(100.0, 50.0, 50.0, 0.95, 0.95, 10.0, 90.0, 0.1, 0.01),
        start=datetime(2026, 5, 1, tzinfo=UTC),
        step_minutes=15,
        buy_eur_per_kwh=[0.3, 0.1, 0.2, 0.4],
        sell_eur_per_kwh=[0.1, 0.05, 0.1, 0.2],
        load_kw=[20.0, 30.0, 10.0, 40.0],
        pv_kw=[0.0, 60.0, 50.0, 0.0],
        import_limit_kw=100.0,
        export_limit_kw=100.0,
        energy_start_kwh=50.0,
    )
    negative = dataclasses.replace(
        convex,
        buy_eur_per_kwh=np.array([-0.2, 0.05, 0.02, -0.1]),
        sell_eur_per_kwh=np.full(n, 0.08),
    )
    peaks = (
        BilledPeak.between(n, 0, n // 2, 5.0, 20.0),
        BilledPeak.between(n, n // 2, n, 5.0),
    )
    return [
        dataclasses.replace(instance, billed_peaks=some)
        for instance in (convex, negative)
        for some in ((), peaks[:1], peaks)
    ]


if __name__ == "__main__":
    if not is_kept():
        # what is compiled here would be lost, and the program would compile it all by itself
        sys.exit(3)
    os.nice(19)
    warm()

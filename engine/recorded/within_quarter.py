"""Movement inside a recorded quarter-hour, for the simulated plant.

A meter that records 15-min means says nothing about the seconds between. The
demo plant adds a ripple whose mean over every quarter-hour is exactly zero, so
that the recorded means stay what they were. It is part of the simulation and
carries its mark.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

_PERIODS_S = (300.0, 90.0, 36.0, 20.0)
"""All divide 900 s: the ripple is mean-free over any whole quarter-hour."""


def with_ripple(
    mean_at: Callable[[datetime], float], amplitude: float, seed: int
) -> Callable[[datetime], float]:
    """Return a function of time that moves around 15-min means without changing them.

    Args:
        mean_at: Mean of the quarter-hour that contains an instant, >= 0.
        amplitude: Largest deviation as a share of the mean, 0..1.
        seed: Makes two signals move differently.

    Returns:
        Instant to value >= 0, in the unit of `mean_at`.
    """
    if not 0 <= amplitude <= 1:
        raise ValueError("amplitude must lie between 0 and 1")
    share = amplitude / len(_PERIODS_S)

    def value(ts: datetime) -> float:
        mean = mean_at(ts)
        seconds = ts.timestamp()
        quarter = int(seconds // 900)
        ripple = 0.0
        for i, period in enumerate(_PERIODS_S):
            phase = ((quarter * 2654435761 + seed * 40503 + i * 97) % 6283) / 1000.0
            ripple += math.sin(2 * math.pi * (seconds % 900) / period + phase)
        return mean * (1.0 + share * ripple)

    return value

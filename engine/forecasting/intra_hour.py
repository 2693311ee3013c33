"""From hourly prices to quarter-hours: the mean deviation of each quarter from its hour.

Hourly price plus the mean intra-hour deviation of the last 28 days earns 88 % of what
quarter-hour prices earn, the hourly price repeated 76 % (notes/forecasting 4.2).
"""

from __future__ import annotations

import numpy as np

from engine.domain.forecast import FloatArray
from engine.forecasting.day_table import DayTable

PROFILE_DAYS = 28


def hourly(days: FloatArray) -> FloatArray:
    """Return the hourly means of days of quarter-hours: (n, 96) to (n, 24)."""
    return np.asarray(days.reshape(len(days), 24, 4).mean(axis=2))


def intra_hour_profile(table: DayTable, row: int, days: int = PROFILE_DAYS) -> FloatArray:
    """Return the mean deviation of each quarter-hour from its hour over the days before `row`.

    Shape (96,), mean 0 in every hour; zeros where prices were hourly or nothing is known.
    """
    past = table.values[max(0, row - days) : max(0, row)]
    past = past[np.isfinite(past).all(axis=1)]
    if len(past) == 0:
        return np.zeros(96)
    # Days that came hourly say nothing about the quarters; they must not dilute the others.
    deviation = past - np.repeat(hourly(past), 4, axis=1)
    resolved = np.abs(deviation).max(axis=1) > 1e-9
    if not resolved.any():
        return np.zeros(96)
    return np.asarray(deviation[resolved].mean(axis=0))

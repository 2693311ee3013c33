"""What weather sources share: their interface, and from instants to 15-min means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np

from engine.domain.quarter_hour import STEP_S
from engine.fetching.http import invalid
from engine.weather.weather import FloatArray, WeatherForecast

BOUNDS = {
    "irradiance": (0.0, 2000.0, "W/m²"),
    "cloud_cover": (0.0, 100.0, "%"),
    "temperature": (-90.0, 60.0, "°C"),
    "wind_speed": (0.0, 120.0, "m/s"),
}
"""What can be measured on earth; beyond it the unit or the data are wrong."""


class WeatherProvider(Protocol):
    """A place that can be asked for a forecast.

    Attributes:
        name: Key of the source, for example ``"open_meteo"``.
        attribution: Who must be named when the data are shown.
    """

    name: str
    attribution: str

    def fetch(self) -> WeatherForecast:
        """Return the newest forecast.

        Raises:
            FetchError: When the source cannot be reached or its answer is wrong.
        """
        ...


def checked_values(values: Sequence[Any], quantity: str, where: str) -> FloatArray:
    """Return numbers within the bounds of `quantity`, NaN for null; shape (n,).

    Raises:
        FetchError: When a value is no number or beyond its bounds.
    """
    low, high, unit = BOUNDS[quantity]
    out = np.full(len(values), np.nan)
    for i, value in enumerate(values):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise invalid(f"{where}, value {i + 1}: {value!r} is not a number.")
        if not math.isfinite(value) or not low - 1.0 <= value <= high:
            raise invalid(
                f"{where}, value {i + 1}: {value:g} {unit} cannot be; the unit or the data "
                "must be wrong."
            )
        # Models round to slightly below zero at night.
        out[i] = max(low, float(value))
    return out


def checked_stamps(values: Sequence[Any], where: str) -> list[int]:
    """Return Unix seconds that ascend on full quarter-hours.

    Raises:
        FetchError: When they do not.
    """
    out: list[int] = []
    for i, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(f"{where}, time {i + 1}: {value!r} is not Unix time.")
        if value % int(STEP_S) or not 0 < value < 7_258_118_400:
            raise invalid(f"{where}, time {i + 1}: {value} is not a full quarter-hour.")
        if out and value <= out[-1]:
            raise invalid(f"{where}, time {i + 1}: the times are not in order.")
        out.append(value)
    if len(out) < 2:
        raise invalid(f"{where}: {len(out)} times are no forecast.")
    return out


def step_means(
    stamps: Sequence[int], values: FloatArray, max_gap_s: float
) -> tuple[datetime, FloatArray]:
    """Return 15-min means of a quantity that is given at instants, linear in between.

    Args:
        stamps: Unix seconds on full quarter-hours, ascending, shape (m,).
        values: Value at each stamp, NaN where unknown, shape (m,).
        max_gap_s: Nothing is interpolated over a longer gap.

    Returns:
        Start of the first step (the first stamp), UTC, and the means from there to the last
        stamp, NaN where a neighbouring value is unknown; shape (n,).
    """
    first, last = stamps[0], stamps[-1]
    n = int((last - first) // STEP_S)
    # No stamp lies inside a step, so the mean of the linear course is its middle.
    middle = first + STEP_S * (np.arange(n) + 0.5)
    known = np.array(stamps, dtype=np.float64)
    right = np.searchsorted(known, middle)
    wide = (known[right] - known[right - 1]) > max_gap_s
    weight = (middle - known[right - 1]) / (known[right] - known[right - 1])
    means = values[right - 1] * (1.0 - weight) + values[right] * weight
    return datetime.fromtimestamp(first, UTC), np.where(wide, np.nan, means)

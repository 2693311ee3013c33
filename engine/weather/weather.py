"""A weather forecast on the 15-min grid, and the interface of its sources."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WeatherForecast:
    """Weather in 15-min steps; every array has shape (n,) and NaN where the source says nothing.

    Attributes:
        start: Start of the first step, UTC.
        ghi_w_m2: Mean global horizontal irradiance of the step.
        dni_w_m2: Mean direct normal irradiance.
        dhi_w_m2: Mean diffuse horizontal irradiance.
        cloud_cover_percent: Total cloud cover, 0..100.
        temp_air_c: Air temperature.
        wind_speed_m_s: Wind speed at 10 m.
        source: Who says so, for example ``"open_meteo"``.
        fetched_at: When it was obtained, UTC.
    """

    start: datetime
    ghi_w_m2: FloatArray
    dni_w_m2: FloatArray
    dhi_w_m2: FloatArray
    cloud_cover_percent: FloatArray
    temp_air_c: FloatArray
    wind_speed_m_s: FloatArray
    source: str
    fetched_at: datetime

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.ghi_w_m2.size)

    @property
    def end(self) -> datetime:
        """End of the last step, UTC."""
        return self.start + self.n_steps * STEP

    @property
    def has_irradiance(self) -> bool:
        """True when global irradiance is given anywhere."""
        return bool(np.isfinite(self.ghi_w_m2).any())


class WeatherSource(Protocol):
    """Something that knows the weather to come."""

    def forecast(self, now: datetime) -> WeatherForecast | None:
        """Return the newest forecast that still reaches beyond `now`, or None; returns at once."""
        ...

"""PV plants, weather and pasts for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP
from engine.forecasting.pv_calibration import ModelledRun, ModelledRuns
from engine.weather.pv_model import PvPlane, PvSystem, clear_sky_kw
from engine.weather.weather import WeatherForecast

FloatArray = NDArray[np.float64]

DWD_FILE = (
    Path(__file__).parents[1] / "data" / "weather" / "duesseldorf_dwd_2024_weeks_15min.parquet"
)
SOUTH = PvPlane(peak_kw=100.0, tilt_deg=30.0, azimuth_deg=180.0)


def system(*planes: PvPlane, latitude: float = 48.2, longitude: float = 16.4) -> PvSystem:
    """Return a plant near Vienna; one 100 kW south plane by default."""
    return PvSystem(latitude=latitude, longitude=longitude, planes=planes or (SOUTH,))


def weather(
    start: datetime, n: int, fetched_at: datetime | None = None, **given: FloatArray
) -> WeatherForecast:
    """Return weather that says only what is given."""
    fields = ("ghi_w_m2", "dni_w_m2", "dhi_w_m2", "cloud_cover_percent", "temp_air_c")
    arrays = {name: np.full(n, np.nan) for name in (*fields, "wind_speed_m_s")}
    arrays.update(given)
    return WeatherForecast(start=start, source="test", fetched_at=fetched_at or start, **arrays)


class Source:
    """A weather source that holds one forecast."""

    def __init__(self, held: WeatherForecast | None) -> None:
        self.held = held

    def forecast(self, now: datetime) -> WeatherForecast | None:
        return self.held


class Series:
    """A history of one series from `start`; unknown outside."""

    label = "measured"

    def __init__(self, start: datetime, pv_kw: FloatArray) -> None:
        self.start = start
        self.pv_kw = pv_kw

    def means(self, signal: str, start: datetime, end: datetime) -> FloatArray:
        first = (start - self.start) // STEP
        index = first + np.arange((end - start) // STEP)
        known = (index >= 0) & (index < self.pv_kw.size) & (signal == "pv_kw")
        out = np.full(index.size, np.nan)
        out[known] = self.pv_kw[index[known]]
        return out


class World:
    """A plant whose clouds are known: what the weather said and what the meter saw.

    Clearness wanders from hour to hour; the forecast of it is off by random errors that last
    some hours. `shading` multiplies what is measured, per UTC slot.
    """

    def __init__(
        self,
        start: datetime,
        n_days: int,
        *,
        seed: int = 1,
        error: float = 0.12,
        shading: FloatArray | None = None,
    ) -> None:
        self.system = system()
        self.start = start
        rng = np.random.default_rng(seed)
        n = 96 * n_days
        self.clear_kw = clear_sky_kw(self.system, start, n)
        said = np.clip(0.6 + 0.25 * _wandering(rng, n, 24), 0.1, 1.0)
        seen = np.clip(said + error * _wandering(rng, n, 12), 0.02, 1.1)
        self.modelled_kw = self.clear_kw * said
        slots = np.arange(n) % 96
        self.measured_kw = self.clear_kw * seen * (1.0 if shading is None else shading[slots])
        self.said = said

    def history(self, until: datetime | None = None) -> Series:
        steps = None if until is None else (until - self.start) // STEP
        return Series(self.start, self.measured_kw[:steps])

    def archive(self) -> ModelledRuns:
        """Return one modelled run a day, issued at midnight, 48 h long."""
        runs = ModelledRuns()
        for day in range(self.modelled_kw.size // 96):
            issued = self.start + timedelta(days=day)
            runs.add(ModelledRun(issued, issued, self.modelled_kw[day * 96 : day * 96 + 192]))
        return runs


def dwd_weeks() -> list[tuple[datetime, dict[str, FloatArray]]]:
    """Return the committed measured weeks: start and columns of each."""
    table = pq.read_table(DWD_FILE)
    stamps = table.column("ts_utc").to_pylist()
    names = [name for name in table.column_names if name != "ts_utc"]
    weeks = []
    for first in range(0, len(stamps), 672):
        rows = slice(first, first + 672)
        columns = {name: table.column(name).to_numpy()[rows].astype(float) for name in names}
        weeks.append((stamps[first].astimezone(UTC), columns))
    return weeks


def _wandering(rng: np.random.Generator, n: int, steps: int) -> FloatArray:
    """Return a unit-variance random series that forgets itself over `steps` steps."""
    keep = np.exp(-1.0 / steps)
    noise = rng.standard_normal(n) * np.sqrt(1 - keep**2)
    out = np.empty(n)
    value = rng.standard_normal()
    for i in range(n):
        value = keep * value + noise[i]
        out[i] = value
    return out

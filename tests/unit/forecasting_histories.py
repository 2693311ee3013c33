"""Histories made of arrays and formulas, for tests of forecasters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.domain.quarter_hour import STEP
from engine.recorded.library import DATA

VIENNA = ZoneInfo("Europe/Vienna")
BERLIN = ZoneInfo("Europe/Berlin")
LOAD_DATA = DATA / "load"


class ArrayHistory:
    """Steps from a start; everything else is NaN. Counts the known steps that are read."""

    label = "array"

    def __init__(self, start: datetime, values: NDArray[np.float64]) -> None:
        self.start = start
        self.values = values
        self.steps_read = 0

    @property
    def end(self) -> datetime:
        return self.start + len(self.values) * STEP

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        n, offset = (end - start) // STEP, (start - self.start) // STEP
        out = np.full(n, np.nan)
        first, last = max(0, -offset), min(n, len(self.values) - offset)
        if last > first:
            out[first:last] = self.values[offset + first : offset + last]
        self.steps_read += int(np.isfinite(out).sum())
        return out

    def index(self, ts: datetime) -> int:
        return (ts - self.start) // STEP

    def steps(self, start: datetime, n: int) -> NDArray[np.float64]:
        return self.means("", start, start + n * STEP)


def midnight(day: date, zone: ZoneInfo = VIENNA) -> datetime:
    return datetime.combine(day, time(0), zone).astimezone(UTC)


def from_formula(
    first: date, days: int, value: Callable[[datetime], float], zone: ZoneInfo = VIENNA
) -> ArrayHistory:
    """A history of local days whose values follow local time."""
    start, end = midnight(first, zone), midnight(first + timedelta(days=days), zone)
    n = (end - start) // STEP
    return ArrayHistory(
        start, np.array([value((start + i * STEP).astimezone(zone)) for i in range(n)])
    )


def office(local: datetime) -> float:
    """20 kW at work, 5 kW at night, 8 kW on Saturday mornings, 4 kW on Sundays."""
    if local.weekday() == 6:
        return 4.0
    if local.weekday() == 5:
        return 8.0 if 8 <= local.hour < 12 else 5.0
    return 20.0 if 7 <= local.hour < 17 else 5.0


def measured_load(name: str, annual_mwh: float = 100.0) -> ArrayHistory:
    """A committed measured year, in kW."""
    table = pq.read_table(LOAD_DATA / f"{name}_15min.parquet")
    start = table.column("ts_utc")[0].as_py().astimezone(UTC)
    watts = table.column("load_w_per_mwh_a").to_numpy().astype(np.float64)
    return ArrayHistory(start, watts * annual_mwh / 1000.0)

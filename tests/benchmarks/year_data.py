"""A year of 2-s samples of one site, always the same: 15.8 million rows of 25 signals.

``python -m tests.benchmarks.year_data FOLDER [--days 365]`` writes it as a data folder of
EMS Dash, by the ways of the program itself: transactions, roll-ups and the archive.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.clock import ManualClock
from engine.history.duckdb_store import DuckDbHistory
from engine.history.inserts import insert_samples_table
from engine.history.retention import Retention

SITE = "main"
START = datetime(2025, 1, 1, tzinfo=UTC)
STEP_S = 2
ROWS_PER_DAY = 86_400 // STEP_S
ROWS_PER_COMMIT = 14_400
DATABASE_NAME = "hot.duckdb"

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Written:
    """What writing the data took.

    Attributes:
        rows: Samples written.
        insert_s: Time of the transactions.
        roll_up_s: Time of the roll-ups.
        archive_s: Time of the archive, reading back included.
        hot_bytes: Size of the hot file.
        cold_bytes: Size of the archive.
    """

    rows: int
    insert_s: float
    roll_up_s: float
    archive_s: float
    hot_bytes: int
    cold_bytes: int


def day_columns(day: int) -> dict[str, Array]:
    """Return the 25 signals of day `day`, shape (43,200,) each; NaN where one was not usable."""
    random = np.random.default_rng(day)
    n = ROWS_PER_DAY
    hour = np.arange(n) * STEP_S / 3600.0

    def noise(scale: float) -> Array:
        return random.normal(size=n) * scale

    def slow(scale: float) -> Array:
        """Return noise that changes over minutes."""
        knots = random.normal(size=n // 90 + 2) * scale
        return np.interp(np.arange(n), np.arange(knots.size) * 90.0, knots)

    summer = 0.5 - 0.5 * np.cos(2 * np.pi * (day - 10) / 365.25)
    sun = np.clip(np.sin((hour - 6.0 + 2.0 * summer) / (12.0 + 4.0 * summer) * np.pi), 0.0, None)
    pv = np.clip(sun * (60.0 + 80.0 * summer) * (1.0 - np.abs(slow(0.3))) + noise(0.2), 0.0, None)
    working = 0.4 if day % 7 in (5, 6) else 1.0
    load = 45.0 + working * 60.0 * np.exp(-(((hour - 13.0) / 4.5) ** 2)) + slow(8.0) + noise(0.5)
    load = np.clip(load, 5.0, None)
    battery = np.clip(load - pv - 20.0 + slow(5.0), -100.0, 100.0)
    grid = load - pv - battery
    energy = battery * STEP_S / 3600.0
    soc = np.clip(50.0 - np.cumsum(energy) / 4.0 + noise(0.01), 10.0, 90.0)
    base = day * 800.0

    def counter(power: Array) -> Array:
        return base + np.cumsum(np.clip(power, 0.0, None)) * STEP_S / 3600.0

    def tenths(values: Array) -> Array:
        return np.round(values, 1)

    columns = {
        "soc_percent": tenths(soc),
        "soh_percent": np.full(n, 99.0 - day / 365.0),
        "battery_kw": tenths(battery),
        "battery_setpoint_kw": tenths(battery + noise(0.3)),
        "voltage_v": tenths(760.0 + soc * 0.8 + noise(0.4)),
        "current_a": tenths(battery * 1000.0 / 800.0),
        "temperature_c": tenths(24.0 + 6.0 * summer + slow(0.5)),
        "max_charge_power_kw": np.full(n, 100.0),
        "max_discharge_power_kw": np.full(n, 100.0),
        "status_code": np.where(battery > 1.0, 2.0, np.where(battery < -1.0, 1.0, 3.0)),
        "alarm_bits": np.zeros(n),
        "grid_kw": tenths(grid),
        "pv_kw": tenths(pv),
        "load_kw": tenths(load),
        "battery_charged_kwh": counter(-battery),
        "battery_discharged_kwh": counter(battery),
        "grid_import_kwh": counter(grid),
        "grid_export_kwh": counter(-grid),
        "pv_energy_kwh": counter(pv),
        "grid_l1_kw": tenths(grid / 3.0 + noise(0.2)),
        "grid_l2_kw": tenths(grid / 3.0 + noise(0.2)),
        "grid_voltage_l1_v": tenths(230.0 + slow(1.5) + noise(0.1)),
        "grid_voltage_l2_v": tenths(230.0 + slow(1.5) + noise(0.1)),
        "grid_voltage_l3_v": tenths(230.0 + slow(1.5) + noise(0.1)),
        "grid_frequency_hz": np.round(50.0 + slow(0.02), 2),
    }
    missing = random.random(n) < 0.001
    for name in ("grid_kw", "load_kw"):
        columns[name] = np.where(missing, np.nan, columns[name])
    return columns


def day_stamps(day: int) -> NDArray[np.datetime64]:
    """Return the times of day `day`, shape (43,200,), UTC."""
    start = np.datetime64(START.replace(tzinfo=None), "us") + np.timedelta64(day, "D")
    return start + np.arange(ROWS_PER_DAY) * np.timedelta64(STEP_S * 1_000_000, "us")


def write_store(folder: Path, days: int, *, raw_days: int = 14) -> Written:
    """Write `days` days to a new data folder; all but the newest `raw_days` are archived."""
    clock = ManualClock(START)
    insert_s = roll_up_s = archive_s = 0.0
    path = folder / DATABASE_NAME
    retention = Retention(raw_days=raw_days, minute_days=36_500, archive_months=None)
    with DuckDbHistory(path, clock=clock, retention=retention) as store:
        for day in range(days):
            began = time.perf_counter()
            for table, stamps in _commits(day):
                store._changing("written", partial(_insert, table=table, stamps=stamps, to=store))
            inserted = time.perf_counter()
            now = START + timedelta(days=day + 1)
            while store.roll_up(now):
                pass
            rolled = time.perf_counter()
            while not store.tidy(now):
                pass
            if day % 2:
                store.checkpoint()
            insert_s += inserted - began
            roll_up_s += rolled - inserted
            archive_s += time.perf_counter() - rolled
        store.checkpoint()
    cold = sum(file.stat().st_size for file in (folder / "cold").rglob("*.parquet"))
    return Written(days * ROWS_PER_DAY, insert_s, roll_up_s, archive_s, path.stat().st_size, cold)


def _commits(day: int) -> Iterator[tuple[Any, list[datetime]]]:
    columns, stamps = day_columns(day), day_stamps(day)
    battery = columns["battery_kw"]
    for low in range(0, ROWS_PER_DAY, ROWS_PER_COMMIT):
        part = slice(low, low + ROWS_PER_COMMIT)
        table: dict[str, Any] = {
            "ts": pa.array(stamps[part]),
            "site_id": pa.array([SITE] * ROWS_PER_COMMIT),
            "setpoint_kw": pa.array(battery[part], pa.float32()),
            "charge_limit_kw": pa.array(np.full(ROWS_PER_COMMIT, 100.0), pa.float32()),
            "discharge_limit_kw": pa.array(np.full(ROWS_PER_COMMIT, 100.0), pa.float32()),
            "binding": pa.array(["soc_max" if b < -99 else None for b in battery[part]]),
            "decided_by": pa.array(["plan"] * ROWS_PER_COMMIT),
            "state": pa.array(["automatic"] * ROWS_PER_COMMIT),
            "unusable": pa.array(np.isnan(columns["grid_kw"][part]).astype(np.int32) * 2),
            "simulated": pa.array(np.ones(ROWS_PER_COMMIT, dtype=bool)),
        }
        for name, values in columns.items():
            kind = pa.int32() if name in {"status_code", "alarm_bits"} else None
            kind = kind or (pa.float64() if name.endswith("_kwh") else pa.float32())
            table[name] = pa.array(values[part], from_pandas=True).cast(kind)
        yield pa.table(table), stamps[part].tolist()


def _insert(
    cursor: duckdb.DuckDBPyConnection, table: Any, stamps: list[datetime], to: DuckDbHistory
) -> None:
    cursor.execute("BEGIN")
    insert_samples_table(cursor, table, {SITE: stamps}, to._source)
    cursor.execute("COMMIT")


def main() -> None:
    """Write the data to a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=365)
    arguments = parser.parse_args()
    written = write_store(arguments.folder, arguments.days)
    print(written)


if __name__ == "__main__":
    main()

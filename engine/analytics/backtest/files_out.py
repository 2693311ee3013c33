"""The quarter-hours of a result as a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.prepared import prepare
from engine.analytics.backtest.result import BacktestResult
from engine.domain.errors import BacktestError
from engine.domain.quarter_hour import STEP_S


def traces_table(case: BacktestCase, result: BacktestResult) -> pa.Table:
    """Return one row per quarter-hour: time, prices, load, PV, battery, grid, stored energy.

    Raises:
        BacktestError: The result was kept without its quarter-hours.
    """
    traces = result.traces
    if traces is None:
        raise BacktestError(
            "The quarter-hours of this result were not kept.",
            field="traces",
            hint="Evaluate the policy again and keep its traces.",
        )
    prepared, span = prepare(case), slice(case.first, case.stop)
    seconds = round(case.start.timestamp()) + np.arange(case.n) * int(STEP_S)
    return pa.table(
        {
            "ts_utc": pa.array(seconds.astype("datetime64[s]"), pa.timestamp("s", tz="UTC")),
            "buy_eur_per_kwh": prepared.buy[span],
            "sell_eur_per_kwh": prepared.sell[span],
            "load_kw": case.series.load_kw[span],
            "pv_kw": case.series.pv_kw[span],
            "battery_kw": traces.battery_kw,
            "grid_kw": traces.grid_kw,
            "curtailed_kw": traces.curtailed_kw,
            "stored_kwh": traces.energy_kwh,
        }
    )


def write_traces(path: Path, case: BacktestCase, result: BacktestResult) -> None:
    """Write `traces_table` as Parquet, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    write_parquet(path, traces_table(case, result))


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    pq.write_table(table, part, compression="zstd")
    os.replace(part, path)

"""Forecasts as rows: one per vintage with a list per quantile, and back again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from engine.domain.forecast import Forecast
from engine.history.rows import texts, times, utc
from engine.history.store import ForecastHeader, SiteForecast

HEADER_COLUMNS: tuple[str, ...] = (
    "site_id",
    "signal",
    "issued_at",
    "start_at",
    "n_steps",
    "model",
    "method",
)
"""Columns of `forecasts` without values, in the order `header_from_row` expects them."""

VALUE_COLUMNS: tuple[str, ...] = ("p10", "p50", "p90", "known")
"""Columns of `forecasts` that hold a list, one entry per step."""


def forecasts_table(rows: Sequence[SiteForecast]) -> Any:
    """Return `rows` as an Arrow table; values are rounded to FLOAT, which keeps seven digits."""
    forecasts = [row.forecast for row in rows]
    return pa.table(
        {
            "site_id": texts(row.site_id for row in rows),
            "signal": texts(f.signal for f in forecasts),
            "issued_at": times(f.issued_at for f in forecasts),
            "start_at": times(f.start for f in forecasts),
            "n_steps": pa.array([f.n_steps for f in forecasts], pa.int32()),
            "model": texts(f.model for f in forecasts),
            "method": texts(f.method for f in forecasts),
            "p10": _lists((f.p10 for f in forecasts), pa.float32()),
            "p50": _lists((f.p50 for f in forecasts), pa.float32()),
            "p90": _lists((f.p90 for f in forecasts), pa.float32()),
            "known": _lists((f.known for f in forecasts), pa.bool_()),
        }
    )


def header_from_row(row: Sequence[Any]) -> ForecastHeader:
    """Return the header behind one database row of `HEADER_COLUMNS`."""
    site_id, signal, issued_at, start_at, n_steps, model, method = row
    return ForecastHeader(site_id, signal, utc(issued_at), utc(start_at), n_steps, model, method)


def forecast_from_row(row: Sequence[Any]) -> Forecast:
    """Return the forecast behind one database row of `HEADER_COLUMNS` and `VALUE_COLUMNS`."""
    header = header_from_row(row[: len(HEADER_COLUMNS)])
    p10, p50, p90, known = row[len(HEADER_COLUMNS) :]
    return Forecast(
        signal=header.signal,
        start=header.start,
        p10=np.array(p10, dtype=np.float64),
        p50=np.array(p50, dtype=np.float64),
        p90=np.array(p90, dtype=np.float64),
        issued_at=header.issued_at,
        model=header.model,
        method=header.method,
        known=np.array(known, dtype=np.bool_),
    )


def _lists(columns: Iterable[Any], kind: Any) -> Any:
    return pa.array([values.tolist() for values in columns], pa.list_(kind))

"""Conversion of rows to Arrow tables, and of times to and from the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.records import (
    DeviceRow,
    EventRow,
    LedgerRow,
    MetricRow,
    PriceRow,
    RunRow,
    SampleRow,
    SavingsRow,
    TariffRow,
)
from engine.domain.signals import SIGNALS, Kind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIMESTAMP = pa.timestamp("us")
_ARROW_TYPE = {Kind.GAUGE: pa.float32(), Kind.COUNTER: pa.float64(), Kind.CODE: pa.int32()}


def utc_microseconds(ts: datetime) -> int:
    """Return microseconds since 1970 UTC of the timezone-aware `ts`."""
    return (ts - _EPOCH) // _MICROSECOND


def utc(ts: datetime) -> datetime:
    """Return a naive UTC timestamp of the database as timezone-aware UTC."""
    return ts.replace(tzinfo=UTC)


def naive_utc(ts: datetime) -> datetime:
    """Return the timezone-aware `ts` in the naive UTC form the database keeps."""
    return ts.astimezone(UTC).replace(tzinfo=None)


def times(stamps: Iterable[datetime | None]) -> Any:
    """Return the timezone-aware `stamps` as an Arrow array of naive UTC times."""
    return pa.array(
        [None if ts is None else utc_microseconds(ts) for ts in stamps], pa.int64()
    ).cast(_TIMESTAMP)


def texts(values: Iterable[str | None]) -> Any:
    """Return `values` as an Arrow array."""
    return pa.array(list(values), pa.string())


def doubles(values: Iterable[float | None]) -> Any:
    """Return `values` as an Arrow array."""
    return pa.array([None if v is None else float(v) for v in values], pa.float64())


def samples_table(rows: Sequence[SampleRow]) -> Any:
    """Return `rows` as an Arrow table with one column per signal, missing values null."""
    columns: dict[str, Any] = {
        "ts": times(r.ts for r in rows),
        "site_id": texts(r.site_id for r in rows),
        "setpoint_kw": pa.array([r.setpoint_kw for r in rows], pa.float32()),
        "charge_limit_kw": pa.array([r.charge_limit_kw for r in rows], pa.float32()),
        "discharge_limit_kw": pa.array([r.discharge_limit_kw for r in rows], pa.float32()),
        "binding": texts(r.binding for r in rows),
        "decided_by": texts(r.decided_by for r in rows),
        "state": texts(r.state for r in rows),
        "unusable": pa.array([int(r.unusable) for r in rows], pa.int32()),
        "simulated": pa.array([r.simulated for r in rows], pa.bool_()),
    }
    for name, signal in SIGNALS.items():
        values = [r.values.get(name) for r in rows]
        if signal.kind is Kind.CODE:
            values = [None if v is None else int(v) for v in values]
        columns[name] = pa.array(values, _ARROW_TYPE[signal.kind])
    return pa.table(columns)


def measured_table(
    site_id: str,
    ts: NDArray[np.datetime64],
    values: Mapping[str, NDArray[np.float64]],
    state: str,
) -> Any:
    """Return samples of one site as `samples_table` does, from arrays and without decisions.

    Args:
        site_id: The site.
        ts: Times, UTC, shape (n,).
        values: Signals to their values, shape (n,), NaN where unknown; no CODE.
        state: `SampleRow.state` of all of them.
    """
    n = len(ts)
    given: dict[str, Any] = {
        "ts": pa.array(ts.astype("datetime64[us]"), _TIMESTAMP),
        "site_id": pa.repeat(pa.scalar(site_id, pa.string()), n),
        "state": pa.repeat(pa.scalar(state, pa.string()), n),
        "unusable": pa.repeat(pa.scalar(0, pa.int32()), n),
        "simulated": pa.repeat(pa.scalar(False, pa.bool_()), n),
    }
    for name, numbers in values.items():
        given[name] = pa.array(numbers, from_pandas=True).cast(_ARROW_TYPE[SIGNALS[name].kind])
    schema = samples_table(()).schema
    return pa.table(
        [given.get(item.name, pa.nulls(n, item.type)) for item in schema], schema=schema
    )


def prices_table(rows: Sequence[PriceRow]) -> Any:
    """Return `rows` as an Arrow table."""
    return pa.table(
        {
            "ts": times(r.ts for r in rows),
            "site_id": texts(r.site_id for r in rows),
            "minutes": pa.array([r.minutes for r in rows], pa.int32()),
            **_columns(rows, ("spot_eur_per_kwh", "buy_eur_per_kwh", "sell_eur_per_kwh")),
            "source": texts(r.source for r in rows),
            "fetched_at": times(r.fetched_at for r in rows),
        }
    )


def ledger_table(rows: Sequence[LedgerRow]) -> Any:
    """Return `rows` as an Arrow table."""
    numbers = (
        "seconds",
        "import_kwh",
        "export_kwh",
        "battery_charged_kwh",
        "battery_discharged_kwh",
        "pv_kwh",
        "buy_eur_per_kwh",
        "sell_eur_per_kwh",
        "cost_eur",
    )
    return pa.table(
        {
            "ts": times(r.ts for r in rows),
            "site_id": texts(r.site_id for r in rows),
            **_columns(rows, numbers),
            "price_source": texts(r.price_source for r in rows),
            "method": texts(r.method for r in rows),
        }
    )


def events_table(rows: Sequence[EventRow]) -> Any:
    """Return `rows` as an Arrow table."""
    names = ("site_id", "severity", "code", "message")
    return pa.table(
        {
            "ts": times(r.ts for r in rows),
            **{name: texts(getattr(r, name) for r in rows) for name in names},
        }
    )


RUN_COLUMNS: tuple[str, ...] = (
    "ts",
    "site_id",
    "triggered_by",
    "status",
    "duration_ms",
    "strategy",
    "plan_id",
    "expected_profit_eur",
    "solver",
    "gap",
    "solve_ms",
    "message",
)
"""Columns of `runs`, in the order of the fields of a `RunRow`."""

SAVINGS_COLUMNS: tuple[str, ...] = (
    "ts",
    "site_id",
    "baseline",
    "import_kwh",
    "export_kwh",
    "charged_kwh",
    "discharged_kwh",
    "soc_kwh",
    "cost_eur",
)
"""Columns of `savings`, in the order of the fields of a `SavingsRow`."""


def runs_table(rows: Sequence[RunRow]) -> Any:
    """Return `rows` as an Arrow table."""
    return pa.table(
        {
            "ts": times(r.ts for r in rows),
            "site_id": texts(r.site_id for r in rows),
            "triggered_by": texts(r.trigger for r in rows),
            **{
                name: texts(getattr(r, name) for r in rows)
                for name in ("status", "strategy", "plan_id", "solver", "message")
            },
            **_columns(rows, ("duration_ms", "expected_profit_eur", "gap", "solve_ms")),
        }
    )


def tariffs_table(rows: Sequence[TariffRow]) -> Any:
    """Return `rows` as an Arrow table."""
    return pa.table(
        {
            "recorded_at": times(r.recorded_at for r in rows),
            "site_id": texts(r.site_id for r in rows),
            "valid_from": times(r.valid_from for r in rows),
            "document": texts(r.document for r in rows),
        }
    )


def devices_table(rows: Sequence[DeviceRow]) -> Any:
    """Return `rows` as an Arrow table."""
    names = ("site_id", "device", "document")
    return pa.table(
        {
            "ts": times(r.ts for r in rows),
            **{name: texts(getattr(r, name) for r in rows) for name in names},
        }
    )


def savings_table(rows: Sequence[SavingsRow]) -> Any:
    """Return `rows` as an Arrow table."""
    return pa.table(
        {
            "ts": times(r.ts for r in rows),
            "site_id": texts(r.site_id for r in rows),
            "baseline": texts(r.baseline for r in rows),
            **_columns(rows, SAVINGS_COLUMNS[3:]),
        }
    )


def metrics_table(rows: Sequence[MetricRow]) -> Any:
    """Return `rows` as an Arrow table."""
    return pa.table(
        {
            "day": pa.array([r.day for r in rows], pa.date32()),
            "site_id": texts(r.site_id for r in rows),
            "metric": texts(r.metric for r in rows),
            "value": doubles(r.value for r in rows),
        }
    )


def _columns(rows: Sequence[Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: doubles(getattr(r, name) for r in rows) for name in names}

"""Checks of rows before they are stored, and their conversion to Arrow tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from numbers import Real
from typing import Any

import pyarrow as pa

from engine.domain.errors import HistoryError
from engine.domain.plan import Plan
from engine.domain.records import EventRow, LedgerRow, PriceRow, SampleRow
from engine.domain.signals import SIGNALS, Kind
from engine.history.store import Batch

MAX_BATCH_ROWS = 20_000
"""Largest transaction, plan steps counted.

From one row group (122,880 rows) on, DuckDB writes data blocks straight into the
file instead of the WAL; then snapshot + WAL would no longer hold everything.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FLOAT32_MAX = 3.4028234e38
_INT32_MAX = 2**31 - 1
_TIMESTAMP = pa.timestamp("us")
_ARROW_TYPE = {Kind.GAUGE: pa.float32(), Kind.COUNTER: pa.float64(), Kind.CODE: pa.int32()}

MAX_PLAN_STEPS = 10_000
"""Longest plan that is stored; five weeks in steps of five minutes."""

PLAN_ARRAYS: tuple[str, ...] = (
    "battery_kw",
    "grid_kw",
    "load_kw",
    "pv_kw",
    "curtailed_kw",
    "soc_kwh",
    "buy_eur_per_kwh",
    "sell_eur_per_kwh",
    "spot_eur_per_kwh",
    "price_is_forecast",
    "stored_value_eur_per_kwh",
)
"""Arrays of a `Plan` that become columns of `plan_steps`."""


def check_batch(batch: Batch) -> None:
    """Raise HistoryError when a row cannot be stored or the batch is too large."""
    size = len(batch) + sum(plan.n_steps for plan in batch.plans)
    if size > MAX_BATCH_ROWS:
        raise HistoryError(
            f"The batch has {size} rows, one transaction takes {MAX_BATCH_ROWS}.",
            field="batch",
            value=size,
            hint="Write it in several batches.",
        )
    for sample in batch.samples:
        check_sample(sample)
    for price in batch.prices:
        check_price(price)
    for plan in batch.plans:
        check_plan(plan)
    for booking in batch.ledger:
        check_ledger(booking)
    for event in batch.events:
        check_event(event)


def check_time(ts: object, field: str) -> None:
    """Raise HistoryError unless `ts` is a timezone-aware datetime."""
    if not isinstance(ts, datetime) or ts.tzinfo is None:
        raise HistoryError(
            f"The time {ts!r} has no time zone.",
            field=field,
            value=str(ts),
            hint="Use timezone-aware UTC times.",
        )


def check_sample(row: SampleRow) -> None:
    """Raise HistoryError when `row` has a naive time, an unknown signal or no real number."""
    check_time(row.ts, "sample.ts")
    for name, value in row.values.items():
        signal = SIGNALS.get(name)
        if signal is None:
            raise HistoryError(
                f"{name} is no signal this program stores.",
                field=f"sample.values.{name}",
                value=value,
                hint="Use a name of engine.domain.signals.SIGNALS.",
            )
        if value is None:
            continue
        if signal.kind is Kind.CODE:
            _check_code(value, f"sample.values.{name}")
        else:
            _check_number(value, f"sample.values.{name}", largest=_FLOAT32_MAX)
    _check_code(row.unusable, "sample.unusable")
    for field in ("setpoint_kw", "charge_limit_kw", "discharge_limit_kw"):
        decision = getattr(row, field)
        if decision is not None:
            _check_number(decision, f"sample.{field}", largest=_FLOAT32_MAX)


def check_price(row: PriceRow) -> None:
    """Raise HistoryError when `row` has a naive time or a value that is no finite number."""
    check_time(row.ts, "price.ts")
    check_time(row.fetched_at, "price.fetched_at")
    _check_code(row.minutes, "price.minutes")
    for field in ("spot_eur_per_kwh", "buy_eur_per_kwh", "sell_eur_per_kwh"):
        _check_number(getattr(row, field), f"price.{field}")


def check_ledger(row: LedgerRow) -> None:
    """Raise HistoryError when `row` has a naive time or a value that is no finite number."""
    check_time(row.ts, "ledger.ts")
    for field in (
        "seconds",
        "import_kwh",
        "export_kwh",
        "buy_eur_per_kwh",
        "sell_eur_per_kwh",
        "cost_eur",
    ):
        _check_number(getattr(row, field), f"ledger.{field}")
    for field in ("battery_charged_kwh", "battery_discharged_kwh", "pv_kwh"):
        energy = getattr(row, field)
        if energy is not None:
            _check_number(energy, f"ledger.{field}")


def check_event(row: EventRow) -> None:
    """Raise HistoryError when `row` has a naive time."""
    check_time(row.ts, "event.ts")


def check_plan(plan: Plan) -> None:
    """Raise HistoryError when a time of `plan` is naive or an array has another length."""
    check_time(plan.created_at, "plan.created_at")
    check_time(plan.start, "plan.start")
    shape = plan.battery_kw.shape
    if len(shape) != 1:
        raise HistoryError(
            f"battery_kw has shape {shape}.",
            field="plan.battery_kw",
            value=str(shape),
            hint="Give one value per step.",
        )
    if plan.n_steps > MAX_PLAN_STEPS:
        raise HistoryError(
            f"The plan has {plan.n_steps} steps, the history takes {MAX_PLAN_STEPS}.",
            field="plan",
            value=plan.n_steps,
            hint="Use a shorter horizon or longer steps.",
        )
    for name in PLAN_ARRAYS:
        shape = getattr(plan, name).shape
        if shape != (plan.n_steps,):
            raise HistoryError(
                f"The plan has {plan.n_steps} steps but {name} has shape {shape}.",
                field=f"plan.{name}",
                value=str(shape),
                hint="Give every array one value per step.",
            )


def _check_number(value: object, field: str, largest: float = math.inf) -> None:
    # float first: numbers.Real costs ten times as much and this runs per stored value
    if not isinstance(value, float) and (
        isinstance(value, bool) or not isinstance(value, Real | int)
    ):
        raise HistoryError(
            f"{value!r} is no number.", field=field, value=str(value), hint="Store None instead."
        )
    number = float(value)
    if not math.isfinite(number) or abs(number) > largest:
        raise HistoryError(
            f"{value!r} is no number that can be stored.",
            field=field,
            value=str(value),
            hint="Mark the sample BAD and store None.",
        )


def _check_code(value: object, field: str) -> None:
    _check_number(value, field, largest=_INT32_MAX)
    number = float(value)  # type: ignore[arg-type]  # proven to be a number above
    if number != int(number):
        raise HistoryError(
            f"{value!r} is no whole number.",
            field=field,
            value=str(value),
            hint="Store a status or alarm word as an integer.",
        )


def utc_microseconds(ts: datetime) -> int:
    """Return microseconds since 1970 UTC of the timezone-aware `ts`."""
    return (ts - _EPOCH) // _MICROSECOND


def utc(ts: datetime) -> datetime:
    """Return a naive UTC timestamp of the database as timezone-aware UTC."""
    return ts.replace(tzinfo=UTC)


def naive_utc(ts: datetime) -> datetime:
    """Return the timezone-aware `ts` in the naive UTC form the database keeps."""
    return ts.astimezone(UTC).replace(tzinfo=None)


def _times(stamps: Iterable[datetime]) -> Any:
    return pa.array([utc_microseconds(ts) for ts in stamps], pa.int64()).cast(_TIMESTAMP)


def samples_table(rows: Sequence[SampleRow]) -> Any:
    """Return `rows` as an Arrow table with one column per signal, missing values null."""
    columns: dict[str, Any] = {
        "ts": _times(r.ts for r in rows),
        "site_id": pa.array([r.site_id for r in rows], pa.string()),
        "setpoint_kw": pa.array([r.setpoint_kw for r in rows], pa.float32()),
        "charge_limit_kw": pa.array([r.charge_limit_kw for r in rows], pa.float32()),
        "discharge_limit_kw": pa.array([r.discharge_limit_kw for r in rows], pa.float32()),
        "binding": pa.array([r.binding for r in rows], pa.string()),
        "unusable": pa.array([int(r.unusable) for r in rows], pa.int32()),
        "simulated": pa.array([r.simulated for r in rows], pa.bool_()),
    }
    for name, signal in SIGNALS.items():
        values = [r.values.get(name) for r in rows]
        if signal.kind is Kind.CODE:
            values = [None if v is None else int(v) for v in values]
        columns[name] = pa.array(values, _ARROW_TYPE[signal.kind])
    return pa.table(columns)


def prices_table(rows: Sequence[PriceRow]) -> Any:
    """Return `rows` as an Arrow table."""
    return pa.table(
        {
            "ts": _times(r.ts for r in rows),
            "site_id": pa.array([r.site_id for r in rows], pa.string()),
            "minutes": pa.array([r.minutes for r in rows], pa.int32()),
            **_doubles(rows, ("spot_eur_per_kwh", "buy_eur_per_kwh", "sell_eur_per_kwh")),
            "source": pa.array([r.source for r in rows], pa.string()),
            "fetched_at": _times(r.fetched_at for r in rows),
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
            "ts": _times(r.ts for r in rows),
            "site_id": pa.array([r.site_id for r in rows], pa.string()),
            **_doubles(rows, numbers),
            "price_source": pa.array([r.price_source for r in rows], pa.string()),
            "method": pa.array([r.method for r in rows], pa.string()),
        }
    )


def events_table(rows: Sequence[EventRow]) -> Any:
    """Return `rows` as an Arrow table."""
    texts = ("site_id", "severity", "code", "message")
    return pa.table(
        {
            "ts": _times(r.ts for r in rows),
            **{name: pa.array([getattr(r, name) for r in rows], pa.string()) for name in texts},
        }
    )


def _doubles(rows: Sequence[Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: pa.array([getattr(r, name) for r in rows], pa.float64()) for name in names}

"""Checks of rows before they are stored: what cannot be stored is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from numbers import Real
from typing import Any

import numpy as np

from engine.domain.errors import HistoryError
from engine.domain.forecast import FORECAST_SIGNALS
from engine.domain.plan import Plan
from engine.domain.quarter_hour import quarter_start
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
from engine.domain.strategy import Selection
from engine.history.plan_rows import OPTIONAL_PLAN_ARRAYS, PLAN_ARRAYS, STEERING_ARRAYS
from engine.history.rows import SAVINGS_COLUMNS
from engine.history.selection_rows import CANDIDATE_NUMBERS
from engine.history.store import Batch, SiteForecast

MAX_BATCH_ROWS = 20_000
"""Largest transaction; the steps of plans and forecasts and all candidates counted.

From one row group (122,880 rows) on, DuckDB writes data blocks straight into the
file instead of the WAL; then snapshot + WAL would no longer hold everything.
"""

MAX_PLAN_STEPS = 10_000
"""Longest plan that is stored; five weeks in steps of five minutes."""

MAX_FORECAST_STEPS = 2_000
"""Longest forecast that is stored; twenty days."""

MAX_CANDIDATES = 20
"""Most candidates one choice of strategy is stored with."""

_FLOAT32_MAX = 3.4028234e38
_INT32_MAX = 2**31 - 1


def check_batch(batch: Batch) -> None:
    """Raise HistoryError when a row cannot be stored or the batch is too large."""
    size = (
        len(batch)
        + sum(plan.n_steps for plan in batch.plans)
        + sum(issued.forecast.n_steps for issued in batch.forecasts)
        + sum(len(selection.candidates) for selection in batch.selections)
    )
    if size > MAX_BATCH_ROWS:
        raise _too_long(size)
    for kind, check in _CHECKS.items():
        for row in getattr(batch, kind):
            check(row)


def check_samples_table(samples: Any) -> None:
    """Raise HistoryError when an Arrow table of samples is too long for one transaction."""
    if samples.num_rows > MAX_BATCH_ROWS:
        raise _too_long(samples.num_rows)


def _too_long(size: int) -> HistoryError:
    return HistoryError(
        f"The batch has {size} rows, one transaction takes {MAX_BATCH_ROWS}.",
        field="batch",
        value=size,
        hint="Write it in several batches.",
    )


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
    arrays = {name: getattr(plan, name) for name in PLAN_ARRAYS}
    arrays |= {name: getattr(plan, name) for name in OPTIONAL_PLAN_ARRAYS}
    if plan.steering is not None:
        arrays |= {
            f"steering.{name}": getattr(plan.steering, name) for name in STEERING_ARRAYS.values()
        }
    for name, values in arrays.items():
        if values is not None and values.shape != (plan.n_steps,):
            raise HistoryError(
                f"The plan has {plan.n_steps} steps but {name} has shape {values.shape}.",
                field=f"plan.{name}",
                value=str(values.shape),
                hint="Give every array one value per step.",
            )


def check_forecast(row: SiteForecast) -> None:
    """Raise HistoryError when the forecast of `row` is too long or of a signal never forecast.

    `Forecast` itself makes sure of its times, lengths and finite values.
    """
    forecast = row.forecast
    check_forecast_signal(forecast.signal, "forecast.signal")
    if forecast.start != quarter_start(forecast.start):
        raise HistoryError(
            f"The forecast starts at {forecast.start.isoformat()}.",
            field="forecast.start",
            value=forecast.start.isoformat(),
            hint="Start it with a quarter-hour; what comes is known per quarter-hour.",
        )
    if forecast.n_steps > MAX_FORECAST_STEPS:
        raise HistoryError(
            f"The forecast has {forecast.n_steps} steps, the history takes {MAX_FORECAST_STEPS}.",
            field="forecast",
            value=forecast.n_steps,
            hint="Use a shorter horizon.",
        )
    if forecast.known.shape != forecast.p50.shape:
        raise HistoryError(
            f"The forecast has {forecast.n_steps} steps but known has shape "
            f"{forecast.known.shape}.",
            field="forecast.known",
            value=str(forecast.known.shape),
            hint="Give every array one value per step.",
        )
    for name in ("p10", "p50", "p90"):
        largest = float(np.abs(getattr(forecast, name)).max())
        _check_number(largest, f"forecast.{name}", largest=_FLOAT32_MAX)


def check_forecast_signal(signal: str, field: str) -> None:
    """Raise HistoryError unless `signal` is one that is forecast."""
    if signal not in FORECAST_SIGNALS:
        raise HistoryError(
            f"{signal} is not forecast.",
            field=field,
            value=signal,
            hint=f"Use one of {', '.join(FORECAST_SIGNALS)}.",
        )


def check_selection(row: Selection) -> None:
    """Raise HistoryError when `row` has a naive time or a value that is no finite number."""
    check_time(row.ts, "selection.ts")
    if row.manual_until is not None:
        check_time(row.manual_until, "selection.manual_until")
    for field in ("gain_eur", "needed_eur"):
        _check_number(getattr(row, field), f"selection.{field}")
    if len(row.candidates) > MAX_CANDIDATES:
        raise HistoryError(
            f"The choice has {len(row.candidates)} candidates, the history takes {MAX_CANDIDATES}.",
            field="selection.candidates",
            value=len(row.candidates),
            hint="Give each strategy once.",
        )
    for candidate in row.candidates:
        for name in CANDIDATE_NUMBERS:
            value = getattr(candidate, name)
            if value is not None:
                _check_number(value, f"selection.candidates.{candidate.strategy}.{name}")


def check_run(row: RunRow) -> None:
    """Raise HistoryError when `row` has a naive time or a value that is no finite number."""
    check_time(row.ts, "run.ts")
    _check_number(row.duration_ms, "run.duration_ms")
    for field in ("expected_profit_eur", "gap", "solve_ms"):
        value = getattr(row, field)
        if value is not None:
            _check_number(value, f"run.{field}")


def check_tariff(row: TariffRow) -> None:
    """Raise HistoryError when `row` has a naive time."""
    check_time(row.recorded_at, "tariff.recorded_at")
    if row.valid_from is not None:
        check_time(row.valid_from, "tariff.valid_from")


def check_device(row: DeviceRow) -> None:
    """Raise HistoryError when `row` has a naive time."""
    check_time(row.ts, "device.ts")


def check_saving(row: SavingsRow) -> None:
    """Raise HistoryError when `row` has a naive time or a value that is no finite number."""
    check_time(row.ts, "saving.ts")
    for field in SAVINGS_COLUMNS[3:]:
        _check_number(getattr(row, field), f"saving.{field}")


def check_metric(row: MetricRow) -> None:
    """Raise HistoryError when the value of `row` is no finite number."""
    if row.value is not None:
        _check_number(row.value, f"metric.{row.metric}")


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


_CHECKS: dict[str, Callable[[Any], None]] = {
    "samples": check_sample,
    "prices": check_price,
    "plans": check_plan,
    "ledger": check_ledger,
    "events": check_event,
    "forecasts": check_forecast,
    "selections": check_selection,
    "runs": check_run,
    "tariffs": check_tariff,
    "devices": check_device,
    "savings": check_saving,
    "metrics": check_metric,
}

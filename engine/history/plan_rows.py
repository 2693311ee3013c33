"""Plans as rows: one header and one row per step, and back again without loss."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from engine.domain.plan import FloatArray, Plan, PlanCheck, PlanSteering
from engine.history.rows import doubles, texts, times, utc
from engine.history.store import PlanHeader, SteeringHeader

HEADER_COLUMNS: tuple[str, ...] = (
    "plan_id",
    "site_id",
    "created_at",
    "start_at",
    "step_minutes",
    "n_steps",
    "soc_start_kwh",
    "strategy",
    "cost_eur",
    "baseline_cost_eur",
    "profit_24h_eur",
    "status",
    "solver",
    "gap",
    "solve_ms",
    "check_passed",
    "check_violation_kw",
    "check_violation_kwh",
    "check_cost_difference_eur",
    "check_messages",
    "triggered_by",
    "gave_way",
    "forecast_sources",
    "billed_peak_kw",
    "smoothing_eur_per_kwh",
    "peak_price_eur_per_kwh",
    "grid_charge_allowed",
    "battery_export_allowed",
)
"""Columns of `plans`, in the order `header_from_row` expects them."""

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

OPTIONAL_PLAN_ARRAYS: tuple[str, ...] = (
    "site_price_eur_per_kwh",
    "peak_share_eur_per_kwh",
    "reserve_kwh",
)
"""Arrays of a `Plan` that may be None; such a column of `plan_steps` is null throughout."""

STEERING_ARRAYS: dict[str, str] = {
    "steering_buy_eur_per_kwh": "buy_eur_per_kwh",
    "steering_sell_eur_per_kwh": "sell_eur_per_kwh",
    "smoothing_reference_kw": "smoothing_reference_kw",
    "peak_cap_kw": "peak_cap_kw",
}
"""Columns of `plan_steps`, null without steering, and the array of `PlanSteering` each holds."""

STEP_COLUMNS: tuple[str, ...] = (*PLAN_ARRAYS, *OPTIONAL_PLAN_ARRAYS, *STEERING_ARRAYS)
"""Columns of `plan_steps` with values, in the order `plan_from_rows` expects them."""


def headers_table(plans: Sequence[Plan]) -> Any:
    """Return the headers of `plans` as an Arrow table with `HEADER_COLUMNS`."""
    columns = {
        "plan_id": texts(p.plan_id for p in plans),
        "site_id": texts(p.site_id for p in plans),
        "created_at": times(p.created_at for p in plans),
        "start_at": times(p.start for p in plans),
        "step_minutes": pa.array([p.step_minutes for p in plans], pa.int32()),
        "n_steps": pa.array([p.n_steps for p in plans], pa.int32()),
        "soc_start_kwh": doubles(p.soc_start_kwh for p in plans),
        "strategy": texts(p.strategy for p in plans),
        "cost_eur": doubles(p.cost_eur for p in plans),
        "baseline_cost_eur": doubles(p.baseline_cost_eur for p in plans),
        "profit_24h_eur": doubles(p.profit_24h_eur for p in plans),
        "status": texts(p.status for p in plans),
        "solver": texts(p.solver for p in plans),
        "gap": doubles(p.gap for p in plans),
        "solve_ms": doubles(p.solve_ms for p in plans),
        "check_passed": _flags(p.check.passed for p in plans),
        "check_violation_kw": doubles(p.check.max_violation_kw for p in plans),
        "check_violation_kwh": doubles(p.check.max_violation_kwh for p in plans),
        "check_cost_difference_eur": doubles(p.check.cost_difference_eur for p in plans),
        "check_messages": texts(json.dumps(list(p.check.messages)) for p in plans),
        "triggered_by": texts(p.trigger for p in plans),
        "gave_way": texts(json.dumps({k: float(v) for k, v in p.gave_way.items()}) for p in plans),
        "forecast_sources": texts(json.dumps(dict(p.forecast_sources)) for p in plans),
        "billed_peak_kw": doubles(p.billed_peak_kw for p in plans),
        "smoothing_eur_per_kwh": doubles(_of_steering(plans, "smoothing_eur_per_kwh")),
        "peak_price_eur_per_kwh": doubles(_of_steering(plans, "peak_price_eur_per_kwh")),
        "grid_charge_allowed": _flags(_of_steering(plans, "grid_charge_allowed")),
        "battery_export_allowed": _flags(_of_steering(plans, "battery_export_allowed")),
    }
    return pa.table({name: columns[name] for name in HEADER_COLUMNS})


def steps_table(plans: Sequence[Plan]) -> Any:
    """Return every step of `plans` as an Arrow table."""
    arrays = {
        name: pa.array(np.concatenate([np.asarray(getattr(p, name)) for p in plans]))
        for name in PLAN_ARRAYS
    }
    arrays |= {
        name: _optional([getattr(p, name) for p in plans], plans) for name in OPTIONAL_PLAN_ARRAYS
    }
    arrays |= {
        column: _optional(_of_steering(plans, name), plans)
        for column, name in STEERING_ARRAYS.items()
    }
    return pa.table(
        {
            "plan_id": texts(p.plan_id for p in plans for _ in range(p.n_steps)),
            "step": pa.array([i for p in plans for i in range(p.n_steps)], pa.int32()),
            "ts": times(ts for p in plans for ts in p.times()),
            **arrays,
        }
    )


def _of_steering(plans: Sequence[Plan], name: str) -> list[Any]:
    return [None if p.steering is None else getattr(p.steering, name) for p in plans]


def _flags(values: Iterable[bool | None]) -> Any:
    return pa.array([None if v is None else bool(v) for v in values], pa.bool_())


def _optional(arrays: Sequence[FloatArray | None], plans: Sequence[Plan]) -> Any:
    """Return one column out of the array of each plan; None becomes nulls."""
    return pa.chunked_array(
        [
            pa.nulls(p.n_steps, pa.float64()) if values is None else pa.array(values, pa.float64())
            for values, p in zip(arrays, plans, strict=True)
        ],
        pa.float64(),
    )


def header_from_row(row: Sequence[Any]) -> PlanHeader:
    """Return the header behind one database row of `HEADER_COLUMNS`."""
    r = dict(zip(HEADER_COLUMNS, row, strict=True))
    return PlanHeader(
        plan_id=r["plan_id"],
        site_id=r["site_id"],
        created_at=utc(r["created_at"]),
        start=utc(r["start_at"]),
        step_minutes=r["step_minutes"],
        n_steps=r["n_steps"],
        soc_start_kwh=r["soc_start_kwh"],
        strategy=r["strategy"],
        cost_eur=r["cost_eur"],
        baseline_cost_eur=r["baseline_cost_eur"],
        profit_24h_eur=r["profit_24h_eur"],
        status=r["status"],
        solver=r["solver"],
        gap=r["gap"],
        solve_ms=r["solve_ms"],
        check=PlanCheck(
            passed=r["check_passed"],
            max_violation_kw=r["check_violation_kw"],
            max_violation_kwh=r["check_violation_kwh"],
            cost_difference_eur=r["check_cost_difference_eur"],
            messages=tuple(json.loads(r["check_messages"])),
        ),
        trigger=r["triggered_by"],
        gave_way=json.loads(r["gave_way"]),
        forecast_sources=json.loads(r["forecast_sources"]),
        billed_peak_kw=r["billed_peak_kw"],
        steering=_steering_header(r),
    )


def _steering_header(r: Mapping[str, Any]) -> SteeringHeader | None:
    if r["smoothing_eur_per_kwh"] is None:
        return None
    return SteeringHeader(
        smoothing_eur_per_kwh=r["smoothing_eur_per_kwh"],
        peak_price_eur_per_kwh=r["peak_price_eur_per_kwh"],
        grid_charge_allowed=r["grid_charge_allowed"],
        battery_export_allowed=r["battery_export_allowed"],
    )


def plan_from_rows(header: PlanHeader, steps: Sequence[Sequence[Any]]) -> Plan:
    """Return the plan behind `header` and its `steps` (rows of `STEP_COLUMNS`, in order)."""
    columns = list(zip(*steps, strict=True)) if steps else [()] * len(STEP_COLUMNS)
    by_name = dict(zip(STEP_COLUMNS, columns, strict=True))
    return Plan(
        plan_id=header.plan_id,
        site_id=header.site_id,
        created_at=header.created_at,
        start=header.start,
        step_minutes=header.step_minutes,
        battery_kw=_floats(by_name["battery_kw"]),
        grid_kw=_floats(by_name["grid_kw"]),
        load_kw=_floats(by_name["load_kw"]),
        pv_kw=_floats(by_name["pv_kw"]),
        curtailed_kw=_floats(by_name["curtailed_kw"]),
        soc_kwh=_floats(by_name["soc_kwh"]),
        soc_start_kwh=header.soc_start_kwh,
        buy_eur_per_kwh=_floats(by_name["buy_eur_per_kwh"]),
        sell_eur_per_kwh=_floats(by_name["sell_eur_per_kwh"]),
        spot_eur_per_kwh=_floats(by_name["spot_eur_per_kwh"]),
        price_is_forecast=np.array(by_name["price_is_forecast"], dtype=np.bool_),
        stored_value_eur_per_kwh=_floats(by_name["stored_value_eur_per_kwh"]),
        strategy=header.strategy,
        cost_eur=header.cost_eur,
        baseline_cost_eur=header.baseline_cost_eur,
        profit_24h_eur=header.profit_24h_eur,
        status=header.status,
        solver=header.solver,
        gap=header.gap,
        solve_ms=header.solve_ms,
        check=header.check,
        trigger=header.trigger,
        gave_way=header.gave_way,
        forecast_sources=header.forecast_sources,
        site_price_eur_per_kwh=_floats_or_none(by_name["site_price_eur_per_kwh"]),
        peak_share_eur_per_kwh=_floats_or_none(by_name["peak_share_eur_per_kwh"]),
        billed_peak_kw=header.billed_peak_kw,
        steering=_steering(header.steering, by_name),
        reserve_kwh=_floats_or_none(by_name["reserve_kwh"]),
    )


def _steering(
    header: SteeringHeader | None, by_name: Mapping[str, Sequence[Any]]
) -> PlanSteering | None:
    if header is None:
        return None
    return PlanSteering(
        buy_eur_per_kwh=_floats(by_name["steering_buy_eur_per_kwh"]),
        sell_eur_per_kwh=_floats(by_name["steering_sell_eur_per_kwh"]),
        smoothing_eur_per_kwh=header.smoothing_eur_per_kwh,
        smoothing_reference_kw=_floats_or_none(by_name["smoothing_reference_kw"]),
        peak_cap_kw=_floats(by_name["peak_cap_kw"]),
        peak_price_eur_per_kwh=header.peak_price_eur_per_kwh,
        grid_charge_allowed=header.grid_charge_allowed,
        battery_export_allowed=header.battery_export_allowed,
    )


def _floats(column: Sequence[float]) -> FloatArray:
    return np.array(column, dtype=np.float64)


def _floats_or_none(column: Sequence[float | None]) -> FloatArray | None:
    if not column or column[0] is None:
        return None
    return np.array(column, dtype=np.float64)

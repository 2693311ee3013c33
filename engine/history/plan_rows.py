"""Plans as rows: one header and one row per step, and back again without loss."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from engine.domain.plan import FloatArray, Plan, PlanCheck
from engine.history.rows import PLAN_ARRAYS, utc, utc_microseconds
from engine.history.store import PlanHeader

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
)
"""Columns of `plans`, in the order `header_from_row` expects them."""


def headers_table(plans: Sequence[Plan]) -> Any:
    """Return the headers of `plans` as an Arrow table with `HEADER_COLUMNS`."""
    timestamp = pa.timestamp("us")

    def texts(values: list[str]) -> Any:
        return pa.array(values, pa.string())

    def doubles(values: list[float]) -> Any:
        return pa.array([float(v) for v in values], pa.float64())

    def times(values: list[int]) -> Any:
        return pa.array(values, pa.int64()).cast(timestamp)

    columns = {
        "plan_id": texts([p.plan_id for p in plans]),
        "site_id": texts([p.site_id for p in plans]),
        "created_at": times([utc_microseconds(p.created_at) for p in plans]),
        "start_at": times([utc_microseconds(p.start) for p in plans]),
        "step_minutes": pa.array([p.step_minutes for p in plans], pa.int32()),
        "n_steps": pa.array([p.n_steps for p in plans], pa.int32()),
        "soc_start_kwh": doubles([p.soc_start_kwh for p in plans]),
        "strategy": texts([p.strategy for p in plans]),
        "cost_eur": doubles([p.cost_eur for p in plans]),
        "baseline_cost_eur": doubles([p.baseline_cost_eur for p in plans]),
        "profit_24h_eur": doubles([p.profit_24h_eur for p in plans]),
        "status": texts([p.status for p in plans]),
        "solver": texts([p.solver for p in plans]),
        "gap": doubles([p.gap for p in plans]),
        "solve_ms": doubles([p.solve_ms for p in plans]),
        "check_passed": pa.array([bool(p.check.passed) for p in plans], pa.bool_()),
        "check_violation_kw": doubles([p.check.max_violation_kw for p in plans]),
        "check_violation_kwh": doubles([p.check.max_violation_kwh for p in plans]),
        "check_cost_difference_eur": doubles([p.check.cost_difference_eur for p in plans]),
        "check_messages": texts([json.dumps(list(p.check.messages)) for p in plans]),
        "triggered_by": texts([p.trigger for p in plans]),
        "gave_way": texts(
            [json.dumps({k: float(v) for k, v in p.gave_way.items()}) for p in plans]
        ),
        "forecast_sources": texts([json.dumps(dict(p.forecast_sources)) for p in plans]),
    }
    return pa.table({name: columns[name] for name in HEADER_COLUMNS})


def steps_table(plans: Sequence[Plan]) -> Any:
    """Return every step of `plans` as an Arrow table."""
    starts = [utc_microseconds(ts) for p in plans for ts in p.times()]
    arrays = {
        name: pa.array(np.concatenate([np.asarray(getattr(p, name)) for p in plans]))
        for name in PLAN_ARRAYS
    }
    return pa.table(
        {
            "plan_id": pa.array([p.plan_id for p in plans for _ in range(p.n_steps)], pa.string()),
            "step": pa.array([i for p in plans for i in range(p.n_steps)], pa.int32()),
            "ts": pa.array(starts, pa.int64()).cast(pa.timestamp("us")),
            **arrays,
        }
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
    )


def plan_from_rows(header: PlanHeader, steps: Sequence[Sequence[Any]]) -> Plan:
    """Return the plan behind `header` and its `steps` (rows of `PLAN_ARRAYS`, in order)."""
    columns = list(zip(*steps, strict=True)) if steps else [()] * len(PLAN_ARRAYS)
    by_name = dict(zip(PLAN_ARRAYS, columns, strict=True))
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
    )


def _floats(column: Sequence[float]) -> FloatArray:
    return np.array(column, dtype=np.float64)

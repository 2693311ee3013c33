"""Process images and plans with sensible values, overridable by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from engine.domain.plan import Plan, PlanCheck
from engine.domain.sample import ProcessImage, Quality, Sample

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

WELL = {
    "soc_percent": 50.0,
    "battery_kw": 0.0,
    "grid_kw": 20.0,
    "pv_kw": 10.0,
    "load_kw": 30.0,
    "voltage_v": 800.0,
    "max_charge_power_kw": 100.0,
    "max_discharge_power_kw": 100.0,
    "status_code": 3.0,
    "alarm_bits": 0.0,
}


def image(ts: datetime = NOW, *, bad: tuple[str, ...] = (), **values: float) -> ProcessImage:
    """Return an image of a healthy site with `values` changed and the signals in `bad` BAD."""
    samples = {n: Sample(v, ts, "test") for n, v in {**WELL, **values}.items() if n not in bad}
    samples |= {n: Sample(None, ts, "test", Quality.BAD, "no answer") for n in bad}
    return ProcessImage("site-1", ts, samples)


def plan(n: int = 144, start: datetime = NOW, **changes: Any) -> Plan:
    """Return a plan that idles, with fields changed; scalars fill whole arrays."""
    arrays = {
        "battery_kw": 0.0,
        "grid_kw": 20.0,
        "load_kw": 30.0,
        "pv_kw": 10.0,
        "curtailed_kw": 0.0,
        "soc_kwh": 100.0,
        "buy_eur_per_kwh": 0.25,
        "sell_eur_per_kwh": 0.10,
        "spot_eur_per_kwh": 0.15,
        "stored_value_eur_per_kwh": 0.18,
    }
    fields: dict[str, Any] = {
        name: np.full(n, value) * np.asarray(1.0)
        for name, value in {**arrays, **{k: v for k, v in changes.items() if k in arrays}}.items()
    }
    fields |= {
        "plan_id": "20261123T120000-0001",
        "site_id": "site-1",
        "created_at": start,
        "start": start,
        "step_minutes": 15,
        "soc_start_kwh": 100.0,
        "price_is_forecast": np.zeros(n, dtype=bool),
        "strategy": "co_optimised",
        "cost_eur": 40.0,
        "baseline_cost_eur": 55.0,
        "profit_24h_eur": 12.34,
        "status": "optimal",
        "solver": "HIGHS (LP)",
        "gap": 0.0,
        "solve_ms": 5.0,
        "check": PlanCheck(True, 0.0, 0.0, 0.0),
    }
    return Plan(**(fields | {k: v for k, v in changes.items() if k not in arrays}))

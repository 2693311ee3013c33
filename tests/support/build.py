"""Process images and plans with sensible values, overridable by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from engine.domain.forecast import LOAD_SIGNAL, Forecast
from engine.domain.plan import Plan, PlanCheck
from engine.domain.sample import ProcessImage, Quality, Sample
from engine.domain.strategy import (
    CandidateValue,
    ChoiceReason,
    Selection,
    StrategyKey,
    StrategyState,
)

SIMPLE_MODELS = "forecasts: {price: seasonal_naive, load: day_type}\n"
"""Configuration for tests that are not about forecasts: nothing is fitted for seconds."""

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


def selection(**changes: Any) -> Selection:
    """Return a choice of the co-optimised strategy over four others, one without a plan."""
    savings = {
        StrategyKey.CO_OPTIMISED: 12.5,
        StrategyKey.ARBITRAGE: 9.0,
        StrategyKey.PEAK_SHAVING: -1.25,
        StrategyKey.SELF_CONSUMPTION: 4.0,
    }
    values = [
        CandidateValue(key, 30.0 - saving, saving, 20.0, 1.0, 9.0 - saving, 80.0, 0.75, 1.2)
        for key, saving in savings.items()
    ]
    failed = CandidateValue(
        StrategyKey.LOAD_BALANCING, None, None, reason="the plan failed its independent check"
    )
    fields: dict[str, Any] = {
        "ts": NOW,
        "site_id": "site-1",
        "plan_id": "20261123T120000-0001",
        "active": StrategyKey.CO_OPTIMISED,
        "previous": StrategyKey.CO_OPTIMISED,
        "best": StrategyKey.CO_OPTIMISED,
        "mode": "auto",
        "reason": ChoiceReason.BEST,
        "gain_eur": 0.0,
        "needed_eur": 1.875,
        "candidates": (*values, failed),
    }
    return Selection(**(fields | changes))


def strategy_state(**changes: Any) -> StrategyState:
    """Return the automatic choice with `selection()`."""
    fields: dict[str, Any] = {
        "mode": "auto",
        "manual": None,
        "manual_until": None,
        "switch_threshold": 0.15,
        "min_dwell_minutes": 60,
        "selection": selection(),
    }
    return StrategyState(**(fields | changes))


def forecast(signal: str = LOAD_SIGNAL, n: int = 8, **changes: Any) -> Forecast:
    """Return a flat forecast of 30 with P10 20 and P90 45."""
    fields: dict[str, Any] = {
        "signal": signal,
        "start": NOW,
        "p10": np.full(n, 20.0),
        "p50": np.full(n, 30.0),
        "p90": np.full(n, 45.0),
        "issued_at": NOW,
        "model": "ensemble",
        "method": "median of three models",
    }
    return Forecast(**(fields | changes))

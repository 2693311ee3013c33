"""Small engine states for the tests of the user interface."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ems_dash.ui.moment import Moment
from engine.domain.control import EngineState, LinkStatus, PowerLimits, StepHealth
from engine.domain.plan import Plan, PlanCheck
from engine.domain.sample import ProcessImage, Quality, Sample
from engine.domain.series import MeasuredPoint
from engine.domain.site import Battery, GridConnection, Site
from engine.domain.snapshot import EngineSnapshot, PriceNow

NOW = datetime(2026, 11, 23, 12, 24, 8, tzinfo=UTC)

SITE = Site(
    site_id="site-1",
    name="Standort Wien",
    timezone="Europe/Vienna",
    battery=Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0),
    grid=GridConnection(200.0, 200.0),
    pv_peak_kw=90.0,
)

VALUES = {
    "soc_percent": 63.0,
    "battery_kw": -58.04,
    "pv_kw": 71.3,
    "load_kw": 25.6,
    "grid_kw": 12.34,
    "temperature_c": 27.4,
}


def samples(ts: datetime = NOW, **values: float | None) -> dict[str, Sample]:
    """Return good samples of `VALUES`, changed by `values`; None leaves a signal out."""
    merged = {**VALUES, **values}
    return {name: Sample(value, ts, "sim") for name, value in merged.items() if value is not None}


def plan(start: datetime | None = None, n: int = 144, **changes: Any) -> Plan:
    """Return a plan of quarter-hours: charge, hold, discharge in turns of three hours."""
    start = start or NOW.replace(minute=15, second=0)
    block = (np.arange(n) // 12) % 3
    battery = np.where(block == 0, -40.0, np.where(block == 2, 30.0, 0.0))
    load, pv = np.full(n, 25.0), np.where(block == 0, 60.0, 0.0)
    spot = np.where(block == 2, 0.18, np.where(block == 0, 0.02, 0.09))
    soc = np.clip(120 + np.cumsum(-battery) * 0.2, 20, 180)
    values: dict[str, Any] = {
        "plan_id": "plan-1",
        "site_id": SITE.site_id,
        "created_at": start + timedelta(seconds=3),
        "start": start,
        "step_minutes": 15,
        "battery_kw": battery,
        "grid_kw": load - pv - battery,
        "load_kw": load,
        "pv_kw": pv,
        "curtailed_kw": np.zeros(n),
        "soc_kwh": soc,
        "soc_start_kwh": 120.0,
        "buy_eur_per_kwh": spot + 0.1,
        "sell_eur_per_kwh": spot - 0.005,
        "spot_eur_per_kwh": spot,
        "price_is_forecast": np.arange(n) >= 80,
        "stored_value_eur_per_kwh": np.full(n, 0.12),
        "strategy": "co_optimised",
        "cost_eur": 20.0,
        "baseline_cost_eur": 40.0,
        "profit_24h_eur": 18.42,
        "status": "optimal",
        "solver": "HIGHS (LP)",
        "gap": 0.0,
        "solve_ms": 4.0,
        "check": PlanCheck(True, 0.0, 0.0, 0.0),
        "forecast_sources": {"price": "recorded"},
    }
    return Plan(**{**values, **changes})


def link(name: str = "bms", **changes: Any) -> LinkStatus:
    """Return an online simulated link."""
    values: dict[str, Any] = {
        "name": name,
        "state": "online",
        "reason": None,
        "endpoint": "127.0.0.1:502",
        "requests": 10,
        "errors": 0,
        "latency_ms": 2.0,
        "simulated": True,
        "writable": True,
    }
    return LinkStatus(**{**values, **changes})


def snapshot(**changes: Any) -> EngineSnapshot:
    """Return a healthy plant that charges, with a plan; `changes` replace attributes."""
    values: dict[str, Any] = {
        "seq": 7,
        "ts": NOW,
        "site": SITE,
        "state": EngineState.AUTOMATIC,
        "state_reason": None,
        "image": ProcessImage(SITE.site_id, NOW, samples(), simulated=True),
        "limits": PowerLimits(100.0, 80.0, "nameplate", "bms_power"),
        "plan": plan(),
        "price": PriceNow(0.044, 0.144, 0.039, "recorded"),
        "energy_cost_today_eur": 12.1,
        "links": (link(),),
        "health": (StepHealth("control", True, NOW),),
    }
    return EngineSnapshot(**{**values, **changes})


def moment(lang: str = "de", heartbeat_age_s: float = 0.5, **changes: Any) -> Moment:
    """Return a moment over `snapshot(**changes)`."""
    return Moment(snapshot(**changes), NOW, heartbeat_age_s, lang)


def image(**values: Any) -> ProcessImage:
    """Return a simulated process image; `values` as for `samples`."""
    return ProcessImage(SITE.site_id, NOW, samples(**values), simulated=True)


def stale(value: float, seconds: float) -> Sample:
    """Return a sample that is `seconds` old and marked stale."""
    return Sample(value, NOW - timedelta(seconds=seconds), "bms", Quality.STALE, "link silent")


def minutes(n: int, end: datetime = NOW) -> list[MeasuredPoint]:
    """Return `n` one-minute points, the last one closed before `end`."""
    last = end.replace(second=0, microsecond=0) - timedelta(minutes=1)
    return [MeasuredPoint(last - timedelta(minutes=n - 1 - i), 60, dict(VALUES)) for i in range(n)]

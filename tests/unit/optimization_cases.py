"""Instances the optimisation tests share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from engine.domain.site import Battery
from engine.optimization.instance import Instance

START = datetime(2026, 5, 1, tzinfo=UTC)

BATTERY = Battery(
    energy_capacity_kwh=200.0,
    power_charge_max_kw=100.0,
    power_discharge_max_kw=100.0,
    efficiency_charge=0.95,
    efficiency_discharge=0.95,
    soc_min_percent=10.0,
    soc_max_percent=90.0,
    wear_cost_eur_per_kwh=0.02,
)


def small(n: int = 3, **given: Any) -> Instance:
    """Return `n` hours of a 20 kWh battery at 0.20/0.05 EUR/kWh, without load or PV."""
    fields: dict[str, Any] = {
        "start": START,
        "step_minutes": 60,
        "buy_eur_per_kwh": [0.20] * n,
        "sell_eur_per_kwh": [0.05] * n,
        "load_kw": [0.0] * n,
        "pv_kw": [0.0] * n,
        "charge_limit_kw": [10.0] * n,
        "discharge_limit_kw": [10.0] * n,
        "import_limit_kw": [100.0] * n,
        "export_limit_kw": [100.0] * n,
        "eta_charge": 0.9,
        "eta_discharge": 0.9,
        "energy_min_kwh": 2.0,
        "energy_max_kwh": 18.0,
        "energy_start_kwh": 10.0,
    } | given
    return Instance(**fields)


def site_day(
    n: int = 96, *, seed: int = 1, cheapest: float = 0.02, battery: Battery = BATTERY, **given: Any
) -> Instance:
    """Return a commercial site with PV and a midday price valley, 15-min steps.

    `cheapest` is the spot price in the valley; the evening peak is 0.25 EUR/kWh.
    """
    random = np.random.default_rng(seed)
    hour = np.arange(n) / 4.0 % 24.0
    valley = np.exp(-(((hour - 13.0) / 2.5) ** 2))
    evening = np.exp(-(((hour - 19.5) / 1.8) ** 2))
    spot = 0.10 - (0.10 - cheapest) * valley + 0.15 * evening + random.normal(0.0, 0.004, n)
    fields: dict[str, Any] = {
        "buy_eur_per_kwh": spot + 0.10,
        "sell_eur_per_kwh": spot - 0.005,
        "load_kw": 25.0 + 30.0 * ((hour > 6) & (hour < 18)) + random.uniform(0.0, 8.0, n),
        "pv_kw": 120.0 * np.clip(np.sin((hour - 6.0) / 14.0 * np.pi), 0.0, None) ** 1.5,
        "import_limit_kw": 250.0,
        "export_limit_kw": 250.0,
        "energy_start_kwh": 100.0,
    } | given
    return Instance.for_battery(battery, start=START, step_minutes=15, **fields)

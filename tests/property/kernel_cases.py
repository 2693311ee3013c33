"""Seeded random planning problems for the kernel: every feature it covers, and awkward numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from engine.optimization.instance import Instance
from engine.optimization.terms import BilledPeak, TerminalCurve

LENGTHS = (1, 2, 4, 6, 12, 24)


def _steps(random: np.random.Generator, n: int, low: int, high: int, unit: float) -> np.ndarray:
    """Return whole multiples of `unit` (ties are frequent) or, half the time, any numbers."""
    if random.random() < 0.5:
        return unit * random.integers(low, high + 1, n).astype(float)
    return unit * random.uniform(low, high, n)


def _peaks(random: np.random.Generator, n: int) -> tuple[BilledPeak, ...]:
    """Return up to two peaks that may share steps, or two months."""
    charge = float(random.choice([0.5, 2.0, 8.0]))
    if n > 1 and random.random() < 0.4:
        cut = int(random.integers(1, n))
        return (
            BilledPeak.between(n, 0, cut, charge, 20.0),
            BilledPeak.between(n, cut, n, charge, 0.0),
        )
    found = []
    for _ in range(int(random.integers(1, 3))):
        billed = random.random(n) < 0.6
        if billed.any():
            found.append(BilledPeak(billed, charge, float(random.choice([0.0, 15.0]))))
    return tuple(found)


def random_instance(seed: int, *, lengths: tuple[int, ...] = LENGTHS, **given: Any) -> Instance:
    """Return the problem of `seed`; any field may be given instead."""
    random = np.random.default_rng(seed)

    def choose(*values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    n = choose(*lengths)
    capacity = choose(0.0, 10.0, 40.0, 100.0)
    buy = _steps(random, n, -15, 60, 0.01)
    spread = choose(0.0, 0.02, 0.1)
    sell = choose(buy - spread, buy - spread, _steps(random, n, -30, 40, 0.01), np.full(n, 0.08))
    wear = choose(0.0, 0.01, 0.03)
    low, high = choose((0.1, 0.9), (0.0, 1.0), (0.3, 0.3))
    outside = random.random() < 0.15
    start = random.uniform(0.0, 1.1) if outside else random.uniform(low, high)
    grid = choose(0.0, 20.0, 120.0, 120.0, 120.0)
    fields: dict[str, Any] = {
        "start": datetime(2026, 5, 1, tzinfo=UTC),
        "step_minutes": choose(15, 15, 60),
        "buy_eur_per_kwh": buy,
        "sell_eur_per_kwh": sell,
        "load_kw": _steps(random, n, 0, 12, 5.0),
        "pv_kw": _steps(random, n, 0, 12, 5.0) * (random.random() < 0.7),
        "charge_limit_kw": _steps(random, n, 0, 4, 10.0) * (random.random() < 0.95),
        "discharge_limit_kw": _steps(random, n, 0, 4, 10.0) * (random.random() < 0.95),
        "import_limit_kw": np.full(n, grid),
        "export_limit_kw": np.full(n, choose(grid, 0.0, 30.0)),
        "eta_charge": choose(1.0, 0.95, 0.8),
        "eta_discharge": choose(1.0, 0.95, 0.8),
        "energy_min_kwh": low * capacity,
        "energy_max_kwh": high * capacity,
        "energy_start_kwh": start * capacity,
        "terminal_value_eur_per_kwh": choose(0.0, 0.1, 0.3),
        "standby_loss_kw": choose(0.0, 0.0, 0.0, 0.2),
        "wear_charge_eur_per_kwh": wear,
        "wear_discharge_eur_per_kwh": choose(0.0, wear),
        "grid_charge_allowed": random.random() < 0.8,
        "battery_export_allowed": random.random() < 0.8,
        "curtailment_allowed": random.random() < 0.6,
    }
    if random.random() < 0.4:
        fields["energy_final_min_kwh"] = random.uniform(0.0, high) * capacity
    if random.random() < 0.4:
        fields["billed_peaks"] = _peaks(random, n)
    if random.random() < 0.2 and len(fields.get("billed_peaks", ())) < 2:
        fields["demand_charge_eur_per_kw"] = 3.0
        fields["incurred_peak_kw"] = choose(0.0, 25.0)
    if random.random() < 0.3:
        fields["export_premium_eur_per_kwh"] = 0.05
    if random.random() < 0.3:
        fields["smoothing_eur_per_kwh"] = choose(0.02, 0.2)
        fields["smoothing_reference_kw"] = _steps(random, n, -6, 6, 5.0)
    if random.random() < 0.3:
        fields["reserve_eur_per_kwh_h"] = choose(0.05, 1.0)
        fields["energy_reserve_kwh"] = _steps(random, n, 0, 10, 0.1 * capacity)
    if random.random() < 0.3 and capacity:
        fields["terminal_curve"] = TerminalCurve(
            np.array([0.3, 0.6]) * capacity, choose([0.3, 0.2, 0.0], [0.2, 0.1, -0.3])
        )
    return Instance(**(fields | given))

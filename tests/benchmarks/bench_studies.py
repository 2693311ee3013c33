"""A sizing sweep of 10 x 10 batteries over a year of quarter-hours, on all cores, and resumed."""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from engine.analytics.backtest.case import BacktestCase, SiteSeries
from engine.analytics.backtest.policy import RESERVE_SHARE, Forecaster, Policy
from engine.analytics.studies.finance import Investment
from engine.analytics.studies.run import run_units
from engine.analytics.studies.sizing import sizing_map, sizing_units
from engine.analytics.studies.store import UnitStore
from engine.config.tariff import TariffConfig
from engine.domain.site import Battery, GridConnection, Site
from engine.recorded.recording import DEMO_FILE, Recording

ENERGIES_KWH = tuple(np.linspace(50.0, 500.0, 10).tolist())
POWERS_KW = tuple(np.linspace(25.0, 250.0, 10).tolist())
CAUSAL = Policy("co_optimised", Forecaster.DAY_TYPE, reserve=RESERVE_SHARE, plan_minutes=60)


def main() -> None:
    """Print seconds and milliseconds per battery of the sweep and of going on with it."""
    case = _year()
    perfect = Policy("co_optimised", Forecaster.PERFECT)
    units = sizing_units(case, perfect, ENERGIES_KWH, POWERS_KW)
    cores = os.cpu_count() or 1
    print(f"{len(units)} batteries x {case.n:,} quarter-hours ({DEMO_FILE.name}), demand charge")
    run_units(units[:1])
    with tempfile.TemporaryDirectory() as folder:
        store = UnitStore(Path(folder))
        for workers in sorted({1, cores}):
            some = units if workers == cores else units[::10]
            began = time.perf_counter()
            run = run_units(some, workers=workers, store=store if workers == cores else None)
            took = time.perf_counter() - began
            print(
                f"perfect foresight, {workers} processes: {len(some)} in {took:.1f} s, "
                f"{1000 * took / len(some):.0f} ms each"
            )
        half = units[::2]
        for unit in half:
            (store.folder / f"{unit.key()}.json").unlink()
        began = time.perf_counter()
        resumed = run_units(units, workers=cores, store=store)
        took = time.perf_counter() - began
        print(f"gone on with {resumed.kept} of {len(units)} kept: {took:.1f} s")
        began = time.perf_counter()
        run_units(units, store=store)
        print(f"all kept: {time.perf_counter() - began:.2f} s")
        best = sizing_map(units, run.outcomes, Investment()).best
    assert best is not None
    assert best.appraisal is not None
    worth = f"NPV {best.appraisal.npv_eur:,.0f} EUR"
    print(f"best: {best.energy_kwh:g} kWh, {best.power_kw:g} kW, {worth}")
    began = time.perf_counter()
    run_units(sizing_units(case, CAUSAL, ENERGIES_KWH[3:4], POWERS_KW[3:4]))
    print(f"one battery with forecasts, hourly plans: {time.perf_counter() - began:.1f} s")


def _year() -> BacktestCase:
    recording = Recording(timezone="Europe/Vienna")
    start = datetime(2025, 8, 24, 22, tzinfo=UTC)
    n = 365 * 96 + 28 * 96
    series = SiteSeries(
        start,
        recording.quarter_hours("price_at_eur_mwh", start, n) / 1000.0,
        recording.quarter_hours("load_kw", start, n),
        recording.quarter_hours("pv_kw", start, n),
    )
    tariff = TariffConfig(demand_charge={"eur_per_kw": 8.0})
    # With 2.6 ct of ageing every price above -500 EUR/MWh makes a convex problem (the kernel).
    battery = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, 0.1, 0.026)
    site = Site("bench", "Bench", "Europe/Vienna", battery, GridConnection(300.0, 300.0))
    begin = start + timedelta(days=28)
    return BacktestCase(site, tariff, series, begin, series.end)

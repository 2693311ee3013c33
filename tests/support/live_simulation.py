"""Live control in simulation: the program's planner and controller on a recorded site.

Everything that decides is the program's own: `Planner` with its forecasters and the model of
record, `Controller` cycle by cycle, meter and battery moving inside each quarter-hour. Only the
devices are short-circuited: what is commanded is done at once, within the battery's limits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from engine.analytics.backtest.case import BacktestCase, SiteSeries
from engine.analytics.backtest.result import Traces
from engine.analytics.backtest.site_file import case_from
from engine.analytics.baselines import BaselineBattery
from engine.config.described_site import site_from
from engine.config.load import parse_config
from engine.config.schema import Config
from engine.control.controller import Controller
from engine.control.setpoint_law import Prices
from engine.domain.clock import ManualClock
from engine.domain.control import PowerLimits
from engine.domain.forecast import Forecast
from engine.domain.plan import Plan
from engine.domain.quarter_hour import STEP
from engine.domain.records import LedgerRow
from engine.domain.sample import ProcessImage, Sample
from engine.domain.site import Battery
from engine.market.tariff import TariffBook
from engine.recorded.recording import Recording
from engine.recorded.within_quarter import with_ripple
from engine.runtime.market_service import build_market
from engine.runtime.planning_setup import build_planning, pv_factor
from engine.runtime.strategy_desk import StrategyDesk

MANUAL = "strategies: {selection_mode: manual, manual_strategy: co_optimised}\n"


@dataclass(frozen=True)
class Simulated:
    """What a simulated run left behind.

    Attributes:
        case: The same period for the backtest, with the forecasts the planner used.
        traces: Means of its quarter-hours.
        crossing_kwh: Energy that flowed both ways within a quarter-hour.
    """

    case: BacktestCase
    traces: Traces
    crossing_kwh: float


def simulate_live(
    folder: Path,
    start: datetime,
    days: int,
    *,
    yaml: str,
    cycle_s: float = 60.0,
    ripple: float = 0.3,
    plan_every: int = 4,
    past_days: int = 35,
) -> Simulated:
    """Run the program's planner and controller over some days of the demo recording."""
    config = parse_config(MANUAL + yaml)
    site, clock = site_from(config), ManualClock(start)
    zone = ZoneInfo(config.site.timezone)
    recording, tariff = Recording(timezone=config.site.timezone), TariffBook(config.tariff, zone)
    planning = build_planning(
        config,
        site,
        clock,
        store=None,
        writer=None,
        market=build_market(config, folder, recording, clock, settlement_minutes=15),
        tariff=tariff,
        recording=recording,
        minute_means=lambda _since, _until: [],
        has_pv=True,
        desk=StrategyDesk(config.strategies, folder, clock, read_only=True),
    )
    data = _series(config, recording, start - timedelta(days=past_days), past_days + days + 2)
    first = past_days * 96
    prices = tariff.prices(data.start, data.spot_eur_per_kwh)
    net = _net_kw(data, slice(first, first + days * 96), cycle_s, ripple)
    controller = Controller(site, config.control, cycle_s=cycle_s)
    battery = site.battery
    store = BaselineBattery(battery, battery.energy_capacity_kwh / 2.0)
    steps, cycles = net.shape
    power, energy, grid = np.empty(steps), np.empty(steps), np.empty((steps, cycles))
    forecasts: list[Forecast] = []
    plan: Plan | None = None
    battery_kw = 0.0
    for k in range(steps):
        begin = start + k * STEP
        i = first + k
        if k % plan_every == 0:
            soc = 100.0 * store.energy_kwh / battery.energy_capacity_kwh
            image = ProcessImage(site.site_id, begin, {"soc_percent": Sample(soc, begin, "sim")})
            made = planning.planner.make(image, "schedule")
            plan = made.plan
            forecasts += made.forecasts.values()
        buy, sell = float(prices.buy_eur_per_kwh[i]), float(prices.sell_eur_per_kwh[i])
        moved = 0.0
        for c in range(cycles):
            now, net_kw = begin + timedelta(seconds=c * cycle_s), float(net[k, c])
            setpoint = controller.decide(
                _image(site.site_id, now, net_kw, battery_kw, store, battery.energy_capacity_kwh),
                _limits(battery, store.energy_kwh),
                plan,
                Prices(buy, sell),
                now=now,
                monotonic_s=k * 900.0 + c * cycle_s,
            )
            battery_kw = store.step(
                setpoint.power_kw,
                net_kw,
                import_limit_kw=site.grid.import_limit_kw,
                export_limit_kw=site.grid.export_limit_kw,
                hours=cycle_s / 3600.0,
            )
            moved += battery_kw
            grid[k, c] = net_kw - battery_kw
            clock.advance(cycle_s)
        power[k], energy[k] = moved / cycles, store.energy_kwh
        planning.peaks.add(_booked(site.site_id, begin, float(grid[k].mean()), buy, sell))
    mean_grid = grid.mean(axis=1)
    ways = np.minimum(np.maximum(grid, 0.0).sum(axis=1), np.maximum(-grid, 0.0).sum(axis=1))
    case = case_from(config, site, data, start, start + steps * STEP)
    return Simulated(
        case=dataclasses.replace(case, vintages=tuple(forecasts)),
        traces=Traces(power, mean_grid, np.zeros(steps), energy),
        crossing_kwh=float(ways.sum()) * cycle_s / 3600.0,
    )


def _series(config: Config, recording: Recording, start: datetime, days: int) -> SiteSeries:
    n = days * 96
    factor = pv_factor(config)
    return SiteSeries(
        start=start,
        spot_eur_per_kwh=recording.quarter_hours("price_at_eur_mwh", start, n) / 1000.0,
        load_kw=np.maximum(recording.quarter_hours("load_kw", start, n), 0.0),
        pv_kw=np.maximum(factor * recording.quarter_hours("pv_kw", start, n), 0.0),
    )


def _net_kw(data: SiteSeries, span: slice, cycle_s: float, ripple: float) -> np.ndarray:
    """Return the net load of each cycle, shape (steps, cycles); its means are the recorded ones."""
    cycles = round(900.0 / cycle_s)
    first, steps = span.start, span.stop - span.start

    def moving(values: np.ndarray, seed: int) -> np.ndarray:
        factor = _ripple(ripple, seed)
        shares = np.array(
            [
                [
                    factor(data.start + (first + k) * STEP + timedelta(seconds=(c + 0.5) * cycle_s))
                    for c in range(cycles)
                ]
                for k in range(steps)
            ]
        )
        shares += 1.0 - shares.mean(axis=1, keepdims=True)
        return values[span, None] * shares

    return moving(data.load_kw, 1) - moving(data.pv_kw, 2)


def _ripple(amplitude: float, seed: int) -> Callable[[datetime], float]:
    return with_ripple(lambda _ts: 1.0, amplitude, seed)


def _image(
    site_id: str,
    now: datetime,
    net_kw: float,
    battery_kw: float,
    store: BaselineBattery,
    capacity_kwh: float,
) -> ProcessImage:
    soc = 100.0 * store.energy_kwh / capacity_kwh
    return ProcessImage(
        site_id,
        now,
        {
            "grid_kw": Sample(net_kw - battery_kw, now, "sim"),
            "battery_kw": Sample(battery_kw, now, "sim"),
            "soc_percent": Sample(soc, now, "sim"),
        },
    )


def _limits(battery: Battery, energy_kwh: float) -> PowerLimits:
    full = energy_kwh >= battery.energy_max_kwh - 1e-6
    empty = energy_kwh <= battery.energy_min_kwh + 1e-6
    return PowerLimits(
        0.0 if full else battery.power_charge_max_kw,
        0.0 if empty else battery.power_discharge_max_kw,
        "soc_window",
        "soc_window",
    )


def _booked(site_id: str, ts: datetime, grid_kw: float, buy: float, sell: float) -> LedgerRow:
    imported, exported = max(0.0, grid_kw) / 4.0, max(0.0, -grid_kw) / 4.0
    return LedgerRow(
        ts=ts,
        site_id=site_id,
        import_kwh=imported,
        export_kwh=exported,
        battery_charged_kwh=None,
        battery_discharged_kwh=None,
        pv_kwh=None,
        buy_eur_per_kwh=buy,
        sell_eur_per_kwh=sell,
        cost_eur=imported * buy - exported * sell,
        seconds=900.0,
        price_source="recorded",
        method="counters",
    )

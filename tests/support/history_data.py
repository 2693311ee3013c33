"""A small but complete history: samples, prices, plans, forecasts, bookings, events."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from engine.domain.forecast import Forecast
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
from engine.history.store import Batch, HistoryStore, SiteForecast
from tests.support import build

SITE = "main"
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def load_kw(ts: datetime) -> float:
    """Return a load that swings around 30 kW once an hour."""
    return 30.0 + 10.0 * math.sin(2.0 * math.pi * (ts - START) / timedelta(hours=1))


def samples(
    since: datetime,
    until: datetime,
    step: timedelta = timedelta(seconds=2),
    *,
    power: Callable[[datetime], float] = load_kw,
    state: str = "ready",
) -> Iterator[SampleRow]:
    """Yield samples of the period; the battery takes turns of +20 and -20 kW by the minute."""
    ts = since
    while ts < until:
        battery = 20.0 if ts.minute % 2 == 0 else -20.0
        yield SampleRow(
            ts,
            SITE,
            {
                "load_kw": power(ts),
                "battery_kw": battery,
                "grid_kw": power(ts) - battery,
                "pv_kw": 0.0,
                "soc_percent": 50.0,
                "grid_import_kwh": 1000.0 + (ts - START) / timedelta(hours=1),
                "status_code": 3.0,
            },
            setpoint_kw=battery,
            charge_limit_kw=100.0,
            discharge_limit_kw=100.0,
            decided_by="value",
            state=state,
        )
        ts += step


def write_samples(store: HistoryStore, rows: Iterator[SampleRow]) -> None:
    """Store samples in batches."""
    kept: list[SampleRow] = []
    for row in rows:
        kept.append(row)
        if len(kept) == 10_000:
            store.write(Batch(samples=tuple(kept)))
            kept = []
    if kept:
        store.write(Batch(samples=tuple(kept)))


def price(ts: datetime, spot: float = 0.10, minutes: int = 15) -> PriceRow:
    """Return one published price."""
    return PriceRow(ts, SITE, minutes, spot, spot + 0.12, spot - 0.01, "recorded", START)


def booking(ts: datetime, import_kwh: float = 5.0) -> LedgerRow:
    """Return one booked quarter-hour."""
    return LedgerRow(
        ts, SITE, 900.0, import_kwh, 0.0, 0.0, 0.0, None, 0.22, 0.09, 0.22 * import_kwh,
        "recorded", "counters",
    )  # fmt: skip


def saving(ts: datetime, baseline: str = "no_battery", cost_eur: float = 2.0) -> SavingsRow:
    """Return one quarter-hour of a baseline."""
    return SavingsRow(ts, SITE, baseline, 6.0, 0.0, 0.0, 0.0, 0.0, cost_eur)


def forecast(
    issued_at: datetime, value: float, model: str = "ensemble", n: int = 8, signal: str = "load_kw"
) -> SiteForecast:
    """Return a flat forecast of `n` quarter-hours that starts with the one running."""
    start = issued_at - timedelta(minutes=issued_at.minute % 15)
    flat = np.full(n, value)
    return SiteForecast(
        SITE, Forecast(signal, start, flat - 1.0, flat, flat + 1.0, issued_at, model, "a test")
    )


def fill(store: HistoryStore, *, hours: int = 2, start: datetime = START) -> None:
    """Store some hours of everything, from `start`."""
    quarters = [start + k * QUARTER for k in range(4 * hours)]
    write_samples(store, samples(start, start + timedelta(hours=hours)))
    plan = replace(build.plan(n=8, start=start), site_id=SITE, plan_id="p1", created_at=start)
    store.write(
        Batch(
            prices=tuple(price(ts, 0.10 + 0.01 * k) for k, ts in enumerate(quarters)),
            ledger=tuple(booking(ts) for ts in quarters),
            savings=tuple(saving(ts) for ts in quarters),
            plans=(plan,),
            forecasts=(forecast(start, 31.0), forecast(start + timedelta(hours=1), 33.0)),
            events=(
                EventRow(start, SITE, "info", "engine_started", '=1+2 is no formula; "quoted"'),
                EventRow(start, "*", "warning", "history_reopened", "Line one\nline two"),
            ),
            runs=(RunRow(start, SITE, "schedule", "published", 120.0, "arbitrage", "p1", 3.2),),
            tariffs=(TariffRow(start, SITE, None, "{}"),),
            devices=(DeviceRow(start, SITE, "battery", "{}"),),
            metrics=(
                MetricRow(date(2026, 11, 23), SITE, "energy_cost_eur", 12.5),
                MetricRow(date(2026, 11, 23), SITE, "peak_kw", None),
            ),
        )
    )

"""Live control in simulation beside the backtest of the same days, and why they differ.

``python -m tests.benchmarks agreement``. The program's own planner and controller run
the demo site, cycle by cycle, with movement inside every quarter-hour; the backtest then replays
the same days with the forecasts that were recorded. Both are priced by the same accounts
(`engine.analytics.backtest.agreement`). They are to agree within 1 % of the savings.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine.analytics.backtest.agreement import WITHIN, Agreement, agreement
from engine.analytics.backtest.policy import RESERVE_SHARE, Forecaster, Policy
from tests.support.live_simulation import simulate_live

DAYS = 10
CYCLE_S = 20.0

_FREE = "forecasts: {price: seasonal_naive, load: day_type}\n"
_CHARGED = (
    _FREE
    + "tariff: {demand_charge: {eur_per_kw: 8}}\n"
    + "planning: {uncertainty: median, peak_reserve: 'on'}\n"
)


@dataclass(frozen=True, slots=True)
class Season:
    """Days of one season under one tariff.

    Attributes:
        name: Row of the table.
        start: First day.
        charged: Whether the month's highest import costs 8 EUR/kW.
    """

    name: str
    start: datetime
    charged: bool


SEASONS: tuple[Season, ...] = tuple(
    Season(f"{name}, {'demand charge' if charged else 'no demand charge'}", start, charged)
    for name, start in (
        ("January", datetime(2026, 1, 8, tzinfo=UTC)),
        ("April", datetime(2026, 4, 9, tzinfo=UTC)),
        ("June", datetime(2026, 6, 8, tzinfo=UTC)),
    )
    for charged in (False, True)
)


def compared(season: Season, days: int = DAYS, *, cycle_s: float = CYCLE_S) -> Agreement:
    """Return how the backtest of a season compares with live control in simulation."""
    yaml = _CHARGED if season.charged else _FREE
    with tempfile.TemporaryDirectory() as folder:
        run = simulate_live(Path(folder), season.start, days, yaml=yaml, cycle_s=cycle_s)
    policy = Policy(
        "co_optimised",
        Forecaster.RECORDED,
        reserve=RESERVE_SHARE if season.charged else 0.0,
        plan_minutes=60,
    )
    return agreement(run.case, run.traces, policy)


def main() -> None:
    """Print every season and what makes up its difference."""
    print(f"Live control in simulation (cycles of {CYCLE_S:g} s) and backtest, {DAYS} days each")
    worst = 0.0
    for season in SEASONS:
        began = time.process_time()
        found = compared(season)
        worst = max(worst, abs(found.share))
        print(f"\n{season.name} ({time.process_time() - began:.0f} s of processor time)")
        print("\n".join(f"  {line}" for line in found.lines()), flush=True)
    verdict = "within" if worst <= WITHIN else "BEYOND"
    print(f"\nlargest difference {100 * worst:.2f} % of the savings: {verdict} {100 * WITHIN:g} %")


if __name__ == "__main__":
    main()

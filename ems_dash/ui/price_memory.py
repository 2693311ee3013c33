"""Prices the page has already seen, for the left half of the price chart.

A plan carries the prices of its own horizon, which begins now. What came before is kept from
the plans shown earlier; nothing is known from before the program started.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from ems_dash.ui.figures import PriceBar
from engine.domain.plan import Plan

KEEP = timedelta(hours=12)


class PriceMemory:
    """Published day-ahead prices by start of interval; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[datetime, PriceBar] = {}
        self._plan_id: str | None = None

    def remember(self, plan: Plan | None, now: datetime) -> None:
        """Take over the published prices of `plan`; forget what is long past at `now`."""
        if plan is None or plan.plan_id == self._plan_id:
            return
        with self._lock:
            self._plan_id = plan.plan_id
            for index, ts in enumerate(plan.times()):
                if not plan.price_is_forecast[index]:
                    self._seen[ts] = PriceBar(
                        ts, plan.step_minutes, float(plan.spot_eur_per_kwh[index]), False
                    )
            self._seen = {ts: bar for ts, bar in self._seen.items() if ts > now - KEEP}

    def before(self, until: datetime) -> list[PriceBar]:
        """Return the remembered prices that start before `until`, in ascending order."""
        with self._lock:
            return [self._seen[ts] for ts in sorted(self._seen) if ts < until]

"""What the plans of the last hour expected to earn, as the sparkline of that figure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ems_dash.ui.live import millis
from engine.domain.records import RunRow

SHOWN = timedelta(minutes=60)


def profit_past(runs: Sequence[RunRow], now: datetime) -> dict[str, list[float]]:
    """Return corners of a stepped line: ``x`` in ms UTC, ``y`` in EUR; each plan holds to the next.

    Args:
        runs: Runs of the optimiser in ascending order, also failed ones, which change nothing.
        now: End of the hour.
    """
    start = now - SHOWN
    x: list[float] = []
    y: list[float] = []
    for run in runs:
        if run.status != "published" or run.expected_profit_eur is None or run.ts > now:
            continue
        value = round(run.expected_profit_eur, 2)
        if run.ts <= start:
            x, y = [millis(start)], [value]
            continue
        if x:
            x.append(millis(run.ts))
            y.append(y[-1])
        x.append(millis(run.ts))
        y.append(value)
    if x:
        x.append(millis(now))
        y.append(y[-1])
    return {"x": x, "y": y}

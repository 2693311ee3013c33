"""What was measured as columns of a chart: minutes lately, quarter-hours before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import MAX_POINTS, live_value
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.series import MeasuredPoint

MEASURED_SIGNALS: tuple[str, ...] = ("pv_kw", "load_kw", "grid_kw", "battery_kw", "soc_percent")
"""Order of the values in a live point, as `assets/live.js` reads them."""

FINE = timedelta(hours=6)
"""How far back every minute is drawn; before, a chart has no room for more than quarter-hours."""

GAP_SHARE = 1.5
"""Two points further apart than so many of their intervals have a hole between them."""


@dataclass(frozen=True, slots=True)
class Past:
    """Columns of a chart: positions on the time axis, and values per signal."""

    x: list[int]
    values: dict[str, list[float | None]]


def with_gaps(points: Sequence[MeasuredPoint], window: ChartWindow) -> Past:
    """Return the points of a window as columns, at most `MAX_POINTS` long.

    Args:
        points: One-minute means in ascending order.
        window: The time axis.
    """
    x: list[int] = []
    values: dict[str, list[float | None]] = {name: [] for name in MEASURED_SIGNALS}
    before: MeasuredPoint | None = None
    for point in thinned(points, quarter_start(window.now - FINE))[-MAX_POINTS:]:
        if before is not None:
            length = timedelta(seconds=before.seconds)
            if point.ts - before.ts > GAP_SHARE * length:
                # A point without values keeps the line from bridging the hole.
                x.append(window.x(before.ts + length))
                for column in values.values():
                    column.append(None)
        x.append(window.x(point.ts))
        for name, column in values.items():
            column.append(live_value(point.values.get(name)))
        before = point
    return Past(x, values)


def thinned(points: Sequence[MeasuredPoint], fine_from: datetime) -> list[MeasuredPoint]:
    """Return `points` with those before `fine_from` joined to means of quarter-hours."""
    out = []
    for start, group in groupby(
        (point for point in points if point.ts < fine_from), key=lambda p: quarter_start(p.ts)
    ):
        minutes = list(group)
        out.append(
            MeasuredPoint(
                start,
                round(STEP.total_seconds()),
                {name: _mean(minutes, name) for name in MEASURED_SIGNALS},
            )
        )
    return out + [point for point in points if point.ts >= fine_from]


def _mean(points: Sequence[MeasuredPoint], name: str) -> float | None:
    known = [value for point in points if (value := point.values.get(name)) is not None]
    return sum(known) / len(known) if known else None

"""What was measured, as columns of a chart: gaps stay gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import MAX_POINTS, live_value
from engine.domain.series import MeasuredPoint

MEASURED_SIGNALS: tuple[str, ...] = ("pv_kw", "load_kw", "grid_kw", "battery_kw", "soc_percent")
"""Order of the values in a live point, as `assets/live.js` reads them."""

GAP = timedelta(seconds=90)
"""Two one-minute points further apart than this have a hole between them."""


@dataclass(frozen=True, slots=True)
class Past:
    x: list[int]
    values: dict[str, list[float | None]]


def with_gaps(points: Sequence[MeasuredPoint], window: ChartWindow) -> Past:
    x: list[int] = []
    values: dict[str, list[float | None]] = {name: [] for name in MEASURED_SIGNALS}
    before: datetime | None = None
    for point in points[-MAX_POINTS:]:
        if before is not None and point.ts - before > GAP:
            # A point without values keeps the line from bridging the hole.
            x.append(window.x(before + timedelta(minutes=1)))
            for column in values.values():
                column.append(None)
        x.append(window.x(point.ts))
        for name, column in values.items():
            column.append(live_value(point.values.get(name)))
        before = point.ts
    return Past(x, values)

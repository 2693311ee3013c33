"""The part of a plan that still lies ahead, as columns of a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ems_dash.ui.chart_window import ChartWindow
from engine.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Ahead:
    """The steps of a plan that are not over at the window's now, the first cut there."""

    starts: list[datetime]
    ends: list[datetime]
    indices: list[int]
    plan: Plan | None
    window: ChartWindow

    @classmethod
    def of(cls, plan: Plan | None, window: ChartWindow) -> Ahead:
        starts: list[datetime] = []
        ends: list[datetime] = []
        indices: list[int] = []
        for index, start in enumerate(plan.times() if plan is not None else ()):
            end = start + plan.step if plan is not None else start
            if end <= window.now or start >= window.end:
                continue
            starts.append(max(start, window.now))
            ends.append(end)
            indices.append(index)
        return cls(starts, ends, indices, plan, window)

    def middles(self) -> list[int]:
        return [
            (self.window.x(a) + self.window.x(b)) // 2
            for a, b in zip(self.starts, self.ends, strict=True)
        ]

    def stairs(self, values: Sequence[float]) -> tuple[list[int], list[float | None]]:
        """Return x and y of a step line that also draws the last step's full length."""
        if not self.indices:
            return [], []
        x = [self.window.x(a) for a in self.starts] + [self.window.x(self.ends[-1])]
        y: list[float | None] = [*values, values[-1]]
        return x, y

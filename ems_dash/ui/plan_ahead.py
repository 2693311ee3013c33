"""Plans as columns of a chart: what lies ahead, and what earlier ones wanted of the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ems_dash.i18n import t
from ems_dash.ui import theme as th
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import Figure
from engine.domain.plan import Plan
from engine.runtime.planned_past import PlannedStep


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


def planned_then(
    window: ChartWindow,
    steps: Sequence[PlannedStep],
    values: Sequence[float],
    theme: str,
    lang: str,
) -> list[Figure]:
    """Return what the plans in force wanted of the past as a dashed line, or nothing.

    Args:
        window: The time axis.
        steps: The steps, ascending.
        values: One value per step, in the unit of the chart.
        theme: ``"light"`` or ``"dark"``.
        lang: ``"de"`` or ``"en"``.
    """
    x: list[int] = []
    y: list[float | None] = []
    for i, step in enumerate(steps):
        if step.end <= window.start or step.start >= window.now:
            continue
        if x and step.start > steps[i - 1].end:
            x.append(window.x(steps[i - 1].end))
            y.append(None)
        x.append(window.x(step.start))
        y.append(round(values[i], 2) + 0.0)
    if not x:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": y,
            "name": t("chart.planned_then", lang),
            "connectgaps": False,
            "line": {
                "color": th.colour("text", 0.75, theme),
                "width": 1.5,
                "dash": "dash",
                "shape": "hv",
            },
            "hovertemplate": "%{y:+.1f} kW",
            "meta": {"role": "text", "line": 0.75},
        }
    ]

"""Day-ahead prices as bars: past ones paler, forecast ones hatched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ems_dash.i18n import t
from ems_dash.ui import theme as th
from ems_dash.ui.chart_window import LONG, ChartWindow
from ems_dash.ui.figure_parts import Figure, bar_trace
from engine.domain.plan import Plan

CENTS = 100.0
"""ct per EUR."""


@dataclass(frozen=True, slots=True)
class PriceBar:
    """One interval of day-ahead prices, starting at `ts` (UTC)."""

    ts: datetime
    minutes: int
    spot_eur_per_kwh: float
    is_forecast: bool


def price_bars(plan: Plan | None, published: Sequence[PriceBar]) -> list[PriceBar]:
    """Return the prices of `plan`, and the `published` ones before it and in place of forecasts.

    A price published after the plan was made replaces what the plan had to forecast. A step
    without a day-ahead price, under a tariff that needs none, has no bar.
    """
    if plan is None:
        return list(published)
    own = [
        PriceBar(
            ts, plan.step_minutes, float(plan.spot_eur_per_kwh[i]), bool(plan.price_is_forecast[i])
        )
        for i, ts in enumerate(plan.times())
        if math.isfinite(plan.spot_eur_per_kwh[i])
    ]
    out = [b for b in published if b.ts < plan.start] + [b for b in own if not b.is_forecast]
    out += [b for b in published if b.ts >= max(plan.start, _end(out, plan.start))]
    return out + [b for b in own if b.is_forecast and b.ts >= _end(out, plan.start)]


def _end(bars: Sequence[PriceBar], otherwise: datetime) -> datetime:
    return bars[-1].ts + timedelta(minutes=bars[-1].minutes) if bars else otherwise


def price_traces(
    bars: Sequence[PriceBar], window: ChartWindow, theme: str, lang: str
) -> list[Figure]:
    def is_past(bar: PriceBar) -> bool:
        return bar.ts + timedelta(minutes=bar.minutes) <= window.now

    groups = (
        ("chart.price_past", 0.35, [b for b in bars if not b.is_forecast and is_past(b)]),
        ("chart.price_known", 0.85, [b for b in bars if not b.is_forecast and not is_past(b)]),
        ("chart.price_forecast", 0.3, [b for b in bars if b.is_forecast]),
    )
    traces = []
    for key, opacity, group in groups:
        traces.append(
            _price_trace(
                group, window, theme, t(key, lang), opacity, hatched=key == "chart.price_forecast"
            )
        )
    return traces


def _price_trace(
    bars: Sequence[PriceBar],
    window: ChartWindow,
    theme: str,
    name: str,
    opacity: float,
    *,
    hatched: bool,
) -> Figure:
    # Gaps between bars would flicker where many share few pixels.
    share = 1.0 if window.end - window.start > LONG else 0.86
    halves = [timedelta(minutes=b.minutes / 2) for b in bars]
    trace = bar_trace(
        [window.x(b.ts + half) for b, half in zip(bars, halves, strict=True)],
        [round(b.spot_eur_per_kwh * CENTS, 3) for b in bars],
        widths=[round(b.minutes * 60_000 * share) for b in bars],
        role="price",
        opacity=opacity,
        theme=theme,
    )
    trace.update(name=name, hovertemplate="%{y:.1f} ct/kWh")
    if hatched:
        # Hatching keeps forecasts apart from published prices without relying on colour.
        trace["marker"]["pattern"] = {
            "shape": "/",
            "size": 5,
            "solidity": 0.35,
            "fillmode": "overlay",
            "fgcolor": th.colour("price", 0.95, theme),
        }
        trace["meta"]["pattern"] = 0.95
    return trace

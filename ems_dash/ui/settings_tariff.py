"""The tariff builder's preview: what a kWh costs and earns on one day under the draft.

The prices come from the same `TariffBook` that plans and the ledger use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from dash import dcc, html
from numpy.typing import NDArray
from pydantic import ValidationError

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui import theme as th
from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.figure_parts import Figure, base_layout, nice_range, y_axis
from ems_dash.ui.settings_fields import get
from ems_dash.ui.settings_sections import tariff_base, versions_of
from engine.config.tariff import TariffConfig
from engine.domain.errors import MarketError
from engine.domain.local_days import day_steps, local_midnight
from engine.domain.quarter_hour import STEP
from engine.domain.records import PriceRow
from engine.market.tariff import BuyPrice, TariffBook


@dataclass(frozen=True, slots=True)
class DayPrices:
    """Day-ahead prices of one local day.

    Attributes:
        day: The local day.
        which: ``"tomorrow"``, ``"today"`` or ``"newest"``.
        start: Its first instant, UTC.
        spot_eur_per_kwh: Price per quarter-hour, NaN where unknown.
        source: Origin of the prices.
    """

    day: date
    which: str
    start: datetime
    spot_eur_per_kwh: NDArray[np.float64]
    source: str


@dataclass(frozen=True, slots=True)
class Preview:
    """Prices of the day under a tariff.

    Attributes:
        prices: The day.
        buy: Purchase price per quarter-hour, EUR/kWh.
        sell: Feed-in price per quarter-hour, EUR/kWh.
        dearest: Components of the highest purchase price, None when none is known.
        demand: Demand charge in EUR/kW and its period, None without one.
    """

    prices: DayPrices
    buy: NDArray[np.float64]
    sell: NDArray[np.float64]
    dearest: BuyPrice | None
    demand: tuple[float, str] | None


def two_days_after(start: datetime) -> datetime:
    """Return an instant after the end of the next local day, also across a clock change."""
    return start + timedelta(hours=50)


def day_prices(rows: Sequence[PriceRow], now: datetime, zone: ZoneInfo) -> DayPrices | None:
    """Return tomorrow's prices when they are all known, else today's, else the newest known day.

    Args:
        rows: Published prices in 15-min steps, ascending.
        now: Current time.
        zone: Local time zone.
    """
    by_time = {row.ts: row for row in rows}
    today = now.astimezone(zone).date()
    newest = rows[-1].ts.astimezone(zone).date() if rows else today
    candidates = [(today + timedelta(days=1), "tomorrow"), (today, "today"), (newest, "newest")]
    best: DayPrices | None = None
    for day, which in candidates:
        start, count = local_midnight(day, zone), day_steps(day, zone)
        found = [by_time.get(start + i * STEP) for i in range(count)]
        known = [row for row in found if row is not None]
        if not known:
            continue
        spot = np.array([np.nan if row is None else row.spot_eur_per_kwh for row in found])
        prices = DayPrices(day, which, start, spot, known[0].source)
        if len(known) == count:
            return prices
        best = best or prices
    return best


def draft_tariff(values: Mapping[str, Any], version: int | None) -> TariffConfig | None:
    """Return the tariff of a draft, None while it has mistakes.

    Args:
        values: The draft.
        version: A version to look at as if it were always valid; None for the valid one.
    """
    stated = get(values, "tariff")
    document: Any = stated if isinstance(stated, Mapping) else {}
    if version is not None and versions_of(values):
        terms = get(values, tariff_base(values, version))
        document = {key: item for key, item in dict(terms).items() if key != "valid_from"}
    try:
        return TariffConfig.model_validate(document)
    except ValidationError:
        return None


def preview(config: TariffConfig, prices: DayPrices, zone: ZoneInfo) -> Preview | None:
    """Return the prices of a day under a tariff, None when it is not valid on that day."""
    book = TariffBook(config, zone)
    try:
        found = book.prices(prices.start, prices.spot_eur_per_kwh)
        buy = found.buy_eur_per_kwh
        dearest = None
        if np.isfinite(buy).any():
            index = int(np.nanargmax(buy))
            spot = float(prices.spot_eur_per_kwh[index])
            dearest = book.describe(prices.start + index * STEP, spot)
        charge = book.demand_charge(prices.start)
    except MarketError:
        return None
    demand = None if charge is None else (charge.eur_per_kw, charge.period)
    return Preview(prices, buy, found.sell_eur_per_kwh, dearest, demand)


def figure(
    made: Preview, before: Preview | None, zone: ZoneInfo, *, theme: str, lang: str
) -> Figure:
    """Return buy and sell price over the day in ct/kWh; `before` is the saved tariff, dotted."""
    prices = made.prices
    end = prices.start + len(made.buy) * STEP
    window = ChartWindow(prices.start, end, prices.start, zone)
    x = [window.x(prices.start + i * STEP) for i in range(len(made.buy) + 1)]
    traces: list[Figure] = []

    def steps(values: NDArray[np.float64]) -> list[float | None]:
        cents = [None if not np.isfinite(v) else round(float(v) * 100.0, 3) for v in values]
        return [*cents, cents[-1]] if cents else []

    def line(values: NDArray[np.float64], name: str, role: str, width: float, dash: str) -> None:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": steps(values),
                "name": name,
                "line": {
                    "color": th.colour(role, 1, theme),
                    "width": width,
                    "shape": "hv",
                    "dash": dash,
                },
                "hovertemplate": "%{y:.2f} ct/kWh",
                "meta": {"role": role, "line": 1},
            }
        )

    line(prices.spot_eur_per_kwh, t("set.preview.spot", lang), "muted", 1, "solid")
    if before is not None and not _same(before.buy, made.buy):
        line(before.buy, t("set.preview.buy_before", lang), "price", 1.25, "dot")
    if before is not None and not _same(before.sell, made.sell):
        line(before.sell, t("set.preview.sell_before", lang), "price", 1.25, "dot")
    line(made.sell, t("set.preview.sell", lang), "price", 2, "dash")
    line(made.buy, t("set.preview.buy", lang), "price", 2.25, "solid")
    known = [v for trace in traces for v in trace["y"] if v is not None]
    low, high, dtick = nice_range(known)
    layout = base_layout(window, theme, lang, narrow=True)
    layout["yaxis"] = y_axis([low, high], dtick, ",~f")
    layout["uirevision"] = "tariff"
    # The day stands above; without it the first and the last time have room.
    layout["xaxis"] |= {"tickformat": "%H:%M", "ticklabeloverflow": "allow"}
    layout["margin"] = {"l": 34, "r": 16, "t": 8, "b": 24}
    return {"data": traces, "layout": layout}


def panel(
    made: Preview | None,
    before: Preview | None,
    zone: ZoneInfo,
    *,
    why_not: str,
    theme: str,
    lang: str,
) -> Any:
    """Return the preview with its chart and figures, or why there is none."""
    title = html.Div(
        [
            html.H2(t("set.preview.title", lang), id="set-preview-t"),
            html.Span("ct/kWh", className="card-unit"),
        ],
        className="card-head",
    )
    if made is None:
        body: list[Any] = [ui.empty(why_not)]
    else:
        saved = [("dots", "price", t("set.preview.saved", lang))] if _differ(made, before) else []
        body = [
            html.P(day_line(made.prices, lang), className="caption"),
            ui.legend(
                [
                    ("line", "price", t("set.preview.buy", lang)),
                    ("dash", "price", t("set.preview.sell", lang)),
                    ("line", "muted", t("set.preview.spot", lang)),
                    *saved,
                ]
            ),
            html.P(summary(made, lang), id="tariff-summary", className="visually-hidden"),
            html.Div(
                dcc.Graph(
                    id={"type": "chart", "id": "tariff"},
                    figure=figure(made, before, zone, theme=theme, lang=lang),
                    config=ui.chart_config(lang),
                    className="chart set-chart",
                    responsive=True,
                ),
                role="img",
                **{"aria-labelledby": "tariff-summary"},
            ),
            html.Dl(
                [
                    part
                    for name, text in rows(made, zone, lang)
                    for part in (html.Dt(name), html.Dd(text))
                ],
                className="set-figures",
            ),
        ]
    return html.Section(
        [title, *body],
        className="card set-preview",
        id="set-preview",
        **{"aria-labelledby": "set-preview-t"},
    )


def day_line(prices: DayPrices, lang: str) -> str:
    """Return which day the preview shows, and from where its prices are."""
    noon = datetime.combine(prices.day, time(12), UTC)
    source = t("set.preview.recorded", lang) if prices.source == "recorded" else prices.source
    key = f"set.preview.{prices.which}"
    return t(key, lang, day=fmt.date(noon, UTC, lang), source=source)


def summary(made: Preview, lang: str) -> str:
    """Return the preview in one sentence."""
    return t(
        "set.preview.summary",
        lang,
        low=cents_text(_least(made.buy), lang),
        high=cents_text(_most(made.buy), lang),
        sell_low=cents_text(_least(made.sell), lang),
        sell_high=cents_text(_most(made.sell), lang),
    )


def rows(made: Preview, zone: ZoneInfo, lang: str) -> list[tuple[str, str]]:
    """Return the figures below the chart as (what, in words)."""

    def span(values: NDArray[np.float64]) -> str:
        return (
            f"{cents_text(_least(values), lang, unit=False)} – "
            f"{cents_text(_most(values), lang)} "
            f"(Ø {cents_text(_mean(values), lang, unit=False)})"
        )

    out = [
        (t("set.preview.buy", lang), span(made.buy)),
        (t("set.preview.sell", lang), span(made.sell)),
    ]
    if made.demand is not None:
        eur, period = made.demand
        out.append(
            (
                t("set.g.demand_charge", lang),
                t(f"set.preview.per_{period}", lang, price=fmt.money(eur, lang)),
            )
        )
    if made.dearest is not None:
        dearest = made.dearest
        when = fmt.clock_time(dearest.ts, zone)
        out.append(
            (t("set.preview.dearest", lang, time=when), cents_text(dearest.buy_eur_per_kwh, lang))
        )
        for name, value in dearest.parts:
            if value:
                key = "spot" if name == "energy" and dearest.energy_from_spot else name
                out.append((f"· {t(f'set.part.{key}', lang)}", cents_text(value, lang)))
    return out


def cents_text(value: float | None, lang: str, *, unit: bool = True) -> str:
    """Return EUR/kWh as ct/kWh with two decimals."""
    text = fmt.number(None if value is None else value * 100.0, 2, lang)
    return f"{text}{fmt.NBSP}ct/kWh" if unit else text


def _same(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    return np.array_equal(first, second, equal_nan=True)


def _differ(made: Preview, before: Preview | None) -> bool:
    if before is None:
        return False
    return not (_same(made.buy, before.buy) and _same(made.sell, before.sell))


def _least(values: NDArray[np.float64]) -> float | None:
    return float(np.nanmin(values)) if np.isfinite(values).any() else None


def _most(values: NDArray[np.float64]) -> float | None:
    return float(np.nanmax(values)) if np.isfinite(values).any() else None


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None

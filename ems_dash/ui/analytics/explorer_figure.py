"""The chart of the data explorer: one panel per unit, all over the same time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems_dash.i18n import t
from ems_dash.ui import theme as th
from ems_dash.ui.analytics.explorer_model import series_text, unit_text
from ems_dash.ui.figure_parts import Figure, separators
from ems_dash.ui.forecasts.figures import Look
from engine.history.series_query import Series, SeriesAnswer

PANEL_PX = 190
PANEL_NARROW_PX = 150
FRAME_PX = 76
_TITLE_PX = 30

BAND = 0.18
EARLIER = 0.5

DASHES: tuple[str, ...] = ("solid", "dash", "dot", "dashdot")
_SWATCHES = ("line", "dashes", "dots", "dots")

_FROM_ZERO = ("kW", "kWh", "EUR", "%")

_ROLES = (
    ("pv", "pv"),
    ("load", "load"),
    ("battery", "battery"),
    ("soc", "battery"),
    ("grid", "grid"),
    ("import", "grid"),
    ("export", "grid"),
    ("eur", "price"),
)


@dataclass(frozen=True, slots=True)
class Pen:
    """How a series is drawn: its role, which colours it, and its place in `DASHES`."""

    role: str
    dash: int

    @property
    def swatch(self) -> str:
        """Shape of its swatch in the legend."""
        return _SWATCHES[self.dash]


def panels(series: Mapping[str, Series]) -> dict[str, list[str]]:
    """Return unit to the names of its series, in the order asked for."""
    out: dict[str, list[str]] = {}
    for name, one in series.items():
        out.setdefault(one.unit, []).append(name)
    return out


def pens(series: Mapping[str, Series]) -> dict[str, Pen]:
    """Return how each series is drawn; no two of a panel alike, as far as strokes go round.

    What belongs to a role has its colour everywhere; a plan of it differs by its stroke.
    """
    out: dict[str, Pen] = {}
    for names in panels(series).values():
        used: dict[str, int] = {}
        natural = {name: _role(name) for name in names}
        for name in names:
            role = natural[name]
            if role is None:
                taken = {*used, *(r for r in natural.values() if r)}
                free = [r for r in th.DATA_ROLES if r not in taken]
                role = free[0] if free else min(th.DATA_ROLES, key=lambda r: used.get(r, 0))
            out[name] = Pen(role, used.get(role, 0) % len(DASHES))
            used[role] = used.get(role, 0) + 1
    return out


def height_px(n_panels: int, *, narrow: bool) -> int:
    """Return the height of a chart of so many panels."""
    return FRAME_PX + max(1, n_panels) * (PANEL_NARROW_PX if narrow else PANEL_PX)


def explorer_figure(
    answer: SeriesAnswer, since: datetime, until: datetime, zone: ZoneInfo, look: Look
) -> Figure:
    """Return the chart of an answer.

    Instants are drawn at their local time; the hour that the clock repeats in autumn is drawn
    over itself.

    Args:
        answer: Series, in the order asked for, and those of an earlier period.
        since: Left edge.
        until: Right edge.
        zone: Time zone of the site.
        look: How it looks.
    """
    by_unit, drawn = panels(answer.series), pens(answer.series)
    edges = np.array([ts.timestamp() * 1e6 for ts in (since, until)], dtype="int64").view(
        "datetime64[us]"
    )
    left, right = local_ms(edges, zone)
    traces: list[Figure] = []
    layout: Figure = {
        "template": th.template(look.theme),
        "separators": separators(look.lang),
        "transition": {"duration": 0},
        "autosize": True,
        "dragmode": "zoom",
        "hoversubplots": "axis",
        "margin": {"l": 56, "r": 12, "t": _TITLE_PX, "b": FRAME_PX - _TITLE_PX, "pad": 0},
        "uirevision": f"{left}-{right}",
        "annotations": [],
        "xaxis": {
            "type": "date",
            "range": [left, right],
            "autorange": False,
            "fixedrange": False,
            "anchor": _axis("y", len(by_unit)),
            "hoverformat": "%d.%m.%Y %H:%M:%S" if look.lang == "de" else "%d %b %Y %H:%M:%S",
            "nticks": 4 if look.narrow else 9,
            "tickformatstops": _tick_formats(look.lang),
        },
    }
    n = max(1, len(by_unit))
    gap = _TITLE_PX / (height_px(n, narrow=look.narrow) - FRAME_PX) if n > 1 else 0.0
    share = (1.0 - gap * (n - 1)) / n
    for i, (unit, names) in enumerate(by_unit.items(), start=1):
        top = 1.0 - (i - 1) * (share + gap)
        axis = _axis("y", i)
        layout[f"yaxis{i if i > 1 else ''}"] = {
            "domain": [max(0.0, top - share), top],
            "anchor": "x",
            "fixedrange": True,
            "rangemode": "tozero" if unit in _FROM_ZERO else "normal",
            "nticks": 5,
            "tickformat": ",~r",
        }
        layout["annotations"].append(
            {
                "text": unit_text(unit, look.lang),
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": top,
                "xanchor": "left",
                "yanchor": "bottom",
                "xshift": -50,
                "yshift": 5,
            }
        )
        for name in names:
            found, pen = answer.series[name], drawn[name]
            text = series_text(name, look.lang)
            band = _band(found, pen, axis, zone, look.theme)
            traces += [band] if band is not None else []
            earlier = answer.earlier.get(name)
            if earlier is not None:
                words = t("explorer.earlier", look.lang, series=text)
                traces.append(
                    _line(earlier, pen, axis, zone=zone, look=look, text=words, opacity=EARLIER)
                )
            traces.append(_line(found, pen, axis, zone=zone, look=look, text=text))
    return {"data": traces, "layout": layout}


def local_ms(ts: NDArray[np.datetime64], zone: ZoneInfo) -> list[int]:
    """Return instants (UTC) as milliseconds that read as the local time of `zone`."""
    local: Any = pd.DatetimeIndex(ts, tz="UTC").tz_convert(zone).tz_localize(None)
    stamps: list[int] = local.to_numpy().astype("datetime64[ms]").astype("int64").tolist()
    return stamps


def _line(
    found: Series,
    pen: Pen,
    axis: str,
    *,
    zone: ZoneInfo,
    look: Look,
    text: str,
    opacity: float = 1.0,
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": local_ms(found.ts, zone),
        "y": _numbers(found.values),
        "yaxis": axis,
        "name": text,
        "connectgaps": False,
        "line": {
            "color": th.colour(pen.role, opacity, look.theme),
            "width": 1.7 if opacity == 1.0 else 1.2,
            "dash": DASHES[pen.dash] if opacity == 1.0 else "dot",
            "shape": "hv" if found.stepped else "linear",
        },
        "hovertemplate": f"%{{y:,.4~r}} {unit_text(found.unit, look.lang) if found.unit else ''}",
        "meta": {"role": pen.role, "line": opacity},
    }


def _band(found: Series, pen: Pen, axis: str, zone: ZoneInfo, theme: str) -> Figure | None:
    """Return the area from the lowest to the highest value; each stretch between gaps is closed."""
    if found.low is None or found.high is None or not len(found.ts):
        return None
    x = local_ms(found.ts, zone)
    low, high = _numbers(found.low), _numbers(found.high)
    xs: list[int | None] = []
    ys: list[float | None] = []
    for start, end in _stretches(low, high):
        xs += [*x[start:end], *reversed(x[start:end]), None]
        ys += [*high[start:end], *reversed(low[start:end]), None]
    if not xs:
        return None
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "yaxis": axis,
        "fill": "toself",
        "fillcolor": th.colour(pen.role, BAND, theme),
        "line": {"width": 0, "color": th.colour(pen.role, BAND, theme)},
        "hoverinfo": "skip",
        "meta": {"role": pen.role, "fill": BAND, "line": BAND},
    }


def _stretches(low: Sequence[float | None], high: Sequence[float | None]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    start: int | None = None
    for i in range(len(low) + 1):
        known = i < len(low) and low[i] is not None and high[i] is not None
        if known and start is None:
            start = i
        elif not known and start is not None:
            out.append((start, i))
            start = None
    return out


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    rounded = np.round(values, 5) + 0.0
    return [
        value if known else None
        for value, known in zip(rounded.tolist(), np.isfinite(values).tolist(), strict=True)
    ]


def _axis(letter: str, i: int) -> str:
    return letter if i <= 1 else f"{letter}{i}"


def _role(name: str) -> str | None:
    return next((role for part, role in _ROLES if part in name), None)


def _tick_formats(lang: str) -> list[dict[str, Any]]:
    day = "%d.%m." if lang == "de" else "%d %b"
    year = "%m.%Y" if lang == "de" else "%b %Y"
    hour_ms, day_ms = 3_600_000, 86_400_000
    return [
        {"dtickrange": [None, 60_000 - 1], "value": "%H:%M:%S"},
        {"dtickrange": [60_000, hour_ms - 1], "value": f"%H:%M\n{day}"},
        {"dtickrange": [hour_ms, day_ms - 1], "value": f"%H:%M\n{day}"},
        {"dtickrange": [day_ms, "M1"], "value": f"{day}\n%Y"},
        {"dtickrange": ["M1", None], "value": year},
    ]

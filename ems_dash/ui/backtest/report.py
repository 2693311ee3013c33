"""The printable report of a backtest: one file of HTML that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

from ems_dash.i18n import t
from ems_dash.i18n.backtest_said import assumed
from ems_dash.ui import format as fmt
from ems_dash.ui import theme as th
from ems_dash.ui.backtest import studies_words as sw
from ems_dash.ui.backtest import words as w
from ems_dash.ui.figure_parts import nice_range
from ems_dash.ui.settings_words import name_of, value_text
from engine.runtime.backtests.desk import BacktestState

_STYLE = """
@page { size: A4; margin: 16mm 14mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px; max-width: 820px; color: #16202B; background: #fff;
  font: 14px/21px "Inter Variable", Inter, system-ui, sans-serif; font-feature-settings: "tnum" 1; }
h1 { font-size: 24px; line-height: 32px; margin: 0 0 4px; letter-spacing: -.015em; }
h2 { font-size: 16px; margin: 28px 0 8px; break-after: avoid; }
p { margin: 0 0 8px; }
.sub, figcaption, small { color: #566577; }
.claim { border-left: 3px solid #0B6E69; padding: 8px 14px; background: #EEF2F6; margin: 16px 0; }
.partial { border-left: 3px solid #8F5600; padding: 8px 14px; background: #FDF1DC; }
table { border-collapse: collapse; width: 100%; font-size: 11.5px; break-inside: avoid; }
th, td { padding: 5px 5px; text-align: right; border-bottom: 1px solid #E1E7EE; }
th { font-weight: 600; color: #566577; }
th:first-child, td:first-child { text-align: left; }
tbody th { color: inherit; font-weight: 500; }
tr.best th, tr.best td { font-weight: 650; }
td.top { outline: 2px solid #16202B; outline-offset: -2px; font-weight: 650; }
.map td, .map th { text-align: center; }
ul { margin: 8px 0 0; padding-left: 18px; } li { margin-bottom: 4px; }
svg { width: 100%; height: auto; }
figure { margin: 8px 0 0; break-inside: avoid; }
.key { display: inline-block; width: 18px; border-top: 2.5px solid; vertical-align: middle;
  margin-right: 6px; } .keys span { margin-right: 16px; white-space: nowrap; }
@media print { body { padding: 0; max-width: none; font-size: 11pt; }
  .claim, .partial, .map td { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""

_LINES: tuple[tuple[str, str], ...] = (
    ("accent", ""),
    ("grid", "7 4"),
    ("price", "2 3"),
    ("pv", "9 3 2 3"),
    ("load", "4 2"),
    ("muted", ""),
)


def report_html(state: BacktestState, result: w.Result, lang: str) -> str:
    """Return the report.

    Args:
        state: The backtest.
        result: What came of it.
        lang: ``"de"`` or ``"en"``.
    """
    zone = ZoneInfo(result["site"]["timezone"])
    top = w.best(result)
    made = state.created_at
    parts = [
        f"<h1>{escape(w.title(state.name, lang))}</h1>",
        f'<p class="sub">{escape(result["site"]["name"])} · '
        f"{escape(w.battery_text(result, lang))} · {escape(w.period_text(result, lang))}</p>",
    ]
    if result["partial"]:
        parts.append(f'<p class="partial">{escape(t("backtest.partial", lang))}</p>')
    if top is not None:
        parts.append(f'<p class="claim">{escape(headline(result, top, lang))}</p>')
    parts += [
        _h2("backtest.money_title", lang),
        _money(result, lang),
        _h2("backtest.cumulative_title", lang),
        _cumulative(result, lang),
        _h2("backtest.months_title", lang),
        _months(result, lang),
    ]
    if result["sizing"]:
        parts += [_h2("backtest.sizing_title", lang), _sizing(result["sizing"], lang)]
    for name, study in sw.shown(result):
        parts += [_h2(f"backtest.study_{name}", lang), _study(name, study, lang)]
    parts += [
        _h2("backtest.assumptions_title", lang),
        _list(text for text, _spoken in w.assumptions(result, lang)),
        _h2("backtest.inputs_title", lang),
        _inputs(result, lang),
        _h2("backtest.method_title", lang),
        f"<p>{escape(t('backtest.method', lang))}</p>",
        _h2("backtest.limits_title", lang),
        f"<p>{escape(t('backtest.limits', lang))}</p>",
        '<p class="sub">'
        + escape(
            t(
                "backtest.made",
                lang,
                version=result["version"],
                when=f"{fmt.date(made, zone, lang)}, {fmt.clock_time(made, zone)}",
                id=state.id,
            )
        )
        + "</p>",
    ]
    title = escape(f"{t('backtest.title', lang)}: {w.title(state.name, lang)}")
    return (
        f'<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        + "".join(parts)
        + "</body></html>"
    )


def headline(result: w.Result, top: w.Result, lang: str) -> str:
    """Return the answer in one sentence."""
    # A sunny month earns without a battery already: there is no cost to save a part of.
    earns = result["without_eur"] < 0.0
    key = "backtest.headline_earning" if earns else "backtest.headline"
    return t(
        key if top["capture"] is not None else f"{key}_plain",
        lang,
        strategy=w.strategy_name(top, lang),
        saving=w.euros(top["saving_eur"], lang),
        without=w.euros(abs(result["without_eur"]), lang),
        capture=w.share(top["capture"], lang),
    )


def _h2(key: str, lang: str) -> str:
    return f"<h2>{escape(t(key, lang))}</h2>"


def _list(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def _table(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr{kind}><th scope="row">{escape(cells[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells[1:])
        + "</tr>"
        for kind, cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def money_heads(lang: str) -> list[str]:
    """Return the heads of the money table."""
    keys = ("strategy", "saving", "capture", "energy", "demand", "wear", "stored", "cycles")
    return [t(f"backtest.col_{key}", lang) for key in keys]


def money_cells(entry: w.Result, lang: str) -> list[str]:
    """Return one row of the money table."""
    return [
        w.strategy_name(entry, lang),
        w.euros(entry["saving_eur"], lang),
        w.share(entry["capture"], lang),
        w.euros(entry["energy_eur"], lang),
        w.euros(entry["demand_eur"], lang),
        w.euros(entry["wear_eur"], lang),
        w.euros(entry["stored_eur"], lang),
        fmt.number(entry["full_cycles"], 0, lang),
    ]


def _money(result: w.Result, lang: str) -> str:
    top = w.best(result)
    rows = [
        (' class="best"' if entry is top else "", money_cells(entry, lang))
        for entry in w.shown(result)
    ]
    return _table(money_heads(lang), rows)


def _months(result: w.Result, lang: str) -> str:
    top = w.best(result)
    if top is None:
        return f"<p>{escape(t('backtest.nothing', lang))}</p>"
    rows = [("", cells) for cells in w.month_rows(top, lang)]
    return f"<p>{escape(w.strategy_name(top, lang))}</p>" + _table(w.month_heads(lang), rows)


def _cumulative(result: w.Result, lang: str) -> str:
    curves = [
        (entry, list(accumulate(entry["daily_saving_eur"])))
        for entry in w.shown(result)
        if entry["strategy"] != w.NO_BATTERY
    ][: len(_LINES)]
    values: list[float] = [0.0, *(value for _, curve in curves for value in curve)]
    if not curves or max(values) - min(values) < 1e-9:
        return f"<p>{escape(t('backtest.nothing', lang))}</p>"
    low, high, step = nice_range(values, most=5)
    width, height, left = 760.0, 240.0, 64.0

    def x(day: int, n: int) -> float:
        return left + (width - left) * day / max(1, n - 1)

    def y(value: float) -> float:
        return 8.0 + (height - 28.0) * (high - value) / (high - low)

    out = [f'<svg viewBox="0 0 {width:g} {height:g}" role="img">']
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        value = number * step
        out.append(
            f'<line x1="{left:g}" x2="{width:g}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            f'stroke="#E1E7EE"/><text x="{left - 8:g}" y="{y(value) + 4:.1f}" font-size="11" '
            f'text-anchor="end" fill="#566577">{escape(w.euros(value, lang))}</text>'
        )
    days = result["days"]
    for share in (0.0, 0.5, 1.0):
        index = round(share * (len(days) - 1))
        anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
        text = w.day_text(datetime.fromisoformat(days[index]).date(), lang)
        out.append(
            f'<text x="{x(index, len(days)):.1f}" y="{height - 4:g}" font-size="11" '
            f'text-anchor="{anchor}" fill="#566577">{escape(text)}</text>'
        )
    keys = []
    for (entry, curve), (role, dash) in zip(curves, _LINES, strict=False):
        colour = th.PALETTES["light"][role]
        points = " ".join(f"{x(i, len(curve)):.1f},{y(v):.1f}" for i, v in enumerate(curve))
        out.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
        style = "dashed" if dash else "solid"
        keys.append(
            f'<span><i class="key" style="color:{colour};border-top-style:{style}"></i>'
            f"{escape(w.strategy_name(entry, lang))}</span>"
        )
    out.append("</svg>")
    return f'<figure>{"".join(out)}<figcaption class="keys">{"".join(keys)}</figcaption></figure>'


def _sizing(sizing: w.Result, lang: str) -> str:
    powers = sizing["powers_kw"]
    by_size = {(p["energy_kwh"], p["power_kw"]): p for p in sizing["points"]}
    head = "".join(f'<th scope="col">{escape(str(fmt.rating(kw, lang)))}</th>' for kw in powers)
    body = []
    for kwh in sizing["energies_kwh"]:
        cells = []
        for kw in powers:
            point = by_size[(kwh, kw)]
            mark = ' class="top"' if sizing["best"] == [kwh, kw] else ""
            cells.append(f"<td{mark}>{escape(w.euros(point.get('npv_eur'), lang))}</td>")
        size = escape(str(fmt.capacity(kwh, lang)))
        body.append(f'<tr><th scope="row">{size}</th>{"".join(cells)}</tr>')
    said = [sizing_claim(sizing, lang), *_assumed(sizing, lang)]
    return (
        f"<p>{escape(t('backtest.sizing_caption', lang))}</p>"
        f'<table class="map"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>{_list(said)}"
    )


def _study(name: str, study: w.Result, lang: str) -> str:
    cells = sw.rows(name, study, lang)
    table = _table(sw.heads(name, lang), [("", row) for row in cells]) if cells else ""
    said = sw.claim(name, study, lang) or sw.caption(name, lang)
    return f"<p>{escape(said)}</p>{table}{_list(_assumed(study, lang))}"


def _assumed(document: w.Result, lang: str) -> list[str]:
    return [assumed(text, lang)[0] for text in document["assumptions"]]


def sizing_claim(sizing: w.Result, lang: str) -> str:
    """Return how the sizes were run, and which one is best, in words."""
    how = "backtest.sizing_perfect" if sizing["perfect_foresight"] else "backtest.sizing_causal"
    said = [t(how, lang, policy=sizing["policy"])]
    if sizing["best"] is not None:
        kwh, kw = sizing["best"]
        point = next(p for p in sizing["points"] if (p["energy_kwh"], p["power_kw"]) == (kwh, kw))
        key = "backtest.sizing_best" if point["npv_eur"] > 0.0 else "backtest.sizing_none"
        said.append(
            t(
                key,
                lang,
                size=f"{fmt.capacity(kwh, lang)} · {fmt.rating(kw, lang)}",
                npv=w.euros(point["npv_eur"], lang),
                payback=w.years(point["payback_years"], lang),
                irr=w.irr_text(point, lang),
            )
        )
    return " ".join(said)


def _inputs(result: w.Result, lang: str) -> str:
    battery, grid, energy = result["battery"], result["grid"], result["energy"]
    rows: list[tuple[str, str]] = [
        (t("backtest.in_battery", lang), w.battery_text(result, lang)),
        (
            t("backtest.in_efficiency", lang),
            f"{fmt.number(100 * battery['efficiency_charge'], 1, lang)} % / "
            f"{fmt.number(100 * battery['efficiency_discharge'], 1, lang)} %",
        ),
        (
            t("backtest.in_window", lang),
            f"{fmt.number(battery['soc_min_percent'], 0, lang)} – "
            f"{fmt.number(battery['soc_max_percent'], 0, lang)} %",
        ),
        (
            t("backtest.in_wear", lang),
            f"{fmt.number(100 * battery['wear_cost_eur_per_kwh'], 2, lang)} ct/kWh",
        ),
        (
            t("backtest.in_grid", lang),
            f"{fmt.rating(grid['import_limit_kw'], lang)} / "
            f"{fmt.rating(grid['export_limit_kw'], lang)}",
        ),
        (t("backtest.in_load", lang), str(fmt.energy(energy["load_kwh"], lang))),
        (t("backtest.in_pv", lang), str(fmt.energy(energy["pv_kwh"], lang))),
        (t("backtest.in_spot", lang), str(fmt.price(energy["mean_spot_eur_per_kwh"], lang))),
        *(
            (f"{t('backtest.in_tariff', lang)}: {name}", text)
            for name, text in _terms(result, lang)
        ),
    ]
    return _table(("", ""), [("", row) for row in rows])


def _terms(result: w.Result, lang: str) -> list[tuple[str, str]]:
    return [
        (name_of(f"tariff.{key}", lang), _term(key, value, lang))
        for key, value in result["tariff"].items()
        if value not in (0.0, [], False, None)
    ]


def _term(key: str, value: Any, lang: str) -> str:
    text = value_text(value, lang, f"tariff.{key}")
    units = {"minutes": "min", "percent": "%", "month": "€"}
    unit = units.get(key.rpartition("_")[2]) if isinstance(value, int | float) else None
    return f"{text}{fmt.NBSP}{unit}" if unit and not isinstance(value, bool) else text

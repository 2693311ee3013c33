"""Words and figures of backtests, shared by page and report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ems_dash.i18n import label, t
from ems_dash.i18n.backtest_said import assumed
from ems_dash.ui import format as fmt

Result = Mapping[str, Any]

NO_BATTERY = "none"
MONTHS_PER_YEAR = 12

_STRATEGY = re.compile(
    r"\b(?:co_optimised|arbitrage|peak_shaving|self_consumption|load_balancing)\b"
)

_DAYS = re.compile(r"(\d{4}-\d\d-\d\d) – (\d{4}-\d\d-\d\d)")
"""Name of a backtest that was given none."""


def strategy_name(entry: Result, lang: str) -> str:
    """Return the name of a strategy of a result, with what it knew where that matters."""
    name = label("backtest.strategy", str(entry["strategy"]), lang)
    forecaster = entry["forecaster"]
    if forecaster is None:
        return name
    if entry["strategy"] == "co_optimised" and forecaster == "perfect":
        return t("backtest.perfect", lang)
    return f"{name} ({label('backtest.forecaster', str(forecaster), lang)})"


def shown(result: Result) -> list[Result]:
    """Return the strategies of a result, the best first, no battery last."""
    entries: Sequence[Result] = result["strategies"]
    return sorted(entries, key=lambda e: (e["strategy"] == NO_BATTERY, -float(e["saving_eur"])))


def is_perfect(entry: Result) -> bool:
    """Return True for perfect foresight, which is a bound and no offer."""
    return bool(entry["forecaster"] == "perfect")


def best(result: Result) -> Result | None:
    """Return the strategy that saved most without seeing the future; None while none is known."""
    real = [
        entry
        for entry in result["strategies"]
        if entry["strategy"] != NO_BATTERY and not is_perfect(entry)
    ]
    return max(real, key=lambda entry: float(entry["saving_eur"]), default=None)


def share(value: float | None, lang: str) -> str:
    """Return a share 0..1 in percent."""
    return fmt.NO_VALUE if value is None else str(fmt.percent(100.0 * value, lang))


def euros(value: float | None, lang: str, *, signed: bool = False) -> str:
    """Return whole euros: cents of a simulated year would claim too much."""
    digits = fmt.number(value, 0, lang, signed=signed)
    if digits == fmt.NO_VALUE:
        return digits
    return f"{digits}{fmt.NBSP}€" if lang == "de" else _before(digits)


def _before(digits: str) -> str:
    sign = digits[0] if digits[0] in (fmt.MINUS, "+") else ""
    return f"{sign}€{digits[len(sign) :]}"


def period_text(result: Result, lang: str) -> str:
    """Return first and last local day of what was replayed."""
    zone = ZoneInfo(result["site"]["timezone"])
    first = datetime.fromisoformat(result["period"]["start"]).astimezone(zone).date()
    end = datetime.fromisoformat(result["period"]["end"]).astimezone(zone)
    last = (end - timedelta(minutes=1)).date()
    days = fmt.number(float(result["period"]["days"]), 0, lang)
    ends = f"{day_text(first, lang)} – {day_text(last, lang)}"
    return t("backtest.period_text", lang, period=ends, days=days)


def title(name: str, lang: str) -> str:
    """Return the name of a backtest; one that was named by its days has them as they are read."""
    found = _DAYS.fullmatch(name)
    if found is None:
        return name
    return " – ".join(day_text(date.fromisoformat(day), lang) for day in found.groups())


def day_text(day: date, lang: str) -> str:
    """Return a local day without its weekday."""
    return fmt.date_of_day(day, lang).partition(", ")[2]


def month_text(month: str, lang: str) -> str:
    """Return a month like ``2026-01`` in words."""
    year, number = month.split("-")
    names = t("backtest.months", lang).split(" ")
    return f"{names[int(number) - 1]} {year}"


def month_heads(lang: str) -> list[str]:
    """Return the heads of the table of months."""
    return [t(f"backtest.col_{key}", lang) for key in ("month", "saving", "peak", "peak_without")]


def month_rows(top: Result, lang: str) -> list[list[str]]:
    """Return what a strategy saved in each month, and the highest import with it and without."""
    return [
        [
            month_text(month, lang),
            euros(saving, lang),
            str(fmt.power(peak, lang)),
            str(fmt.power(without, lang)),
        ]
        for month, saving, peak, without in zip(
            top["months"],
            top["monthly_savings_eur"],
            top["monthly_peaks_kw"],
            top["monthly_peaks_without_kw"],
            strict=True,
        )
    ]


def assumptions(result: Result, lang: str) -> list[tuple[str, str]]:
    """Return what was assumed, and what each strategy remarked on, each with its language."""
    notes = []
    for entry in shown(result):
        for note in entry["notes"]:
            text, spoken = assumed(note, lang)
            notes.append((f"{strategy_name(entry, lang)}: {_named(text, lang)}", spoken))
    return [*(assumed(text, lang) for text in result["assumptions"]), *notes]


def _named(text: str, lang: str) -> str:
    """Return a remark with the names of strategies for their keys."""
    return _STRATEGY.sub(lambda found: label("backtest.strategy", found[0], lang), text)


def battery_text(result: Result, lang: str) -> str:
    """Return capacity and power of the battery."""
    battery = result["battery"]
    power = max(battery["power_charge_max_kw"], battery["power_discharge_max_kw"])
    energy = fmt.capacity(float(battery["energy_capacity_kwh"]), lang)
    return f"{energy} · {fmt.rating(float(power), lang)}"


def years(value: float | None, lang: str) -> str:
    """Return a number of years."""
    if value is None:
        return t("backtest.never", lang)
    return f"{fmt.number(value, 1, lang)}{fmt.NBSP}{t('backtest.years', lang)}"


def irr_text(point: Result, lang: str) -> str:
    """Return a rate of return, or why there is none."""
    if point.get("irr") is None:
        return label("backtest.irr_missing", str(point.get("irr_missing")), lang)
    return f"{fmt.number(100.0 * point['irr'], 1, lang)}{fmt.NARROW_NBSP}%"

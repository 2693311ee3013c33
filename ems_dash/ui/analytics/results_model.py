"""What the results of a period say, as plain texts and rows; nothing here draws.

Unknown figures are a dash with the reason beside it, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ems_dash.i18n import label, t
from ems_dash.ui import format as fmt
from engine.analytics.kpis import stores_more_than_used
from engine.analytics.money import shown_cents
from engine.domain.records import RunRow
from engine.runtime.analytics_service import DayFigures, PeriodFigures

BASELINES: tuple[str, ...] = ("no_battery", "self_consumption", "timer")
"""What may be compared with; perfect foresight has a card of its own."""

Figures = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Card:
    """One big figure.

    Attributes:
        key: Its name.
        label: What it is.
        icon: Icon beside the label.
        value: The figure, or a dash.
        unit: Unit, empty when the value has it.
        sub: One line of context; the reason where the figure is not known.
    """

    key: str
    label: str
    icon: str
    value: str
    unit: str
    sub: str


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One row of the ledger table: its head and its cells in the order of `LEDGER_HEADS`."""

    head: str
    cells: tuple[str, ...]
    note: str = ""


LEDGER_HEADS: tuple[str, ...] = (
    "coverage",
    "import",
    "export",
    "energy_cost",
    "demand_cost",
    "fixed_cost",
    "bill",
    "wear",
    "stored",
    "saving",
)


def cards(period: PeriodFigures, baseline: str, lang: str) -> list[Card]:
    """Return the totals of a period.

    Args:
        period: Its figures.
        baseline: One of `BASELINES`.
        lang: Language.
    """
    kpis, totals = period.kpis, period.totals
    profit = kpis.get(f"profit_{baseline}_eur")
    days = max(1, period.days)
    against = label("baseline", baseline, lang)
    mean = None if profit is None else profit / days
    peak = kpis.get("peak_reduction_kw")
    return [
        _card(
            "profit",
            "currency-euro",
            (fmt.money(profit, lang, signed=True), ""),
            t("results.profit_sub", lang, baseline=against),
            lang,
        ),
        _card(
            "daily",
            "activity",
            (fmt.money(mean, lang, signed=True), ""),
            t(f"results.daily_sub_{'one' if period.days == 1 else 'many'}", lang, days=period.days),
            lang,
        ),
        _card(
            "capture",
            "check-circle",
            _share(kpis.get("capture"), lang),
            t(
                "results.capture_sub",
                lang,
                best=fmt.money(kpis.get("profit_perfect_foresight_eur"), lang),
            ),
            lang,
        ),
        _card(
            "cycles",
            "arrow-down-up",
            (fmt.number(kpis.get("full_cycles"), 1, lang), ""),
            t("results.cycles_sub", lang, energy=_energy(totals.get("discharged_kwh"), lang)),
            lang,
        ),
        _card(
            "self_consumption",
            "sun",
            _share(kpis.get("self_consumption"), lang),
            t("results.self_consumption_sub", lang, energy=_energy(totals.get("pv_kwh"), lang)),
            lang,
        ),
        _card(
            "self_sufficiency",
            "house-door",
            _share(kpis.get("self_sufficiency"), lang),
            t("results.self_sufficiency_sub", lang, energy=_energy(totals.get("import_kwh"), lang)),
            lang,
            unknown="results.self_sufficiency_stored" if stores_more_than_used(totals) else "",
        ),
        _card(
            "peak",
            "graph-up-arrow",
            (fmt.number(kpis.get("peak_kw"), 1, lang), "kW"),
            t("results.peak_sub_unknown", lang)
            if peak is None
            else t(
                "results.peak_sub" if peak >= 0 else "results.peak_sub_more",
                lang,
                kw=fmt.number(abs(peak), 1, lang),
            ),
            lang,
        ),
        _card(
            "soc",
            "battery-half",
            _share(_hundredth(kpis.get("mean_soc_percent")), lang),
            t("results.soc_sub", lang, share=_percent_text(kpis.get("availability"), lang)),
            lang,
        ),
    ]


def _card(
    key: str, icon: str, figure: tuple[str, str], sub: str, lang: str, *, unknown: str = ""
) -> Card:
    value, unit = figure
    known = value != fmt.NO_VALUE
    return Card(
        key,
        t(f"results.{key}", lang),
        icon,
        value,
        unit if known else "",
        sub if known else t(unknown or "results.unknown", lang),
    )


def ledger_lines(
    days: Sequence[DayFigures], period: PeriodFigures, baseline: str, lang: str
) -> list[LedgerLine]:
    """Return a row per day, newest first, and the sum as last row.

    The amounts of the days are rounded so that they add up to the amount of the sum
    (`engine.analytics.money.shown_cents`).
    """
    keys = (*_MONEY, f"{baseline}_saving_eur")
    shown: dict[str, dict[int, str]] = {}
    for key in keys:
        known = [
            (i, value)
            for i, day in enumerate(days)
            if (value := _amount(day.values, key)) is not None
        ]
        cents = shown_cents([value for _, value in known])
        shown[key] = {
            i: fmt.money(float(amount), lang) for (i, _), amount in zip(known, cents, strict=True)
        }
    rows = [
        LedgerLine(
            fmt.date_of_day(day.day, lang),
            (
                _percent_text(_coverage(day.values), lang),
                _kwh(day.values.get("import_kwh"), lang),
                _kwh(day.values.get("export_kwh"), lang),
                *(shown[key].get(i, fmt.NO_VALUE) for key in keys),
            ),
            "" if day.closed else t("results.day_runs", lang),
        )
        for i, day in reversed(list(enumerate(days)))
    ]
    totals = period.totals
    rows.append(
        LedgerLine(
            t("results.sum", lang),
            (
                _percent_text(period.kpis.get("coverage"), lang),
                _kwh(totals.get("import_kwh"), lang),
                _kwh(totals.get("export_kwh"), lang),
                *(fmt.money(_amount(totals, key), lang) for key in keys),
            ),
        )
    )
    return rows


_BILL = "bill_eur"
_MONEY: tuple[str, ...] = (
    "bill_energy_eur",
    "bill_demand_eur",
    "bill_fixed_eur",
    _BILL,
    "actual_wear_eur",
    "actual_stored_eur",
)


def _amount(values: Figures, key: str) -> float | None:
    if key != _BILL:
        return values.get(key)
    parts = [values.get(f"bill_{part}_eur") for part in ("energy", "demand", "fixed")]
    known = [part for part in parts if part is not None]
    return sum(known) if values.get("bill_energy_eur") is not None else None


def strategy_shares(
    runs: Sequence[RunRow], since: datetime, until: datetime
) -> list[tuple[str, float]]:
    """Return the strategies that plans followed and their shares of the time, largest first.

    Args:
        runs: Runs of the optimiser, ascending; each published plan counts until the next.
        since: Start of the period.
        until: Its end, or now.

    Returns:
        Strategy and share, 0..1; together 1 as soon as there is any plan.
    """
    published = [run for run in runs if run.status == "published" and run.strategy]
    spans: dict[str, float] = {}
    ends = [*(run.ts for run in published[1:]), until]
    for run, replaced in zip(published, ends, strict=False):
        start, end = max(run.ts, since), min(until, replaced)
        seconds = (end - start).total_seconds()
        if seconds > 0 and run.strategy:
            spans[run.strategy] = spans.get(run.strategy, 0.0) + seconds
    whole = sum(spans.values())
    shares = [(key, seconds / whole) for key, seconds in spans.items()]
    return sorted(shares, key=lambda item: -item[1])


def _coverage(values: Figures) -> float | None:
    counted, steps = values.get("counted_steps"), values.get("steps")
    return None if counted is None or not steps else counted / steps


def _hundredth(percent: float | None) -> float | None:
    return None if percent is None else percent / 100.0


def _share(share: float | None, lang: str) -> tuple[str, str]:
    quantity = fmt.percent(None if share is None else 100.0 * share, lang)
    return quantity.text, quantity.unit


def _percent_text(share: float | None, lang: str) -> str:
    return str(fmt.percent(None if share is None else 100.0 * share, lang))


def _energy(kwh: float | None, lang: str) -> str:
    return str(fmt.energy(kwh, lang))


def _kwh(kwh: float | None, lang: str) -> str:
    return fmt.number(kwh, 1, lang)

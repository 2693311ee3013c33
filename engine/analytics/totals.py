"""Totals of a day, from which key figures follow. Unknown is None and never 0.

A day is reduced to totals (`TOTALS`, which add up, and `MAXIMA`, of which the largest counts).
"Counted" means quarter-hours that are known completely (`engine.analytics.facts`); "booked" means
every quarter-hour in the meter's ledger.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.analytics.baselines import BASELINES, NO_BATTERY, PERFECT_FORESIGHT
from engine.analytics.facts import Quarter
from engine.analytics.money import total
from engine.analytics.savings import KW_PER_KWH, SIDES, DayAccount
from engine.domain.quarter_hour import STEP_S
from engine.domain.records import LedgerRow
from engine.domain.site import Battery
from engine.history.store import COVERED_SECONDS
from engine.optimization.instance import Instance
from engine.strategies.evaluation import pv_use
from engine.strategies.replay import replay

Figures = Mapping[str, float | None]
"""Key to value; a key that is absent is as good as None."""

PARTS: tuple[str, ...] = ("energy_eur", "demand_eur", "wear_eur", "stored_eur")

ACCURACY: tuple[str, ...] = ("price", "load", "pv")
"""Series whose forecasts are scored."""

TOTALS: tuple[str, ...] = (
    "steps",
    "counted_steps",
    "bill_energy_eur",
    "bill_demand_eur",
    "bill_fixed_eur",
    "bill_uncounted_eur",
    *(f"{side}_{part}" for side in SIDES for part in PARTS),
    *(f"{baseline}_saving_eur" for baseline in BASELINES),
    "perfect_profit_eur",
    "captured_profit_eur",
    "import_kwh",
    "export_kwh",
    "charged_kwh",
    "discharged_kwh",
    "pv_kwh",
    "counted_pv_kwh",
    "counted_pv_exported_kwh",
    "counted_load_kwh",
    "counted_load_import_kwh",
    "counted_import_kwh",
    "no_battery_import_kwh",
    "counted_charged_kwh",
    "counted_discharged_kwh",
    "counted_stored_kwh",
    "soc_percent_minutes",
    "soc_minutes",
    "state_minutes",
    "available_minutes",
    *(
        f"{series}_forecast_{what}"
        for series in ACCURACY
        for what in ("steps", "error", "compared_error", "naive_error")
    ),
)
"""What is kept of a day and adds up."""

MAXIMA: tuple[str, ...] = ("peak_kw", "counted_peak_kw", "no_battery_peak_kw")
"""What is kept of a day and of which a longer period has the largest."""


@dataclass(frozen=True, slots=True)
class ForecastErrors:
    """Sums of the absolute errors of one series' forecasts.

    Attributes:
        steps: Pairs of forecast and actual.
        error: Sum of abs(P50 - actual).
        compared_error: The same over pairs whose value a week before is known.
        naive_error: Sum of abs(value a week before - actual) over those pairs.
    """

    steps: int
    error: float
    compared_error: float
    naive_error: float


@dataclass(frozen=True, slots=True)
class Presence:
    """What samples say about a day besides energy.

    Attributes:
        soc_percent_minutes: Sum of the minute means of the state of charge.
        soc_minutes: Number of them.
        state_minutes: Minutes of the day whose operating state is known or that have no sample.
        available_minutes: Minutes in automatic operation with every configured signal usable.
    """

    soc_percent_minutes: float
    soc_minutes: int
    state_minutes: int
    available_minutes: int


def day_totals(
    account: DayAccount,
    quarters: Sequence[Quarter],
    battery: Battery,
    *,
    presence: Presence | None = None,
    errors: Mapping[str, ForecastErrors] | None = None,
) -> dict[str, float | None]:
    """Return the totals and maxima of one day.

    Args:
        account: Its ledger.
        quarters: Its quarter-hours that count, ascending.
        battery: The battery.
        presence: What the samples say; None when nothing is known.
        errors: Errors of forecasts by series (`ACCURACY`).
    """
    booked = [quarter.booked for quarter in account.quarters]
    out: dict[str, float | None] = dict.fromkeys((*TOTALS, *MAXIMA))
    out |= {"steps": account.steps, "counted_steps": account.counted}
    bill = account.bill
    out |= {
        "bill_energy_eur": bill.energy_eur if booked else None,
        "bill_demand_eur": bill.demand_eur if booked else None,
        "bill_fixed_eur": bill.fixed_eur,
        "bill_uncounted_eur": bill.uncounted_eur if booked else None,
    }
    for side, amounts in account.sides.items():
        out |= {f"{side}_{part}": getattr(amounts, part) for part in PARTS}
    out |= {f"{baseline}_saving_eur": account.saving_eur(baseline) for baseline in BASELINES}
    out |= _perfect(account)
    out |= _booked_energy(booked)
    if quarters:
        out |= _counted_energy(quarters, battery)
        out |= _baseline_imports(account, quarters)
    if presence is not None:
        out |= {
            "soc_percent_minutes": presence.soc_percent_minutes if presence.soc_minutes else None,
            "soc_minutes": presence.soc_minutes or None,
            "state_minutes": presence.state_minutes or None,
            "available_minutes": presence.available_minutes if presence.state_minutes else None,
        }
    for series, found in (errors or {}).items():
        out |= {
            f"{series}_forecast_steps": found.steps,
            f"{series}_forecast_error": found.error,
            f"{series}_forecast_compared_error": found.compared_error,
            f"{series}_forecast_naive_error": found.naive_error,
        }
    return out


def added(days: Iterable[Figures]) -> dict[str, float | None]:
    """Return the totals of several days; a total that no day knows is None."""
    listed = list(days)
    out: dict[str, float | None] = {}
    for key in TOTALS:
        known = [value for day in listed if (value := day.get(key)) is not None]
        out[key] = None if not known else total(known) if _is_money(key) else math.fsum(known)
    for key in MAXIMA:
        known = [value for day in listed if (value := day.get(key)) is not None]
        out[key] = max(known, default=None)
    return out


def _is_money(key: str) -> bool:
    return key.endswith("_eur")


def _perfect(account: DayAccount) -> dict[str, float | None]:
    sides = account.sides
    if PERFECT_FORESIGHT not in sides or NO_BATTERY not in sides:
        return {"perfect_profit_eur": None, "captured_profit_eur": None}
    best_eur = total((sides[NO_BATTERY].total_eur, -sides[PERFECT_FORESIGHT].total_eur))
    return {
        "perfect_profit_eur": best_eur,
        "captured_profit_eur": account.saving_eur(NO_BATTERY),
    }


def _booked_energy(booked: Sequence[LedgerRow]) -> dict[str, float | None]:
    def summed(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return math.fsum(known) if known else None

    whole = [row.import_kwh * KW_PER_KWH for row in booked if row.seconds >= COVERED_SECONDS]
    return {
        "import_kwh": summed(row.import_kwh for row in booked),
        "export_kwh": summed(row.export_kwh for row in booked),
        "charged_kwh": summed(row.battery_charged_kwh for row in booked),
        "discharged_kwh": summed(row.battery_discharged_kwh for row in booked),
        "pv_kwh": summed(row.pv_kwh for row in booked),
        "peak_kw": max(whole, default=None),
    }


def _counted_energy(quarters: Sequence[Quarter], battery: Battery) -> dict[str, float | None]:
    out: dict[str, float | None] = {
        "counted_import_kwh": math.fsum(q.row.import_kwh for q in quarters),
        "counted_peak_kw": max(q.row.import_kwh for q in quarters) * KW_PER_KWH,
        "counted_charged_kwh": math.fsum(q.charged_kwh for q in quarters),
        "counted_discharged_kwh": math.fsum(q.discharged_kwh for q in quarters),
        "counted_stored_kwh": math.fsum(q.stored_end_kwh - q.stored_start_kwh for q in quarters),
    }
    with_pv = [q for q in quarters if q.row.pv_kwh is not None]
    if with_pv:
        pv_kwh = math.fsum(q.row.pv_kwh or 0.0 for q in with_pv)
        out |= {
            "counted_pv_kwh": pv_kwh,
            "counted_pv_exported_kwh": min(pv_kwh, _pv_exported_kwh(with_pv, battery)),
            "counted_load_kwh": math.fsum(q.load_kwh or 0.0 for q in with_pv),
            "counted_load_import_kwh": math.fsum(q.row.import_kwh for q in with_pv),
        }
    return out


def _pv_exported_kwh(quarters: Sequence[Quarter], battery: Battery) -> float:
    """Return metered exports less what the battery exported of other than PV energy."""
    pv_kw = np.array([q.row.pv_kwh or 0.0 for q in quarters]) * KW_PER_KWH
    load_kw = np.array([q.load_kwh or 0.0 for q in quarters]) * KW_PER_KWH
    battery_kw = np.array([q.discharged_kwh - q.charged_kwh for q in quarters]) * KW_PER_KWH
    instance = Instance.for_battery(
        battery,
        start=quarters[0].ts,
        step_minutes=int(STEP_S // 60),
        buy_eur_per_kwh=np.zeros(len(quarters)),
        sell_eur_per_kwh=np.zeros(len(quarters)),
        load_kw=load_kw,
        pv_kw=pv_kw,
        import_limit_kw=0.0,
        export_limit_kw=0.0,
        energy_start_kwh=max(0.0, quarters[0].stored_start_kwh),
        curtailment_allowed=False,
    )
    use = pv_use(instance, replay(instance, battery_kw))
    other_kwh = use.battery_exported_kwh - use.battery_exported_pv_kwh
    return max(0.0, math.fsum(q.row.export_kwh for q in quarters) - other_kwh)


def _baseline_imports(account: DayAccount, quarters: Sequence[Quarter]) -> dict[str, float | None]:
    if NO_BATTERY not in account.sides:
        return {}
    imports = [
        max(0.0, q.net_total_kwh, float(np.maximum(q.net_kwh, 0.0).sum()) + q.crossing_kwh)
        for q in quarters
    ]
    return {
        "no_battery_import_kwh": math.fsum(imports),
        "no_battery_peak_kw": max(imports) * KW_PER_KWH,
    }

"""Key figures with exact definitions. Unknown is None and never 0.

A day is first reduced to totals (`TOTALS`, which add up, and `MAXIMA`, of which the largest
counts); key figures are computed from the totals of a day, a month or any range of local days
alike, never averaged from other key figures. "Counted" means quarter-hours that are known
completely (`engine.analytics.facts`); "booked" means every quarter-hour in the meter's ledger.
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

FEWEST_CYCLES = 0.5
"""Below half a cycle a measured round trip is mostly the error of the state of charge."""

MOST_STORED_SHARE = 0.25
"""A change of the store by more than this share of the load moves the self-sufficiency by more
than 25 points either way: no statement about the site. A day of an average site stays below."""

MONEY_FLOOR_EUR = 0.005
"""A profit below half a cent is none to be a share of."""


@dataclass(frozen=True, slots=True)
class KpiSettings:
    """What key figures need besides totals.

    Attributes:
        battery: For usable capacity and efficiency.
        co2_g_per_kwh: Emission factor of imported energy; None when none is configured.
    """

    battery: Battery
    co2_g_per_kwh: float | None = None


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


def kpis(totals: Figures, settings: KpiSettings) -> dict[str, float | None]:
    """Return every key figure of a period from its totals.

    Definitions; every figure is None where one of its ingredients is not known:

    * ``coverage``: counted quarter-hours / quarter-hours that have passed, 0..1.
    * ``profit_no_battery_eur``, ``profit_self_consumption_eur``, ``profit_timer_eur``: cost of the
      baseline less cost with the battery over counted quarter-hours; energy, demand, wear and
      change of stored energy on both sides (`engine.analytics.savings`).
    * ``profit_perfect_foresight_eur``: what perfect foresight would have earned against no
      battery, on the days for which it is known.
    * ``gap_to_perfect_eur``: that less the profit against no battery on the same days, >= 0.
    * ``capture``: profit against no battery / profit of perfect foresight, same days; None
      where perfect foresight earns nothing.
    * ``energy_cost_eur``, ``demand_cost_eur``, ``fixed_cost_eur``, ``bill_eur``: what the meter
      cost (booked), and their sum.
    * ``wear_cost_eur``: ageing of the counted throughput.
    * ``full_cycles``: energy drawn from the store (AC discharged / efficiency) / usable
      capacity, booked.
    * ``round_trip_efficiency``: R = discharged / (charged - stored / sqrt(R)) over counted
      quarter-hours, AC to AC, standby included; None below half a cycle and where the store
      changed by more than half of its usable capacity.
    * ``self_consumption``: 1 - PV exported / PV, counted; energy the battery exports counts as PV
      only as far as it was charged from PV on that day (pool colours).
    * ``self_sufficiency``: 1 - import / load, counted; energy charged from the grid is import, so
      that it is below 0 where more was imported than the load took. None where the store changed
      by more than a quarter of the load (`MOST_STORED_SHARE`).
    * ``peak_kw``: highest 15-min mean import, fully metered.
    * ``peak_reduction_kw``, ``peak_reduction``: highest import without a battery less the
      highest with it, counted; the latter as a share of the former, may be negative.
    * ``mean_soc_percent``: mean of the minute means.
    * ``availability``: minutes in automatic operation with complete data / minutes of the period
      (minutes without any sample are not available).
    * ``price_mae_eur_per_kwh``, ``load_mae_kw``, ``pv_mae_kw``: mean absolute error of the
      medians forecast 1 to 24 h ahead; ``*_rmae``: over that of the values a week before.
    * ``co2_kg``: booked import x factor; ``co2_saved_kg``: (import without a battery - import) x
      factor, counted. Exports earn no credit.
    """
    return (
        _money_kpis(totals)
        | _battery_kpis(totals, settings.battery)
        | _site_kpis(totals)
        | _accuracy_kpis(totals)
        | _co2_kpis(totals, settings.co2_g_per_kwh)
    )


KPIS: tuple[str, ...] = (
    "coverage",
    "profit_no_battery_eur",
    "profit_self_consumption_eur",
    "profit_timer_eur",
    "profit_perfect_foresight_eur",
    "gap_to_perfect_eur",
    "capture",
    "energy_cost_eur",
    "demand_cost_eur",
    "fixed_cost_eur",
    "bill_eur",
    "wear_cost_eur",
    "full_cycles",
    "round_trip_efficiency",
    "self_consumption",
    "self_sufficiency",
    "peak_kw",
    "peak_reduction_kw",
    "peak_reduction",
    "mean_soc_percent",
    "availability",
    "price_mae_eur_per_kwh",
    "load_mae_kw",
    "pv_mae_kw",
    "price_rmae",
    "load_rmae",
    "pv_rmae",
    "co2_kg",
    "co2_saved_kg",
)
"""Every key figure, in the order pages show them."""


def stores_more_than_used(totals: Figures) -> bool:
    """True where the store changed so much that import says little about the load.

    What was stored from the grid is import without load yet, and what was taken out of the store
    is load without import: each kWh of it moves import / load by 1 / load. Over weeks that is
    nothing; of a few minutes in which the battery was charged from the grid it makes -522 %.

    Args:
        totals: Sums of a period, as from `added`.
    """
    stored, load = totals.get("counted_stored_kwh"), totals.get("counted_load_kwh")
    if stored is None or load is None:
        return False
    return abs(stored) > MOST_STORED_SHARE * load


def round_trip_efficiency(
    charged_kwh: float, discharged_kwh: float, stored_kwh: float
) -> float | None:
    """Return R = discharged / (charged - stored / sqrt(R)), None where there is no such number.

    What is left in the store would have come out with the losses of one way
    (notes/optimisation section 6).
    """
    ratio = 1.0
    for _ in range(60):
        taken_kwh = charged_kwh - stored_kwh / math.sqrt(ratio)
        if taken_kwh <= 0.0 or discharged_kwh <= 0.0:
            return None
        ratio = discharged_kwh / taken_kwh
    return ratio


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


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None or whole <= 0.0 else part / whole


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _rest(share: float | None) -> float | None:
    return None if share is None else 1.0 - share


def _money_kpis(totals: Figures) -> dict[str, float | None]:
    best, mine = totals.get("perfect_profit_eur"), totals.get("captured_profit_eur")
    bill = [totals.get(f"bill_{part}_eur") for part in ("energy", "demand", "fixed")]
    known = [value for value in bill if value is not None]
    return {
        "coverage": _ratio(totals.get("counted_steps"), totals.get("steps")),
        "profit_no_battery_eur": totals.get("no_battery_saving_eur"),
        "profit_self_consumption_eur": totals.get("self_consumption_saving_eur"),
        "profit_timer_eur": totals.get("timer_saving_eur"),
        "profit_perfect_foresight_eur": best,
        "gap_to_perfect_eur": None if best is None or mine is None else total((best, -mine)),
        "capture": _ratio(mine, best if best is not None and best > MONEY_FLOOR_EUR else None),
        "energy_cost_eur": bill[0],
        "demand_cost_eur": bill[1],
        "fixed_cost_eur": bill[2],
        "bill_eur": total(known) if len(known) == len(bill) else None,
        "wear_cost_eur": totals.get("actual_wear_eur"),
    }


def _battery_kpis(totals: Figures, battery: Battery) -> dict[str, float | None]:
    usable_kwh = battery.energy_max_kwh - battery.energy_min_kwh

    def cycles(discharged_kwh: float | None) -> float | None:
        drawn = None if discharged_kwh is None else discharged_kwh / battery.efficiency_discharge
        return _ratio(drawn, usable_kwh)

    charged, discharged = totals.get("counted_charged_kwh"), totals.get("counted_discharged_kwh")
    stored = totals.get("counted_stored_kwh")
    turned = cycles(discharged)
    rte = None
    if (
        charged is not None
        and discharged is not None
        and stored is not None
        and (turned or 0.0) >= FEWEST_CYCLES
        and abs(stored) <= 0.5 * usable_kwh
    ):
        rte = round_trip_efficiency(charged, discharged, stored)
    return {
        "full_cycles": cycles(totals.get("discharged_kwh")),
        "round_trip_efficiency": rte,
        "mean_soc_percent": _ratio(totals.get("soc_percent_minutes"), totals.get("soc_minutes")),
        "availability": _ratio(totals.get("available_minutes"), totals.get("state_minutes")),
    }


def _site_kpis(totals: Figures) -> dict[str, float | None]:
    without, with_battery = totals.get("no_battery_peak_kw"), totals.get("counted_peak_kw")
    reduction = _less(without, with_battery)
    return {
        "self_consumption": _rest(
            _ratio(totals.get("counted_pv_exported_kwh"), totals.get("counted_pv_kwh"))
        ),
        "self_sufficiency": None
        if stores_more_than_used(totals)
        else _rest(_ratio(totals.get("counted_load_import_kwh"), totals.get("counted_load_kwh"))),
        "peak_kw": totals.get("peak_kw"),
        "peak_reduction_kw": reduction,
        "peak_reduction": _ratio(reduction, without),
    }


def _accuracy_kpis(totals: Figures) -> dict[str, float | None]:
    out: dict[str, float | None] = {}
    for series, unit in (("price", "eur_per_kwh"), ("load", "kw"), ("pv", "kw")):
        found = f"{series}_forecast"
        out[f"{series}_mae_{unit}"] = _ratio(
            totals.get(f"{found}_error"), totals.get(f"{found}_steps")
        )
        out[f"{series}_rmae"] = _ratio(
            totals.get(f"{found}_compared_error"), totals.get(f"{found}_naive_error")
        )
    return out


def _co2_kpis(totals: Figures, factor: float | None) -> dict[str, float | None]:
    imported = totals.get("import_kwh")
    avoided = _less(totals.get("no_battery_import_kwh"), totals.get("counted_import_kwh"))
    if factor is None:
        return {"co2_kg": None, "co2_saved_kg": None}
    return {
        "co2_kg": None if imported is None else imported * factor / 1000.0,
        "co2_saved_kg": None if avoided is None else avoided * factor / 1000.0,
    }

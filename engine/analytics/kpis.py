"""Key figures with exact definitions. Unknown is None and never 0.

They are computed from the totals (`engine.analytics.totals`) of a day, a month or any range of
local days alike, never averaged from other key figures. "Counted" means quarter-hours that are
known completely (`engine.analytics.facts`); "booked" means every quarter-hour in the meter's
ledger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.analytics.money import total
from engine.analytics.totals import Figures
from engine.domain.site import Battery

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

"""At which price a step of a plan would do something else, everything else being equal."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.plan import Plan
from engine.domain.site import Battery

_AT_END_KWH = 0.05


@dataclass(frozen=True, slots=True)
class TurningPoints:
    """Prices at which a step turns, EUR/kWh, while a stored kWh stays worth what it is.

    Attributes:
        charge_below: Below this price charging pays: ``(lambda - wear) eta_c``.
        discharge_above: Above it discharging pays: ``(lambda + wear) / eta_d``.
        is_full: True when the step ends at the upper end of the window: no price makes it charge.
        is_empty: True when it ends at the lower end: no price makes it discharge.
    """

    charge_below: float
    discharge_above: float
    is_full: bool
    is_empty: bool


def turning_points(plan: Plan, index: int, battery: Battery) -> TurningPoints:
    """Return at which prices step `index` of `plan` turns (optimisation notes, section 5).

    Args:
        plan: The plan.
        index: A step, 0..n-1.
        battery: Its efficiencies, wear and window.
    """
    value = float(plan.stored_value_eur_per_kwh[index])
    wear = battery.wear_cost_eur_per_kwh
    stored = float(plan.soc_kwh[index])
    return TurningPoints(
        charge_below=(value - wear) * battery.efficiency_charge,
        discharge_above=(value + wear) / battery.efficiency_discharge,
        is_full=stored >= battery.energy_max_kwh - _AT_END_KWH,
        is_empty=stored <= battery.energy_min_kwh + _AT_END_KWH,
    )

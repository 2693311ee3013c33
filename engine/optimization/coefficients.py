"""The numbers of one instance as the model takes them.

Prices of wishes. Hard physics has no price. A wish that cannot be met is paid for
per unit by which it gives way, dear enough that money alone never buys it, and no
dearer than needed so that the numbers stay well-scaled. In rising order:

* time spent outside the energy window (EUR per kWh and hour): twice the dearest
  kWh of the horizon, so recovery waits for a good quarter-hour but not for a good day;
* going deeper below the window, still being outside at the end, and missing the
  final energy;
* exceeding the import or export limit, which outranks all of the above;
* standby consumption that an empty store cannot cover.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.candidates import Candidates
from engine.optimization.instance import Instance


@dataclass(frozen=True, slots=True)
class WishPrices:
    """What it costs when a wish gives way.

    Attributes:
        outside_window_eur_per_kwh_h: Per kWh outside the energy window and hour.
        deeper_eur_per_kwh: Per kWh by which the shortfall below the window grows.
        final_eur_per_kwh: Per kWh missing or outside the window at the end.
        grid_limit_eur_per_kwh: Per kWh beyond the import or export limit.
        standby_eur_per_kwh: Per kWh of standby consumption that is not covered.
    """

    outside_window_eur_per_kwh_h: float
    deeper_eur_per_kwh: float
    final_eur_per_kwh: float
    grid_limit_eur_per_kwh: float
    standby_eur_per_kwh: float


def wish_prices(instance: Instance) -> WishPrices:
    """Return prices above anything the horizon's own prices and preferences can pay."""
    hours = instance.step_hours
    dearest = max(
        float(np.abs(instance.buy_eur_per_kwh).max()),
        float(np.abs(instance.sell_eur_per_kwh).max()),
        float(np.abs(instance.terminal_marginals_eur_per_kwh()).max()),
        0.1,
    )
    dearest += instance.export_premium_eur_per_kwh + instance.grid_slope_eur_per_kwh
    wear = instance.wear_charge_eur_per_kwh + instance.wear_discharge_eur_per_kwh
    # One kWh drawn in a single step can raise each billed peak by 1 / step_hours kW.
    peak = sum(peak.charge_eur_per_kw for peak in instance.peaks) / hours
    round_trip = instance.eta_charge * instance.eta_discharge
    money = (10.0 * (dearest + wear) + 2.0 * peak) / round_trip
    # The reserve is an insurance inside the window: being outside outranks it.
    outside = 2.0 * (dearest + instance.reserve_eur_per_kwh_h)
    grid_limit = 2.0 * (2.0 * money + outside * instance.n_steps * hours)
    return WishPrices(
        outside_window_eur_per_kwh_h=outside,
        deeper_eur_per_kwh=money,
        final_eur_per_kwh=money,
        grid_limit_eur_per_kwh=grid_limit,
        standby_eur_per_kwh=2.0 * grid_limit / round_trip,
    )


def idle_energy_kwh(instance: Instance) -> FloatArray:
    """Return the stored energy at the end of each step when the battery does nothing."""
    drawn_kwh = instance.standby_loss_kw * instance.step_hours
    steps = np.arange(1, instance.n_steps + 1)
    idle: FloatArray = np.maximum(instance.energy_start_kwh - drawn_kwh * steps, 0.0)
    return idle


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """Bounds and rooms of one instance, shape (n,) unless noted; kW and kWh.

    Attributes:
        charge_cap_kw: Upper bound of charging.
        discharge_cap_kw: Upper bound of discharging.
        import_cap_kw: Upper bound of importing within the limit.
        export_cap_kw: Upper bound of exporting within the limit.
        import_excess_kw: By how much the load alone exceeds the import limit.
        export_excess_kw: By how much uncurtailable PV alone exceeds the export limit.
        curtail_cap_kw: Upper bound of curtailment.
        energy_low_kwh: Hard lower bound of stored energy: the window, or where an idle
            battery would be if that is lower.
        energy_high_kwh: Hard upper bound, likewise.
        energy_in_kwh: Right side of the energy recursion: start energy minus standby.
        standby_cap_kwh: Standby consumption an idle store could not cover.
        charge_room_kw: Upper bound of charge + curtailment (no charging while importing).
        charge_room_kw_if_discharging: What is added to it when the step does not charge.
        discharge_room_kw: Upper bound of discharge - curtailment (no discharging while
            exporting).
        discharge_room_kw_if_charging: What is added to it when the step does not discharge.
        recovering: True when the window cannot be held from the start on (not an array).
    """

    charge_cap_kw: FloatArray
    discharge_cap_kw: FloatArray
    import_cap_kw: FloatArray
    export_cap_kw: FloatArray
    import_excess_kw: FloatArray
    export_excess_kw: FloatArray
    curtail_cap_kw: FloatArray
    energy_low_kwh: FloatArray
    energy_high_kwh: FloatArray
    energy_in_kwh: FloatArray
    standby_cap_kwh: FloatArray
    charge_room_kw: FloatArray
    charge_room_kw_if_discharging: FloatArray
    discharge_room_kw: FloatArray
    discharge_room_kw_if_charging: FloatArray
    recovering: bool

    def relaxed(self) -> Coefficients:
        """Return the same bounds with the room of undecided directions at its widest."""
        return replace(
            self,
            charge_room_kw=self.charge_room_kw + self.charge_room_kw_if_discharging,
            discharge_room_kw=self.discharge_room_kw + self.discharge_room_kw_if_charging,
        )


def coefficients(instance: Instance, candidates: Candidates) -> Coefficients:
    """Return the tightest bounds that cut off no sensible plan.

    Import never exceeds load plus charging and export never exceeds PV surplus plus
    discharging when only one of them flows, which keeps the switching constraints of
    the binary model tight.
    """
    load, pv = instance.load_kw, instance.pv_kw
    surplus = np.maximum(pv - load, 0.0)
    deficit = np.maximum(load - pv, 0.0)
    zeros = np.zeros(instance.n_steps)

    charge_cap = instance.charge_limit_kw.copy()
    charge_room, charge_room_more = pv + instance.charge_limit_kw, zeros.copy()
    if not instance.grid_charge_allowed:
        charge_cap = np.minimum(charge_cap, surplus)
        may_charge = charge_cap > 0.0
        charge_room = np.where(may_charge, surplus, pv)
        charge_room_more = np.where(may_charge & candidates.battery, load, 0.0)

    discharge_cap = instance.discharge_limit_kw.copy()
    discharge_room, discharge_room_more = discharge_cap.copy(), zeros.copy()
    if not instance.battery_export_allowed:
        # With surplus PV, discharging without exporting means giving that surplus away.
        decided = (surplus > 0.0) & candidates.battery & instance.curtailment_allowed
        discharge_cap = np.where((surplus > 0.0) & ~decided, 0.0, np.minimum(discharge_cap, load))
        discharge_room = np.where(decided, -surplus, deficit)
        discharge_room_more = np.where(decided, surplus, 0.0)

    must_take_pv = zeros if instance.curtailment_allowed else pv
    idle = idle_energy_kwh(instance)
    standby_kwh = instance.standby_loss_kw * instance.step_hours
    before = np.concatenate(([instance.energy_start_kwh], idle[:-1]))
    energy_in = np.full(instance.n_steps, -standby_kwh)
    energy_in[0] += instance.energy_start_kwh
    return Coefficients(
        charge_cap_kw=charge_cap,
        discharge_cap_kw=discharge_cap,
        import_cap_kw=np.minimum(
            instance.import_limit_kw, np.maximum(load - must_take_pv + charge_cap, 0.0)
        ),
        export_cap_kw=np.minimum(
            instance.export_limit_kw, np.maximum(pv - load + discharge_cap, 0.0)
        ),
        import_excess_kw=np.maximum(deficit - instance.import_limit_kw, 0.0),
        export_excess_kw=np.where(
            instance.curtailment_allowed, 0.0, np.maximum(surplus - instance.export_limit_kw, 0.0)
        ),
        curtail_cap_kw=pv.copy() if instance.curtailment_allowed else zeros,
        energy_low_kwh=np.minimum(instance.energy_min_kwh, idle),
        energy_high_kwh=np.maximum(instance.energy_max_kwh, idle),
        energy_in_kwh=energy_in,
        standby_cap_kwh=np.maximum(standby_kwh - (before - idle), 0.0),
        charge_room_kw=charge_room,
        charge_room_kw_if_discharging=charge_room_more,
        discharge_room_kw=discharge_room,
        discharge_room_kw_if_charging=discharge_room_more,
        recovering=bool(
            instance.energy_start_kwh > instance.energy_max_kwh
            or idle[-1] < instance.energy_min_kwh
        ),
    )

"""Stored energy kept ready so that a billed peak can be held, and the peak worth holding.

Source: optimisation notes, section 3b. A plan against one load forecast empties the store
too early when the load turns out higher; the reserve is what the upper net load would still
need. The target comes from what an optimal battery could have held in the past weeks, never
from one's own last metered peak (that ratchet lost money in the notes' year).
"""

from __future__ import annotations

import numpy as np

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.domain.site import Battery
from engine.optimization.values import finite_number, finite_series

RESERVE_HORIZON_HOURS = 28.0
"""How far ahead the reserve looks: a day and the morning after it."""

PV_COUNTED = 0.4
"""Share of forecast PV power that the upper net load counts on."""

ENVELOPE_WEEKS = 4
"""Weeks of past load whose highest value per time of the week is the upper load."""

TARGET_SHARE = 1.0
"""Default factor kappa between the optimal past peak and the target."""

AROUND_STEPS = 4
"""The upper load looks so many steps to either side: peaks do not keep to the quarter-hour."""

RESERVE_SHARE = 0.05
"""Price of a kWh missing in the reserve for an hour, as a share of the demand charge per kW:
dearer than any price spread, cheaper than the peak it insures against."""

_PV_DAYS = 21

_TARGET_RESOLUTION_KW = 1e-3


def upper_net_load_kw(load_high_kw: FloatArray, pv_kw: FloatArray) -> FloatArray:
    """Return the upper net load, shape (n,): a high load less the PV power counted on.

    Args:
        load_high_kw: P90 forecast or envelope of the load, shape (n,), >= 0.
        pv_kw: PV forecast, shape (n,), >= 0.
    """
    load = finite_series("load_high_kw", load_high_kw)
    upper: FloatArray = load - PV_COUNTED * finite_series("pv_kw", pv_kw, load.size)
    return upper


def load_envelope_kw(past_load_kw: FloatArray, n: int, step_hours: float) -> FloatArray:
    """Return the highest load at the same time of the week in the past weeks, shape (n,).

    Args:
        past_load_kw: Metered load that ends where the `n` steps begin, whole weeks, at most
            `ENVELOPE_WEEKS` of which count; shape (m,), m at least one week.
        n: Number of steps ahead.
        step_hours: Length of a step.

    Raises:
        OptimizationError: Less than a week of load is given.
    """
    past = finite_series("past_load_kw", past_load_kw)
    week = round(7 * 24 / step_hours)
    weeks = min(past.size // week, ENVELOPE_WEEKS)
    if weeks == 0:
        raise OptimizationError(
            f"{past.size} steps of load are less than a week.",
            field="past_load_kw",
            value=int(past.size),
            hint="Use the P90 load forecast until a week is metered.",
        )
    highest = past[-weeks * week :].reshape(weeks, week).max(axis=0)
    envelope: FloatArray = np.resize(highest, n)
    return envelope


def peak_reserve_kwh(
    net_load_high_kw: FloatArray,
    *,
    target_kw: float,
    eta_charge: float,
    eta_discharge: float,
    energy_min_kwh: float,
    energy_max_kwh: float,
    charge_limit_kw: FloatArray | float,
    discharge_limit_kw: FloatArray | float,
    step_hours: float,
    horizon_hours: float = RESERVE_HORIZON_HOURS,
) -> FloatArray:
    """Return the stored energy to keep at the END of each step, shape (n,).

    Backward over each step's window of `horizon_hours`: a step above the target needs its
    excess out of the store, one below it can put energy back first,

        R_{t-1} = max(E_min, R_t + min(n_t - P, D)+ h / eta_d - min(P - n_t, C)+ h eta_c),

    capped at `energy_max_kwh`. What is recharged counts only up to the target, so that
    recharging sets no peak itself. Energy beyond the battery's power is not asked for: it
    could not be delivered.

    Args:
        net_load_high_kw: Upper net load per step, + import, shape (n,).
        target_kw: Import level to hold, >= 0.
        eta_charge: Share of charged AC energy that is stored.
        eta_discharge: Share of drawn stored energy that reaches AC.
        energy_min_kwh: Lower end of the window.
        energy_max_kwh: Upper end of the window.
        charge_limit_kw: Charge limit, shape (n,) or one number.
        discharge_limit_kw: Discharge limit, shape (n,) or one number.
        step_hours: Length of a step.
        horizon_hours: How far ahead a step looks.

    Raises:
        OptimizationError: A number is missing or negative, or a length does not fit.
    """
    net = finite_series("net_load_high_kw", net_load_high_kw, signed=True)
    n = net.size
    target = finite_number("target_kw", target_kw, low=0.0)
    charge = finite_series("charge_limit_kw", np.broadcast_to(charge_limit_kw, (n,)), n)
    discharge = finite_series("discharge_limit_kw", np.broadcast_to(discharge_limit_kw, (n,)), n)
    drawn_kwh = np.clip(net - target, 0.0, discharge) * step_hours / eta_discharge
    regained_kwh = np.clip(target - net, 0.0, charge) * step_hours * eta_charge
    need_kwh = drawn_kwh - regained_kwh
    ahead = max(1, round(horizon_hours / step_hours))
    if not drawn_kwh.any():
        return np.full(n, energy_min_kwh, dtype=np.float64)
    # All steps at once, from the far end of each one's window: steps beyond the end need nothing.
    padded = np.concatenate([need_kwh, np.zeros(ahead)])
    reserve = np.full(n, energy_min_kwh, dtype=np.float64)
    for later in range(min(ahead, n - 1), 0, -1):
        np.add(reserve, padded[later : later + n], out=reserve)
        np.maximum(reserve, energy_min_kwh, out=reserve)
        np.minimum(reserve, energy_max_kwh, out=reserve)
    return reserve


def peak_target_kw(
    past_load_kw: FloatArray,
    past_pv_kw: FloatArray,
    battery: Battery,
    *,
    step_hours: float,
    kappa: float = TARGET_SHARE,
    floor_kw: float = 0.0,
) -> float:
    """Return the import level worth holding: kappa times the lowest peak held in hindsight.

    Args:
        past_load_kw: Metered load of the trailing weeks (the notes take four), shape (m,).
        past_pv_kw: PV power of the same steps, shape (m,).
        battery: Nameplate and window.
        step_hours: Length of a step.
        kappa: Factor on that peak, > 0; above 1 for a target that is safer to hold.
        floor_kw: The target is at least this, for example a peak already metered.

    Raises:
        OptimizationError: A number is missing or negative, or a length does not fit.
    """
    share = finite_number("kappa", kappa, low=0.0)
    floor = finite_number("floor_kw", floor_kw, low=0.0)
    lowest_kw = lowest_peak_kw(past_load_kw, past_pv_kw, battery, step_hours=step_hours)
    return max(floor, share * lowest_kw)


def scaled_reserve_kwh(reserve_kwh: FloatArray, share: float, battery: Battery) -> FloatArray:
    """Return `share` of what a reserve asks for above the empty window, at most a full one."""
    low, high = battery.energy_min_kwh, battery.energy_max_kwh
    scaled: FloatArray = np.minimum(low + share * (reserve_kwh - low), high)
    return scaled


def peak_between_kw(
    load_kw: FloatArray,
    pv_kw: FloatArray,
    battery: Battery,
    *,
    step_hours: float,
    share: float,
    lowest_kw: float | None = None,
) -> float:
    """Return the import worth holding, between the lowest possible peak and none held at all.

    Args:
        load_kw: Metered load of the trailing weeks, shape (m,).
        pv_kw: PV power of the same steps, shape (m,).
        battery: Nameplate and window.
        step_hours: Length of a step.
        share: 0 for the lowest peak that was possible in hindsight, 1 for the peak without a
            battery.
        lowest_kw: The lowest possible peak where it is known already.

    Raises:
        OptimizationError: A number is missing or negative, or a length does not fit.
    """
    lowest = lowest_kw
    if lowest is None:
        lowest = lowest_peak_kw(load_kw, pv_kw, battery, step_hours=step_hours)
    without = max(0.0, float((load_kw - pv_kw).max()))
    return lowest + share * (without - lowest)


def pv_by_time_kw(past_pv_kw: FloatArray, n: int, *, quantile: float) -> FloatArray:
    """Return a low PV power at the same time of day in three weeks, shape (n,).

    The lowest of every time together is a day darker than any there was. On a site whose peaks
    come from the load that costs little and protects; on one with much PV it keeps energy all
    year for a day that does not come.

    Args:
        past_pv_kw: 15-min means that end where the `n` steps begin, at least a day.
        n: Number of steps ahead.
        quantile: 0 for the lowest, 0.5 for the middle.
    """
    days = min(_PV_DAYS, past_pv_kw.size // 96)
    past = past_pv_kw[-days * 96 :].reshape(days, 96)
    low = past.min(axis=0) if quantile <= 0.0 else np.quantile(past, quantile, axis=0)
    repeated: FloatArray = np.resize(low, n)
    return repeated


def lowest_peak_kw(
    load_kw: FloatArray,
    pv_kw: FloatArray,
    battery: Battery,
    *,
    step_hours: float,
    guess_kw: float | None = None,
) -> float:
    """Return the lowest peak import a battery can hold when it knows all that comes.

    It starts in the middle of its window and ends with at least as much. For a given peak
    no plan keeps more stored at any time than the one that recharges whatever fits under the
    peak and discharges only what exceeds it; so that one replay decides whether a peak can
    be held, and bisection finds the lowest, to 1 W. (Equal to a linear programme with the
    peak as its only cost, 50 times faster over four weeks.)

    Args:
        load_kw: Load, shape (m,), >= 0.
        pv_kw: PV power, shape (m,), >= 0.
        battery: Nameplate and window.
        step_hours: Length of a step.
        guess_kw: A peak it may be, for example that of the day before; saves most of the search
            where it is.

    Raises:
        OptimizationError: A number is missing or negative, or a length does not fit.
    """
    load = finite_series("load_kw", load_kw)
    net = load - finite_series("pv_kw", pv_kw, load.size)
    net_kw = net.tolist()
    low, high = max(0.0, float(net.max()) - battery.power_discharge_max_kw), float(net.max())
    if high <= low or _holds(net_kw, low, battery, step_hours):
        return max(low, 0.0)
    for at in () if guess_kw is None else (guess_kw, guess_kw - _TARGET_RESOLUTION_KW):
        if low < at < high:
            low, high = (low, at) if _holds(net_kw, at, battery, step_hours) else (at, high)
    while high - low > _TARGET_RESOLUTION_KW:
        middle = (low + high) / 2.0
        if _holds(net_kw, middle, battery, step_hours):
            high = middle
        else:
            low = middle
    return high


def _holds(net_kw: list[float], peak_kw: float, battery: Battery, hours: float) -> bool:
    """Return whether the battery can keep every import at or below `peak_kw`."""
    least, most = battery.energy_min_kwh, battery.energy_max_kwh
    gain, draw = hours * battery.efficiency_charge, hours / battery.efficiency_discharge
    standby, limit = hours * battery.standby_loss_kw, battery.power_charge_max_kw
    start = stored = (least + most) / 2.0
    for net in net_kw:
        room = peak_kw - net
        stored += room * draw if room < 0.0 else min(room, limit) * gain
        stored = min(stored - standby, most)
        if stored < least:
            return False
    return stored >= start

"""The grid power load balancing aims at: its own moving average, with battery compensation."""

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.instance import Instance

_BISECTIONS = 40


def moving_average_kw(
    net_kw: FloatArray, past_kw: FloatArray, steps: int, centred: bool
) -> FloatArray:
    """Return the moving average of the net load, shape (n,).

    Args:
        net_kw: Net load forecast (load minus PV), shape (n,).
        past_kw: Net load before the horizon, newest last, shape (k,), k >= 0.
        steps: Length of the window in steps, >= 1.
        centred: Half of the window lies ahead; False: it ends with the step itself. At both
            ends of what is known the window is cut, never padded.
    """
    ahead = steps // 2 if centred else 0
    behind = steps - 1 - ahead
    kept = past_kw[past_kw.size - min(behind, past_kw.size) :]
    known = np.concatenate([kept, net_kw])
    sums = np.concatenate([[0.0], np.cumsum(known)])
    at = kept.size + np.arange(net_kw.size)
    first = np.maximum(at - behind, 0)
    stop = np.minimum(at + ahead + 1, known.size)
    average: FloatArray = (sums[stop] - sums[first]) / (stop - first)
    return average


def reference_kw(
    instance: Instance,
    past_kw: FloatArray,
    *,
    window_hours: float,
    centred: bool,
    return_hours: float,
) -> FloatArray:
    """Return grid power to aim at, + import, shape (n,).

    The moving average of the net load alone is not feasible: tracking it costs the losses
    of the battery, and a store that starts off the middle never returns. A constant power
    on top, found by bisection, pays for the losses and takes the store to the middle of
    its window, so that tracking the reference exactly would end there.

    Args:
        instance: The plant with its net load forecast.
        past_kw: Net load before the horizon, newest last, shape (k,), k >= 0.
        window_hours: Length of the moving average.
        centred: Half of the window lies ahead.
        return_hours: Time for the way back to the middle, > 0; a horizon shorter than that
            goes only its share of the way.
    """
    net_kw = instance.load_kw - instance.pv_kw
    steps = max(1, round(window_hours / instance.step_hours))
    average = moving_average_kw(net_kw, past_kw, steps, centred)
    hours = instance.step_hours
    first = min(instance.n_steps, max(1, round(return_hours / hours)))
    middle_kwh = (instance.energy_min_kwh + instance.energy_max_kwh) / 2.0
    missing_kwh = (middle_kwh - instance.energy_start_kwh) * first * hours / return_hours

    reference = average + _compensation_kw(instance, net_kw - average, slice(0, first), missing_kwh)
    if first < instance.n_steps:
        later = slice(first, instance.n_steps)
        reference[later] = average[later] + _compensation_kw(instance, net_kw - average, later, 0.0)
    return reference


def _compensation_kw(
    instance: Instance, swing_kw: FloatArray, steps: slice, gain_kwh: float
) -> float:
    """Return the constant power that makes the store gain `gain_kwh` over `steps`."""
    hours = instance.step_hours
    swing = swing_kw[steps]
    charge_cap, discharge_cap = instance.charge_limit_kw[steps], instance.discharge_limit_kw[steps]
    standby_kwh = hours * instance.standby_loss_kw * swing.size

    def gained_kwh(extra_kw: float) -> float:
        battery = np.clip(swing - extra_kw, -charge_cap, discharge_cap)
        moved = instance.eta_charge * np.maximum(-battery, 0.0)
        moved -= np.maximum(battery, 0.0) / instance.eta_discharge
        return hours * float(moved.sum()) - standby_kwh

    reach = float(np.abs(swing).max() + max(charge_cap.max(), discharge_cap.max()))
    low, high = -reach, reach
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if gained_kwh(middle) < gain_kwh else (low, middle)
    return (low + high) / 2.0

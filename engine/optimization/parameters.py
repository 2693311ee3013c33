"""The numbers a statement takes: one value per parameter name."""

from __future__ import annotations

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.candidates import Candidates
from engine.optimization.coefficients import Coefficients, wish_prices
from engine.optimization.instance import Instance
from engine.optimization.outcome import Decisions
from engine.optimization.shape import charged_peaks

Values = dict[str, FloatArray | float | None]


def parameter_values(
    instance: Instance,
    numbers: Coefficients,
    *,
    candidates: Candidates | None = None,
    decisions: Decisions | None = None,
    held_kw: float | None = None,
) -> Values:
    """Return the value of every parameter a statement of any shape may have.

    Args:
        instance: The planning problem.
        numbers: Its bounds.
        candidates: Steps with a binary variable.
        decisions: Directions to hold.
        held_kw: Battery power of the first step to hold.
    """
    hours = instance.step_hours
    prices = wish_prices(instance)
    values: Values = {
        "net_kw": instance.load_kw - instance.pv_kw,
        "buy": hours * instance.buy_eur_per_kwh,
        "sell": hours * (instance.sell_eur_per_kwh - instance.export_premium_eur_per_kwh),
        "given_away": hours * instance.export_premium_eur_per_kwh,
        "wear_charge": hours * instance.wear_charge_eur_per_kwh,
        "wear_discharge": hours * instance.wear_discharge_eur_per_kwh,
        "terminal": instance.terminal_value_eur_per_kwh,
        "import_excess": numbers.import_excess_kw,
        "export_excess": numbers.export_excess_kw,
        "grid_limit_price": hours * prices.grid_limit_eur_per_kwh,
        "energy_in": numbers.energy_in_kwh,
        "gain": hours * instance.eta_charge,
        "draw": hours / instance.eta_discharge,
        "energy_low": numbers.energy_low_kwh,
        "energy_high": numbers.energy_high_kwh,
        "curtail_cap": numbers.curtail_cap_kw,
        "final": instance.energy_final_min_kwh,
        "final_price": prices.final_eur_per_kwh,
        "outside_price": hours * prices.outside_window_eur_per_kwh_h,
        "deeper_price": prices.deeper_eur_per_kwh,
        "standby_price": prices.standby_eur_per_kwh,
        "back_price": prices.final_eur_per_kwh,
        "standby_cap": numbers.standby_cap_kwh,
        "energy_min": instance.energy_min_kwh,
        "energy_max": instance.energy_max_kwh,
        "below_start": max(0.0, instance.energy_min_kwh - instance.energy_start_kwh),
        "held_kw": held_kw,
        "held_price": hours * prices.deeper_eur_per_kwh,
    }
    return (
        values
        | _term_values(instance, candidates)
        | _cap_values(numbers, candidates, decisions)
        | ({} if candidates is None else _split_values(instance, numbers, candidates))
    )


def _term_values(instance: Instance, candidates: Candidates | None) -> Values:
    hours = instance.step_hours
    values: Values = {
        "smoothing_price": hours * instance.smoothing_eur_per_kwh,
        "smoothing_reference": instance.smoothing_reference_kw,
        "ramp_price": instance.ramp_eur_per_kw,
        "grid_before": instance.grid_before_kw,
        "reserve_price": hours * instance.reserve_eur_per_kwh_h,
        "reserve": instance.energy_reserve_kwh,
        "curve_price": 1.0,
    }
    if instance.terminal_curve is not None:
        values["curve_marginals"] = instance.terminal_curve.marginals_eur_per_kwh
        values["curve_intercepts"] = instance.terminal_curve.intercepts_eur()
    decided = np.zeros(instance.n_steps, dtype=np.bool_)
    if candidates is not None:
        decided = candidates.grid
    for index, peak in enumerate(charged_peaks(instance)):
        values[f"billed_{index}"] = peak.billed.astype(np.float64)
        values[f"floor_{index}"] = np.where(decided, 0.0, peak.floor_kw)
        values[f"floor_tied_{index}"] = np.where(decided, peak.floor_kw, 0.0)
        values[f"peak_price_{index}"] = peak.charge_eur_per_kw
    return values


def _cap_values(
    numbers: Coefficients, candidates: Candidates | None, decisions: Decisions | None
) -> Values:
    caps: dict[str, FloatArray] = {
        "charge": numbers.charge_cap_kw,
        "discharge": numbers.discharge_cap_kw,
        "import": numbers.import_cap_kw,
        "export": numbers.export_cap_kw,
    }
    values: Values = {}
    charge_room, discharge_room = numbers.charge_room_kw, numbers.discharge_room_kw
    if decisions is not None:
        battery, grid = decisions.candidates.battery, decisions.candidates.grid
        no_charge, no_discharge = battery & ~decisions.charging, battery & decisions.charging
        caps = {
            "charge": np.where(no_charge, 0.0, caps["charge"]),
            "discharge": np.where(no_discharge, 0.0, caps["discharge"]),
            "import": np.where(grid & ~decisions.importing, 0.0, caps["import"]),
            "export": np.where(grid & decisions.importing, 0.0, caps["export"]),
        }
        charge_room = charge_room + np.where(no_charge, numbers.charge_room_kw_if_discharging, 0.0)
        discharge_room = discharge_room + np.where(
            no_discharge, numbers.discharge_room_kw_if_charging, 0.0
        )
    if candidates is not None:
        masks = {
            "charge": candidates.battery,
            "discharge": candidates.battery,
            "import": candidates.grid,
            "export": candidates.grid,
        }
        for name, mask in masks.items():
            values[f"{name}_tied"] = np.where(mask, caps[name], 0.0)
            caps[name] = np.where(mask, 0.0, caps[name])
    values |= {f"{name}_cap": cap for name, cap in caps.items()}
    undecided = np.ones_like(charge_room) if candidates is None else candidates.battery
    return values | {
        "charge_room": charge_room,
        "charge_room_more": np.where(undecided, numbers.charge_room_kw_if_discharging, 0.0),
        "discharge_room": discharge_room,
        "discharge_room_more": np.where(undecided, numbers.discharge_room_kw_if_charging, 0.0),
    }


def _split_values(instance: Instance, numbers: Coefficients, candidates: Candidates) -> Values:
    decided = candidates.grid
    values: Values = {
        "net_split": np.where(decided, instance.load_kw - instance.pv_kw, 0.0),
        "import_unsplit": np.where(decided, 0.0, numbers.import_cap_kw + numbers.import_excess_kw),
    }
    for name, cap in (
        ("charge", numbers.charge_cap_kw),
        ("discharge", numbers.discharge_cap_kw),
        ("curtailed", numbers.curtail_cap_kw),
    ):
        values[f"{name}_split"] = np.where(decided, cap, 0.0)
        values[f"{name}_unsplit"] = np.where(decided, 0.0, cap)
    return values

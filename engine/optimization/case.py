"""The solve-case JSON (DESIGN section 6): one optimisation from a file.

`battery.cycle_cost_per_kwh` counts AC kWh discharged. State of charge is given as
fractions of `battery.capacity_kwh`. `terminal_value_eur_per_kwh` may stand in the case
or in its battery; together with `soc_final` both apply.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from engine.domain.errors import OptimizationError
from engine.domain.plan import PlanCheck
from engine.optimization.instance import Instance
from engine.optimization.solution import Solution

_SERIES = ("buy", "sell", "pv_kw", "load_kw")
_FLAGS = ("grid_charge_allowed", "battery_export_allowed", "curtailment_allowed")
_NUMBERS = ("demand_charge_per_kw", "incurred_peak_kw")
_TERMINAL = "terminal_value_eur_per_kwh"
_CASE = frozenset({"start", "step_minutes", "battery", "grid"}.union(_SERIES))
_CASE_OPTIONS = frozenset({_TERMINAL}.union(_FLAGS, _NUMBERS))
_SHARES = ("soc_min", "soc_max", "soc_init")
_BATTERY = frozenset({"capacity_kwh", "charge_kw", "discharge_kw", "eta_c", "eta_d"}.union(_SHARES))
_BATTERY_OPTIONS = frozenset({"soc_final", "cycle_cost_per_kwh", _TERMINAL})
_GRID = frozenset({"import_kw", "export_kw"})


def _fail(message: str, field: str, value: Any, hint: str) -> OptimizationError:
    return OptimizationError(message, field=field, value=value, hint=hint)


def _table(
    data: Any, name: str, required: frozenset[str], optional: frozenset[str]
) -> Mapping[str, Any]:
    where = name or "case"
    if not isinstance(data, Mapping):
        raise _fail(f"{data!r} is not an object.", where, data, 'Write it as {"key": value, ...}.')
    prefix = f"{name}." if name else ""
    for key in data:
        if key not in required | optional:
            known = ", ".join(sorted(required | optional))
            raise _fail("this key is not known.", f"{prefix}{key}", data[key], f"Known: {known}.")
    for key in sorted(required):
        if key not in data:
            raise _fail("this key is missing.", f"{prefix}{key}", None, "Add it to the case.")
    return data


def _number(
    value: Any, field: str, *, low: float = -math.inf, high: float = math.inf, hint: str = ""
) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _fail(f"{value!r} is not a finite number.", field, value, "Give a finite number.")
    if not low <= value <= high:
        limits = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        raise _fail(f"{value!r} is not {limits}.", field, value, hint or f"Give a value {limits}.")
    return float(value)


def _share(value: Any, field: str) -> float:
    return _number(
        value, field, low=0.0, high=1.0, hint="Give a fraction, for example 0.9 for 90 %."
    )


def _list(value: Any, field: str, n: int | None, low: float = -math.inf) -> list[float]:
    if not isinstance(value, list | tuple) or not value:
        raise _fail(f"{value!r} is not a list.", field, value, "Give one number per step.")
    if n is not None and len(value) != n:
        raise _fail(
            f"the list has {len(value)} values, but buy has {n}.",
            field,
            len(value),
            "Give every series one value per step.",
        )
    return [_number(entry, f"{field}[{step}]", low=low) for step, entry in enumerate(value)]


def _flag(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise _fail(f"{value!r} is neither true nor false.", field, value, "Give true or false.")
    return value


def _start(value: Any) -> datetime:
    hint = "Give ISO 8601 with an offset, for example 2026-03-01T00:00:00+01:00."
    try:
        start = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _fail(f"{value!r} is not a time.", "start", value, hint) from error
    if start.tzinfo is None:
        raise _fail(f"{value!r} has no time zone offset.", "start", value, hint)
    return start


def _terminal_value(case: Mapping[str, Any], battery: Mapping[str, Any]) -> float:
    given = {
        field: _number(table[_TERMINAL], field)
        for field, table in ((_TERMINAL, case), (f"battery.{_TERMINAL}", battery))
        if table.get(_TERMINAL) is not None
    }
    if len(set(given.values())) > 1:
        raise _fail(
            "the case and its battery give different values.",
            _TERMINAL,
            list(given.values()),
            "Give it once.",
        )
    return next(iter(given.values()), 0.0)


def parse_case(data: Mapping[str, Any]) -> Instance:
    """Return the instance that a solve case describes.

    Args:
        data: The parsed JSON object.

    Raises:
        OptimizationError: A key is unknown or missing, a series has the wrong length, a
            number is missing, not finite or impossible, the start has no offset. The
            error names the key.
    """
    case = _table(data, "", _CASE, _CASE_OPTIONS)
    battery = _table(case["battery"], "battery", _BATTERY, _BATTERY_OPTIONS)
    grid = _table(case["grid"], "grid", _GRID, frozenset())
    minutes = case["step_minutes"]
    if isinstance(minutes, bool) or not isinstance(minutes, int) or not 1 <= minutes <= 1440:
        raise _fail(
            f"{minutes!r} is not a step length.",
            "step_minutes",
            minutes,
            "Give whole minutes from 1 to 1440.",
        )
    buy = _list(case["buy"], "buy", None)
    n = len(buy)
    sell = _list(case["sell"], "sell", n)
    pv_kw = _list(case["pv_kw"], "pv_kw", n, low=0.0)
    load_kw = _list(case["load_kw"], "load_kw", n, low=0.0)

    capacity_kwh = _number(battery["capacity_kwh"], "battery.capacity_kwh", low=0.0)
    power = {
        key: _number(battery[key], f"battery.{key}", low=0.0)
        for key in ("charge_kw", "discharge_kw")
    }
    eta = {key: _share(battery[key], f"battery.{key}") for key in ("eta_c", "eta_d")}
    for key, share in eta.items():
        if share == 0.0:
            raise _fail("0 is no efficiency.", f"battery.{key}", share, "Give a share above 0.")
    soc = {key: _share(battery[key], f"battery.{key}") for key in _SHARES}
    if soc["soc_min"] > soc["soc_max"]:
        raise _fail(
            f"{soc['soc_min']:g} is above soc_max = {soc['soc_max']:g}.",
            "battery.soc_min",
            soc["soc_min"],
            "Lower it to at most soc_max.",
        )
    final = battery.get("soc_final")
    if final is not None and _share(final, "battery.soc_final") > soc["soc_max"]:
        raise _fail(
            f"{final:g} is above soc_max = {soc['soc_max']:g}.",
            "battery.soc_final",
            final,
            "Lower it to at most soc_max, or give null.",
        )
    limits = {key: _number(grid[key], f"grid.{key}", low=0.0) for key in sorted(_GRID)}
    numbers = {key: _number(case.get(key, 0.0), key, low=0.0) for key in _NUMBERS}
    flags = {key: _flag(case.get(key, True), key) for key in _FLAGS}
    return Instance(
        start=_start(case["start"]),
        step_minutes=minutes,
        buy_eur_per_kwh=np.array(buy),
        sell_eur_per_kwh=np.array(sell),
        load_kw=np.array(load_kw),
        pv_kw=np.array(pv_kw),
        charge_limit_kw=np.full(n, power["charge_kw"]),
        discharge_limit_kw=np.full(n, power["discharge_kw"]),
        import_limit_kw=np.full(n, limits["import_kw"]),
        export_limit_kw=np.full(n, limits["export_kw"]),
        eta_charge=eta["eta_c"],
        eta_discharge=eta["eta_d"],
        energy_min_kwh=capacity_kwh * soc["soc_min"],
        energy_max_kwh=capacity_kwh * soc["soc_max"],
        energy_start_kwh=capacity_kwh * soc["soc_init"],
        energy_final_min_kwh=None if final is None else capacity_kwh * final,
        terminal_value_eur_per_kwh=_terminal_value(case, battery),
        wear_discharge_eur_per_kwh=_number(
            battery.get("cycle_cost_per_kwh", 0.0), "battery.cycle_cost_per_kwh", low=0.0
        ),
        demand_charge_eur_per_kw=numbers["demand_charge_per_kw"],
        incurred_peak_kw=numbers["incurred_peak_kw"],
        grid_charge_allowed=flags["grid_charge_allowed"],
        battery_export_allowed=flags["battery_export_allowed"],
        curtailment_allowed=flags["curtailment_allowed"],
    )


def _finite(number: float) -> float | None:
    # JSON has no infinity; a check that could not be carried out has no number.
    return number if math.isfinite(number) else None


def answer(instance: Instance, solution: Solution, check: PlanCheck) -> dict[str, Any]:
    """Return the answer to a solve case, ready for JSON.

    Powers in kW (battery + = discharge, grid + = import), energies in kWh at the end of
    each step, money in EUR; `gave_way` maps a wish to the amount it gave way.
    """
    return {
        "start": instance.start.isoformat(),
        "step_minutes": instance.step_minutes,
        "status": solution.status,
        "solver": solution.solver,
        "gap": solution.gap,
        "solve_ms": solution.solve_ms,
        "cost_eur": solution.cost_eur,
        "energy_cost_eur": solution.energy_cost_eur,
        "wear_cost_eur": solution.wear_cost_eur,
        "demand_cost_eur": solution.demand_cost_eur,
        "baseline_cost_eur": solution.baseline_cost_eur,
        "objective_eur": solution.objective_eur,
        "peaks_kw": list(solution.peaks_kw),
        "battery_kw": solution.battery_kw.tolist(),
        "grid_kw": solution.grid_kw.tolist(),
        "curtailed_kw": solution.curtailed_kw.tolist(),
        "soc_kwh": solution.soc_kwh.tolist(),
        "stored_value_eur_per_kwh": solution.stored_value_eur_per_kwh.tolist(),
        "site_price_eur_per_kwh": solution.site_price_eur_per_kwh.tolist(),
        "gave_way": dict(solution.gave_way),
        "check": {
            "passed": check.passed,
            "max_violation_kw": _finite(check.max_violation_kw),
            "max_violation_kwh": _finite(check.max_violation_kwh),
            "cost_difference_eur": _finite(check.cost_difference_eur),
            "messages": list(check.messages),
        },
    }

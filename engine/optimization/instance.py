"""What the optimiser is asked (`Instance`) and what it answers (`Solution`).

Signs and units follow DESIGN section 2: powers in kW, energies in kWh, money in
EUR, battery + = discharge, grid + = import, `grid = load - pv + curtailed - battery`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.domain.site import Battery

_SERIES = (
    "buy_eur_per_kwh",
    "sell_eur_per_kwh",
    "load_kw",
    "pv_kw",
    "charge_limit_kw",
    "discharge_limit_kw",
    "import_limit_kw",
    "export_limit_kw",
)
_MAY_BE_NEGATIVE = frozenset({"buy_eur_per_kwh", "sell_eur_per_kwh"})
_NON_NEGATIVE_NUMBERS = (
    "energy_min_kwh",
    "energy_max_kwh",
    "energy_start_kwh",
    "standby_loss_kw",
    "wear_charge_eur_per_kwh",
    "wear_discharge_eur_per_kwh",
    "demand_charge_eur_per_kw",
    "incurred_peak_kw",
)


def _number(name: str, value: Any) -> float:
    """Return `value` as a finite float or raise OptimizationError naming `name`."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise OptimizationError(
            f"{value!r} is not a number.", field=name, value=value, hint="Give a finite number."
        )
    number = float(value)
    if not math.isfinite(number):
        raise OptimizationError(
            f"{value!r} is not a finite number.",
            field=name,
            value=value,
            hint="Replace missing values before planning.",
        )
    return number


def _series(name: str, values: ArrayLike, n: int | None) -> FloatArray:
    """Return `values` as a read-only float array of shape (n,), every entry finite."""
    try:
        array: NDArray[np.float64] = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptimizationError(
            "the series is not a list of numbers.",
            field=name,
            value=values,
            hint="Give one finite number per step.",
        ) from error
    if array.ndim != 1 or array.size == 0:
        raise OptimizationError(
            f"the series has shape {array.shape}.",
            field=name,
            value=array.shape,
            hint="Give a flat list with one number per step, at least one step.",
        )
    if n is not None and array.size != n:
        raise OptimizationError(
            f"the series has {array.size} values, expected {n}.",
            field=name,
            value=int(array.size),
            hint="Give every series one number per step, as many as buy_eur_per_kwh has.",
        )
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise OptimizationError(
            f"the value at step {int(bad[0])} is {array[bad[0]]}.",
            field=name,
            value=float(array[bad[0]]),
            hint="Replace missing values before planning.",
        )
    if name not in _MAY_BE_NEGATIVE and (low := np.flatnonzero(array < 0)).size:
        raise OptimizationError(
            f"the value at step {int(low[0])} is {array[low[0]]:g}, below 0.",
            field=name,
            value=float(array[low[0]]),
            hint="Loads, PV power and limits are never negative.",
        )
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One planning problem of `n` equal steps; every series has shape (n,).

    Series may be given as any sequence of numbers; they are stored as read-only
    float arrays. Battery powers and limits are AC powers.

    Attributes:
        start: Start of the first step, timezone-aware; stored as UTC.
        step_minutes: Length of a step in whole minutes, 1..1440.
        buy_eur_per_kwh: Price of imported energy, may be negative.
        sell_eur_per_kwh: Price of exported energy, may be negative.
        load_kw: Load per step, >= 0.
        pv_kw: Available PV power per step before curtailment, >= 0.
        charge_limit_kw: Most the battery may charge per step, >= 0.
        discharge_limit_kw: Most the battery may discharge per step, >= 0.
        import_limit_kw: Most the site may import per step, >= 0.
        export_limit_kw: Most the site may export per step, >= 0.
        eta_charge: Share of charged AC energy that is stored, 0 < eta <= 1.
        eta_discharge: Share of drawn stored energy that reaches AC, 0 < eta <= 1.
        energy_min_kwh: Lower end of the stored-energy window.
        energy_max_kwh: Upper end of the stored-energy window.
        energy_start_kwh: Stored energy at the start, >= 0; may lie outside the window.
        energy_final_min_kwh: Wish for the stored energy at the end, or None.
        terminal_value_eur_per_kwh: Value of a kWh stored at the end.
        standby_loss_kw: Constant draw from the stored energy.
        wear_charge_eur_per_kwh: Ageing cost per AC kWh charged, >= 0.
        wear_discharge_eur_per_kwh: Ageing cost per AC kWh discharged, >= 0.
        grid_charge_allowed: False: the battery never charges while the site imports.
        battery_export_allowed: False: the battery never discharges while the site exports.
        curtailment_allowed: True when PV power may be given away.
        demand_charge_eur_per_kw: Charge on the highest import step above `incurred_peak_kw`.
        incurred_peak_kw: Peak import already billed in the running period, >= 0.

    Raises:
        OptimizationError: A value is missing, not finite, of the wrong length or impossible.
    """

    start: datetime
    step_minutes: int
    buy_eur_per_kwh: FloatArray
    sell_eur_per_kwh: FloatArray
    load_kw: FloatArray
    pv_kw: FloatArray
    charge_limit_kw: FloatArray
    discharge_limit_kw: FloatArray
    import_limit_kw: FloatArray
    export_limit_kw: FloatArray
    eta_charge: float
    eta_discharge: float
    energy_min_kwh: float
    energy_max_kwh: float
    energy_start_kwh: float
    energy_final_min_kwh: float | None = None
    terminal_value_eur_per_kwh: float = 0.0
    standby_loss_kw: float = 0.0
    wear_charge_eur_per_kwh: float = 0.0
    wear_discharge_eur_per_kwh: float = 0.0
    grid_charge_allowed: bool = True
    battery_export_allowed: bool = True
    curtailment_allowed: bool = True
    demand_charge_eur_per_kw: float = 0.0
    incurred_peak_kw: float = 0.0

    def __post_init__(self) -> None:
        self._validate_time()
        n: int | None = None
        for name in _SERIES:
            array = _series(name, getattr(self, name), n)
            n = array.size
            object.__setattr__(self, name, array)
        for name in (*_NON_NEGATIVE_NUMBERS, "terminal_value_eur_per_kwh"):
            number = _number(name, getattr(self, name))
            if number < 0 and name in _NON_NEGATIVE_NUMBERS:
                raise OptimizationError(
                    f"{number:g} is below 0.", field=name, value=number, hint="Give 0 or more."
                )
            object.__setattr__(self, name, number)
        for name in ("eta_charge", "eta_discharge"):
            eta = _number(name, getattr(self, name))
            if not 0.0 < eta <= 1.0:
                raise OptimizationError(
                    f"{eta:g} is not a share between 0 and 1.",
                    field=name,
                    value=eta,
                    hint="Give the efficiency as a fraction above 0 and at most 1.",
                )
            object.__setattr__(self, name, eta)
        self._validate_energy()

    def _validate_time(self) -> None:
        if not isinstance(self.start, datetime) or self.start.tzinfo is None:
            raise OptimizationError(
                f"{self.start!r} has no time zone.",
                field="start",
                value=self.start,
                hint="Give a timezone-aware time.",
            )
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        minutes = self.step_minutes
        if isinstance(minutes, bool) or not isinstance(minutes, int) or not 1 <= minutes <= 1440:
            raise OptimizationError(
                f"{minutes!r} is not a step length.",
                field="step_minutes",
                value=minutes,
                hint="Give whole minutes from 1 to 1440, for example 15.",
            )

    def _validate_energy(self) -> None:
        if self.energy_min_kwh > self.energy_max_kwh:
            raise OptimizationError(
                f"{self.energy_min_kwh:g} kWh is above energy_max_kwh = {self.energy_max_kwh:g}.",
                field="energy_min_kwh",
                value=self.energy_min_kwh,
                hint="Lower it to at most energy_max_kwh.",
            )
        if self.energy_final_min_kwh is None:
            return
        final = _number("energy_final_min_kwh", self.energy_final_min_kwh)
        if not 0.0 <= final <= self.energy_max_kwh:
            raise OptimizationError(
                f"{final:g} kWh is outside 0..energy_max_kwh = {self.energy_max_kwh:g}.",
                field="energy_final_min_kwh",
                value=final,
                hint="Ask for an energy the window can hold, or give None.",
            )
        object.__setattr__(self, "energy_final_min_kwh", final)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.buy_eur_per_kwh.size)

    @property
    def step_hours(self) -> float:
        """Length of one step in hours."""
        return self.step_minutes / 60.0

    @property
    def step(self) -> timedelta:
        """Length of one step."""
        return timedelta(minutes=self.step_minutes)

    @classmethod
    def for_battery(
        cls,
        battery: Battery,
        *,
        start: datetime,
        step_minutes: int,
        buy_eur_per_kwh: ArrayLike,
        sell_eur_per_kwh: ArrayLike,
        load_kw: ArrayLike,
        pv_kw: ArrayLike,
        import_limit_kw: ArrayLike | float,
        export_limit_kw: ArrayLike | float,
        energy_start_kwh: float,
        charge_limit_kw: ArrayLike | float | None = None,
        discharge_limit_kw: ArrayLike | float | None = None,
        **options: Any,
    ) -> Instance:
        """Build an instance from the battery's nameplate.

        Ageing: `battery.wear_cost_eur_per_kwh` counts each kWh moved through the DC
        side, in either direction. An AC kWh charged moves `eta_charge` kWh there, an
        AC kWh discharged `1 / eta_discharge` kWh (notes "optimisation" section 1).

        Args:
            battery: Nameplate, window and wear.
            start: Start of the first step, timezone-aware.
            step_minutes: Length of a step.
            buy_eur_per_kwh: Shape (n,).
            sell_eur_per_kwh: Shape (n,).
            load_kw: Shape (n,), >= 0.
            pv_kw: Shape (n,), >= 0.
            import_limit_kw: Shape (n,) or one number for all steps.
            export_limit_kw: Shape (n,) or one number for all steps.
            energy_start_kwh: Stored energy at the start.
            charge_limit_kw: Limit known for these steps, shape (n,) or one number; the
                nameplate caps it. None for the nameplate alone.
            discharge_limit_kw: Same for discharging.
            **options: Any other field of `Instance`.

        Raises:
            OptimizationError: As for `Instance`.
        """
        n = _series("buy_eur_per_kwh", buy_eur_per_kwh, None).size

        def spread(name: str, values: ArrayLike | float) -> FloatArray:
            return _series(name, np.full(n, values) if np.ndim(values) == 0 else values, n)

        def capped(name: str, values: ArrayLike | float | None, cap_kw: float) -> FloatArray:
            known = spread(name, cap_kw if values is None else values)
            return np.minimum(known, cap_kw)

        return cls(
            start=start,
            step_minutes=step_minutes,
            buy_eur_per_kwh=np.asarray(buy_eur_per_kwh, dtype=np.float64),
            sell_eur_per_kwh=np.asarray(sell_eur_per_kwh, dtype=np.float64),
            load_kw=np.asarray(load_kw, dtype=np.float64),
            pv_kw=np.asarray(pv_kw, dtype=np.float64),
            charge_limit_kw=capped("charge_limit_kw", charge_limit_kw, battery.power_charge_max_kw),
            discharge_limit_kw=capped(
                "discharge_limit_kw", discharge_limit_kw, battery.power_discharge_max_kw
            ),
            import_limit_kw=spread("import_limit_kw", import_limit_kw),
            export_limit_kw=spread("export_limit_kw", export_limit_kw),
            eta_charge=battery.efficiency_charge,
            eta_discharge=battery.efficiency_discharge,
            energy_min_kwh=battery.energy_min_kwh,
            energy_max_kwh=battery.energy_max_kwh,
            energy_start_kwh=energy_start_kwh,
            standby_loss_kw=battery.standby_loss_kw,
            wear_charge_eur_per_kwh=battery.wear_cost_eur_per_kwh * battery.efficiency_charge,
            wear_discharge_eur_per_kwh=battery.wear_cost_eur_per_kwh / battery.efficiency_discharge,
            **options,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The optimiser's answer; every array has shape (n,).

    Attributes:
        battery_kw: Battery power, + discharge, - charge (= discharge_kw - charge_kw).
        charge_kw: AC charge power, >= 0; never positive together with `discharge_kw`.
        discharge_kw: AC discharge power, >= 0.
        grid_kw: Grid power, + import, - export.
        curtailed_kw: PV power given away, >= 0.
        soc_kwh: Stored energy at the END of each step.
        stored_value_eur_per_kwh: What one more kWh in the store at the end of the step would
            save over the later steps: the slope of their cost, from the duals of the energy
            recursion, and for the last step the terminal value and the price of the final
            energy. While the store must still recover into its window it contains the price
            of being outside. With binary variables it holds for the directions decided.
        cost_eur: Energy cost plus wear plus demand charge, without terminal value.
        energy_cost_eur: Imports times buy price minus exports times sell price.
        wear_cost_eur: Ageing cost of the planned throughput.
        demand_cost_eur: Demand charge on the peak above the incurred one.
        baseline_cost_eur: Cost of the same horizon without a battery (see `baseline`).
        objective_eur: `cost_eur` minus the value of the energy stored at the end.
        gap: Largest relative distance to the optimum that is not excluded (relative to
            the objective, at least to 1 EUR); 0 for an exact optimum.
        status: ``"optimal"``, or ``"time_limit"`` when the search was cut short.
        solver: Solver and kind, for example ``"HIGHS (LP)"`` or ``"HIGHS (MILP, 12 binaries)"``.
        solve_ms: Wall time of the whole solve.
        gave_way: Wishes that could not be met, name to amount in the unit of the name
            (``import_limit_kw``, ``export_limit_kw``, ``energy_min_kwh``, ``energy_max_kwh``,
            ``energy_final_min_kwh``, ``standby_kwh``); empty when everything was met.
    """

    battery_kw: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    grid_kw: FloatArray
    curtailed_kw: FloatArray
    soc_kwh: FloatArray
    stored_value_eur_per_kwh: FloatArray
    cost_eur: float
    energy_cost_eur: float
    wear_cost_eur: float
    demand_cost_eur: float
    baseline_cost_eur: float
    objective_eur: float
    gap: float
    status: str
    solver: str
    solve_ms: float
    gave_way: Mapping[str, float] = field(default_factory=dict)

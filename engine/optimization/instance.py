"""What the optimiser is asked: one planning problem.

Signs and units follow DESIGN section 2: powers in kW, energies in kWh, money in
EUR, battery + = discharge, grid + = import, `grid = load - pv + curtailed - battery`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.domain.site import Battery
from engine.optimization.terms import BilledPeak, TerminalCurve
from engine.optimization.values import finite_number, finite_series

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
    "export_premium_eur_per_kwh",
    "smoothing_eur_per_kwh",
    "ramp_eur_per_kw",
    "reserve_eur_per_kwh_h",
)


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
        demand_charge_eur_per_kw: Charge on the highest import step above `incurred_peak_kw`;
            short for one billed peak over all steps.
        incurred_peak_kw: Peak import already billed in the running period, >= 0.
        billed_peaks: Demand charges on some of the steps each, on top of the one above.
        export_premium_eur_per_kwh: Price the owner puts on each kWh exported or PV kWh given
            away, >= 0: what using one's own energy is worth beyond money. (Were it on exports
            alone, giving PV power away would look better than selling it.) A preference.
        smoothing_eur_per_kwh: Price per kWh by which grid power differs from
            `smoothing_reference_kw`, >= 0. A preference, no money.
        smoothing_reference_kw: Grid power aimed at, + import, - export, shape (n,), or None
            without smoothing.
        ramp_eur_per_kw: Price per kW by which grid power changes from step to step, >= 0.
            A preference, no money.
        grid_before_kw: Grid power before the first step; None leaves the first change free.
        energy_reserve_kwh: Wish for the stored energy at the end of each step, shape (n,),
            >= 0, or None. Where the window or the battery cannot hold it, it gives way.
        reserve_eur_per_kwh_h: Price per kWh missing in the reserve and hour, > 0 with a
            reserve: what the insurance is worth to the owner. A preference, no money.
        terminal_curve: Concave value of the energy stored at the end, added to
            `terminal_value_eur_per_kwh` for each kWh; None for that number alone.

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
    billed_peaks: tuple[BilledPeak, ...] = ()
    export_premium_eur_per_kwh: float = 0.0
    smoothing_eur_per_kwh: float = 0.0
    smoothing_reference_kw: FloatArray | None = None
    ramp_eur_per_kw: float = 0.0
    grid_before_kw: float | None = None
    energy_reserve_kwh: FloatArray | None = None
    reserve_eur_per_kwh_h: float = 0.0
    terminal_curve: TerminalCurve | None = None

    def __post_init__(self) -> None:
        self._validate_time()
        n: int | None = None
        for name in _SERIES:
            array = finite_series(name, getattr(self, name), n, signed=name in _MAY_BE_NEGATIVE)
            n = array.size
            object.__setattr__(self, name, array)
        for name in _NON_NEGATIVE_NUMBERS:
            object.__setattr__(self, name, finite_number(name, getattr(self, name), low=0.0))
        terminal = finite_number("terminal_value_eur_per_kwh", self.terminal_value_eur_per_kwh)
        object.__setattr__(self, "terminal_value_eur_per_kwh", terminal)
        for name in ("eta_charge", "eta_discharge"):
            eta = finite_number(name, getattr(self, name))
            if not 0.0 < eta <= 1.0:
                raise OptimizationError(
                    f"{eta:g} is not a share between 0 and 1.",
                    field=name,
                    value=eta,
                    hint="Give the efficiency as a fraction above 0 and at most 1.",
                )
            object.__setattr__(self, name, eta)
        self._validate_energy()
        self._validate_terms()

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
        final = finite_number("energy_final_min_kwh", self.energy_final_min_kwh)
        if not 0.0 <= final <= self.energy_max_kwh:
            raise OptimizationError(
                f"{final:g} kWh is outside 0..energy_max_kwh = {self.energy_max_kwh:g}.",
                field="energy_final_min_kwh",
                value=final,
                hint="Ask for an energy the window can hold, or give None.",
            )
        object.__setattr__(self, "energy_final_min_kwh", final)

    def _validate_terms(self) -> None:
        n = self.n_steps
        peaks = tuple(self.billed_peaks)
        for index, peak in enumerate(peaks):
            if peak.billed.size != n:
                raise OptimizationError(
                    f"the peak has {peak.billed.size} steps, the horizon has {n}.",
                    field=f"billed_peaks[{index}].billed",
                    value=int(peak.billed.size),
                    hint="Give one true or false per step.",
                )
        object.__setattr__(self, "billed_peaks", peaks)
        if self.grid_before_kw is not None:
            before = finite_number("grid_before_kw", self.grid_before_kw)
            object.__setattr__(self, "grid_before_kw", before)
        for name, signed, price in (
            ("smoothing_reference_kw", True, "smoothing_eur_per_kwh"),
            ("energy_reserve_kwh", False, "reserve_eur_per_kwh_h"),
        ):
            values, priced = getattr(self, name), getattr(self, price) > 0.0
            if (values is not None) != priced:
                raise OptimizationError(
                    f"{name} and {price} belong together, only one is given.",
                    field=name if values is None else price,
                    value=values if values is None else getattr(self, price),
                    hint="Give both, the price above 0, or neither.",
                )
            if values is not None:
                object.__setattr__(self, name, finite_series(name, values, n, signed=signed))

    @property
    def peaks(self) -> tuple[BilledPeak, ...]:
        """Every demand charge that applies: the one over all steps first, if there is one."""
        if self.demand_charge_eur_per_kw == 0.0:
            return self.billed_peaks
        everywhere = BilledPeak(
            np.ones(self.n_steps, dtype=np.bool_),
            self.demand_charge_eur_per_kw,
            self.incurred_peak_kw,
        )
        return (everywhere, *self.billed_peaks)

    @property
    def grid_slope_eur_per_kwh(self) -> float:
        """Most that smoothing and ramps together add to or take from a step's site price."""
        return self.smoothing_eur_per_kwh + 2.0 * self.ramp_eur_per_kw / self.step_hours

    def terminal_marginals_eur_per_kwh(self) -> FloatArray:
        """Return every marginal value that energy stored at the end may have, shape (k,)."""
        flat = np.array([self.terminal_value_eur_per_kwh])
        if self.terminal_curve is None:
            return flat
        marginals: FloatArray = flat + self.terminal_curve.marginals_eur_per_kwh
        return marginals

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
        n = finite_series("buy_eur_per_kwh", buy_eur_per_kwh, signed=True).size

        def spread(name: str, values: ArrayLike | float) -> FloatArray:
            return finite_series(name, np.full(n, values) if np.ndim(values) == 0 else values, n)

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

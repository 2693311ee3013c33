"""The co-optimised model in CVXPY, stated once per shape with parameters for all numbers.

Per step t (powers in kW over `h` hours, energies in kWh; c, d charge and discharge,
i, e import and export, s curtailment, E stored energy at the end of the step):

    minimise   sum h (buy i - sell e) + h (w_c c + w_d d)  - V(E_n)
             + sum over peaks k_m Q_m                          (demand charges)
             + h w_p (e + s)                                   (export premium)
             + h w_s |i - e - ref| + w_r |change of (i - e)|   (smoothing, ramps)
             + h w_R max(0, R - E)                             (reserve)
    subject to i - e = load - pv + s + c - d
               E_t = E_{t-1} + eta_c h c - h d / eta_d - h standby
               E_low <= E <= E_high, 0 <= c, d, i, e, s <= their caps
               Q_m >= i - floor_m on the billed steps of peak m, Q_m >= 0

with priced slacks where a wish may have to give way (see `coefficients`). Source:
optimisation notes, section 1. A statement is DPP (disciplined parametrised): prices,
limits and efficiencies are parameters, limits are constraints and never variable bounds,
because a parameter as a bound makes CVXPY compile anew at every solve (notes, section 2b).

Two forms share these constraints: MONEY (the linear model with its duals) and DECIDED (a
binary per step for charge or discharge and for import or export; steps that need none
leave it without effect, and presolve drops it).
"""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.candidates import Candidates
from engine.optimization.outcome import Decisions, Duals, Flows
from engine.optimization.shape import Form, Shape
from engine.optimization.statement_terms import (
    ChargedPeaks,
    TerminalWorth,
    change,
    held_first_step,
    ramps,
    reserve,
    smoothing,
)


class Statement:
    """Variables, constraints and cost of one problem; a `cvxpy.Problem` can hold several.

    Args:
        shape: Structure of the problem.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.parameters: dict[str, Any] = {}
        self.prices: set[str] = set()
        self.constraints: list[Any] = []
        self.cost: Any = 0.0
        self.charge, self.discharge = self.flow("charge"), self.flow("discharge")
        self._import, self._export = self.flow("import"), self.flow("export")
        self._curtailed, self.energy = self.flow("curtailed"), self.flow("energy")
        self._charging: Any = None
        self._importing: Any = None
        self._over_import: Any = None
        self._over_export: Any = None
        self._final: Any = None
        self._peaks: ChargedPeaks | None = None
        self._worth: TerminalWorth | None = None
        self._state()

    # -- parameters ----------------------------------------------------------------

    def series(self, name: str, *, signed: bool = False, price: bool = False) -> Any:
        """Return a new parameter with one entry per step."""
        return self.parameter(name, self.shape.n, signed=signed, price=price)

    def number(self, name: str, *, signed: bool = False, price: bool = False) -> Any:
        """Return a new parameter that is one number."""
        return self.parameter(name, (), signed=signed, price=price)

    def parameter(
        self, name: str, shape: int | tuple[int, ...], *, signed: bool, price: bool = False
    ) -> Any:
        """Return a new parameter; a price is scaled by the weight of the statement."""
        self.parameters[name] = cp.Parameter(shape, name=name, nonneg=not signed)
        if price:
            self.prices.add(name)
        return self.parameters[name]

    def flow(self, name: str) -> Any:
        """Return a new variable with one entry >= 0 per step."""
        return cp.Variable(self.shape.n, name=name, nonneg=True)

    def set_values(self, values: dict[str, FloatArray | float | None], weight: float = 1.0) -> None:
        """Give every parameter its value; all prices times `weight`."""
        for name, parameter in self.parameters.items():
            value = values[name]
            parameter.value = weight * value if name in self.prices and value is not None else value

    # -- statement -----------------------------------------------------------------

    def _state(self) -> None:
        shape = self.shape
        charge, discharge, energy = self.charge, self.discharge, self.energy
        last = energy[shape.n - 1]
        net_kw = self.series("net_kw", signed=True)
        imported, exported = self._import, self._export
        buy = self.series("buy", signed=True, price=True)
        sell = self.series("sell", signed=True, price=True)
        self.cost += (
            buy @ imported
            - sell @ exported
            + self.number("wear_charge", price=True) * cp.sum(charge)
            + self.number("wear_discharge", price=True) * cp.sum(discharge)
            + self.number("given_away", price=True) * cp.sum(self._curtailed)
            - self.number("terminal", signed=True, price=True) * last
        )
        if shape.excess:
            over_import, over_export = self.flow("over_import"), self.flow("over_export")
            self._over_import, self._over_export = over_import, over_export
            imported, exported = imported + over_import, exported + over_export
            self.constraints += [
                over_import <= self.series("import_excess"),
                over_export <= self.series("export_excess"),
            ]
            limit_price = self.number("grid_limit_price", price=True)
            self.cost += buy @ over_import - sell @ over_export
            self.cost += limit_price * cp.sum(over_import) + limit_price * cp.sum(over_export)

        stored = (
            self.series("energy_in", signed=True)
            + self.number("gain") * charge
            - self.number("draw") * discharge
        )
        if shape.recovering:
            stored = stored + self._recovery()
        self._recursion = change(energy) == stored
        self._balance = imported - exported - self._curtailed - charge + discharge == net_kw
        self.constraints += [
            self._recursion,
            self._balance,
            energy >= self.series("energy_low"),
            energy <= self.series("energy_high"),
            self._curtailed <= self.series("curtail_cap"),
        ]
        self._caps()
        if shape.grid_decided:
            self._split_by_grid_direction(imported)
        if shape.final:
            missing = cp.Variable(name="missing", nonneg=True)
            self._final = last + missing >= self.number("final")
            self.constraints.append(self._final)
            self.cost += self.number("final_price", price=True) * missing
        grid = imported - exported
        if shape.peaks:
            self._peaks = ChargedPeaks(self, imported, self._importing)
        if shape.curve_pieces:
            self._worth = TerminalWorth(self, last)
        if shape.smoothing:
            smoothing(self, grid)
        if shape.ramp:
            ramps(self, grid)
        if shape.reserve:
            reserve(self)
        if shape.held:
            held_first_step(self)

    def _recovery(self) -> Any:
        """State what leaving and regaining the window costs; return the uncovered standby."""
        n = self.shape.n
        below, above = self.flow("below"), self.flow("above")
        deeper, uncovered = self.flow("deeper"), self.flow("standby_uncovered")
        first = np.zeros(n)
        first[0] = 1.0
        outside_price = self.number("outside_price", price=True)
        back_price = self.number("back_price", price=True)
        self.cost += (
            outside_price * cp.sum(below)
            + outside_price * cp.sum(above)
            + self.number("deeper_price", price=True) * cp.sum(deeper)
            + self.number("standby_price", price=True) * cp.sum(uncovered)
            + back_price * below[n - 1]
            + back_price * above[n - 1]
        )
        self.constraints += [
            below >= self.number("energy_min") - self.energy,
            above >= self.energy - self.number("energy_max"),
            deeper >= change(below) - self.number("below_start") * first,
            uncovered <= self.series("standby_cap"),
        ]
        return uncovered

    def _caps(self) -> None:
        shape = self.shape
        charge_cap, discharge_cap = self.series("charge_cap"), self.series("discharge_cap")
        import_cap, export_cap = self.series("import_cap"), self.series("export_cap")
        charge_room: Any = None
        discharge_room: Any = None
        if shape.charge_rule:
            charge_room = self.series("charge_room")
        if shape.discharge_rule:
            discharge_room = self.series("discharge_room", signed=True)
        if shape.form is Form.DECIDED:
            self._charging = cp.Variable(shape.n, name="charging", boolean=True)
            charging = self._charging
            charge_cap += cp.multiply(self.series("charge_tied"), charging)
            discharge_cap += cp.multiply(self.series("discharge_tied"), 1.0 - charging)
            if shape.grid_decided:
                self._importing = cp.Variable(shape.n, name="importing", boolean=True)
                importing = self._importing
                import_cap += cp.multiply(self.series("import_tied"), importing)
                export_cap += cp.multiply(self.series("export_tied"), 1.0 - importing)
            if shape.charge_rule:
                charge_room += cp.multiply(self.series("charge_room_more"), 1.0 - charging)
            if shape.discharge_rule:
                discharge_room += cp.multiply(self.series("discharge_room_more"), charging)
        self.constraints += [
            self.charge <= charge_cap,
            self.discharge <= discharge_cap,
            self._import <= import_cap,
            self._export <= export_cap,
        ]
        if shape.charge_rule:
            self.constraints.append(self.charge + self._curtailed <= charge_room)
        if shape.discharge_rule:
            self.constraints.append(self.discharge - self._curtailed <= discharge_room)

    def _split_by_grid_direction(self, imported: Any) -> None:
        """State each decided step as the union of an importing and an exporting step.

        Charging, discharging and curtailment get a share that belongs to importing;
        shares of a direction not taken are zero. This is the convex hull of the two
        alternatives (disjunctive programming, Balas 1979) and saves branching.
        """
        importing = self._importing
        shares = []
        for name, flow in (
            ("charge", self.charge),
            ("discharge", self.discharge),
            ("curtailed", self._curtailed),
        ):
            share = self.flow(f"{name}_while_importing")
            bound, free = self.series(f"{name}_split"), self.series(f"{name}_unsplit")
            self.constraints += [
                share <= cp.multiply(bound, importing),
                share <= flow,
                flow - share <= free + cp.multiply(bound, 1.0 - importing),
            ]
            shares.append(share)
        charge, discharge, curtailed = shares
        drawn = (
            cp.multiply(self.series("net_split", signed=True), importing)
            + curtailed
            + charge
            - discharge
        )
        self.constraints += [
            imported >= drawn,
            imported <= drawn + self.series("import_unsplit"),
        ]

    # -- answers -------------------------------------------------------------------

    def flows(self) -> Flows:
        """Return the values of the flows after a solve."""

        def value(variable: Any) -> FloatArray:
            if variable is None:
                return np.zeros(self.shape.n)
            return np.maximum(np.array(variable.value, dtype=np.float64), 0.0)

        return Flows(
            charge_kw=value(self.charge),
            discharge_kw=value(self.discharge),
            import_kw=value(self._import) + value(self._over_import),
            export_kw=value(self._export) + value(self._over_export),
            curtailed_kw=value(self._curtailed),
        )

    def decisions(self, candidates: Candidates) -> Decisions:
        """Return the directions a DECIDED solve found."""
        importing = (
            np.ones(self.shape.n, dtype=np.bool_)
            if self._importing is None
            else np.asarray(self._importing.value) > 0.5
        )
        return Decisions(candidates, np.asarray(self._charging.value) > 0.5, importing)

    def duals(self, step_hours: float) -> Duals:
        """Return the prices behind a MONEY solve (times the statement's weight).

        A kWh at the end of a step enters the recursion of the next one; its dual is the
        slope of what the rest of the horizon costs. After the last step the terminal value
        and the wish for a final energy are all that is left.
        """
        last = float(self.parameters["terminal"].value)
        if self._final is not None:
            last += float(self._final.dual_value)
        if self._worth is not None:
            last += self._worth.marginal_eur_per_kwh()
        recursion = np.asarray(self._recursion.dual_value, dtype=np.float64).reshape(-1)
        balance = np.asarray(self._balance.dual_value, dtype=np.float64).reshape(-1)
        return Duals(
            stored_value_eur_per_kwh=np.append(recursion[1:], last),
            site_price_eur_per_kwh=-balance / step_hours,
            peak_eur_per_kw=(
                np.zeros(self.shape.n) if self._peaks is None else self._peaks.duals_eur_per_kw()
            ),
        )

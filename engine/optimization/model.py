"""The co-optimised model in CVXPY: stated once per shape, re-solved with new numbers.

Per step t (powers in kW over `h` hours, energies in kWh; c, d charge and discharge,
i, e import and export, s curtailment, E stored energy at the end of the step):

    minimise   sum h (buy i - sell e) + h (w_c c + w_d d)  - v E_n  + k (P - P_0)
    subject to i - e = load - pv + s + c - d
               E_t = E_{t-1} + eta_c h c - h d / eta_d - h standby
               E_low <= E <= E_high, 0 <= c, d, i, e, s <= their caps, P >= i, P >= P_0

with priced slacks where a wish may have to give way (see `coefficients`). Every
problem is DPP (disciplined parametrised): prices, limits and efficiencies are
parameters, limits are constraints and never variable bounds, because a parameter as a
bound makes CVXPY compile anew at every solve (notes, section 2b).

Two forms share these constraints: MONEY (the linear model, its duals, and among equal
plans the calmest) and DECIDED (a binary per step for charge or discharge and for import
or export; steps that need none leave it without effect, and presolve drops it).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cvxpy as cp
import numpy as np

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray
from engine.optimization.calm import calmest
from engine.optimization.coefficients import Coefficients, wish_prices
from engine.optimization.exactness import BoolArray, Candidates
from engine.optimization.instance import Instance
from engine.optimization.quiet import silence_highs

_FEASIBLE = 2
"""`kSolutionStatusFeasible` of HiGHS."""


_EXACT_SEARCH = {
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 0.0,
    # Restarts and these two heuristics find nothing here; without them the hard cases
    # (fixed feed-in above negative prices) take less than half the time.
    "mip_allow_restart": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
}


class Form(StrEnum):
    """Which question is asked of the shared constraints."""

    MONEY = "money"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the structure of a problem: one compiled problem per shape.

    Attributes:
        n: Number of steps.
        form: Which question is asked.
        demand: A demand charge applies.
        final: A final energy is wished for.
        recovering: The energy window cannot be held from the start on.
        excess: Load or PV alone exceed a grid limit somewhere.
        charge_rule: No charging while importing.
        discharge_rule: No discharging while exporting.
        grid_decided: Import or export must be decided somewhere (DECIDED only).
    """

    n: int
    form: Form
    demand: bool
    final: bool
    recovering: bool
    excess: bool
    charge_rule: bool
    discharge_rule: bool
    grid_decided: bool


def shape_of(
    instance: Instance, numbers: Coefficients, candidates: Candidates | None = None
) -> Shape:
    """Return the shape of the problem: DECIDED for `candidates`, MONEY without."""
    return Shape(
        n=instance.n_steps,
        form=Form.MONEY if candidates is None else Form.DECIDED,
        demand=instance.demand_charge_eur_per_kw > 0.0,
        final=instance.energy_final_min_kwh is not None,
        recovering=numbers.recovering,
        excess=bool(numbers.import_excess_kw.any() or numbers.export_excess_kw.any()),
        charge_rule=not instance.grid_charge_allowed,
        discharge_rule=not instance.battery_export_allowed,
        grid_decided=candidates is not None and bool(candidates.grid.any()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Decided directions for the steps of `candidates`; arrays of shape (n,).

    Attributes:
        candidates: Steps that are decided; the others stay free.
        charging: True where the battery may charge, False where it may discharge.
        importing: True where the site may import, False where it may export.
    """

    candidates: Candidates
    charging: BoolArray
    importing: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """Values of the model's variables; arrays of shape (n,), kW and kWh."""

    charge_kw: FloatArray
    discharge_kw: FloatArray
    import_kw: FloatArray
    export_kw: FloatArray
    curtailed_kw: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one solve returned.

    Attributes:
        complete: True when the solver proved optimality, False when time ran out.
        objective_eur: Objective of the flows, prices of wishes included.
        bound_eur: No plan can have a lower objective than this.
        flows: The flows, the calmest first where several cost the same; empty when time ran
            out before any were found or the directions to hold allow none.
        stored_value_eur_per_kwh: Slope of the cost of the later steps at the end of each
            step, from the duals of the energy recursion; None for DECIDED.
        decisions: Directions found; None except for DECIDED.
    """

    complete: bool
    objective_eur: float
    bound_eur: float
    flows: tuple[Flows, ...]
    stored_value_eur_per_kwh: FloatArray | None
    decisions: Decisions | None


def _change(energy: Any) -> Any:
    """Return each step's energy minus the one before, and the first as it is."""
    if energy.size == 1:
        return energy
    return cp.hstack([energy[0], cp.diff(energy)])


class CompiledModel:
    """One DPP problem, compiled at first use and re-solved under a lock.

    Args:
        shape: Structure of the problem.
    """

    def __init__(self, shape: Shape) -> None:
        silence_highs()
        self.shape = shape
        self._lock = threading.Lock()
        self._parameters: dict[str, Any] = {}
        self._build()

    # -- statement ---------------------------------------------------------------

    def _series(self, name: str, *, signed: bool = False) -> Any:
        self._parameters[name] = cp.Parameter(self.shape.n, name=name, nonneg=not signed)
        return self._parameters[name]

    def _number(self, name: str, *, signed: bool = False) -> Any:
        self._parameters[name] = cp.Parameter(name=name, nonneg=not signed)
        return self._parameters[name]

    def _flow(self, name: str) -> Any:
        return cp.Variable(self.shape.n, name=name, nonneg=True)

    def _build(self) -> None:
        shape, n = self.shape, self.shape.n
        self._charge, self._discharge = self._flow("charge"), self._flow("discharge")
        self._import, self._export = self._flow("import"), self._flow("export")
        self._curtailed, self._energy = self._flow("curtailed"), self._flow("energy")
        self._charging: Any = None
        self._importing: Any = None
        self._over_import: Any = None
        self._over_export: Any = None
        self._final: Any = None
        charge, discharge, energy = self._charge, self._discharge, self._energy

        net_kw = self._series("net_kw", signed=True)
        imported, exported = self._import, self._export
        cost = (
            self._series("buy", signed=True) @ self._import
            - self._series("sell", signed=True) @ self._export
            + self._number("wear_charge") * cp.sum(charge)
            + self._number("wear_discharge") * cp.sum(discharge)
            - self._number("terminal", signed=True) * energy[n - 1]
        )
        constraints: list[Any] = []

        if shape.excess:
            over_import, over_export = self._flow("over_import"), self._flow("over_export")
            self._over_import, self._over_export = over_import, over_export
            imported, exported = imported + over_import, exported + over_export
            constraints += [
                over_import <= self._series("import_excess"),
                over_export <= self._series("export_excess"),
            ]
            limit_price = self._number("grid_limit_price")
            cost += self._parameters["buy"] @ over_import - self._parameters["sell"] @ over_export
            cost += limit_price * cp.sum(over_import) + limit_price * cp.sum(over_export)

        stored = (
            self._series("energy_in", signed=True)
            + self._number("gain") * charge
            - self._number("draw") * discharge
        )
        if shape.recovering:
            stored, recovery_cost, recovery = self._recovery(stored)
            cost += recovery_cost
            constraints += recovery
        self._recursion = _change(energy) == stored
        constraints += [
            self._recursion,
            imported - exported - self._curtailed - charge + discharge == net_kw,
            energy >= self._series("energy_low"),
            energy <= self._series("energy_high"),
            self._curtailed <= self._series("curtail_cap"),
        ]
        constraints += self._caps()
        if shape.grid_decided:
            constraints += self._split_by_grid_direction(imported)

        if shape.final:
            missing = cp.Variable(name="missing", nonneg=True)
            self._final = energy[n - 1] + missing >= self._number("final")
            constraints.append(self._final)
            cost += self._number("final_price") * missing
        if shape.demand:
            peak = cp.Variable(name="peak", nonneg=True)
            constraints += [peak >= imported, peak >= self._number("incurred_peak")]
            cost += self._number("demand_price") * peak
        self._cost = cost
        self.problem = cp.Problem(cp.Minimize(cost), constraints)

    def _recovery(self, stored: Any) -> tuple[Any, Any, list[Any]]:
        n = self.shape.n
        below, above = self._flow("below"), self._flow("above")
        deeper, uncovered = self._flow("deeper"), self._flow("standby_uncovered")
        first = np.zeros(n)
        first[0] = 1.0
        outside_price = self._number("outside_price")
        cost = (
            outside_price * cp.sum(below)
            + outside_price * cp.sum(above)
            + self._number("deeper_price") * cp.sum(deeper)
            + self._number("standby_price") * cp.sum(uncovered)
            + self._number("back_price") * below[n - 1]
            + self._parameters["back_price"] * above[n - 1]
        )
        constraints = [
            below >= self._number("energy_min") - self._energy,
            above >= self._energy - self._number("energy_max"),
            deeper >= _change(below) - self._number("below_start") * first,
            uncovered <= self._series("standby_cap"),
        ]
        return stored + uncovered, cost, constraints

    def _caps(self) -> list[Any]:
        shape = self.shape
        charge_cap, discharge_cap = self._series("charge_cap"), self._series("discharge_cap")
        import_cap, export_cap = self._series("import_cap"), self._series("export_cap")
        charge_room: Any = None
        discharge_room: Any = None
        if shape.charge_rule:
            charge_room = self._series("charge_room")
        if shape.discharge_rule:
            discharge_room = self._series("discharge_room", signed=True)
        if shape.form is Form.DECIDED:
            self._charging = cp.Variable(shape.n, name="charging", boolean=True)
            charging = self._charging
            charge_cap += cp.multiply(self._series("charge_tied"), charging)
            discharge_cap += cp.multiply(self._series("discharge_tied"), 1.0 - charging)
            if shape.grid_decided:
                self._importing = cp.Variable(shape.n, name="importing", boolean=True)
                importing = self._importing
                import_cap += cp.multiply(self._series("import_tied"), importing)
                export_cap += cp.multiply(self._series("export_tied"), 1.0 - importing)
            if shape.charge_rule:
                charge_room += cp.multiply(self._series("charge_room_more"), 1.0 - charging)
            if shape.discharge_rule:
                discharge_room += cp.multiply(self._series("discharge_room_more"), charging)
        constraints = [
            self._charge <= charge_cap,
            self._discharge <= discharge_cap,
            self._import <= import_cap,
            self._export <= export_cap,
        ]
        if shape.charge_rule:
            constraints.append(self._charge + self._curtailed <= charge_room)
        if shape.discharge_rule:
            constraints.append(self._discharge - self._curtailed <= discharge_room)
        return constraints

    def _split_by_grid_direction(self, imported: Any) -> list[Any]:
        """State each decided step as the union of an importing and an exporting step.

        Charging, discharging and curtailment get a share that belongs to importing;
        shares of a direction not taken are zero. This is the convex hull of the two
        alternatives (disjunctive programming, Balas 1979) and saves branching.
        """
        importing = self._importing
        constraints = []
        shares = []
        for name, flow in (
            ("charge", self._charge),
            ("discharge", self._discharge),
            ("curtailed", self._curtailed),
        ):
            share = self._flow(f"{name}_while_importing")
            bound, free = self._series(f"{name}_split"), self._series(f"{name}_unsplit")
            constraints += [
                share <= cp.multiply(bound, importing),
                share <= flow,
                flow - share <= free + cp.multiply(bound, 1.0 - importing),
            ]
            shares.append(share)
        charge, discharge, curtailed = shares
        drawn = (
            cp.multiply(self._series("net_split", signed=True), importing)
            + curtailed
            + charge
            - discharge
        )
        return [*constraints, imported >= drawn, imported <= drawn + self._series("import_unsplit")]

    # -- numbers -----------------------------------------------------------------

    def _load(
        self,
        instance: Instance,
        numbers: Coefficients,
        candidates: Candidates | None,
        decisions: Decisions | None,
    ) -> None:
        hours = instance.step_hours
        prices = wish_prices(instance)
        values: dict[str, FloatArray | float | None] = {
            "net_kw": instance.load_kw - instance.pv_kw,
            "buy": hours * instance.buy_eur_per_kwh,
            "sell": hours * instance.sell_eur_per_kwh,
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
            "incurred_peak": instance.incurred_peak_kw,
            "demand_price": instance.demand_charge_eur_per_kw,
            "outside_price": hours * prices.outside_window_eur_per_kwh_h,
            "deeper_price": prices.deeper_eur_per_kwh,
            "standby_price": prices.standby_eur_per_kwh,
            "back_price": prices.final_eur_per_kwh,
            "standby_cap": numbers.standby_cap_kwh,
            "energy_min": instance.energy_min_kwh,
            "energy_max": instance.energy_max_kwh,
            "below_start": max(0.0, instance.energy_min_kwh - instance.energy_start_kwh),
        }
        values |= self._cap_values(numbers, candidates, decisions)
        if candidates is not None:
            values |= self._split_values(instance, numbers, candidates)
        for name, parameter in self._parameters.items():
            parameter.value = values[name]

    @staticmethod
    def _cap_values(
        numbers: Coefficients, candidates: Candidates | None, decisions: Decisions | None
    ) -> dict[str, FloatArray | float | None]:
        caps: dict[str, FloatArray] = {
            "charge": numbers.charge_cap_kw,
            "discharge": numbers.discharge_cap_kw,
            "import": numbers.import_cap_kw,
            "export": numbers.export_cap_kw,
        }
        values: dict[str, FloatArray | float | None] = {}
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
            charge_room = charge_room + np.where(
                no_charge, numbers.charge_room_kw_if_discharging, 0.0
            )
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
        return values | {
            "charge_room": charge_room,
            "charge_room_more": numbers.charge_room_kw_if_discharging,
            "discharge_room": discharge_room,
            "discharge_room_more": numbers.discharge_room_kw_if_charging,
        }

    @staticmethod
    def _split_values(
        instance: Instance, numbers: Coefficients, candidates: Candidates
    ) -> dict[str, FloatArray | float | None]:
        decided = candidates.grid
        values: dict[str, FloatArray | float | None] = {
            "net_split": np.where(decided, instance.load_kw - instance.pv_kw, 0.0),
            "import_unsplit": np.where(
                decided, 0.0, numbers.import_cap_kw + numbers.import_excess_kw
            ),
        }
        for name, cap in (
            ("charge", numbers.charge_cap_kw),
            ("discharge", numbers.discharge_cap_kw),
            ("curtailed", numbers.curtail_cap_kw),
        ):
            values[f"{name}_split"] = np.where(decided, cap, 0.0)
            values[f"{name}_unsplit"] = np.where(decided, 0.0, cap)
        return values

    # -- solving -----------------------------------------------------------------

    def solve(
        self,
        instance: Instance,
        numbers: Coefficients,
        *,
        candidates: Candidates | None = None,
        decisions: Decisions | None = None,
        time_limit_s: float | None = None,
        calm: bool = True,
    ) -> Outcome:
        """Solve the problem for `instance`; thread-safe.

        Args:
            instance: The planning problem; its shape must be this model's.
            numbers: Its bounds.
            candidates: Steps with a binary variable (DECIDED only).
            decisions: Directions to hold (MONEY only).
            time_limit_s: Stop the search after this time (DECIDED only).
            calm: Look for the calmest of equal plans (MONEY only).

        Raises:
            OptimizationError: The solver failed; nothing usable came back.
        """
        decided = self.shape.form is Form.DECIDED
        options: dict[str, Any] = {"threads": 1, "random_seed": 0}
        if decided:
            options |= _EXACT_SEARCH
            if time_limit_s is not None:
                options["time_limit"] = time_limit_s
        with self._lock:
            self._load(instance, numbers, candidates, decisions)
            data, chain, inverse = self.problem.get_problem_data(cp.HIGHS)
            keep: dict[str, Any] = {}
            # No warm start: the previous instance must not choose among equal plans.
            raw = chain.solver.solve_via_data(data, False, False, options, keep)
            status = raw["model_status"]
            if status == "kInfeasible" and decisions is not None:
                return Outcome(False, np.inf, -np.inf, (), None, None)
            if status not in ("kOptimal", "kTimeLimit"):
                raise OptimizationError(
                    f"the solver stopped with {status}.",
                    field=f"optimization.{self.shape.form}",
                    value=status,
                    hint="Please report this case: every valid instance has a plan.",
                )
            if decided:
                return self._decided_outcome(raw, chain, inverse, candidates)
            self.problem.unpack(chain.invert(raw, inverse))
            return self._money_outcome(instance, raw, data, keep[cp.HIGHS][0] if calm else None)

    def _decided_outcome(
        self, raw: dict[str, Any], chain: Any, inverse: Any, candidates: Candidates | None
    ) -> Outcome:
        info = raw["info"]
        bound = float(info.mip_dual_bound)
        if candidates is None or info.primal_solution_status != _FEASIBLE:
            return Outcome(False, np.inf, bound, (), None, None)
        self.problem.unpack(chain.invert(raw, inverse))
        return Outcome(
            complete=raw["model_status"] == "kOptimal",
            objective_eur=float(self._cost.value),
            bound_eur=bound,
            flows=(self._flows(),),
            stored_value_eur_per_kwh=None,
            decisions=Decisions(
                candidates=candidates,
                charging=np.asarray(self._charging.value) > 0.5,
                importing=(
                    np.ones(self.shape.n, dtype=np.bool_)
                    if self._importing is None
                    else np.asarray(self._importing.value) > 0.5
                ),
            ),
        )

    def _money_outcome(
        self, instance: Instance, raw: dict[str, Any], data: dict[str, Any], solver: Any | None
    ) -> Outcome:
        objective = float(self._cost.value)
        flows = [self._flows()]
        stored_value = self._stored_value(instance)
        columns = data[cp.settings.PARAM_PROB].var_id_to_col
        calmed = None
        if solver is not None:
            first_charge, first_discharge = columns[self._charge.id], columns[self._discharge.id]
            calmed = calmest(solver, raw["solution"], first_charge, first_discharge, self.shape.n)
        if calmed is not None:
            for variable in self.problem.variables():
                first = columns[variable.id]
                variable.value = calmed[first : first + variable.size].reshape(variable.shape)
            flows.insert(0, self._flows())
        return Outcome(
            complete=True,
            objective_eur=objective,
            bound_eur=objective,
            flows=tuple(flows),
            stored_value_eur_per_kwh=stored_value,
            decisions=None,
        )

    def _stored_value(self, instance: Instance) -> FloatArray:
        # A kWh at the end of a step enters the recursion of the next one; its dual is the
        # slope of what the rest of the horizon costs. After the last step the terminal
        # value and the wish for a final energy are all that is left.
        last = instance.terminal_value_eur_per_kwh
        if self._final is not None:
            last += float(self._final.dual_value)
        duals = np.asarray(self._recursion.dual_value, dtype=np.float64)
        return np.append(duals[1:], last)

    def _flows(self) -> Flows:
        def value(variable: Any) -> FloatArray:
            if variable is None:
                return np.zeros(self.shape.n)
            return np.maximum(np.array(variable.value, dtype=np.float64), 0.0)

        return Flows(
            charge_kw=value(self._charge),
            discharge_kw=value(self._discharge),
            import_kw=value(self._import) + value(self._over_import),
            export_kw=value(self._export) + value(self._over_export),
            curtailed_kw=value(self._curtailed),
        )


class ModelCache:
    """Compiled models by shape; the one unused for longest is dropped beyond `size`."""

    def __init__(self, size: int = 24) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._models: dict[Shape, CompiledModel] = {}

    def get(self, shape: Shape) -> CompiledModel:
        """Return the model of `shape`, stating it at first use; thread-safe."""
        with self._lock:
            model = self._models.pop(shape, None) or CompiledModel(shape)
            self._models[shape] = model
            while len(self._models) > self._size:
                self._models.pop(next(iter(self._models)))
            return model

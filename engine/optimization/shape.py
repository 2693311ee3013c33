"""What decides the structure of a problem: one compiled problem is kept per shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.optimization.candidates import Candidates
from engine.optimization.coefficients import Coefficients
from engine.optimization.instance import Instance
from engine.optimization.terms import BilledPeak


class Form(StrEnum):
    """Which question is asked of the shared constraints."""

    MONEY = "money"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Shape:
    """Structure of a problem; everything else about an instance is numbers.

    Attributes:
        n: Number of steps.
        form: Which question is asked.
        peaks: Number of demand charges above 0.
        final: A final energy is wished for.
        recovering: The energy window cannot be held from the start on.
        excess: Load or PV alone exceed a grid limit somewhere.
        charge_rule: No charging while importing.
        discharge_rule: No discharging while exporting.
        smoothing: Grid power is drawn to a reference.
        ramp: Changes of grid power are priced.
        ramp_before: The first change counts too.
        reserve: A reserve of stored energy is wished for.
        curve_pieces: Number of pieces of the terminal curve, 0 without one.
        held: The first step's battery power is given.
        grid_decided: Import or export must be decided somewhere (DECIDED only).
    """

    n: int
    form: Form
    peaks: int
    final: bool
    recovering: bool
    excess: bool
    charge_rule: bool
    discharge_rule: bool
    smoothing: bool
    ramp: bool
    ramp_before: bool
    reserve: bool
    curve_pieces: int
    held: bool = False
    grid_decided: bool = False


def charged_peaks(instance: Instance) -> tuple[BilledPeak, ...]:
    """Return the billed peaks whose charge is above 0."""
    return tuple(peak for peak in instance.peaks if peak.charge_eur_per_kw > 0.0)


def shape_of(
    instance: Instance,
    numbers: Coefficients,
    candidates: Candidates | None = None,
    *,
    held: bool = False,
) -> Shape:
    """Return the shape of the problem: DECIDED for `candidates`, MONEY without."""
    ramp = instance.ramp_eur_per_kw > 0.0
    curve = instance.terminal_curve
    return Shape(
        n=instance.n_steps,
        form=Form.MONEY if candidates is None else Form.DECIDED,
        peaks=len(charged_peaks(instance)),
        final=instance.energy_final_min_kwh is not None,
        recovering=numbers.recovering,
        excess=bool(numbers.import_excess_kw.any() or numbers.export_excess_kw.any()),
        charge_rule=not instance.grid_charge_allowed,
        discharge_rule=not instance.battery_export_allowed,
        smoothing=instance.smoothing_reference_kw is not None,
        ramp=ramp,
        ramp_before=ramp and instance.grid_before_kw is not None,
        reserve=instance.energy_reserve_kwh is not None,
        curve_pieces=0 if curve is None else curve.pieces,
        held=held,
        grid_decided=candidates is not None and bool(candidates.grid.any()),
    )


def common_shape(shapes: Sequence[Shape]) -> Shape | None:
    """Return one shape that fits problems of all `shapes`; None when they ask different things.

    Recovery, excess and decided directions are neutral where a problem does not need them.
    """
    recovering = any(shape.recovering for shape in shapes)
    excess = any(shape.excess for shape in shapes)
    grid_decided = any(shape.grid_decided for shape in shapes)
    fitted = {
        dataclasses.replace(shape, recovering=recovering, excess=excess, grid_decided=grid_decided)
        for shape in shapes
    }
    return fitted.pop() if len(fitted) == 1 else None

"""Which battery pays: capacity by power, each replayed and appraised as an investment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.policy import Policy
from engine.analytics.backtest.result import BacktestResult
from engine.analytics.studies.finance import Appraisal, Investment, appraise
from engine.analytics.studies.units import Failure, Outcome, Unit
from engine.domain.errors import BacktestError
from engine.domain.site import Battery


@dataclass(frozen=True, slots=True, eq=False)
class SizePoint:
    """One size of battery.

    Attributes:
        energy_kwh: Nameplate capacity.
        power_kw: Charge and discharge power.
        result: What it earned; None where its backtest failed.
        appraisal: What it is worth; None likewise.
        failure: Why there is none, in words.
    """

    energy_kwh: float
    power_kw: float
    result: BacktestResult | None
    appraisal: Appraisal | None
    failure: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SizingMap:
    """Every size asked for, capacity by capacity, within each by power.

    Attributes:
        energies_kwh: Capacities, ascending.
        powers_kw: Powers, ascending.
        points: All sizes, ``len(energies) * len(powers)``.
    """

    energies_kwh: tuple[float, ...]
    powers_kw: tuple[float, ...]
    points: tuple[SizePoint, ...]

    def at(self, energy_index: int, power_index: int) -> SizePoint:
        """Return one size."""
        return self.points[energy_index * len(self.powers_kw) + power_index]

    @property
    def best(self) -> SizePoint | None:
        """The size with the highest net present value; None where nothing could be replayed."""
        known = [point for point in self.points if point.appraisal is not None]
        return max(known, key=_npv, default=None)

    @property
    def fastest(self) -> SizePoint | None:
        """The size with the shortest payback; None where none pays back."""
        paying = [
            point
            for point in self.points
            if point.appraisal is not None and point.appraisal.payback_years is not None
        ]
        return min(paying, key=_payback, default=None)


def resized(battery: Battery, energy_kwh: float, power_kw: float) -> Battery:
    """Return `battery` in another size: its standby loss grows with the capacity.

    Efficiency, window and cost of ageing per kWh stay. Charge and discharge power keep their
    ratio; `power_kw` is the larger of the two.
    """
    factor = energy_kwh / battery.energy_capacity_kwh
    larger = max(battery.power_charge_max_kw, battery.power_discharge_max_kw)
    if larger <= 0.0:
        charge, discharge = power_kw, power_kw
    else:
        charge = power_kw * battery.power_charge_max_kw / larger
        discharge = power_kw * battery.power_discharge_max_kw / larger
    return dataclasses.replace(
        battery,
        energy_capacity_kwh=energy_kwh,
        power_charge_max_kw=charge,
        power_discharge_max_kw=discharge,
        standby_loss_kw=battery.standby_loss_kw * factor,
    )


def sizing_units(
    case: BacktestCase, policy: Policy, energies_kwh: Sequence[float], powers_kw: Sequence[float]
) -> list[Unit]:
    """Return the backtests of a sizing map, in the order of its points.

    Raises:
        BacktestError: A size is not positive, or there are none.
    """
    for name, sizes in (("energies_kwh", energies_kwh), ("powers_kw", powers_kw)):
        bad = [size for size in sizes if not 0.0 < size <= 1e7]
        if bad or not sizes:
            raise BacktestError(
                f"{bad[0]:g} is no size." if bad else "There is no size to look at.",
                field=name,
                value=bad[0] if bad else None,
                hint="Give sizes above 0.",
            )
    return [
        Unit(case.with_battery(resized(case.battery, energy, power)), policy)
        for energy in sorted(set(energies_kwh))
        for power in sorted(set(powers_kw))
    ]


def sizing_map(
    units: Sequence[Unit], outcomes: Sequence[Outcome | None], investment: Investment
) -> SizingMap:
    """Return the map of `sizing_units` and what became of them; None where it is not known yet."""
    points = [
        _point(unit, outcome, investment) for unit, outcome in zip(units, outcomes, strict=True)
    ]
    energies = sorted({point.energy_kwh for point in points})
    powers = sorted({point.power_kw for point in points})
    return SizingMap(tuple(energies), tuple(powers), tuple(points))


def _point(unit: Unit, outcome: Outcome | None, investment: Investment) -> SizePoint:
    battery = unit.case.battery
    power = max(battery.power_charge_max_kw, battery.power_discharge_max_kw)
    energy = battery.energy_capacity_kwh
    if outcome is None or isinstance(outcome, Failure):
        said = None if outcome is None else outcome.message
        return SizePoint(energy, power, None, None, said)
    days = (unit.case.end - unit.case.start) / timedelta(days=1)
    return SizePoint(energy, power, outcome, appraise(investment, battery, outcome, days=days))


def _npv(point: SizePoint) -> float:
    assert point.appraisal is not None
    return point.appraisal.npv_eur


def _payback(point: SizePoint) -> float:
    assert point.appraisal is not None
    assert point.appraisal.payback_years is not None
    return point.appraisal.payback_years

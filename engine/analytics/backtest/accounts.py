"""The money of a replay, by the rules of the savings ledger.

`engine.analytics.savings` books one quarter-hour after the other from stored rows; here the
same sums are taken over arrays, because a study asks for thousands of years. Each amount of a
quarter-hour is rounded to a micro-euro, a demand charge arises in the quarter-hours that raise
the peak of their billing period, wear counts every kWh through the cells, and the change of
stored energy is valued at one price. A test holds both to the same cent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.analytics.backtest.case import STEP_HOURS
from engine.analytics.backtest.prepared import NO_PERIOD, Prepared, month_name
from engine.analytics.backtest.result import MonthResult, Traces
from engine.analytics.money import MICRO_DIGITS, micro, total
from engine.domain.plan import FloatArray
from engine.optimization.instance import Instance
from engine.optimization.terms import BilledPeak
from engine.strategies.evaluation import pv_use
from engine.strategies.replay import Replay, curtailment_kw


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Costs of one side over the replayed period.

    Attributes:
        energy_eur: Per quarter-hour: imports less exports, shape (n,).
        demand_eur: Per quarter-hour: the demand charge that arose in it, shape (n,).
        wear_eur: Per quarter-hour, shape (n,).
        stored_eur: Value by which the stored energy grew, over the whole period.
        import_kw: Mean import, shape (n,).
    """

    energy_eur: FloatArray
    demand_eur: FloatArray
    wear_eur: FloatArray
    stored_eur: float
    import_kw: FloatArray

    @property
    def total_eur(self) -> float:
        """Energy, demand and wear, less the growth of what is stored."""
        parts = (self.energy_eur, self.demand_eur, self.wear_eur)
        return total((*(total(part) for part in parts), -self.stored_eur))


def account(prepared: Prepared, traces: Traces, *, with_battery: bool = True) -> Account:
    """Return the costs of a replay.

    Args:
        prepared: The case.
        traces: What was done in its quarter-hours.
        with_battery: False for the side that has none: nothing is stored and nothing wears.
    """
    span, battery = prepared.span, prepared.case.battery
    import_kwh = np.maximum(traces.grid_kw, 0.0) * STEP_HOURS
    export_kwh = np.maximum(-traces.grid_kw, 0.0) * STEP_HOURS
    energy = _micros(import_kwh * prepared.buy[span] - export_kwh * prepared.sell[span])
    charged = np.maximum(-traces.battery_kw, 0.0) * STEP_HOURS
    discharged = np.maximum(traces.battery_kw, 0.0) * STEP_HOURS
    through = battery.efficiency_charge * charged + discharged / battery.efficiency_discharge
    stored = 0.0
    if with_battery:
        value = prepared.stored_value_eur_per_kwh
        start_kwh = prepared.case.energy_start_kwh
        stored = total((micro(float(traces.energy_kwh[-1]) * value), -micro(start_kwh * value)))
    return Account(
        energy_eur=energy,
        demand_eur=_demand(prepared, import_kwh / STEP_HOURS),
        wear_eur=_micros(battery.wear_cost_eur_per_kwh * through),
        stored_eur=stored,
        import_kw=import_kwh / STEP_HOURS,
    )


def saved_eur(own: Account, without: Account) -> FloatArray:
    """Return what was saved in each quarter-hour, stored energy left out, shape (n,)."""
    saved: FloatArray = (
        (without.energy_eur - own.energy_eur)
        + (without.demand_eur - own.demand_eur)
        + (without.wear_eur - own.wear_eur)
    )
    return saved


def months(prepared: Prepared, own: Account, without: Account) -> tuple[MonthResult, ...]:
    """Return what was saved month by month; the change of stored energy counts in the last."""
    saved = saved_eur(own, without)
    month = prepared.month[prepared.span]
    out = []
    for number in np.unique(month):
        here = month == number
        stored = own.stored_eur if number == month[-1] else 0.0
        out.append(
            MonthResult(
                month=month_name(int(number)),
                saving_eur=total((micro(float(np.sum(saved[here]))), stored)),
                peak_kw=float(own.import_kw[here].max()),
                peak_without_kw=float(without.import_kw[here].max()),
            )
        )
    return tuple(out)


def without_battery(prepared: Prepared) -> Traces:
    """Return the site without a battery; it gives away PV power as the plant does by itself."""
    n = prepared.case.n
    return traces_of(prepared, np.zeros(n), np.zeros(n))


def traces_of(
    prepared: Prepared,
    battery_kw: FloatArray,
    energy_kwh: FloatArray,
    curtailed_kw: FloatArray | None = None,
) -> Traces:
    """Return the quarter-hours that battery powers lead to; `curtailed_kw` None for the plant's."""
    series, span = prepared.case.series, prepared.span
    load, pv = series.load_kw[span], series.pv_kw[span]
    if curtailed_kw is None:
        curtailed_kw = curtailment_kw(whole_period(prepared), battery_kw)
    grid = load - pv + curtailed_kw - battery_kw
    return Traces(battery_kw, grid, curtailed_kw, energy_kwh)


def whole_period(prepared: Prepared, billed_peaks: tuple[BilledPeak, ...] = ()) -> Instance:
    """Return the period as one planning problem at the tariff the site pays."""
    case, span = prepared.case, prepared.span
    return Instance.for_battery(
        case.battery,
        start=case.start,
        step_minutes=15,
        buy_eur_per_kwh=prepared.buy[span],
        sell_eur_per_kwh=prepared.sell[span],
        load_kw=case.series.load_kw[span],
        pv_kw=case.series.pv_kw[span],
        import_limit_kw=case.site.grid.import_limit_kw,
        export_limit_kw=prepared.export_limit_kw[span],
        energy_start_kwh=case.energy_start_kwh,
        terminal_value_eur_per_kwh=prepared.stored_value_eur_per_kwh,
        curtailment_allowed=case.curtailment_allowed,
        billed_peaks=billed_peaks,
    )


@dataclass(frozen=True, slots=True)
class EnergyFigures:
    """Cycles and shares of a replay.

    Attributes:
        full_cycles: Energy drawn from the store over its usable capacity.
        self_consumption: Share of PV energy used on site; None without PV.
        self_sufficiency: Share of the load that was not imported; None without load.
    """

    full_cycles: float
    self_consumption: float | None
    self_sufficiency: float | None


def energy_figures(prepared: Prepared, traces: Traces, *, with_battery: bool) -> EnergyFigures:
    """Return cycles, self-consumption and self-sufficiency as the key figures define them."""
    battery, instance = prepared.case.battery, whole_period(prepared)
    usable_kwh = battery.energy_max_kwh - battery.energy_min_kwh
    drawn_kwh = float(np.maximum(traces.battery_kw, 0.0).sum()) * STEP_HOURS
    drawn_kwh /= battery.efficiency_discharge
    run = Replay(traces.battery_kw, traces.grid_kw, traces.curtailed_kw, traces.energy_kwh)
    load_kwh = float(instance.load_kw.sum()) * STEP_HOURS
    import_kwh = float(np.maximum(traces.grid_kw, 0.0).sum()) * STEP_HOURS
    return EnergyFigures(
        full_cycles=drawn_kwh / usable_kwh if with_battery and usable_kwh > 0.0 else 0.0,
        self_consumption=pv_use(instance, run).self_consumption,
        self_sufficiency=1.0 - import_kwh / load_kwh if load_kwh > 0.0 else None,
    )


def _demand(prepared: Prepared, import_kw: FloatArray) -> FloatArray:
    """Return the demand charge that arises in each step: where it raises its period's peak."""
    span = prepared.span
    period, billed = prepared.period[span], prepared.billed[span]
    counted = np.where(billed, import_kw, 0.0)
    out = np.zeros(counted.size)
    for number, terms in enumerate(prepared.periods):
        here = np.flatnonzero(period == number)
        if number == NO_PERIOD or not here.size:
            continue
        charge = _micros(np.maximum.accumulate(counted[here]) * terms.eur_per_kw)
        out[here] = np.diff(charge, prepend=0.0)
    return _micros(out)


def _micros(amounts: FloatArray) -> FloatArray:
    rounded: FloatArray = np.round(amounts, MICRO_DIGITS) + 0.0
    return rounded

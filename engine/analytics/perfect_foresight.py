"""The exact optimum of a billing period that is over: nobody could have paid less.

One optimisation over all quarter-hours of the period that were measured, at the prices that
were booked, with the demand charge of the period and the energy left at the end valued as in
the accounts (`engine.analytics.stored_value`). Gaps are taken out, so its battery stands still
in them like every other. It settles quarter-hours: inside one its battery follows the net load
without an error, which no real one can; its cost is therefore a bound, also for baselines that
are simulated by the minute, wherever buying costs no less than selling earns.

Where selling earns more than buying costs, some steps need binary variables; their search ends
after the optimiser's time limit with the best that was found.

The period is a local month. Where the demand charge is billed by the year, the peak that
perfect foresight itself reached in the months before is incurred; it looks no further ahead
than the month, and is then a little worse than the best of the whole year.

While the month runs, its rows are provisional: the optimum of what has passed is not the
beginning of the optimum of the whole, so they are replaced with each day until the month ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from engine.analytics.baselines import PERFECT_FORESIGHT, saving_row
from engine.analytics.facts import Quarter
from engine.domain.errors import OptimizationError
from engine.domain.records import SavingsRow
from engine.domain.site import Site
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.solution import Solution
from engine.optimization.solving import Solves
from engine.optimization.terms import BilledPeak

STEP_MINUTES = 15
_HOURS = STEP_MINUTES / 60.0


@dataclass(frozen=True, slots=True, eq=False)
class DemandTerms:
    """A demand charge on some of the quarter-hours that are looked at.

    Attributes:
        billed: True per quarter-hour that counts, shape (n,).
        eur_per_kw: Price of a kW of the highest import among them.
        incurred_kw: Import already reached in the billing period.
    """

    billed: NDArray[np.bool_]
    eur_per_kw: float
    incurred_kw: float


def optimal_problem(
    quarters: Sequence[Quarter],
    *,
    site: Site,
    start_kwh: float,
    may_export: Sequence[bool],
    demand: Sequence[DemandTerms],
    stored_value_eur_per_kwh: float,
) -> Instance:
    """Return the planning problem of quarter-hours of which everything is known.

    Args:
        quarters: What was measured, ascending, at least one; gaps left out.
        site: Battery and grid connection.
        start_kwh: Stored energy at the start.
        may_export: Whether the tariff lets the site export, per quarter-hour.
        demand: Demand charges.
        stored_value_eur_per_kwh: Value of a kWh left at the end.
    """
    net_kw = np.array([quarter.net_total_kwh for quarter in quarters]) / _HOURS
    return Instance.for_battery(
        site.battery,
        start=quarters[0].ts,
        step_minutes=STEP_MINUTES,
        buy_eur_per_kwh=[quarter.row.buy_eur_per_kwh for quarter in quarters],
        sell_eur_per_kwh=[quarter.row.sell_eur_per_kwh for quarter in quarters],
        load_kw=np.maximum(net_kw, 0.0),
        pv_kw=np.maximum(-net_kw, 0.0),
        import_limit_kw=site.grid.import_limit_kw,
        export_limit_kw=np.where(may_export, site.grid.export_limit_kw, 0.0),
        energy_start_kwh=start_kwh,
        terminal_value_eur_per_kwh=stored_value_eur_per_kwh,
        curtailment_allowed=False,
        billed_peaks=tuple(
            BilledPeak(terms.billed, terms.eur_per_kw, terms.incurred_kw)
            for terms in demand
            if terms.eur_per_kw > 0.0 and terms.billed.any()
        ),
    )


def solved(problem: Instance, optimizer: Solves) -> Solution:
    """Return the checked optimum of `problem`.

    Raises:
        OptimizationError: The solver failed, or its answer did not pass the independent check.
    """
    solution = optimizer.solve(problem)
    check = check_solution(problem, solution)
    if not check.passed:
        raise OptimizationError(
            "the optimum failed its independent check: " + " ".join(check.messages),
            field="analytics.perfect_foresight",
            value=problem.start,
            hint="Please report this case; the other baselines stand.",
        )
    return solution


def foresight_rows(quarters: Sequence[Quarter], solution: Solution) -> list[SavingsRow]:
    """Return the optimum as rows of the baseline `PERFECT_FORESIGHT`."""
    rows = []
    for i, quarter in enumerate(quarters):
        charged_kwh = float(solution.charge_kw[i]) * _HOURS
        discharged_kwh = float(solution.discharge_kw[i]) * _HOURS
        net_kwh = quarter.net_total_kwh + charged_kwh - discharged_kwh
        rows.append(
            saving_row(
                quarter,
                PERFECT_FORESIGHT,
                import_kwh=max(0.0, net_kwh),
                export_kwh=max(0.0, -net_kwh),
                charged_kwh=charged_kwh,
                discharged_kwh=discharged_kwh,
                soc_kwh=float(solution.soc_kwh[i]),
            )
        )
    return rows


def perfect_foresight(
    quarters: Sequence[Quarter],
    *,
    site: Site,
    start_kwh: float,
    may_export: Sequence[bool],
    demand: Sequence[DemandTerms],
    stored_value_eur_per_kwh: float,
    optimizer: Solves,
) -> list[SavingsRow]:
    """Return the optimum of one period as rows, none without quarter-hours.

    Args: as for `optimal_problem`; `optimizer` solves it.

    Raises:
        OptimizationError: As for `solved`.
    """
    if not quarters:
        return []
    problem = optimal_problem(
        quarters,
        site=site,
        start_kwh=start_kwh,
        may_export=may_export,
        demand=demand,
        stored_value_eur_per_kwh=stored_value_eur_per_kwh,
    )
    return foresight_rows(quarters, solved(problem, optimizer))


def inside(times: Sequence[datetime], start: datetime, end: datetime) -> NDArray[np.bool_]:
    """Return which of `times` lie in ``[start, end)``, shape (n,)."""
    return np.array([start <= ts < end for ts in times], dtype=np.bool_)

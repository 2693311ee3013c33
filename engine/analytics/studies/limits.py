"""What each limit costs: the period solved again with the limit moved.

Perfect foresight is solved over the whole period, so a difference is the value of the limit
alone and not of a better forecast. Grid limits are moved by steps; of cycles, a bound on full
cycles per year is met by a price per cycle, found by bisection. A price that makes the optimum
use exactly the allowed cycles gives the optimum under the bound (Everett 1963, Operations
Research 11, 399-417); where no price hits it exactly, the result keeps within it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from engine.analytics.backtest.accounts import account, energy_figures
from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import PERFECT
from engine.analytics.backtest.foresight import perfect_traces
from engine.analytics.backtest.prepared import Prepared, prepare
from engine.analytics.studies.finance import DAYS_PER_YEAR
from engine.analytics.studies.units import Failure, Outcome, Unit
from engine.domain.errors import BacktestCancelledError, BacktestError
from engine.domain.site import GridConnection

IMPORT, EXPORT, CYCLES = "grid_import", "grid_export", "cycles"

UNLIMITED_KW = 1e6
_BISECTIONS = 24
_KEPT_KW = 0.5
_DEAREST_EUR_PER_KWH = 10.0


@dataclass(frozen=True, slots=True)
class LimitValue:
    """What moving one limit is worth over the replayed period.

    Attributes:
        limit: `IMPORT`, `EXPORT` or `CYCLES`.
        at: Where it is moved to: kW, or full cycles per year; None for no limit.
        total_eur: What the site then pays at best; None where that is impossible.
        gain_eur: By how much less than with the limits as they are; None likewise.
        price_eur: Price per kW (gain over kW moved) or per full cycle at the bound; None where
            it is not defined.
        failure: Why there is no value, in words.
    """

    limit: str
    at: float | None
    total_eur: float | None
    gain_eur: float | None
    price_eur: float | None
    failure: str | None = None


def grid_units(
    case: BacktestCase, *, imports_kw: Sequence[float | None], exports_kw: Sequence[float | None]
) -> list[Unit]:
    """Return the case as it is, then with each other limit of the grid connection.

    A feed-in cap can only be kept by giving PV power away: where the case does not do so, the
    caps are compared with the case as it is but able to.
    """
    grid = case.site.grid
    units = [_with_grid(case, grid)]
    units += [_with_grid(case, GridConnection(_kw(at), grid.export_limit_kw)) for at in imports_kw]
    able = dataclasses.replace(case, curtailment_allowed=True)
    if exports_kw and not case.curtailment_allowed:
        units.append(_with_grid(able, grid))
    units += [_with_grid(able, GridConnection(grid.import_limit_kw, _kw(at))) for at in exports_kw]
    return units


def grid_values(
    units: Sequence[Unit],
    outcomes: Sequence[Outcome],
    *,
    imports_kw: Sequence[float | None],
    exports_kw: Sequence[float | None],
) -> list[LimitValue]:
    """Return what the limits of `grid_units` are worth.

    Raises:
        BacktestError: The case as it is has no optimum.
    """
    before = units[0].case.site.grid
    split = len(outcomes) - len(exports_kw)
    values = [
        _grid_value(IMPORT, at, before.import_limit_kw, outcomes[0], outcome)
        for at, outcome in zip(imports_kw, outcomes[1 : 1 + len(imports_kw)], strict=True)
    ]
    own = outcomes[split - 1] if split > 1 + len(imports_kw) else outcomes[0]
    values += [
        _grid_value(EXPORT, at, before.export_limit_kw, own, outcome)
        for at, outcome in zip(exports_kw, outcomes[split:], strict=True)
    ]
    return values


def _with_grid(case: BacktestCase, grid: GridConnection) -> Unit:
    site = dataclasses.replace(case.site, grid=grid)
    return Unit(dataclasses.replace(case, site=site), PERFECT)


def _grid_value(
    limit: str, at: float | None, was_kw: float, base: Outcome, outcome: Outcome
) -> LimitValue:
    if isinstance(base, Failure):
        raise BacktestError(base.message, field="limits")
    if isinstance(outcome, Failure):
        return LimitValue(limit, at, None, None, None, outcome.message)
    highest_kw = max(outcome.monthly_peaks_kw)
    if limit == IMPORT and at is not None and highest_kw > at + _KEPT_KW:
        said = f"It cannot be kept: the site then still draws {highest_kw:.0f} kW."
        return LimitValue(limit, at, None, None, None, said)
    gain = base.total_eur - outcome.total_eur
    price = None if at is None or at == was_kw else round(gain / (at - was_kw), 6) + 0.0
    return LimitValue(limit, at, outcome.total_eur, gain, price)


def cycle_values(
    case: BacktestCase,
    cycles_per_year: Sequence[float],
    *,
    cancelled: Callable[[], bool] | None = None,
    told: Callable[[float], None] | None = None,
) -> list[LimitValue]:
    """Return what bounds on full cycles per year cost: first without one, then each bound.

    Args:
        case: The case.
        cycles_per_year: Bounds.
        cancelled: Asked between two solutions.
        told: Told which share of the bounds is done.

    Raises:
        BacktestCancelledError: `cancelled` said so.
        OptimizationError: The period has no optimum.
    """
    prepared = prepare(case)
    years = (case.end - case.start) / timedelta(days=1) / DAYS_PER_YEAR
    usable_kwh = case.battery.energy_max_kwh - case.battery.energy_min_kwh

    def at_price(extra_eur_per_kwh: float) -> tuple[float, float]:
        if cancelled is not None and cancelled():
            raise BacktestCancelledError("The study of limits was stopped.", field="study")
        return _optimum(prepared, extra_eur_per_kwh, years)

    free_eur, free_cycles = at_price(0.0)
    values = [LimitValue(CYCLES, None, free_eur, 0.0, 0.0)]
    for number, bound in enumerate(cycles_per_year):
        if told is not None:
            told(number / len(cycles_per_year))
        if bound >= free_cycles:
            values.append(LimitValue(CYCLES, bound, free_eur, 0.0, 0.0))
            continue
        low, high = 0.0, case.battery.wear_cost_eur_per_kwh + 0.05
        total, cycles = at_price(high)
        while cycles > bound and high < _DEAREST_EUR_PER_KWH:
            low, high = high, 2.0 * high
            total, cycles = at_price(high)
        if cycles > bound:
            said = f"Even at {high:g} EUR/kWh the site runs {cycles:.0f} cycles a year."
            values.append(LimitValue(CYCLES, bound, None, None, None, said))
            continue
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2.0
            at_middle = at_price(middle)
            if at_middle[1] > bound:
                low = middle
            else:
                high, (total, cycles) = middle, at_middle
            if math.isclose(cycles, bound, rel_tol=2e-3) or high - low < 1e-6:
                break
        # A full cycle passes the usable energy through the cells twice, in and out.
        price = 2.0 * usable_kwh * high
        values.append(LimitValue(CYCLES, bound, total, free_eur - total, price))
    return values


def _optimum(prepared: Prepared, extra_eur_per_kwh: float, years: float) -> tuple[float, float]:
    """Return cost at the true prices and cycles per year, at an extra price per kWh of use."""
    case, battery = prepared.case, prepared.case.battery
    dearer = dataclasses.replace(
        battery, wear_cost_eur_per_kwh=battery.wear_cost_eur_per_kwh + extra_eur_per_kwh
    )
    # The value of what is left at the end stays, so that only the cycles are priced.
    other = dataclasses.replace(prepared, case=case.with_battery(dearer))
    traces, _ = perfect_traces(other, PERFECT)
    cycles = energy_figures(prepared, traces, with_battery=True).full_cycles
    return account(prepared, traces).total_eur, cycles / years


def _kw(at: float | None) -> float:
    return UNLIMITED_KW if at is None else at

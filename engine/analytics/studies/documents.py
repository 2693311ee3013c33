"""Studies carried out, each answered as plain data that page, report, API and exports read.

    document = study_document(MONTE_CARLO, case, policies, asked, run=run)

Every document has `rows` (plain values, one table), `policy` and `assumptions`; what made a whole
study impossible stands in `failure`, and its `rows` are empty then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import PERFECT, capture
from engine.analytics.backtest.policy import Forecaster, Policy
from engine.analytics.backtest.result import BacktestResult
from engine.analytics.studies.asked import (
    FORECAST,
    IN_FORCE,
    LIMITS,
    MONTE_CARLO,
    TARIFFS,
    ForecastAsked,
    LimitsAsked,
    StudiesAsked,
    YearsAsked,
    first_strategy,
    run_by,
)
from engine.analytics.studies.forecast_quality import quality_points, quality_units
from engine.analytics.studies.limits import cycle_values, grid_units, grid_values
from engine.analytics.studies.monte_carlo import WEEKS, Spread, monte_carlo, monte_carlo_units
from engine.analytics.studies.side_by_side import side_by_side, side_by_side_units
from engine.analytics.studies.units import Outcome, Unit
from engine.analytics.studies.year_samples import PriceSeries
from engine.config.tariff import TariffConfig
from engine.domain.errors import BacktestCancelledError, BacktestError, EmsError

Run = Callable[[Sequence[Unit]], Sequence[Outcome]]
"""Carries out units, in order; knows of stores, processes, progress and cancelling."""

Told = Callable[[float], None]


def study_document(
    name: str,
    case: BacktestCase,
    policies: Sequence[Policy],
    asked: StudiesAsked,
    *,
    run: Run,
    told: Told | None = None,
) -> dict[str, Any]:
    """Return one study of a case; what makes it impossible is said in it, not raised.

    Args:
        name: One of `asked.names`.
        case: What is replayed.
        policies: How the battery is run; studies of one policy take the first strategy.
        asked: What is asked for.
        run: Carries out the units of work.
        told: Told how far the part is that is no unit of work, 0..1.

    Raises:
        BacktestCancelledError: `run` or `told` said so.
    """
    try:
        if name == TARIFFS and asked.tariffs is not None:
            return _tariffs(case, policies, dict(asked.tariffs), run)
        if name == LIMITS and asked.limits is not None:
            return _limits(case, asked.limits, run, told)
        if name == FORECAST and asked.forecast is not None:
            return _forecast(case, policies, asked.forecast, run)
        if name == MONTE_CARLO and asked.years is not None:
            return _years(case, policies, asked.years, run)
    except BacktestCancelledError:
        raise
    except EmsError as exc:
        said = f"{exc.message} {exc.hint}" if exc.hint else exc.message
        return {"failure": said, "policy": None, "rows": [], "assumptions": []}
    raise ValueError(f"no study {name!r} was asked for")


def _tariffs(
    case: BacktestCase, policies: Sequence[Policy], others: dict[str, TariffConfig], run: Run
) -> dict[str, Any]:
    tariffs = {IN_FORCE: case.tariff, **others}
    tried = [policy for policy in policies if policy != PERFECT]
    units = side_by_side_units(case, tried, tariffs)
    table = side_by_side(units, run(units), tariffs)
    rows: list[dict[str, Any]] = []
    for name in tariffs:
        mine = [entry for entry in table.entries if entry.tariff == name]
        best = table.perfect[name]
        without = next((e.without_eur for e in mine if e.without_eur is not None), None)
        if without is None and best is not None:
            without = best.saving_eur + best.total_eur
        none = {"total_eur": without, "saving_eur": 0.0}
        rows.append(_NO_FIGURES | {"tariff": name, "strategy": "none"} | none)
        for entry in mine:
            rows.append(_tariff_row(name, entry.policy, entry.result) | {"failure": entry.failure})
        if best is not None:
            share = capture(best.saving_eur, best.saving_eur)
            rows.append(_tariff_row(name, PERFECT, dataclasses.replace(best, capture=share)))
    return _document(
        None,
        rows,
        "Each tariff is replayed with the same series; the site behaves the same under each.",
        "Total cost is energy, demand charge and ageing, less the growth of what is stored; fixed "
        "monthly fees are left out.",
    )


_FIGURES = ("total_eur", "saving_eur", "capture", "demand_eur", "full_cycles")
_NO_FIGURES: dict[str, Any] = {"forecaster": None, **dict.fromkeys(_FIGURES), "failure": None}


def _tariff_row(tariff: str, policy: Policy, result: BacktestResult | None) -> dict[str, Any]:
    figures = {} if result is None else {name: getattr(result, name) for name in _FIGURES}
    known = None if policy.is_baseline else policy.forecaster.value
    named = {"tariff": tariff, "strategy": policy.strategy, "forecaster": known}
    return _NO_FIGURES | named | figures


def _limits(case: BacktestCase, asked: LimitsAsked, run: Run, told: Told | None) -> dict[str, Any]:
    grid = case.site.grid
    which = {"imports_kw": asked.imports_kw, "exports_kw": asked.exports_kw}
    units = grid_units(case, **which)
    values = grid_values(units, run(units), **which)
    if asked.cycles_per_year:
        values += cycle_values(case, asked.cycles_per_year, told=told)
    document = _document(
        PERFECT,
        [dataclasses.asdict(value) for value in values],
        "Perfect foresight over the whole period each time: a difference is the value of the limit "
        "alone.",
        f"The limits as they are: {grid.import_limit_kw:g} kW import, {grid.export_limit_kw:g} kW "
        "export; no bound on cycles.",
        "A bound on full cycles per year is met by a price per cycle, found by bisection.",
    )
    if asked.exports_kw and not case.curtailment_allowed:
        document["assumptions"].append(
            "Feed-in caps are compared with a plant that may give PV power away, as a cap makes "
            "it do; without that the cap could not be kept."
        )
    document["in_force"] = {
        "grid_import": grid.import_limit_kw,
        "grid_export": grid.export_limit_kw,
    }
    return document


def _forecast(
    case: BacktestCase, policies: Sequence[Policy], asked: ForecastAsked, run: Run
) -> dict[str, Any]:
    policy = first_strategy(policies)
    if policy.forecaster in (Forecaster.PERFECT, Forecaster.PERFECT_36H, Forecaster.RECORDED):
        policy = dataclasses.replace(policy, forecaster=Forecaster.BLEND)
    units = quality_units(case, policy, scales=asked.scales, forecasters=asked.forecasters)
    points = quality_points(units, run(units))
    rows = [{**dataclasses.asdict(p), "forecaster": p.forecaster.value} for p in points]
    return _document(
        policy,
        rows,
        "The errors the forecasts of load, PV and unpublished prices really had, times a factor: "
        "0 knows everything within the horizon of a plan, 1 is the forecaster as it is.",
        "Perfect foresight over the whole period is the bound that every capture is a share of.",
    )


def refuse_impossible(case: BacktestCase, policies: Sequence[Policy], asked: StudiesAsked) -> None:
    """Refuse at once what a study would only find impossible after all others are done.

    Args:
        case: What is replayed.
        policies: How the battery is run.
        asked: What is asked for.

    Raises:
        EmsError: A study is not possible: only fixed rules were chosen for one that needs a
            strategy, or made-up years find no week for some season.
    """
    if asked.forecast is not None:
        first_strategy(policies)
    if asked.years is not None:
        _year_units(case, policies, dataclasses.replace(asked.years, n=1))


def _year_units(
    case: BacktestCase, policies: Sequence[Policy], asked: YearsAsked
) -> tuple[list[Unit], Policy, date, int]:
    """Return the made-up years, how they are run, their first day and their weeks."""
    policy = run_by(policies, foresight=asked.foresight)
    zone = ZoneInfo(case.site.timezone)
    first = case.start.astimezone(zone).date()
    first += timedelta(days=-first.weekday() % 7)
    weeks = min(WEEKS, (case.end.astimezone(zone).date() - first).days // 7)
    if weeks < 1:
        raise BacktestError(
            "The period holds no whole week from Monday to Sunday.",
            field="studies.montecarlo",
            hint="Choose a longer period, best a whole year.",
        )
    own = PriceSeries(case.series.start, case.series.spot_eur_per_kwh)
    units = monte_carlo_units(
        case,
        policy,
        sites=[case.series],
        prices=[own, *asked.prices],
        n=asked.n,
        seed=asked.seed,
        first_monday=first,
        weeks=weeks,
        paired=not asked.prices,
    )
    return units, policy, first, weeks


def _years(
    case: BacktestCase, policies: Sequence[Policy], asked: YearsAsked, run: Run
) -> dict[str, Any]:
    units, policy, first, weeks = _year_units(case, policies, asked)
    outcomes = run(units)
    found = monte_carlo(units, outcomes, asked.investment)
    said = (
        "Prices stay with the weeks they were recorded with."
        if not asked.prices
        else f"Prices are drawn from {1 + len(asked.prices)} recorded price years, apart from load "
        "and PV."
    )
    document = _document(
        policy,
        [
            {"year": number, "saving_eur_per_year": saving}
            for number, saving in enumerate(sorted(found.savings_eur), 1)
        ],
        *found.assumptions,
        said,
        f"Weeks in each made-up year: {weeks}, from {first} on; savings are per 365.25 days.",
    )
    return document | {
        "n": len(units),
        "failed": found.failed,
        "saving": dataclasses.asdict(found.saving),
        "npv": _spread(found.npv),
    }


def _spread(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else dataclasses.asdict(spread)


def _document(
    policy: Policy | None, rows: list[dict[str, Any]], *assumptions: str
) -> dict[str, Any]:
    return {
        "failure": None,
        "policy": None if policy is None else policy.label(),
        "rows": rows,
        "assumptions": list(assumptions),
    }

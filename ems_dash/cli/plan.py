"""``plan``: the plan for a stated time, against its baselines, with its reasons."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ems_dash.cli.site_choice import add_site, chosen_site
from engine.domain.errors import EmsError

NO_BATTERY = "no_battery"

if TYPE_CHECKING:
    from engine.config.schema import Config
    from engine.domain.strategy import CandidateValue
    from engine.runtime.single_plan import SinglePlan


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "plan",
        help="make the plan for a stated time",
        description="Make the plan for a stated time from what was known then, and print it with "
        "its cost against each baseline and its reasons. Nothing is commanded or stored.",
    )
    command.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="folder of ems.yaml"
    )
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the database"
    )
    add_site(command)
    command.add_argument(
        "--at",
        type=_moment,
        default=None,
        metavar="TIME",
        help="ISO 8601, for example 2026-11-25T14:00; without an offset the site's local time; "
        "now when absent",
    )
    command.add_argument(
        "--soc", type=float, default=None, metavar="PERCENT", help="state of charge to start with"
    )
    command.add_argument("--json", action="store_true", help="print everything as JSON")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the plan; 0 when there is one that passed its independent check."""
    from engine.runtime.single_plan import single_plan

    site = chosen_site(arguments)
    config = site.config
    now = datetime.now(UTC)
    at = arguments.at or now
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(config.site.timezone))
    if arguments.soc is not None and not 0.0 <= arguments.soc <= 100.0:
        raise EmsError(
            f"{arguments.soc:g} is no state of charge.",
            field="--soc",
            value=arguments.soc,
            hint="Give a number from 0 to 100.",
        )
    result = single_plan(config, site.data, _utc(at), arguments.soc, now)
    if arguments.json:
        print(json.dumps(_document(result, config), allow_nan=False))
    else:
        for line in _lines(result, config):
            print(line)
    return 0


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; write it like 2026-11-25T14:00 or 2026-11-25T14:00+01:00"
        ) from exc


def _utc(at: datetime) -> datetime:
    # A plan looks four weeks back and some days ahead.
    if not 1900 <= at.year <= 9000:
        raise EmsError(
            f"There is no plan for the year {at.year}.",
            field="--at",
            value=at.isoformat(),
            hint="Give a time like 2026-11-25T14:00.",
        )
    return at.astimezone(UTC)


def _document(result: SinglePlan, config: Config) -> dict[str, Any]:
    from ems_dash.api.models import plan_answer
    from ems_dash.api.planning_models import forecast_series, selection_info
    from engine.config.described_site import site_from
    from engine.optimization.explanation import explain

    made = result.made
    plan = plan_answer(made.plan, config.bess.energy_capacity_kwh).model_dump(mode="json")
    reasons = explain(made.plan, site_from(config).battery)
    for step, reason in zip(plan["steps"], reasons, strict=True):
        step["why"] = reason.as_dict()
    return {
        "plan": plan,
        "selection": selection_info(made.selection).model_dump(mode="json"),
        "baselines": _baselines(result),
        "forecasts": [forecast_series(f).model_dump(mode="json") for f in made.forecasts.values()],
        "soc": {"percent": result.soc_percent, "source": result.soc_source},
    }


def _baselines(result: SinglePlan) -> dict[str, dict[str, float]]:
    """Return name to cost of a baseline and what the plan saves against it, EUR.

    Costs count energy, wear and demand charge, less the value of what is left in the store.
    """
    chosen = _chosen(result)
    plan_eur = chosen.cost_eur or 0.0
    costs = {NO_BATTERY: plan_eur + (chosen.saving_eur or 0.0)}
    costs |= {name: rule.cost_eur for name, rule in result.rules.items()}
    return {
        name: {"cost_eur": cost, "plan_saves_eur": cost - plan_eur} for name, cost in costs.items()
    }


def _chosen(result: SinglePlan) -> CandidateValue:
    selection = result.made.selection
    return next(c for c in selection.candidates if c.strategy is selection.active)


def _lines(result: SinglePlan, config: Config) -> list[str]:
    zone = ZoneInfo(config.site.timezone)
    plan, selection = result.made.plan, result.made.selection
    chosen = _chosen(result)
    first, last = plan.start.astimezone(zone), plan.end.astimezone(zone)
    lines = [
        f"Plan for {config.site.name}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} "
        f"({config.site.timezone})",
        f"  state of charge   {result.soc_percent:.1f} % ({result.soc_source})",
        f"  strategy          {plan.strategy} ({selection.mode}, {selection.reason.value})",
        f"  solver            {plan.solver}, {plan.status}, gap {plan.gap:.2g}, "
        f"{plan.solve_ms:.0f} ms",
        f"  independent check {'passed' if plan.check.passed else 'FAILED'}, largest violation "
        f"{plan.check.max_violation_kw:.1e} kW, {plan.check.max_violation_kwh:.1e} kWh",
        f"  cost              {_money(chosen.cost_eur)} = energy {_money(chosen.energy_eur)} "
        f"+ wear {_money(chosen.wear_eur)} + demand {_money(chosen.demand_eur)} - energy left",
    ]
    lines += [f"  gave way          {name}: {amount:g}" for name, amount in plan.gave_way.items()]
    lines += ["", "Against simple controllers, on the same forecasts:"]
    lines += [
        f"  {name:<22} {_money(row['cost_eur']):>12}   the plan saves "
        f"{_money(row['plan_saves_eur'])}"
        for name, row in _baselines(result).items()
    ]
    lines += ["", "Strategies, each valued at the tariff the site pays:"]
    for candidate in selection.candidates:
        mark = "*" if candidate.strategy is selection.active else " "
        worth = candidate.reason or (
            f"saves {_money(candidate.saving_eur)}, peak {candidate.peak_kw or 0.0:.1f} kW, "
            f"{candidate.full_cycles or 0.0:.2f} cycles"
        )
        lines.append(f" {mark}{candidate.strategy.value:<22} {worth}")
    lines += ["", "Made from:"]
    lines += [f"  {signal:<17} {f.method}" for signal, f in result.made.forecasts.items()]
    return [*lines, "", *_steps(result, config)]


def _steps(result: SinglePlan, config: Config) -> list[str]:
    import numpy as np

    from ems_dash.ui.why import why
    from engine.config.described_site import site_from
    from engine.optimization.explanation import explain

    zone = ZoneInfo(config.site.timezone)
    plan = result.made.plan
    reasons = explain(plan, site_from(config).battery)
    capacity = config.bess.energy_capacity_kwh
    # Under a tariff without a day-ahead price nothing about its prices is a forecast.
    guessed = plan.price_is_forecast & np.isfinite(plan.spot_eur_per_kwh)
    lines = ["time         buy    sell   load     pv battery    grid   soc  why (ct/kWh, kW, %)"]
    for i, ts in enumerate(plan.times()):
        local = ts.astimezone(zone)
        lines.append(
            f"{local:%d. %H:%M}{'~' if guessed[i] else ' '}"
            f"{100 * plan.buy_eur_per_kwh[i]:7.1f}{100 * plan.sell_eur_per_kwh[i]:8.1f}"
            f"{plan.load_kw[i]:7.1f}{plan.pv_kw[i]:7.1f}{plan.battery_kw[i]:8.1f}"
            f"{plan.grid_kw[i]:8.1f}{100 * plan.soc_kwh[i] / capacity:6.1f}  "
            f"{why(reasons[i], plan.start, zone, 'en')}"
        )
    lines.append("~ price forecast, not published; battery + discharge, grid + import")
    return lines


def _money(amount_eur: float | None) -> str:
    return "-" if amount_eur is None else f"{amount_eur:.2f} EUR"

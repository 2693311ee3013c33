"""``solve``: one optimisation from a file, exact, with its check."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.domain.errors import OptimizationError

if TYPE_CHECKING:
    from engine.domain.plan import PlanCheck
    from engine.optimization.instance import Instance
    from engine.optimization.reasons import Reason
    from engine.optimization.solution import Solution


_NOTES = {
    "peak": "because of the billed peak",
    "reserve": "keeps the reserve",
    "smoothing": "smooths",
    "self_consumption": "own use preferred",
}


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "solve",
        help="solve one case from a JSON file",
        description="Solve one case exactly and replay the result independently.",
    )
    command.add_argument("case", type=Path, metavar="CASE.json", help="file with the case")
    command.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the answer; 0 when it passed its independent check, else 1."""
    from engine.optimization.case import answer, parse_case
    from engine.optimization.check import check_solution
    from engine.optimization.optimizer import Optimizer

    case = _read(arguments.case)
    instance = parse_case(case)
    solution = Optimizer().solve(instance)
    check = check_solution(instance, solution)
    result = answer(instance, solution, check)
    if arguments.json:
        print(json.dumps(result, allow_nan=False))
    else:
        # The case's own offset is the local time its author thinks in.
        zone = datetime.fromisoformat(case["start"]).tzinfo
        lines = [*_summary(result), "", *_table(instance, solution, check, zone)]
        print("\n".join(lines))
    return 0 if check.passed else 1


def _summary(result: Mapping[str, Any]) -> list[str]:
    saved = result["baseline_cost_eur"] - result["cost_eur"]
    lines = [
        f"status      {result['status']} ({result['solver']}, gap {result['gap']:.2g}, "
        f"{result['solve_ms']:.0f} ms)",
        f"cost        {result['cost_eur']:.2f} EUR: energy {result['energy_cost_eur']:.2f}, "
        f"wear {result['wear_cost_eur']:.2f}, demand charge {result['demand_cost_eur']:.2f}",
        f"no battery  {result['baseline_cost_eur']:.2f} EUR (saving {saved:.2f} EUR)",
        f"check       {'passed' if result['check']['passed'] else 'FAILED'}",
    ]
    lines += [f"            {message}" for message in result["check"]["messages"]]
    lines += [f"gave way    {name}: {amount:g}" for name, amount in result["gave_way"].items()]
    return lines


def _table(
    instance: Instance, solution: Solution, check: PlanCheck, zone: tzinfo | None
) -> list[str]:
    """Return one line per step: when, prices, powers, stored energy, why."""
    times = [instance.start + step * instance.step for step in range(instance.n_steps)]
    head = f"{'time':<12}{'buy':>7}{'sell':>7}{'load':>8}{'pv':>8}{'battery':>9}{'grid':>8}"
    units = f"{'':<12}{'ct/kWh':>7}{'ct/kWh':>7}{'kW':>8}{'kW':>8}{'kW':>9}{'kW':>8}"
    lines = [f"{head}{'stored':>8}  why", f"{units}{'kWh':>8}"]
    why = _reasons(instance, solution, check, zone)
    for step, (ts, text) in enumerate(zip(times, why, strict=True)):
        lines.append(
            f"{ts.astimezone(zone):%d.%m. %H:%M} "
            f"{100 * instance.buy_eur_per_kwh[step]:>7.2f}"
            f"{100 * instance.sell_eur_per_kwh[step]:>7.2f}"
            f"{instance.load_kw[step]:>8.1f}{instance.pv_kw[step]:>8.1f}"
            f"{solution.battery_kw[step] + 0.0:>9.1f}{solution.grid_kw[step] + 0.0:>8.1f}"
            f"{solution.soc_kwh[step]:>8.1f}  {text}"
        )
    lines.append("battery: + discharge, - charge; grid: + import, - export; stored: end of step")
    return lines


def _reasons(
    instance: Instance, solution: Solution, check: PlanCheck, zone: tzinfo | None
) -> list[str]:
    from engine.optimization.explanation import explain
    from engine.optimization.planning import make_plan

    if not check.passed:
        return [""] * instance.n_steps
    plan = make_plan(
        instance,
        solution,
        check,
        plan_id="case",
        site_id="case",
        created_at=instance.start,
        spot=instance.buy_eur_per_kwh,
        price_is_forecast=[False] * instance.n_steps,
        strategy="co_optimised",
        trigger="solve",
        forecast_sources={},
    )
    powers = solution.battery_kw
    return [
        _sentence(reason, float(power), zone)
        for reason, power in zip(explain(plan), powers, strict=True)
    ]


def _sentence(reason: Reason, battery_kw: float, zone: tzinfo | None) -> str:
    from engine.optimization.explanation import FLUTTER_KW, ReasonCode

    def ct(price_eur_per_kwh: float) -> str:
        return f"{100 * price_eur_per_kwh:.1f} ct"

    later = ""
    if reason.best_later_ts is not None and reason.best_later_eur_per_kwh is not None:
        ts = reason.best_later_ts.astimezone(zone)
        later = f"{ts:%H:%M} at {ct(reason.best_later_eur_per_kwh)}"
    value = ct(reason.stored_value_eur_per_kwh)
    if reason.code is ReasonCode.CONSTRAINT:
        text = "a limit or wish decides, not the price"
    elif battery_kw >= FLUTTER_KW:
        text = f"{ct(reason.price_eur_per_kwh)} now, stored worth {value}"
    elif battery_kw <= -FLUTTER_KW:
        text = f"{ct(reason.price_eur_per_kwh)} now"
        text += f", for {later}" if later else f", stored worth {value}"
    elif later:
        difference = reason.margin_eur_per_kwh or 0.0
        better = f", {ct(difference)} better than now" if difference > 0.0 else ""
        text = f"waits for {later}{better}"
    else:
        text = "nothing to gain"
    notes = [_NOTES[driver.value] for driver in reason.drivers]
    if reason.sets_peak:
        notes.append("sets the billed peak")
    return f"{text} ({', '.join(notes)})" if notes else text


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise OptimizationError(
            f"The case cannot be read: {exc.strerror}.",
            field="CASE.json",
            value=str(path),
            hint="Give the path of a readable JSON file.",
        ) from exc
    except (UnicodeDecodeError, json.JSONDecodeError) as exc:
        raise OptimizationError(
            f"The case is not valid JSON: {exc}.",
            field="CASE.json",
            value=str(path),
            hint="See the solve case in the documentation for its form.",
        ) from exc

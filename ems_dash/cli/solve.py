"""``solve``: one optimisation from a file, exact, with its check."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from engine.domain.errors import OptimizationError


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "solve",
        help="solve one case from a JSON file",
        description="Solve one case exactly and replay the result independently.",
    )
    command.add_argument("case", type=Path, metavar="CASE.json")
    command.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the answer; 0 when it passed its independent check, else 1."""
    from engine.optimization.case import answer, parse_case
    from engine.optimization.check import check_solution
    from engine.optimization.optimizer import Optimizer

    instance = parse_case(_read(arguments.case))
    solution = Optimizer().solve(instance)
    check = check_solution(instance, solution)
    result = answer(instance, solution, check)
    if arguments.json:
        print(json.dumps(result, allow_nan=False))
    else:
        saved = result["baseline_cost_eur"] - result["cost_eur"]
        print(f"status     {result['status']} ({result['solver']}, gap {result['gap']:.2g})")
        print(f"cost       {result['cost_eur']:.2f} EUR")
        print(f"no battery {result['baseline_cost_eur']:.2f} EUR (saving {saved:.2f} EUR)")
        print(f"check      {'passed' if check.passed else 'FAILED'}")
        for message in check.messages:
            print(f"           {message}")
        for name, amount in result["gave_way"].items():
            print(f"gave way   {name}: {amount:g}")
    return 0 if check.passed else 1


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

"""``backtest``: what a battery would have earned in a past period."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ems_dash.cli import backtest_studies
from ems_dash.cli.backtest_case import case_of, policies_of
from ems_dash.cli.backtest_report import (
    about,
    document_of,
    lines_of,
    period_line,
    write_report,
    write_results,
    writing,
)
from ems_dash.cli.backtest_tournament import run_tournament
from ems_dash.cli.progress_line import ProgressLine
from engine.domain.errors import EmsError

if TYPE_CHECKING:
    from engine.analytics.backtest.case import BacktestCase
    from engine.analytics.backtest.policy import Policy


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "backtest",
        help="replay a past period from files",
        description="Replay a past period: what would this battery have earned under these "
        "strategies? Nothing looks ahead, except perfect foresight. Files have ts_utc (start of "
        "the interval) and price_eur_per_mwh, load_kw, pv_kw; CSV or Parquet.",
    )
    command.add_argument(
        "--site", type=Path, required=True, metavar="FILE", help="site in the form of ems.yaml"
    )
    for name, what in (
        ("prices", "day-ahead prices"),
        ("load", "load"),
        ("pv", "PV power"),
        ("data", "several of them in one file"),
    ):
        command.add_argument(
            f"--{name}", type=Path, nargs="+", action="extend", default=[], metavar="FILE",
            help=f"{what}; one file or several",
        )  # fmt: skip
    command.add_argument(
        "--from", dest="since", metavar="TIME", help="start, for example 2025-01-01 (local time)"
    )
    command.add_argument("--to", dest="until", metavar="TIME", help="end, not included")
    command.add_argument(
        "--strategy",
        action="append",
        default=[],
        metavar="NAME",
        help="co_optimised, auto, arbitrage, peak_shaving, self_consumption, load_balancing, or "
        "the baselines none, self_consumption_rule, timer; repeatable; co_optimised if absent",
    )
    command.add_argument(
        "--forecaster",
        default="blend",
        metavar="NAME",
        help="perfect (whole period known), perfect_36h, blend, ridge, day_type or naive",
    )
    command.add_argument(
        "--scenarios", type=int, default=0, metavar="N", help="paths of past errors planned with"
    )
    command.add_argument(
        "--reserve",
        type=float,
        default=None,
        metavar="SHARE",
        help="energy kept for peaks, 1 as in live operation; absent: 1 under a demand charge",
    )
    command.add_argument(
        "--target-share",
        type=float,
        default=None,
        metavar="SHARE",
        help="where the peak target lies between the lowest possible peak (0) and that without a "
        "battery (1); absent: as in live operation",
    )
    command.add_argument(
        "--plan-minutes",
        type=int,
        default=None,
        metavar="N",
        help="minutes between two plans; absent: 15, and 60 in periods beyond a month",
    )
    command.add_argument(
        "--horizon-hours", type=int, default=36, metavar="N", help="length of a plan"
    )
    command.add_argument(
        "--soc", type=float, default=50.0, metavar="PERCENT", help="state of charge at the start"
    )
    command.add_argument(
        "--tournament",
        action="store_true",
        help="find the scenarios, reserve and peak target that suit the site: chosen on the first "
        "part of the period, told of the rest",
    )
    command.add_argument(
        "--accept",
        action="store_true",
        help="with --tournament: write the winner into the site file, which must be an ems.yaml",
    )
    command.add_argument(
        "--audit",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="with --accept: data folder of the program, whose audit log takes it down",
    )
    backtest_studies.add_arguments(command)
    command.add_argument("--json", action="store_true", help="print the answer as JSON")
    command.add_argument(
        "--out", type=Path, default=None, metavar="DIR",
        help="also write report.json and every quarter-hour of each strategy (Parquet)",
    )  # fmt: skip
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print what each strategy would have earned; 0 only when all of it was calculated."""
    from engine.analytics.backtest.evaluate import compare

    case = case_of(arguments)
    if arguments.tournament:
        return run_tournament(arguments, case)
    if arguments.accept:
        raise EmsError(
            "There is nothing to accept.", field="--accept", hint="Give it with --tournament."
        )
    policies = policies_of(arguments, case)
    if arguments.study:
        return _studies(arguments, case, policies)
    line = ProgressLine()
    report = compare(case, policies, progress=line.progress, keep_traces=arguments.out is not None)
    line.end()
    document = document_of(report)
    if arguments.out is not None:
        write_results(arguments.out, report, document)
    if arguments.json:
        print(json.dumps(document, allow_nan=False))
    else:
        print("\n".join(lines_of(report)))
    return 0


def _studies(arguments: argparse.Namespace, case: BacktestCase, policies: list[Policy]) -> int:
    from engine.analytics.backtest.evaluate import assumptions
    from engine.analytics.backtest.prepared import prepare

    line = ProgressLine()
    found = backtest_studies.studies(arguments, case, policies, line.progress)
    line.end()
    document = {
        **about(case),
        "studies": found,
        "assumptions": list(assumptions(prepare(case))),
    }
    if arguments.out is not None:
        with writing(arguments.out):
            backtest_studies.write(arguments.out, found)
            write_report(arguments.out, document)
    if arguments.json:
        print(json.dumps(document, allow_nan=False))
        return 0
    print(period_line(case))
    print("\n".join(backtest_studies.lines(found)))
    print("\nWhat all numbers rest on:")
    print("\n".join(f"  {text}" for text in document["assumptions"]))
    return 0

"""``backtest``: what a battery would have earned in a past period."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ems_dash.cli import backtest_studies
from engine.domain.errors import EmsError

if TYPE_CHECKING:
    from engine.analytics.backtest.case import BacktestCase
    from engine.analytics.backtest.evaluate import Comparison
    from engine.analytics.backtest.policy import Forecaster, Policy

_REDRAW_S = 0.5
_MONTH_STEPS = 31 * 96 + 4


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

    case = _case(arguments)
    if arguments.tournament:
        return _tournament(arguments, case)
    if arguments.accept:
        raise EmsError(
            "There is nothing to accept.", field="--accept", hint="Give it with --tournament."
        )
    policies = _policies(arguments, case)
    if arguments.study:
        return _studies(arguments, case, policies)
    line = _ProgressLine()
    report = compare(case, policies, progress=line.progress, keep_traces=arguments.out is not None)
    line.end()
    document = _document(report)
    if arguments.out is not None:
        _write(arguments.out, report, document)
    if arguments.json:
        print(json.dumps(document, allow_nan=False))
    else:
        print("\n".join(_lines(report)))
    return 0


def _studies(arguments: argparse.Namespace, case: BacktestCase, policies: list[Policy]) -> int:
    from engine.analytics.backtest.evaluate import assumptions
    from engine.analytics.backtest.prepared import prepare

    line = _ProgressLine()
    found = backtest_studies.studies(arguments, case, policies, line.progress)
    line.end()
    document = {
        **_about(case),
        "studies": found,
        "assumptions": list(assumptions(prepare(case))),
    }
    if arguments.out is not None:
        with _writing(arguments.out):
            backtest_studies.write(arguments.out, found)
            _write_report(arguments.out, document)
    if arguments.json:
        print(json.dumps(document, allow_nan=False))
        return 0
    print(_period_line(case))
    print("\n".join(backtest_studies.lines(found)))
    print("\nWhat all numbers rest on:")
    print("\n".join(f"  {text}" for text in document["assumptions"]))
    return 0


def _tournament(arguments: argparse.Namespace, case: BacktestCase) -> int:
    from datetime import UTC, datetime

    from engine.analytics.backtest.tournament import (
        candidates,
        policy_in_force,
        standing_rows,
        tournament,
    )
    from engine.audit.opening import open_audit
    from engine.audit.trail import NO_TRAIL
    from engine.config.desk import ConfigDesk
    from engine.config.load import FILE_NAME, config_from, read_text, read_yaml
    from engine.runtime.policy_desk import PolicyDesk

    path = _site_path(arguments)
    if arguments.accept and path.name != FILE_NAME:
        raise EmsError(
            f"{path.name} is not the file of a site that runs.",
            field="--accept",
            value=str(path),
            hint=f"Give --site as the {FILE_NAME} of the site.",
        )
    # Opened before hours of calculation: what cannot be taken down is not begun.
    trail = open_audit(path.parent, arguments.audit) if arguments.accept else NO_TRAIL
    planning = config_from(read_yaml(read_text(path), str(path)), str(path)).planning
    how = {
        "plan_minutes": arguments.plan_minutes or 60,
        "horizon_hours": arguments.horizon_hours,
    }
    forecaster = _forecaster(arguments)
    current = policy_in_force(
        planning, has_demand_charge=_has_demand_charge(case), forecaster=forecaster, **how
    )
    line = _ProgressLine()
    found = tournament(case, candidates(forecaster, **how), current, progress=line.progress)
    line.end()
    proposal = found.proposal(case, datetime.now(UTC))
    document = {
        "standings": standing_rows(found),
        "perfect_train_eur": found.perfect_train_eur,
        "perfect_test_eur": found.perfect_test_eur,
        "proposal": json.loads(proposal.to_json()),
        "gain_eur": proposal.gain_eur,
        "accepted": False,
    }
    if arguments.accept:
        desk = ConfigDesk(path.parent, now=lambda: datetime.now(UTC))
        policies = PolicyDesk(desk, path.parent, trail=trail)
        policies.propose(proposal)
        policies.accept("command line")
        document["accepted"] = True
    if arguments.json:
        print(json.dumps(document, allow_nan=False))
        return 0
    print(f"{'scenarios':>9}{'reserve':>9}{'PV':>6}{'target':>8}{'saving EUR':>12}{'capture':>9}")
    for row in document["standings"]:
        print(
            f"{row['scenarios']:>9}{row['reserve']:>9g}"
            f"{row['reserve_pv_quantile']:>6g}{row['target_share']:>8g}"
            f"{row['saving_eur']:>12,.2f}{_share(row['capture']):>9}"
        )
    print(
        f"\nafter {found.split:%Y-%m-%d}, which had no say in the choice: the winner saves "
        f"{proposal.saving_eur:,.2f} EUR (capture {_share(proposal.capture)}), the settings in "
        f"force {proposal.current_saving_eur:,.2f} EUR ({_share(proposal.current_capture)})"
    )
    words = ", ".join(f"planning.{key}: {value}" for key, value in proposal.planning().items())
    print(f"{'written' if document['accepted'] else 'proposed'}: {words}")
    return 0


def _site_path(arguments: argparse.Namespace) -> Path:
    path: Path = arguments.site
    return path / "ems.yaml" if path.is_dir() else path


def _forecaster(arguments: argparse.Namespace) -> Forecaster:
    from engine.analytics.backtest.policy import Forecaster

    try:
        return Forecaster(arguments.forecaster)
    except ValueError as exc:
        raise EmsError(
            f"'{arguments.forecaster}' is no forecaster.",
            field="--forecaster",
            value=arguments.forecaster,
            hint=f"Use one of {', '.join(name for name in Forecaster if name != 'recorded')}.",
        ) from exc


def _has_demand_charge(case: BacktestCase) -> bool:
    from engine.analytics.backtest.prepared import prepare

    return prepare(case).has_demand_charge


def _case(arguments: argparse.Namespace) -> BacktestCase:
    from ems_dash.cli.history_access import parse_moment
    from engine.analytics.backtest.inputs import InputFiles, read_inputs
    from engine.analytics.backtest.site_file import case_from
    from engine.config.described_site import site_from
    from engine.config.load import config_from, read_text, read_yaml

    path = _site_path(arguments)
    stated = read_yaml(read_text(path), str(path))
    config = config_from(stated, str(path))
    site = site_from(config)
    zone = config.site.timezone
    start = parse_moment(arguments.since, "--from", zone) if arguments.since else None
    end = parse_moment(arguments.until, "--to", zone) if arguments.until else None
    if start is not None and end is not None and end <= start:
        raise EmsError(
            f"The period ends ({arguments.until}) before it begins ({arguments.since}).",
            field="--to",
            value=arguments.until,
            hint="Give a later end.",
        )
    files = InputFiles(
        tuple(arguments.prices), tuple(arguments.load), tuple(arguments.pv), tuple(arguments.data)
    )
    series, since, until = read_inputs(files, site, start, end)
    return case_from(
        config, site, series, since, until, stated=stated, soc_start_percent=arguments.soc
    )


def _policies(arguments: argparse.Namespace, case: BacktestCase) -> list[Policy]:
    from engine.analytics.backtest.policy import TARGET_SHARE, Policy

    forecaster = _forecaster(arguments)
    reserve = arguments.reserve
    if reserve is None:
        reserve = 1.0 if _has_demand_charge(case) else 0.0
    minutes = arguments.plan_minutes
    if minutes is None:
        minutes = 15 if case.n <= _MONTH_STEPS else 60
    share = TARGET_SHARE if arguments.target_share is None else arguments.target_share
    return [
        Policy(
            strategy,
            forecaster,
            scenarios=arguments.scenarios,
            reserve=reserve,
            target_share=share,
            plan_minutes=minutes,
            horizon_hours=arguments.horizon_hours,
        )
        for strategy in dict.fromkeys(arguments.strategy or ["co_optimised"])
    ]


def _about(case: BacktestCase) -> dict[str, Any]:
    return {
        "site": {
            "name": case.site.name,
            "timezone": case.site.timezone,
            "energy_capacity_kwh": case.battery.energy_capacity_kwh,
        },
        "period": {"from": case.start.isoformat(), "to": case.end.isoformat()},
        "quarter_hours": case.n,
    }


def _period_line(case: BacktestCase) -> str:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(case.site.timezone)
    first, last = case.start.astimezone(zone), case.end.astimezone(zone)
    return f"{case.site.name}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} ({zone.key})"


def _document(report: Comparison) -> dict[str, Any]:
    return {
        **_about(report.case),
        "without_battery_eur": report.without_eur,
        "perfect_saving_eur": report.perfect.saving_eur,
        "strategies": {r.policy.strategy: r.as_dict() for r in report.results},
        "assumptions": list(report.assumptions),
    }


def _lines(report: Comparison) -> list[str]:
    lines = [
        _period_line(report.case),
        f"without a battery {report.without_eur:,.2f} EUR; perfect foresight saves "
        f"{report.perfect.saving_eur:,.2f} EUR",
        "",
        f"{'strategy':<24}{'saving EUR':>12}{'capture':>9}{'energy':>12}{'demand':>11}{'wear':>9}"
        f"{'cycles':>8}{'own use':>9}{'autarky':>9}{'s':>7}",
    ]
    for result in report.results:
        lines.append(
            f"{result.policy.strategy:<24}{result.saving_eur:>12,.2f}{_share(result.capture):>9}"
            f"{result.energy_eur:>12,.2f}{result.demand_eur:>11,.2f}{result.wear_eur:>9,.2f}"
            f"{result.full_cycles:>8.1f}{_share(result.self_consumption):>9}"
            f"{_share(result.self_sufficiency):>9}{result.seconds:>7.1f}"
        )
    lines += ["", "monthly peaks, kW"]
    lines.append(f"{'':<24}" + "".join(f"{m.month:>9}" for m in report.perfect.months))
    lines.append(
        f"{'without a battery':<24}"
        + "".join(f"{m.peak_without_kw:>9.1f}" for m in report.perfect.months)
    )
    lines += [
        f"{r.policy.strategy:<24}" + "".join(f"{kw:>9.1f}" for kw in r.monthly_peaks_kw)
        for r in report.results
    ]
    lines += ["", "What the numbers rest on:"]
    lines += [f"  {text}" for text in report.assumptions]
    lines += [f"  {r.policy.strategy}: {text}" for r in report.results for text in r.notes]
    return lines


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _write(folder: Path, report: Comparison, document: dict[str, Any]) -> None:
    """Write report and quarter-hours; each file whole or not at all."""
    from engine.analytics.backtest.files_out import write_traces

    with _writing(folder):
        for result in report.results:
            write_traces(folder / f"{result.policy.strategy}.parquet", report.case, result)
        _write_report(folder, document)


def _write_report(folder: Path, document: dict[str, Any]) -> None:
    from engine.config.load import write_atomically

    write_atomically(folder / "report.json", json.dumps(document, allow_nan=False, indent=1))


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make the folder; say it where something in it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise EmsError(
            f"The results cannot be written to {folder}: {exc.strerror or exc}.",
            field="--out",
            value=str(folder),
            hint="Choose a folder that can be written.",
        ) from exc


class _ProgressLine:
    """How far the work is, on stderr: a moving line on a terminal, else one per policy."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._label = ""
        self._told_s = 0.0

    def progress(self, label: str, share: float) -> None:
        now = time.monotonic()
        if self._terminal and (now - self._told_s >= _REDRAW_S or share >= 1.0):
            self._told_s = now
            print(f"\r{label}: {100 * share:3.0f} %\x1b[K", end="", file=sys.stderr, flush=True)
        elif not self._terminal and label != self._label:
            print(f"{label} ...", file=sys.stderr, flush=True)
        self._label = label

    def end(self) -> None:
        if self._terminal and self._label:
            print(file=sys.stderr)

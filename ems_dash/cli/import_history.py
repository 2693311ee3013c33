"""``import``: load, PV, prices and more from a file into the history."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ems_dash.cli.site_choice import add_site, chosen_site
from engine.domain.errors import AlreadyRunningError, EmsError

if TYPE_CHECKING:
    from engine.runtime.history_import import ImportProgress, ImportReport


_TELL_SECONDS = 5.0
_STEPS = {
    "reading": "reading",
    "samples": "writing samples",
    "prices": "writing prices",
    "roll_ups": "making minutes and quarter-hours",
}


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "import",
        help="read history from a file",
        description="Read load, PV, grid, battery, state of charge and day-ahead prices from a "
        "CSV or Parquet file. Everything is checked before anything is written; measured values "
        "stay. The program must not be running.",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="CSV or Parquet")
    command.add_argument(
        "--map",
        default=None,
        metavar="COLUMN=TARGET:UNIT,...",
        help="targets: ts, load_kw, pv_kw, grid_kw, battery_kw, soc_percent, spot_eur_per_kwh; "
        "units: W, kW, MW, Wh, kWh, MWh (per interval), %%, fraction, EUR/kWh, EUR/MWh, ct/kWh, "
        "with a minus to turn the sign; recognised by name if absent",
    )
    command.add_argument(
        "--timezone", default=None, metavar="ZONE", help="of times without offset; the site's"
    )
    command.add_argument(
        "--ambiguous",
        choices=("infer", "first", "second", "refuse"),
        default="infer",
        help="local times that come twice in autumn",
    )
    command.add_argument(
        "--nonexistent",
        choices=("refuse", "shift"),
        default="refuse",
        help="local times that are skipped in spring",
    )
    command.add_argument(
        "--stamp",
        choices=("start", "end"),
        default="start",
        help="what a time names of its interval",
    )
    command.add_argument("--separator", default=None, help="between cells of CSV")
    command.add_argument("--decimal", choices=(".", ","), default=None, help="decimal mark")
    command.add_argument("--encoding", default="utf-8", help="of CSV")
    command.add_argument("--dry-run", action="store_true", help="check only, write nothing")
    command.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="folder of ems.yaml"
    )
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the database"
    )
    add_site(command)
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Import the file; 0 when all of it was taken, 2 when it was refused."""
    from engine.audit.opening import open_audit
    from engine.history.import_file import ImportRefusedError
    from engine.history.import_series import ImportOptions
    from engine.history.import_times import Ambiguous, Nonexistent
    from engine.runtime.history_import import ImportAsked, read_import, write_import
    from engine.runtime.history_setup import DATABASE_NAME, open_history

    site = chosen_site(arguments)
    config = site.config
    now = datetime.now(UTC)
    options = ImportOptions(
        zone=_zone(arguments.timezone or config.site.timezone),
        ambiguous=Ambiguous(arguments.ambiguous),
        nonexistent=Nonexistent(arguments.nonexistent),
        stamp_is_end=arguments.stamp == "end",
        now=now,
    )
    asked = ImportAsked(
        path=arguments.file,
        options=options,
        mapping=arguments.map,
        separator=arguments.separator,
        decimal=arguments.decimal,
        encoding=arguments.encoding,
    )
    try:
        series = read_import(asked)
    except ImportRefusedError as error:
        if not arguments.json:
            raise
        print(json.dumps(_refusal(error), ensure_ascii=False))
        return 2
    audit = open_audit(arguments.config, arguments.data)
    try:
        with open_history(config, site.data.resolve() / DATABASE_NAME) as store:
            report = write_import(
                store,
                config,
                series,
                arguments.file.name,
                now,
                tell=_told(arguments.json),
                dry_run=arguments.dry_run,
            )
    except AlreadyRunningError as error:
        raise AlreadyRunningError(
            error.message,
            field=error.field,
            value=error.value,
            hint="Import by the running program, or stop it first.",
        ) from error
    if not arguments.dry_run:
        written = {"samples": report.samples.rows, "prices": report.prices.rows}
        audit.note("history.imported", report.file, after=written)
    if arguments.json:
        print(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        for line in _lines(report):
            print(line)
    return 0


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise EmsError(
            f"There is no time zone '{name}'.",
            field="--timezone",
            value=name,
            hint="Name one like Europe/Vienna, or UTC.",
        ) from error


def _refusal(error: Any) -> dict[str, Any]:
    return {
        "refused": True,
        "file": error.value,
        "problems": error.count,
        "first": [
            {
                "row": p.row,
                "column": p.column,
                "value": p.value,
                "message": p.message,
                "hint": p.hint,
            }
            for p in error.problems
        ],
    }


def _told(quiet: bool) -> Callable[[ImportProgress], None]:
    """Return what shows progress: one line that changes, or in a file a line every few seconds."""
    shown_s = time.monotonic()

    def tell(progress: ImportProgress) -> None:
        nonlocal shown_s
        on_screen = sys.stderr.isatty()
        now_s = time.monotonic()
        if quiet or (not on_screen and now_s - shown_s < _TELL_SECONDS):
            return
        shown_s = now_s
        share = f" {100 * progress.done // progress.total} %" if progress.total else ""
        line = f"{_STEPS[progress.step]}{share}"
        if on_screen:
            print(f"\r{line:<40}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    return tell


def _lines(report: ImportReport) -> list[str]:
    found = report.as_dict()
    series = report.series
    verb = "would be written" if report.dry_run else "written"
    lines = [f"{report.file}: {series.rows} rows every {found['step_minutes']} min"]
    lines += [f"  {column}" for column in series.mapping]
    lines.append(f"  from {found['from']} to {found['to']}")
    if series.missing or series.empty_rows:
        lines.append(
            f"  gaps: {series.missing} intervals missing, {series.empty_rows} rows without values"
        )
    if series.duplicates:
        lines.append(f"  {series.duplicates} rows repeat another one")
    if series.sorted_rows:
        lines.append("  the rows were not in order and were sorted")
    for what, done in (("samples (one per minute)", report.samples), ("prices", report.prices)):
        if done.rows or done.left_out:
            kept = f", {done.left_out} left out: known already" if done.left_out else ""
            lines.append(f"  {done.rows} {what} {verb}{kept}")
    return lines

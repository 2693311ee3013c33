"""Parse the command line, run the command, turn errors into one clear line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ems_dash.cli import (
    audit,
    backtest,
    backup,
    doctor,
    export,
    import_history,
    plan,
    profile,
    run,
    simulate,
    solve,
    user,
)
from ems_dash.logs import log_to_console
from engine.audit.trail import Origin, acting
from engine.domain.errors import EmsError

EXIT_OK = 0
EXIT_ERROR = 2


def parser() -> argparse.ArgumentParser:
    """Return the argument parser with every command."""
    top = argparse.ArgumentParser(
        prog="python -m ems_dash",
        description="EMS Dash: energy management for battery storage at commercial sites.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (
        run,
        plan,
        solve,
        backtest,
        export,
        import_history,
        backup,
        audit,
        doctor,
        simulate,
        profile,
        user,
    ):
        module.add_parser(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 only on success."""
    arguments = parser().parse_args(argv)
    log_to_console()
    try:
        with acting(Origin("cli", "cli")):
            return int(arguments.action(arguments))
    except EmsError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return EXIT_ERROR

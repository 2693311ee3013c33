"""``doctor``: what is wrong with an installation, and how to mend it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

EXIT_FAILED = 1

_MARKS = {"ok": "ok  ", "warning": "warn", "failed": "FAIL", "skipped": "-   "}


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "doctor",
        help="say what is wrong with this installation",
        description="Look at Python, packages, configuration, files, history, clock, broker, "
        "devices and prices, and say what is wrong and how to mend it. Nothing is changed; devices "
        "are only read, each once. Works beside the running program. Exit code 1 when something "
        "failed.",
    )
    for name, what in (("config", "ems.yaml"), ("data", "the database")):
        command.add_argument(
            f"--{name}", type=Path, default=Path(name), metavar="DIR", help=f"folder of {what}"
        )
    command.add_argument("--port", type=int, default=5050, help="port the program listens on")
    command.add_argument(
        "--offline", action="store_true", help="look at this machine only, connect to nothing"
    )
    command.add_argument("--json", action="store_true", help="print the findings as JSON")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Look and tell; 0 when nothing failed."""
    from ems_dash.doctor import Doctor

    findings = Doctor(
        arguments.config, arguments.data, arguments.port, offline=arguments.offline
    ).look()
    failed = any(finding.state == "failed" for finding in findings)
    if arguments.json:
        print(json.dumps({"ok": not failed, "findings": [asdict(f) for f in findings]}))
        return EXIT_FAILED if failed else 0
    for finding in findings:
        print(f"{_MARKS[finding.state]} {finding.name:<12} {finding.detail}")
        if finding.remedy and finding.state in ("warning", "failed"):
            print(f"     {'':<12} -> {finding.remedy}")
    count = sum(finding.state == "failed" for finding in findings)
    print("Nothing is wrong." if not failed else f"{count} findings need mending.")
    return EXIT_FAILED if failed else 0

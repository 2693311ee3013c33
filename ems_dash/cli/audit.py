"""``verify-audit``: shows whether the audit log was altered."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from engine.domain.errors import EmsError

EXIT_ALTERED = 1


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "verify-audit",
        help="check that the audit log was not altered",
        description="Check every entry of the audit log against the one before it and against "
        "the anchors; also while the program runs. Exit code 1 when something was altered. An "
        "anchor kept elsewhere, from the program's log or an earlier run, shows also what "
        "somebody with the key rewrote.",
    )
    command.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="folder of ems.yaml"
    )
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the database"
    )
    command.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="NUMBER:MAC",
        help="what the log once ended with; may be given several times",
    )
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Check the log; 0 when it is whole, 1 when it was altered.

    Raises:
        EmsError: It cannot be checked.
    """
    from engine.audit import files
    from engine.audit.anchor import Anchor
    from engine.audit.errors import AuditError
    from engine.audit.key import read_key
    from engine.audit.verify import verify

    try:
        anchors = [Anchor.from_text(text) for text in arguments.anchor]
    except ValueError as exc:
        raise EmsError(f"This is no anchor: {exc}.", field="--anchor") from exc
    folder = arguments.data / files.FOLDER
    if not files.log_files(folder) and not anchors:
        raise EmsError(
            f"There is no audit log in {arguments.data}.",
            field="data",
            value=str(arguments.data),
            hint="Name the data folder with --data.",
        )
    try:
        report = verify(folder, read_key(arguments.config), anchors)
    except OSError as exc:
        raise AuditError(f"The audit log cannot be read: {exc.strerror or exc}.") from exc
    found = report.as_dict()
    if arguments.json:
        print(json.dumps(found))
    else:
        print(f"{report.entries} entries in {report.files} files, {report.anchors} anchors.")
        for problem in report.problems:
            print(f"  {problem.kind}: {problem.place}: {problem.message}")
        if report.count > len(report.problems):
            print(f"  and {report.count - len(report.problems)} more")
        print(f"Whole. It ends with {found['head']}." if report.ok else "It was altered.")
    return 0 if report.ok else EXIT_ALTERED

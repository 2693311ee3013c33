"""``backup`` and ``restore``: the history as a folder, and back."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ems_dash.cli.login import headers
from ems_dash.cli.site_choice import add_site, chosen_data
from engine.domain.errors import AlreadyRunningError, HistoryError

if TYPE_CHECKING:
    from engine.history.backup import BackupReport

_ASK_SECONDS = 3600.0


def add_parser(commands: Any) -> None:
    """Add both commands to the parser."""
    backup = commands.add_parser(
        "backup",
        help="copy the history to a folder",
        description="Copy the history to FOLDER, also while the program runs: then the program "
        "itself writes it, to history.backup_folder or below. Again into the same folder, only "
        "what is new is copied.",
    )
    _add_common(backup)
    backup.add_argument(
        "--url",
        default="http://127.0.0.1:5050",
        help="where the program answers when it runs (default: %(default)s)",
    )
    backup.set_defaults(action=_backup)
    restore = commands.add_parser(
        "restore",
        help="put a backup in place of the history",
        description="Check the backup in FOLDER and put it in place of the present history, "
        "which is kept in a folder beside it. The program must not run.",
    )
    _add_common(restore)
    restore.set_defaults(action=_restore)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the backup")
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the database"
    )
    command.add_argument(
        "--config",
        type=Path,
        default=Path("config"),
        metavar="DIR",
        help="folder of ems.yaml, for the audit log",
    )
    add_site(command)
    command.add_argument("--json", action="store_true", help="print the outcome as JSON")


def _backup(arguments: argparse.Namespace) -> int:
    from engine.audit.opening import open_audit
    from engine.history.duckdb_store import DuckDbHistory
    from engine.runtime.history_setup import DATABASE_NAME

    data = chosen_data(arguments)
    path, folder = data / DATABASE_NAME, arguments.folder.resolve()
    if not path.exists():
        raise HistoryError(
            f"There is no history in {data}.",
            field="data",
            value=str(data),
            hint="Name the data folder with --data.",
        )
    audit = open_audit(arguments.config, arguments.data)
    try:
        with DuckDbHistory(path) as store:
            report = asdict(store.backup(folder))
        audit.note("history.backup", str(folder))
    except AlreadyRunningError:
        report = _ask(arguments.url, folder, arguments.data, arguments.site)
    _tell(report, "written to", as_json=arguments.json)
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from engine.audit.opening import open_audit
    from engine.history.restore import restore_backup
    from engine.runtime.history_setup import DATABASE_NAME

    audit = open_audit(arguments.config, arguments.data)
    report: BackupReport = restore_backup(
        arguments.folder.resolve(), chosen_data(arguments) / DATABASE_NAME, datetime.now(UTC)
    )
    audit.note(
        "history.restore",
        str(report.folder),
        before={"kept_in": report.aside},
        after={"made_at": report.made_at},
    )
    _tell(asdict(report), "restored from", as_json=arguments.json)
    return 0


def _ask(url: str, folder: Path, data: Path, site: str | None) -> dict[str, Any]:
    """Have the running program write the backup.

    Raises:
        HistoryError: It cannot be reached at `url`, or refuses.
    """
    import requests

    try:
        session = requests.Session()
        session.trust_env = False  # a proxy has no business between two programs of one machine
        answer = session.post(
            f"{url.rstrip('/')}/api/history/backup",
            params={} if site is None else {"site": site},
            json={"folder": str(folder)},
            headers=headers(url, data),
            timeout=_ASK_SECONDS,
        )
        found: dict[str, Any] = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise HistoryError(
            f"A program has the history open, but none answers at {url}.",
            field="url",
            value=url,
            hint="Name its address with --url, or stop it and try again.",
        ) from error
    if answer.status_code != 200:
        problem = found.get("error", {})
        raise HistoryError(
            f"The running program wrote no backup: {problem.get('message', answer.status_code)}",
            field=problem.get("field"),
            hint=problem.get("hint"),
        )
    return found


def _tell(report: dict[str, Any], verb: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report))
        return
    print(
        f"{report['samples']} samples in {report['files']} files ({report['size'] / 1e6:.1f} MB), "
        f"of {report['made_at']}, {verb} {report['folder']} in {report['seconds']:.1f} s; "
        f"{report['copied']} files copied.",
        file=sys.stdout,
    )
    if report["aside"] is not None:
        print(f"The former history is kept in {report['aside']}.")

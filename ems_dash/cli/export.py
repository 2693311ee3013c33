"""``export``: anything of the history as CSV, Parquet or XLSX."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ems_dash.cli.site_choice import chosen_site
from engine.domain.errors import AlreadyRunningError, EmsError

if TYPE_CHECKING:
    from engine.config.schema import Config
    from engine.history.export_request import ExportRequest, Progress

_FORMATS = ("csv", "parquet", "xlsx")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    from ems_dash.cli.history_access import add_places

    command = commands.add_parser(
        "export",
        help="write history to a file",
        description="Write series, a table of the history or the answer to an SQL statement to "
        "a file, with what it holds beside it in FILE.meta.json. While the program runs it is "
        "asked through its API.",
    )
    command.add_argument(
        "--dataset", default="series", help="series, sql or a table such as ledger (see docs)"
    )
    command.add_argument("--from", dest="since", metavar="TIME", help="start of the period")
    command.add_argument(
        "--to", dest="until", metavar="TIME", help="end of the period, not included"
    )
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    command.add_argument(
        "--format", choices=_FORMATS, default=None, help="by the name of FILE if absent"
    )
    command.add_argument(
        "--profile",
        choices=("international", "excel_de"),
        default="international",
        help="how CSV is written",
    )
    command.add_argument(
        "--signals", default="", metavar="A,B", help="series, or columns of the table"
    )
    command.add_argument(
        "--resolution",
        choices=("auto", "raw", "1min", "15min", "60min", "1day"),
        default="auto",
        help="of series",
    )
    command.add_argument(
        "--aggregation",
        choices=("mean", "min", "max", "positive_kwh", "negative_kwh"),
        default="mean",
        help="of series",
    )
    command.add_argument(
        "--comments", action="store_true", help="CSV with comment lines and a row count at its end"
    )
    command.add_argument("--sql", default=None, metavar="SELECT", help="for --dataset sql")
    add_places(command)
    command.add_argument("--json", action="store_true", help="print what was written as JSON")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Write the file; 0 when it is complete."""
    from ems_dash.cli.history_access import opened_history
    from engine.domain.product import product_version
    from engine.history.export_rows import ExportContext
    from engine.history.exporter import export_file
    from engine.history.sql_sandbox import SqlSandbox

    site = chosen_site(arguments)
    config = site.config
    request = _request(arguments, config)
    timezone = config.site.timezone
    show = _Shown(quiet=arguments.json)
    try:
        with opened_history(config, site.data) as store:
            sandbox = SqlSandbox(store, config.site.id, timezone)
            context = ExportContext(
                store, sandbox, timezone, f"EMS Dash {product_version()}", datetime.now(UTC)
            )
            about = export_file(context, request, arguments.out, tell=show.progress).about
    except AlreadyRunningError:
        about = _from_program(arguments, request, show)
    show.end()
    if arguments.json:
        print(json.dumps(about | {"file": str(arguments.out)}, ensure_ascii=False))
    else:
        print(f"{about['rows']} rows in {arguments.out}")
    return 0


def _request(arguments: argparse.Namespace, config: Config) -> ExportRequest:
    from ems_dash.cli.history_access import parse_moment
    from engine.history.export_request import CsvProfile, ExportFormat, ExportRequest
    from engine.history.series_query import Aggregation, Step

    kind = arguments.format or arguments.out.suffix.lower().lstrip(".")
    if kind not in _FORMATS:
        raise EmsError(
            f"The format of {arguments.out.name} is not known.",
            field="--format",
            value=kind,
            hint=f"End the name with {', '.join('.' + f for f in _FORMATS)}, or give --format.",
        )
    zone = config.site.timezone

    def moment(text: str | None, field: str) -> datetime | None:
        return None if text is None else parse_moment(text, field, zone)

    return ExportRequest(
        dataset=arguments.dataset,
        site_id=config.site.id,
        since=moment(arguments.since, "--from"),
        until=moment(arguments.until, "--to"),
        format=ExportFormat(kind),
        signals=tuple(s.strip() for s in arguments.signals.split(",") if s.strip()),
        step=Step(arguments.resolution),
        aggregation=Aggregation(arguments.aggregation),
        profile=CsvProfile(arguments.profile),
        comments=arguments.comments,
        sql=arguments.sql,
    )


def _from_program(
    arguments: argparse.Namespace, request: ExportRequest, show: _Shown
) -> dict[str, Any]:
    """Export through the API of the program that has the database open."""
    from ems_dash.api.history_routes import EXPORT_NUMBER
    from ems_dash.cli.history_access import RunningProgram, chunks_of
    from engine.history.exporter import save_chunks, write_about

    program = RunningProgram(arguments.url, arguments.data)
    path = f"/api/export/{request.dataset}.{request.format}"
    query = _query(request)
    about: dict[str, Any] = program.json(f"{path}/about", query)
    with program.answer(path, query) as answer:
        number = int(answer.headers.get(EXPORT_NUMBER, "0"))
        digest = save_chunks(show.counted(chunks_of(answer)), arguments.out)
    exports = program.json("/api/exports", {"site": request.site_id})["exports"]
    ended = [one for one in exports if one["number"] == number]
    about |= {"rows": ended[0]["rows"] if ended else None, "sha256": digest}
    write_about(arguments.out, about)
    return about


def _query(request: ExportRequest) -> dict[str, str]:
    query = {
        "site": request.site_id,
        "signals": ",".join(request.signals),
        "resolution": str(request.step),
        "aggregation": str(request.aggregation),
        "profile": str(request.profile),
        "comments": str(int(request.comments)),
    }
    if request.since is not None:
        query["from"] = request.since.isoformat()
    if request.until is not None:
        query["to"] = request.until.isoformat()
    if request.sql is not None:
        query["sql"] = request.sql
    return query


class _Shown:
    """Shows progress on standard error: one line that changes, or nothing when it is no terminal.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._on = not quiet
        self._terminal = sys.stderr.isatty()
        self._percent = -10
        self._shown = False

    def progress(self, progress: Progress) -> None:
        """Show how far the export is, every tenth of it."""
        percent = 100 * progress.parts // max(1, progress.parts_total)
        if percent >= self._percent + (1 if self._terminal else 10):
            self._percent = percent
            self._line(f"{percent} %, {progress.rows} rows")

    def counted(self, chunks: Any) -> Any:
        """Yield `chunks` and show how much has come."""
        size = told = 0
        for chunk in chunks:
            size += len(chunk)
            if size - told >= 5_000_000:
                told = size
                self._line(f"{size // 1_000_000} MB")
            yield chunk

    def end(self) -> None:
        """End the line."""
        if self._shown and self._terminal:
            print(file=sys.stderr)

    def _line(self, text: str) -> None:
        if self._on:
            self._shown = True
            end = "\r" if self._terminal else "\n"
            print(f"{text}          ", end=end, file=sys.stderr, flush=True)

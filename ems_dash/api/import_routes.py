"""Routes that read files into the history while the program runs, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.bodies import NotJsonError, TooLargeError
from ems_dash.api.described import CSV, PARQUET, described
from ems_dash.api.models import ApiModel, UtcTime
from ems_dash.api.parameters import Text, WholeNumber, Word
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.domain.errors import EmsError
from engine.history.import_series import ImportOptions
from engine.history.import_times import Ambiguous, Nonexistent
from engine.runtime.history_import import ImportAsked
from engine.runtime.import_desk import MOST_UPLOAD_BYTES, ImportState

_MEDIA: Final = (CSV, PARQUET, "application/octet-stream")
_CHUNK_BYTES: Final = 1 << 16


class DecimalMark(StrEnum):
    """Decimal marks of numbers in CSV."""

    POINT = "."
    COMMA = ","


_NAME = Text("name", "Name of the file; `.parquet` is Parquet, anything else CSV.", required=True)
_MAP = Text("map", "Columns: `Zeit=ts,Last=load_kw:kWh`; left out, they are recognised.")
_SEPARATOR = Text("separator", "Separator of cells; left out, it is recognised.")
_DECIMAL = Word("decimal", DecimalMark, None, "Decimal mark; left out, it is recognised.")
_ENCODING = Text("encoding", "Encoding of CSV; left out, UTF-8.")
_ZONE = Text("timezone", "Zone of times without an offset; left out, that of the site.")
_AMBIGUOUS = Word("ambiguous", Ambiguous, Ambiguous.INFER, "What times mean that come twice.")
_NONEXISTENT = Word(
    "nonexistent", Nonexistent, Nonexistent.REFUSE, "What times mean that do not exist."
)
_END = WholeNumber("stamp_is_end", 0, 0, 1, "1 when a time names the end of its interval.")
_DRY = WholeNumber("dry_run", 0, 0, 1, "1 to check the file and write nothing.")
_QUERY = (
    _NAME,
    _MAP,
    _SEPARATOR,
    _DECIMAL,
    _ENCODING,
    _ZONE,
    _AMBIGUOUS,
    _NONEXISTENT,
    _END,
    _DRY,
)
_NUMBER = WholeNumber("number", 1, 1, 999_999_999, "Number of the import.")


class ImportProblem(ApiModel):
    """One thing that is wrong with a file; `row` counts from 1."""

    row: int | None
    column: str | None
    value: str
    message: str
    hint: str


class ImportInfo(ApiModel):
    """How an import is doing: running, done, refused (nothing was written), failed, cancelled."""

    number: int
    file: str
    started_at: UtcTime
    dry_run: bool
    state: str
    step: str
    minutes_done: int
    minutes_total: int
    report: dict[str, Any] | None
    error: str | None
    problems: list[ImportProblem]
    problem_count: int


class ImportsAnswer(ApiModel):
    """``GET /api/history/imports``: the import that runs and the newest that have ended."""

    imports: list[ImportInfo]


class UnknownImportError(EmsError):
    """No import of that number."""

    code = "not_found"


def register_import_api(server: Flask, services: Services) -> None:
    """Add the routes to a Flask application."""
    api = Blueprint("import_api", __name__)

    @api.before_request
    def right_site() -> Response | None:
        return wrong_site(services.snapshot().site.site_id)

    @api.post("/api/history/imports")
    @needs(Role.ADMIN)
    @described("history", ImportInfo, status=202, query=_QUERY, body=_MEDIA)
    def begin() -> Response:
        """Read a file of load, PV, grid, battery or prices into the history.

        The body is the file itself, at most 64 MB. The answer comes at once; how the import is
        doing tells `GET /api/history/imports/{number}`. Importing a file again changes nothing.
        """
        name = _NAME.read()
        if not name:
            raise InvalidRequestError(
                "The file has no name.", field="name", hint="Add ?name=load_2025.csv."
            )
        options = ImportOptions(
            zone=_zone(services.snapshot().site.timezone),
            ambiguous=_AMBIGUOUS.read() or Ambiguous.INFER,
            nonexistent=_NONEXISTENT.read() or Nonexistent.REFUSE,
            stamp_is_end=bool(_END.read()),
            now=services.now(),
        )
        dry_run = bool(_DRY.read())
        decimal = _DECIMAL.read()
        asked = ImportAsked(
            path=services.imports.keep(name, _chunks()),
            options=options,
            mapping=_MAP.read(),
            separator=_separator(),
            decimal=None if decimal is None else str(decimal),
            encoding=_encoding(),
        )
        return json_answer(import_info(services.imports.start(asked, dry_run=dry_run)), 202)

    @api.get("/api/history/imports")
    @needs(Role.VIEWER)
    @described("history", ImportsAnswer)
    def imports() -> Response:
        """The import that runs and the newest that have ended, oldest first."""
        found = [import_info(state) for state in services.imports.states()]
        return json_answer(ImportsAnswer(imports=found))

    @api.get("/api/history/imports/<int:number>")
    @needs(Role.VIEWER)
    @described(
        "history",
        ImportInfo,
        path={"number": _NUMBER},
        errors={404: "There is no such site, or no such import any more."},
    )
    def one(number: int) -> Response:
        """How one import is doing, and what it found and wrote."""
        state = services.imports.state(number)
        if state is None:
            raise UnknownImportError(
                f"There is no import {number} (any more).",
                field="number",
                value=number,
                hint="GET /api/history/imports lists those that are known.",
            )
        return json_answer(import_info(state))

    @api.post("/api/history/imports/cancel")
    @needs(Role.ADMIN)
    @described("history", ImportsAnswer)
    def cancel() -> Response:
        """End the import that runs, soon; what was written stays."""
        services.imports.cancel()
        return imports()

    add_error_handlers(api)
    server.register_blueprint(api)


def import_info(state: ImportState) -> ImportInfo:
    """Return the API's view of an import."""
    return ImportInfo(
        number=state.number,
        file=state.file,
        started_at=state.started_at,
        dry_run=state.dry_run,
        state=state.state,
        step=state.progress.step,
        minutes_done=state.progress.done,
        minutes_total=state.progress.total,
        report=None if state.report is None else state.report.as_dict(),
        error=state.error,
        problems=[ImportProblem.model_validate(problem) for problem in state.problems],
        problem_count=state.problem_count,
    )


def _chunks() -> Iterator[bytes]:
    if request.mimetype not in _MEDIA:
        raise NotJsonError(
            "The body is no file.",
            field="Content-Type",
            value=request.content_type,
            hint=f"Send {', '.join(_MEDIA)}.",
        )
    request.max_content_length = MOST_UPLOAD_BYTES
    try:
        while chunk := request.stream.read(_CHUNK_BYTES):
            yield chunk
    except RequestEntityTooLarge as exc:
        raise TooLargeError(
            f"The file has more than {MOST_UPLOAD_BYTES // 1_000_000} MB.",
            hint="Split it, or stop the program and use 'python -m ems_dash import'.",
        ) from exc


def _zone(default: str) -> ZoneInfo:
    name = _ZONE.read() or default
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise InvalidRequestError(
            f"There is no time zone '{name[:40]}'.",
            field="timezone",
            value=name,
            hint="Name one like Europe/Vienna or UTC.",
        ) from exc


def _separator() -> str | None:
    text = _SEPARATOR.read()
    if text is None or (len(text) == 1 and text.isprintable()):
        return text
    raise InvalidRequestError(
        f"'{text[:20]}' is no separator.", field="separator", hint="Give one character."
    )


def _encoding() -> str:
    name = _ENCODING.read() or "utf-8"
    try:
        "".encode(name)
    except (LookupError, ValueError) as exc:
        raise InvalidRequestError(
            f"There is no encoding '{name[:40]}'.",
            field="encoding",
            hint="Name one like utf-8 or cp1252.",
        ) from exc
    return name

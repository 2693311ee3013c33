"""Routes about the history: series for charts, SQL for analysts, exports.

SQL is guarded as in `ems_dash.api.request_guard`; it only reads, but it can make work.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from flask import Blueprint, Flask, Response, jsonify, request
from pydantic import ValidationError

from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    json_answer,
    whole_number,
    wrong_site,
)
from ems_dash.api.history_models import (
    SqlRequest,
    exports_reply,
    series_reply,
    sql_reply,
)
from ems_dash.auth.access import needs, require
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.history.downsample import LEAST_POINTS
from engine.history.export_request import SQL, CsvProfile, ExportFormat, ExportRequest
from engine.history.exporter import MIME_TYPES
from engine.history.series_query import (
    DEFAULT_POINTS,
    MOST_POINTS,
    Aggregation,
    Earlier,
    SeriesQuery,
    Step,
)

EXPORT_NUMBER: Final = "X-EMS-Export"
"""Header of an export: its number in ``GET /api/exports``."""

_MOST_BODY = 100_000
_WORD = TypeVar("_WORD", bound=StrEnum)


def register_history_api(server: Flask, services: Services) -> None:
    """Add the routes about the history to a Flask application."""
    api = Blueprint("history_api", __name__)

    @api.get("/api/series")
    @needs(Role.VIEWER)
    def series() -> Response:
        site_id = services.snapshot().site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        until = _moment("to") or services.now()
        query = SeriesQuery(
            site_id=site_id,
            signals=_signals(),
            since=_moment("from") or until - timedelta(hours=24),
            until=until,
            step=_word("resolution", Step, Step.AUTO),
            aggregation=_word("aggregation", Aggregation, Aggregation.MEAN),
            max_points=whole_number("max_points", DEFAULT_POINTS, LEAST_POINTS, MOST_POINTS),
            compare=_word("compare", Earlier) if "compare" in request.args else None,
            statistics=bool(whole_number("statistics", 1, 0, 1)),
        )
        return json_answer(series_reply(services.history.series(query)))

    @api.post("/api/sql")
    @needs(Role.VIEWER, named=True)
    def sql() -> Response:
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        asked = _sql_request()
        return json_answer(sql_reply(services.history.sql(asked.sql, asked.rows)))

    @api.get("/api/export/<dataset>.<ending>")
    @needs(Role.VIEWER)
    def export(dataset: str, ending: str) -> Response:
        site_id = services.snapshot().site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        asked = _export_request(site_id, dataset, ending)
        running = services.history.export(asked)
        answer = Response(running, mimetype=MIME_TYPES[asked.format].partition(";")[0])
        answer.headers["Content-Type"] = MIME_TYPES[asked.format]
        answer.headers["Content-Disposition"] = f'attachment; filename="{_file_name(asked)}"'
        answer.headers["Cache-Control"] = "no-store"
        answer.headers[EXPORT_NUMBER] = str(running.number)
        return answer

    @api.get("/api/export/<dataset>.<ending>/about")
    @needs(Role.VIEWER)
    def about(dataset: str, ending: str) -> Response:
        site_id = services.snapshot().site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        answer = jsonify(services.history.about(_export_request(site_id, dataset, ending)))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @api.get("/api/exports")
    @needs(Role.VIEWER)
    def exports() -> Response:
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        return json_answer(exports_reply(services.history.exports()))

    add_error_handlers(api)
    server.register_blueprint(api)


def _export_request(site_id: str, dataset: str, ending: str) -> ExportRequest:
    if ending not in list(ExportFormat):
        raise InvalidRequestError(
            f"There is no format '{ending[:20]}'.",
            field="format",
            value=ending,
            hint=f"Known: {', '.join(ExportFormat)}.",
        )
    if dataset == SQL:
        require(Role.VIEWER, named=True)
    return ExportRequest(
        dataset=dataset,
        site_id=site_id,
        since=_moment("from"),
        until=_moment("to"),
        format=ExportFormat(ending),
        signals=_signals(),
        step=_word("resolution", Step, Step.AUTO),
        aggregation=_word("aggregation", Aggregation, Aggregation.MEAN),
        profile=_word("profile", CsvProfile, CsvProfile.INTERNATIONAL),
        comments=bool(whole_number("comments", 0, 0, 1)),
        sql=request.args.get("sql"),
    )


def _file_name(asked: ExportRequest) -> str:
    days = [ts.strftime("%Y%m%d") for ts in (asked.since, asked.until) if ts is not None]
    return "_".join(["ems", asked.dataset, *days]) + f".{asked.format}"


def _signals() -> tuple[str, ...]:
    text = request.args.get("signals", "")
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _moment(name: str) -> datetime | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        # a plus sign in an address that was not escaped arrives as a space
        ts = datetime.fromisoformat(text.strip().replace(" ", "+") if " " in text[11:] else text)
    except ValueError:
        ts = None
    if ts is None or ts.tzinfo is None or not 1970 <= ts.year < 9000:
        raise InvalidRequestError(
            f"'{text[:40]}' is no time with its offset.",
            field=name,
            value=text,
            hint="Write it like 2026-11-25T00:00:00+01:00 or 2026-11-24T23:00:00Z.",
        )
    return ts


def _word(name: str, known: type[_WORD], default: _WORD | None = None) -> _WORD:
    text = request.args.get(name)
    if text is None and default is not None:
        return default
    try:
        return known(text or "")
    except ValueError:
        raise InvalidRequestError(
            f"'{(text or '')[:40]}' is not possible here.",
            field=name,
            value=text,
            hint=f"Known: {', '.join(known)}.",
        ) from None


def _sql_request() -> SqlRequest:
    data = request.get_data(cache=False)
    if len(data) > _MOST_BODY:
        raise InvalidRequestError("The request is too long.", field="sql", hint="Ask for less.")
    try:
        return SqlRequest.model_validate_json(data)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise InvalidRequestError(
            f"The request cannot be understood: {first['msg']}.",
            field=".".join(str(part) for part in first["loc"]) or None,
            hint='Send {"sql": "SELECT count(*) FROM samples"}.',
        ) from exc

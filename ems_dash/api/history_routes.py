"""Routes about the history: series for charts, SQL for analysts, exports.

SQL is guarded as in `ems_dash.api.request_guard`; it only reads, but it can make work.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import Blueprint, Flask, Response

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.bodies import parsed_body
from ems_dash.api.described import CSV, PARQUET, described
from ems_dash.api.history_models import (
    AboutReply,
    ExportsReply,
    SeriesReply,
    SqlReply,
    SqlRequest,
    exports_reply,
    series_reply,
    sql_reply,
)
from ems_dash.api.parameters import Moment, Names, Text, WholeNumber, Word
from ems_dash.api.tabular import PROFILE
from ems_dash.auth.access import needs, require
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.history.downsample import LEAST_POINTS
from engine.history.export_request import (
    SQL,
    CsvProfile,
    ExportFormat,
    ExportRequest,
    datasets,
)
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

_MOST_SQL_BYTES = 100_000

_FROM = Moment("from", "Start of the period.")
_TO = Moment("to", "End of the period, which does not belong to it.")
_SIGNALS = Names("signals", "Series, with commas between them: `load_kw,price:buy_eur_per_kwh`.")
_STEP = Word("resolution", Step, Step.AUTO, "Length of the intervals.")
_HOW = Word("aggregation", Aggregation, Aggregation.MEAN, "What is said about each interval.")
_POINTS = WholeNumber(
    "max_points", DEFAULT_POINTS, LEAST_POINTS, MOST_POINTS, "Most points of a series."
)
_COMPARE = Word("compare", Earlier, None, "Also give the same series of an earlier period.")
_STATISTICS = WholeNumber("statistics", 1, 0, 1, "0 to leave the figures of the period out.")
_COMMENTS = WholeNumber("comments", 0, 0, 1, "1 for CSV with lines that say what it holds.")
_SQL = Text("sql", "One SELECT; only for the data set `sql`.")
_EXPORT = (_FROM, _TO, _SIGNALS, _STEP, _HOW, PROFILE, _COMMENTS, _SQL)
_EXPORT_PATH = {
    "dataset": Text("dataset", "What is exported.", known=datasets()),
    "ending": Text("ending", "Format of the file.", known=tuple(ExportFormat)),
}


def register_history_api(server: Flask, services: Services) -> None:
    """Add the routes about the history to a Flask application."""
    api = Blueprint("history_api", __name__)

    @api.get("/api/series")
    @needs(Role.VIEWER)
    @described(
        "history",
        SeriesReply,
        query=(_SIGNALS, _FROM, _TO, _STEP, _HOW, _POINTS, _COMPARE, _STATISTICS),
    )
    def series() -> Response:
        """Series thinned to what a chart can show, with figures of the period.

        A null is a gap. Left out, the period is the last 24 hours. As a file:
        `GET /api/export/series.csv`.
        """
        site_id = services.snapshot().site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        until = _TO.read() or services.now()
        query = SeriesQuery(
            site_id=site_id,
            signals=_SIGNALS.read(),
            since=_FROM.read() or until - timedelta(hours=24),
            until=until,
            step=_STEP.read() or Step.AUTO,
            aggregation=_HOW.read() or Aggregation.MEAN,
            max_points=_POINTS.read(),
            compare=_COMPARE.read(),
            statistics=bool(_STATISTICS.read()),
        )
        return json_answer(series_reply(services.history.series(query)))

    @api.post("/api/sql")
    @needs(Role.VIEWER, named=True)
    @described("history", SqlReply, body=SqlRequest)
    def sql() -> Response:
        """Answer one read-only SELECT over the tables of the data dictionary.

        In a sandbox with limits of time, memory and rows. As a file: `GET /api/export/sql.csv`.
        """
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        asked = _sql_request()
        return json_answer(sql_reply(services.history.sql(asked.sql, asked.rows)))

    @api.get("/api/export/<dataset>.<ending>")
    @needs(Role.VIEWER)
    @described(
        "history",
        query=_EXPORT,
        path=_EXPORT_PATH,
        media={
            CSV: "The file, as it is made.",
            PARQUET: "",
            MIME_TYPES[ExportFormat.XLSX]: "",
        },
    )
    def export(dataset: str, ending: str) -> Response:
        """A table, series or the answer to a statement as a file, streamed while it is made.

        The header `X-EMS-Export` is its number in `GET /api/exports`, which tells how it is
        doing. CSV with `comments=1` ends with the number of rows: without it, it is cut off.
        """
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
    @described("history", AboutReply, query=_EXPORT, path=_EXPORT_PATH)
    def about(dataset: str, ending: str) -> Response:
        """What is said about an export beside its rows: columns, units, period, versions."""
        site_id = services.snapshot().site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        return json_answer(
            AboutReply(services.history.about(_export_request(site_id, dataset, ending)))
        )

    @api.get("/api/exports")
    @needs(Role.VIEWER)
    @described("history", ExportsReply)
    def exports() -> Response:
        """The exports that run and the newest that have ended, oldest first."""
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
        since=_FROM.read(),
        until=_TO.read(),
        format=ExportFormat(ending),
        signals=_SIGNALS.read(),
        step=_STEP.read() or Step.AUTO,
        aggregation=_HOW.read() or Aggregation.MEAN,
        profile=PROFILE.read() or CsvProfile.INTERNATIONAL,
        comments=bool(_COMMENTS.read()),
        sql=_SQL.read(),
    )


def _file_name(asked: ExportRequest) -> str:
    days = [ts.strftime("%Y%m%d") for ts in (asked.since, asked.until) if ts is not None]
    return "_".join(["ems", asked.dataset, *days]) + f".{asked.format}"


def _sql_request() -> SqlRequest:
    return parsed_body(
        SqlRequest,
        hint='Send {"sql": "SELECT count(*) FROM samples"}.',
        most_bytes=_MOST_SQL_BYTES,
    )

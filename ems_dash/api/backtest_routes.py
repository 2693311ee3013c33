"""Routes about backtests: start one, follow it, take its answers, cancel or delete it."""

from __future__ import annotations

import io
from typing import Any, Final

import pyarrow.parquet as pq
from flask import Blueprint, Flask, Response, send_file

from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    json_answer,
    wrong_site,
)
from ems_dash.api.bodies import TooLargeError, json_bytes
from ems_dash.api.described import CSV, PARQUET, described
from ems_dash.api.models import ApiModel
from ems_dash.api.parameters import Text
from ems_dash.auth.access import actor, needs
from ems_dash.auth.roles import Role
from ems_dash.i18n import LANGS
from ems_dash.services import Services
from ems_dash.ui.backtest.report import report_html
from ems_dash.ui.request import request_lang
from engine.runtime.backtests.desk import BacktestState
from engine.runtime.backtests.request import BacktestRequest

MOST_BODY_BYTES = 28_000_000
"""20 MB of files as base64, and what is said about them."""

HTML: Final = "text/html"
_PATH: Final = {"number": Text("number", "Id of the backtest.")}
_LANG: Final = Text("lang", "Language of the report.", known=LANGS)
_MISSING: Final = {404: "There is no such site, or no such backtest."}


class BacktestInfo(ApiModel):
    """How a backtest is doing; times are ISO 8601."""

    id: str
    name: str
    state: str
    created_at: str
    by: str
    share: float
    what: str
    finished_at: str | None
    error: str | None
    hint: str | None


class BacktestsAnswer(ApiModel):
    """``GET /api/backtests``: all, the newest first."""

    backtests: list[BacktestInfo]


class BacktestAnswer(ApiModel):
    """``GET /api/backtests/<id>``: how one is doing and what came of it so far.

    `result` is null while there is nothing; its field `partial` is true until all is there.
    """

    backtest: BacktestInfo
    result: dict[str, Any] | None


def register_backtest_api(server: Flask, services: Services) -> None:
    """Add the routes about backtests to a Flask application."""
    api = Blueprint("backtest_api", __name__)

    @api.before_request
    def right_site() -> Response | None:
        return wrong_site(services.snapshot().site.site_id)

    @api.get("/api/backtests")
    @needs(Role.VIEWER)
    @described("backtests", BacktestsAnswer)
    def backtests() -> Response:
        """All backtests, the newest first."""
        found = [_info(state) for state in services.backtests.list()]
        return json_answer(BacktestsAnswer(backtests=found))

    @api.post("/api/backtests")
    @needs(Role.OPERATOR)
    @described("backtests", BacktestInfo, status=202, body=BacktestRequest)
    def start() -> Response:
        """Start a backtest; it waits while another one runs.

        What is left out is that of the site: battery, grid connection, tariff. Files are sent as
        base64, 20 MB together. How it is doing tells `GET /api/backtests/{number}`.
        """
        state = services.backtests.start(_body(), by=actor())
        return json_answer(_info(state), 202)

    @api.get("/api/backtests/<number>")
    @needs(Role.VIEWER)
    @described("backtests", BacktestAnswer, path=_PATH, errors=_MISSING)
    def backtest(number: str) -> Response:
        """How a backtest is doing and what came of it so far."""
        state = services.backtests.state(number)
        answer = BacktestAnswer(backtest=_info(state), result=services.backtests.result(number))
        return json_answer(answer)

    @api.delete("/api/backtests/<number>")
    @needs(Role.OPERATOR)
    @described("backtests", BacktestInfo, path=_PATH, errors=_MISSING)
    def remove(number: str) -> Response:
        """Cancel a backtest that waits or runs; delete one that has ended."""
        return json_answer(_info(services.backtests.remove(number)))

    @api.get("/api/backtests/<number>/traces.csv")
    @needs(Role.VIEWER)
    @described("backtests", path=_PATH, media={CSV: "Every quarter-hour."}, errors=_MISSING)
    def csv(number: str) -> Response:
        """Every quarter-hour of every strategy as CSV."""
        answer = Response(services.backtests.csv(number), mimetype=CSV)
        return _attached(answer, f"backtest_{number}.csv")

    @api.get("/api/backtests/<number>/traces.parquet")
    @needs(Role.VIEWER)
    @described("backtests", path=_PATH, media={PARQUET: "Every quarter-hour."}, errors=_MISSING)
    def parquet(number: str) -> Response:
        """Every quarter-hour of every strategy as Parquet."""
        answer = send_file(services.backtests.traces(number), mimetype=PARQUET)
        return _attached(answer, f"backtest_{number}.parquet")

    @api.get("/api/backtests/<number>/studies.csv")
    @needs(Role.VIEWER)
    @described("backtests", path=_PATH, media={CSV: "Every row of every study."}, errors=_MISSING)
    def studies_csv(number: str) -> Response:
        """Every row of every study as CSV."""
        frame = services.backtests.studies(number).to_pandas()
        answer = Response(frame.to_csv(index=False), mimetype=CSV)
        return _attached(answer, f"studies_{number}.csv")

    @api.get("/api/backtests/<number>/studies.parquet")
    @needs(Role.VIEWER)
    @described(
        "backtests", path=_PATH, media={PARQUET: "Every row of every study."}, errors=_MISSING
    )
    def studies_parquet(number: str) -> Response:
        """Every row of every study as Parquet."""
        whole = io.BytesIO()
        pq.write_table(services.backtests.studies(number), whole, compression="zstd")
        answer = Response(whole.getvalue(), mimetype=PARQUET)
        return _attached(answer, f"studies_{number}.parquet")

    @api.get("/api/backtests/<number>/report.html")
    @needs(Role.VIEWER)
    @described(
        "backtests",
        path=_PATH,
        query=(_LANG,),
        media={HTML: "The report, complete in one file."},
        errors=_MISSING,
    )
    def report(number: str) -> Response:
        """A report to print, with all assumptions."""
        state = services.backtests.state(number)
        result = services.backtests.result(number)
        if result is None:
            raise InvalidRequestError(
                "There is no result yet.", field="number", hint="Wait until it has ended."
            )
        lang = _LANG.read()
        if lang is not None and lang not in LANGS:
            raise InvalidRequestError(
                "There is no such language.", field="lang", hint=f"Known: {', '.join(LANGS)}."
            )
        answer = Response(report_html(state, result, lang or request_lang()), mimetype=HTML)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    add_error_handlers(api)
    server.register_blueprint(api)


def _body() -> bytes:
    too_large = TooLargeError(
        "The request is larger than 28 MB.",
        field="data.files",
        hint="Send at most 20 MB of files.",
    )
    return json_bytes(MOST_BODY_BYTES, too_large)


def _info(state: BacktestState) -> BacktestInfo:
    return BacktestInfo(**state.as_dict())


def _attached(answer: Response, name: str) -> Response:
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer

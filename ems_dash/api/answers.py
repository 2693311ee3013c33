"""How the API answers: JSON, never cached, errors in one shape."""

from __future__ import annotations

import hashlib
from typing import Final

from flask import Blueprint, Flask, Response, request
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from ems_dash.api.models import ErrorAnswer, ErrorBody
from engine.config.sites import no_such_site
from engine.domain.errors import EmsError

STATUS_OF_CODE: Final[dict[str, int]] = {
    "invalid_request": 400,
    "config_changed": 409,
    "config_invalid": 400,
    "control_refused": 400,
    "ems_error": 400,
    "address_refused": 400,
    "backtest_impossible": 400,
    "query_invalid": 400,
    "sql_refused": 400,
    "account": 400,
    "password_refused": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "unknown_site": 404,
    "too_large": 413,
    "unsupported_media_type": 415,
    "rate_limited": 429,
}
"""HTTP status by error code; any other known error is 503."""

_CODE_OF_STATUS: Final = {413: "too_large", 429: "rate_limited"}


class InvalidRequestError(EmsError):
    """The request cannot be understood."""

    code = "invalid_request"


def error(
    status: int,
    code: str,
    message: str,
    *,
    field: str | None = None,
    hint: str | None = None,
) -> Response:
    """Return an error answer in the one shape."""
    # A key that was sent may be as long as the request.
    named = field if field is None else field[:200]
    body = ErrorBody(code=code, message=message, field=named, hint=hint)
    answer = json_answer(ErrorAnswer(error=body), status)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="EMS Dash"'
    return answer


def json_answer(model: BaseModel, status: int = 200) -> Response:
    """Return `model` as JSON that no cache keeps."""
    answer = Response(model.model_dump_json(), status=status, mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def revalidated(answer: Response) -> Response:
    """Let whoever has this answer already keep it: 304 when it is still the same.

    The answer must be asked for again every time; only its bytes are saved.
    """
    tag = hashlib.sha256(answer.get_data()).hexdigest()[:20]
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.set_etag(tag)
    # Flask-Compress appends how it compressed: "tag:br" is the same answer.
    known = {text.partition(":")[0] for text in request.if_none_match.as_set()}
    if tag in known or request.if_none_match.star_tag:
        answer.status_code = 304
        answer.set_data(b"")
        del answer.headers["Content-Type"]
        answer.headers.pop("Content-Length", None)
    return answer


def wrong_site(site_id: str) -> Response | None:
    """Return an error answer when the request asks for another site than `site_id`."""
    asked = request.args.get("site")
    if asked is None or asked == site_id:
        return None
    return known_error(no_such_site(asked, (site_id,)))


def add_error_handlers(api: Blueprint) -> None:
    """Let every error of the routes of `api` come in the one shape."""
    api.register_error_handler(EmsError, known_error)
    api.register_error_handler(HTTPException, http_error)


def known_error(exc: EmsError) -> Response:
    """Return an error of ours in the one shape, with the status of its code."""
    status = STATUS_OF_CODE.get(exc.code, 503)
    answer = error(status, exc.code, exc.message, field=exc.field, hint=exc.hint)
    if status == 429:
        answer.headers["Retry-After"] = "1"
    return answer


def http_error(exc: HTTPException) -> Response:
    """Return what Flask itself refuses in the one shape."""
    status = exc.code or 500
    name = (exc.name or "error").lower().replace(" ", "_")
    answer = error(status, _CODE_OF_STATUS.get(status, name), exc.description or name)
    for header, value in exc.get_headers():
        if header in ("Allow", "Retry-After"):
            answer.headers[header] = value
    return answer


def answer_errors_of_api(server: Flask) -> None:
    """Let errors below ``/api`` come in the one shape also before a route is reached."""

    @server.errorhandler(HTTPException)
    def outside(exc: HTTPException) -> Response | HTTPException:
        return http_error(exc) if request.path.startswith("/api") else exc

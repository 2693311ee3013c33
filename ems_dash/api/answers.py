"""How the API answers: JSON, never cached, errors in one shape."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from ems_dash.api.models import ErrorAnswer, ErrorBody
from engine.domain.errors import EmsError

STATUS_OF_CODE: Final[dict[str, int]] = {
    "invalid_request": 400,
    "config_changed": 409,
    "config_invalid": 400,
    "control_refused": 400,
    "ems_error": 400,
    "address_refused": 400,
    "query_invalid": 400,
    "sql_refused": 400,
    "account": 400,
    "password_refused": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "rate_limited": 429,
}
"""HTTP status by error code; any other known error is 503."""


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
    body = ErrorBody(code=code, message=message, field=field, hint=hint)
    answer = json_answer(ErrorAnswer(error=body), status)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="EMS Dash"'
    return answer


def json_answer(model: BaseModel, status: int = 200) -> Response:
    """Return `model` as JSON that no cache keeps."""
    answer = Response(model.model_dump_json(), status=status, mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def wrong_site(site_id: str) -> Response | None:
    """Return an error answer when the request asks for another site than `site_id`."""
    asked = request.args.get("site")
    if asked is None or asked == site_id:
        return None
    return error(
        404,
        "unknown_site",
        f"There is no site '{asked}'.",
        field="site",
        hint=f"This installation serves '{site_id}'.",
    )


def add_error_handlers(api: Blueprint) -> None:
    """Let every error of the routes of `api` come in the one shape."""

    @api.errorhandler(EmsError)
    def known_error(exc: EmsError) -> Response:
        status = STATUS_OF_CODE.get(exc.code, 503)
        answer = error(status, exc.code, exc.message, field=exc.field, hint=exc.hint)
        if status == 429:
            answer.headers["Retry-After"] = "1"
        return answer

    @api.errorhandler(HTTPException)
    def http_error(exc: HTTPException) -> Response:
        name = (exc.name or "error").lower().replace(" ", "_")
        return error(exc.code or 500, name, exc.description or name)


def whole_number(name: str, default: int, least: int, most: int) -> int:
    """Return a query parameter as a whole number.

    Raises:
        InvalidRequestError: Not a whole number, or outside ``least..most``.
    """
    text = request.args.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most:
        return int(text)
    raise InvalidRequestError(
        f"'{text[:40]}' is not possible here.",
        field=name,
        value=text,
        hint=f"Give a whole number from {least} to {most}.",
    )

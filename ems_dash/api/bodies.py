"""Bodies of requests: JSON, not too long, as their model says; mistakes name their field."""

from __future__ import annotations

from typing import Final, TypeVar

from flask import Flask, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from ems_dash.api.answers import InvalidRequestError
from ems_dash.auth.gate import CALLBACKS
from engine.domain.errors import EmsError

MOST_BODY_BYTES: Final = 1_000_000
"""Longest body of a request that says nothing else."""

CALLBACK_BYTES: Final = 90_000_000
"""Longest body of a callback: a file of history comes in with one, a third longer than it is."""

Model = TypeVar("Model", bound=BaseModel)


class TooLargeError(EmsError):
    """The body of a request is longer than its route takes."""

    code = "too_large"


class NotJsonError(EmsError):
    """The body of a request does not say that it is JSON."""

    code = "unsupported_media_type"


def limit_bodies(server: Flask) -> None:
    """Limit the body of every request; a view that takes more says so before it reads.

    To be called first of all: the limit is that of the moment something begins to read.
    """

    @server.before_request
    def limit() -> None:
        is_callback = request.path == CALLBACKS
        request.max_content_length = CALLBACK_BYTES if is_callback else MOST_BODY_BYTES


def json_bytes(most_bytes: int, too_large: TooLargeError, *, needed: bool = True) -> bytes:
    """Return the body of the request as it was sent.

    Args:
        most_bytes: Longest body.
        too_large: Raised for a longer one.
        needed: False to take an empty body as ``{}``.

    Raises:
        TooLargeError: It is too long.
        NotJsonError: It does not say that it is JSON.
    """
    request.max_content_length = most_bytes
    try:
        data = request.get_data(cache=False)
    except RequestEntityTooLarge as exc:
        raise too_large from exc
    if not data and not needed:
        return b"{}"
    if not request.is_json:
        raise NotJsonError(
            "The request is not JSON.",
            field="Content-Type",
            value=request.content_type,
            hint="Send application/json.",
        )
    return data


def parsed_body(
    model: type[Model],
    *,
    hint: str,
    hints: dict[str, str] | None = None,
    most_bytes: int = MOST_BODY_BYTES,
    needed: bool = True,
) -> Model:
    """Return the body of the request.

    Args:
        model: What it must be.
        hint: What a right one looks like.
        hints: Hint by field where another one helps more.
        most_bytes: Longest body.
        needed: False to take an empty body as ``{}``.

    Raises:
        InvalidRequestError: It is not as the model says; never repeats what was sent.
        TooLargeError: It is too long.
        NotJsonError: It does not say that it is JSON.
    """
    too_large = TooLargeError(
        f"The request is larger than {most_bytes // 1000} kB.", hint="Send less."
    )
    data = json_bytes(most_bytes, too_large, needed=needed)
    try:
        return model.model_validate_json(data)
    except ValidationError as exc:
        # Its own words may repeat a secret that was sent.
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        raise InvalidRequestError(
            f"The request cannot be understood: {first['msg']}.",
            field=field,
            hint=(hints or {}).get(field or "", hint),
        ) from exc

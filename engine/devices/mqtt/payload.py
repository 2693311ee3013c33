"""Read untrusted message payloads: JSON, a path into it, and one finite number."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from engine.domain.errors import DeviceError

MAX_PAYLOAD_BYTES = 256 * 1024
"""A larger message is not parsed: a broker may pass up to 256 MB."""

_STEP = re.compile(r"\.?(?:(?P<key>[^.\[\]\"]+)|\[(?P<index>\d{1,6})\]|\[\"(?P<quoted>[^\"]+)\"\])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")

PathStep = str | int


class PayloadError(DeviceError):
    """A message does not hold what the mapping says."""

    code = "payload_invalid"


def parse_path(text: str) -> tuple[PathStep, ...]:
    """Parse a path such as ``power.total``, ``phases[0].p`` or ``values["a.b"]``.

    Args:
        text: The path; empty for the whole payload.

    Raises:
        PayloadError: Not a path.
    """
    steps: list[PathStep] = []
    position = 0
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None or (position == 0 and text[0] == "."):
            raise PayloadError(
                f"{text!r} is not a path.",
                field="path",
                value=text,
                hint='Write it like power.total, phases[0].p or values["a.b"].',
            )
        index = found["index"]
        steps.append(int(index) if index is not None else found["key"] or found["quoted"])
        position = found.end()
    return tuple(steps)


def parse_json(payload: bytes) -> Any:
    """Parse a payload strictly: no NaN or infinity, no oversized message.

    Raises:
        PayloadError: Not JSON.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PayloadError(f"message of {len(payload)} bytes is too long")
    try:
        return json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as exc:
        raise PayloadError("message is not UTF-8 text") from exc
    except (ValueError, RecursionError) as exc:
        raise PayloadError("message is not valid JSON") from exc


def look_up(data: Any, path: tuple[PathStep, ...]) -> Any:
    """Follow `path` into parsed JSON.

    Raises:
        PayloadError: The path is not in the message.
    """
    step: Any
    for step in path:
        container = dict if isinstance(step, str) else list
        if not isinstance(data, container):
            raise PayloadError(f"no {step!r} in the message")
        try:
            data = data[step]
        except LookupError as exc:
            raise PayloadError(f"no {step!r} in the message") from exc
    return data


def to_number(value: Any) -> float:
    """Return a JSON value as a finite number; text counts when it is nothing but a number.

    Raises:
        PayloadError: Not a finite number.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PayloadError(f"{_shown(value)} is not a number")
    try:
        number = float(value)
    except OverflowError as exc:
        raise PayloadError("number out of range") from exc
    if not math.isfinite(number):
        raise PayloadError("number out of range")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

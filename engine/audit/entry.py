"""One entry of the audit log, as a line of JSON bound to the line before it.

``mac = HMAC-SHA256(key, previous mac + canonical JSON of the rest)`` (RFC 2104), so that without
the key no line can be changed, inserted, removed or moved unnoticed. What that cannot show,
that the newest lines are missing, the anchors show (`engine.audit.log`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from engine.config.masking import HIDDEN, is_secret, masked

GENESIS: Final = "0" * 64
"""Stands for the mac before the first entry."""

MAX_TEXT: Final = 300
"""Longest name, action, target or address that is kept."""

MAX_VALUE: Final = 8_000
"""Longest JSON of a value that is kept; of longer ones only the beginning is."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What was done.

    Attributes:
        seq: Number, from 1, without gaps.
        ts: When, UTC, ISO 8601.
        actor: Who.
        via: By which way: ``"session"``, ``"token"``, ``"mqtt"``, ``"cli"``, ``"system"``.
        address: From where; None for what has no address.
        action: What, for example ``"config.changed"``.
        target: To what.
        outcome: ``"done"``, ``"failed"`` or ``"refused"``.
        before: What it was; secrets are masked.
        after: What it is now; secrets are masked.
        prev: Mac of the entry before.
        mac: Mac of this one.
    """

    seq: int
    ts: str
    actor: str
    via: str
    address: str | None
    action: str
    target: str
    outcome: str
    before: Any
    after: Any
    prev: str
    mac: str


_NAMES: Final = tuple(field.name for field in fields(AuditEntry))


def sealed(key: bytes, seq: int, prev: str, content: Mapping[str, Any]) -> AuditEntry:
    """Return the entry number `seq` after one with the mac `prev`.

    Args:
        key: Key of the chain.
        seq: Its number.
        prev: Mac of the entry before, `GENESIS` for none.
        content: Everything between ``seq`` and ``prev``, JSON only.
    """
    return AuditEntry(**content, seq=seq, prev=prev, mac=_mac(key, {**content, "seq": seq}, prev))


def is_authentic(key: bytes, entry: AuditEntry) -> bool:
    """Return True when nothing in `entry` was changed since it was sealed."""
    content = {name: getattr(entry, name) for name in _NAMES if name not in ("prev", "mac")}
    return hmac.compare_digest(_mac(key, content, entry.prev), entry.mac)


def line_of(entry: AuditEntry) -> bytes:
    """Return `entry` as one line; ASCII, so that no text can begin a line of its own."""
    return (canonical({name: getattr(entry, name) for name in _NAMES}) + "\n").encode("ascii")


def entry_of(line: bytes) -> AuditEntry:
    """Return the entry of a line.

    Raises:
        ValueError: It is none.
    """
    try:
        document = json.loads(line)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if not isinstance(document, dict) or set(document) != set(_NAMES):
        raise ValueError("not an entry")
    texts = [document[name] for name in ("ts", "actor", "via", "action", "target", "prev", "mac")]
    if not all(isinstance(text, str) for text in texts) or type(document["seq"]) is not int:
        raise ValueError("not an entry")
    return AuditEntry(**document)


def canonical(document: Any) -> str:
    """Return JSON that is the same for the same content."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def stamp(ts: datetime) -> str:
    """Return a time as entries write it: such texts sort like the times."""
    return ts.astimezone(UTC).isoformat(timespec="milliseconds")


def content_of(
    ts: datetime,
    *,
    actor: str,
    via: str,
    address: str | None,
    action: str,
    target: str,
    outcome: str,
    before: Any,
    after: Any,
) -> dict[str, Any]:
    """Return the content of an entry: times in UTC, texts cut, secrets masked, JSON only."""
    return {
        "ts": stamp(ts),
        "actor": _text(actor),
        "via": _text(via),
        "address": None if address is None else _text(address),
        "action": _text(action),
        "target": _text(target),
        "outcome": outcome,
        "before": _value(before, target),
        "after": _value(after, target),
    }


def _mac(key: bytes, content: Mapping[str, Any], prev: str) -> str:
    message = prev.encode("ascii", "backslashreplace") + b"\n" + canonical(content).encode("ascii")
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _text(text: str) -> str:
    # A text with half a surrogate pair would not come back from UTF-8 as it went.
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole if len(whole) <= MAX_TEXT else whole[: MAX_TEXT - 1] + "…"


def _value(value: Any, target: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, (dict, list)) and is_secret(target):
        return HIDDEN
    plain = json.loads(json.dumps(masked(value), default=str, allow_nan=True))
    plain = _finite(plain)
    text = canonical(plain)
    return plain if len(text) <= MAX_VALUE else {"cut": text[:MAX_VALUE], "length": len(text)}


def _finite(value: Any) -> Any:
    """Return `value` with words for the numbers that JSON does not know, and whole texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_text(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value

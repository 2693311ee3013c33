"""Anchors of the audit log: a number and a mac, signed, kept where the log is not."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_TEXT: Final = re.compile(r"(\d{1,12}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Anchor:
    """Says that the log once ended with this entry.

    Attributes:
        ts: When it was made, UTC, ISO 8601; empty for one that was typed.
        seq: Number of the entry.
        mac: Its mac.
        signature: HMAC-SHA256 over the three; empty for one that was typed.
    """

    ts: str
    seq: int
    mac: str
    signature: str = ""

    @classmethod
    def of(cls, key: bytes, ts: datetime, seq: int, mac: str) -> Anchor:
        """Return the signed anchor of an entry."""
        stamp = ts.astimezone(UTC).isoformat(timespec="seconds")
        return cls(stamp, seq, mac, _signature(key, stamp, seq, mac))

    @classmethod
    def from_text(cls, text: str) -> Anchor:
        """Return the anchor of ``number:mac``, as a person keeps it.

        Raises:
            ValueError: It is none.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError("an anchor is a number, a colon and 64 hexadecimal digits")
        return cls("", int(match[1]), match[2])

    @property
    def text(self) -> str:
        """``number:mac``."""
        return f"{self.seq}:{self.mac}"

    def is_authentic(self, key: bytes) -> bool:
        """Return True when it was signed with `key`."""
        made = _signature(key, self.ts, self.seq, self.mac)
        return hmac.compare_digest(made, self.signature)


def anchor_line(anchor: Anchor) -> bytes:
    """Return `anchor` as one line of JSON."""
    document = {
        "ts": anchor.ts,
        "seq": anchor.seq,
        "mac": anchor.mac,
        "signature": anchor.signature,
    }
    return (json.dumps(document) + "\n").encode("ascii")


def anchor_of(line: bytes) -> Anchor:
    """Return the anchor of a line.

    Raises:
        ValueError: It is none.
    """
    found = json.loads(line)
    if not isinstance(found, dict) or type(found.get("seq")) is not int:
        raise ValueError("not an anchor")
    texts = [found.get(name) for name in ("ts", "mac", "signature")]
    if not all(isinstance(text, str) and text.isascii() for text in texts):
        raise ValueError("not an anchor")
    return Anchor(str(texts[0]), found["seq"], str(texts[1]), str(texts[2]))


def _signature(key: bytes, ts: str, seq: int, mac: str) -> str:
    message = f"anchor\n{ts}\n{seq}\n{mac}".encode("ascii")
    return hmac.new(key, message, hashlib.sha256).hexdigest()

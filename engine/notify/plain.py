"""Text from devices and hosts made safe to show: one line, printable, short."""

from __future__ import annotations

import unicodedata

MAX_TEXT = 500
MAX_SUBJECT = 80


def one_line(text: str, most: int = MAX_TEXT) -> str:
    """Return `text` on one line of at most `most` characters, without control characters.

    Line ends of every kind and marks that turn the direction of writing become spaces, so that
    a text can neither begin a header of its own nor hide what stands beside it.
    """
    cut = text[: 4 * most]
    kept = "".join(" " if unicodedata.category(c) in _UNWANTED else c for c in cut)
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def subject_of(text: str | None) -> str | None:
    """Return what an alarm is about as it may stand in an id, or None when it is empty."""
    if text is None:
        return None
    return one_line(text.translate(_BRACKETS), MAX_SUBJECT) or None


_UNWANTED = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})
_BRACKETS = str.maketrans("[]", "()")

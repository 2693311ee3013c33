"""Names of uploaded files, made harmless for the disk."""

from __future__ import annotations

import re
from pathlib import Path

_UNSAFE = re.compile(r"[^\w.\- ]")
_MOST_CHARACTERS = 100


def harmless_name(name: str) -> str:
    """Return the last part of a file's name with harmless characters only; empty for none."""
    last = Path(name.replace("\\", "/")).name
    return _UNSAFE.sub("_", last).strip(". ")[-_MOST_CHARACTERS:]

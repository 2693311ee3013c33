"""Keeps secrets out of what leaves the program: values that are shown, and put back unseen.

No secret belongs into ``ems.yaml``, but the address of a webhook is one, and people err.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "•••"
"""Stands for a value that is not shown."""

_LOOKS_SECRET: Final = re.compile(r"(?i)pass(word)?|pwd|kennwort|secret|token|api_?key|credential")
_CHANNELS: Final = ("notifications", "channels")


def is_secret(path: str) -> bool:
    """True when the value at a dotted key must not be shown.

    The address of a notification channel counts: who knows it can send to it.
    """
    parts = path.split(".")
    leaf = parts[-1]
    if tuple(parts[:2]) == _CHANNELS and leaf == "url":
        return True
    # The names of a variable or a file are no secrets; what they hold is.
    return not leaf.endswith(("_env", "_file")) and _LOOKS_SECRET.search(leaf) is not None


def masked(values: Any, path: str = "") -> Any:
    """Return a copy of `values` with `HIDDEN` in place of every secret."""
    if isinstance(values, Mapping):
        return {key: masked(item, f"{path}.{key}" if path else key) for key, item in values.items()}
    if isinstance(values, list):
        return [masked(item, f"{path}.{index}") for index, item in enumerate(values)]
    return HIDDEN if values is not None and path and is_secret(path) else values


def unmasked(values: Any, original: Any) -> Any:
    """Return a copy of `values` with the secrets of `original` in place of `HIDDEN`.

    Items of a list are found by their name, else by their number. A secret that is not in
    `original` is left out.
    """
    if isinstance(values, Mapping):
        known = original if isinstance(original, Mapping) else {}
        out = {}
        for key, item in values.items():
            if item == HIDDEN:
                if key in known:
                    out[key] = known[key]
                continue
            out[key] = unmasked(item, known.get(key))
        return out
    if isinstance(values, list):
        known_items = original if isinstance(original, list) else []
        return [
            unmasked(item, _same(item, index, known_items)) for index, item in enumerate(values)
        ]
    return values


def _same(item: Any, index: int, known: list[Any]) -> Any:
    name = item.get("name") if isinstance(item, Mapping) else None
    if name is not None:
        for other in known:
            if isinstance(other, Mapping) and other.get("name") == name:
                return other
    return known[index] if index < len(known) else None

"""Phrases of English messages and what they are in German."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property


class Phrases:
    """Pairs of a regular expression and the German that takes its place, applied in this order.

    Args:
        pairs: The pairs; they are compiled at the first use, which English pages never make.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)

    @cached_property
    def _rules(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        return tuple((re.compile(pattern), german) for pattern, german in self._pairs)

    def of(self, text: str) -> str:
        """Return `text` with every known phrase in German; the rest stays as it was said."""
        for pattern, german in self._rules:
            text = pattern.sub(german, text)
        return text

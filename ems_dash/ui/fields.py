"""Texts of a page that change while it is looked at, and what of them a browser has.

A mapping of fields names a component and a property: ``soc-v`` is the text of the component
``soc-v``, ``soc-b.style`` the style of ``soc-b``. Two moments can so be compared and only the
difference be sent.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict

FieldValue = str | dict[str, str]
Fields = dict[str, FieldValue]


def changed(old: Fields | None, new: Fields) -> Fields:
    """Return the fields of `new` that differ from `old`; all of them when `old` is None."""
    if old is None:
        return new
    return {key: value for key, value in new.items() if old.get(key) != value}


def token_of(shown: Fields) -> str:
    """Return a short name for exactly these texts, equal for equal texts."""
    text = json.dumps(shown, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


class ShownTexts:
    """The texts lately shown to browsers, by token; safe to use from many threads."""

    def __init__(self, keep: int = 256) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._by_token: OrderedDict[str, Fields] = OrderedDict()

    def put(self, fields: Fields) -> str:
        """Remember `fields`; return their token."""
        token = token_of(fields)
        with self._lock:
            self._by_token[token] = fields
            self._by_token.move_to_end(token)
            while len(self._by_token) > self._keep:
                self._by_token.popitem(last=False)
        return token

    def get(self, token: str | None) -> Fields | None:
        """Return the texts of `token`, or None when they are forgotten."""
        if token is None:
            return None
        with self._lock:
            return self._by_token.get(token)

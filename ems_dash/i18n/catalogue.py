"""Look-up of texts by key and the choice of language.

Keys are dotted (``kpi.soc``); placeholders are written ``{name}``. Both catalogues hold the
same keys with the same placeholders, which a test asserts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

LANGS: tuple[str, ...] = ("de", "en")
DEFAULT_LANG = "de"


@cache
def catalogue(lang: str) -> dict[str, str]:
    """Return all texts of `lang` by key.

    Raises:
        ValueError: When there is no catalogue of that language.
    """
    if lang not in LANGS:
        raise ValueError(f"lang: no catalogue for {lang!r}. Use one of {', '.join(LANGS)}.")
    text = Path(__file__).with_name(f"{lang}.json").read_text(encoding="utf-8")
    entries: dict[str, str] = json.loads(text)
    return entries


def t(key: str, lang: str, **values: object) -> str:
    """Return the text of `key` in `lang` with its placeholders filled.

    Raises:
        KeyError: When the catalogue has no such key, or a placeholder has no value.
        ValueError: When there is no catalogue of that language.
    """
    return catalogue(lang)[key].format(**values)


def label(group: str, name: str, lang: str) -> str:
    """Return the text of ``<group>.<name>``, or `name` in readable form when it is unknown.

    For words that come from outside the web application (limits, engine steps, strategies):
    an unknown one is shown as it is rather than breaking the page.
    """
    found = catalogue(lang).get(f"{group}.{name}")
    return found if found is not None else name.replace("_", " ")


def negotiate(cookie: str | None, accepted: Iterable[str]) -> str:
    """Return the language to use.

    Args:
        cookie: Value of the ``ems_lang`` cookie, or None.
        accepted: Language tags of the ``Accept-Language`` header, best first.

    Returns:
        The cookie's language when there is a catalogue for it, else the first accepted
        one with a catalogue, else German.
    """
    if cookie in LANGS:
        return str(cookie)
    for tag in accepted:
        primary = tag.split("-")[0].lower()
        if primary in LANGS:
            return primary
    return DEFAULT_LANG

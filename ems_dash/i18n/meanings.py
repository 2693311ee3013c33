"""What the engine's own dictionaries say about columns and registers, in the reader's language.

The engine describes columns of the history and registers of device profiles in English. Those
descriptions are the keys of their translations, so a new one is shown as it was written until
the catalogues know it; a test finds it before.
"""

from __future__ import annotations

import re
from functools import cache

from ems_dash.i18n.catalogue import catalogue

_OF_A_SERIES = re.compile(r"(\w+): (.+)")
"""``soc_percent: highest value``: a column of a roll-up."""

ORIGINAL_LANG = "en"


def meaning_key(english: str) -> str:
    """Return the key under which the catalogues hold the description `english`."""
    return "meaning." + re.sub(r"[^a-z0-9]+", "_", english.lower()).strip("_")


@cache
def meaning(english: str, lang: str) -> tuple[str, str]:
    """Return a description in `lang`, and the language it is in: English when it is not known.

    Args:
        english: The engine's description of a column or register.
        lang: The language wanted.
    """
    known = catalogue(lang)
    found = known.get(meaning_key(english))
    if found is not None:
        return found, lang
    series = _OF_A_SERIES.fullmatch(english)
    if series is not None:
        found = known.get(meaning_key(series[2]))
        if found is not None:
            return f"{series[1]}: {found}", lang
    return english, ORIGINAL_LANG

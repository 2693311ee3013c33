"""What the engine's own dictionaries say about columns and devices, in the reader's language.

The engine describes columns of the history in English, and so do device profiles their registers,
codes, notes and sources. Those texts are the keys of their translations in ``meanings_de.json``,
so a new one is shown as it was written until somebody translates it; a test finds it before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_OF_A_SERIES = re.compile(r"(\w+): (.+)")
"""``soc_percent: highest value``: a column of a roll-up."""

ORIGINAL_LANG = "en"


@cache
def translations(lang: str) -> Mapping[str, str]:
    """Return what is known in `lang`, by the English text; nothing for English itself."""
    if lang == ORIGINAL_LANG:
        return {}
    text = Path(__file__).with_name(f"meanings_{lang}.json").read_text(encoding="utf-8")
    known: dict[str, str] = json.loads(text)
    return known


def meaning(english: str, lang: str) -> tuple[str, str]:
    """Return a description in `lang`, and the language it is in: English when it is not known.

    Args:
        english: What the engine or a profile says about a column, register, code or device.
        lang: The language wanted.
    """
    known = translations(lang)
    if english in known:
        return known[english], lang
    series = _OF_A_SERIES.fullmatch(english)
    if series is not None and series[2] in known:
        return f"{series[1]}: {known[series[2]]}", lang
    return english, ORIGINAL_LANG

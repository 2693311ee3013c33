"""Numbers of an import: texts with either decimal mark, or values of Parquet."""

from __future__ import annotations

import math
import re
from typing import Any

_GERMAN_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?$")
_EMPTY = frozenset({"", "-", "na", "n/a", "nan", "null", "none"})


def parse_number(value: Any, decimal: str) -> float | None:
    """Return the number a cell holds; None for an empty one.

    Args:
        value: A text, or a value of Parquet.
        decimal: Decimal mark of texts.

    Raises:
        ValueError: It is no finite number.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in _EMPTY):
        return None
    if isinstance(value, bool):
        raise ValueError("a flag is no number")
    if isinstance(value, str):
        text = value.replace("\u00a0", "").replace(" ", "")
        if decimal == ",":
            if "." in text and not _GERMAN_THOUSANDS.match(text):
                raise ValueError("the point is no mark of thousands here")
            text = text.replace(".", "").replace(",", ".")
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
            raise ValueError("no number")
        number = float(text)
    else:
        number = float(value)
        if math.isnan(number):
            return None
    if not math.isfinite(number):
        raise ValueError("infinite")
    return number

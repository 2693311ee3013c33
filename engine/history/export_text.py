"""Cells of an export as text: numbers, times with their offset, and words that stay words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FORMULA_START = r"^[=+\-@\t\r\n＝＋－＠]"
"""Beginnings of a text that a spreadsheet would take for a formula (OWASP, "CSV Injection")."""


def harmless(words: Any) -> Any:
    """Return texts with a ``'`` before those that a spreadsheet would run."""
    risky = pc.match_substring_regex(words, FORMULA_START)
    marked = pc.binary_join_element_wise(pa.scalar("'"), words, "")
    return pc.if_else(risky, marked, words)


def quoted(words: Any) -> Any:
    """Return harmless texts in quotes, quotes inside doubled; null stays null."""
    doubled = pc.replace_substring(harmless(words), '"', '""')
    return pc.binary_join_element_wise(pa.scalar('"'), doubled, pa.scalar('"'), "")


def as_words(column: Any) -> Any:
    """Return any column that is neither number, flag nor time as texts; lists as JSON."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    if column.type == pa.month_day_nano_interval():
        return pa.array(
            [None if value is None else interval_words(value) for value in column.to_pylist()],
            pa.string(),
        )
    if pa.types.is_nested(column.type):
        return pa.array([_json(value) for value in column.to_pylist()], pa.string())
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        return pa.array(
            [None if value is None else str(value) for value in column.to_pylist()], pa.string()
        )


def interval_words(value: Any) -> str:
    """Return an Arrow interval as an ISO 8601 duration, for example ``P0M1DT5400S``."""
    return f"P{value.months}M{value.days}DT{value.nanoseconds / 1e9:g}S"


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


def numbers(column: Any, decimal: str) -> Any:
    """Return numbers as the shortest text that reads back exactly; NaN and infinity as null."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    words = column.cast(pa.string())
    return words if decimal == "." else pc.replace_substring(words, ".", decimal)


def utc_texts(column: Any) -> Any:
    """Return UTC times as ISO 8601 with ``Z``, as fine as they are."""
    return pc.strftime(_as_fine(column), format="%Y-%m-%dT%H:%M:%SZ")


def wall_texts(column: Any, between: str = "T") -> Any:
    """Return times as ISO 8601 without any zone, as fine as they are.

    Args:
        column: Times.
        between: What stands between day and time.
    """
    return pc.strftime(_as_fine(column), format=f"%Y-%m-%d{between}%H:%M:%S")


def local_texts(column: Any, timezone: str) -> tuple[Any, Any]:
    """Return UTC times as local wall-clock texts without offset, and their offsets.

    Args:
        column: Times, UTC, without a zone in their type.
        timezone: IANA name.

    Returns:
        Texts such as ``2026-11-25T14:00:00`` and ``+01:00``.
    """
    local = pc.local_timestamp(_as_fine(column).cast(_with_zone(_as_fine(column), timezone)))
    seconds = pc.divide(
        pc.subtract(local.cast(pa.timestamp("us")), column.cast(pa.timestamp("us"))).cast(
            pa.int64()
        ),
        1_000_000,
    )
    return pc.strftime(local, format="%Y-%m-%dT%H:%M:%S"), _offsets(seconds)


def _with_zone(column: Any, timezone: str) -> Any:
    return pa.timestamp(column.type.unit, tz=timezone)


def _offsets(seconds: Any) -> Any:
    values = np.asarray(seconds.fill_null(0).to_numpy(zero_copy_only=False))
    known, at = np.unique(values, return_inverse=True)
    words = np.array([_offset(int(second)) for second in known], dtype=object)
    mask = np.asarray(seconds.is_null().to_numpy(zero_copy_only=False))
    picked = words[at] if known.size else np.zeros(0, dtype=object)
    return pa.array(picked, pa.string(), mask=mask)


def _offset(seconds: int) -> str:
    sign = "-" if seconds < 0 else "+"
    minutes = abs(seconds) // 60
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def _as_fine(column: Any) -> Any:
    """Return times in whole seconds, or milliseconds, when that loses nothing."""
    micros = column.cast(pa.timestamp("us")).cast(pa.int64()).drop_null()
    values = np.asarray(micros.to_numpy(zero_copy_only=False))
    for unit, each in (("s", 1_000_000), ("ms", 1_000)):
        if not (values % each).any():
            return column.cast(pa.timestamp(unit))
    return column.cast(pa.timestamp("us"))

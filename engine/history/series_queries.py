"""Measured series as columns, from roll-ups and, where those are not made yet, from samples."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.history.columns import ColumnKey, Columns, Resolution
from engine.history.queries import period
from engine.history.roll_up_columns import (
    MINUTE_S,
    QUARTER_HOUR_S,
    RollUpColumn,
    check_texts,
    raw_column,
    roll_up_column,
)
from engine.history.roll_up_sql import (
    Span,
    inside,
    minutes_of_samples,
    quarter_hours_of_minutes,
    quoted,
    with_parts,
)

_SECONDS = {Resolution.MINUTE: MINUTE_S, Resolution.QUARTER_HOUR: QUARTER_HOUR_S}


def columns(
    cursor: duckdb.DuckDBPyConnection,
    site_id: str,
    keys: Sequence[ColumnKey],
    resolution: Resolution,
    *,
    since: datetime,
    until: datetime,
    texts: Sequence[str],
    gap_seconds: float,
) -> Columns:
    """Return a series of one site; see `SeriesStore.columns`."""
    start, end = period(since, until)
    wanted = list(dict.fromkeys(keys))
    words = list(dict.fromkeys(texts))
    check_texts(words)
    if resolution is Resolution.RAW:
        names = [raw_column(key) for key in wanted]
        relation = f"SELECT * FROM h.samples WHERE site_id = {text(site_id)}"
    else:
        made = [roll_up_column(key) for key in wanted]
        names = [column.name for column in made]
        start, end = (_up(t, _SECONDS[resolution]) for t in (start, end))
        relation = roll_up_relation(
            site_id, (start, end), resolution, made=made, words=words, gap_seconds=gap_seconds
        )
    shown = ", ".join(
        [
            "ts",
            "simulated",
            *(f"{quoted(name)}::DOUBLE AS c{i}" for i, name in enumerate(names)),
            *(quoted(word) for word in words),
        ]
    )
    found = cursor.execute(
        f"SELECT {shown} FROM ({relation}) WHERE {inside('ts', [(start, end)])} ORDER BY ts"
    ).fetchnumpy()
    return Columns(
        resolution=resolution,
        ts=np.asarray(found["ts"]).astype("datetime64[us]"),
        values={key: _floats(found[f"c{i}"]) for i, key in enumerate(wanted)},
        simulated=np.asarray(found["simulated"]).astype(np.bool_),
        texts={word: _words(found[word]) for word in words},
    )


def roll_up_relation(
    site_id: str,
    span: Span,
    resolution: Resolution,
    *,
    made: Sequence[RollUpColumn],
    words: Sequence[str],
    gap_seconds: float,
) -> str:
    """Return a SELECT of the intervals that start in `span`, whose ends are full intervals."""
    site = text(site_id)
    if span[0] >= span[1]:
        span = (span[0], span[0])
    if resolution is Resolution.MINUTE:
        return minutes_of_samples(
            "h.samples", site, [span], columns=made, texts=words, gap_seconds=gap_seconds
        )
    parts = with_parts(made, words)
    minutes = minutes_of_samples(
        "h.samples", site, [span], columns=parts, texts=words, gap_seconds=gap_seconds
    )
    return quarter_hours_of_minutes(minutes, made, words)


def text(value: str) -> str:
    """Return `value` as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def _up(ts: datetime, seconds: int) -> datetime:
    """Return the first start of an interval of `seconds` at or after `ts`."""
    day = ts.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + -((day - ts) // timedelta(seconds=seconds)) * timedelta(seconds=seconds)


def _floats(values: Any) -> FloatArray:
    filled: FloatArray = np.ma.filled(values.astype(np.float64), np.nan)
    return filled


def _words(values: Any) -> NDArray[Any]:
    found: NDArray[Any] = np.ma.getdata(values).astype(object)
    found[np.ma.getmaskarray(values)] = None
    return found

"""Measured series as columns, from roll-ups and, where those are not made yet, from samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.domain.series import MeasuredPoint
from engine.domain.signals import SIGNALS, Kind
from engine.history.checks import check_time
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
    inside,
    minutes_of_samples,
    quarter_hours_of_minutes,
    quoted,
    with_parts,
)
from engine.history.roll_ups import pending
from engine.history.rows import naive_utc, utc
from engine.history.sample_source import SampleSource, text
from engine.history.schema import MINUTES, QUARTER_HOURS
from engine.history.spans import Span, ceil_to, clipped, floor_to, widened

_MINUTE = timedelta(seconds=MINUTE_S)
_QUARTER = timedelta(seconds=QUARTER_HOUR_S)


def columns(
    cursor: duckdb.DuckDBPyConnection,
    source: SampleSource,
    site_id: str,
    keys: Sequence[ColumnKey],
    resolution: Resolution,
    *,
    since: datetime,
    until: datetime,
    texts: Sequence[str],
) -> Columns:
    """Return a series of one site; see `SeriesStore.columns`."""
    start, end = period(since, until)
    wanted = list(dict.fromkeys(keys))
    words = list(dict.fromkeys(texts))
    check_texts(words)
    with one_moment(cursor):
        if resolution is Resolution.RAW:
            names = [raw_column(key) for key in wanted]
            samples = source.relation(cursor, site_id, [(start, max(start, end))])
            relation = f"SELECT * FROM {samples} WHERE site_id = {text(site_id)}"
        else:
            made = [roll_up_column(key) for key in wanted]
            names = [column.name for column in made]
            asked = Wanted(site_id, made, words)
            relation = roll_up_relation(cursor, source, asked, (start, end), resolution)
        shown = [
            *("ts", "simulated"),
            *(f"{quoted(name)}::DOUBLE AS c{i}" for i, name in enumerate(names)),
            *(quoted(word) for word in words),
        ]
        found = cursor.execute(
            f"SELECT {', '.join(shown)} FROM ({relation}) "
            f"WHERE {inside('ts', [(start, end)])} ORDER BY ts"
        ).fetchnumpy()
    return Columns(
        resolution=resolution,
        ts=np.asarray(found["ts"]).astype("datetime64[us]"),
        values={key: _floats(found[f"c{i}"]) for i, key in enumerate(wanted)},
        simulated=np.asarray(found["simulated"]).astype(np.bool_),
        texts={word: _words(found[word]) for word in words},
    )


def interval_means(
    cursor: duckdb.DuckDBPyConnection,
    source: SampleSource,
    site_id: str,
    signals: Sequence[str],
    resolution: Resolution,
    *,
    since: datetime,
    until: datetime,
) -> list[MeasuredPoint]:
    """Return points of a minute or a quarter-hour, as `HistoryStore.minute_means` defines."""
    keys, start = interval_question(signals, resolution, since)
    found = columns(cursor, source, site_id, keys, resolution, since=start, until=until, texts=())
    return points_of(found)


def interval_question(
    signals: Sequence[str], resolution: Resolution, since: datetime
) -> tuple[list[ColumnKey], datetime]:
    """Return the columns that `points_of` takes, and `since` at the start of its interval."""
    check_time(since, "since")
    step = _MINUTE if resolution is Resolution.MINUTE else _QUARTER
    keys = [ColumnKey(name) for name in dict.fromkeys(signals)]
    return keys, utc(floor_to(naive_utc(since), step))


def points_of(found: Columns) -> list[MeasuredPoint]:
    """Return a series of minutes or quarter-hours as points."""
    step = _MINUTE if found.resolution is Resolution.MINUTE else _QUARTER
    names = [key.name for key in found.values]
    values = [_numbers(key.name, column) for key, column in found.values.items()]
    return [
        MeasuredPoint(utc(ts), int(step.total_seconds()), dict(zip(names, row, strict=True)))
        for ts, *row in zip(found.ts.tolist(), *values, strict=True)
    ]


def _numbers(name: str, values: FloatArray) -> list[float | None]:
    signal = SIGNALS.get(name)
    whole = signal is not None and signal.kind is Kind.CODE
    return [None if math.isnan(v) else int(v) if whole else v for v in values.tolist()]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which columns of which site are wanted of a roll-up."""

    site_id: str
    made: Sequence[RollUpColumn]
    words: Sequence[str] = ()


def roll_up_relation(
    cursor: duckdb.DuckDBPyConnection,
    source: SampleSource,
    wanted: Wanted,
    span: Span,
    resolution: Resolution,
) -> str:
    """Return a SELECT of the intervals that start in `span`, rolled up or not yet.

    The caller keeps `one_moment` until the SELECT has run.
    """
    lacking = pending(cursor, wanted.site_id)
    if resolution is Resolution.MINUTE:
        step, table, parts = _MINUTE, MINUTES, wanted
    else:
        made = with_parts(wanted.made, wanted.words)
        step, table, parts = _QUARTER, QUARTER_HOURS, replace(wanted, made=made)
    span = (ceil_to(span[0], step), ceil_to(max(span), step))
    lacking = clipped(widened(lacking, step), *span)
    kept = _kept(table, wanted, span, lacking)
    if not lacking:
        return kept
    if resolution is Resolution.MINUTE:
        fresh = minutes_of_samples(
            source.relation(cursor, wanted.site_id, lacking),
            text(wanted.site_id),
            lacking,
            columns=wanted.made,
            texts=wanted.words,
            gap_seconds=source.gap_seconds,
        )
    else:
        # of a quarter-hour that lacks a minute, samples of the others may be gone
        around = (lacking[0][0], lacking[-1][1])
        minutes = roll_up_relation(cursor, source, parts, around, Resolution.MINUTE)
        inner = f"SELECT * FROM ({minutes}) WHERE {inside('ts', lacking)}"
        fresh = quarter_hours_of_minutes(inner, wanted.made, wanted.words)
    return f"({kept}) UNION ALL BY NAME ({fresh})"


@contextmanager
def one_moment(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let all reads of `cursor` see the same state: samples and what lacks a roll-up belong
    together.
    """
    cursor.execute("BEGIN TRANSACTION READ ONLY")
    try:
        yield
    finally:
        cursor.execute("ROLLBACK")


def _kept(table: str, wanted: Wanted, span: Span, lacking: Sequence[Span]) -> str:
    columns = (*(quoted(c.name) for c in wanted.made), *map(quoted, wanted.words))
    but = f" AND NOT ({inside('ts', lacking)})" if lacking else ""
    return (
        f"SELECT {', '.join(['ts', 'simulated', *columns])} FROM h.{table} "
        f"WHERE site_id = {text(wanted.site_id)} AND {inside('ts', [span])}{but}"
    )


def _floats(values: Any) -> FloatArray:
    filled: FloatArray = np.ma.filled(values.astype(np.float64), np.nan)
    return filled


def _words(values: Any) -> NDArray[Any]:
    found: NDArray[Any] = np.ma.getdata(values).astype(object)
    found[np.ma.getmaskarray(values)] = None
    return found

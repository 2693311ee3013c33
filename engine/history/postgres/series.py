"""Measured series from PostgreSQL.

Roll-ups are kept in PostgreSQL. What turns samples into minutes and minutes into quarter-hours
is the SQL of `engine.history.roll_up_sql`, run by DuckDB in memory on the rows that are due: one
definition, so both backends give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from engine.history.columns import TEXT_COLUMNS, ColumnKey, Columns, Resolution
from engine.history.postgres.session import Session
from engine.history.postgres.transfer import as_arrow, fetch, store
from engine.history.queries import period
from engine.history.roll_up_columns import (
    MINUTE_S,
    QUARTER_HOUR_S,
    How,
    check_texts,
    raw_column,
    roll_up_column,
    roll_up_columns,
)
from engine.history.roll_up_sql import (
    minutes_of_samples,
    quarter_hours_of_minutes,
    quoted,
    sql_type,
    with_parts,
)
from engine.history.roll_ups import add_pending, kept_from, pending
from engine.history.schema import MINUTES, QUARTER_HOURS, SQL_TYPE
from engine.history.series_queries import Wanted
from engine.history.spans import BEGINNING, END, Span, ceil_to, clipped, first_of, merged, widened

_MINUTE = timedelta(seconds=MINUTE_S)
_QUARTER = timedelta(seconds=QUARTER_HOUR_S)
STRETCH = timedelta(days=1)
"""Most minutes one transaction makes."""

_ARROW = {"FLOAT": pa.float32(), "DOUBLE": pa.float64(), "INTEGER": pa.int32()}


def columns(
    session: Session,
    site_id: str,
    keys: Sequence[ColumnKey],
    resolution: Resolution,
    *,
    since: datetime,
    until: datetime,
    texts: Sequence[str],
    gap_seconds: float,
) -> Columns:
    """Return a series of one site; see `SeriesStore.columns`.

    Args:
        session: A connection inside a transaction that sees one moment.
        site_id: The site.
        keys: Columns wanted.
        resolution: Length of the intervals.
        since: Start of the period.
        until: End of the period.
        texts: Text columns wanted.
        gap_seconds: See `GAP_SECONDS`.
    """
    start, end = period(since, until)
    wanted = list(dict.fromkeys(keys))
    words = list(dict.fromkeys(texts))
    check_texts(words)
    if resolution is Resolution.RAW:
        names = [raw_column(key) for key in wanted]
        found = _rows(session, "samples", site_id, [(start, end)], names=names, words=words)
    else:
        made = [roll_up_column(key) for key in wanted]
        names = [column.name for column in made]
        asked = Wanted(site_id, made, words)
        found = roll_ups(session, asked, (start, end), resolution, gap_seconds)
    return Columns(
        resolution=resolution,
        ts=found["ts"],
        values={key: found[name] for key, name in zip(wanted, names, strict=True)},
        simulated=found["simulated"],
        texts={word: found[word] for word in words},
    )


def roll_ups(
    session: Session, wanted: Wanted, span: Span, resolution: Resolution, gap_seconds: float
) -> dict[str, Any]:
    """Return the intervals that start in `span` as arrays, rolled up or not yet, by time."""
    lacking = pending(session, wanted.site_id)
    if resolution is Resolution.MINUTE:
        step, table, parts = _MINUTE, MINUTES, wanted
    else:
        made = with_parts(wanted.made, wanted.words)
        step, table, parts = _QUARTER, QUARTER_HOURS, replace(wanted, made=made)
    names, words = [c.name for c in wanted.made], wanted.words
    span = (ceil_to(span[0], step), ceil_to(max(span), step))
    lacking = clipped(widened(lacking, step), *span)
    kept = _rows(session, table, wanted.site_id, _without(span, lacking), names=names, words=words)
    if not lacking:
        return kept
    if resolution is Resolution.MINUTE:
        fresh = _minutes(session, wanted, lacking, gap_seconds)
        if fresh is None:
            return kept
    else:
        # of a quarter-hour that lacks a minute, samples of the others may be gone
        around = (lacking[0][0], lacking[-1][1])
        minutes = roll_ups(session, parts, around, Resolution.MINUTE, gap_seconds)
        inside = _mask(minutes["ts"], lacking)
        minutes = {name: values[inside] for name, values in minutes.items()}
        query = quarter_hours_of_minutes("SELECT * FROM given", wanted.made, words)
        fresh = _computed(_roll_up_arrow(minutes), query)
    return _joined(kept, fresh)


def roll_up_stretch(
    session: Session, site_id: str, over: datetime, gap_seconds: float
) -> tuple[int, bool]:
    """Make the oldest pending minutes of a site in one transaction, at most `STRETCH`.

    Returns:
        Minutes made, and whether more wait that are over.
    """
    # repeatable: what another program adds meanwhile is neither seen nor forgotten
    with session.transaction("ISOLATION LEVEL REPEATABLE READ"):
        lacking = pending(session, site_id)
        now_made, later = first_of(clipped(lacking, BEGINNING, over), STRETCH)
        if not now_made:
            return 0, False
        made = make(session, site_id, now_made, again=True, gap_seconds=gap_seconds)
        session.execute("DELETE FROM h.roll_up_pending WHERE site_id = ?", [site_id])
        add_pending(session, site_id, merged([*later, *clipped(lacking, over, END)]))
    return made, bool(later)


def make(
    session: Session, site_id: str, spans: Sequence[Span], *, again: bool, gap_seconds: float
) -> int:
    """Make the minutes of `spans` and the quarter-hours around them; the caller commits.

    Minutes older than what samples are kept of are only added, never replaced.

    Returns:
        Number of minutes made.
    """
    every = list(roll_up_columns().values())
    names = [c.name for c in every]
    whole = Wanted(site_id, every, TEXT_COLUMNS)
    horizon = kept_from(session, site_id)
    made = 0
    for part, replaced in (
        (clipped(spans, horizon, END), again),
        (clipped(spans, BEGINNING, horizon), False),
    ):
        if not part:
            continue
        minutes = _minutes(session, whole, part, gap_seconds)
        if minutes is None:
            continue
        store(session, MINUTES, _of_site(minutes, site_id), replace=replaced)
        made += minutes.num_rows
        around = _rows(
            session, MINUTES, site_id, widened(part, _QUARTER), names=names, words=TEXT_COLUMNS
        )
        query = quarter_hours_of_minutes("SELECT * FROM given", every, TEXT_COLUMNS)
        quarters = _computed(_roll_up_arrow(around), query)
        store(session, QUARTER_HOURS, _of_site(quarters, site_id), replace=replaced)
    return made


def _minutes(session: Session, wanted: Wanted, spans: Sequence[Span], gap_seconds: float) -> Any:
    """Return the minutes of `spans` as an Arrow table, made of samples; None without samples."""
    reach = timedelta(seconds=gap_seconds)
    wide = merged((start, end + reach) for start, end in spans)
    sources = {c.source: SQL_TYPE[c.kind] for c in wanted.made if c.how is not How.TALLY}
    texts = tuple(dict.fromkeys((*wanted.words, "binding", "state")))
    names = [*sources, "unusable"]
    samples = _rows(session, "samples", wanted.site_id, wide, names=names, words=texts)
    types = {name: _ARROW[kind] for name, kind in sources.items()} | {"unusable": pa.int32()}
    if not samples["ts"].size:
        return None
    given = as_arrow(samples, types)
    given = given.append_column("site_id", pa.array(["s"] * given.num_rows, pa.string()))
    query = minutes_of_samples(
        "given",
        "'s'",
        spans,
        columns=wanted.made,
        texts=wanted.words,
        gap_seconds=gap_seconds,
    )
    return _computed(given, query)


def _rows(
    session: Session,
    table: str,
    site_id: str,
    spans: Sequence[Span],
    *,
    names: Sequence[str],
    words: Sequence[str],
) -> dict[str, Any]:
    """Return rows of `spans` as arrays, by time."""
    kinds = {"ts": "time", "simulated": "flag"}
    kinds |= dict.fromkeys(names, "number") | dict.fromkeys(words, "text")
    bounds = [value for span in spans for value in span]
    inside = " OR ".join("(ts >= ? AND ts < ?)" for _ in spans) or "false"
    select = ", ".join(map(quoted, kinds))
    return fetch(
        session,
        f"SELECT {select} FROM h.{table} WHERE site_id = ? AND ({inside}) ORDER BY ts",
        [site_id, *bounds],
        kinds,
    )


def _computed(given: Any, query: str) -> Any:
    """Return what DuckDB makes of the Arrow table `given`, ordered by time."""
    with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MB"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", given)
        # a relation of so many columns is planned several times over before it runs
        connection.execute(f"CREATE TEMP TABLE found AS {query}")
        return connection.sql("SELECT * FROM found ORDER BY ts").to_arrow_table()


def _roll_up_arrow(minutes: dict[str, Any]) -> Any:
    known = roll_up_columns()
    types = {name: _ARROW[sql_type(known[name])] for name in minutes if name in known}
    return as_arrow(minutes, types)


def _of_site(table: Any, site_id: str) -> Any:
    return table.append_column("site_id", pa.array([site_id] * table.num_rows, pa.string()))


def _joined(kept: dict[str, Any], fresh: Any) -> dict[str, Any]:
    """Return the rows of both by time."""
    out = {}
    for name, values in kept.items():
        column = fresh.column(name)
        if values.dtype == object:
            more = np.array(column.to_pylist(), dtype=object)
        elif name == "ts":
            more = column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
        elif name == "simulated":
            more = np.array(column.to_pylist(), dtype=np.bool_)
        else:
            more = column.cast(pa.float64()).to_numpy()
        out[name] = np.concatenate([values, more])
    order = np.argsort(out["ts"], kind="stable")
    return {name: values[order] for name, values in out.items()}


def _without(span: Span, holes: Sequence[Span]) -> list[Span]:
    """Return the parts of `span` outside `holes`, which are apart and ascending."""
    out, at = [], span[0]
    for start, end in holes:
        if at < start:
            out.append((at, start))
        at = end
    if at < span[1]:
        out.append((at, span[1]))
    return out


def _mask(ts: Any, spans: Sequence[Span]) -> Any:
    mask = np.zeros(ts.size, np.bool_)
    for start, end in spans:
        mask |= (ts >= np.datetime64(start, "us")) & (ts < np.datetime64(end, "us"))
    return mask

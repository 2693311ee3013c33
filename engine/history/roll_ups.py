"""Keeping the roll-up tables: which minutes they lack, and making them.

Storing samples also stores, in the same transaction, which minutes now lack a roll-up
(``roll_up_pending``); making them removes that in the same transaction again. So whatever
happens in between, a minute is either rolled up or known to lack it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import duckdb

from engine.history.columns import TEXT_COLUMNS
from engine.history.roll_up_columns import QUARTER_HOUR_S, roll_up_columns
from engine.history.roll_up_sql import inside, minutes_of_samples, quarter_hours_of_minutes
from engine.history.sample_source import SampleSource, text
from engine.history.schema import MINUTES, QUARTER_HOURS
from engine.history.spans import BEGINNING, END, Span, clipped, first_of, merged, touched, widened
from engine.history.sql_cursor import SqlCursor

_QUARTER = timedelta(seconds=QUARTER_HOUR_S)
_MICROSECOND = timedelta(microseconds=1)

STRETCH = timedelta(days=1)
"""Minutes one transaction makes unless more are known to be quick."""

LONGEST_STRETCH = timedelta(days=32)
"""Most minutes one transaction makes: 46,080, still far below what would bypass the WAL."""


def mark_pending(
    cursor: SqlCursor, stamps: Mapping[str, Iterable[datetime]], gap_seconds: float
) -> None:
    """Note which minutes samples stored in the same transaction are not rolled up in yet.

    Args:
        cursor: The cursor that stores the samples.
        stamps: Site to times of its samples, naive UTC.
        gap_seconds: See `GAP_SECONDS`.
    """
    for site_id, of_site in stamps.items():
        add_pending(cursor, site_id, touched(of_site, gap_seconds))


def pending(cursor: SqlCursor, site_id: str) -> list[Span]:
    """Return the minutes of a site that have samples and lack a roll-up, ascending."""
    rows = cursor.execute(
        "SELECT start_at, end_at FROM h.roll_up_pending WHERE site_id = ?", [site_id]
    ).fetchall()
    return merged((start, end) for start, end in rows)


def pending_sites(cursor: SqlCursor) -> list[str]:
    """Return the sites that have such minutes."""
    rows = cursor.execute(
        "SELECT DISTINCT site_id FROM h.roll_up_pending ORDER BY site_id"
    ).fetchall()
    return [site for (site,) in rows]


def roll_up_stretch(
    cursor: duckdb.DuckDBPyConnection,
    source: SampleSource,
    site_id: str,
    over: datetime,
    stretch: timedelta = STRETCH,
) -> tuple[int, bool]:
    """Make the oldest pending minutes of a site in one transaction, at most `stretch`.

    Args:
        cursor: A writing cursor; after an error close it, which undoes everything.
        source: Where samples are.
        site_id: The site.
        over: Minutes that end by then are made.
        stretch: Most minutes to make.

    Returns:
        Minutes made, and whether more wait that are over.
    """
    cursor.execute("BEGIN")
    lacking = pending(cursor, site_id)
    ready = clipped(lacking, BEGINNING, over)
    now_made, later = first_of(ready, stretch)
    if not now_made:
        cursor.execute("ROLLBACK")
        return 0, False
    made = make(cursor, source, site_id, now_made, again=True)
    cursor.execute("DELETE FROM h.roll_up_pending WHERE site_id = ?", [site_id])
    add_pending(cursor, site_id, merged([*later, *clipped(lacking, over, END)]))
    cursor.execute("COMMIT")
    return made, bool(later)


def make(
    cursor: duckdb.DuckDBPyConnection,
    source: SampleSource,
    site_id: str,
    spans: Sequence[Span],
    *,
    again: bool,
) -> int:
    """Make the minutes of `spans` and the quarter-hours around them; the caller commits.

    Minutes older than what samples are kept of are only added, never replaced: what is left
    of their samples would say less than the roll-up does.

    Args:
        cursor: A writing cursor inside a transaction.
        source: Where samples are.
        site_id: The site.
        spans: Whole minutes.
        again: Replace the minutes that are there; otherwise only missing ones are added.

    Returns:
        Number of minutes made.
    """
    columns = list(roll_up_columns().values())
    site = text(site_id)
    horizon = kept_from(cursor, site_id)
    fresh = clipped(spans, horizon, END)
    old = clipped(spans, BEGINNING, horizon)
    made = 0
    for part, replace in ((fresh, again), (old, False)):
        if not part:
            continue
        minutes = minutes_of_samples(
            source.relation(cursor, site_id, part),
            site,
            part,
            columns=columns,
            texts=TEXT_COLUMNS,
            gap_seconds=source.gap_seconds,
        )
        made += _store(cursor, MINUTES, site, minutes, replace=replace)
        around = widened(part, _QUARTER)
        quarters = quarter_hours_of_minutes(
            f"SELECT * FROM h.{MINUTES} WHERE site_id = {site} AND {inside('ts', around)}",
            columns,
            TEXT_COLUMNS,
        )
        _store(cursor, QUARTER_HOURS, site, quarters, replace=replace)
    return made


def kept_from(cursor: SqlCursor, site_id: str) -> datetime:
    """Return from when on everything that roll-ups of a site are made of is still kept."""
    rows = cursor.execute("SELECT max(ts) FROM h.kept_from WHERE site_id = ?", [site_id]).fetchall()
    found: datetime | None = rows[0][0]
    return found or BEGINNING


def _store(
    cursor: duckdb.DuckDBPyConnection, table: str, site: str, select: str, *, replace: bool
) -> int:
    # a table of this cursor's own, gone with it: reading so many columns out costs more
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE made AS {select}")
    n, first, last = cursor.execute("SELECT count(*), min(ts), max(ts) FROM made").fetchall()[0]
    if n:
        # the ends as literals prune what is read; IN decides
        ends = inside("ts", [(first, last + _MICROSECOND)])
        same = f"site_id = {site} AND {ends} AND ts IN (SELECT ts FROM made)"
        if replace:
            cursor.execute(f"DELETE FROM h.{table} WHERE {same}")
        new = "" if replace else f" WHERE ts NOT IN (SELECT ts FROM h.{table} WHERE {same})"
        cursor.execute(
            f"INSERT INTO h.{table} BY NAME SELECT *, {site} AS site_id FROM made{new} ORDER BY ts"
        )
    cursor.execute("DROP TABLE made")
    return int(n)


def add_pending(cursor: SqlCursor, site_id: str, spans: Sequence[Span]) -> None:
    """Note that the minutes of `spans` are not rolled up."""
    if spans:
        marks = ", ".join("(?, ?, ?)" for _ in spans)
        values = [value for start, end in spans for value in (site_id, start, end)]
        cursor.execute(f"INSERT INTO h.roll_up_pending VALUES {marks}", values)

"""SQL (DuckDB) that makes minutes of samples and quarter-hours of minutes.

One text serves the roll-up tables and the newest intervals that are aggregated while they are
asked for, so both give the same numbers. A sample stands for the time until the next one and
is counted in the interval in which it was taken; when the next one is further away than the
gap, it stands for no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from engine.domain.signals import Kind
from engine.history.columns import TEXT_COLUMNS
from engine.history.roll_up_columns import (
    IMPORTED_SECONDS,
    IMPORTED_STATE,
    MINUTE_S,
    QUARTER_HOUR_S,
    How,
    RollUpColumn,
    roll_up_columns,
)
from engine.history.spans import Span

_LAST_TYPE = {Kind.COUNTER: "DOUBLE", Kind.CODE: "INTEGER"}


def sql_type(column: RollUpColumn) -> str:
    """Return the column type of `column` in a roll-up table."""
    if column.how in (How.FIRST, How.LAST, How.OR):
        return _LAST_TYPE[column.kind]
    if column.how is How.COUNT or column.name in ("samples", "unusable"):
        return "INTEGER"
    return "FLOAT"


def minutes_of_samples(
    samples: str,
    site: str,
    spans: Sequence[Span],
    *,
    columns: Iterable[RollUpColumn],
    texts: Sequence[str],
    gap_seconds: float,
) -> str:
    """Return a SELECT of one row per minute that has samples.

    Args:
        samples: Relation with the columns of samples.
        site: SQL expression of the site.
        spans: Where the minutes wanted start; apart and ascending, ends on full minutes.
        columns: Numeric columns wanted.
        texts: Text columns wanted.
        gap_seconds: See `GAP_SECONDS`.
    """
    wide = [(start, end + timedelta(seconds=gap_seconds)) for start, end in spans]
    wanted = list(columns)
    sources = sorted(
        {f'"{c.source}"' for c in wanted if c.how is not How.TALLY} | {f'"{t}"' for t in texts}
    )
    gap_us = round(gap_seconds * 1e6)
    imported_us = max(gap_us, round(IMPORTED_SECONDS * 1e6))
    picked = ", ".join(
        [
            *("ts", "simulated", "unusable", "binding", "state"),
            *(s for s in sources if s not in ('"binding"', '"state"')),
        ]
    )
    timed = (
        f"SELECT *, time_bucket(INTERVAL {MINUTE_S} SECOND, ts) AS b, "
        "epoch_us(lead(ts) OVER (ORDER BY ts)) - epoch_us(ts) AS ahead_us FROM ("
        f"SELECT {picked} FROM {samples} WHERE site_id = {site} AND {inside('ts', wide)})"
    )
    held = (
        "SELECT *, CASE WHEN ahead_us <= CASE state "
        f"WHEN '{IMPORTED_STATE}' THEN {imported_us} ELSE {gap_us} END "
        "THEN ahead_us / 1e6 ELSE 0.0 END AS dt "
        f"FROM ({timed}) WHERE {inside('ts', spans)}"
    )
    numbers = [f"{_from_samples(c)}::{sql_type(c)} AS {quoted(c.name)}" for c in wanted]
    grouped = ", ".join(["b", "bool_or(simulated) AS simulated", *numbers])
    select = f"WITH held AS ({held}) SELECT {{}} FROM (SELECT {grouped} FROM held GROUP BY b)"
    words = {t: ("held", "b", t, "sum(dt)") for t in texts}
    return _with_words(select, "b", wanted, words)


def quarter_hours_of_minutes(
    minutes: str, columns: Iterable[RollUpColumn], texts: Sequence[str]
) -> str:
    """Return a SELECT of one row per quarter-hour that has minutes.

    Args:
        minutes: Relation with the columns of minutes, `with_parts` of those wanted at least.
        columns: Numeric columns wanted.
        texts: Text columns wanted; a quarter-hour has the word that most of its measured time
            belongs to, every minute counted with its own word.
    """
    wanted = list(columns)
    numbers = [f"{_from_minutes(c)}::{sql_type(c)} AS {quoted(c.name)}" for c in wanted]
    grouped = ", ".join(["b", "bool_or(simulated) AS simulated", *numbers])
    bucketed = f"SELECT *, time_bucket(INTERVAL {QUARTER_HOUR_S} SECOND, ts) AS b FROM ({minutes})"
    select = f"WITH held AS ({bucketed}) SELECT {{}} FROM (SELECT {grouped} FROM held GROUP BY b)"
    words = {t: ("held", "b", t, f"sum({_word_weight(t)})") for t in texts}
    return _with_words(select, "b", wanted, words)


def with_parts(columns: Iterable[RollUpColumn], texts: Sequence[str]) -> list[RollUpColumn]:
    """Return `columns` and what a quarter-hour of them is made of, each once."""
    known = roll_up_columns()
    parts: dict[str, RollUpColumn] = {}
    for column in columns:
        parts[column.name] = column
        if column.how is How.MEAN:
            count = known[f"{column.source}_{How.COUNT}"]
            parts[count.name] = count
    for text in texts:
        weight = _word_weight(text)
        parts[weight] = known[weight]
    return list(parts.values())


def roll_up_table(name: str) -> str:
    """Return the statement that creates roll-up `name` with the columns of today's signals."""
    columns = [
        *("ts TIMESTAMP NOT NULL", "site_id VARCHAR NOT NULL", "simulated BOOLEAN NOT NULL"),
        *(f"{quoted(text)} VARCHAR" for text in TEXT_COLUMNS),
        *(f"{quoted(c.name)} {sql_type(c)}" for c in roll_up_columns().values()),
    ]
    return f"CREATE TABLE h.{name}({', '.join(columns)})"


def inside(column: str, spans: Sequence[Span]) -> str:
    """Return a predicate: `column` lies in one of `spans`."""
    if not spans:
        return "false"
    each = " OR ".join(
        f"({column} >= {literal(start)} AND {column} < {literal(end)})" for start, end in spans
    )
    if len(spans) == 1:
        return each
    # the hull first: it prunes what is read, the rest only filters
    low, high = min(s for s, _ in spans), max(e for _, e in spans)
    return f"{column} >= {literal(low)} AND {column} < {literal(high)} AND ({each})"


def literal(ts: datetime) -> str:
    """Return a naive UTC time as SQL."""
    return f"TIMESTAMP '{ts.isoformat(sep=' ')}'"


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _with_words(
    select: str,
    bucket: str,
    columns: Sequence[RollUpColumn],
    words: dict[str, tuple[str, str, str, str]],
) -> str:
    """Join to each interval the word that held longest; words that tie go by the alphabet."""
    shown = [f"{bucket} AS ts", "simulated", *(quoted(c.name) for c in columns)]
    joins = []
    for number, (text, (relation, b, column, weight)) in enumerate(words.items()):
        shown.append(f"w{number}.word AS {quoted(text)}")
        joins.append(
            f" LEFT JOIN (SELECT {b}, first(word ORDER BY weight DESC, n DESC, word) AS word FROM "
            f"(SELECT {b}, {quoted(column)} AS word, {weight} AS weight, count(*) AS n "
            f"FROM {relation} WHERE {quoted(column)} IS NOT NULL GROUP BY {b}, word) "
            f"GROUP BY {b}) AS w{number} USING ({b})"
        )
    return select.format(", ".join(shown)) + "".join(joins)


def _word_weight(text: str) -> str:
    return "limited_s" if text == "binding" else "covered_s"


def _from_samples(column: RollUpColumn) -> str:
    value = quoted(column.source)
    match column.how:
        case How.MEAN:
            return f"avg({value})"
        case How.MIN | How.MAX | How.COUNT:
            return f"{column.how}({value})"
        case How.FIRST:
            return f"arg_min({value}, ts)"
        case How.LAST:
            return f"arg_max({value}, ts)"
        case How.OR:
            return f"bit_or({value})"
        case How.POSITIVE_KWH | How.NEGATIVE_KWH:
            sign, compare = ("", ">") if column.how is How.POSITIVE_KWH else ("-", "<")
            # FILTER: measured 3-4 times as fast as greatest(); NULL only without any value
            energy = f"sum({sign}{value}::DOUBLE * dt) FILTER ({value} {compare} 0) / 3600.0"
            return f"CASE WHEN count({value}) > 0 THEN coalesce({energy}, 0.0) END"
        case How.TALLY:
            return {
                "samples": "count(*)",
                "covered_s": "sum(dt)",
                "limited_s": "coalesce(sum(dt) FILTER (binding IS NOT NULL), 0.0)",
                "unusable": "max(unusable)",
            }[column.name]


def _from_minutes(column: RollUpColumn) -> str:
    value = quoted(column.name)
    match column.how:
        case How.MEAN:
            count = quoted(f"{column.source}_{How.COUNT}")
            return f"sum({value}::DOUBLE * {count}) / nullif(sum({count}), 0)"
        case How.MIN | How.MAX:
            return f"{column.how}({value})"
        case How.FIRST:
            return f"arg_min({value}, ts)"
        case How.LAST:
            return f"arg_max({value}, ts)"
        case How.OR:
            return f"bit_or({value})"
        case How.COUNT | How.POSITIVE_KWH | How.NEGATIVE_KWH:
            return f"sum({value})"
        case How.TALLY:
            return f"max({value})" if column.name == "unusable" else f"sum({value})"

"""Which period of a table a statement reads, told from its parse tree, so that days are left out.

Archived samples lie in one file per day, and reading them all to find that one day was meant
takes seconds. Only what is certain counts: every mention of the table must stand in a SELECT
whose WHERE bounds its time by constants; otherwise the whole table is read.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb

from engine.history.dictionary import LOCAL_TIME_COLUMN

Period = tuple[datetime | None, datetime | None]
"""From, and to before, naive UTC; None where nothing bounds it."""

EVERYTHING: Period = (None, None)

_TIME = "ts"
_DAY = timedelta(days=1)
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_LOW = {"COMPARE_GREATERTHANOREQUALTO", "COMPARE_GREATERTHAN"}
_HIGH = {"COMPARE_LESSTHANOREQUALTO", "COMPARE_LESSTHAN"}
_VARIABLE = {"COLUMN_REF", "SUBQUERY", "STAR", "WINDOW", "POSITIONAL_REFERENCE"}


def read_period(connection: duckdb.DuckDBPyConnection, tree: dict[str, Any], table: str) -> Period:
    """Return the period of `table` that a statement can read, at least.

    Args:
        connection: Evaluates constants, nothing else of the statement.
        tree: Parse tree of one statement that may run (`sql_guard`).
        table: Name of the table.
    """
    mentions = sum(1 for part in _parts(tree) if _is_table(part, table))
    names = {str(entry["key"]).lower() for part in _parts(tree) for entry in _ctes(part)}
    if not mentions or table in names:
        return EVERYTHING
    found: list[Period] = []
    for part in _parts(tree):
        if part.get("type") == "SELECT_NODE":
            for alias in _aliases(part.get("from_table"), table):
                found.append(_bounds(connection, part.get("where_clause"), alias))
    if len(found) < mentions:
        return EVERYTHING
    starts, ends = zip(*found, strict=True)
    return (
        None if None in starts else min(start for start in starts if start is not None),
        None if None in ends else max(end for end in ends if end is not None),
    )


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _parts(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from _parts(item)


def _ctes(part: dict[str, Any]) -> list[dict[str, Any]]:
    ctes: list[dict[str, Any]] = (part.get("cte_map") or {}).get("map", [])
    return ctes


def _is_table(part: dict[str, Any], table: str) -> bool:
    return part.get("type") == "BASE_TABLE" and str(part.get("table_name")).lower() == table


def _aliases(source: Any, table: str) -> Iterator[str]:
    """Yield the name of each mention of the table that WHERE sees row by row."""
    if not isinstance(source, dict):
        return
    if _is_table(source, table) and not source.get("column_name_alias"):
        yield str(source.get("alias") or table).lower()
    elif source.get("type") == "JOIN":
        # an ASOF join looks for neighbours, an outer one for what is missing
        inner = source.get("join_type") == "INNER"
        if inner and source.get("ref_type") in ("REGULAR", "CROSS"):
            yield from _aliases(source.get("left"), table)
            yield from _aliases(source.get("right"), table)


def _bounds(connection: duckdb.DuckDBPyConnection, where: Any, owner: str) -> Period:
    """Return what a condition says of the time of the table known as `owner`."""
    start: datetime | None = None
    end: datetime | None = None
    for low, high, slack in _comparisons(where, owner):
        for at, is_low in ((low, True), (high, False)):
            value = None if at is None else _constant(connection, at)
            if value is None:
                continue
            if is_low:
                start = value - slack if start is None else max(start, value - slack)
            else:
                end = value + slack if end is None else min(end, value + slack)
    return start, end


def _comparisons(where: Any, owner: str) -> Iterator[tuple[Any, Any, timedelta]]:
    """Yield lower and upper bound (an expression, or None) and by how much to widen them."""
    if not isinstance(where, dict):
        return
    kind = where.get("type")
    if kind == "CONJUNCTION_AND":
        for child in where["children"]:
            yield from _comparisons(child, owner)
    elif kind == "COMPARE_BETWEEN":
        slack = _slack(where.get("input"), owner)
        if slack is not None:
            yield where.get("lower"), where.get("upper"), slack
    elif where.get("class") == "COMPARISON":
        for time, other, turned in (("left", "right", False), ("right", "left", True)):
            slack = _slack(where.get(time), owner)
            if slack is None:
                continue
            bound = where.get(other)
            if kind == "COMPARE_EQUAL":
                yield bound, bound, slack
            elif kind in (_HIGH if turned else _LOW):
                yield bound, None, slack
            elif kind in (_LOW if turned else _HIGH):
                yield None, bound, slack


def _slack(part: Any, owner: str) -> timedelta | None:
    """Return how far the time of a row may be from this expression; None when it is none.

    A day for the time itself (bounds may be included or not), two more for the wall clock of
    the site and for the day of either.
    """
    if not isinstance(part, dict):
        return None
    if part.get("type") == "OPERATOR_CAST":
        kind = str((part.get("type_expr") or {}).get("type_name", "")).upper()
        inner = _slack(part.get("child"), owner)
        return inner + _DAY if inner is not None and kind in ("DATE", "TIMESTAMP") else None
    if part.get("class") != "COLUMN_REF":
        return None
    names = [str(name).lower() for name in part.get("column_names", [])]
    if len(names) > 2 or (len(names) == 2 and names[0] != owner):
        return None
    return {_TIME: _DAY, LOCAL_TIME_COLUMN: 2 * _DAY}.get(names[-1])


def _constant(connection: duckdb.DuckDBPyConnection, part: Any) -> datetime | None:
    """Return the time an expression without columns stands for; None when it is none."""
    if any(inner.get("class") in _VARIABLE for inner in _parts(part)):
        return None
    try:
        template = json.loads(
            connection.execute("SELECT json_serialize_sql('SELECT 1')").fetchall()[0][0]
        )
        template["statements"][0]["node"]["select_list"] = [copy.deepcopy(part)]
        rows = connection.execute(
            "SELECT found::TIMESTAMP FROM json_execute_serialized_sql(?::VARCHAR) AS t(found)",
            [json.dumps(template)],
        ).fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        # no time at all, or an aggregate: DuckDB will say so when the statement runs
        return None
    value = rows[0][0] if len(rows) == 1 else None
    # infinity and the like bound nothing
    sensible = isinstance(value, datetime) and _FIRST_YEAR <= value.year < _LAST_YEAR
    return value if sensible else None

"""Which times of a statement's answer are UTC, and which are some wall clock.

DuckDB has one type for both, and any name can be given to either. So the statement is bound,
not run, a second time: over views whose UTC columns have a type of their own. What comes out
with that type is UTC; of every other time nothing is known but its digits.
"""

from __future__ import annotations

import re

import duckdb

from engine.history.dictionary import table_info
from engine.history.sql_guard import CheckedSelect
from engine.history.views import view_sql

_ZONED = "TIMESTAMP WITH TIME ZONE"
_CHANGES_ZONE = re.compile(r"time\s*zone", re.IGNORECASE)


def utc_positions(
    cursor: duckdb.DuckDBPyConnection, statement: CheckedSelect, timezone: str
) -> frozenset[int]:
    """Return the positions of the columns that are times in UTC for certain.

    Leaves views of its own behind, under the names of the tables.

    Args:
        cursor: Binds the statement; nothing of it is run.
        statement: The statement.
        timezone: IANA name of the site's time zone.
    """
    if _CHANGES_ZONE.search(statement.sql):
        # a statement that converts between zones itself means something else by the type
        return frozenset()
    for name in statement.tables:
        table = table_info(name)
        marked = ", ".join(
            f'"{c.name}"::TIMESTAMPTZ AS "{c.name}"'
            for c in table.columns
            if c.sql_type == "TIMESTAMP"
        )
        replaced = f" REPLACE ({marked})" if marked else ""
        cursor.execute(
            f'CREATE OR REPLACE TEMP VIEW "{name}" AS '
            f"SELECT *{replaced} FROM ({view_sql(table, timezone)})"
        )
    try:
        kinds = cursor.sql(statement.sql).types
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        # what the statement calls may not take the other type; then nothing is claimed
        return frozenset()
    return frozenset(at for at, kind in enumerate(kinds) if str(kind) == _ZONED)

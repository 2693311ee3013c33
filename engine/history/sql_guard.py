"""Which statements an analyst may run: one SELECT over documented tables, known functions only.

The statement is judged by its parse tree, not by its text, and everything that is not known to
be harmless is refused. What is refused here would mostly fail later as well (files are out of
reach of the whole instance, the transaction is read-only); two walls are better than one.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import duckdb

from engine.history.query_errors import SqlRefusedError
from engine.history.sql_functions import ALLOWED, BUILDERS, TABLE_FUNCTIONS, names
from engine.history.sql_period import EVERYTHING, Period, read_period
from engine.history.views import SAMPLES

MOST_CHARACTERS = 20_000
MOST_LITERAL_CHARACTERS = 500
MOST_BUILT = 8
"""Values a statement may put together (`||`, lists, structs): each may double what there is."""

_HINT = "See docs/analysis/sql.md for what is possible."
_CANDIDATES = "Candidate bindings: "
_NOWHERE = 2**64 - 1

_EXPRESSIONS = names(
    """BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION OPERATOR
    POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW"""
)
_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE"})
_FROM = names("BASE_TABLE SUBQUERY JOIN EMPTY EXPRESSION_LIST TABLE_FUNCTION SHOW_REF PIVOT")
_MODIFIERS = names("LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER DISTINCT_MODIFIER")
_SHOWN = frozenset({"DESCRIBE", "SUMMARY"})
_TYPES = names(
    """BIGINT BOOL BOOLEAN DATE DECIMAL DOUBLE FLOAT HUGEINT INT INTEGER INTERVAL JSON LIST LONG
    NUMERIC REAL SHORT SMALLINT STRING TEXT TIME TIMESTAMP TIMESTAMPTZ TINYINT UBIGINT
    UINTEGER VARCHAR"""
) | {"TIMESTAMP WITH TIME ZONE"}


@dataclass(frozen=True, slots=True)
class CheckedSelect:
    """A statement that may run.

    Attributes:
        sql: Its text, without a semicolon.
        tables: Documented tables it reads.
        samples_period: Period of the samples it can read at most; None where nothing bounds it.
    """

    sql: str
    tables: frozenset[str]
    samples_period: Period = EVERYTHING


def check_select(
    connection: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str]
) -> CheckedSelect:
    """Return `sql` when it is one SELECT that may run.

    Args:
        connection: Parses; nothing of the statement is run.
        sql: The statement.
        tables: Names it may read.

    Raises:
        SqlRefusedError: It is no such statement; `value` is the position in the text when known.
    """
    if len(sql) > MOST_CHARACTERS:
        raise _refused(f"The statement has {len(sql)} characters; {MOST_CHARACTERS} are possible.")
    if "\x00" in sql:
        raise _refused("The statement holds a NUL character.")
    text = _only_statement(connection, sql)
    try:
        tree = json.loads(
            connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()[0][0]
        )
        if tree["error"] or len(tree["statements"]) != 1:
            raise _refused("Only SELECT statements are possible.")
        walk = _Walk(text, frozenset(tables))
        walk.statement(tree["statements"][0])
        period = EVERYTHING
        if SAMPLES in walk.read:
            period = read_period(connection, tree["statements"][0], SAMPLES)
    except RecursionError as error:
        raise _refused("The statement is nested too deeply.") from error
    except duckdb.Error as error:
        raise sql_error(error, text) from error
    return CheckedSelect(text, frozenset(walk.read), period)


def check_meaning(connection: duckdb.DuckDBPyConnection, statement: CheckedSelect) -> None:
    """Raise when DuckDB does not understand what the statement means; its views exist.

    Raises:
        SqlRefusedError: A column is unknown, types do not fit, and the like.
    """
    try:
        # unlike `sql`, this says where; on a line of its own, so that columns stay right
        connection.execute(f"EXPLAIN\n{statement.sql}").fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        raise sql_error(error, statement.sql, lines_before=1) from error


def sql_error(error: duckdb.Error, sql: str, lines_before: int = 0) -> SqlRefusedError:
    """Return DuckDB's complaint about a statement as ours, with its place when it names one.

    Args:
        error: The complaint.
        sql: The statement.
        lines_before: Lines that stood before it.
    """
    lines = str(error).splitlines()
    message = lines[0].rstrip("!") if lines else type(error).__name__
    place = _place(lines, sql, lines_before)
    where = f" (line {place[0]}, column {place[1]})" if place else ""
    return SqlRefusedError(
        f"{message.removesuffix('.')}{where}.",
        field="sql",
        value=None if place is None else f"{place[0]}:{place[1]}",
        hint=_meant(lines) + _HINT,
    )


def _meant(lines: list[str]) -> str:
    """Return which names DuckDB thinks were meant, as the begin of a hint; empty without any."""
    for line in lines:
        if line.startswith(_CANDIDATES):
            return f"Did you mean {line.removeprefix(_CANDIDATES).strip()}? "
    return ""


def _place(lines: list[str], sql: str, lines_before: int) -> tuple[int, int] | None:
    """Return line and column, from 1, of the caret under DuckDB's excerpt."""
    of_sql = sql.splitlines()
    for excerpt, caret in pairwise(lines):
        if not excerpt.startswith("LINE ") or set(caret.strip()) != {"^"}:
            continue
        head, _, shown = excerpt.partition(": ")
        number = int(head.removeprefix("LINE ")) - lines_before
        if not 1 <= number <= len(of_sql):
            return None
        column = caret.index("^") - len(head) - 2
        lead = 3 if shown.startswith("...") else 0
        offset = of_sql[number - 1].find(shown.removeprefix("...").removesuffix("..."))
        return None if offset < 0 else (number, offset + column - lead + 1)
    return None


def _only_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise sql_error(error, sql) from error
    if len(statements) != 1:
        raise _refused(
            "There is no statement." if not statements else "Only one statement is possible."
        )
    if statements[0].type is not duckdb.StatementType.SELECT:
        raise _refused(
            f"Only SELECT is possible, not {str(statements[0].type).rpartition('.')[2]}."
        )
    query = str(statements[0].query).rstrip()
    lead = ""
    if sql.rstrip().endswith(query):
        # DuckDB leaves out what stands before the statement; blanks keep its places as they were
        before = sql.rstrip().removesuffix(query)
        lead = "".join(c if c == "\n" else " " for c in before)
    return (lead + query).rstrip(";")


def _refused(message: str, place: str | None = None) -> SqlRefusedError:
    where = f" (line {place.replace(':', ', column ')})" if place else ""
    return SqlRefusedError(
        f"{message.removesuffix('.')}{where}.", field="sql", value=place, hint=_HINT
    )


@dataclass
class _Walk:
    """Goes through a parse tree and refuses what is not known.

    Attributes:
        sql: The statement.
        tables: Names it may read.
        read: Those it reads.
        built: Values it puts together.
    """

    sql: str
    tables: frozenset[str]
    read: set[str] = field(default_factory=set)
    built: int = 0

    def statement(self, tree: dict[str, Any]) -> None:
        """Check a whole statement."""
        self.anything(tree, frozenset())

    def anything(self, part: Any, ctes: frozenset[str]) -> None:
        """Check any part of the tree; `ctes` are the names WITH has given so far."""
        if isinstance(part, list):
            for item in part:
                self.anything(item, ctes)
        elif isinstance(part, dict):
            if "cte_map" in part:
                self.query(part, ctes)
                return
            kind = part.get("type")
            if "class" in part:
                self.expression(part)
            elif "query_location" in part and "alias" in part:
                self.table(part, ctes)
            elif isinstance(kind, str) and kind.endswith("_MODIFIER"):
                if kind not in _MODIFIERS:
                    raise self.refuse(f"{kind} is not possible", part)
            elif isinstance(kind, str) and kind.endswith("_NODE"):
                raise self.refuse(f"{kind} is not possible", part)
            for value in part.values():
                self.anything(value, ctes)

    def query(self, node: dict[str, Any], ctes: frozenset[str]) -> None:
        """Check a query; a name of WITH is known only after its own definition."""
        if node.get("type") not in _QUERIES:
            raise self.refuse(f"{node.get('type')} is not possible; only SELECT is", node)
        for entry in node["cte_map"]["map"]:
            self.anything(entry["value"], ctes)
            ctes |= {str(entry["key"]).lower()}
        for key, value in node.items():
            if key != "cte_map":
                self.anything(value, ctes)

    def expression(self, part: dict[str, Any]) -> None:
        """Check an expression itself; what is inside it is visited on its own."""
        kind = part["class"]
        if kind not in _EXPRESSIONS:
            raise self.refuse(f"{str(kind).capitalize()} expressions are not possible", part)
        if kind in ("FUNCTION", "WINDOW"):
            self.function(part, ALLOWED)
        if kind == "TYPE" and (
            part.get("schema") or str(part.get("type_name", "")).upper() not in _TYPES
        ):
            raise self.refuse(f"The type {part.get('type_name')} is not possible here", part)
        if kind == "CONSTANT" and len(json.dumps(part)) > MOST_LITERAL_CHARACTERS + 300:
            raise self.refuse(
                f"A constant is longer than {MOST_LITERAL_CHARACTERS} characters", part
            )

    def function(self, part: dict[str, Any], allowed: frozenset[str]) -> None:
        """Check the name of a function that is called."""
        name = str(part.get("function_name", "")).lower()
        path = (part.get("qualified_name") or {}).get("path", [name])
        if name not in allowed or len(path) > 1 or part.get("schema") or part.get("catalog"):
            shown = ".".join(str(step) for step in path)[:60]
            raise self.refuse(f"The function {shown} is not possible here", part)
        if name in BUILDERS:
            self.built += max(1, len(part.get("arguments", part.get("children", []))) - 1)
            if self.built > MOST_BUILT:
                raise self.refuse(
                    f"More than {MOST_BUILT} values are put together (||, lists, structs)", part
                )

    def table(self, part: dict[str, Any], ctes: frozenset[str]) -> None:
        """Check what stands in FROM."""
        kind = part.get("type")
        if kind not in _FROM:
            raise self.refuse(f"{kind} is not possible in FROM", part)
        if kind == "BASE_TABLE":
            self.base_table(part, ctes)
        elif kind == "TABLE_FUNCTION":
            function = part["function"]
            self.function(function, TABLE_FUNCTIONS)
            # checked here, because the same name may not be called elsewhere
            for argument in function.get("arguments", []):
                self.anything(argument, ctes)
            part["function"] = None
        elif kind == "SHOW_REF" and (
            part.get("show_type") not in _SHOWN or part.get("query") is None
        ):
            raise self.refuse(
                f"Lists of tables are not possible; there are {', '.join(sorted(self.tables))}",
                part,
            )

    def base_table(self, part: dict[str, Any], ctes: frozenset[str]) -> None:
        """Check the name of a table."""
        path = [str(step) for step in (part.get("qualified_name") or {}).get("path", [])]
        name = str(part.get("table_name", ""))
        qualified = len(path) > 1 or part.get("schema_name") or part.get("catalog_name")
        if not qualified and name.lower() in ctes:
            return
        if qualified or name.lower() not in self.tables:
            shown = ".".join(path or [name])[:80]
            raise self.refuse(
                f"There is no table {shown} here; there are {', '.join(sorted(self.tables))}", part
            )
        self.read.add(name.lower())

    def refuse(self, message: str, part: dict[str, Any]) -> SqlRefusedError:
        """Return the error for `part`, with its place in the text when it is known."""
        at = part.get("query_location", _NOWHERE)
        if not isinstance(at, int) or at >= _NOWHERE:
            return _refused(message)
        before = self.sql.encode()[:at].decode("utf-8", "ignore")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        return _refused(message, f"{line}:{column}")

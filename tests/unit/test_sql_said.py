"""What DuckDB says about a statement is German on a German page, its own words beside it."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from ems_dash.i18n import SqlSaid, history_said, sql_said
from ems_dash.i18n.sql_said import _rules
from engine.history.query_errors import SqlRefusedError
from engine.history.sql_guard import check_meaning, check_select, sql_error

MISTAKES = (
    "selec 1",
    "select from ledger",
    "select 'abc from ledger",
    'select "abc from ledger',
    "select count(distinct) from ledger",
    "select cost from ledger",
    "select cost",
    "select cost_eur from ledger qualify cost > 1",
    "select l.cost from ledger l",
    "select x.cost_eur from ledger",
    "select ts from ledger a join prices b on a.ts = b.ts",
    "select * from (select 1 a) t, (select 2 a) t",
    "select * from ledger join prices using (cost)",
    "select * exclude (cost) from ledger",
    "select {'a': 1}.b",
    "select ts at time zone 'Nowhere' from ledger",
    "select date_trunc('hur', ts) from ledger",
    "select state, sum(cost_eur) from ledger",
    "select state from ledger having cost_eur > 1",
    "select ts from ledger where sum(cost_eur) > 1",
    "select ts from ledger where row_number() over () > 1",
    "select sum(cost_eur) as s from ledger group by s",
    "select sum(sum(cost_eur)) from ledger",
    "select lag(cost_eur) from ledger",
    "select ts from ledger order by 5",
    "select ts from ledger group by 7",
    "select ts from ledger limit -1",
    "select ts from ledger union select ts, state from ledger",
    "select (select ts from ledger)",
    "select (select ts, state from ledger)",
    "select cost_eur + state from ledger",
    "select round(ts) from ledger",
    "select ts - 'a' from ledger",
    "select coalesce(cost_eur, ts) from ledger",
    "select greatest(cost_eur, ts) from ledger",
    "select cost_eur from ledger union select ts from ledger",
    "select unnest(cost_eur) from ledger",
    "select state::int from ledger",
    "select ts from ledger where ts > 'gestern'",
    "select cast('gestern' as date)",
    "select date '2026-13-45'",
    "select time '25:99'",
    "select make_timestamp(2026, 13, 1, 1, 1, 1)",
    "select 1 // 0",
    "select 9223372036854775807 + 1",
    "select 300::tinyint",
    "select 10::decimal(1, 0)",
    "select quantile_cont(cost_eur, 2) from ledger",
    "select strftime(ts, '%Q') from ledger",
    "select '{'::json",
)
REFUSED = (
    "select no_such_function(1)",
    "select * from nothing",
    "select $1",
    "select cast(1 as nonsense)",
    "insert into ledger values (1)",
    "select 1; select 2",
    "",
)
ELSEWHERE = frozenset(
    {
        "syntax error at end of input",
        r"Table with name (\S+) does not exist",
        r"(?:\w+ )*[Ff]unction with name (\S+) does not exist",
    }
)
"""What the guard finds before DuckDB does, so only another version would say it."""


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as found:
        found.execute("CREATE TABLE ledger (ts TIMESTAMPTZ, cost_eur DOUBLE, state VARCHAR)")
        found.execute("CREATE TABLE prices (ts TIMESTAMPTZ)")
        found.execute("INSERT INTO ledger SELECT now(), 1.0, 'abc' FROM range(2)")
        yield found


def complaint(connection: duckdb.DuckDBPyConnection, sql: str) -> SqlRefusedError:
    try:
        checked = check_select(connection, sql, {"ledger", "prices"})
        check_meaning(connection, checked)
        connection.execute(checked.sql).fetchall()
    except SqlRefusedError as error:
        return error
    except duckdb.Error as error:
        return sql_error(error, sql)
    raise AssertionError(f"nothing is wrong with {sql}")


def test_the_usual_mistakes_are_said_in_german(connection: duckdb.DuckDBPyConnection) -> None:
    messages = {sql: complaint(connection, sql).message for sql in MISTAKES}
    unknown = [message for message in messages.values() if sql_said(message, "de").text is None]
    assert unknown == []
    for message in messages.values():
        assert sql_said(message, "de").original == message
        assert sql_said(message, "en") == SqlSaid(message, None)
    # Every rule is one that this version of DuckDB needs.
    heard = [
        text.split("Error: ", 1)[1].split(" (line")[0].rstrip(".") for text in messages.values()
    ]
    idle = {rule.pattern for rule, _ in _rules() if not any(map(rule.fullmatch, heard))}
    assert idle == ELSEWHERE


@pytest.mark.parametrize(
    ("sql", "german"),
    [
        ("selec 1", "Die Schreibweise stimmt nicht bei „selec“ (Zeile 1, Spalte 1)."),
        (
            "select\ncost from ledger",
            "In den Tabellen nach FROM gibt es keine Spalte „cost“ (Zeile 2, Spalte 1).",
        ),
        (
            "select state::int from ledger",
            "Der Text „abc“ ist kein Wert vom Typ INT32; Spalte: state (Zeile 1, Spalte 13).",
        ),
        ("select 1 // 0", "Teilung durch null in (1 // 0). Mit NULLIF(…, 0) gibt sie NULL."),
    ],
)
def test_a_mistake_is_named_with_its_place(
    connection: duckdb.DuckDBPyConnection, sql: str, german: str
) -> None:
    assert sql_said(complaint(connection, sql).message, "de").text == german


def test_names_that_were_meant_are_offered(connection: duckdb.DuckDBPyConnection) -> None:
    hint = complaint(connection, "select cost from ledger").hint
    assert str(hint).startswith('Did you mean "cost_eur"')
    assert history_said(hint, "de").startswith('Gemeint ist vielleicht "cost_eur"')


def test_what_the_guard_refuses_is_german_altogether(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for sql in REFUSED:
        told = sql_said(complaint(connection, sql).message, "de")
        assert told.original is None
        assert not {"is", "not", "possible", "there", "only"} & set(str(told.text).lower().split())


def test_other_words_of_the_database_stay_as_it_says_them() -> None:
    message = "Binder Error: interval cannot be 0."
    assert sql_said(message, "de") == SqlSaid(None, message)
